"""Other terms for a share that was given: at our door, at the other side, against a revocation."""

import asyncio
from functools import partial
from urllib.parse import urlsplit

import pytest

from gateway.errors import Conflict, Malformed, NotFound, Refused
from gateway.model import Permission, ReceivedState, SentState
from gateway.ocm.address import parse_address
from gateway.sharing.changing import Change
from gateway.sharing.sending import Offer
from gateway.store import audit
from gateway.store.audit import Wanted
from gateway.store.tables import sent_shares
from tests.pair import eventually
from tests.peer import Answer
from tests.sharing.stage import (
    Clock,
    create_share,
    notifications_of,
    receive_share,
    token_of,
    visit,
)
from tests.sharing.test_dialects import old_nextcloud, speaks

NOTICES = "POST /ocm/notifications"
READ = frozenset({Permission.READ})
WRITE = frozenset({Permission.READ, Permission.WRITE})
DAY = 86_400


@pytest.fixture(autouse=True)
def _as_it_was(storage):
    """The storage is everybody's."""
    yield
    (storage.root / "alice" / "trip" / "new.txt").unlink(missing_ok=True)


async def given(gateway, peer, **offer):
    """A share that has arrived, by whomever it was delivered."""
    share = await create_share(gateway, peer, **offer)
    return await arrived(gateway, share)


async def arrived(gateway, share):
    async def sent():
        found = await gateway.sending.by_id(share.provider_id)
        return found if found.state is SentState.SENT else None

    return await eventually(sent)


async def idle(gateway, share):
    """Until no errand about the share is left."""

    async def done():
        return not await gateway.outbox.about(share.provider_id)

    await eventually(done)


async def put(gateway, peer, share, token, name="new.txt"):
    return (await visit(gateway, peer, share.provider_id, token, f"/{name}", "PUT", b"x")).status


async def test_less_holds_at_once_for_a_token_that_was_issued_before(gateway, peer):
    share = await given(gateway, peer, permissions=WRITE)
    token = await token_of(gateway, peer, share)
    assert await put(gateway, peer, share, token) in (201, 204)
    changed = await gateway.changing.change(share.provider_id, Change(READ), owner="alice")
    assert changed.share.permissions == READ
    assert await put(gateway, peer, share, token) == 403
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    await gateway.changing.change(share.provider_id, Change(WRITE))
    assert await put(gateway, peer, share, token) == 204


async def slow_upload(gateway, peer, share):
    """The peer's end of an upload that has only begun."""
    token = await token_of(gateway, peer, share)
    host = urlsplit(gateway.ours.origin).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))
    path = f"/remote/dav/ocm/{share.provider_id}/slow.bin"
    head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n"
    writer.write(f"{head}Authorization: Bearer {token}\r\n\r\n".encode() + b"x" * 1000)
    await writer.drain()
    await eventually(lambda: gateway.live.running._transfers)
    return reader, writer


async def change(gateway, share):
    await gateway.changing.change(share.provider_id, Change(READ))


async def revoke(gateway, share):
    await gateway.sending.revoke(share.provider_id)


@pytest.mark.parametrize("do", [change, revoke])
async def test_an_upload_that_runs_is_cut_off(gateway, peer, do):
    share = await given(gateway, peer, permissions=WRITE)
    reader, writer = await slow_upload(gateway, peer, share)
    await do(gateway, share)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    await eventually(lambda: not gateway.live.running._transfers)
    writer.close()


async def test_reading_goes_on_where_writing_does_not(gateway, peer):
    share = await given(gateway, peer, permissions=WRITE)
    assert await gateway.access.admits(share.provider_id, writes=True)
    await gateway.changing.change(share.provider_id, Change(READ))
    assert await gateway.access.admits(share.provider_id)
    assert not await gateway.access.admits(share.provider_id, writes=True)


async def test_an_earlier_end_holds_for_tokens_and_the_code(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    share = await given(gateway, peer)
    token = await token_of(gateway, peer, share)
    await gateway.changing.change(share.provider_id, Change(expiration_at=clock.now + 60))
    clock.now += 61
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404
    reply = await peer.exchange(gateway.ours.token_end_point, share.shared_secret)
    assert reply.json()["error"] == "invalid_grant"
    with pytest.raises(Conflict, match="ended"):
        await gateway.changing.change(share.provider_id, Change(endless=True))


async def test_what_is_left_out_stays_and_an_end_can_be_taken_away(gateway, peer):
    ends_at = gateway.clock() + DAY
    share = await given(gateway, peer, permissions=WRITE, expiration_at=ends_at)
    change = gateway.changing.change
    assert (await change(share.provider_id, Change(READ))).share.expiration_at == ends_at
    endless = (await change(share.provider_id, Change(endless=True))).share
    assert (endless.permissions, endless.expiration_at) == (READ, None)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Change(frozenset()), Malformed),
        (Change(frozenset({Permission.WRITE})), Malformed),
        (Change(expiration_at=1), Malformed),
        (Change(expiration_at=1 << 40, endless=True), Malformed),
        (Change(expiration_at=1 << 40), Refused),
    ],
)
async def test_what_creating_refuses_is_refused_and_changes_nothing(opened, peer, wanted, error):
    gateway = await opened(sharing={"max_expiration_days": 30})
    share = await given(gateway, peer)
    peer.seen.clear()
    with pytest.raises(error):
        await gateway.changing.change(share.provider_id, wanted)
    assert await gateway.sending.by_id(share.provider_id) == share
    assert peer.requests("POST") == []


async def test_the_longest_time_counts_from_the_beginning(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock, sharing={"max_expiration_days": 30})
    share = await given(gateway, peer)
    latest = share.created_at + 30 * DAY
    clock.now += 10 * DAY
    change = gateway.changing.change
    with pytest.raises(Refused, match="30 days"):
        await change(share.provider_id, Change(expiration_at=latest + 1))
    await change(share.provider_id, Change(expiration_at=clock.now + DAY))
    endless = await change(share.provider_id, Change(endless=True))
    assert endless.share.expiration_at == latest


async def test_policy_judges_more_as_it_judges_a_new_share_and_lets_less_be(opened, peer):
    rule = {"who": "everyone", "action": "share-out", "permissions": ["write"], "then": "deny"}
    gateway = await opened(policy={"default": "allow", "rules": [rule]})
    share = await given(gateway, peer)
    with pytest.raises(Refused):
        await gateway.changing.change(share.provider_id, Change(WRITE))
    assert (await gateway.sending.by_id(share.provider_id)).permissions == READ


async def test_policy_limits_what_a_change_gives(opened, peer):
    rule = {
        "who": "everyone",
        "action": "share-out",
        "then": "allow",
        "limits": {"read_only": True, "max_expiration_days": 3},
    }
    gateway = await opened(policy={"default": "allow", "rules": [rule]})
    share = await given(gateway, peer, expiration_at=gateway.clock() + DAY)
    wanted = Change(WRITE, gateway.clock() + 20 * DAY)
    after = (await gateway.changing.change(share.provider_id, wanted)).share
    assert (after.permissions, after.expiration_at) == (READ, share.created_at + 3 * DAY)


async def test_a_verdict_on_access_is_not_remembered_over_a_change(opened, peer):
    rule = {"who": "everyone", "action": "access", "permissions": ["write"], "then": "deny"}
    gateway = await opened(policy={"default": "allow", "rules": [rule]})
    share = await given(gateway, peer)
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    await gateway.changing.change(share.provider_id, Change(WRITE))
    assert (await visit(gateway, peer, share.provider_id, token)).status == 403
    await gateway.changing.change(share.provider_id, Change(READ))
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207


async def test_a_server_of_the_drafts_is_told_without_the_secret(gateway, peer):
    share = await given(gateway, peer)
    changed = await gateway.changing.change(share.provider_id, Change(WRITE))
    assert changed.told
    await idle(gateway, share)
    [seen] = peer.requests(NOTICES)
    assert seen.json() == {
        "notificationType": "SHARE_CHANGE_PERMISSION",
        "providerId": share.provider_id,
        "resourceType": "folder",
    }


@pytest.mark.parametrize("status", [400, 501])
async def test_a_server_that_does_not_know_the_message_leaves_nothing_undone(gateway, peer, status):
    share = await given(gateway, peer)
    peer.on(NOTICES, Answer(status))
    await gateway.changing.change(share.provider_id, Change(WRITE))
    await idle(gateway, share)
    assert len(peer.requests(NOTICES)) == 1


async def test_a_server_that_is_away_is_told_later_and_of_the_end_last(gateway, peer):
    share = await given(gateway, peer)
    peer.on(NOTICES, Answer(503), Answer(201, {}))
    await gateway.changing.change(share.provider_id, Change(WRITE))
    await gateway.sending.revoke(share.provider_id)
    await idle(gateway, share)
    told = [one.json()["notificationType"] for one in peer.requests(NOTICES)]
    assert (told[0], told[-1]) == ("SHARE_CHANGE_PERMISSION", "SHARE_UNSHARED")


async def test_ocis_is_told_for_whom_and_how_it_is_reached_now(gateway, peer):
    speaks(peer, "/dav/ocm/", apiVersion="1.1.0", capabilities=["/invite-accepted"])
    share = await given(gateway, peer)
    await gateway.changing.change(share.provider_id, Change(WRITE))
    await idle(gateway, share)
    told = peer.requests(NOTICES)[-1].json()["notification"]
    assert told["grantee"] == "einstein"
    assert told["protocol"]["webdav"]["permissions"] == ["read", "write"]
    announced = peer.requests("POST /ocm/shares")[0].json()["protocol"]["webdav"]
    assert told["protocol"]["webdav"]["uri"] == announced["uri"]


async def test_a_nextcloud_is_not_told_and_the_owner_knows(gateway, peer):
    old_nextcloud(peer)
    share = await given(gateway, peer)
    peer.seen.clear()
    assert not (await gateway.changing.change(share.provider_id, Change(WRITE))).told
    assert peer.requests("POST") == []


async def test_a_share_on_its_way_arrives_as_it_was_announced(opened, peer):
    gateway = await opened(outbox={"first_retry_seconds": 600})
    peer.on("POST /ocm/shares", Answer(503))
    share = await create_share(gateway, peer)
    with pytest.raises(Conflict, match="on its way"):
        await gateway.changing.change(share.provider_id, Change(WRITE))


async def test_nobody_changes_anothers_share(gateway, peer):
    share = await given(gateway, peer)
    with pytest.raises(NotFound):
        await gateway.changing.change(share.provider_id, Change(WRITE), owner="bob")


async def test_a_revoked_share_stays_revoked_whoever_changes_it_at_once(gateway, peer):
    for _ in range(5):
        share = await given(gateway, peer)
        doing = [
            gateway.changing.change(share.provider_id, Change(WRITE)),
            gateway.changing.change(share.provider_id, Change(expiration_at=1 << 40)),
            gateway.sending.revoke(share.provider_id),
            gateway.changing.change(share.provider_id, Change(WRITE | {Permission.SHARE})),
        ]
        results = await asyncio.gather(*doing, return_exceptions=True)
        failed = [one for one in results if isinstance(one, BaseException)]
        assert all(isinstance(one, Conflict) for one in failed), failed
        assert (await gateway.sending.by_id(share.provider_id)).state is SentState.REVOKED
        await idle(gateway, share)
        told = [one.json()["notificationType"] for one in peer.requests(NOTICES)]
        assert told.count("SHARE_UNSHARED") == 1
        assert told[-1] == "SHARE_UNSHARED"
        peer.seen.clear()


async def test_of_two_who_change_at_once_none_is_lost_unseen(gateway, peer):
    share = await given(gateway, peer)
    wanted = [Change(WRITE), Change(READ | {Permission.SHARE})]
    doing = [gateway.changing.change(share.provider_id, one) for one in wanted]
    results = await asyncio.gather(*doing, return_exceptions=True)
    after = (await gateway.sending.by_id(share.provider_id)).permissions
    won = [one for one, result in zip(wanted, results, strict=True) if not _failed(result)]
    assert after == won[-1].permissions


def _failed(result):
    return isinstance(result, Conflict)


async def test_the_audit_trail_says_from_what_to_what(gateway, peer):
    share = await given(gateway, peer)
    await gateway.changing.change(share.provider_id, Change(WRITE))
    await gateway.changing.change(share.provider_id, Change(WRITE))
    wanted = partial(audit.entries, wanted=Wanted(what="sent.changed"))
    [entry] = await gateway.state.database.read(wanted)
    assert entry.deed.reason == "from read for ever to read+write for ever"


# At the other side


async def offer(here, there, permissions):
    made = Offer("alice", "/trip", f"bob@{there.ours.authority}", permissions)
    return await arrived(here, await here.sending.create_share(made))


async def _looked(gateway, share, permissions):
    await gateway.probing.run()
    return (await gateway.receiving.by_id(share.id)).permissions == permissions


async def test_our_own_kind_sees_what_is_left_and_what_is_given(opened):
    here, there = await opened(folder="here"), await opened(folder="there")
    share = await offer(here, there, WRITE)
    [taken] = await there.receiving.inbox()
    assert taken.permissions == WRITE
    await there.receiving.accept(taken.id)
    for permissions in (READ, WRITE | {Permission.SHARE}, READ):
        await here.changing.change(share.provider_id, Change(permissions))
        await idle(here, share)
        await eventually(partial(_looked, there, taken, permissions))


async def test_a_change_is_not_believed_but_looked_at(gateway, peer):
    share = await receive_share(peer, gateway, webdav={"permissions": ["read"]})
    body = {
        "notificationType": "SHARE_CHANGE_PERMISSION",
        "providerId": share.provider_id,
        "notification": {"protocol": {"webdav": {"permissions": ["read", "write"]}}},
    }
    assert (await peer.post(f"{gateway.ours.end_point}/notifications", body)).status == 201
    await gateway.probing.run()
    kept = await gateway.receiving.by_id(share.id)
    assert (kept.permissions, kept.state) == (READ, ReceivedState.ACCEPTED)


async def test_policy_at_the_other_side_keeps_out_what_it_would_not_take(opened):
    rule = {"who": "everyone", "action": "share-in", "permissions": ["write"], "then": "deny"}
    here = await opened(folder="here")
    there = await opened(folder="there", policy={"default": "allow", "rules": [rule]})
    share = await offer(here, there, READ)
    [taken] = await there.receiving.inbox()
    await there.receiving.accept(taken.id)
    await here.changing.change(share.provider_id, Change(WRITE))
    await idle(here, share)
    await there.probing.run()
    assert (await there.receiving.by_id(taken.id)).permissions == READ


async def test_a_doubt_that_comes_during_a_look_is_not_lost(gateway, peer):
    share = await receive_share(peer, gateway)
    received = gateway.state.received
    write = gateway.state.database.write
    await write(partial(received.doubt, share_id=share.id))
    seen = partial(
        received.check,
        share_id=share.id,
        resource_type=share.resource_type,
        permissions=share.permissions,
        checked_at=7,
    )
    await write(seen)
    assert (await gateway.receiving.by_id(share.id)).checked_at != 7


# What was passed on


async def passed_on(gateway, peer, other, **terms):
    """A share that may be passed on, and what its owner gave to somebody else by that."""
    granting = await given(gateway, peer, permissions=WRITE | {Permission.SHARE})
    asked = {
        "notificationType": "REQUEST_RESHARE",
        "providerId": granting.provider_id,
        "resourceType": "folder",
        "notification": {
            "shareWith": f"galileo@{other.authority}",
            "senderId": f"einstein@{peer.authority}",
        },
    }
    assert (await peer.post(notifications_of(gateway), asked)).status == 201
    [request] = await gateway.requests.all()
    agreed = await gateway.requests.agree(request.id, **{"permissions": WRITE} | terms)
    return granting, await arrived(gateway, await gateway.sending.by_id(agreed.share))


async def test_what_was_passed_on_gives_no_more_than_what_grants_it_now(gateway, peer, other):
    granting, share = await passed_on(gateway, peer, other)
    token = await token_of(gateway, other, share)
    assert await put(gateway, other, share, token) == 201
    await gateway.changing.change(granting.provider_id, Change(READ))
    assert await put(gateway, other, share, token) == 403
    assert (await visit(gateway, other, share.provider_id, token)).status == 207
    await gateway.changing.change(granting.provider_id, Change(WRITE))
    assert await put(gateway, other, share, token) in (201, 204)


async def test_what_was_passed_on_lasts_no_longer_than_what_grants_it_now(opened, peer, other):
    clock = Clock()
    gateway = await opened(clock)
    granting, share = await passed_on(gateway, peer, other, expiration_at=clock.now + 30 * DAY)
    token = await token_of(gateway, other, share)
    await gateway.changing.change(granting.provider_id, Change(expiration_at=clock.now + 60))
    assert (await visit(gateway, other, share.provider_id, token)).status == 207
    reply = await other.exchange(gateway.ours.token_end_point, share.shared_secret)
    assert reply.json()["expires_in"] <= 60
    clock.now += 60
    assert (await visit(gateway, other, share.provider_id, token)).status in (401, 404)
    reply = await other.exchange(gateway.ours.token_end_point, share.shared_secret)
    assert reply.status == 400
    ended = {one.provider_id for one in (await gateway.sweeping.sweep()).sent}
    assert ended == {granting.provider_id, share.provider_id}


async def test_what_was_passed_on_ends_with_what_grants_it_and_is_told(opened, peer, other):
    clock = Clock()
    gateway = await opened(clock, sharing={"keep_ended_days": 1})
    granting, share = await passed_on(gateway, peer, other)
    token = await token_of(gateway, other, share)
    await gateway.sending.revoke(granting.provider_id)
    assert (await visit(gateway, other, share.provider_id, token)).status == 404
    assert [one.provider_id for one in (await gateway.sweeping.look()).sent] == [share.provider_id]
    assert [one.provider_id for one in (await gateway.sweeping.sweep()).sent] == [share.provider_id]
    assert (await gateway.sending.by_id(share.provider_id)).state is SentState.EXPIRED
    await eventually(lambda: asyncio.sleep(0, other.requests(NOTICES)))
    assert other.requests(NOTICES)[0].json()["notificationType"] == "SHARE_UNSHARED"


async def test_what_was_passed_on_does_not_open_where_nobody_knows_what_granted_it(
    gateway, peer, other
):
    granting, share = await passed_on(gateway, peer, other)
    token = await token_of(gateway, other, share)
    gone = sent_shares.delete().where(sent_shares.c.provider_id == granting.provider_id)
    await gateway.state.database.write(lambda one: one.execute(gone).rowcount)
    assert (await visit(gateway, other, share.provider_id, token)).status == 404


async def test_what_has_ended_is_not_passed_on(gateway, peer, other):
    granting, _ = await passed_on(gateway, peer, other)
    again = await gateway.sending.by_id(granting.provider_id)
    await gateway.requests._reshare_asked(again, parse_address(f"kepler@{other.authority}"))
    await gateway.sending.revoke(granting.provider_id)
    [request] = [one for one in await gateway.requests.all() if not one.share]
    with pytest.raises(Refused, match="has ended"):
        await gateway.requests.agree(request.id)
