"""What did not arrive whole did not arrive, whoever dies in the middle."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from tests import servers
from tests.interop.doors import DOORS, Shared, basic, shared
from tests.pair import eventually, running
from tests.servers import MORE_STORAGES

MIB = 1024**2
HALF = 4 * MIB
"""What is sent of an upload before it breaks off."""
SETTLING_SECONDS = 1.0
through_each_door = pytest.mark.parametrize("door", DOORS)


@pytest.fixture(params=sorted(MORE_STORAGES))
async def share(request, tmp_path) -> AsyncIterator[Shared]:
    with MORE_STORAGES[request.param](tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            yield share


class Upload:
    """A PUT by hand, which can stop where no client library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunked: bool):
        self.reader, self.writer, self.chunked = reader, writer, chunked

    async def send(self, data: bytes) -> None:
        for at in range(0, len(data), 64 * 1024):
            piece = data[at : at + 64 * 1024]
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece
            self.writer.write(framed)
            await self.writer.drain()

    async def status(self) -> int:
        """The answer's status; 0 when the connection breaks instead."""
        try:
            line = await asyncio.wait_for(self.reader.readline(), 20)
        except ConnectionError:
            return 0
        return int(line.split()[1]) if line else 0


@contextlib.asynccontextmanager
async def upload(url: str, headers: dict[str, str], *, length: int | None) -> AsyncIterator[Upload]:
    parts = URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    framing = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": length}
    fields = "".join(f"{name}: {value}\r\n" for name, value in (headers | framing).items())
    head = f"PUT {parts.raw_path} HTTP/1.1\r\nHost: {parts.authority}\r\n{fields}\r\n"
    writer.write(head.encode())
    try:
        yield Upload(reader, writer, length is None)
    finally:
        writer.transport.abort()


@through_each_door
async def test_of_an_upload_whose_client_dies_nothing_remains(share, door):
    url, headers = share.door(door)
    (share.folder / "old-length").write_bytes(b"old")
    (share.folder / "old-chunked").write_bytes(b"old")
    names = {"old-length": 64 * MIB, "new-length": 64 * MIB, "old-chunked": None}
    names["new-chunked"] = None
    async with contextlib.AsyncExitStack() as stack:
        for name, length in names.items():
            sending = await stack.enter_async_context(
                upload(f"{url}/{name}", headers, length=length)
            )
            await sending.send(os.urandom(HALF))
        await asyncio.sleep(0.3)  # all of it shall have reached the storage
    await asyncio.sleep(SETTLING_SECONDS)
    await eventually(lambda: _contents(share) == {"old-length": b"old", "old-chunked": b"old"})


def _contents(share: Shared) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in share.folder.iterdir() if file.is_file()}


@through_each_door
async def test_a_download_whose_storage_dies_is_never_taken_for_whole(share, door):
    with (share.folder / "big").open("wb") as file:
        file.truncate(256 * MIB)
    url, headers = share.door(door)
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/big", headers=headers) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(256 * MIB)
        await answer.content.readexactly(MIB)
        share.storage.kill()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@through_each_door
async def test_an_upload_whose_storage_dies_is_an_error_and_no_file(share, door):
    url, headers = share.door(door)
    async with upload(f"{url}/lost", headers, length=64 * MIB) as sending:
        await sending.send(os.urandom(HALF))
        await asyncio.sleep(0.3)
        share.storage.kill()
        with contextlib.suppress(ConnectionError):
            await sending.send(os.urandom(HALF))
        assert await sending.status() not in range(200, 300)
    assert not (share.folder / "lost").exists()
    share.storage.start()
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/lost", headers=headers) as answer:
            assert answer.status == 404
        async with http.put(f"{url}/lost", headers=headers, data=b"found") as answer:
            assert answer.status in (201, 204)
    assert (share.folder / "lost").read_bytes() == b"found"


@through_each_door
async def test_an_upload_that_lacks_its_last_byte_is_no_upload(share, door):
    url, headers = share.door(door)
    (share.folder / "old-length").write_bytes(b"old")
    (share.folder / "old-chunked").write_bytes(b"old")
    for name, length in {"old-length": MIB + 1, "new-length": MIB + 1, "nothing": 5}.items():
        async with upload(f"{url}/{name}", headers, length=length) as sending:
            await sending.send(b"" if name == "nothing" else bytes(MIB))
            sending.writer.write_eof()
            assert await sending.status() not in range(200, 300)
    for name in ("old-chunked", "new-chunked"):
        async with upload(f"{url}/{name}", headers, length=None) as sending:
            await sending.send(bytes(MIB))  # and not the chunk that would end it
            sending.writer.write_eof()
            assert await sending.status() not in range(200, 300)
    await asyncio.sleep(SETTLING_SECONDS)
    await eventually(lambda: _contents(share) == {"old-length": b"old", "old-chunked": b"old"})


@through_each_door
async def test_of_many_writers_one_wins_whole(share, door):
    url, headers = share.door(door)
    bodies = [bytes([number]) * MIB for number in range(8)]
    async with aiohttp.ClientSession(headers=headers) as http:

        async def put(body: bytes) -> int:
            async with http.put(f"{url}/contested", data=body) as answer:
                return answer.status

        answers = await asyncio.gather(*map(put, bodies))
    # WsgiDAV stumbles over a second MOVE while it does the first, and says 500.
    assert set(answers) <= {201, 204, 409, 412, 423, 500}
    written = [body for body, status in zip(bodies, answers, strict=True) if status < 300]
    [(name, content)] = _contents(share).items()
    assert name == "contested"
    assert content in written


@through_each_door
async def test_a_listing_whose_storage_dies_is_never_taken_for_whole(tmp_path, door):
    with servers.apache(tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            for number in range(20_000):
                (share.folder / f"a file with a name that is rather long {number}").touch()
            url, headers = share.door(door)
            async with (
                aiohttp.ClientSession(read_bufsize=4096) as http,
                http.request("PROPFIND", f"{url}/", headers=headers | {"Depth": "1"}) as answer,
            ):
                assert answer.status == 207
                await answer.content.readexactly(1024)
                storage.kill()
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()


async def test_a_file_that_shrinks_while_it_is_read_is_a_broken_download(tmp_path):
    with servers.apache(tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            with (share.folder / "log").open("wb") as file:
                file.truncate(256 * MIB)
            url, headers = share.door("received")
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{url}/log", headers=headers) as answer,
            ):
                await answer.content.readexactly(MIB)
                os.truncate(share.folder / "log", 2 * MIB)
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()


@pytest.mark.parametrize("name", ["apache", "wsgidav"])
def test_an_upload_whose_gateway_is_killed_is_an_error_and_no_file(tmp_path, name):
    quirks = {"storage": {"quirks": servers.QUIRKS[name]}}
    with (
        MORE_STORAGES[name](tmp_path) as storage,
        running(tmp_path / "a", storage.url, **quirks) as a,
        running(tmp_path / "b", storage.url, **quirks) as b,
    ):
        folder = storage.root / "alice/kept"
        folder.mkdir()
        folder.chmod(0o777)
        (folder / "old").write_bytes(b"old")
        a.run("share", "create", "-u", "alice", "/kept", f"bob@{b.authority}", "-p", "read,write")
        [received] = b.run("received", "list")
        b.run("received", "accept", received["id"])
        headers = {"Authorization": basic("bob", servers.USERS["bob"])}
        url = f"{b.origin}/remote/dav/received/kept"

        async def broken() -> None:
            for name, length in {"old": 64 * MIB, "new": None}.items():
                async with upload(f"{url}/{name}", headers, length=length) as sending:
                    await sending.send(os.urandom(HALF))
                    await asyncio.sleep(0.3)
                    a.kill()
                    with contextlib.suppress(ConnectionError):
                        await sending.send(os.urandom(HALF))
                    assert await sending.status() not in range(200, 300)
                a.start()

        asyncio.run(broken())
        time.sleep(SETTLING_SECONDS)
        # What was under way may stay behind under its temporary name.
        assert [file.name for file in folder.glob("[!.]*")] == ["old"]
        assert (folder / "old").read_bytes() == b"old"
