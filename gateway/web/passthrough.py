"""In front of the whole storage: what is not the gateway's own goes there untouched.

The storage sees the caller's own credentials and its Host, as if it stood in the street itself.
Only what belongs to one connection stays behind (RFC 9110 7.6.1), and forwarding headers are added.
After an upgrade (WebSocket) bytes pass both ways until either side closes.
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway import metrics
from gateway.config import Config
from gateway.dav.client import Send
from gateway.dav.target import RequestPath
from gateway.errors import BackendUnavailable
from gateway.web.middleware import Manner, visit_of, within
from gateway.web.requests import chunks_of
from gateway.web.tunnel import tunnel

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_OURS = frozenset({"content-length", "expect", "x-forwarded-for", "x-forwarded-host"}) | {
    "x-forwarded-proto"
}
_IDLE_SECONDS = 3600
_CONNECT_SECONDS = 10


class PassThrough:
    """The door for everything that no other door or route has."""

    def __init__(self, settings: Config, send: Send) -> None:
        self._storage = URL(settings.storage.url, encoded=True).origin()
        self._scheme = URL(settings.public.origin).scheme
        self._trusted_proxies = settings.public.trusted_proxies
        headers = (settings.users.header, settings.login.mfa.header)
        self._proxy_headers = [name.lower() for name in headers if name]
        self._send = send

    async def __call__(self, request: web.BaseRequest, _: RequestPath) -> web.StreamResponse:
        """Forward one request and its answer, both streamed."""
        visit = visit_of(request)
        visit.route, visit.manner = "storage", Manner.DAV
        if request.headers.get("Upgrade") and "upgrade" in _named(request.headers):
            return await self._upgrade(request)
        headers = self._headers(request)
        body = None
        if request.body_exists:
            body = _flowing(request)
            if request.content_length is not None:
                headers["Content-Length"] = str(request.content_length)
        async with self._send(
            request.method,
            f"{self._storage}{request.raw_path}",
            headers=headers,
            body=body,
            idle_seconds=_IDLE_SECONDS,
        ) as reply:
            response = web.StreamResponse(status=reply.status)
            for name, value in _kept(reply.headers):
                response.headers.add(name, value)
            if "Content-Length" in reply.headers:
                response.headers["Content-Length"] = reply.headers["Content-Length"]
            return await _relay(request, response, reply.chunks)

    def _headers(self, request: web.BaseRequest) -> CIMultiDict[str]:
        sent = CIMultiDict(
            (name, value) for name, value in _kept(request.headers) if name.lower() not in _OURS
        )
        trusted = within(request.remote or "", self._trusted_proxies)
        if not trusted:
            # A storage may believe these headers from us; they must not come from the street.
            for name in self._proxy_headers:
                sent.popall(name, None)
        before = request.headers.getall("X-Forwarded-For", []) if trusted else []
        sent["X-Forwarded-For"] = ", ".join([*before, request.remote or "unknown"])
        sent["X-Forwarded-Proto"] = self._scheme
        sent["X-Forwarded-Host"] = request.headers.get("Host", "")
        sent.setdefault("Accept-Encoding", "identity")
        return sent

    async def _upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = visit_of(request)
        headers = self._headers(request)
        headers["Connection"] = "Upgrade"
        headers["Upgrade"] = request.headers["Upgrade"]
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    self._storage.host, self._storage.port, ssl=self._storage.scheme == "https"
                )
        except (OSError, TimeoutError) as error:
            raise BackendUnavailable("the storage cannot be reached", detail=str(error)) from error
        lines = [f"{request.method} {request.raw_path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))
        visit.flows()
        return await tunnel(request, reader, writer)


def _named(headers: CIMultiDictProxy[str]) -> frozenset[str]:
    """What the Connection header names: it belongs to this connection alone."""
    lines = headers.getall("Connection", [])
    return frozenset(word.strip().lower() for line in lines for word in line.split(","))


def _kept(headers: CIMultiDictProxy[str]) -> list[tuple[str, str]]:
    left = _HOP_BY_HOP | _named(headers)
    return [
        (name, value)
        for name, value in headers.items()
        if name.lower() not in left and name.lower() != "content-length"
    ]


async def _flowing(request: web.BaseRequest) -> AsyncIterator[bytes]:
    async for chunk in chunks_of(request, _IDLE_SECONDS):
        if not request.content.is_eof():
            visit_of(request).flows()
        yield chunk


async def _relay(
    request: web.BaseRequest, response: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    sent = metrics.dav_bytes.labels(direction="out")
    await response.prepare(request)
    visit_of(request).flows()
    try:
        async for chunk in chunks:
            sent.inc(len(chunk))
            await response.write(chunk)
    except Exception:
        if request.transport:
            request.transport.abort()
        raise
    await response.write_eof()
    return response
