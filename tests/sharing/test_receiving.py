"""The Receiving Server and what its users reach at a foreign server."""

import asyncio
import base64

import pytest

from gateway.errors import Conflict, NotFound
from gateway.model import Errand, ReceivedState
from gateway.store import outbox
from tests.peer import Answer, verify, webdav
from tests.sharing.stage import (
    Clock,
    browse,
    notifications_of,
    receive_share,
    request,
    send_share,
    shares_of,
)

TOKEN = "POST /ocm/token"


@pytest.mark.conforms("OCM-6.1-44")
@pytest.mark.parametrize("permissions", [[], ["write"], ["unknown"]])
async def test_a_share_that_may_not_be_read_is_not_opened(gateway, peer, permissions):
    protocol = {"name": "multi", "webdav": webdav(permissions=permissions)}
    share = await receive_share(peer, gateway, protocol=protocol)
    before = len(peer.seen)
    assert (await browse(gateway, peer, share.folder)).status == 403
    assert len(peer.seen) == before


async def test_a_storage_that_is_down_is_no_verdict_on_a_recipient(gateway, peer, storage):
    storage.stop()
    body = peer.share(f"alice@{gateway.ours.authority}")
    reply = await peer.post(shares_of(gateway), body)
    assert reply.status == 503
    assert reply.headers["Retry-After"]
    storage.start()
    assert (await peer.post(shares_of(gateway), body)).status == 201


async def unshare(peer, gateway, provider_id):
    body = {"notificationType": "SHARE_UNSHARED", "providerId": provider_id}
    return await peer.post(notifications_of(gateway), body)


# Answers to the sender


@pytest.mark.conforms("OCM-7-01", "OCM-7-02", "OCM-7-03", "OCM-7.1-01", "OCM-7.1-02", "OCM-7.1-03")
async def test_accepting_is_told_once_and_signed(gateway, peer):
    share = await receive_share(peer, gateway)
    assert (await gateway.receiving.accept(share.id)).state is ReceivedState.ACCEPTED
    [seen] = peer.requests("POST /ocm/notifications")
    assert seen.json() == {
        "notificationType": "SHARE_ACCEPTED",
        "providerId": share.provider_id,
        "resourceType": "folder",
    }
    said = verify(seen, peer.origin, gateway.ring.jwks()["keys"][0])
    assert {"@method", "@target-uri", "content-digest"} <= said["covered"]


@pytest.mark.conforms("OCM-3-04", "OCM-19-05")
async def test_declining_is_told_and_takes_the_share_away(gateway, peer):
    share = await receive_share(peer, gateway)
    await gateway.receiving.decline(share.id)
    told = [one.json()["notificationType"] for one in peer.requests("POST /ocm/notifications")]
    assert told == ["SHARE_ACCEPTED", "SHARE_DECLINED"]
    assert await gateway.receiving.inbox() == []
    assert (await browse(gateway, peer, share.folder)).status == 404
    assert peer.dav == []


@pytest.mark.conforms("OCM-5.3-26", "OCM-7-02")
async def test_a_server_without_notifications_is_told_nothing(gateway, peer):
    peer.document["capabilities"].remove("notifications")
    share = await receive_share(peer, gateway)
    assert share.state is ReceivedState.ACCEPTED
    assert peer.requests("POST") == []


@pytest.mark.conforms("OCM-7-10")
async def test_a_failed_notice_does_not_undo_the_decision(gateway, peer):
    peer.on("POST /ocm/notifications", Answer(500))
    share = await receive_share(peer, gateway)
    assert share.state is ReceivedState.ACCEPTED
    entry = await gateway.state.database.read(
        lambda connection: outbox.find(connection, share.id, Errand.SHARE_ACCEPTED)
    )
    assert entry.attempts == 1
    assert (await browse(gateway, peer, share.folder)).status == 207


async def test_only_its_recipient_decides(gateway, peer):
    share = await receive_share(peer, gateway)
    with pytest.raises(NotFound):
        await gateway.receiving.decline(share.id, recipient="bob")
    assert await gateway.receiving.inbox("bob") == []


# Access


@pytest.mark.conforms("OCM-6.4-03")
async def test_a_share_is_closed_until_it_is_accepted(gateway, peer):
    await send_share(peer, gateway)
    assert (await browse(gateway, peer, "from%20afar")).status == 404
    assert (await browse(gateway, peer, "")).status == 207
    assert peer.dav == peer.requests(TOKEN) == []


@pytest.mark.conforms(
    "OCM-2.2.2-01",
    "OCM-6.1-43",
    "OCM-6.1-50",
    "OCM-6.1-54",
    "OCM-8-03",
    "OCM-8-04",
    "OCM-8-05",
    "OCM-8-11",
    "OCM-9.1-02",
    "OCM-9.1-03",
    "OCM-9.1-09",
)
async def test_the_secret_is_exchanged_and_only_the_token_is_shown(gateway, peer):
    share = await receive_share(peer, gateway)
    reply = await browse(gateway, peer, f"{share.folder}/a.txt", "GET")
    assert (reply.status, reply.body) == (200, b"from afar")
    [asked] = peer.requests(TOKEN)
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    form = set(asked.body.decode().split("&"))
    assert {"grant_type=authorization_code", f"code={share.shared_secret}"} <= form
    said = verify(asked, peer.origin, gateway.ring.jwks()["keys"][0])
    assert said["label"] == "ocm"
    assert {one.authorization for one in peer.dav} == {"Bearer token-1"}
    assert not any(share.shared_secret in one.path for one in peer.seen)


@pytest.mark.conforms("OCM-6.1-40", "OCM-8-02", "OCM-8-14")
async def test_the_path_is_the_senders_own(gateway, peer):
    peer.document["resourceTypes"][0]["protocols"]["webdav"] = "/dav/deep"
    share = await receive_share(peer, gateway, webdav={"uri": "abc"})
    await browse(gateway, peer, f"{share.folder}/sub/100%25%20sure.txt", "GET")
    assert peer.dav[-1].path == "/dav/deep/abc/sub/100%25%20sure.txt"


@pytest.mark.conforms("OCM-6.1-41", "OCM-8-09")
async def test_an_absolute_uri_is_followed_to_its_server(gateway, peer):
    share = await receive_share(peer, gateway, webdav={"uri": f"{peer.origin}/dav/absolute"})
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert peer.dav[-1].path.rstrip("/") == "/dav/absolute"


async def test_a_token_is_kept_for_the_next_request(gateway, peer):
    share = await receive_share(peer, gateway)
    for _ in range(3):
        assert (await browse(gateway, peer, share.folder)).status == 207
    assert len(peer.requests(TOKEN)) == 1


@pytest.mark.conforms("OCM-9.2-07")
async def test_a_token_is_renewed_before_it_ends(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    peer.lifetime = 100
    share = await receive_share(peer, gateway)
    for second, exchanges in ((0, 1), (74, 1), (76, 2)):
        clock.now += second - (clock.now - share.received_at)
        assert (await browse(gateway, peer, share.folder)).status == 207
        assert len(peer.requests(TOKEN)) == exchanges


@pytest.mark.conforms("OCM-RFC6749-10")
async def test_a_token_of_unknown_life_is_used(gateway, peer):
    peer.lifetime = None
    share = await receive_share(peer, gateway)
    assert (await browse(gateway, peer, share.folder)).status == 207


async def test_many_requests_make_one_exchange(gateway, peer):
    share = await receive_share(peer, gateway)
    peer.on(TOKEN, Answer(body={"access_token": "t", "token_type": "Bearer"}, seconds=0.1))
    replies = await asyncio.gather(*(browse(gateway, peer, share.folder) for _ in range(20)))
    assert {reply.status for reply in replies} == {207}
    assert len(peer.requests(TOKEN)) == 1


@pytest.mark.conforms("OCM-9.2-09")
async def test_a_refused_token_is_replaced_and_the_request_repeated_once(gateway, peer):
    share = await receive_share(peer, gateway)
    assert (await browse(gateway, peer, share.folder)).status == 207
    peer.dead.add("token-1")
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert len(peer.requests(TOKEN)) == 2
    shown = [one.authorization for one in peer.dav]
    assert shown[-2:] == ["Bearer token-1", "Bearer token-2"]


async def test_many_requests_with_a_dead_token_make_one_exchange(gateway, peer):
    share = await receive_share(peer, gateway)
    await browse(gateway, peer, share.folder)
    peer.dead.add("token-1")
    replies = await asyncio.gather(*(browse(gateway, peer, share.folder) for _ in range(10)))
    assert {reply.status for reply in replies} == {207}
    assert len(peer.requests(TOKEN)) == 2


@pytest.mark.conforms("OCM-9.2-09")
async def test_a_server_that_takes_no_token_at_all_is_asked_twice_and_no_more(gateway, peer):
    share = await receive_share(peer, gateway)
    peer.dead |= {"token-1", "token-2", "token-3"}
    reply = await browse(gateway, peer, share.folder)
    assert reply.status == 502
    assert "WWW-Authenticate" not in reply.headers
    assert len(peer.requests(TOKEN)) == len(peer.dav) == 2


@pytest.mark.conforms("OCM-8-05", "OCM-RFC6749-09", "OCM-RFC6749-11")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"error": "invalid_grant"}),
        Answer(403, b"<html>"),
        Answer(500),
        Answer(200, b"<html>"),
        Answer(200, {"access_token": "t", "token_type": "mac"}),
        Answer(200, {"token_type": "Bearer"}),
        Answer(302, headers={"Location": "/dav/x"}),
        Answer(hang_up=True),
    ],
    ids=lambda answer: f"{answer.status} {answer.body!r}",
)
async def test_a_required_exchange_that_fails_never_shows_the_secret(gateway, peer, answer):
    share = await receive_share(peer, gateway)
    peer.on(TOKEN, answer)
    assert (await browse(gateway, peer, share.folder)).status == 502
    assert peer.dav == []


async def test_a_server_that_gave_up_the_exchange_never_sees_the_secret(opened, peer):
    gateway = await opened(discovery={"cache_seconds": 0})
    share = await receive_share(peer, gateway)
    peer.document["capabilities"].remove("exchange-token")
    assert (await browse(gateway, peer, share.folder)).status == 502
    assert peer.dav == []


@pytest.mark.conforms("OCM-8-06", "OCM-8-07", "OCM-8-11")
@pytest.mark.parametrize("status", [400, 500])
async def test_an_optional_exchange_that_fails_falls_back_to_the_secret(gateway, peer, status):
    share = await receive_share(peer, gateway, webdav={"requirements": []})
    peer.on(TOKEN, Answer(status))
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert {one.authorization for one in peer.dav} == {f"Bearer {share.shared_secret}"}


async def test_a_server_without_the_exchange_is_shown_the_secret(gateway, peer):
    peer.document["capabilities"].remove("exchange-token")
    share = await receive_share(peer, gateway, webdav={"requirements": []})
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert peer.requests(TOKEN) == []
    assert {one.authorization for one in peer.dav} == {f"Bearer {share.shared_secret}"}


@pytest.mark.conforms("OCM-8-12")
async def test_a_share_of_the_first_generation_is_opened_with_basic(gateway, peer):
    peer.document["capabilities"] = []
    protocol = {"name": "webdav", "options": {"sharedSecret": "old-secret"}}
    share = await receive_share(peer, gateway, protocol=protocol)
    assert (await browse(gateway, peer, share.folder)).status == 207
    expected = "Basic " + base64.b64encode(b"old-secret:").decode()
    assert {one.authorization for one in peer.dav} == {expected}
    assert {one.path.rstrip("/") for one in peer.dav} == {"/dav"}


@pytest.mark.conforms("OCM-6.1-48")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "MOVE", "PROPPATCH", "LOCK"])
async def test_writing_to_a_read_share_is_refused_here(gateway, peer, method):
    share = await receive_share(peer, gateway)
    before = len(peer.dav)
    body = b"mine" if method == "PUT" else b""
    reply = await browse(gateway, peer, f"{share.folder}/new", method, body)
    assert reply.status == 403
    assert len(peer.dav) == before


@pytest.mark.parametrize("method", ["PUT", "MKCOL", "LOCK"])
async def test_nothing_is_made_beside_the_shares(gateway, peer, method):
    await receive_share(peer, gateway, webdav={"permissions": ["read", "write"]})
    before = len(peer.dav)
    assert (await browse(gateway, peer, "new", method)).status == 403
    assert (await browse(gateway, peer, "new/deeper", method)).status == 404
    assert len(peer.dav) == before


async def test_writing_to_a_write_share_reaches_its_server(gateway, peer):
    share = await receive_share(peer, gateway, webdav={"permissions": ["read", "write"]})
    reply = await browse(gateway, peer, f"{share.folder}/new.txt", "PUT", b"mine")
    assert reply.status == 201
    assert [one.body for one in peer.dav if one.method == "PUT"] == [b"mine"]


@pytest.mark.conforms("OCM-GW-01")
async def test_what_a_browser_sends_stays_here(gateway, peer):
    share = await receive_share(peer, gateway)
    url = f"{gateway.ours.origin}/remote/dav/received/{share.folder}/a.txt"
    login = base64.b64encode(b"alice:alice-password").decode()
    headers = {"Authorization": f"Basic {login}", "Cookie": "session=1", "Signature": "x"}
    assert (await peer.send(request("GET", url, b"", headers))).status == 200
    for seen in peer.dav:
        assert not {"Cookie", "Signature", "X-Forwarded-For"} & set(seen.headers)
        assert login not in seen.authorization


async def test_nobody_else_opens_a_users_share(gateway, peer):
    share = await receive_share(peer, gateway)
    url = f"{gateway.ours.origin}/remote/dav/received/{share.folder}"
    for user, status in (("bob:bob-password", 404), ("alice:wrong", 401)):
        login = "Basic " + base64.b64encode(user.encode()).decode()
        headers = {"Authorization": login, "Depth": "0"}
        assert (await peer.send(request("PROPFIND", url, b"", headers))).status == status
    assert peer.dav == []


# The end of a share


@pytest.mark.conforms("OCM-6.1-24")
async def test_an_expired_share_is_gone_and_its_server_is_not_asked(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    share = await receive_share(peer, gateway, expiration=clock() + 60)
    clock.now += 60
    assert await gateway.receiving.inbox() == []
    before = len(peer.seen)
    assert (await browse(gateway, peer, share.folder)).status == 404
    tree = await browse(gateway, peer, "")
    assert share.folder.encode() not in tree.body
    assert len(peer.seen) == before


async def test_a_share_that_expired_unanswered_cannot_be_accepted(opened, peer):
    clock = Clock()
    gateway = await opened(clock)
    await send_share(peer, gateway, expiration=clock() + 60)
    [share] = await gateway.receiving.inbox()
    clock.now += 60
    with pytest.raises(Conflict):
        await gateway.receiving.accept(share.id)


@pytest.mark.conforms("OCM-7-05", "OCM-7.1-06", "OCM-19-05")
async def test_a_withdrawn_share_is_gone(gateway, peer):
    share = await receive_share(peer, gateway)
    for _ in range(2):  # the second time changes nothing
        assert (await unshare(peer, gateway, share.provider_id)).status == 201
        assert await gateway.receiving.inbox() == []
    assert (await browse(gateway, peer, share.folder)).status == 404
    with pytest.raises(Conflict):
        await gateway.receiving.accept(share.id)


@pytest.mark.conforms("OCM-6.1-08")
async def test_two_servers_may_use_the_same_id(gateway, peer, other):
    mine, theirs = [
        await receive_share(server, gateway, providerId="1") for server in (peer, other)
    ]
    assert mine.folder != theirs.folder
    assert (await unshare(other, gateway, "1")).status == 201
    assert [one.id for one in await gateway.receiving.inbox()] == [mine.id]
    assert (await browse(gateway, peer, mine.folder)).status == 207
    assert (await browse(gateway, peer, theirs.folder)).status == 404


@pytest.mark.conforms("OCM-GW-10")
async def test_a_server_denied_since_is_not_asked(opened, peer):
    share = await receive_share(peer, await opened())
    denying = await opened(policy={"default": "allow", "deny": [peer.authority]})
    before = len(peer.seen)
    assert (await browse(denying, peer, share.folder)).status == 403
    assert len(peer.seen) == before


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "x\\y", " ", "ok.txt"])
async def test_a_name_becomes_one_folder(gateway, peer, name):
    share = await receive_share(peer, gateway, name=name)
    assert "/" not in share.folder
    assert "\\" not in share.folder
    assert share.folder not in ("", ".", "..")


async def test_a_name_that_is_taken_gets_a_number(gateway, peer):
    shares = [await receive_share(peer, gateway, name=name) for name in ("a.txt", "A.txt", "a.txt")]
    assert [share.folder for share in shares] == ["a.txt", "A (2).txt", "a (3).txt"]


@pytest.mark.conforms("OCM-6.1-12")
async def test_html_in_a_display_name_stays_text(gateway, peer):
    body = await send_share(peer, gateway, senderDisplayName="<script>alert(1)</script>")
    [share] = await gateway.receiving.inbox()
    assert share.sender_display_name == body["senderDisplayName"]


@pytest.mark.conforms("OCM-6.2-08")
async def test_receiving_can_be_switched_off(opened, peer):
    gateway = await opened(sharing={"receive": False})
    body = peer.share(str(gateway.ours.address("alice")))
    assert (await peer.post(shares_of(gateway), body)).status == 501
    assert peer.seen == []
