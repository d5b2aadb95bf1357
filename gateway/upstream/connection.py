"""One connection to a storage, as an asyncio.Protocol: one exchange at a time.

    connection.begin("GET", idle_seconds=60)
    connection.write(head)
    found = await connection.head()
    while piece := await connection.piece(): ...
    reusable = connection.finish()

A fault is kept and raised to whoever waits, once what arrived before it has been read:
BackendFailed, BackendUnavailable or BackendTimeout.
"""

import asyncio
import os
import socket
from contextlib import suppress
from typing import Protocol, cast

from gateway.errors import BackendFailed, BackendTimeout, BackendUnavailable, GatewayError
from gateway.upstream.answer import Answer
from gateway.upstream.head import Head
from gateway.upstream.patience import Patience

LAST_WORDS = 64 * 1024


class Descriptor(Protocol):
    """Whatever has a file descriptor: a socket, or what a transport shows of one."""

    def fileno(self) -> int:
        """The descriptor."""


class Connection(asyncio.Protocol):
    """The socket, the answer as far as it has arrived, and who waits for more of it.

    answer: the answer of the exchange under way, or of the last one.
    plain: there is no TLS, bytes of the body are bytes of the socket.
    closed: the socket is gone.
    idle_since: for whoever keeps it meanwhile.
    """

    __slots__ = (
        "_asked",
        "_fault",
        "_lent",
        "_loop",
        "_news",
        "_patience",
        "_paused",
        "_reusable",
        "_room",
        "_transport",
        "_unsent",
        "answer",
        "closed",
        "idle_since",
        "plain",
    )

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._patience = Patience(loop, self._out_of_patience, self._moving)
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._unsent = 0
        self._fault: GatewayError | None = None
        self._lent: socket.socket | None = None
        self._asked = self._paused = False
        self._reusable = True
        self.answer = Answer("")
        self.closed = False
        self.plain = True
        self.idle_since = 0.0

    def begin(
        self, method: str, *, idle_seconds: float, total_seconds: float | None = None
    ) -> None:
        """Expect the answer to one request."""
        self.answer = Answer(method)
        self._asked = True
        self._patience.begin(idle_seconds, total_seconds)

    def finish(self) -> bool:
        """End the exchange. Whether another may follow; if not, the connection is closed.

        The body need not have been read, if all of it is here.
        """
        self._asked = False
        self._patience.end()
        answer = self.answer
        persistent = answer.head is not None and answer.head.persistent and self._reusable
        whole = answer.ended and not (answer.surplus or self._lent)
        self.unlend()
        if not (persistent and whole) or self._unsound() or self._unsent_bytes():
            self.abort()
            return False
        answer.pop_all()
        self._resume()
        return True

    def spend(self) -> None:
        """Let no other exchange follow this one."""
        self._reusable = False

    def abort(self) -> None:
        """Close at once. What was not sent yet is never sent."""
        self._reusable = False
        if not self.closed:
            self._transport.abort()

    @property
    def closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self.closed or self._transport.is_closing()

    # The request

    def write(self, data: bytes) -> None:
        """Send, and keep what cannot be sent now. Raises BackendUnavailable when it is closed."""
        if self._unsound():
            raise self._fault or BackendUnavailable("the storage closed the connection")
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the storage has taken enough of what was written."""
        while self._room is not None and self._fault is None:
            self._patience.start()
            try:
                await self._room
            finally:
                self._patience.stop()
        if self._fault is not None:
            raise self._fault

    async def flush(self) -> None:
        """Wait until the kernel has all of it."""
        if self._unsent_bytes():
            self._transport.set_write_buffer_limits(high=0)
            await self.drain()
            self._transport.set_write_buffer_limits()
        if self._fault is not None:
            raise self._fault

    # The answer

    async def wait(self, *, patiently: bool = False) -> None:
        """Return when there is news; `patiently` when it is not the storage's turn."""
        if self._fault is not None:
            raise self._fault
        if not patiently:
            self._patience.start()
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None
            if not patiently:
                self._patience.stop()

    def wake(self) -> None:
        """There is news."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def head(self) -> Head:
        """The head of the answer."""
        while self.answer.head is None:
            await self.wait()
        return self.answer.head

    async def piece(self) -> bytes:
        """The next bytes of the body; none at its end."""
        answer = self.answer
        while not (piece := answer.pop()):
            if answer.ended:
                return b""
            self._resume()
            await self.wait()
        if self._paused and not answer.full:
            self._resume()
        return piece

    def take(self) -> tuple[bytes, socket.socket | None]:
        """The bytes of the body that are here, and the socket where the others are to be had.

        There is no socket when nothing is missing, the length is unknown, or under TLS; then
        `piece` goes on. Otherwise the next `answer.length` bytes of it are the taker's, and
        nothing is read here until `give_back`.
        """
        answer = self.answer
        if not self.plain or answer.ended or answer.length is None or self._unsound():
            return answer.pop_all(), None
        self._pause()
        return answer.pop_all(), self.lend()

    def give_back(self, *, clean: bool) -> None:
        """The taker is done: `clean` when it has read the whole body and nothing beyond."""
        if self._lent is None:
            return
        self.unlend()
        if not clean:
            self._fail(BackendFailed("the storage broke off its answer"))
            return
        self.answer.end()
        self._resume()

    def lend(self) -> socket.socket:
        """The socket once more, under a descriptor that stays valid until `unlend`."""
        self._lent = socket.socket(fileno=os.dup(self._descriptor.fileno()))
        self._lent.setblocking(False)  # it is not; now Python knows
        return self._lent

    def unlend(self) -> None:
        """Close the second descriptor."""
        lent, self._lent = self._lent, None
        if lent is not None:
            lent.close()

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)
        self.plain = transport.get_extra_info("sslcontext") is None

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer, hopefully."""
        if not self._asked:
            self.abort()  # an answer nobody asked for
            return
        self._patience.renew()
        try:
            self.answer.feed(data)
        except GatewayError as error:
            self._fail(error)
            return
        if self.answer.surplus:
            self.abort()
        elif self.answer.full:
            self._pause()
        self.wake()

    def eof_received(self) -> None:
        """The storage says no more; the transport closes."""
        self._over("")
        if self._asked and self._unsent_bytes():
            self._fail(_half_taken())

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.closed = True
        self._patience.close()
        if exc is not None and self._asked:
            self._hear_last_words()
        self._over(str(exc) or type(exc).__name__ if exc else "")
        if self._asked and (exc is not None or self._room is not None):
            self._fail(_half_taken())

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._unsent = self._unsent_bytes()
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room again."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # Inside

    def _hear_last_words(self) -> None:
        """Read what was answered before the connection broke under our writing.

        Storages refuse an upload and hang up; event loops fail at the next write and read no more.
        """
        if self._lent is None or self.answer.head is not None:
            return
        with suppress(OSError, GatewayError):
            while not self.answer.full and (data := self._lent.recv(LAST_WORDS)):
                self.answer.feed(data)

    @property
    def _descriptor(self) -> Descriptor:
        return cast(Descriptor, self._transport.get_extra_info("socket"))

    def _over(self, reason: str) -> None:
        self._reusable = False
        if not self._asked or self._fault is not None:
            return
        try:
            self.answer.close(reason)
        except GatewayError as error:
            self._fail(error)
        self.wake()

    def _fail(self, fault: GatewayError) -> None:
        self._fault = self._fault or fault
        self.abort()
        self.wake()
        self.resume_writing()

    def _out_of_patience(self) -> None:
        self._fail(BackendTimeout("the storage took too long"))

    def _moving(self) -> bool:
        before, self._unsent = self._unsent, self._unsent_bytes()
        return self._unsent < before

    def _unsound(self) -> bool:
        return self._fault is not None or self.closing

    def _unsent_bytes(self) -> int:
        return 0 if self.closed else self._transport.get_write_buffer_size()

    def _pause(self) -> None:
        if not (self._paused or self.closing):
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self.closing:
            self._paused = False
            self._transport.resume_reading()


def _half_taken() -> BackendFailed:
    return BackendFailed("the storage did not take the whole request")
