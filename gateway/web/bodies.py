"""Bodies that never become Python's: from 1 MiB on they move between the client's socket and the
storage's inside the kernel, where neither side speaks TLS.

Leans on two parts of aiohttp's server that its own writers use: `request.transport`, and
`request.content.read_nowait` for what had arrived before.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from aiohttp import web

from gateway import metrics
from gateway.dav.message import Lender
from gateway.policy.running import Running
from gateway.upstream.sending import Poured
from gateway.upstream.splice import WORTHWHILE, Splicer, client_end, storage_end
from gateway.web.middleware import visit_of
from gateway.web.requests import continue_if_expected

_IDLE_SECONDS = 120


class Bodies:
    """Moves bodies in the kernel, a bounded number at a time; `on` False moves none.

    Those of shares stand on the list of what runs, so that policy can end them.
    """

    def __init__(self, running: Running, *, on: bool) -> None:
        self._running = running
        self._splicer = Splicer()
        self._on = on

    def of_share(
        self,
        request: web.BaseRequest,
        share_id: str,
        admits: Callable[[str], Awaitable[bool]],
    ) -> AbstractContextManager[None]:
        """Inside the block the request is cut off as soon as its share `admits` it no more."""
        return self._running.transfer(request.transport, share_id, admits)

    def worthwhile(self, request: web.BaseRequest, length: int | None) -> bool:
        """Whether a body of that length should move in the kernel."""
        transport = request.transport
        return (
            self._on
            and length is not None
            and length >= WORTHWHILE
            and self._splicer.free
            and transport is not None
            and transport.get_extra_info("sslcontext") is None
        )

    def upload(self, request: web.BaseRequest, length: int) -> Poured:
        """The body of a request. Once it is poured the client's connection is spent: aiohttp's
        parser has not seen it."""

        async def pour(sink: socket.socket) -> None:
            await continue_if_expected(request)
            transport = _open_transport(request)
            visit_of(request).spent = True
            visit_of(request).flows()
            first = request.content.read_nowait(-1)
            transport.pause_reading()
            metrics.dav_bytes.labels("in").inc(length)
            if first:
                await asyncio.get_running_loop().sock_sendall(sink, first)
            source = client_end(_open_transport(request).get_extra_info("socket"))
            left = length - len(first)
            await self._splicer.move(source, storage_end(sink), left, idle_seconds=_IDLE_SECONDS)

        return Poured(b"", length, pour)

    async def download(self, request: web.BaseRequest, reply: Lender, head: bytes = b"") -> bool:
        """Send `head` and what is left of a reply's body; False when only `head` and the bytes at
        hand were sent and the others are still to be copied."""
        transport = _open_transport(request)
        first, lent = reply.take()
        transport.write(head + first)
        if lent is None:
            return False
        done = False
        try:
            transport.set_write_buffer_limits(0)
            await request.writer.drain()
            sink = client_end(_open_transport(request).get_extra_info("socket"))
            left = reply.length or 0
            await self._splicer.move(storage_end(lent), sink, left, idle_seconds=_IDLE_SECONDS)
            done = True
        finally:
            if not done:
                transport.abort()
            elif not transport.is_closing():
                transport.set_write_buffer_limits()
            reply.give_back(clean=done)
        return True


def _open_transport(request: web.BaseRequest) -> asyncio.Transport:
    """The client's connection; once it is closed its descriptor may be somebody else's."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    return transport
