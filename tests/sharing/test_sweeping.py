"""Shares whose time is over: closed once, told once, and forgotten after a while."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import func, select, update

from gateway.errors import NotFound
from gateway.model import DEAD_AFTER_LOOKS, Permission, ReceivedState, SentState
from gateway.store import leases, outbox
from gateway.store.tables import (
    accesses,
    audit,
    invites,
    link_visits,
    links,
    received_shares,
)
from tests.pair import eventually
from tests.peer import Answer
from tests.sharing.stage import (
    Clock,
    address,
    create_share,
    notifications_of,
    receive_share,
    send_share,
    shares_of,
    visit,
)

NOTICE = "POST /ocm/notifications"


async def test_a_sent_share_that_is_over_is_closed_and_told_of_once(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    share = await create_share(gateway, peer, expiration_at=clock.now + 60)
    lasting = await create_share(gateway, peer)
    assert (await gateway.sweeping.sweep()).sent == ()
    clock.now += 60
    assert [one.provider_id for one in (await gateway.sweeping.look()).sent] == [share.provider_id]
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT
    assert peer.requests(NOTICE) == []
    await asyncio.gather(*(gateway.sweeping.sweep() for _ in range(4)))
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.EXPIRED
    assert (await gateway.sending.by_id(lasting.provider_id)).state is SentState.SENT

    async def told():
        return bool(peer.requests(NOTICE)) and not await gateway.outbox.about(share.provider_id)

    await eventually(told)
    assert (await gateway.sweeping.sweep()).sent == ()
    assert (await gateway.sending.revoke(share.provider_id)).state is SentState.EXPIRED
    [said] = [one.json() for one in peer.requests(NOTICE)]
    assert (said["notificationType"], said["providerId"]) == ("SHARE_UNSHARED", share.provider_id)
    assert (await visit(gateway, peer, share.provider_id, share.shared_secret)).status in (401, 404)


async def test_a_received_share_that_is_over_is_closed_and_cannot_come_back(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    share = await receive_share(peer, gateway, expiration=clock.now + 60)
    told = len(peer.requests(NOTICE))
    clock.now += 60
    assert [one.id for one in (await gateway.sweeping.sweep()).received] == [share.id]
    assert (await gateway.receiving.by_id(share.id)).state is ReceivedState.EXPIRED
    assert await gateway.receiving.inbox() == []
    assert (await gateway.sweeping.sweep()).received == ()
    assert len(peer.requests(NOTICE)) == told  # its server set the time itself
    assert await gateway.state.database.read(outbox.all_entries) == []


DAYS = 86_400


async def rows(gateway, table):
    query = select(func.count()).select_from(table)
    return await gateway.state.database.read(
        lambda connection: connection.execute(query).scalar_one()
    )


async def settled(gateway):
    """No errand waits any more."""

    async def done():
        return await gateway.state.database.read(outbox.all_entries) == []

    await eventually(done)


async def past(gateway, clock, days):
    """So many days later, before and after which somebody sweeps."""
    await gateway.sweeping.sweep()
    clock.now += days * DAYS
    return await gateway.sweeping.sweep()


# What ended long ago


async def test_a_share_that_ended_is_kept_for_a_while_and_then_goes_with_all_of_it(opened, peer):
    clock = Clock()
    gateway = await opened(clock, sharing={"public_links": True, "keep_ended_days": 30})
    share = await create_share(gateway, peer)
    lasting = await create_share(gateway, peer)
    await gateway.links.switch_on(share.provider_id)
    await gateway.sending.revoke(share.provider_id)
    await settled(gateway)
    entries = await rows(gateway, audit)
    assert (await past(gateway, clock, 30)).forgotten_sent == ()
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.REVOKED
    clock.now += 1
    assert (await gateway.sweeping.look()).forgotten_sent == (share.provider_id,)
    assert (await gateway.sweeping.sweep()).forgotten_sent == (share.provider_id,)
    with pytest.raises(NotFound):
        await gateway.sending.by_id(share.provider_id)
    assert [one.provider_id for one in await gateway.sending.all()] == [lasting.provider_id]
    for table in (links, link_visits, accesses):
        assert await rows(gateway, table) == 0
    assert await rows(gateway, audit) >= entries
    reply = await visit(gateway, peer, share.provider_id, share.shared_secret)
    assert reply.status in (401, 404)


async def test_a_declined_and_a_withdrawn_share_go_and_an_accepted_one_stays(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    accepted = await receive_share(peer, gateway)
    declined, withdrawn = [await receive_share(peer, gateway) for _ in range(2)]
    await gateway.receiving.decline(declined.id)
    notice = {"notificationType": "SHARE_UNSHARED", "resourceType": "folder"}
    body = notice | {"providerId": withdrawn.provider_id}
    assert (await peer.post(notifications_of(gateway), body, created=clock.now)).status == 201
    await settled(gateway)
    gone = (await past(gateway, clock, 91)).forgotten_received
    assert set(gone) == {declined.id, withdrawn.id}
    assert [one.id for one in await gateway.receiving.inbox()] == [accepted.id]


async def test_nothing_is_forgotten_where_everything_is_to_be_kept(opened, peer):
    clock = Clock()
    gateway = await opened(clock, sharing={"keep_ended_days": None})
    share = await create_share(gateway, peer)
    await gateway.sending.revoke(share.provider_id)
    await settled(gateway)
    assert (await past(gateway, clock, 5000)).forgotten_sent == ()
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.REVOKED


async def test_a_share_stays_until_its_server_was_told_of_its_end(opened, peer):
    clock = Clock()
    gateway = await opened(clock, outbox={"give_up_hours": 24 * 365})
    share = await create_share(gateway, peer)
    peer.on(NOTICE, Answer(500))
    await gateway.sending.revoke(share.provider_id)
    assert (await past(gateway, clock, 200)).forgotten_sent == ()
    peer.on(NOTICE, Answer(201))
    for entry in await gateway.outbox.about(share.provider_id):
        await gateway.outbox.retry(entry.id)
    await settled(gateway)
    assert (await gateway.sweeping.sweep()).forgotten_sent == (share.provider_id,)


async def test_a_share_that_is_tried_again_has_not_ended(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    peer.on("POST /ocm/shares", Answer(403))
    share = await create_share(gateway, peer)
    assert (await past(gateway, clock, 60)).forgotten_sent == ()
    peer.on("POST /ocm/shares", Answer(201))
    [given_up] = await gateway.outbox.about(share.provider_id)
    await gateway.outbox.retry(given_up.id)
    assert (await past(gateway, clock, 60)).forgotten_sent == ()
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT


async def test_a_refused_share_goes_with_the_errand_that_was_given_up(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    peer.on("POST /ocm/shares", Answer(403))
    share = await create_share(gateway, peer)
    assert (await past(gateway, clock, 91)).forgotten_sent == (share.provider_id,)
    assert await gateway.outbox.about(share.provider_id) == []


async def test_a_share_that_bounds_an_open_request_stays(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    granting = frozenset({Permission.READ, Permission.SHARE})
    share = await create_share(gateway, peer, permissions=granting)
    notice = {
        "notificationType": "REQUEST_RESHARE",
        "resourceType": "folder",
        "providerId": share.provider_id,
        "notification": {"shareWith": f"bohr@{peer.authority}", "sharedSecret": "x"},
    }
    assert (await peer.post(notifications_of(gateway), notice)).status == 201
    await gateway.sending.revoke(share.provider_id)
    await settled(gateway)
    assert (await past(gateway, clock, 91)).forgotten_sent == ()
    [request] = await gateway.requests.all()
    await gateway.requests.decline(request.id)
    assert (await gateway.sweeping.sweep()).forgotten_sent == (share.provider_id,)


async def test_a_share_with_a_group_stays_while_one_member_has_it(opened, peer):
    clock = Clock()
    gateway = await opened(clock, users={"groups": {"staff": ["alice", "bob"]}})
    body = peer.share(address(gateway, "staff"), shareType="group")
    assert (await peer.post(shares_of(gateway), body)).status == 201
    alice, bob = [(await gateway.receiving.inbox(user))[0] for user in ("alice", "bob")]
    await gateway.receiving.decline(alice.id)
    swept = await past(gateway, clock, 91)
    assert (swept.forgotten_received, swept.given) == ((), ())
    await gateway.receiving.decline(bob.id)
    await settled(gateway)
    assert set((await past(gateway, clock, 91)).forgotten_received) == {alice.id, bob.id}


async def test_what_was_asked_for_goes_once_it_waits_for_nothing(opened, peer):
    clock = Clock()
    gateway = await opened(clock, outbox={"first_retry_seconds": 600, "give_up_hours": 9999})
    owner, asking = f"einstein@{peer.authority}", "POST /ocm/request-share"
    peer.on(asking, Answer(201, b"{}"), Answer(404), Answer(503))
    arrived, refused, waits = [
        await gateway.asking.send("alice", owner, f"report-{number}") for number in range(3)
    ]
    assert (await past(gateway, clock, 89)).forgotten_requests == ()
    late = await gateway.asking.send("alice", owner, "report-0")
    found = await past(gateway, clock, 2)
    assert set(found.forgotten_requests) == {arrived.id, refused.id}
    assert {one.id for one in await gateway.asking.all("alice")} == {waits.id, late.id}
    assert await gateway.outbox.about(refused.id) == []


async def test_invites_go_when_they_were_over_for_as_long(opened):
    clock = Clock()
    gateway = await opened(clock, invites={"lifetime_days": 10})
    expiring = await gateway.inviting.create_invite("alice")
    withdrawn = await gateway.inviting.create_invite("alice")
    await gateway.inviting.withdraw(withdrawn.id)
    assert (await past(gateway, clock, 99)).forgotten_invites == ()
    fresh = await gateway.inviting.create_invite("alice")
    assert set((await past(gateway, clock, 2)).forgotten_invites) == {expiring.id, withdrawn.id}
    assert [one.id for one in await gateway.inviting.all("alice")] == [fresh.id]
    assert await rows(gateway, invites) == 1


# What its server has lost


async def test_a_share_that_is_never_found_is_shown_as_gone_and_goes(opened, peer):
    clock = Clock()
    gateway = await opened(clock, dialects={"probe_minutes": 10})
    share = await receive_share(peer, gateway)
    peer.on("DAV", Answer(404))
    clock.now += 61
    with pytest.raises(NotFound):
        await gateway.visiting.look(share)
    for looks in range(1, DEAD_AFTER_LOOKS + 1):
        clock.now += 4000
        await gateway.probing.run()
        found = await gateway.receiving.by_id(share.id)
        assert (found.misses, found.dead) == (looks, looks >= DEAD_AFTER_LOOKS)
    assert [one.id for one in (await gateway.sweeping.sweep()).gone] == [share.id]
    assert (await past(gateway, clock, 91)).forgotten_received == (share.id,)
    assert await gateway.receiving.inbox() == []


async def test_a_share_that_is_found_again_was_never_gone(opened, peer):
    clock = Clock()
    gateway = await opened(clock, dialects={"probe_minutes": 10})
    share = await receive_share(peer, gateway)
    clock.now += 61
    peer.on("DAV", Answer(410))
    with pytest.raises(NotFound):
        await gateway.visiting.look(share)
    many = {"misses": DEAD_AFTER_LOOKS}
    await gateway.state.database.write(
        lambda connection: connection.execute(update(received_shares).values(many)).rowcount
    )
    await gateway.sweeping.sweep()
    assert (await gateway.receiving.by_id(share.id)).dead
    del peer.answers["DAV"]
    clock.now += 4000
    await gateway.probing.run()
    found = await gateway.receiving.by_id(share.id)
    assert (found.state, found.misses, found.dead) == (ReceivedState.ACCEPTED, 0, False)
    assert (await past(gateway, clock, 91)).forgotten_received == ()


async def test_a_server_that_is_down_has_lost_nothing(opened, peer):
    clock = Clock()
    gateway = await opened(clock, dialects={"probe_minutes": 10})
    share = await receive_share(peer, gateway)
    clock.now += 61
    peer.on("DAV", Answer(404))
    with pytest.raises(NotFound):
        await gateway.visiting.look(share)
    peer.on("DAV", Answer(503))
    clock.now += 4000
    await gateway.probing.run()
    found = await gateway.receiving.by_id(share.id)
    assert (found.state, found.misses) == (ReceivedState.UNAVAILABLE, 0)


# Who sweeps


async def test_one_process_sweeps_at_a_time_and_a_dead_one_holds_up_nobody(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    await receive_share(peer, gateway, expiration=clock.now + 60)
    clock.now += 60
    holding = partial(leases.take, name="sweep", now=clock.now, not_since=clock.now)
    beside = {"me": "beside", "alive": lambda *_: True}
    await gateway.sweeping.sweep()
    await send_share(peer, gateway, expiration=clock.now + 60)
    clock.now += 60
    assert await gateway.state.database.write(partial(holding, **beside))
    alive, gateway.state.instance.alive = gateway.state.instance.alive, lambda *_: True
    swept = await gateway.sweeping.sweep()
    assert (swept.busy, swept.received) == (True, ())
    gateway.state.instance.alive = alive  # which knows nobody of that name
    swept = await gateway.sweeping.sweep()
    assert (swept.busy, len(swept.received)) == (False, 1)


async def test_two_processes_that_sweep_at_once_close_and_tell_once(opened, peer):
    clock = Clock()
    both = [await opened(clock), await opened(clock)]  # on the same state
    share = await create_share(both[0], peer, expiration_at=clock.now + 60)
    await settled(both[0])
    clock.now += 60
    swept = await asyncio.gather(*(one.sweeping.sweep() for one in both * 3))
    closed = [one.provider_id for done in swept for one in done.sent]
    assert closed == [share.provider_id]
    await settled(both[0])
    assert [one.json()["notificationType"] for one in peer.requests(NOTICE)] == ["SHARE_UNSHARED"]


async def test_replicas_do_not_sweep_what_another_has_just_swept(opened):
    clock = Clock()
    gateway = await opened(clock)
    await gateway.sweeping.sweep()
    assert (await gateway.sweeping.sweep(not_since=clock.now - 55)).busy
    clock.now += 60
    assert not (await gateway.sweeping.sweep(not_since=clock.now - 55)).busy


async def test_many_shares_are_closed_in_batches_and_a_faulty_one_holds_up_none(
    opened, peer, monkeypatch
):
    monkeypatch.setattr("gateway.sharing.sweeping._AT_ONCE", 2)
    clock = Clock()
    gateway = await opened(clock)
    shares = [await receive_share(peer, gateway, expiration=clock.now + n) for n in range(60, 65)]
    bad, expire = shares[0], gateway.receiving.expire

    async def failing(share):
        if share.id == bad.id:
            raise RuntimeError("a fault of ours")
        await expire(share)

    monkeypatch.setattr(gateway.receiving, "expire", failing)
    clock.now += 70
    closed = (await gateway.sweeping.sweep()).received
    assert [one.id for one in closed] == [one.id for one in shares[1:]]
    monkeypatch.undo()
    assert [one.id for one in (await gateway.sweeping.sweep()).received] == [bad.id]
