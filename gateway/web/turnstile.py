"""How many requests may be in progress at once; who comes on top of that is sent away at once.

A server that takes more than it can do makes everybody wait, until all have given up. So each kind
of request has a bound, and how long those inside wait is bounded with it. The others get 503 with
Retry-After, for as little work as can be: before anything is read, looked up or logged.

A request that has become a transfer (its answer flows, or its body is long) leaves its place to
others: it waits for a client, not for us. Transfers are bounded as well, by letting in nobody who
might begin one; one that runs is never ended. The management listener has no bounds.
"""

import asyncio
import json

from aiohttp import web

from gateway import metrics
from gateway.config import Config
from gateway.dav.message import failure
from gateway.logs import event
from gateway.web.requests import Written

_WATCH_SECONDS = 1
_SPREAD_SECONDS = 5
"""Retry-After goes round from 1 to this, so that not all come back together."""
_SAID = "too many requests at once; try again in a moment"


class Kind:
    """Requests that share a bound: how many are inside now, how many may be, how many were shed."""

    __slots__ = ("_content", "most", "name", "now", "shed")

    def __init__(self, name: str, most: int, content: tuple[str, bytes] = ("", b"")) -> None:
        """`content` is the type and the body of what those who are shed are told."""
        self.name = name
        self.most = most
        self.now = 0
        self.shed = 0
        self._content = content

    def answer(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        """Tell one that it came on top: written at once, as the fast lane does."""
        self.shed += 1
        content_type, body = self._content
        read = not request.body_exists or request.content.is_eof()
        stays = request.keep_alive and read and request.version == (1, 1)
        connection = "" if stays else "Connection: close\r\n"
        head = (
            "HTTP/1.1 503 Service Unavailable\r\n"
            f"Retry-After: {self.shed % _SPREAD_SECONDS + 1}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            f"{connection}Cache-Control: no-store\r\nServer: ocm-gateway\r\n"
            f"X-Request-Id: {request_id}\r\n\r\n"
        ).encode("ascii")
        if request.transport:
            request.transport.write(head if request.method == "HEAD" else head + body)
        return Written(503, keep_alive=stays)


class Turnstile:
    """The bounds of one listener. `transfers` counts those that flow."""

    def __init__(self, settings: Config) -> None:
        limits, paths = settings.limits, settings.public.paths
        self.transfers = Kind("transfers", limits.transfers_at_once)
        self._ocm = Kind("ocm", limits.ocm_at_once, _in_json())
        self._webdav = Kind("webdav", limits.webdav_at_once, _in_xml())
        self._pages = Kind("pages", limits.pages_at_once, ("text/plain", f"{_SAID}\n".encode()))
        self._dav = (paths.shares, paths.received)
        self._api = (paths.ocm, "/.well-known/", "/ocm-provider")
        self._rest = self._webdav if settings.storage.pass_through else self._pages
        self._own = settings.pages_path if settings.storage.pass_through else None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All of them."""
        return (self._ocm, self._webdav, self._pages, self.transfers)

    def kind_of(self, raw_path: str) -> Kind:
        """Whom a request is counted with, by the address as it was sent."""
        if raw_path.startswith(self._dav):
            return self._webdav
        if raw_path.startswith(self._api):
            return self._ocm
        if self._own and raw_path.startswith(self._own):
            return self._pages
        return self._rest

    def full(self, kind: Kind) -> bool:
        """Whether one more of a kind would be one too many."""
        if kind.now >= kind.most:
            return True
        return self.transfers.now >= self.transfers.most and kind is not self._ocm

    async def watch(self) -> None:
        """Bring the metrics up to date, and tell the operator of who was shed: once a second, since
        doing it for each request would cost what there is too little of."""
        seen = dict.fromkeys(self.kinds, 0)
        while True:
            for kind in self.kinds:
                self._tell(kind, kind.shed - seen[kind])
                seen[kind] = kind.shed
            await asyncio.sleep(_WATCH_SECONDS)

    def _tell(self, kind: Kind, shed: int) -> None:
        metrics.in_progress.labels(kind.name).set(kind.now)
        metrics.shed.labels(kind.name).inc(shed)
        if shed:
            event("shed", level="warning", kind=kind.name, requests=shed, most=kind.most)


def _in_json() -> tuple[str, bytes]:
    return "application/json", json.dumps({"message": _SAID, "code": "OVERLOADED"}).encode()


def _in_xml() -> tuple[str, bytes]:
    answer = failure(503, _SAID)
    assert isinstance(answer.body, bytes)
    return dict(answer.headers)["Content-Type"], answer.body
