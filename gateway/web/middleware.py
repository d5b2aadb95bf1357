"""Around every request: its id, its limits, its line in the log, and errors made into answers.

Failures are raised where they are noticed and rendered here and nowhere else. Each face has its own
manner: JSON for the OCM API, OAuth's words for the token endpoint, DAV:error for WebDAV.
"""

import ipaddress
import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web

from gateway import metrics, telemetry
from gateway.config import Config
from gateway.dav.message import failure
from gateway.dav.methods import READING, WRITING
from gateway.errors import (
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
    Malformed,
    Unauthorized,
    WrongMethod,
)
from gateway.logs import ADDRESS, REQUEST, STRONG, TRACE, event, writes
from gateway.rates import network_of
from gateway.telemetry import Spans
from gateway.web.requests import Written, json_response, no_store
from gateway.web.turnstile import Kind, Turnstile

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SERVER = "ocm-gateway"
_KNOWN_METHODS = frozenset({"POST", *READING, *WRITING})


# W3C Trace Context 3.2, version 00; neither id may be all zeros.
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_PROCESS = secrets.token_hex(5)
_COUNT = itertools.count(1)


class Manner(StrEnum):
    """How a face says no."""

    JSON = "json"
    OAUTH = "oauth"
    OCS = "ocs"
    DAV = "dav"
    PAGE = "page"


@dataclass(slots=True, eq=False)
class Visit:
    """What is known of one request besides its bytes.

    route: a metric's label. spent: its body was taken past aiohttp, so the connection ends with it.
    page: how a page shows its errors. kind: with whom it is counted while it is in progress.
    """

    id: str
    address: str
    kind: Kind
    transfers: Kind
    route: str = "other"
    manner: Manner = Manner.JSON
    spent: bool = False
    page: "Callable[[GatewayError], web.Response] | None" = None
    started_at: float = field(default_factory=time.monotonic)

    def flows(self) -> None:
        """It is a transfer from now on, and waits for its client more than for us."""
        if self.kind is not self.transfers:
            self.kind.now -= 1
            self.kind = self.transfers
            self.kind.now += 1

    @property
    def network(self) -> str:
        """Whom the rates count: the address, or its network."""
        return network_of(self.address)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.started_at


_VISIT = web.RequestKey("visit", Visit)


def new_id() -> str:
    """The id of one more request: unique among the processes, and cheap."""
    return f"{_PROCESS}{next(_COUNT):x}"


def visit_of(request: web.BaseRequest) -> Visit:
    """What is known of a request."""
    return request[_VISIT]


def client_address(
    request: web.BaseRequest,
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
) -> str:
    """Who is at the other end: the last hop that no trusted proxy vouches for."""
    address = request.remote or ""
    if not trusted:
        return address
    hops = [
        hop.strip()
        for line in request.headers.getall("X-Forwarded-For", [])
        for hop in line.split(",")
    ]
    while hops and within(address, trusted):
        address = hops.pop()
    return address


def within(
    address: str, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
) -> bool:
    """Whether an address is in one of the networks."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)


def trace_of(lines: Sequence[str]) -> str:
    """The trace that a caller takes part in; empty when it names none, or not properly."""
    if len(lines) != 1 or not _TRACE.fullmatch(lines[0]):
        return ""
    return lines[0]


def around(settings: Config, handler: Handler, turnstile: Turnstile, spans: Spans) -> Handler:
    """The handler with everything around it that each request of the public listener gets."""
    trusted = settings.public.trusted_proxies
    transfers = turnstile.transfers

    async def enter(request: web.BaseRequest) -> web.StreamResponse:
        kind, request_id = turnstile.kind_of(request.raw_path), new_id()
        if turnstile.full(kind):
            return kind.answer(request, request_id)
        visit = Visit(request_id, client_address(request, trusted), kind, transfers)
        kind.now += 1
        try:
            return await taken(request, visit, trace_of(request.headers.getall("traceparent", ())))
        finally:
            visit.kind.now -= 1

    async def answer(request: web.BaseRequest, visit: Visit, trace: str) -> web.StreamResponse:
        request[_VISIT] = visit
        REQUEST.set(visit.id)
        TRACE.set(trace)
        ADDRESS.set(visit.address)
        STRONG.set(None)
        try:
            response = await handler(request)
        except GatewayError as error:
            response = render(error, visit)
        except ConnectionError:
            response = _gone(request)
        except Exception as error:
            event("fault", level="error", path_length=len(request.raw_path), exc_info=error)
            response = render(GatewayError("something went wrong on our side"), visit)
        if not response.prepared:
            finish_headers(response, visit.id)
            if response.status >= 400 and request.body_exists and not request.content.is_eof():
                response.force_close()  # an unread upload is not worth draining
        if visit.spent:
            response.force_close()
            request.content.feed_eof()
        _line(request, visit, response.status)
        return response

    async def traced(request: web.BaseRequest, visit: Visit, trace: str) -> web.StreamResponse:
        method = _method_of(request)
        facts = {"http.request.method": method, "ocm.request": visit.id}
        with spans.span(method, telemetry.Kind.SERVER, facts, trace=trace) as span:
            response = await answer(request, visit, span.trace)
            span.tell(_said(response, visit), name=f"{method} {visit.route}")
            if response.status >= 500:
                span.fail(str(response.status))
        return response

    taken = traced if spans.on else answer
    return enter


def _said(response: web.StreamResponse, visit: Visit) -> dict[str, str | int]:
    """What a span tells of an answer."""
    said: dict[str, str | int] = {
        "http.route": visit.route,
        "http.response.status_code": response.status,
    }
    if decision := response.headers.get("X-Decision-Id"):
        said["ocm.decision"] = decision
    return said


def _method_of(request: web.BaseRequest) -> str:
    return request.method if request.method in _KNOWN_METHODS else "other"


@contextmanager
def alarming(backend: str) -> Iterator[None]:
    """Count what a storage, or a server that shares with us, fails at inside the block, and tell
    the operator. `backend` is storage or provider."""
    try:
        yield
    except (BackendFailed, BackendUnavailable, BackendTimeout) as error:
        metrics.backend_failures.labels(reason=error.code.lower()).inc()
        event("backend.failed", level="error", backend=backend, error=error.explanation)
        raise


def _gone(request: web.BaseRequest) -> web.StreamResponse:
    """The client went away, or its answer broke off: neither is answered any more."""
    if request.transport:
        request.transport.abort()
    request.content.feed_eof()
    return Written(499, keep_alive=False)


def finish_headers(response: web.StreamResponse, request_id: str) -> None:
    """What every answer says of itself."""
    response.headers["Server"] = SERVER
    response.headers["X-Request-Id"] = request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def _line(request: web.BaseRequest, visit: Visit, status: int) -> None:
    method = _method_of(request)
    metrics.count_request(visit.route, method, status)
    if visit.kind is not visit.transfers:
        metrics.seconds_of(visit.route).observe(visit.seconds)
    if writes("info"):
        event(
            "request",
            route=visit.route,
            method=method,
            status=status,
            address=visit.address,
            seconds=round(visit.seconds, 4),
        )


def render(error: GatewayError, visit: Visit) -> web.Response:
    """An error as the answer of the face it happened at."""
    event(
        "refused" if error.status < 500 else "failed",
        level="info" if error.status < 500 else "warning",
        status=error.status,
        error=error.code,
        message=error.message,
        detail=error.detail,
        route=visit.route,
        **({"decision": error.decision} if error.decision else {}),
    )
    match visit.manner:
        case Manner.DAV:
            answer = failure(error.status, error.message)
            assert isinstance(answer.body, bytes)
            response = web.Response(status=answer.status, body=answer.body)
            for name, value in answer.headers:
                response.headers[name] = value
        case Manner.OAUTH:
            response = _oauth(error)
        case Manner.OCS:
            meta = {"status": "failure", "statuscode": error.status, "message": error.message}
            response = json_response({"ocs": {"meta": meta, "data": []}}, status=error.status)
        case Manner.PAGE if visit.page:
            response = visit.page(error)
        case _:
            response = json_of(error, visit.id)
    headers_of(error, response)
    return response


def json_of(error: GatewayError, request_id: str) -> web.Response:
    """An error as the OCM API and our own have it."""
    body: dict[str, object] = {"message": error.message, "code": error.code, "request": request_id}
    if error.decision:
        body["decision"] = error.decision
    if isinstance(error, Malformed) and error.fields:
        body["validationErrors"] = [
            {"name": name, "message": message} for name, message in error.fields
        ]
    return json_response(body, status=error.status)


def _oauth(error: GatewayError) -> web.Response:
    """RFC 6749 5.2: 400 with one of its codes; what is not the client's fault keeps its status."""
    status = 400 if error.status in (401, 403, 404, 413) else error.status
    code = error.code if error.code.islower() else "invalid_request"
    response = json_response(
        {"error": code, "error_description": _ascii(error.message)}, status=status
    )
    no_store(response)
    return response


def _ascii(text: str) -> str:
    """RFC 6749 5.2: printable ASCII without quote and backslash."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text)


def headers_of(error: GatewayError, response: web.Response) -> None:
    """What an error says in the head of its answer."""
    if error.decision:
        response.headers["X-Decision-Id"] = error.decision
    if isinstance(error, Unauthorized):
        for challenge in error.challenges:
            response.headers.add("WWW-Authenticate", challenge)
    if isinstance(error, WrongMethod):
        response.headers["Allow"] = ", ".join(error.allow)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    elif error.status == 503:
        response.headers["Retry-After"] = "30"
