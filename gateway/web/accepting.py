"""Connections are taken in as they come, however busy we are.

uvloop takes in one connection each time round its loop (libuv since 1.45). A busy process needs
long for a round, so that whoever comes anew would wait for seconds, while those who are connected
already are served. Here the listening sockets are watched once more, and emptied.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from gateway.logs import event

_AT_ONCE = 128
_PAUSE_SECONDS = 1
_GRACE_SECONDS = 1
"""How long who has just connected may take to ask; who is idle after it is let go."""


class OpenSite(web.TCPSite):
    """aiohttp's site, which takes in up to a hundred connections at once."""

    _doors: "Sequence[_Door]" = ()

    async def start(self) -> None:
        """Listen."""
        await super().start()
        server: Any = self._server  # asyncio's, or uvloop's
        factory = self._runner.server
        assert factory is not None
        self._doors = [
            _Door(socket.socket(fileno=os.dup(one.fileno())), factory) for one in server.sockets
        ]

    async def stop(self) -> None:
        """Listen no more. Who is connected by then is answered: with another worker on the port,
        or another gateway that was started to follow this one, nobody is turned away."""
        await super().stop()  # the doors still hold the sockets
        await asyncio.sleep(0)
        for door in self._doors:
            await door.close()
        if self._reuse_port:
            await asyncio.sleep(_GRACE_SECONDS)


class _Door:
    """One more look at a listening socket."""

    def __init__(self, listening: socket.socket, factory: web.Server) -> None:
        self._listening = listening
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._look()

    async def close(self) -> None:
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._take()
        self._loop.remove_reader(self._listening.fileno())
        if self._pause:
            self._pause.cancel()
        self._listening.close()
        await asyncio.gather(*self._tasks)

    def _look(self) -> None:
        self._loop.add_reader(self._listening.fileno(), self._take)

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                self._rest(error)
                return
            connection.setblocking(False)
            self._tasks.add(task := self._loop.create_task(self._serve(connection)))
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):  # it was gone again
            await self._loop.connect_accepted_socket(self._factory, connection)

    def _rest(self, error: OSError) -> None:
        """Too many open files, or no memory: without a pause this would be all we do."""
        event("accept.failed", level="error", error=str(error))
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(_PAUSE_SECONDS, self._look)
