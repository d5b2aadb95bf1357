"""The management listener: is it alive, is it ready, how does it do. Never open to the world."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.errors import GatewayError
from gateway.metrics import exposition
from gateway.policy.explaining import decision
from gateway.policy.ledger import Ledger
from gateway.policy.live import Live
from gateway.sharing.storage import Storage
from gateway.store import outbox
from gateway.store.state import State
from gateway.web.pages.operator import OperatorPages
from gateway.web.requests import json_response

_MOST_FAULTS = 20


def management_app(
    state: State,
    storage: Storage,
    live: Live,
    ledger: Ledger,
    leaving: asyncio.Event,
    pages: OperatorPages,
) -> web.Application:
    """`/livez`: the process answers. `/startupz`: the public listener is open. `/metrics`.

    `/readyz`: database and storage answer, and we are not `leaving`: then nothing new should be
    sent here, while what runs is finished. This listener opens after the public one, so whoever
    reaches it finds that open.

    `/policy/decisions/{id}`: why something was decided. A policy that cannot be used leaves the
    gateway ready, with the older one, and is told of in `/readyz`. The rest are the operator's
    pages.
    """

    async def livez(_: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        if leaving.is_set():
            return json_response({"status": "stopping"}, status=503)
        checks = {"database": await database(), "storage": await storage_answers()}
        ready = all(check == "ok" for check in checks.values())
        return json_response(
            {"status": "ok" if ready else "unavailable", "checks": checks} | troubles(),
            status=200 if ready else 503,
        )

    def troubles() -> dict[str, object]:
        faults = list(live.trouble[:_MOST_FAULTS])
        return {"policy": {"status": "older kept", "faults": faults}} if faults else {}

    async def explain(request: web.Request) -> web.Response:
        try:
            found = await ledger.by_id(request.match_info["id"])
        except GatewayError as error:
            told = {"error": {"code": error.code, "message": error.message}}
            return json_response(told, status=error.status)
        return json_response(decision(found))

    async def database() -> str:
        try:
            await state.database.read(outbox.depth)
        except GatewayError as error:
            return error.explanation
        return "ok"

    async def storage_answers() -> str:
        try:
            return "ok" if await storage.healthy() else "the storage does not answer properly"
        except GatewayError as error:
            return error.explanation

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/startupz", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/policy/decisions/{id}", explain)
    pages.add_to(app)
    return app
