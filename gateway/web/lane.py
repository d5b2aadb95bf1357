"""The fast lane: reading files of a share, when nothing about the request is odd.

All of this is also done by the general way (`web/webdav.py` and `dav/`), with more care for odd
cases. The lane takes a request only when both would do the same, and hands it back untouched
otherwise; what it saves is the work that a plain file does not need.

It leans on aiohttp taking a StreamResponse whose `prepare` and `write_eof` do nothing for one that
was sent, and on writing to `request.transport`. `tests/web/test_lane.py` watches that;
`public.fast_lane: false` does without.
"""

import re
from http import HTTPStatus

from aiohttp import web

from gateway import metrics
from gateway.dav import headers as fields
from gateway.dav.target import Target
from gateway.errors import GatewayError
from gateway.logs import event
from gateway.sharing.access import Access
from gateway.sharing.accesses import Accesses
from gateway.upstream.reply import Reply
from gateway.upstream.way import Way
from gateway.web.bodies import Bodies
from gateway.web.middleware import SERVER, Manner, alarming, visit_of
from gateway.web.requests import Written

_NAME = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,200}"
_PLAIN_PATH = re.compile(rf"({_NAME})((?:/{_NAME}){{1,50}})")
"""An id and a path below it that are the same encoded and decoded, at every storage."""
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_FIXED = "".join(f"{name}: {value}\r\n" for name, value in (("Server", SERVER), *fields.ON_CONTENT))


class Lane:
    """GET of plain files at the door of what we share out."""

    def __init__(
        self, door: str, access: Access, accesses: Accesses, way: Way, bodies: Bodies
    ) -> None:
        """`door` is the public path of the shares, with a slash at its end."""
        self._door = door
        self._access = access
        self._accesses = accesses
        self._way = way
        self._bodies = bodies
        self._latency = metrics.backend_latency.labels("storage", "GET")
        self._out = metrics.dav_bytes.labels("out")

    async def drive(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The answer, or None for a request that belongs on the general way."""
        if request.method != "GET" or not request.raw_path.startswith(self._door):
            return None
        found = _PLAIN_PATH.fullmatch(request.raw_path, len(self._door))
        if found is None or request.version != (1, 1) or request.body_exists:
            return None
        visit = visit_of(request)
        visit.route, visit.manner = "dav.shares", Manner.DAV
        authorizations = request.headers.getall("Authorization", ())
        target = self._access.remembered(authorizations, found[1], found[2])
        if target is None:
            return None
        with alarming("storage"):
            return await self._get(request, target, found[2])

    async def _get(
        self, request: web.BaseRequest, target: Target, below: str
    ) -> web.StreamResponse | None:
        sent = fields.for_storage("GET", request.headers, target)
        visit = visit_of(request)
        async with self._way.request("GET", target.url, headers=sent) as reply:
            if not _is_content(reply, sent.get("Range")):
                return None
            self._latency.observe(visit.seconds)
            stays = request.keep_alive
            head = _head(reply, visit.id, stays=stays)
            self._accesses.note(target.scope, "GET", below[1:], reply.length or 0)
            if reply.length == reply.ready:
                await self._relay(request, reply, head)
            else:
                visit.flows()
                with self._bodies.of_share(request, target.scope, self._access.admits):
                    await self._relay(request, reply, head)
            return Written(reply.status, keep_alive=stays)

    async def _relay(self, request: web.BaseRequest, reply: Reply, head: bytes) -> None:
        """Head and body to the client, in as few writes as possible."""
        length = reply.length
        self._out.inc(length or 0)
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        try:
            if self._bodies.worthwhile(request, length):
                if await self._bodies.download(request, reply, head):
                    return
            elif length == reply.ready:
                transport.write(head + reply.take()[0])
                return
            else:
                transport.write(head)
            async for piece in reply.chunks:
                if transport.is_closing():
                    raise ConnectionResetError("the client is gone")
                transport.write(piece)
                if transport.get_write_buffer_size():
                    await request.writer.drain()
        except GatewayError as error:
            # Ending the answer now would make a part look like the whole.
            event("body.broken", level="warning", error=error.explanation)
            transport.abort()
            raise ConnectionResetError("the body broke off") from error


def _is_content(reply: Reply, asked: str | None) -> bool:
    """A file or the range of it, of known length, and surely no page about a folder."""
    found = reply.headers
    part = reply.status == 206 and fields.answers(asked, found.get("Content-Range", ""))
    return (
        (reply.status == 200 or part)
        and reply.length is not None
        and "Content-Encoding" not in found
        and ("ETag" in found or "Last-Modified" in found)
    )


def _head(reply: Reply, request_id: str, *, stays: bool) -> bytes:
    kept = "".join([f"{name}: {value}\r\n" for name, value in fields.for_client(reply.headers)])
    connection = "" if stays else "Connection: close\r\n"
    return (
        f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}\r\nContent-Length: {reply.length}\r\n"
        f"{kept}{_FIXED}{connection}X-Request-Id: {request_id}\r\n\r\n"
    ).encode("ascii")
