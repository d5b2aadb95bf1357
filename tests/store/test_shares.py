"""Shares in the database: they come back as they went in, and are found by what is theirs."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.errors import NotFound, Unavailable
from gateway.model import (
    Authority,
    Permission,
    ReceivedShare,
    ReceivedState,
    ResourceType,
    SentShare,
    SentState,
)
from gateway.store.place import PostgresAddress
from gateway.store.state import open_state

SENT = SentShare(
    provider_id="id-1",
    resource=("trip", "a/b?", "ü"),
    resource_type=ResourceType.FOLDER,
    owner="alice",
    share_with="bob@far.example",
    receiving_server=Authority("far.example"),
    permissions=frozenset({Permission.READ, Permission.SHARE}),
    must_exchange_token=None,
    shared_secret="a secret",
    created_at=1,
    expiration_at=2,
    size=None,
    description="for <you>",
)
RECEIVED = ReceivedShare(
    id="ours-1",
    sending_server=Authority("far.example:8443"),
    provider_id="1",
    recipient="alice",
    owner="o@far.example:8443",
    sender="s@far.example:8443",
    name="trip.tar.gz",
    folder="trip.tar.gz",
    resource_type=ResourceType.FILE,
    uri="abc",
    permissions=frozenset(),
    must_exchange_token=True,
    shared_secret="their secret",
    received_at=5,
    size=7,
)


@pytest.fixture(params=["sqlite", "postgres"])
async def state(request, tmp_path):
    place = tmp_path / "db"
    if request.param == "postgres":
        place = PostgresAddress(request.getfixturevalue("postgres"))
    state = await open_state(tmp_path, place, tmp_path / "key")
    yield state
    await state.close()


async def keep(state, *shares):
    for share in shares:
        table = state.sent if isinstance(share, SentShare) else state.received
        await state.database.write(partial(table.add, share=share))


@pytest.mark.parametrize("must", [None, True, False])
async def test_a_sent_share_comes_back_as_it_went_in(state, must):
    share = replace(SENT, must_exchange_token=must)
    await keep(state, share)
    assert await state.database.read(partial(state.sent.by_id, provider_id="id-1")) == share


async def test_a_received_share_comes_back_as_it_went_in(state):
    await keep(state, RECEIVED)
    assert await state.database.read(partial(state.received.by_id, share_id="ours-1")) == RECEIVED


async def test_a_sent_share_is_found_by_its_secret_to_the_letter(state):
    await keep(state, SENT)
    for secret, found in (("a secret", SENT), ("A secret", None), ("", None)):
        assert (
            await state.database.read(partial(state.sent.opening_by_secret, secret=secret)) == found
        )


async def test_what_is_not_there_is_not_found(state):
    with pytest.raises(NotFound):
        await state.database.read(partial(state.sent.by_id, provider_id="x"))
    with pytest.raises(NotFound):
        await state.database.read(partial(state.received.by_id, share_id="x"))


async def test_an_id_is_used_once(state):
    await keep(state, SENT)
    with pytest.raises((IntegrityError, Unavailable)):
        await keep(state, replace(SENT, shared_secret="other"))


async def test_an_id_belongs_to_its_server(state):
    other = replace(RECEIVED, id="ours-2", sending_server=Authority("near.example"))
    await keep(state, RECEIVED, other)
    found = await state.database.read(
        partial(
            state.received.all_of,
            sending_server=Authority("near.example"),
            provider_id="1",
        )
    )
    assert [one.id for one in found] == ["ours-2"]


async def test_two_shares_of_a_name_lie_apart(state):
    await keep(
        state,
        RECEIVED,
        replace(RECEIVED, id="2", provider_id="2", folder="TRIP.tar.gz"),
        replace(RECEIVED, id="3", provider_id="3", folder="plain"),
        replace(RECEIVED, id="4", provider_id="4", folder="plain"),
        replace(RECEIVED, id="5", provider_id="5", folder=".hidden"),
        replace(RECEIVED, id="6", provider_id="6", folder=".hidden"),
        replace(RECEIVED, id="7", provider_id="7", recipient="bob"),
    )
    shares = await state.database.read(state.received.all)
    assert {share.id: share.folder for share in shares} == {
        "ours-1": "trip.tar.gz",
        "2": "TRIP.tar (2).gz",
        "3": "plain",
        "4": "plain (2)",
        "5": ".hidden",
        "6": ".hidden (2)",
        "7": "trip.tar.gz",
    }


async def test_a_share_moves_out_of_the_named_states_only(state):
    await keep(state, SENT, RECEIVED)
    accept = partial(
        state.sent.move,
        provider_id="id-1",
        state=SentState.ACCEPTED,
        out_of=(SentState.PENDING, SentState.SENT),
    )
    assert await state.database.write(accept)
    assert not await state.database.write(accept)
    unshare = partial(
        state.received.move,
        share_id="ours-1",
        state=ReceivedState.UNSHARED,
        out_of=(ReceivedState.ACCEPTED,),
    )
    assert not await state.database.write(unshare)


async def test_an_owner_sees_only_their_own(state):
    await keep(state, SENT, replace(SENT, provider_id="2", shared_secret="2", owner="bob"))
    found = await state.database.read(partial(state.sent.all, owner="alice"))
    assert [share.provider_id for share in found] == ["id-1"]
    assert len(await state.database.read(state.sent.all)) == 2
