"""forward() against a real WebDAV server."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from gateway.dav.backend import healthy, probe_login, stat
from gateway.dav.target import Profile
from gateway.errors import (
    BackendFailed,
    BackendUnavailable,
    CredentialRefused,
    Malformed,
    NotFound,
    Refused,
    WrongMethod,
)

D = "{DAV:}"
HERE = "https://gw.example/remote/dav/ocm/share-1"
LOCKINFO = (
    b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype>'
    b"<owner><href>http://me/</href></owner></lockinfo>"
)
ATOMIC = Profile(atomic_put=True, conditional_put=True)
PLAIN = Profile(atomic_put=False, conditional_put=False)


def hrefs(body):
    return [found.findtext(D + "href") for found in ET.fromstring(body).iter(D + "response")]


@pytest.mark.conforms("OCM-RFC4918-02")
async def test_a_listing_has_public_addresses_only(client):
    status, headers, body = await client.ask("PROPFIND", Depth="1")
    assert status == 207
    assert headers["Content-Type"].startswith("application/xml")
    prefix = "/remote/dav/ocm/share-1/"
    assert hrefs(body) == [prefix, prefix + "a%20b.txt", prefix + "sub/"]
    assert b"/dav/shared" not in body


@pytest.mark.conforms("OCM-RFC4918-02")
async def test_odd_names_make_the_round_trip(client, storage):
    for name in (
        "%23x%3Fy",
        "100%25",
        "a%26b%3Cc",
        "caf%C3%A9",
        "cafe%CC%81",
        "a+b",
        "x%3By",
        "%25252F",
    ):
        status, _, _ = await client.ask("PUT", f"/sub/{name}", name.encode())
        assert status == 201
    _, _, body = await client.ask("PROPFIND", "/sub/", Depth="1")
    listed = [href.removeprefix("/remote/dav/ocm/share-1") for href in hrefs(body)]
    assert len(listed) == 9
    for href in listed[1:]:
        status, _, content = await client.ask("GET", href)
        assert status == 200
        assert content.decode().replace("+", "%2B") == href.removeprefix("/sub/")


@pytest.mark.conforms("OCM-RFC4918-01")
async def test_a_missing_depth_is_infinity_and_refused_for_folders(client):
    for path in ("/", "/sub", "/sub/"):
        status, _, body = await client.ask("PROPFIND", path)
        assert status == 403
        assert b"propfind-finite-depth" in body
    status, _, body = await client.ask("PROPFIND", "/a%20b.txt")
    assert (status, len(hrefs(body))) == (207, 1)


@pytest.mark.conforms("OCM-RFC4918-18")
async def test_files_are_read_whole_and_in_part(client):
    status, headers, body = await client.ask("GET", "/a%20b.txt")
    assert (status, body) == (200, b"hello")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers
    status, headers, body = await client.ask("GET", "/a%20b.txt", Range="bytes=1-2")
    assert (status, body, headers["Content-Range"]) == (206, b"el", "bytes 1-2/5")
    status, _, body = await client.ask("GET", "/a%20b.txt", Range="bytes=0-0,2-2")
    assert (status, body) == (200, b"hello")
    status, headers, _ = await client.ask("GET", "/a%20b.txt", Range="bytes=9-")
    assert status == 416


@pytest.mark.conforms("OCM-RFC4918-18")
async def test_conditions_pass(client):
    _, headers, _ = await client.ask("GET", "/a%20b.txt")
    status, _, body = await client.ask("GET", "/a%20b.txt", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")


async def test_head_has_the_length_and_no_body(client):
    async with client.open("HEAD", "/a%20b.txt") as answer:
        assert (answer.status, answer.body, answer.length) == (200, b"", 5)
    async with client.open("HEAD", "/nothing") as answer:
        assert (answer.status, answer.body) == (404, b"")
    for path in ("/", "/sub", "/sub/"):
        async with client.open("HEAD", path) as answer:
            assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/sub", "/sub/"])
async def test_a_folder_has_no_content(client, path):
    with pytest.raises(WrongMethod):
        await client.ask("GET", path)


async def test_what_is_not_there_is_404_without_the_storage_s_words(client):
    status, _, body = await client.ask("GET", "/nothing")
    assert status == 404
    assert b"shared" not in body
    assert b"WsgiDAV" not in body
    with pytest.raises(NotFound):
        await client.ask("GET", "/nothing/")


@pytest.mark.conforms("OCM-RFC4918-18")
@pytest.mark.parametrize("profile", [ATOMIC, Profile(conditional_put=True), PLAIN])
async def test_a_file_is_made_and_replaced(client, storage, profile):
    client.target = replace(client.target, profile=profile)
    assert (await client.ask("PUT", "/new", b"one"))[0] == 201
    assert (await client.ask("PUT", "/new", b"two"))[0] == 204
    assert (storage.files / "shared" / "new").read_bytes() == b"two"
    assert (await client.ask("PUT", "/new", b"three", If_None_Match="*"))[0] == 412
    assert (await client.ask("PUT", "/newer", b"four", If_None_Match="*"))[0] == 201
    assert (await client.ask("PUT", "/new", b"five", If_Match='"wrong"'))[0] == 412
    _, headers, _ = await client.ask("HEAD", "/new")
    assert (await client.ask("PUT", "/new", b"six", If_Match=headers["ETag"]))[0] == 204
    assert (storage.files / "shared" / "new").read_bytes() == b"six"
    assert (await client.ask("DELETE", "/new", If_Match='"wrong"'))[0] == 412
    assert (await client.ask("PUT", "/none/new", b"x"))[0] == 409
    names = sorted(entry.name for entry in (storage.files / "shared").iterdir())
    assert names == ["a b.txt", "new", "newer", "sub"]


async def test_an_upload_of_unknown_length_arrives(client, storage):
    async def chunks():
        for _ in range(10):
            yield b"x" * 1000

    assert (await client.ask("PUT", "/new", chunks()))[0] == 201
    assert (storage.files / "shared" / "new").stat().st_size == 10_000
    client.target = replace(client.target, profile=Profile(chunked_put=False))
    assert (await client.ask("PUT", "/measured", chunks()))[0] == 201
    assert (storage.files / "shared" / "measured").stat().st_size == 10_000


async def test_half_an_upload_never_reaches_a_storage_that_wants_a_length(client, storage):
    async def aborted():
        yield b"x" * 10_000
        raise ConnectionResetError("gone")

    client.target = replace(client.target, profile=Profile(chunked_put=False))
    with pytest.raises(ConnectionResetError):
        await client.ask("PUT", "/half", aborted())
    assert not (storage.files / "shared" / "half").exists()


@pytest.mark.parametrize("length", [None, 20_000])
async def test_an_aborted_upload_leaves_the_old_file(client, storage, length):
    async def aborted():
        yield b"x" * 10_000
        raise ConnectionResetError("gone")

    with pytest.raises(Malformed):
        await client.ask("PUT", "/a%20b.txt", aborted(), length=length)
    assert (storage.files / "shared" / "a b.txt").read_text() == "hello"
    assert sorted(e.name for e in (storage.files / "shared").iterdir()) == ["a b.txt", "sub"]


@pytest.mark.parametrize("length", [5, 5000])
async def test_an_upload_of_another_length_than_announced_is_refused(client, storage, length):
    async def chunks():
        yield b"x" * 1000

    with pytest.raises(Malformed):
        await client.ask("PUT", "/a%20b.txt", chunks(), length=length)
    assert (storage.files / "shared" / "a b.txt").read_text() == "hello"


@pytest.mark.parametrize("profile", [ATOMIC, PLAIN])
async def test_a_folder_is_never_replaced_by_a_file(client, storage, profile):
    client.target = replace(client.target, profile=profile)
    try:
        status, _, _ = await client.ask("PUT", "/sub", b"x")
        assert status == 405
    except WrongMethod:
        pass
    assert (storage.files / "shared" / "sub").is_dir()


@pytest.mark.conforms("OCM-RFC4918-14")
async def test_folders_are_made_and_deleted(client):
    assert (await client.ask("MKCOL", "/made"))[0] == 201
    assert (await client.ask("MKCOL", "/made"))[0] == 405
    assert (await client.ask("MKCOL", "/none/made"))[0] == 409
    assert (await client.ask("MKCOL", "/x", b"<a/>"))[0] == 415
    status, _, body = await client.ask("DELETE", "/made")
    assert (status, body) == (204, b"")
    assert (await client.ask("DELETE", "/made"))[0] == 404


@pytest.mark.conforms("OCM-RFC4918-05", "OCM-RFC4918-06")
async def test_files_are_moved_and_copied_inside_the_share(client, storage):
    shared = storage.files / "shared"
    assert (await client.ask("COPY", "/a%20b.txt", Destination=f"{HERE}/sub/c"))[0] == 201
    assert (await client.ask("MOVE", "/a%20b.txt", Destination="/remote/dav/ocm/share-1/d"))[
        0
    ] == 201
    assert (shared / "sub" / "c").read_text() == (shared / "d").read_text() == "hello"
    assert (await client.ask("COPY", "/d", Destination=f"{HERE}/sub/c", Overwrite="F"))[0] == 412
    assert (await client.ask("COPY", "/d", Destination=f"{HERE}/sub/c", Overwrite="t"))[0] == 204
    assert (await client.ask("MOVE", "/sub", Destination=f"{HERE}/moved"))[0] == 201
    assert (shared / "moved" / "c").is_file()
    assert (await client.ask("MOVE", "/none", Destination=f"{HERE}/x"))[0] == 404
    assert (await client.ask("COPY", "/d", Destination=f"{HERE}/none/x"))[0] == 409


@pytest.mark.conforms("OCM-RFC4918-05")
@pytest.mark.parametrize(
    ("destination", "status"),
    [
        (f"{HERE}/../secret.txt", 400),
        (f"{HERE}/%2e%2e/secret.txt", 400),
        ("https://gw.example/remote/dav/ocm/share-2/x", 403),
        ("https://other.example/x", 502),
        (HERE, 403),
        (f"{HERE}/sub", 403),
        (f"{HERE}/sub/f", 403),
        (f"{HERE}/sub/f/g", 403),
    ],
)
async def test_a_move_that_leaves_the_share_or_destroys_is_refused(
    client, storage, destination, status
):
    (storage.files / "shared" / "sub" / "f").write_text("f")
    with pytest.raises((Malformed, Refused)) as caught:
        await client.ask("MOVE", "/sub/f", Destination=destination)
    assert caught.value.status == status
    assert (storage.files / "shared" / "sub" / "f").read_text() == "f"
    assert (storage.files / "secret.txt").read_text() == "secret"


@pytest.mark.conforms("OCM-RFC4918-13")
async def test_properties_are_set_and_read(client):
    body = (
        b'<propertyupdate xmlns="DAV:"><set><prop><x:dead xmlns:x="urn:x">v&amp;w</x:dead></prop>'
        b"</set></propertyupdate>"
    )
    status, _, answer = await client.ask("PROPPATCH", "/a%20b.txt", body)
    assert status == 207
    assert hrefs(answer) == ["/remote/dav/ocm/share-1/a%20b.txt"]
    names = b'<x:dead xmlns:x="urn:x"/><x:none xmlns:x="urn:x"/>'
    asked = b'<propfind xmlns="DAV:"><prop>' + names + b"</prop></propfind>"
    _, _, answer = await client.ask("PROPFIND", "/a%20b.txt", asked, Depth="0")
    found, missing = ET.fromstring(answer).iter(D + "propstat")
    assert found.findtext(f"{D}prop/{{urn:x}}dead") == "v&w"
    assert [prop.tag for prop in missing.find(D + "prop")] == ["{urn:x}none"]


async def test_protected_properties_are_refused_together_with_the_rest(client):
    body = (
        b'<propertyupdate xmlns="DAV:"><set><prop><getetag>x</getetag><a xmlns="u"/></prop></set>'
        b"</propertyupdate>"
    )
    status, _, answer = await client.ask("PROPPATCH", "/a%20b.txt", body)
    assert status == 207
    assert b"403 Forbidden" in answer
    assert b"424 Failed" in answer
    assert b"200" not in answer


async def lock(client, path="/a%20b.txt", **headers):
    status, fields, body = await client.ask("LOCK", path, LOCKINFO, Timeout="Infinite", **headers)
    assert status in (200, 201)
    return fields["Lock-Token"], body


@pytest.mark.conforms("OCM-RFC4918-04", "OCM-RFC4918-07", "OCM-RFC4918-08")
async def test_a_lock_is_taken_shown_used_and_released(client):
    token, body = await lock(client)
    assert token.startswith("<urn:ocmgw:")
    assert token[1:-1].encode() in body
    assert b"http://me/" in body
    assert (
        ET.fromstring(body).findtext(f".//{D}lockroot/{D}href")
        == "/remote/dav/ocm/share-1/a%20b.txt"
    )
    _, _, listed = await client.ask("PROPFIND", "/a%20b.txt", Depth="0")
    assert token[1:-1].encode() in listed
    assert (await client.ask("PUT", "/a%20b.txt", b"x"))[0] == 423
    tagged = f"<{HERE}/a%20b.txt> ({token})"
    assert (await client.ask("PUT", "/a%20b.txt", b"x", If=tagged))[0] == 204
    assert (await client.ask("PUT", "/a%20b.txt", b"y", If=f"({token})"))[0] == 204
    status, _, body = await client.ask("LOCK", "/a%20b.txt", If=f"({token})")
    assert (status, token[1:-1].encode() in body) == (200, True)
    assert (await client.ask("UNLOCK", "/a%20b.txt", Lock_Token=token))[0] == 204
    assert (await client.ask("PUT", "/a%20b.txt", b"z"))[0] == 204


async def test_a_lock_of_one_share_is_of_no_use_in_another(client):
    token, _ = await lock(client)
    client.target = replace(client.target, scope="share-2")
    _, _, listed = await client.ask("PROPFIND", "/a%20b.txt", Depth="0")
    assert b"activelock" in listed
    assert b"locktoken" not in listed
    assert b"http://me/" not in listed
    status, _, body = await client.ask("UNLOCK", "/a%20b.txt", Lock_Token=token)
    assert status == 409
    assert b"lock-token-matches-request-uri" in body
    assert (await client.ask("PUT", "/a%20b.txt", b"x", If=f"({token})"))[0] in (412, 423)
    assert (await client.ask("DELETE", "/a%20b.txt"))[0] == 423
    client.target = replace(client.target, scope="share-1")
    assert (await client.ask("UNLOCK", "/a%20b.txt", Lock_Token=token))[0] == 204


@pytest.mark.conforms("OCM-RFC4918-09")
async def test_a_lock_on_nothing_makes_a_file(client, storage):
    token, _ = await lock(client, "/fresh")
    assert (storage.files / "shared" / "fresh").read_bytes() == b""
    assert (await client.ask("UNLOCK", "/fresh", Lock_Token=token))[0] == 204


@pytest.mark.conforms("OCM-RFC4918-16")
async def test_options_is_answered_here(client):
    status, headers, _ = await client.ask("OPTIONS", "/nothing")
    assert (status, headers["DAV"], headers["MS-Author-Via"]) == (200, "1, 2", "DAV")
    assert "PUT" in headers["Allow"]
    client.target = replace(client.target, writable=False)
    _, headers, _ = await client.ask("OPTIONS")
    assert headers["Allow"] == "OPTIONS, GET, HEAD, PROPFIND"


@pytest.mark.conforms("OCM-RFC4918-10")
async def test_a_read_only_share_changes_nothing(client, storage):
    client.target = replace(client.target, writable=False)
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", "LOCK", "UNLOCK"):
        with pytest.raises(Refused):
            await client.ask(method, "/a%20b.txt", Destination=f"{HERE}/x")


@pytest.mark.conforms("OCM-RFC4918-11")
async def test_one_file_is_shared_without_its_siblings(client, storage):
    client.target = replace(client.target, root=("shared", "a b.txt"), single_file=True)
    for path in ("/", "", "/a%20b.txt", "/anything"):
        status, _, body = await client.ask("GET", path or "/")
        assert (status, body) == (200, b"hello")
    _, _, body = await client.ask("PROPFIND", "/a%20b.txt", Depth="1")
    assert hrefs(body) == ["/remote/dav/ocm/share-1/a%20b.txt"]
    assert (await client.ask("PUT", "/", b"new"))[0] == 204
    assert (storage.files / "shared" / "a b.txt").read_bytes() == b"new"
    with pytest.raises(NotFound):
        await client.ask("GET", "/a/b")
    (storage.files / "shared" / "a b.txt").unlink()
    (storage.files / "shared" / "a b.txt").mkdir()
    for method in ("GET", "PROPFIND"):
        with pytest.raises(NotFound):
            await client.ask(method, Depth="0")


async def test_a_missing_root_is_believed_only_of_a_healthy_storage(client, client_to, storage):
    client.target = replace(client.target, root=("gone",))
    assert (await client.ask("PROPFIND", Depth="0"))[0] == 404
    unmounted = client_to(storage.base + "/unmounted")
    with pytest.raises(BackendUnavailable) as caught:
        await unmounted.ask("PROPFIND", Depth="0")
    assert caught.value.retry_after


@pytest.mark.conforms("OCM-GW-02")
async def test_a_refused_credential_is_never_the_client_s_401(client):
    client.target = replace(client.target, authorization="Basic d3Jvbmc6d3Jvbmc=")
    for method in ("GET", "PROPFIND", "PUT"):
        with pytest.raises(CredentialRefused):
            await client.ask(method, "/a%20b.txt", b"", Depth="0")


async def test_a_storage_that_is_not_there_is_unavailable(client_to):
    with pytest.raises(BackendUnavailable):
        await client_to("http://127.0.0.1:9/dav").ask("PROPFIND", Depth="0")


async def test_stat_says_what_is_there(client, way):
    found = await stat(way, client.at("/a%20b.txt")[0])
    assert (found.exists, found.collection, found.size) == (True, False, 5)
    assert found.modified_at
    assert re.fullmatch('".+"', found.etag)
    assert (await stat(way, client.at("/sub")[0])).collection
    assert not (await stat(way, client.at("/none")[0])).exists


async def test_a_login_is_tried_at_the_storage(client, way, storage):
    good, bad = client.target.authorization, "Basic d3Jvbmc6d3Jvbmc="
    assert await probe_login(way, storage.base, (), good)
    assert await probe_login(way, storage.base, ("shared",), good)
    assert not await probe_login(way, storage.base, (), bad)
    assert not await probe_login(way, storage.base, ("none",), good)
    assert await healthy(way, storage.base, good)
    assert not await healthy(way, storage.base, bad)
    with pytest.raises(BackendUnavailable):
        await probe_login(way, "http://127.0.0.1:9", (), good)


async def test_a_long_listing_streams(client, storage):
    for number in range(400):
        (storage.files / "shared" / "sub" / f"{number}.txt").write_text("x")
    async with client.open("PROPFIND", "/sub/", Depth="1") as answer:
        assert answer.length is None
        body = b"".join([chunk async for chunk in answer.body])
    assert len(hrefs(body)) == 401


@pytest.mark.conforms("OCM-RFC4918-17")
async def test_document_types_never_reach_the_storage(client):
    for method in ("PROPFIND", "PROPPATCH", "LOCK"):
        with pytest.raises(Malformed):
            await client.ask(method, "/a%20b.txt", b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', Depth="0")


async def test_the_body_of_a_broken_download_raises(client_to, broken):
    broken.says("200 OK", b"short", "Content-Type: text/plain", length=100)
    with pytest.raises(BackendFailed):
        await client_to(broken.base).ask("GET", "/a")
