"""Sections 9 to 12 as the Sending Server: the token endpoint, the end of shares, what has no
meaning."""

import asyncio
import gzip

import pytest

from gateway.model import SentState
from tests.peer import FORM, unsigned
from tests.servers import free_port
from tests.sharing.stage import (
    counts,
    create_share,
    notifications_of,
    receive_share,
    request,
    send_share,
    token_of,
    visit,
)

CODES = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
}


async def token_requests(gateway, peer, other, code):
    """Requests with one defect each, sent; and the answers."""
    url = gateway.ours.token_end_point
    good = f"grant_type=authorization_code&client_id={peer.authority}&code={code}"
    for body in (
        "",
        "&",
        "x",
        "%",
        "%ff=%ff",
        "grant_type",
        good.replace("authorization_code", "refresh_token"),
        good.replace("authorization_code", "password"),
        good.replace("authorization_code", ""),
        good.replace(peer.authority, ""),
        good.replace(peer.authority, "https://" + peer.authority),
        good.replace(peer.authority, other.authority),
        good.replace(code, ""),
        good.replace(code, "\0"),
        good.replace(code, "x" * 9000),
        good.replace(code, code[:-1]),
        good.replace(code, code + "x"),
        good.replace(code, code.swapcase()),
        good + "&code=" + code,
        good + "&grant_type=authorization_code",
        good + "&client_id=" + peer.authority,
        good + "&x=" + "y" * 70_000,
    ):
        yield await peer.post(url, body.encode(), content_type=FORM)
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        yield await peer.post(url, good.encode(), content_type=kind)
    yield await peer.send(unsigned("POST", url, good.encode(), content_type=FORM))
    yield await other.post(url, good.encode(), content_type=FORM)
    yield await other.exchange(url, code)
    yield await peer.post(url, b"\xff\xfe" + good.encode(), content_type=FORM)


@pytest.mark.conforms(
    "OCM-9-01", "OCM-9.2-06", "OCM-9.3-01", "OCM-9.3-02", "OCM-RFC6749-04", "OCM-RFC6749-05"
)
async def test_every_defect_is_400_with_a_code_of_the_draft_and_not_cached(gateway, peer, other):
    share = await create_share(gateway, peer)
    answers = [one async for one in token_requests(gateway, peer, other, share.shared_secret)]
    assert {one.status for one in answers} == {400}
    for answer in answers:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["error"] in CODES
        assert "access_token" not in answer.json()
        assert share.shared_secret.encode() not in answer.body
    assert (await peer.exchange(gateway.ours.token_end_point, share.shared_secret)).status == 200


@pytest.mark.conforms("OCM-9.2-06", "OCM-9.2-02", "OCM-RFC6749-08")
async def test_tokens_are_long_distinct_and_come_alone(gateway, peer):
    share = await create_share(gateway, peer)
    url = gateway.ours.token_end_point
    answers = await asyncio.gather(*(peer.exchange(url, share.shared_secret) for _ in range(50)))
    assert {one.status for one in answers} == {200}
    assert {frozenset(one.json()) for one in answers} == {
        frozenset({"access_token", "token_type", "expires_in"})
    }
    assert {one.json()["token_type"] for one in answers} == {"Bearer"}
    tokens = {one.json()["access_token"] for one in answers}
    assert len(tokens) == 50
    assert min(map(len, tokens)) > 100
    replies = await asyncio.gather(
        *(visit(gateway, peer, share.provider_id, token) for token in tokens)
    )
    assert {one.status for one in replies} == {207}


@pytest.mark.conforms("OCM-9.2-08", "OCM-10-02", "OCM-9.1-08")
async def test_a_share_that_is_withdrawn_while_it_is_exchanged_opens_no_more(gateway, peer):
    share = await create_share(gateway, peer)
    url = gateway.ours.token_end_point
    revoking = gateway.sending.revoke(share.provider_id)
    *answers, revoked = await asyncio.gather(
        *(peer.exchange(url, share.shared_secret) for _ in range(20)), revoking
    )
    assert revoked.state is SentState.REVOKED
    assert {one.status for one in answers} <= {200, 400}
    for answer in answers:
        if answer.status == 200:
            token = answer.json()["access_token"]
            assert (await visit(gateway, peer, share.provider_id, token)).status == 404
        else:
            assert answer.json()["error"] == "invalid_grant"


@pytest.mark.conforms("OCM-10-02")
async def test_access_ends_without_a_word_where_none_is_wanted(gateway, peer):
    peer.document["capabilities"].remove("notifications")
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    await gateway.sending.revoke(share.provider_id)
    assert peer.requests("POST /ocm/notifications") == []
    assert (await visit(gateway, peer, share.provider_id, token)).status == 404
    reply = await peer.exchange(gateway.ours.token_end_point, share.shared_secret)
    assert reply.json()["error"] == "invalid_grant"


@pytest.mark.conforms("OCM-11-01", "OCM-12-02", "OCM-7.1-05")
@pytest.mark.parametrize("kind", ["RESHARE_CHANGE_PERMISSION", "RESHARE_UNDO", "X" * 5000])
async def test_what_has_no_meaning_has_no_effect(gateway, peer, kind):
    sent = await create_share(gateway, peer)
    received = await send_share(peer, gateway)
    before = await counts(gateway)
    peer.seen.clear()
    for share in (sent.provider_id, received["providerId"]):
        body = {
            "notificationType": kind,
            "providerId": share,
            "notification": {"permissions": ["read", "write"], "shareWith": "x@y.example"},
        }
        reply = await peer.post(notifications_of(gateway), body)
        assert reply.status in (400, 501)
    assert await counts(gateway) == before
    assert peer.requests("POST") == []
    kept = await gateway.sending.by_id(sent.provider_id)
    assert (kept.state, kept.permissions) == (SentState.SENT, sent.permissions)


@pytest.mark.conforms("OCM-12-02")
async def test_a_request_to_share_shares_nothing_by_itself(gateway, peer, other):
    share = await create_share(gateway, peer)
    body = {
        "notificationType": "REQUEST_RESHARE",
        "providerId": share.provider_id,
        "notification": {"shareWith": f"curie@{other.authority}"},
    }
    reply = await peer.post(notifications_of(gateway), body)
    assert reply.status in (201, 501)
    assert [one.provider_id for one in await gateway.sending.all()] == [share.provider_id]
    assert other.seen == []


@pytest.mark.conforms("OCM-12-01")
async def test_receiving_a_share_asks_for_nothing_more(gateway, peer):
    await receive_share(peer, gateway)
    told = [one.json()["notificationType"] for one in peer.requests("POST /ocm/notifications")]
    assert told == ["SHARE_ACCEPTED"]


@pytest.mark.conforms("OCM-RFC9530-02")
async def test_a_compressed_body_is_not_taken_whatever_its_digest(gateway, peer):
    url = notifications_of(gateway)
    body = b'{"notificationType":"SHARE_ACCEPTED","providerId":"x"}'
    for sent in (body, gzip.compress(body)):
        outgoing = peer.signed("POST", url, sent).having(Content_Encoding="gzip")
        assert (await peer.send(outgoing)).status in (400, 401, 415)
    assert await counts(gateway) == (0, 0, 0)


@pytest.mark.conforms("OCM-RFC9530-08")
async def test_a_wish_for_a_digest_is_passed_over(gateway, peer):
    for name in ("Want-Content-Digest", "Want-Repr-Digest"):
        headers = {name: "sha-256=1"}
        url = f"{gateway.ours.origin}/.well-known/ocm"
        assert (await peer.send(request("GET", url, b"", headers))).status == 200


@pytest.mark.conforms("OCM-GW-11")
async def test_what_we_know_outlives_a_restart(opened, peer):
    port = free_port()
    public = {"origin": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    before = await opened(public=public)
    sent = await create_share(before, peer)
    received = await receive_share(peer, before)
    invite = await before.inviting.create_invite("alice")
    contact = await before.contacts.add("alice", "bob@cloud.example")
    token = await token_of(before, peer, sent)
    elsewhere = f"127.0.0.1:{free_port()}"
    after = await opened(public=public | {"listen": elsewhere})
    assert after.ring.jwks() == before.ring.jwks()
    assert (await after.sending.by_id(sent.provider_id)).state is SentState.SENT
    assert [one.id for one in await after.receiving.inbox("alice")] == [received.id]
    assert (await after.inviting.by_id(invite.id)).token == invite.token
    assert contact.id in {one.id for one in await after.contacts.all("alice")}
    url = f"http://{elsewhere}/remote/dav/ocm/{sent.provider_id}"
    headers = {"Authorization": f"Bearer {token}", "Depth": "0"}
    assert (await peer.send(request("PROPFIND", url, b"", headers))).status == 207
