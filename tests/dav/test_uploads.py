"""The whole body, or the old file; and what was sent to the storage is done to its end."""

import asyncio
import gzip
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.dav.client import turn
from gateway.dav.target import Profile
from gateway.errors import BackendFailed, BackendUnavailable, Malformed

HERE = "https://gw.example/remote/dav/ocm/share-1"
LOCKINFO = (
    b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype>'
    b"</lockinfo>"
)


def names(storage):
    return sorted(entry.name for entry in (storage.files / "shared").iterdir())


async def broken_off():
    yield b"x" * 10_000
    raise ConnectionResetError("gone")


async def locked(client, path="/a%20b.txt", **headers):
    _, fields, _ = await client.ask("LOCK", path, LOCKINFO, **headers)
    return fields["Lock-Token"]


@pytest.mark.parametrize("tagged", [True, False])
async def test_an_aborted_upload_leaves_a_locked_file_and_its_lock(client, storage, tagged):
    token = await locked(client)
    condition = f"<{HERE}/a%20b.txt> ({token})" if tagged else f"({token})"
    with pytest.raises(Malformed):
        await client.ask("PUT", "/a%20b.txt", broken_off(), If=condition)
    assert (storage.files / "shared" / "a b.txt").read_text() == "hello"
    assert names(storage) == ["a b.txt", "sub"]
    assert (await client.ask("PUT", "/a%20b.txt", b"new", If=condition))[0] == 204
    assert (storage.files / "shared" / "a b.txt").read_text() == "new"
    assert names(storage) == ["a b.txt", "sub"]
    assert (await client.ask("UNLOCK", "/a%20b.txt", Lock_Token=token))[0] == 204


async def test_a_file_in_a_locked_folder_is_replaced_by_who_holds_the_lock(client, storage):
    token = await locked(client, "/sub/", Depth="infinity")
    assert (await client.ask("PUT", "/sub/f", b"1"))[0] == 423
    assert (await client.ask("PUT", "/sub/f", b"2", If=f"<{HERE}/sub/> ({token})"))[0] == 201
    assert [entry.name for entry in (storage.files / "shared" / "sub").iterdir()] == ["f"]
    assert (await client.ask("UNLOCK", "/sub/", Lock_Token=token))[0] == 204


async def test_a_lock_token_that_does_not_hold_replaces_nothing(client, storage):
    token = await locked(client)
    wrong = "(<urn:uuid:00000000-1111-2222-3333-444444444444>)"
    assert (await client.ask("PUT", "/a%20b.txt", b"x", If=wrong))[0] in (412, 423)
    assert (storage.files / "shared" / "a b.txt").read_text() == "hello"
    assert names(storage) == ["a b.txt", "sub"]
    assert (await client.ask("UNLOCK", "/a%20b.txt", Lock_Token=token))[0] == 204


async def test_names_that_a_destination_cannot_say_are_uploaded_whole(client, storage):
    assert (await client.ask("PUT", "/x%3By", b"one"))[0] == 201
    with pytest.raises(Malformed):
        await client.ask("PUT", "/x%3By", broken_off())
    assert (storage.files / "shared" / "x;y").read_text() == "one"
    assert names(storage) == ["a b.txt", "sub", "x;y"]


@pytest.mark.parametrize("path", ["/a%20b.txt", "/x%3By"])
async def test_a_client_that_vanishes_leaves_nothing_behind(client, storage, path):
    async def endless():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    upload = asyncio.create_task(client.ask("PUT", path, endless()))
    await asyncio.sleep(0.3)
    upload.cancel()
    with suppress(asyncio.CancelledError):
        await upload
    assert names(storage) == ["a b.txt", "sub"]
    assert (storage.files / "shared" / "a b.txt").read_text() == "hello"


async def test_only_one_of_those_who_saw_the_same_version_replaces_it(client, storage):
    client.target = replace(client.target, profile=Profile(conditional_put=False, atomic_put=True))
    _, headers, _ = await client.ask("HEAD", "/a%20b.txt")

    async def slowly(text):
        await asyncio.sleep(0.05)
        yield text

    answers = await asyncio.gather(
        *(
            client.ask("PUT", "/a%20b.txt", slowly(b"%d" % n * (n + 6)), If_Match=headers["ETag"])
            for n in range(4)
        )
    )
    assert sorted(status for status, _, _ in answers) == [204, 412, 412, 412]
    assert names(storage) == ["a b.txt", "sub"]


async def test_turns_are_per_url_and_forgotten():
    async with turn("http://s/a"):
        assert turn("http://s/a").locked()
        assert not turn("http://s/b").locked()
    assert not turn("http://s/a").locked()


@pytest.mark.parametrize("method", ["DELETE", "MOVE", "COPY", "PROPPATCH"])
async def test_what_has_begun_at_the_storage_ends_though_the_client_is_gone(client_to, method):
    began, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("PROPFIND"):
            status = "207 Multi-Status" if "/shared/a " in head else "404 Not Found"
            writer.write(_answer(status, b"" if status[0] == "4" else FILE))
        else:
            began.set()
            await asyncio.sleep(0.1)
            writer.write(_answer("204 No Content", b""))
            await writer.drain()
            ended.set() if not await _left(reader) else None
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = client_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/dav")
    patch = b'<propertyupdate xmlns="DAV:"><set><prop><a xmlns="u"/></prop></set></propertyupdate>'
    body = patch if method == "PROPPATCH" else None
    asking = asyncio.create_task(client.ask(method, "/a", body, Destination=f"{HERE}/b"))
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(ended.wait(), 2)
    server.close()


FILE = (
    b'<multistatus xmlns="DAV:"><response><href>/dav/shared/a</href><propstat><prop><resourcetype/>'
    b"</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
)


def _answer(status, body):
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _left(reader):
    """Whether the other end hung up before the answer was out."""
    return reader.at_eof()


@pytest.mark.parametrize("depth", ["0", "1"])
async def test_a_listing_that_comes_encoded_is_refused(client_to, broken, depth):
    packed = gzip.compress(FILE.replace(b"/shared/a", b"/shared/"))
    broken.says("207 Multi", packed, "Content-Type: text/xml", "Content-Encoding: gzip")
    with pytest.raises(BackendFailed):
        await client_to(broken.base).ask("PROPFIND", Depth=depth)


FOUND = (
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/shared/a</D:href><D:propstat><D:prop>'
    b"<D:resourcetype/><D:getcontentlength>1</D:getcontentlength></D:prop>"
    b"<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
)
BREAKS = {"hangs up": b"", "fails": b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n"}


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("again", [False, True])
async def test_a_second_write_that_breaks_off_is_tried_again_and_loses_nothing(
    client_to, broken, breaks, again
):
    def copies():
        broken.says("200 OK", b"new")
        broken.answers.append(breaks)

    broken.lists(FOUND)
    broken.says("201 Created")
    broken.lists(FOUND)
    copies()
    if again:
        copies()
    else:
        broken.says("200 OK", b"new")
        broken.says("204 No Content")
    broken.says("204 No Content")
    client = client_to(broken.base)
    condition = {"If_Unmodified_Since": "Sun, 06 Nov 2033 08:49:37 GMT"}
    asked = client.ask("PUT", "/a", b"new", **condition)
    if again and not breaks:
        with pytest.raises(BackendUnavailable):
            await asked
    else:
        assert (await asked)[0] == (507 if again else 204)
    methods = [head.split()[0] for head in broken.heads]
    written = ["PROPFIND", "PUT", "PROPFIND", "GET", "PUT", "GET", "PUT"]
    assert methods == written + ([] if again else ["DELETE"])
