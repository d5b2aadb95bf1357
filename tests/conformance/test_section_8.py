"""Sections 8 and 9 as the Receiving Server: how it reaches what it was given."""

from urllib.parse import parse_qs

import pytest

from tests.peer import Answer, webdav
from tests.sharing.stage import address, browse, receive_share, request, shares_of

TOKEN = "POST /ocm/token"


@pytest.mark.conforms("OCM-8-01", "OCM-8-04")
async def test_the_sender_s_server_is_discovered_and_not_the_owner_s(opened, peer):
    gateway = await opened(discovery={"cache_seconds": 0})
    share = await receive_share(peer, gateway)
    peer.seen.clear()
    assert (await browse(gateway, peer, share.folder)).status == 207
    asked = [f"{one.method} {one.path.split('/')[1]}" for one in peer.seen]
    assert asked[:3] == ["GET .well-known", "POST ocm", "PROPFIND dav"]


@pytest.mark.conforms("OCM-8-10", "OCM-8-02", "OCM-6.1-40")
@pytest.mark.parametrize("path", ["/dav/p", "/dav/p/"])
@pytest.mark.parametrize("uri", ["abc", "/abc", "/dav/p/abc"])
async def test_path_and_uri_are_joined_with_one_slash(gateway, peer, path, uri):
    peer.document["resourceTypes"][0]["protocols"]["webdav"] = path
    share = await receive_share(peer, gateway, webdav={"uri": uri})
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert peer.dav[-1].path.rstrip("/") == "/dav/p/abc"


@pytest.mark.conforms("OCM-8-14")
async def test_a_path_in_a_share_is_encoded_once(gateway, peer):
    share = await receive_share(peer, gateway, webdav={"uri": "abc"})
    for path in ("sub/f.txt", "a%20b/%C3%A4%23%3F", "100%2525"):
        await browse(gateway, peer, f"{share.folder}/{path}", "GET")
        assert peer.dav[-1].path == f"/dav/abc/{path}"


@pytest.mark.conforms("OCM-9.1-01", "OCM-9.1-03", "OCM-9.1-05", "OCM-9.1-07", "OCM-5.3-23")
async def test_the_token_request_goes_where_the_sender_says_with_our_name(gateway, peer):
    peer.document["tokenEndPoint"] = f"{peer.origin}/elsewhere/t"
    peer.on("POST /elsewhere/t", Answer(body={"access_token": "t", "token_type": "Bearer"}))
    secret = "a+b/c=d&e f%"
    share = await receive_share(peer, gateway, webdav={"sharedSecret": secret})
    assert (await browse(gateway, peer, share.folder)).status == 207
    [asked] = peer.requests("POST /elsewhere/t")
    assert parse_qs(asked.body.decode(), strict_parsing=True) == {
        "grant_type": ["authorization_code"],
        "client_id": [gateway.ours.authority],
        "code": [secret],
    }


@pytest.mark.conforms("OCM-9.2-03", "OCM-RFC6749-09")
@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("token", ["a.b.c", "~-._+/==", "x" * 3000])
async def test_a_token_is_used_as_it_is(gateway, peer, token, kind):
    share = await receive_share(peer, gateway)
    peer.on(TOKEN, Answer(body={"access_token": token, "token_type": kind, "expires_in": 60}))
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert {one.authorization for one in peer.dav} == {f"Bearer {token}"}


@pytest.mark.conforms("OCM-RFC6749-10")
async def test_members_that_we_do_not_know_do_not_disturb(gateway, peer):
    share = await receive_share(peer, gateway)
    more = {"refresh_token": "r", "scope": "x", "more": {}}
    peer.on(TOKEN, Answer(body={"access_token": "t", "token_type": "Bearer"} | more))
    assert (await browse(gateway, peer, share.folder)).status == 207
    assert "r" not in {one.authorization.removeprefix("Bearer ") for one in peer.dav}


@pytest.mark.conforms("OCM-8-13")
@pytest.mark.parametrize(
    "protocol",
    [
        {"name": "webdav"},
        {"name": "webdav", "options": {}},
        {"name": "webdav", "options": {"sharedSecret": ""}},
        {"name": "multi", "webdav": webdav(sharedSecret="")},
        {"name": "multi", "webdav": webdav(sharedSecret=7)},
    ],
    ids=str,
)
async def test_a_share_without_a_secret_is_invalid(gateway, peer, protocol):
    body = peer.share(address(gateway), protocol=protocol)
    assert (await peer.post(shares_of(gateway), body)).status == 400
    assert await gateway.receiving.inbox() == []
    assert peer.dav == []


@pytest.mark.conforms("OCM-10-03")
@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_share_that_vanished_is_told_to_the_user_and_nothing_breaks(gateway, peer, status):
    share = await receive_share(peer, gateway)
    peer.on("DAV", Answer(status))
    for _ in range(2):
        reply = await browse(gateway, peer, share.folder)
        assert reply.status in (403, 404, 410, 502)
        assert "WWW-Authenticate" not in reply.headers
    assert (await browse(gateway, peer, "")).status == 207


@pytest.mark.conforms("OCM-14.3-05", "OCM-RFC9421-25")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_token_is_not_carried_to_another_place(gateway, peer, other, status):
    share = await receive_share(peer, gateway)
    peer.on("DAV", Answer(status, headers={"Location": f"{other.origin}/dav/x"}))
    reply = await browse(gateway, peer, f"{share.folder}/a.txt", "GET")
    assert reply.status >= 400
    assert other.seen == []
    assert other.authority.encode() not in reply.body


@pytest.mark.conforms("OCM-RFC4918-20", "OCM-RFC4918-21")
async def test_a_listing_in_any_spelling_is_read_and_nothing_outside_is_shown(gateway, peer):
    share = await receive_share(peer, gateway, webdav={"uri": "abc"})
    entry = (
        "<y:response><y:href>{}</y:href><y:propstat><y:prop><y:resourcetype/></y:prop>"
        "<y:status>HTTP/1.1 200 OK</y:status></y:propstat></y:response>"
    )
    hrefs = ("/dav/abc/", f"{peer.origin}/dav/abc/in.txt", "/etc/passwd", "/dav/other/x")
    listing = "".join(entry.format(href) for href in hrefs)
    body = f'<?xml version="1.0"?><y:multistatus xmlns:y="DAV:">{listing}</y:multistatus>'
    peer.on("DAV", Answer(207, body.encode(), {"Content-Type": "application/xml"}))
    url = f"{gateway.ours.origin}/remote/dav/received/{share.folder}/"
    headers = {"Authorization": "Basic YWxpY2U6YWxpY2UtcGFzc3dvcmQ=", "Depth": "1"}
    reply = await peer.send(request("PROPFIND", url, b"", headers))
    assert reply.status == 207
    assert b"in.txt" in reply.body
    assert b"passwd" not in reply.body
    assert b"other" not in reply.body
    assert peer.authority.encode() not in reply.body
    assert peer.dav[-1].headers["Depth"] == "1"
