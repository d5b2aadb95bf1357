"""A simulated server on a port: its faces, and the ones by which it is played.

Below /simulate people and tests play it; only this machine is answered there.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from gateway.errors import Malformed
from gateway.simulate import acting, files, hearing, signing
from gateway.simulate.documents import Unreadable
from gateway.simulate.files import Answer
from gateway.simulate.hearing import Refusal
from gateway.simulate.judging import loopback
from gateway.simulate.peers import PEERS
from gateway.simulate.quirks import Peer, Signs
from gateway.simulate.state import Seen, Simulation, parse

CONTROL = "/simulate"
_MOST_BYTES = 64 << 20
_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Log in</title></head><body></body></html>"

Face = Callable[[Simulation, Seen], Awaitable[Answer]]


@asynccontextmanager
async def open_simulation(
    name: str, listen: str = "127.0.0.1:0", folder: Path | None = None
) -> AsyncIterator[Simulation]:
    """A server of that kind, listening. Raises Malformed for a name that is not in the table."""
    if name not in PEERS:
        raise Malformed(f"there is no {name}; the table has {', '.join(PEERS)}")
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise Malformed(f"{listen} is not host:port")
    worlds: list[Simulation] = []

    async def face(request: web.Request) -> web.StreamResponse:
        return await _face(worlds[0], request)

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_route("*", "/{path:.*}", face)
    async with AsyncExitStack() as stack:
        home = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files.furnish(home)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        authority = f"{host}:{runner.addresses[0][1]}"
        worlds.append(
            Simulation(PEERS[name], authority, home, session, keys_of(PEERS[name], authority))
        )
        yield worlds[0]


def keys_of(peer: Peer, authority: str) -> dict[Signs, signing.Key]:
    """The keys of a server: one for each scheme that it knows."""
    scheme = "http" if loopback(authority) else "https"
    names = {"authority": authority, "origin": f"{scheme}://{authority}"}
    keys = {}
    if peer.signs is Signs.RFC9421:
        keys[Signs.RFC9421] = signing.generate(peer.key, peer.key_id.format(**names))
    if peer.public_key:
        kid = "{origin}/ocm#signature".format(**names)
        keys[Signs.CAVAGE] = signing.generate("rsa", kid)
    return keys


async def _face(world: Simulation, request: web.Request) -> web.StreamResponse:
    headers = {name.lower(): value for name, value in request.headers.items()}
    seen = Seen(request.method, request.raw_path, headers, await request.read())
    path = request.raw_path.partition("?")[0]
    if path == CONTROL or path.startswith(f"{CONTROL}/"):
        return await _played(world, request, path.removeprefix(CONTROL).strip("/"), seen.body)
    world.remember(seen)
    try:
        answer = await _answer(world, seen, path)
    except Refusal as refusal:
        answer = Answer(
            refusal.status,
            json.dumps({"message": refusal.reason}).encode(),
            (("Content-Type", "application/json"),),
        )
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


async def _answer(world: Simulation, seen: Seen, path: str) -> Answer:
    peer = world.peer
    if seen.method == "GET" and path in peer.documents:
        return _document(world.document(seen.headers.get("user-agent", "")))
    if seen.method == "GET" and path in peer.moved:
        return Answer(301, headers=(("Location", peer.documents[0]),))
    if seen.method == "GET" and peer.jwks and path == peer.jwks:
        return _document({"keys": [world.keys[Signs.RFC9421].jwk()]})
    face = _faces(peer).get(path) if seen.method == "POST" else None
    if face:
        return await face(world, seen)
    if f"{path.rstrip('/')}/".startswith(f"{world.root}/"):
        return await asyncio.to_thread(hearing.serve, world, seen)
    if peer.login_pages and path.startswith(peer.login_pages):
        return Answer(200, _LOGIN_PAGE.encode(), (("Content-Type", "text/html; charset=UTF-8"),))
    return Answer(404)


def _faces(peer: Peer) -> dict[str, Face]:
    api = peer.end_point.rstrip("/")
    faces: dict[str, Face] = {
        f"{api}/shares": hearing.receive_share,
        f"{api}/notifications": hearing.receive_notification,
    }
    if peer.invites:
        faces[f"{api}/invite-accepted"] = hearing.receive_acceptance
    if peer.token:
        faces[peer.token] = hearing.receive_token_request
    if peer.ocs:
        faces[peer.ocs] = hearing.receive_ocs
    return faces


def _document(body: object) -> Answer:
    return Answer(200, json.dumps(body).encode(), (("Content-Type", "application/json"),))


async def _played(
    world: Simulation, request: web.Request, verb: str, body: bytes
) -> web.StreamResponse:
    """The control face: what its user does, by POST and JSON."""
    if not loopback(request.remote or ""):
        return web.json_response({"error": "only from this machine"}, status=403)
    if request.method == "GET" and not verb:
        return web.json_response(acting.described(world))
    try:
        return web.json_response(await _play(world, verb, parse(body)))
    except KeyError as error:
        return web.json_response({"error": f"there is no {error}"}, status=404)
    except Unreadable as error:
        return web.json_response({"error": str(error)}, status=502)


async def _play(world: Simulation, verb: str, said: dict[str, Any]) -> dict[str, Any]:
    """One verb. Raises KeyError for an unknown verb, member or share."""
    match verb:
        case "share":
            sent = await acting.share(world, said["shareWith"], said["path"])
            return {"id": sent.provider_id, "state": sent.state, "statuses": sent.statuses}
        case "accept" | "decline":
            accept = verb == "accept"
            return {"answered": await acting.decide(world, said["id"], accept=accept)}
        case "unshare":
            return {"answered": await acting.unshare(world, said["id"])}
        case "open":
            method, path = said.get("method", "GET"), said.get("path", "")
            text = said.get("body", "").encode()
            reply = await acting.open_share(world, said["id"], method, path, text)
            return {"status": reply.status, "body": reply.body.decode(errors="replace")}
        case "invite":
            return {"invite": acting.create_invite(world)}
        case "accept-invite":
            status, contact = await acting.accept_invite(world, said["invite"])
            return {"status": status, "contact": contact}
    raise KeyError(verb)
