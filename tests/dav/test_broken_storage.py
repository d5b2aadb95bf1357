"""forward() against a server that does everything wrong."""

import asyncio
import re

import pytest

from gateway.dav.target import REMOTE
from gateway.errors import (
    BackendFailed,
    BackendUnavailable,
    CredentialRefused,
    Malformed,
    WrongMethod,
)

OK = (
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/shared/</D:href><D:propstat><D:prop>'
    b"<D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status>"
    b"</D:propstat></D:response></D:multistatus>"
)
FOREIGN = OK.replace(b"/dav/shared/", b"/elsewhere/")


@pytest.fixture
def client(client_to, broken):
    return client_to(broken.base)


@pytest.mark.parametrize(
    "body",
    [
        OK[:-10],
        OK + b"Internal Server Error",
        b"<!DOCTYPE a>" + OK,
        OK.decode().encode("utf-16"),
        FOREIGN,
        b"",
        b"<html>",
    ],
    ids=["truncated", "junk", "doctype", "utf-16", "foreign", "empty", "html"],
)
async def test_a_broken_listing_is_502(client, broken, body):
    broken.lists(body)
    with pytest.raises(BackendFailed):
        await client.ask("PROPFIND", Depth="0")


async def test_a_login_page_is_no_listing(client, broken):
    broken.lists(OK, kind="text/html")
    with pytest.raises(BackendFailed):
        await client.ask("PROPFIND", Depth="0")


async def test_a_listing_cut_off_after_its_start_raises_on_the_way(client, broken):
    entry = OK.partition(b"<D:response>")[2].rpartition(b"</D:multistatus>")[0]
    many = b"".join(
        b"<D:response>" + entry.replace(b"/shared/", b"/shared/%d/" % n) for n in range(1000)
    )
    body = OK.replace(b"</D:multistatus>", many)
    broken.says("207 Multi-Status", body, "Content-Type: text/xml", length=len(body) + 50)
    async with client.open("PROPFIND", Depth="1") as answer:
        assert answer.status == 207
        with pytest.raises(BackendFailed):
            _ = [chunk async for chunk in answer.body]


@pytest.mark.conforms("OCM-GW-02")
@pytest.mark.parametrize("status", ["401 No", "407 No", "511 No", "302 Found", "303 See Other"])
@pytest.mark.parametrize("trusted", [True, False])
async def test_a_question_for_credentials_is_not_passed_on(client_to, broken, status, trusted):
    broken.says(status, b"", 'WWW-Authenticate: Basic realm="inside"', "Location: https://login/")
    with pytest.raises(CredentialRefused):
        await client_to(broken.base, trusted=trusted).ask("GET", "/a")


@pytest.mark.parametrize(
    "status", ["301 Moved", "307 Moved", "308 Moved", "502 Bad", "599 X", "418 T"]
)
async def test_what_has_no_meaning_here_is_502(client, broken, status):
    broken.says(status, b"", "Location: http://evil/")
    with pytest.raises(BackendFailed):
        await client.ask("PROPFIND", "/a", Depth="0")


@pytest.mark.parametrize("location", ["http://[", "//", "", "http://u:word@disk1:99/key?word"])
async def test_a_redirect_that_leads_nowhere_is_502(client, broken, location):
    broken.says("307 Moved", b"", f"Location: {location}")
    with pytest.raises(BackendFailed) as caught:
        await client.ask("PROPFIND", "/a", Depth="0")
    assert "word" not in caught.value.detail


async def test_a_busy_storage_is_unavailable_for_a_bounded_time(client, broken):
    broken.says("503 Busy", b"", "Retry-After: 99999999")
    with pytest.raises(BackendUnavailable) as caught:
        await client.ask("GET", "/a")
    assert caught.value.retry_after == 600


async def test_a_redirect_to_the_slash_is_followed_inside(client, broken):
    broken.says("301 Moved", b"", "Location: http://other/dav/shared/sub/")
    broken.lists(OK.replace(b"/dav/shared/", b"/dav/shared/sub/"))
    status, headers, _ = await client.ask("PROPFIND", "/sub", Depth="0")
    assert status == 207
    assert "Location" not in headers
    assert broken.heads[1].startswith("PROPFIND /dav/shared/sub/ ")


async def test_a_get_that_is_sent_to_the_slash_was_of_a_folder(client, broken):
    broken.says("301 Moved", b"", "Location: /dav/shared/sub/")
    broken.lists(OK)
    with pytest.raises(WrongMethod):
        await client.ask("GET", "/sub")


async def test_an_index_page_is_not_the_content_of_a_folder(client, broken):
    broken.says("200 OK", b"<html>secret", "Content-Type: text/html")
    broken.lists(OK)
    with pytest.raises(WrongMethod):
        await client.ask("GET", "/sub")


@pytest.mark.conforms("OCM-RFC4918-03")
async def test_nothing_of_the_inside_gets_out(client, broken):
    broken.says(
        "200 OK",
        b"data",
        "Content-Type: text/plain",
        "Set-Cookie: inside=1",
        "Server: Inside",
        "X-Powered-By: Inside",
        "WWW-Authenticate: Inside",
        "Link: <inside>",
        "Location: http://inside/",
        'ETag: "e"',
    )
    status, headers, body = await client.ask("GET", "/a")
    assert (status, body, headers["ETag"]) == (200, b"data", '"e"')
    assert "inside" not in str(headers).lower()


@pytest.mark.conforms("OCM-GW-01", "OCM-RFC9421-23")
async def test_nothing_of_the_client_gets_in(client, broken):
    broken.says("200 OK", b"")
    await client.ask(
        "GET", "/a", Authorization="Bearer outside", Cookie="outside=1", Origin="outside"
    )
    assert "outside" not in broken.heads[0]
    assert "Basic " in broken.heads[0]


async def test_error_bodies_are_ours_and_conditions_survive(client, broken):
    broken.says(
        "423 Locked",
        b'<D:error xmlns:x="DAV:"><D:lock-token-submitted><D:href>/srv/inside</D:href>',
        "Content-Type: application/xml",
    )
    status, _, body = await client.ask("DELETE", "/a")
    assert status == 423
    assert b"<d:lock-token-submitted/>" in body
    assert b"inside" not in body


async def test_a_500_stays_a_500_without_its_words(client, broken):
    broken.says("500 Oops", b"/srv/inside", "Content-Type: text/plain")
    status, _, body = await client.ask("MKCOL", "/a")
    assert status == 500
    assert b"inside" not in body


async def test_a_range_that_cannot_be_is_416(client, broken):
    broken.says("206 Partial", b"", "Content-Range: bytes 100-200/11", length=101)
    status, headers, _ = await client.ask("GET", "/a", Range="bytes=100-200")
    assert (status, headers["Content-Range"]) == (416, "bytes */11")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, "0-4/10"),
        ({"Range": "bytes=5-9"}, "0-4/10"),
        ({"Range": "bytes=5-"}, "0-4/10"),
        ({"Range": "bytes=0-1"}, "0-4/10"),
        ({"Range": "bytes=-5"}, "0-4/10"),
        ({"Range": "bytes=0-1,3-4"}, "0-4/10"),
    ],
)
async def test_a_part_that_was_not_asked_for_is_not_handed_on(client, broken, asked, given):
    broken.says("206 Partial", b"01234", f"Content-Range: bytes {given}")
    with pytest.raises(BackendFailed):
        await client.ask("GET", "/a", **asked)


@pytest.mark.parametrize("asked", ["bytes=5-9", "bytes=5-", "bytes=-5", "bytes=-9", "bytes=5-20"])
async def test_a_part_that_was_asked_for_is(client, broken, asked):
    broken.says("206 Partial", b"56789", "Content-Range: bytes 5-9/10")
    assert (await client.ask("GET", "/a", Range=asked))[::2] == (206, b"56789")


async def test_statuses_that_clients_insist_on_are_made(client, broken):
    broken.says("200 OK", b":-)")
    assert (await client.ask("MKCOL", "/a"))[0] == 201
    assert (await client.ask("DELETE", "/a"))[0] == 204
    status, _, body = await client.ask("PROPPATCH", "/a", PATCH)
    assert status == 207
    assert b"200 OK" in body


PATCH = b'<propertyupdate xmlns="DAV:"><set><prop><a xmlns="u"/></prop></set></propertyupdate>'


@pytest.mark.conforms("OCM-RFC4918-15")
async def test_a_failed_dependency_is_explained_or_just_said(client, broken):
    broken.says("424 Failed", OK.replace(b"/shared/", b"/shared/a/"), "Content-Type: text/xml")
    status, _, body = await client.ask("DELETE", "/a/")
    assert status == 424
    assert b"/remote/dav/ocm/share-1/a/" in body
    broken.answers.clear()
    broken.says("424 Failed", b"<error xmlns='DAV:'/>", "Content-Type: text/xml")
    assert (await client.ask("DELETE", "/a/"))[0] == 424


async def test_a_download_that_the_client_leaves_is_closed_at_the_storage(client, broken):
    broken.says("200 OK", b"x" * 1000, "Content-Type: text/plain", length=10**9)
    async with client.open("GET", "/a") as answer:
        assert answer.length == 10**9
        async for _ in answer.body:
            break


async def test_a_location_outside_is_dropped_and_one_inside_is_mapped(client_to, broken):
    from gateway.dav.target import Profile

    client = client_to(broken.base, profile=Profile(atomic_put=True))
    broken.says("201 Created", b"<html>", "Location: http://inside/a")
    assert "Location" not in (await client.ask("PUT", "/a", b"x"))[1]
    broken.answers.clear()
    broken.says("201 Created", b"<html>", "Location: http://inside/dav/shared/a")
    status, headers, body = await client.ask("PUT", "/a", b"x")
    assert headers["Location"] == "https://gw.example/remote/dav/ocm/share-1/a"
    assert (status, body) == (201, b"")


async def test_an_aborted_upload_is_never_ended_at_the_storage(client_to, way):
    got = bytearray()
    closed = asyncio.Event()

    async def serve(reader, writer):
        while data := await reader.read(4096):
            got.extend(data)
        writer.close()
        closed.set()

    async def aborted():
        yield b"x" * 100
        await asyncio.sleep(0.05)
        raise ConnectionResetError("gone")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/dav"
    with pytest.raises(Malformed):
        await client_to(base, profile=REMOTE).ask("PUT", "/a", aborted())
    await asyncio.wait_for(closed.wait(), 5)
    server.close()
    assert b"chunked" in got
    assert b"xxxx" in got
    assert b"\r\n0\r\n" not in got


async def test_the_tree_of_another_server_is_shown_from_ours_only(client_to, broken):
    client = client_to(broken.base, trusted=False, profile=REMOTE)
    entry = OK.partition(b"<D:response>")[2].rpartition(b"</D:multistatus>")[0]
    names = (b"sub/", b"..%2fetc/", b"%2e%2e/", b"a%5Cb/", b"%00/")
    inside = [entry.replace(b"/shared/", b"/shared/" + name) for name in names]
    outside = [
        entry.replace(b"/dav/shared/", b"/etc/"),
        entry.replace(b"/dav/", b"http://evil/dav/"),
    ]
    rest = b"".join(b"<D:response>" + one for one in [*inside, *outside])
    broken.lists(OK.replace(b"</D:multistatus>", rest + b"</D:multistatus>"))
    _, _, body = await client.ask("PROPFIND", Depth="1")
    assert re.findall(rb"href>([^<]+)</", body) == [
        b"/remote/dav/ocm/share-1/",
        b"/remote/dav/ocm/share-1/sub/",
    ]
