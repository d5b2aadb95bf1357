"""Moving bytes between two sockets inside the kernel, through a pipe (splice(2)).

The caller has seen to it that both ends are plain TCP, that their transports do not read from the
source or hold unsent bytes for the sink meanwhile, and closes both ends after a failure: the pipe
may have swallowed bytes.

Neither transport learns of anything while its socket is lent, so this keeps its own time: each TICK
it looks for a vanished receiver, for silence, and for bytes too few to wake it.
"""

import asyncio
import errno
import fcntl
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import BackendFailed, BackendTimeout, Unavailable
from gateway.upstream.connection import Descriptor

WORTHWHILE = 1024 * 1024
"""Below, copying costs no more."""
TICK = 0.25
ROUNDS = 4
"""Fillings of the pipe before others have their turn."""
LOW_WATER = 256 * 1024
_PIPE_SIZES = (1024 * 1024, 256 * 1024)
_GONE = select.POLLERR | select.POLLHUP | select.POLLRDHUP


@dataclass(frozen=True, slots=True)
class End:
    """One end of a transfer and what its failures are called.

    Made right before the transfer: a transport that closes meanwhile leaves its number to others.
    """

    descriptor: int
    broken: Callable[[str], Exception]
    silent: Callable[[], Exception]


def storage_end(end: Descriptor) -> End:
    """The storage: BackendFailed, BackendTimeout."""
    return End(
        end.fileno(),
        lambda detail: BackendFailed("the storage broke off the transfer", detail=detail),
        lambda: BackendTimeout("the storage took too long"),
    )


def client_end(end: Descriptor) -> End:
    """The client: ConnectionError."""
    return End(
        end.fileno(),
        lambda detail: ConnectionResetError(f"the client broke off the transfer: {detail}"),
        lambda: ConnectionAbortedError("the client took too long"),
    )


def available() -> bool:
    """Whether this system has splice(2), and Python a way to it."""
    return hasattr(os, "splice")


class Splicer:
    """A bounded number of transfers at a time; each holds a pipe of up to 1 MiB in the kernel."""

    def __init__(self, most: int = 64) -> None:
        # Linux takes 64 such pipes from a user without privileges, and gives one page from there.
        self._free = most if available() else 0

    @property
    def free(self) -> bool:
        """Whether one more may begin now."""
        return self._free > 0

    async def move(self, source: End, sink: End, count: int, *, idle_seconds: float) -> int:
        """Move exactly `count` bytes and return them.

        Raises what the ends say for the one at fault, Unavailable when none is free, before a byte
        has moved. `idle_seconds` is the longest standstill.
        """
        if not count:
            return 0
        if not self._free:
            raise Unavailable("too many transfers at a time")
        self._free -= 1
        try:
            transfer = _Transfer(source, sink, count, idle_seconds)
            try:
                await transfer.done
            finally:
                transfer.close()
        finally:
            self._free += 1
        return count


class _Transfer:
    """The two sockets, the pipe between them, and what is known of the way so far."""

    def __init__(self, source: End, sink: End, count: int, idle_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._source_end = source
        self._sink_end = sink
        self._left = count
        self._held = 0
        self._idle_seconds = idle_seconds
        self._moved = False
        self._last_move = self._loop.time()
        self._low_water = 1
        self._awaits_source = self._awaits_sink = False
        self._open()
        self._tick_timer = self._loop.call_later(TICK, self._tick)
        self._demand(LOW_WATER)
        self._pump()

    def _open(self) -> None:
        # Descriptors of our own: the loop lets nobody watch those that its transports own.
        opened: list[int] = []
        try:
            opened.append(_duplicate(self._source_end))
            opened.append(_duplicate(self._sink_end))
            opened.extend(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        except BaseException as error:
            for descriptor in opened:
                os.close(descriptor)
            if not isinstance(error, OSError) or isinstance(error, ConnectionError):
                raise
            raise Unavailable("no descriptors are left", detail=str(error)) from None
        self._source = socket.socket(fileno=opened[0])
        self._sink = opened[1]
        self._pipe_out, self._pipe_in = opened[2:]
        self._capacity = _enlarge(self._pipe_in)

    def close(self) -> None:
        """Let go of everything; neither socket is closed."""
        self._tick_timer.cancel()
        self._watch(source=False, sink=False)
        try:
            self._demand(1)
        finally:
            self._source.close()
            for descriptor in (self._sink, self._pipe_in, self._pipe_out):
                os.close(descriptor)

    def _pump(self) -> None:
        if self.done.done():
            return
        for _ in range(ROUNDS):
            if not self._held and not self._fill():
                return
            if not self._drain():
                return
            if not self._left:
                self.done.set_result(None)
                return
        self._watch(source=True, sink=False)

    def _fill(self) -> bool:
        """Take what the source has into the empty pipe; False when there is nothing."""
        count = min(self._left, self._capacity)
        try:
            moved = os.splice(
                self._source.fileno(), self._pipe_in, count, flags=os.SPLICE_F_NONBLOCK
            )
        except BlockingIOError:
            self._watch(source=True, sink=False)
            return False
        except OSError as error:
            self._fail(self._source_end.broken(str(error)))
            return False
        if not moved:
            self._fail(self._source_end.broken(f"{self._left} bytes are missing"))
            return False
        self._held = moved
        self._left -= moved
        self._moved = True
        self._demand(LOW_WATER)
        return True

    def _drain(self) -> bool:
        """Empty the pipe into the sink; False when it takes no more now."""
        while self._held:
            try:
                moved = os.splice(
                    self._pipe_out, self._sink, self._held, flags=os.SPLICE_F_NONBLOCK
                )
            except BlockingIOError:
                self._watch(source=False, sink=True)
                return False
            except OSError as error:
                self._fail(self._sink_end.broken(str(error)))
                return False
            self._held -= moved
            self._moved = True
        return True

    def _watch(self, *, source: bool, sink: bool) -> None:
        if source != self._awaits_source:
            self._awaits_source = source
            if source:
                self._loop.add_reader(self._source.fileno(), self._pump)
            else:
                self._loop.remove_reader(self._source.fileno())
        if sink != self._awaits_sink:
            self._awaits_sink = sink
            if sink:
                self._loop.add_writer(self._sink, self._pump)
            else:
                self._loop.remove_writer(self._sink)

    def _demand(self, size: int) -> None:
        """Be woken for so many bytes at once: never for more than will come, or none ever do."""
        size = max(1, min(size, self._left))
        if size != self._low_water:
            self._low_water = size
            self._source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _tick(self) -> None:
        """A receiver that hung up, a standstill, a trickle."""
        if self.done.done():
            return
        self._tick_timer = self._loop.call_later(TICK, self._tick)
        if _gone(self._sink):
            self._fail(self._sink_end.broken("it hung up"))
            return
        now = self._loop.time()
        if self._moved:
            self._moved = False
            self._last_move = now
            return
        if now - self._last_move > self._idle_seconds:
            self._fail((self._sink_end if self._held else self._source_end).silent())
            return
        self._demand(1)
        self._pump()

    def _fail(self, fault: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(fault)


def _enlarge(pipe: int) -> int:
    """Give the pipe the most room there is, and say how much that became."""
    for size in _PIPE_SIZES:
        try:
            return fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            continue  # above pipe-user-pages-soft, or pipe-max-size
    return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)


def _duplicate(end: End) -> int:
    try:
        return os.dup(end.descriptor)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise end.broken("it is closed") from None
        raise


def _gone(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, _GONE)
    return bool(poll.poll(0))
