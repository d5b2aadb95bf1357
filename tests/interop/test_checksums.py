"""What arrives is what was sent, to the last byte, whichever way it goes."""

import asyncio
import contextlib
import hashlib
import os
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from gateway.errors import BackendFailed
from tests import servers
from tests.interop.certificates import certificate
from tests.interop.doors import DOORS, Shared, basic, run, shared
from tests.pair import Process, in_process, settings, write
from tests.servers import MORE_STORAGES, require

MIB = 1024**2
SIZE = int(os.environ.get("TRANSFER_MIB", "64")) * MIB
"""1024 makes it a gibibyte."""
through_each_door = pytest.mark.parametrize("door", DOORS)


@pytest.fixture(params=sorted(MORE_STORAGES))
async def share(request, tmp_path) -> AsyncIterator[Shared]:
    with MORE_STORAGES[request.param](tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            yield share


@pytest.fixture
async def at_apache(tmp_path) -> AsyncIterator[Shared]:
    with servers.apache(tmp_path) as storage:
        async with shared(tmp_path, storage) as share:
            yield share


@pytest.fixture
def original(tmp_path) -> Path:
    """A file of SIZE bytes in which no two blocks are alike."""
    file, chance = tmp_path / "original", random.Random(SIZE)
    with file.open("wb") as opened:
        for _ in range(SIZE // MIB):
            opened.write(chance.randbytes(MIB))
    return file


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


async def curl(folder: Path, headers: dict[str, str], *words: str) -> None:
    fields = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    done = await run(require("curl"), "-sSf", *fields, *words, cwd=folder)
    assert (done.code, done.output) == (0, "")


async def carry(folder: Path, original: Path, below: Path, url: str, headers: dict[str, str]):
    """Up with a length and without, down whole and in ranges: the same bytes each time."""
    wanted, source = digest(original), str(original)
    await curl(folder, headers, "-T", source, f"{url}/with-length")
    await curl(folder, headers | {"Transfer-Encoding": "chunked"}, "-T", source, f"{url}/chunked")
    for name in ("with-length", "chunked"):
        assert digest(below / name) == wanted, name
    await curl(folder, headers, "-o", "whole", f"{url}/chunked")
    assert digest(folder / "whole") == wanted
    step = SIZE // 3 + 1
    parts = []
    for at in range(0, SIZE, step):
        parts.append(folder / f"part-{at}")
        span = f"bytes={at}-{min(at + step, SIZE) - 1}"
        await curl(folder, headers | {"Range": span}, "-o", str(parts[-1]), f"{url}/with-length")
    joined = hashlib.sha256()
    for part in parts:
        joined.update(part.read_bytes())
    assert joined.hexdigest() == wanted


async def test_every_byte_arrives_at_every_storage_and_comes_back(tmp_path, share, original):
    url, headers = share.door("share")
    await carry(tmp_path, original, share.folder, url, headers)


async def test_every_byte_goes_through_both_gateways(tmp_path, at_apache, original):
    url, headers = at_apache.door("received")
    await carry(tmp_path, original, at_apache.folder, url, headers)


@through_each_door
async def test_a_slow_client_gets_and_gives_every_byte(at_apache, door):
    content = random.Random(1).randbytes(6 * MIB)
    (at_apache.folder / "slow").write_bytes(content)
    url, headers = at_apache.door(door)

    async def sipped() -> AsyncIterator[bytes]:
        for at in range(0, len(content), MIB // 2):
            await asyncio.sleep(0.1)
            yield content[at : at + MIB // 2]

    connector = aiohttp.TCPConnector(socket_factory=_narrow)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=4096) as http:
        async with http.get(f"{url}/slow", headers=headers) as answer:
            found = hashlib.sha256()
            while piece := await answer.content.read(MIB // 4):
                found.update(piece)
                await asyncio.sleep(0.05)
        assert found.digest() == hashlib.sha256(content).digest()
        async with http.put(f"{url}/up", headers=headers, data=sipped()) as answer:
            assert answer.status == 201
    assert (at_apache.folder / "up").read_bytes() == content


def _narrow(info) -> socket.socket:
    made = socket.socket(*info[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    return made


RANGES = {
    "bytes=0-0": (206, slice(0, 1)),
    "bytes=5-": (206, slice(5, None)),
    "bytes=-7": (206, slice(-7, None)),
    "bytes=999990-2000000": (206, slice(999_990, None)),
    "bytes=1000000-": (416, None),
    "bytes=0-4,10-14": (200, slice(None)),
    "bytes=5-1": (200, slice(None)),
}


@through_each_door
async def test_a_range_is_exactly_what_was_asked_for(share, door):
    content = random.Random(2).randbytes(1_000_000)
    (share.folder / "file.html").write_bytes(content)
    url, headers = share.door(door)
    async with aiohttp.ClientSession() as http:
        for wanted, (status, part) in RANGES.items():
            asked = headers | {"Range": wanted}
            async with http.get(f"{url}/file.html", headers=asked) as answer:
                assert answer.status == status, wanted
                if part is not None:
                    assert await answer.read() == content[part], wanted
        async with http.head(f"{url}/file.html", headers=headers) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "1000000")


@pytest.fixture
def behind_tls(tmp_path) -> Iterator[tuple[servers.Storage, Path]]:
    """Apache that speaks TLS only, and the authority that vouches for it."""
    trust, server = certificate(tmp_path)
    with servers.apache(tmp_path, certificate=server) as storage:
        yield storage, trust


@pytest.mark.slow
def test_every_byte_arrives_at_a_storage_behind_tls(tmp_path, behind_tls, original):
    storage, trust = behind_tls
    quirks = {"storage": {"quirks": servers.QUIRKS["apache"]}}
    (storage.root / "alice/safe").mkdir()
    (storage.root / "alice/safe").chmod(0o777)
    pair = [
        Process(
            write(tmp_path / name, settings(tmp_path / name, storage.url, **quirks)),
            environment={"SSL_CERT_FILE": str(trust)},
        )
        for name in ("sender", "receiver")
    ]
    a, b = pair
    with contextlib.ExitStack() as stack:
        for process in pair:
            process.start()
            stack.callback(process.kill)
        a.run("share", "create", "-u", "alice", "/safe", f"bob@{b.authority}", "-p", "read,write")
        [received] = b.run("received", "list")
        b.run("received", "accept", received["id"])
        url = f"{b.origin}/remote/dav/received/safe"
        headers = {"Authorization": basic("bob", servers.USERS["bob"])}
        asyncio.run(carry(tmp_path, original, storage.root / "alice/safe", url, headers))
        move = ["-X", "MOVE", "-H", f"Destination: {url}/moved", f"{url}/chunked"]
        asyncio.run(curl(tmp_path, headers, *move))
    assert digest(storage.root / "alice/safe/moved") == digest(original)


async def test_a_storage_whose_certificate_nobody_vouches_for_gets_nothing(tmp_path, behind_tls):
    storage, _ = behind_tls
    async with in_process(tmp_path / "sender", storage) as gateway:
        with pytest.raises(BackendFailed, match="certificate"):
            await gateway.storage.stat("alice", ())
        assert not await gateway.storage.healthy()


def test_a_storage_with_another_machines_certificate_gets_nothing(tmp_path):
    trust, server = certificate(tmp_path, "127.0.0.2")
    with servers.apache(tmp_path, certificate=server) as storage:
        sender = Process(
            write(tmp_path / "sender", settings(tmp_path / "sender", storage.url)),
            environment={"SSL_CERT_FILE": str(trust)},
        )
        done = sender.command("share", "create", "-u", "alice", "/", "bob@127.0.0.1:1")
        assert done.returncode != 0
        assert "certificate" in done.stdout + done.stderr
