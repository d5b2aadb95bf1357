"""A storage that says what the test wants, and counted descriptors."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Caller:
    """One connection, as the scripted storage sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def request(self) -> bytes:
        """The head of the next request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def cut(self) -> None:
        self.writer.transport.abort()


@dataclass
class Scripted:
    """Where the scripted storage is and what came to it."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def scripted(script, **options) -> AsyncIterator[Scripted]:
    """A storage that lets `script(caller)` deal with each connection and closes it afterwards."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        place.connections += 1
        caller = Caller(reader, writer, place.connections)
        try:
            await script(caller)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    scheme = "https" if "ssl" in options else "http"
    host = "localhost" if "ssl" in options else "127.0.0.1"
    place = Scripted(f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}")
    try:
        yield place
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


def answering(*answers: bytes):
    """A script that gives each request without a body the next answer, the last one for ever."""

    async def script(caller: Caller) -> None:
        for number in range(1000):
            await caller.request()
            await caller.say(answers[min(number, len(answers) - 1)])

    return script


def once(answer: bytes):
    """A script that answers one request and closes."""

    async def script(caller: Caller) -> None:
        await caller.request()
        await caller.say(answer)

    return script


def ok(body: bytes, *fields: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def whole(reply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks])


def descriptors() -> int:
    """How many sockets and pipes this process holds."""
    gc.collect()
    kinds = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            kinds.append(str(entry.readlink()))
    return sum(kind.startswith(("socket:", "pipe:")) for kind in kinds)


async def settled(before: int) -> bool:
    """Whether no more descriptors are open than before, in a little while."""
    for _ in range(100):
        if descriptors() <= before:
            return True
        await asyncio.sleep(0.01)
    return False
