"""Errands: kept until they are done, in order, and never twice at once."""

import asyncio
from functools import partial

import pytest

from gateway.errors import NotFound, Unavailable
from gateway.model import Errand, SentState
from gateway.sharing import notices
from gateway.sharing.outbox import Carrier
from gateway.store import outbox
from tests.pair import eventually
from tests.peer import Answer
from tests.sharing.stage import Clock, create_share, running

SHARES = "POST /ocm/shares"


async def entries(gateway):
    return await gateway.state.database.read(outbox.all_entries)


async def state_of(gateway, share):
    return (await gateway.sending.by_id(share.provider_id)).state


async def test_what_is_done_is_forgotten(gateway, peer):
    await create_share(gateway, peer)
    assert await entries(gateway) == []


async def test_the_outbox_tries_again_by_itself(gateway, peer):
    peer.on(SHARES, Answer(503), Answer(201))
    share = await create_share(gateway, peer)

    async def done():
        return not await entries(gateway)

    await eventually(done)
    assert await state_of(gateway, share) is SentState.SENT
    assert len(peer.requests(SHARES)) == 2


async def test_a_new_errand_is_for_a_moment_theirs_who_decided(opened):
    """Else the worker may be faster, and they hear `pending` in place of the outcome."""
    database = (await opened(listens=False)).state.database
    new = notices.entry(Errand.SHARE, "a-share", "cloud.example", 1000)

    def claims(connection):
        claim = partial(outbox.claim, connection, me="us", held=lambda *_: False)
        outbox.add(connection, new)
        outbox.hurry(connection, new.provider, 1000)  # that server has just spoken
        return claim(1000), claim(1002), claim(1000, only=new.id)

    early, due, asked = await database.write(claims)
    assert (early, due.id, asked.id) == (None, new.id, new.id)


async def test_an_errand_that_runs_already_is_waited_for(opened, peer):
    """Whoever presses the button while the worker is at it hears how it ended."""
    gateway = await opened(listens=False)
    peer.on(SHARES, Answer(503))
    share = await create_share(gateway, peer)
    [entry] = await entries(gateway)
    peer.on(SHARES, Answer(201))
    await asyncio.gather(*(gateway.outbox.attempt(entry.id) for _ in range(3)))
    assert await state_of(gateway, share) is SentState.SENT
    assert len(peer.requests(SHARES)) == 2


async def test_pauses_double_up_to_a_limit(opened, peer):
    clock = Clock()
    gateway = await opened(
        clock, outbox={"first_retry_seconds": 1, "longest_pause_seconds": 6, "give_up_hours": 1}
    )
    peer.on(SHARES, Answer(503))
    await create_share(gateway, peer)
    pauses = []
    for _ in range(5):
        [entry] = await entries(gateway)
        pauses.append(entry.next_attempt_at - clock())
        clock.now = entry.next_attempt_at - 1  # so that only we try
        await gateway.outbox.attempt(entry.id)
    assert pauses == [1, 2, 4, 6, 6]


async def test_a_server_may_ask_for_a_longer_pause(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    peer.on(SHARES, Answer(503, headers={"Retry-After": "120"}))
    await create_share(gateway, peer)
    [entry] = await entries(gateway)
    assert entry.next_attempt_at == clock() + 120


async def test_what_cannot_be_delivered_is_given_up_and_kept(opened, peer):
    clock = Clock()
    gateway = await opened(clock, outbox={"first_retry_seconds": 5000, "give_up_hours": 1})
    peer.on(SHARES, Answer(503))
    share = await create_share(gateway, peer)
    [entry] = await entries(gateway)
    clock.now += 3601
    await gateway.outbox.attempt(entry.id)
    [entry] = await entries(gateway)
    assert entry.dead
    assert "503" in entry.last_error
    found = await gateway.sending.by_id(share.provider_id)
    assert found.state is SentState.REFUSED
    assert "1 hours" in found.reason
    before = len(peer.seen)
    await gateway.outbox.attempt(entry.id)
    assert len(peer.seen) == before


async def test_an_unreachable_server_is_tried_again(gateway, peer):
    peer.on("GET /.well-known/ocm", Answer(hang_up=True))
    share = await create_share(gateway, peer)
    assert share.state is SentState.PENDING
    assert peer.requests("POST") == []
    peer.on("GET /.well-known/ocm", Answer(body=peer.document))
    [entry] = await entries(gateway)
    await gateway.outbox.attempt(entry.id)
    assert await state_of(gateway, share) is SentState.SENT


async def test_an_errand_outlives_a_restart(tmp_path, storage, peer):
    peer.on(SHARES, Answer(503), Answer(201))
    async with running(tmp_path / "one", storage.url, listens=False) as gateway:
        share = await create_share(gateway, peer)
        settings = gateway.settings
    public = settings.public.model_dump(include={"origin", "listen"})
    async with running(tmp_path / "one", storage.url, public=public) as gateway:

        async def sent():
            return await state_of(gateway, share) is SentState.SENT

        await eventually(sent)
    one, two = peer.requests(SHARES)
    assert one.json()["providerId"] == two.json()["providerId"]


async def test_errands_about_a_share_keep_their_order(gateway, peer):
    peer.on(SHARES, Answer(503))
    share = await create_share(gateway, peer)
    await gateway.sending.revoke(share.provider_id)
    assert peer.requests("POST /ocm/notifications") == []

    async def empty():
        return not await entries(gateway)

    await eventually(empty)
    # What was announced, even in vain, is withdrawn; and it is not announced again.
    assert len(peer.requests(SHARES)) == 1
    [notice] = peer.requests("POST /ocm/notifications")
    assert notice.json()["notificationType"] == "SHARE_UNSHARED"


async def test_a_dead_server_delays_nobody_else(gateway, peer, other):
    peer.on(SHARES, Answer(503))
    await create_share(gateway, peer)
    assert (await create_share(gateway, other)).state is SentState.SENT


async def test_two_attempts_at_once_are_one(gateway, peer):
    peer.on(SHARES, Answer(503), Answer(201, seconds=0.2))
    await create_share(gateway, peer)
    [entry] = await entries(gateway)
    await asyncio.gather(*(gateway.outbox.attempt(entry.id) for _ in range(5)))
    assert len(peer.requests(SHARES)) == 2


async def test_a_fault_of_ours_does_not_lose_the_errand(gateway, peer):
    async def fault(entry):
        raise RuntimeError("a fault")

    async def give_up(entry, reason):
        raise AssertionError("given up")

    gateway.outbox.employ({Errand.SHARE: Carrier(fault, give_up)})
    share = await create_share(gateway, peer)
    assert share.state is SentState.PENDING
    [entry] = await entries(gateway)
    assert "a fault" in entry.last_error


@pytest.mark.parametrize("error", [Unavailable("later")])
async def test_our_own_troubles_pass(gateway, peer, error):
    async def fail(entry):
        raise error

    async def give_up(entry, reason):
        raise AssertionError("given up")

    gateway.outbox.employ({Errand.SHARE: Carrier(fail, give_up)})
    assert (await create_share(gateway, peer)).state is SentState.PENDING


async def test_what_was_given_up_is_delivered_when_somebody_retries_it(gateway, peer):
    peer.on(SHARES, Answer(403), Answer(201))
    share = await create_share(gateway, peer)
    assert await state_of(gateway, share) is SentState.REFUSED
    [entry] = await gateway.outbox.about(share.provider_id)
    assert entry.dead
    await gateway.outbox.retry(entry.id)
    assert await state_of(gateway, share) is SentState.SENT
    assert await entries(gateway) == []
    one, two = peer.requests(SHARES)
    assert one.body == two.body


async def test_a_dropped_errand_is_never_run_and_its_share_is_refused(gateway, peer):
    peer.on(SHARES, Answer(503))
    share = await create_share(gateway, peer)
    [entry] = await entries(gateway)
    await gateway.outbox.drop(entry.id)
    assert await state_of(gateway, share) is SentState.REFUSED
    assert await entries(gateway) == []
    with pytest.raises(NotFound):
        await gateway.outbox.retry(entry.id)
