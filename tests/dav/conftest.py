"""A real WebDAV server, a broken one, and the way to both."""

import asyncio
import base64
import shutil
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cheroot import wsgi
from multidict import CIMultiDict, CIMultiDictProxy
from wsgidav.wsgidav_app import WsgiDAVApp

from gateway.dav.locks import LockSeal
from gateway.dav.message import DavAnswer, DavRequest
from gateway.dav.proxy import forward
from gateway.dav.target import Profile, Target, parse_target
from gateway.upstream.pool import Pool

AUTHORIZATION = "Basic " + base64.b64encode(b"gateway:inside").decode()
MOUNT = ("remote", "dav", "ocm", "share-1")
ORIGIN = "https://gw.example"


@dataclass
class Storage:
    """A WebDAV server below /dav with the folder `shared` in it."""

    base: str
    files: Path


@pytest.fixture(scope="session")
def _storage(tmp_path_factory):
    files = tmp_path_factory.mktemp("files")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = WsgiDAVApp(
        {
            "mount_path": "/dav",
            "provider_mapping": {"/": str(files)},
            "simple_dc": {"user_mapping": {"*": {"gateway": {"password": "inside"}}}},
            "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            "lock_storage": True,
            "property_manager": True,
            "logging": {"enable": False},
            "verbose": 0,
        }
    )

    def below_dav(environ, start_response):
        environ["SCRIPT_NAME"] = ""
        if not environ["PATH_INFO"].startswith("/dav"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/dav") or "/"
        environ["SCRIPT_NAME"] = "/dav"
        return app(environ, start_response)

    server = wsgi.Server(("127.0.0.1", port), below_dav, numthreads=4)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield Storage(f"http://127.0.0.1:{port}/dav", files)
    server.stop()
    thread.join(5)


@pytest.fixture
def storage(_storage):
    """The server, with a fresh `shared` folder and a secret beside it."""
    for entry in _storage.files.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    (_storage.files / "shared" / "sub").mkdir(parents=True, exist_ok=True)
    (_storage.files / "shared" / "a b.txt").write_text("hello")
    (_storage.files / "secret.txt").write_text("secret")
    return _storage


@pytest.fixture
async def way():
    transport = Pool(idle_seconds=30)
    yield transport.request
    await transport.close()


@dataclass
class Client:
    """Speaks to a Target through `forward`, as a door would let it."""

    target: Target
    send: object
    seal: LockSeal = field(default_factory=lambda: LockSeal(b"k" * 32))

    def at(self, path: str) -> tuple[Target, bool]:
        parsed = parse_target(path)
        return replace(self.target, rel=parsed.segments), parsed.slash

    @asynccontextmanager
    async def open(self, method, path="/", body=None, length=None, **headers):
        target, slash = self.at(path)
        fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
        if isinstance(body, bytes):
            length, body = len(body), _once(body)
        request = DavRequest(method, CIMultiDictProxy(fields), body, length, slash)
        async with forward(request, target, self.send, self.seal) as answer:
            yield answer

    async def ask(self, method, path="/", body=None, **headers) -> tuple[int, dict, bytes]:
        async with self.open(method, path, body, **headers) as answer:
            return answer.status, dict(answer.headers), await whole(answer)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def whole(answer: DavAnswer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    return b"".join([chunk async for chunk in answer.body])


def make_target(base: str, **changes) -> Target:
    given = {
        "base": base,
        "root": ("shared",),
        "rel": (),
        "mount": MOUNT,
        "origin": ORIGIN,
        "authorization": AUTHORIZATION,
        "scope": "share-1",
        "writable": True,
        "label": "Holiday",
        "profile": Profile(atomic_put=False, conditional_put=True),
    }
    return Target(**(given | changes))


@pytest.fixture
def client(storage, way):
    return Client(make_target(storage.base), way)


@pytest.fixture
def client_to(way):
    return lambda base, **changes: Client(make_target(base, **changes), way)


@dataclass
class Broken:
    """A server that answers every request with the bytes it was told; remembers what came."""

    base: str
    answers: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    aborted: int = 0

    def says(self, status: str, body: bytes = b"", *fields: str, length: int | None = None):
        size = len(body) if length is None else length
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *fields]
        self.answers.append("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def lists(self, body: bytes, kind: str = "application/xml"):
        self.says("207 Multi-Status", body, f"Content-Type: {kind}")


@pytest.fixture
async def broken():
    state = Broken("")

    async def serve(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            state.heads.append(head)
            length = [
                int(line.split(":")[1])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            ]
            if length:
                await reader.readexactly(length[0])
            writer.write(state.answers.pop(0) if len(state.answers) > 1 else state.answers[0])
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            state.aborted += 1
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/dav"
    yield state
    server.close()
