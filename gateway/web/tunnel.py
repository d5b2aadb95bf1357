"""A connection handed over: after an upgrade, bytes pass both ways and mean nothing to us.

Leans on two parts of aiohttp's server that are not public, `_message_tail` and the protocol's own
`connection_lost`; `tests/web/test_passthrough.py` watches them.
"""

import asyncio

from aiohttp import web

_CHUNK_BYTES = 64 * 1024


class _Street(asyncio.Protocol):
    """The client's side, in place of aiohttp's protocol."""

    def __init__(self, before: asyncio.Protocol, writer: asyncio.StreamWriter) -> None:
        self._before = before
        self._writer = writer
        self._writable = asyncio.Event()
        self._writable.set()
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._writer.write(data)

    def eof_received(self) -> bool:
        if self._writer.can_write_eof():
            self._writer.write_eof()
        return True

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()
        self._writable.set()
        self._before.connection_lost(error)

    async def writable(self) -> None:
        await self._writable.wait()


async def tunnel(
    request: web.BaseRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> web.StreamResponse:
    """Join the client's connection with that of `reader` and `writer` until one side closes."""
    protocol, transport = request.protocol, request.transport
    assert transport is not None
    street = _Street(protocol, writer)
    transport.set_protocol(street)
    transport.resume_reading()
    writer.write(protocol._message_tail)  # noqa: SLF001
    inward = asyncio.create_task(_inward(reader, transport, street))
    outward = asyncio.create_task(street.closed.wait())
    try:
        await asyncio.wait({inward, outward}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        inward.cancel()
        outward.cancel()
        writer.close()
        transport.close()
    response = web.Response(status=101)
    response.force_close()
    return response


async def _inward(
    reader: asyncio.StreamReader, transport: asyncio.Transport, street: _Street
) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        await street.writable()
        transport.write(data)
