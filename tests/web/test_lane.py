"""The fast lane and the kernel's way answer to the byte as the general way does, only sooner."""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.model import Permission
from gateway.sharing.sending import Offer
from gateway.web import bodies as bodies_module
from gateway.web import lane as lane_module
from tests import servers
from tests.pair import in_process
from tests.peer import open_peer

SIZES = {"empty": 0, "small": 1000, "middle": 300_000, "mib": 1 << 20, "large": 9_000_001}


@contextlib.asynccontextmanager
async def shared(tmp_path, **public):
    """A gateway before nginx, a share of a folder, and a token for it."""
    async with contextlib.AsyncExitStack() as stack:
        storage = stack.enter_context(servers.nginx(tmp_path))
        peer = await stack.enter_async_context(open_peer())
        port = servers.free_port()
        origin = f"http://127.0.0.1:{port}"
        gateway = await stack.enter_async_context(
            in_process(
                tmp_path / "gateway",
                storage,
                public={"origin": origin, "listen": f"127.0.0.1:{port}", **public},
                storage={"quirks": {"atomic_put": True, "exact_destination": True}},
            )
        )
        folder = storage.root / "alice" / "files"
        folder.mkdir()
        folder.chmod(0o777)
        for name, size in SIZES.items():
            (folder / name).write_bytes(os.urandom(size))
        permissions = frozenset({Permission.READ, Permission.WRITE})
        share = await gateway.sending.create_share(
            Offer("alice", "/files", f"bob@{peer.authority}", permissions)
        )
        token = gateway.access.issue(share).access_token
        http = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        )
        world = Shared(f"{origin}/remote/dav/ocm/{share.provider_id}", folder, http, token, gateway)
        world.storage = storage
        yield world


class Shared:
    def __init__(self, url, folder, http, token, gateway):
        self.url, self.folder, self.http, self.token, self.gateway = (
            url, folder, http, token, gateway
        )  # fmt: skip

    async def get(self, path, **headers):
        url = URL(f"{self.url}/{path}", encoded=True)
        async with self.http.get(url, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.read()


REQUESTS = [
    *[(name, {}) for name in SIZES],
    ("large", {"Range": "bytes=10-2000000"}),
    ("small", {"Range": "bytes=10-19"}),
    ("small", {"Range": "bytes=5000-6000"}),
    ("small", {"Range": "bytes=0-1,3-4"}),
    ("small", {"If-None-Match": "*"}),
    ("small", {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    ("missing", {}),
    ("small/below", {}),
    ("small?x=1", {}),
    ("%73mall", {}),
    ("..%2fx", {}),
    ("", {}),
]


@pytest.mark.parametrize("off", ["fast_lane", "zero_copy"])
async def test_both_ways_answer_alike(tmp_path, off):
    (tmp_path / "on").mkdir()
    async with shared(tmp_path / "on") as quick:
        answers = [await quick.get(path, **headers) for path, headers in REQUESTS]
        contents = {name: (quick.folder / name).read_bytes() for name in SIZES}
    for (path, headers), (status, _, body) in zip(REQUESTS, answers, strict=True):
        if path in contents and not headers:
            assert (status, body) == (200, contents[path]), path
    (tmp_path / "off").mkdir()
    async with shared(tmp_path / "off", **{off: False}) as plain:
        for name, content in contents.items():
            (plain.folder / name).write_bytes(content)
        for (path, headers), (status, found, body) in zip(REQUESTS, answers, strict=True):
            again = await plain.get(path, **headers)
            assert (again[0], again[2]) == (status, body), path
            assert _steady(again[1]) == _steady(found), path


def _steady(headers):
    passing = {"date", "x-request-id", "etag", "last-modified"}
    return {name.lower(): value for name, value in headers.items() if name.lower() not in passing}


@pytest.mark.parametrize("least", [1, 100_000])
async def test_bodies_that_are_here_already_are_whole_too(tmp_path, monkeypatch, least):
    monkeypatch.setattr(bodies_module, "WORTHWHILE", least)
    async with shared(tmp_path) as world:
        for _ in range(3):
            for name in SIZES:
                for spelling in (name, f"%{ord(name[0]):02x}{name[1:]}"):
                    status, _, body = await world.get(spelling)
                    assert status == 200
                    assert body == (world.folder / name).read_bytes(), spelling


async def test_the_lane_is_really_taken(tmp_path, monkeypatch):
    taken = []
    get = lane_module.Lane._get
    monkeypatch.setattr(lane_module.Lane, "_get", lambda *rest: taken.append(1) or get(*rest))
    async with shared(tmp_path) as world:
        await world.get("small")  # the first one learns the token and the share
        assert (await world.get("small"))[0] == 200
        assert taken == [1]


async def test_pipelined_requests_are_answered_in_order(tmp_path):
    async with shared(tmp_path) as world:
        await world.get("small")
        url = URL(world.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        names = ["large", "small", "mib", "empty", "large"]
        for name in names:
            writer.write(
                f"GET {url.path}/{name} HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {world.token}\r\n\r\n".encode()
            )
        for name in names:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert await reader.readexactly(length) == (world.folder / name).read_bytes()
        writer.close()


async def test_a_slow_reader_gets_every_byte(tmp_path):
    async with shared(tmp_path) as world:
        await world.get("small")
        url = URL(world.url)
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=4096)
        writer.write(
            f"GET {url.path}/large HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {world.token}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        found, left = hashlib.sha256(), SIZES["large"]
        while left:
            piece = await reader.read(min(left, 50_000))
            found.update(piece)
            left -= len(piece)
            await asyncio.sleep(0.002)
        assert found.digest() == hashlib.sha256((world.folder / "large").read_bytes()).digest()
        writer.close()


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_clients_that_leave_cost_nothing(tmp_path):
    async with shared(tmp_path) as world:
        await world.get("small")
        url = URL(world.url)
        before = open_descriptors()
        for _ in range(20):
            reader, writer = await asyncio.open_connection(url.host, url.port, limit=4096)
            writer.write(
                f"GET {url.path}/large HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {world.token}\r\n\r\n".encode()
            )
            await reader.read(5000)
            writer.transport.abort()
        await asyncio.sleep(1)
        assert open_descriptors() <= before + 4
        assert (await world.get("large"))[2] == (world.folder / "large").read_bytes()


async def test_large_uploads_arrive_whole_one_after_another(tmp_path):
    async with shared(tmp_path) as world:
        for number in range(3):
            body = os.urandom(5_000_000 + number)
            async with world.http.put(
                f"{world.url}/up", data=_pieces(body), headers={"Content-Length": str(len(body))}
            ) as answer:
                assert answer.status == (204 if number else 201)
            assert (world.folder / "up").read_bytes() == body


async def _pieces(body):
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


async def test_an_upload_that_is_cut_short_replaces_nothing(tmp_path):
    async with shared(tmp_path) as world:
        (world.folder / "kept").write_bytes(b"old")
        (world.folder / "kept").chmod(0o666)
        url = URL(world.url)
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            f"PUT {url.path}/kept HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n"
            f"Authorization: Bearer {world.token}\r\n\r\n".encode()
        )
        writer.write(b"x" * 3_000_000)
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()
        await asyncio.sleep(0.5)
        assert (world.folder / "kept").read_bytes() == b"old"
        assert (await world.get("kept"))[2] == b"old"


async def test_a_storage_that_is_down_is_told_in_the_manner_of_webdav(tmp_path):
    async with shared(tmp_path) as world:
        await world.get("small")
        assert (await world.get("small"))[0] == 200
        world.storage.stop()
        status, headers, body = await world.get("small")
        assert status == 503
        assert headers["Retry-After"]
        assert b"<d:error" in body


async def test_revoking_ends_the_lane_at_once(tmp_path):
    async with shared(tmp_path) as world:
        await world.get("small")
        assert (await world.get("small"))[0] == 200
        await world.gateway.sending.revoke(world.url.rpartition("/")[2])
        assert (await world.get("small"))[0] == 404
