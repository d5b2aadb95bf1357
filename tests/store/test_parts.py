"""Long lists are searched, ordered and cut in the database, on either engine in the same way."""

from dataclasses import replace
from functools import partial
from unicodedata import normalize

import pytest

from gateway.model import Authority, Contact, ContactSource, ReceivedState, SentState
from gateway.store import contacts
from gateway.store.parts import Turn, cut
from gateway.store.tables import sent_shares
from tests.store.plans import plans
from tests.store.test_shares import RECEIVED, SENT, keep, state

__all__ = ["state"]

THREE = Turn(1, 3)


def sent(number, **changes):
    changes = {"resource": (f"thing-{number}",), "created_at": number} | changes
    return replace(SENT, provider_id=f"s{number}", shared_secret=f"secret-{number}", **changes)


def received(number, **changes):
    changes = {"folder": f"thing-{number}", "received_at": number} | changes
    return replace(RECEIVED, id=f"r{number}", provider_id=str(number), **changes)


async def part(table, *of, turn=THREE, **which):
    database, name = table
    return await database.read(lambda connection: name(connection, turn, *of, **which))


async def test_a_part_has_what_is_asked_for_and_says_how_much_there_is(state):
    await keep(state, *(sent(number) for number in range(8)), sent(9, owner="bob"))
    table = (state.database, state.sent.part)
    shown = await part(table, "alice", turn=Turn(2, 3))
    assert [one.provider_id for one in shown.items] == ["s4", "s3", "s2"]
    assert (shown.number, shown.last, shown.found) == (2, 3, 8)
    for number, size, found in ((1, 3, (1, 3, 8)), (0, 8, (1, 1, 8)), (1, 9, (1, 1, 8))):
        shown = await part(table, "alice", turn=Turn(number, size))
        assert [one.provider_id for one in shown.items][:2] == ["s7", "s6"]
        assert (shown.number, shown.last, shown.found) == found
    shown = await part(table, "alice", turn=Turn(9, 3))
    assert ([one.provider_id for one in shown.items], shown.number) == (["s1", "s0"], 3)
    shown = await part(table, "nobody")
    assert (list(shown.items), shown.number, shown.last, shown.found) == ([], 1, 1, 0)
    assert shown == replace(cut([], Turn(5, 3)), items=shown.items)


async def test_the_shares_of_a_resource_are_found_by_index(state):
    long = tuple(f"{number}-\U0001f600" * 20 for number in range(90))
    await keep(state, *(sent(number) for number in range(1000)), sent(1000, resource=long))
    for resource, found in ((("thing-7",), ["s7"]), (long, ["s1000"]), (("thing",), [])):
        look = partial(state.sent.all, owner="alice", resource=resource)
        assert [one.provider_id for one in await state.database.read(look)] == found
    assert "sent_shares_by_resource" in await plans(state.database, look)
    of_an_older_replica = sent_shares.update().values(resource_key="")
    await state.database.write(lambda one: one.execute(of_an_older_replica).rowcount)
    look = partial(state.sent.all, owner="alice", resource=long)
    assert [one.provider_id for one in await state.database.read(look)] == ["s1000"]


async def test_a_list_of_everything_is_counted_too(state):
    await keep(state, *(sent(number, owner=str(number)) for number in range(4)))
    shown = await part((state.database, state.sent.part))
    assert (len(shown.items), shown.last, shown.found) == (3, 2, 4)


async def test_only_wanted_states_are_counted(state):
    await keep(state, sent(1), sent(2, state=SentState.REVOKED), sent(3, state=SentState.HELD))
    states = (SentState.HELD, SentState.REVOKED)
    shown = await part((state.database, state.sent.part), "alice", states=states)
    assert ([one.provider_id for one in shown.items], shown.found) == (["s3", "s2"], 2)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("müller", ["s1"]),
        ("MÜLLER", ["s1"]),
        (normalize("NFD", "Müller"), ["s1"]),
        ("STRASSE", ["s2"]),
        ("100%", ["s3"]),
        ("%", ["s3"]),
        ("_", ["s4"]),
        ("\\", []),
        ("far.example", ["s4", "s3", "s2", "s1"]),
        ("  müller ", ["s1"]),
        ("\0", []),
        ("' OR 1=1 --", []),
    ],
)
async def test_a_search_finds_text_in_any_case_and_spelling(state, wanted, found):
    names = (normalize("NFC", "Müller.pdf"), "Straße", "100% sure", "a_b")
    await keep(state, *(sent(at, resource=("in", name)) for at, name in enumerate(names, 1)))
    shown = await part((state.database, state.sent.part), "alice", turn=Turn(1, 9), search=wanted)
    assert [one.provider_id for one in shown.items] == found


async def test_a_recipient_sees_neither_what_is_over_nor_what_is_for_groups_of_others(state):
    await keep(
        state,
        received(1),
        received(2, expiration_at=100),
        received(3, group="staff"),
        received(4, group="board"),
        received(5, hidden=True),
        received(6, state=ReceivedState.DECLINED),
        received(7, recipient="bob"),
    )
    table = (state.database, state.received.part)
    which = {"states": (ReceivedState.PENDING,), "groups": ("staff",), "now": 100}
    shown = await part(table, "alice", turn=Turn(1, 9), **which)
    assert [one.id for one in shown.items] == ["r5", "r3", "r1"]
    shown = await part(table, "alice", hidden=False, **which)
    assert [one.id for one in shown.items] == ["r3", "r1"]
    shown = await part(table, "alice", search="THING-5", **which)
    assert [one.id for one in shown.items] == ["r5"]
    shown = await part(table, "alice", **which | {"groups": (), "now": 99})
    assert [one.id for one in shown.items] == ["r5", "r2", "r1"]


async def test_a_contact_is_found_by_every_name_and_by_a_new_one_after_it_was_given(state):
    def person(number, name, **more):
        return Contact(
            id=f"c{number}",
            user="alice",
            user_id=f"p{number}",
            provider=Authority("far.example"),
            name=name,
            email=f"p{number}@mail.example",
            source=ContactSource.INVITE,
            added_at=1,
            **more,
        )

    async def look(search):
        shown = await part((state.database, contacts.part), "alice", turn=Turn(1, 9), search=search)
        return [one.id for one in shown.items]

    people = (person(1, "Émile"), person(2, "anna"), person(3, "Bert", label="Zoë"))
    for one in people:
        await state.database.write(partial(contacts.put, contact=one))
    everybody = await look("")
    assert sorted(everybody) == ["c1", "c2", "c3"]
    assert everybody.index("c2") < everybody.index("c3")
    assert await look("ÉMILE") == ["c1"]
    assert await look("bert") == ["c3"]
    assert await look("ZOË") == ["c3"]
    assert await look("P2@FAR") == ["c2"]
    assert await look("p1@mail") == ["c1"]
    await state.database.write(partial(contacts.relabel, contact_id="c2", label="Mother"))
    assert (await look("mother"), await look("anna")) == (["c2"], ["c2"])
    await state.database.write(partial(contacts.put, contact=person(1, "Emil Zola")))
    assert (await look("zola"), await look("émile")) == (["c1"], [])
    known = await state.database.read(
        partial(contacts.known_as, user="alice", addresses={"p1@far.example", "p2@other.example"})
    )
    assert {address: one.id for address, one in known.items()} == {"p1@far.example": "c1"}


@pytest.mark.parametrize("many", [1, 2, 3, 4, 7, 8, 9, 33])
async def test_the_next_of_a_name_gets_the_next_number(state, many):
    for number in range(many):
        await keep(state, received(number, folder="trip.tar.gz"))
    shown = await part(
        (state.database, state.received.part),
        "alice",
        turn=Turn(1, 99),
        states=(ReceivedState.PENDING,),
        groups=(),
        now=0,
    )
    folders = {one.folder for one in shown.items}
    assert folders == {"trip.tar.gz", *(f"trip.tar ({n}).gz" for n in range(2, many + 1))}


@pytest.mark.parametrize(
    ("there", "new"),
    [("Trip", "tRIP (2)"), ("Straße", "STRASSE (2)"), (normalize("NFD", "Müll"), "MÜLL (2)")],
)
async def test_names_that_some_client_takes_for_one_are_told_apart(state, there, new):
    await keep(state, received(1, folder=there), received(2, folder=new.removesuffix(" (2)")))
    share = await state.database.read(partial(state.received.by_id, share_id="r2"))
    assert share.folder == new


async def test_a_number_that_was_freed_may_stay_free_but_none_is_given_twice(state):
    for number in range(1, 6):
        await keep(state, received(number, folder=("trip" if number == 1 else f"trip ({number})")))
    await keep(state, received(8, folder="trip (8)"), received(9, folder="trip"))
    share = await state.database.read(partial(state.received.by_id, share_id="r9"))
    assert share.folder == "trip (9)"
