"""Asking people at other servers to share (OCM-API 1.4 request-share)."""

import asyncio

import pytest

from gateway.errors import Conflict, Malformed, NotFound, Refused
from gateway.model import SentRequestState
from gateway.sharing.asking import came
from tests.peer import Answer, verify
from tests.sharing.stage import Clock, receive_share

ASKING = "POST /ocm/request-share"


async def test_our_user_asks_somebody_elsewhere(gateway, peer):
    peer.on(ASKING, Answer(201, b"{}"))
    owner = f"einstein@{peer.authority}"
    asked = await gateway.asking.send("alice", owner, "report-1")
    assert (asked.state, asked.reason) == (SentRequestState.SENT, "")
    [seen] = peer.requests(ASKING)
    assert seen.json() == {
        "owner": owner,
        "shareWith": str(gateway.ours.address("alice")),
        "share": "report-1",
    }
    keys = {key["kid"]: key for key in gateway.ring.jwks()["keys"]}
    assert verify(seen, peer.origin, next(iter(keys.values())))


@pytest.mark.parametrize("status", [404, 501])
async def test_a_no_is_told_and_may_be_asked_again(gateway, peer, status):
    peer.on(ASKING, Answer(status, b'{"message":"not for you"}'))
    owner = f"einstein@{peer.authority}"
    asked = await gateway.asking.send("alice", owner, "report-1")
    assert asked.state is SentRequestState.REFUSED
    assert "not for you" in asked.reason
    peer.on(ASKING, Answer(201, b"{}"))
    [entry] = await gateway.outbox.about(asked.id)
    await gateway.outbox.retry(entry.id)
    assert (await gateway.asking.by_id(asked.id)).state is SentRequestState.SENT


async def test_a_server_that_is_away_is_asked_later(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock, outbox={"first_retry_seconds": 600})
    peer.on(ASKING, Answer(503))
    asked = await gateway.asking.send("alice", f"einstein@{peer.authority}", "report-1")
    assert asked.state is SentRequestState.PENDING
    peer.on(ASKING, Answer(201, b"{}"))
    [entry] = await gateway.outbox.about(asked.id)
    await gateway.outbox.retry(entry.id)
    assert (await gateway.asking.by_id(asked.id)).state is SentRequestState.SENT


async def test_the_same_thing_is_asked_once_a_day(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    peer.on(ASKING, Answer(201, b"{}"))
    owner = f"einstein@{peer.authority}"
    asking = [gateway.asking.send("alice", owner, "report-1") for _ in range(5)]
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 4
    assert len(peer.requests(ASKING)) == 1
    await gateway.asking.send("alice", owner, "report-2")
    clock.now += 86_401
    await gateway.asking.send("alice", owner, "report-1")
    assert len(await gateway.asking.all("alice")) == 3


@pytest.mark.parametrize(
    ("user", "owner", "share", "error"),
    [
        ("alice", "einstein", "x", Malformed),
        ("alice", "{there}", "", Malformed),
        ("alice", "{there}", "x" * 3000, Malformed),
        ("alice", "{there}", "a\x00b", Malformed),
        ("alice", "bob@{here}", "x", Malformed),
        ("nobody", "{there}", "x", NotFound),
    ],
)
async def test_what_cannot_be_asked_leaves_no_trace(gateway, peer, user, owner, share, error):
    owner = owner.format(there=f"einstein@{peer.authority}", here=gateway.ours.authority)
    with pytest.raises(error):
        await gateway.asking.send(user, owner, share)
    assert await gateway.asking.all() == []
    assert peer.seen == []


async def test_a_denied_server_is_not_asked(opened, peer):
    gateway = await opened(policy={"default": "deny"})
    with pytest.raises(Refused):
        await gateway.asking.send("alice", f"einstein@{peer.authority}", "x")
    assert await gateway.asking.all() == []
    assert peer.seen == []


async def test_what_the_owner_shares_afterwards_stands_beside_the_request(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    peer.on(ASKING, Answer(201, b"{}"))
    earlier = await receive_share(peer, gateway)
    clock.now += 1
    of_owner = await gateway.asking.send("alice", earlier.owner, "report-1")
    of_another = await gateway.asking.send("alice", f"curie@{peer.authority}", "report-1")
    share = await receive_share(peer, gateway)
    shares = await gateway.receiving.inbox("alice")
    assert {one.id for one in shares} == {earlier.id, share.id}
    assert [one.id for one in came(of_owner, shares)] == [share.id]
    assert came(of_another, shares) == []
