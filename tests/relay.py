"""A way to a storage or a server that can be held up, cut and mended, in the test's event loop.

async with relay_to(port) as relay:
    relay.hold()    # what is sent waits
    relay.free()
    relay.cut()     # nobody is let in, and who is inside is thrown out
    relay.mend()
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Relay:
    """Carries bytes both ways."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._free = asyncio.Event()
        self._free.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0
        self.port = 0

    def instead_of(self, url: str) -> str:
        """The same address, by this way."""
        return urlsplit(url)._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        self._free.clear()

    def free(self) -> None:
        self._free.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, to = await asyncio.open_connection("127.0.0.1", self._to)
            self._open |= {writer, to}
            try:
                await asyncio.gather(self._copy(reader, to, held=True), self._copy(there, writer))
            finally:
                self._open -= {writer, to}
                for end in (writer, to):
                    end.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool = False
    ) -> None:
        while data := await reader.read(65536):
            if held:
                self.waiting += 1
                await self._free.wait()
                self.waiting -= 1
            writer.write(data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """A relay that is open."""
    relay = Relay(port)
    await relay.mend()
    try:
        yield relay
    finally:
        relay.free()
        await relay.cut()
