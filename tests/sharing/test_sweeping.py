"""Shares whose time is over: closed once, told once."""

import asyncio

from gateway.model import ReceivedState, SentState
from gateway.store import outbox
from tests.pair import eventually
from tests.sharing.stage import Clock, create_share, receive_share, visit

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
