"""Shares with groups, in both roles: one share for its server, one for each member here."""

import asyncio
import base64

import pytest

from gateway.errors import Conflict, NotFound
from gateway.model import ReceivedState, SentState, ShareType
from gateway.sharing.sending import Offer
from tests.pair import eventually
from tests.peer import unsigned
from tests.sharing.stage import (
    address,
    counts,
    create_share,
    leaves_no_trace,
    notifications_of,
    request,
    shares_of,
)

STAFF = {"users": {"groups": {"staff": ["alice", "bob"]}}}
NOTICE = "POST /ocm/notifications"


@pytest.fixture
async def gateway(opened):
    """A gateway with a group."""
    return await opened(**STAFF)


async def offer(peer, gateway, group="staff", **changes):
    """A share with a group; what the gateway answered, and what was sent."""
    body = peer.share(address(gateway, group), shareType="group", **changes)
    return await peer.post(shares_of(gateway), body), body


async def of(gateway, user):
    """The one share of a user."""
    [share] = await gateway.receiving.inbox(user)
    return share


def told(peer):
    return [one.json()["notificationType"] for one in peer.requests(NOTICE)]


async def nothing_waits(gateway):
    await eventually(lambda: _errands(gateway))


async def _errands(gateway):
    return (await counts(gateway))[2] == 0


async def opens(gateway, peer, user, share):
    """The status of the share in a user's tree."""
    login = "Basic " + base64.b64encode(f"{user}:{user}-password".encode()).decode()
    url = f"{gateway.ours.origin}/remote/dav/received/{share.folder}"
    headers = {"Authorization": login, "Depth": "0"}
    return (await peer.send(request("PROPFIND", url, b"", headers))).status


async def becomes(gateway, share, state):
    """A sent share, once it is in that state."""

    async def there():
        found = await gateway.sending.by_id(share.provider_id)
        return found if found.state is state else None

    return await eventually(there)


async def unshare(peer, gateway, provider_id):
    notice = {"notificationType": "SHARE_UNSHARED", "providerId": provider_id}
    return await peer.post(notifications_of(gateway), notice | {"resourceType": "folder"})


# Receiving


@pytest.mark.conforms("OCM-6.1-15", "OCM-6.2-02", "OCM-5.3-11")
async def test_each_member_sees_accepts_and_opens_a_share_with_their_group(gateway, peer):
    found = await peer.send(request("GET", f"{gateway.ours.origin}/.well-known/ocm", b"", {}))
    offered = found.json()["resourceTypes"]
    assert [one["shareTypes"] for one in offered] == [["user", "group"]] * 2
    reply, body = await offer(peer, gateway)
    assert (reply.status, reply.json()) == (201, {"recipientDisplayName": "staff"})
    for user in ("alice", "bob"):
        share = await of(gateway, user)
        assert (share.group, share.provider_id) == ("staff", body["providerId"])
        assert await opens(gateway, peer, user, share) == 404
        await gateway.receiving.accept(share.id, recipient=user)
        assert await opens(gateway, peer, user, share) == 207
    await nothing_waits(gateway)
    assert told(peer) == ["SHARE_ACCEPTED"]  # at the first acceptance


@pytest.mark.conforms("OCM-6.1-15", "OCM-6.1-03")
@pytest.mark.parametrize("named", ["students", "alice", "Staff", "staff/x"])
async def test_a_group_that_is_none_of_ours_is_refused_and_nothing_kept(gateway, peer, named):
    reply, _ = await offer(peer, gateway, named)
    assert reply.status == 400
    assert "shareWith" in reply.body.decode()
    assert await counts(gateway) == (0, 0, 0)


@pytest.mark.conforms("OCM-6.1-14", "OCM-6.1-16", "OCM-6.1-17")
async def test_federations_are_refused_where_groups_are_taken(gateway, peer, opened):
    for kind in ("federation", "room"):
        body = peer.share(address(gateway, "staff"), shareType=kind)
        assert (await peer.post(shares_of(gateway), body)).status == 501
    plain = await opened(folder="plain")
    assert (await offer(peer, plain))[0].status == 501
    await leaves_no_trace(plain)
    assert await counts(gateway) == (0, 0, 0)
    assert peer.requests("POST") == []


async def test_a_group_is_not_a_user_and_the_other_way_round(gateway, peer):
    body = peer.share(address(gateway, "staff"), shareType="user")
    assert (await peer.post(shares_of(gateway), body)).status == 400


async def test_the_same_share_twice_is_one_and_another_of_its_id_contradicts(gateway, peer):
    _, body = await offer(peer, gateway, providerId="1")
    await gateway.receiving.accept((await of(gateway, "bob")).id)
    assert (await peer.post(shares_of(gateway), body)).status == 201
    assert (await counts(gateway))[1] == 2
    assert (await of(gateway, "bob")).state is ReceivedState.ACCEPTED
    to_one = body | {"shareWith": address(gateway), "shareType": "user"}
    for other in (body | {"name": "another"}, to_one):
        assert (await peer.post(shares_of(gateway), other)).status == 409
    assert (await counts(gateway))[1] == 2


async def test_many_at_once_are_one_share(gateway, peer):
    body = peer.share(address(gateway, "staff"), shareType="group")
    replies = await asyncio.gather(*(peer.post(shares_of(gateway), body) for _ in range(5)))
    assert {one.status for one in replies} == {201}
    assert (await counts(gateway))[1] == 2


async def test_who_declines_declines_for_himself(gateway, peer):
    await offer(peer, gateway)
    alice, bob = [await of(gateway, user) for user in ("alice", "bob")]
    await gateway.receiving.decline(alice.id, recipient="alice")
    await nothing_waits(gateway)
    assert told(peer) == []
    assert await gateway.receiving.inbox("alice") == []
    await gateway.receiving.accept(bob.id, recipient="bob")
    assert await opens(gateway, peer, "bob", bob) == 207
    with pytest.raises(Conflict):
        await gateway.receiving.accept(alice.id, recipient="alice")
    await gateway.receiving.decline(bob.id, recipient="bob")  # leaves it, the last one
    await nothing_waits(gateway)
    assert told(peer) == ["SHARE_ACCEPTED", "SHARE_DECLINED"]


@pytest.mark.parametrize(
    ("does", "said"), [("accept", "SHARE_ACCEPTED"), ("decline", "SHARE_DECLINED")]
)
async def test_members_who_decide_at_once_are_told_of_once(opened, peer, does, said):
    names = [f"user{number}" for number in range(6)]
    gateway = await opened(users={"groups": {"staff": names}})
    await offer(peer, gateway)
    mine = await gateway.receiving.inbox()
    decide = getattr(gateway.receiving, does)
    await asyncio.gather(*(decide(one.id, recipient=one.recipient) for one in mine))
    await nothing_waits(gateway)
    assert told(peer) == [said]


async def test_nobody_decides_for_another_member(gateway, peer):
    await offer(peer, gateway)
    with pytest.raises(NotFound):
        await gateway.receiving.accept((await of(gateway, "bob")).id, recipient="alice")


@pytest.mark.conforms("OCM-7-05")
async def test_a_withdrawn_share_is_gone_for_everybody(gateway, peer):
    _, body = await offer(peer, gateway)
    alice, bob = [await of(gateway, user) for user in ("alice", "bob")]
    await gateway.receiving.accept(alice.id)
    assert (await unshare(peer, gateway, body["providerId"])).status == 201
    assert await gateway.receiving.inbox() == []
    assert await opens(gateway, peer, "alice", alice) == 404
    assert (await gateway.receiving.by_id(bob.id)).state is ReceivedState.UNSHARED


async def test_whoever_shares_with_a_group_they_are_in_gets_nothing_back(opened, peer):
    """In the form of 1.0 the sender may be one of ours: a share from afar, shared on."""
    lax = {"signatures": {"required": False}}
    gateway = await opened(**STAFF, **lax)
    peer.document["capabilities"] = []
    peer.keys = []
    body = peer.share(
        address(gateway, "staff"),
        shareType="group",
        sender=address(gateway, "alice"),
        protocol={"name": "webdav", "options": {"sharedSecret": "s"}},
    )
    assert (await peer.send(unsigned("POST", shares_of(gateway), body))).status == 201
    assert [one.recipient for one in await gateway.receiving.inbox()] == ["bob"]


async def test_who_leaves_the_group_loses_the_share_and_who_comes_gets_it(opened, peer):
    before = await opened(**STAFF)
    await offer(peer, before)
    mine = await of(before, "alice")
    await before.receiving.accept(mine.id)
    await before.receiving.decline((await of(before, "bob")).id)
    after = await opened(users={"groups": {"staff": ["bob", "carol"]}})
    assert await after.receiving.inbox("alice") == []
    assert await opens(after, peer, "alice", mine) == 404
    with pytest.raises(NotFound):
        await after.receiving.by_id(mine.id, recipient="alice")
    await after.sweeping.sweep()
    await after.sweeping.sweep()
    assert (await of(after, "carol")).state is ReceivedState.PENDING
    assert await after.receiving.inbox("bob") == []  # who declined is not asked again
    await after.receiving.decline((await of(after, "carol")).id)
    await nothing_waits(after)
    assert told(peer) == ["SHARE_ACCEPTED", "SHARE_DECLINED"]


async def test_policy_judges_each_member_and_refuses_when_nobody_is_left(opened, peer):
    rule = {"who": "everyone", "then": "deny", "user": "bob", "action": "share-in"}
    gateway = await opened(**STAFF, policy={"default": "allow", "rules": [rule]})
    assert (await offer(peer, gateway))[0].status == 201
    assert [one.recipient for one in await gateway.receiving.inbox()] == ["alice"]
    rules = [rule | {"user": "*"}]
    strict = await opened(folder="strict", **STAFF, policy={"default": "allow", "rules": rules})
    assert (await offer(peer, strict))[0].status == 403
    assert await counts(strict) == (0, 0, 0)


# Sending


@pytest.mark.conforms("OCM-6.1-13", "OCM-6.1-14")
async def test_a_group_is_shared_with_where_groups_are_taken(gateway, peer):
    peer.document["resourceTypes"][0]["shareTypes"] = ["user", "group"]
    share = await create_share(gateway, peer, share_type=ShareType.GROUP)
    await becomes(gateway, share, SentState.SENT)
    [sent] = [one.json() for one in peer.requests("POST /ocm/shares")]
    assert (sent["shareType"], sent["shareWith"]) == ("group", f"einstein@{peer.authority}")


@pytest.mark.conforms("OCM-5.3-42")
async def test_a_group_is_not_sent_to_a_server_that_takes_none(gateway, peer):
    share = await create_share(gateway, peer, share_type=ShareType.GROUP)
    share = await becomes(gateway, share, SentState.REFUSED)
    assert share.reason == f"{peer.authority} does not take shares with groups"
    assert peer.requests("POST") == []


async def test_a_group_shares_with_a_group_at_another_gateway(opened, gateway, peer):
    theirs = await opened(folder="theirs", users={"groups": {"readers": ["alice", "bob"]}})
    share = await gateway.sending.create_share(
        Offer("alice", "/trip", address(theirs, "readers"), share_type=ShareType.GROUP)
    )
    await becomes(gateway, share, SentState.SENT)
    for user in ("bob", "alice"):
        received = await of(theirs, user)
        await theirs.receiving.accept(received.id, recipient=user)
        assert await opens(theirs, peer, user, received) == 207
    await becomes(gateway, share, SentState.ACCEPTED)
    await theirs.receiving.decline((await of(theirs, "bob")).id)
    received = await of(theirs, "alice")
    assert await opens(theirs, peer, "alice", received) == 207
    await gateway.sending.revoke(share.provider_id)

    async def gone():
        return await theirs.receiving.inbox() == []

    await eventually(gone)


async def test_the_last_member_to_leave_ends_the_share_at_its_server(opened, gateway):
    theirs = await opened(folder="theirs", users={"groups": {"readers": ["alice", "bob"]}})
    share = await gateway.sending.create_share(
        Offer("alice", "/trip", address(theirs, "readers"), share_type=ShareType.GROUP)
    )
    await becomes(gateway, share, SentState.SENT)
    for received in await theirs.receiving.inbox():
        await theirs.receiving.decline(received.id)
    await becomes(gateway, share, SentState.DECLINED)


@pytest.mark.parametrize("mine", ["users", "policy"])
async def test_the_rules_of_policy_know_the_groups_of_both(opened, peer, mine):
    deny = {"who": "everyone", "action": "share-in", "group": "staff", "then": "deny"}
    groups = {"users": {"groups": {}}, "policy": {"rules": [deny], "groups": {}}}
    groups[mine]["groups"] = {"staff": ["alice"]}
    gateway = await opened(**groups)

    async def answer(user):
        return await peer.post(shares_of(gateway), peer.share(address(gateway, user)))

    assert (await answer("bob")).status == 201
    assert (await answer("alice")).status == 403
