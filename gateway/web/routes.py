"""The public listener's addresses: one table, matched on the decoded path.

aiohttp's router sees paths with dot segments already resolved; what we hand to a storage must never
have passed through such a mill. So there is one catch-all route, and this.
"""

import re
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.dav.target import RequestPath, encode_path, parse_target
from gateway.errors import Malformed, NotFound, Unsupported, WrongMethod
from gateway.web.lane import Lane
from gateway.web.middleware import Manner, visit_of

# RFC 9112 3.2: a Host that breaks the grammar is answered with 400, though we make nothing of it.
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Door = Callable[[web.BaseRequest, RequestPath], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address: its name in the metrics, its handlers by method, its manner of saying no."""

    name: str
    methods: Mapping[str, Handler]
    manner: Manner = Manner.JSON


Routes = dict[str, Route]


@dataclass(frozen=True, slots=True)
class DoorWay:
    """Everything below a path belongs to one door."""

    name: str
    path: tuple[str, ...]
    door: Door
    manner: Manner = Manner.DAV


def dispatcher(
    routes: Routes,
    doors: tuple[DoorWay, ...],
    *,
    lane: Lane | None = None,
    rest: Door | None = None,
    lost: Handler | None = None,
    authorities: Container[str] = (),
) -> Handler:
    """The one handler of the public listener.

    `lane` is asked first; what is nobody's goes to `rest`, or is not found: then `lost` tells
    people in a browser. `authorities` are ours, for targets in absolute form.
    """

    async def dispatch(request: web.BaseRequest) -> web.StreamResponse:
        if lane and (driven := await lane.drive(request)):
            return driven
        visit = visit_of(request)
        if not _HOST.fullmatch(request.headers.get("Host", "")):
            raise Malformed("the Host header does not name a host")
        if "," in request.headers.get("Transfer-Encoding", ""):
            raise Unsupported("only the chunked transfer coding is understood")
        door = next((one for one in doors if _looks_like(request.raw_path, one)), None)
        if door:
            visit.route, visit.manner = door.name, door.manner
        path = parse_target(request.raw_path, authorities)
        for one in doors:
            if path.segments[: len(one.path)] == one.path:
                visit.route, visit.manner = one.name, one.manner
                below = RequestPath(path.segments[len(one.path) :], path.slash, path.query)
                return await one.door(request, below)
        route = routes.get(encode_path(path.segments) or "/")
        if route is None and rest:
            return await rest(request, path)
        if route is None and lost and "text/html" in request.headers.get("Accept", ""):
            return await lost(request)
        if route is None:
            raise NotFound("there is nothing here")
        visit.route, visit.manner = route.name, route.manner
        method = "GET" if request.method == "HEAD" else request.method
        handler = route.methods.get(method)
        if handler is None:
            raise WrongMethod("not with this method", allow=_allow(route))
        return await handler(request)

    return dispatch


def _looks_like(raw: str, door: DoorWay) -> bool:
    """So that a path too odd to be parsed is refused in its door's manner."""
    return raw.startswith(encode_path(door.path))


def _allow(route: Route) -> tuple[str, ...]:
    return tuple(route.methods) + (("HEAD",) if "GET" in route.methods else ())
