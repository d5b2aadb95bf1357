"""Another OCM Server, as small as it can be: it publishes its key, is told of shares, and signs."""

import asyncio
import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from bench.programs import free_port
from gateway.httpsig.message import Message, sign
from gateway.httpsig.signing import SigningKey

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Peer:
    """The server, and what it was told: the bodies of POST /ocm/shares."""

    authority: str
    key: SigningKey
    told: list[dict[str, Any]] = field(default_factory=list)

    def post(self, origin: str, path: str, body: bytes, content_type: str) -> bytes:
        """A signed request, ready for the wire."""
        host = origin.removeprefix("http://")
        unsigned = Message(
            "POST", origin + path, (("Host", host), ("Content-Type", content_type)), body
        )
        nonce = secrets.token_hex(8)
        signed = sign(unsigned, self.key, int(time.time()), nonce)
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers)
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def token_request(self, origin: str, code: str) -> bytes:
        """The exchange of a code for an access token."""
        form = {"grant_type": "authorization_code", "client_id": self.authority, "code": code}
        content_type = "application/x-www-form-urlencoded"
        return self.post(origin, "/ocm/token", urlencode(form).encode(), content_type)

    def new_share(self, origin: str, recipient: str) -> bytes:
        """The notification of a share that nobody has seen before."""
        provider_id = secrets.token_hex(8)
        webdav = {
            "uri": provider_id,
            "sharedSecret": secrets.token_urlsafe(24),
            "permissions": ["read", "write"],
            "requirements": ["must-exchange-token"],
        }
        body = {
            "shareWith": f"{recipient}@{origin.removeprefix('http://')}",
            "name": f"folder {provider_id}",
            "providerId": provider_id,
            "owner": f"einstein@{self.authority}",
            "sender": f"einstein@{self.authority}",
            "shareType": "user",
            "resourceType": "folder",
            "protocol": {"name": "multi", "webdav": webdav},
        }
        return self.post(origin, "/ocm/shares", json.dumps(body).encode(), _JSON)


@contextlib.contextmanager
def listening() -> Iterator[Peer]:
    """A peer that answers from a thread of its own."""
    authority = f"127.0.0.1:{free_port()}"
    peer = Peer(authority, SigningKey.from_seed(f"{authority}#key1", os.urandom(32)))
    loop = asyncio.new_event_loop()
    runner = loop.run_until_complete(_start(peer))
    thread = threading.Thread(target=loop.run_forever, name="peer")
    thread.start()
    try:
        yield peer
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _start(peer: Peer) -> web.AppRunner:
    origin = f"http://{peer.authority}"
    webdav = {"name": "folder", "shareTypes": ["user"], "protocols": {"webdav": "/dav/"}}
    document = {
        "enabled": True,
        "apiVersion": "1.3.0",
        "endPoint": f"{origin}/ocm",
        "provider": "a peer of the benchmarks",
        "resourceTypes": [webdav, webdav | {"name": "file"}],
        "capabilities": ["exchange-token", "http-sig", "notifications", "webdav-uri"],
        "criteria": [],
        "tokenEndPoint": f"{origin}/ocm/token",
    }

    async def discovery(_: web.Request) -> web.Response:
        return web.json_response(document)

    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": [peer.key.public_jwk()]})

    async def shares(request: web.Request) -> web.Response:
        peer.told.append(await request.json())
        return web.json_response({"recipientDisplayName": "Albert"}, status=201)

    async def notifications(_: web.Request) -> web.Response:
        return web.json_response({}, status=201)

    app = web.Application()
    app.router.add_get("/.well-known/ocm", discovery)
    app.router.add_get("/.well-known/jwks.json", keys)
    app.router.add_post("/ocm/shares", shares)
    app.router.add_post("/ocm/notifications", notifications)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    host, _, port = peer.authority.partition(":")
    await web.TCPSite(runner, host, int(port)).start()
    return runner
