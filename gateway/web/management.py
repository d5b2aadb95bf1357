"""The management listener: is it alive, is it ready, how does it do. Never open to the world."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.dav.target import RequestPath, parse_target
from gateway.errors import GatewayError
from gateway.metrics import exposition
from gateway.policy.explaining import decision
from gateway.settings import Reading
from gateway.store import facts, outbox
from gateway.store.database import Database
from gateway.web.front import Desk, Front
from gateway.web.middleware import headers_of, json_of
from gateway.web.pages import policy
from gateway.web.pages.frame import MOST_FORM_BYTES, Frame
from gateway.web.requests import json_response
from gateway.web.static import Static

Part = TypeVar("Part")

_MOST_FAULTS = 20
_PATIENCE_SECONDS = 5
"""Who probes gives up after some seconds; it should hear what is missing before that."""


def management_app(front: Front, reading: Reading) -> web.Application:
    """`/livez`: the process answers. `/startupz`: the public listener is open. `/metrics`.

    `/readyz`: the storage answers, the database does and takes writes again after one that failed,
    and we are not leaving: then nothing new should be sent here, while what runs is finished. This
    listener opens after the public one, so whoever reaches it finds that open.

    `/policy/decisions/{id}`: why something was decided. `/api/v1`: what operators do, described in
    `/api/v1/openapi.json`. A configuration or policy that cannot be
    used leaves the gateway ready, with the older one, and is told of in `/readyz`. The rest are
    the operator's pages.
    """

    async def livez(_: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        if front.leaving.is_set():
            return json_response({"status": "stopping"}, status=503)
        checks = {"database": await database(), "storage": await storage_answers()}
        ready = all(check == "ok" for check in checks.values())
        return json_response(
            {"status": "ok" if ready else "unavailable", "checks": checks} | troubles(),
            status=200 if ready else 503,
        )

    def troubles() -> dict[str, object]:
        found = {"policy": front.shift.desk.live.trouble, "configuration": reading.faults}
        return {
            name: {"status": "older kept", "faults": list(faults[:_MOST_FAULTS])}
            for name, faults in found.items()
            if faults
        }

    async def explain(request: web.Request) -> web.Response:
        try:
            found = await front.shift.desk.ledger.by_id(request.match_info["id"])
        except GatewayError as error:
            told = {"error": {"code": error.code, "message": error.message}}
            return json_response(told, status=error.status)
        return json_response(decision(found))

    async def api(request: web.Request) -> web.Response:
        try:
            path = parse_target(request.raw_path)
            below = RequestPath(path.segments[2:], path.slash, path.query)
            return await front.shift.desk.api.door(request, below)
        except GatewayError as error:
            response = json_of(error, secrets.token_hex(8))
            headers_of(error, response)
            return response

    async def database() -> str:
        held = front.shift.desk.state.database
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await _try(held)
        except TimeoutError:
            return "the database does not answer in time"
        except GatewayError as error:
            return error.explanation
        return "ok"

    async def storage_answers() -> str:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                healthy = await front.shift.desk.storage.healthy()
            return "ok" if healthy else "the storage does not answer properly"
        except TimeoutError:
            return "the storage does not answer in time"
        except GatewayError as error:
            return error.explanation

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=MOST_FORM_BYTES)
    app.router.add_get("/livez", livez)
    app.router.add_get("/startupz", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/policy/decisions/{id}", explain)
    for path, page in front.shift.desk.pages.items():
        app.router.add_get(path, _page(front, path))
        if page.post:
            app.router.add_post(path, _page(front, path))
    for path, look in policy.ADDRESSES:
        app.router.add_get(path, _shown(front, lambda desk: desk.policy, look))
    for path, post in policy.FORMS:
        app.router.add_post(path, _shown(front, lambda desk: desk.policy, post))
    app.router.add_route("*", "/api/v1/{operation:.*}", api)
    app.router.add_get("/login", _shown(front, lambda desk: desk.frame, Frame.log_in))
    for path, route in Static("").routes().items():
        app.router.add_get(path, route.methods["GET"])
    return app


def _page(front: Front, path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """One of the operator's pages, as the present settings have it."""

    async def show(request: web.Request) -> web.Response:
        page = front.shift.desk.pages[path]
        do = page.post if request.method == "POST" else page.get
        assert do is not None
        return await front.shift.desk.frame.answer(request, do)

    return show


def _shown(
    front: Front,
    part: Callable[[Desk], Part],
    do: Callable[[Part, web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """What a part of the desk answers."""

    async def show(request: web.Request) -> web.Response:
        desk = front.shift.desk
        return await desk.frame.answer(request, partial(do, part(desk)))

    return show


async def _try(database: Database) -> None:
    """Read, or write when that failed before. Raises Unavailable."""
    if database.failing:
        await database.write(facts.try_out)
        database.failing = False
    else:
        await database.read(outbox.depth)
