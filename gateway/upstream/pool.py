"""Kept-alive connections to the storage, and requests over them.

    async with pool.request("GET", url, headers=sent) as reply:
        ...  # reply.status, reply.headers, reply.chunks

1. A connection goes back when the whole answer has arrived; leaving early closes it.
2. A request without effect may meet a connection that the storage has just closed; it is sent once
   more on a fresh one, if not a byte of an answer had come.
3. What may have had an effect is never sent twice. It goes out on a connection of its own: a busy
   storage closes a kept one the moment after its answer, and nobody knows what it has read.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from multidict import CIMultiDict, CIMultiDictProxy

from gateway import __version__
from gateway.errors import (
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
)
from gateway.logs import TRACE
from gateway.upstream import head, sending
from gateway.upstream.connection import Connection
from gateway.upstream.origin import Origin, split
from gateway.upstream.reply import Reply
from gateway.upstream.sending import Body

USER_AGENT = f"ocm-gateway/{__version__}"
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})
"""Methods without effect: asked once more when a kept-alive connection turns out to be dead."""
CONNECT_SECONDS = 10.0
KEPT_SECONDS = 30.0

_USER_AGENT = ("User-Agent", USER_AGENT)
_IDENTITY = ("Accept-Encoding", "identity")
_CLOSE = ("Connection", "close")


class Pool:
    """Connections to any number of origins, the last used first.

    most: requests at a time; more have to wait. kept: idle connections to each origin.
    idle_seconds: the longest silence of a storage, where a request does not say. invited: uploads
    announce themselves and wait for the storage to let them in.
    """

    def __init__(
        self,
        *,
        idle_seconds: float,
        most: int = 1024,
        kept: int = 64,
        tls: ssl.SSLContext | None = None,
        invited: bool = False,
    ) -> None:
        self.idle_seconds = idle_seconds
        self.invited = invited
        self._slots = asyncio.Semaphore(most)
        self._kept = kept
        self._tls = tls
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._sweeper: asyncio.TimerHandle | None = None
        self._open = True
        # Python 3.11 asks the system for its process id whenever it is asked for the loop.
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Close every idle connection, and those in use when they are done."""
        self._open = False
        self._sweep(keep=0.0)
        await asyncio.sleep(0)  # the transports close their sockets on the loop's next turn

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | CIMultiDict[str] | None = None,
        body: Body = None,
        total_seconds: float | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[Reply]:
        """Send one request and yield the Reply; `url` goes out byte for byte.

        `idle_seconds` is the longest silence of the storage, `total_seconds` the longest the whole
        may take. Raises Malformed for what cannot be sent; BackendFailed, BackendUnavailable,
        BackendTimeout; and what an iterated or poured body raises.
        """
        idle = self.idle_seconds if idle_seconds is None else idle_seconds
        return Asking(self, method, url, headers, body, total_seconds, idle)

    async def acquire(self) -> None:
        """Wait for one's turn. Raises BackendUnavailable after a while."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise BackendUnavailable("the storage is busy", retry_after=5) from None

    def release(self, origin: Origin, connection: Connection | None) -> None:
        """Give back the turn, and the connection used in it."""
        self._slots.release()
        if connection is None or not connection.finish():
            return
        idle = self._idle[origin]
        if not self._open or len(idle) >= self._kept:
            connection.abort()
            return
        connection.idle_since = self._loop.time()
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(KEPT_SECONDS, self._sweep)

    def reuse(self, origin: Origin) -> Connection | None:
        """The connection used last that is not known to be closed."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
            connection.abort()
        return None

    async def connect(self, origin: Origin) -> Connection:
        """A fresh connection. Raises BackendUnavailable, BackendFailed, BackendTimeout."""
        loop = self._loop
        tls = self._context() if origin.scheme == "https" else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop), origin.host, origin.port, ssl=tls
                )
        except (OSError, UnicodeError) as error:
            raise _unconnected(error) from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _sweep(self, keep: float = KEPT_SECONDS) -> None:
        """Close what has been idle too long, and look again when the next one will have been."""
        loop = self._loop
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        horizon = loop.time() - keep
        for origin, connections in list(self._idle.items()):
            fresh = [one for one in connections if one.idle_since > horizon and not one.closed]
            for connection in connections:
                if connection not in fresh:
                    connection.abort()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        if self._idle:
            self._sweeper = loop.call_later(keep / 2, self._sweep)


class Asking:
    """One request on its way; a context that yields the Reply."""

    __slots__ = (
        "_body",
        "_connection",
        "_headers",
        "_idle",
        "_method",
        "_origin",
        "_pool",
        "_repeatable",
        "_total",
        "_url",
    )

    def __init__(
        self,
        pool: Pool,
        method: str,
        url: str,
        headers: Mapping[str, str] | CIMultiDict[str] | None,
        body: Body,
        total_seconds: float | None,
        idle_seconds: float,
    ) -> None:
        self._pool = pool
        self._method = method
        self._url = url
        self._headers = headers
        self._body = body
        self._total = total_seconds
        self._idle = idle_seconds
        self._connection: Connection | None = None
        self._repeatable = method in REPEATABLE and (body is None or isinstance(body, bytes))

    async def __aenter__(self) -> Reply:
        pool = self._pool
        self._origin, target = split(self._url)
        data, announced = self._written(target)
        await pool.acquire()
        try:
            return await self._ask(data, announced)
        except BaseException:
            self._leave(abort=True)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def _written(self, target: str) -> tuple[bytes, int | None]:
        """The head, and the length that it announces."""
        given = self._headers
        if not isinstance(given, CIMultiDict | CIMultiDictProxy):
            given = CIMultiDict(given or {})
        added = sending.framing(self._method, given, self._body)
        fields = [] if "Host" in given else [("Host", self._origin.authority)]
        fields += given.items()
        fields += added
        if "User-Agent" not in given:
            fields.append(_USER_AGENT)
        if "Accept-Encoding" not in given:
            fields.append(_IDENTITY)
        if self._waits:
            fields.append(("Expect", "100-continue"))
        if (trace := TRACE.get()) and "traceparent" not in given:
            fields.append(("traceparent", trace))
        if not self._repeatable:
            fields.append(_CLOSE)
        announced = given.get("Content-Length")
        data = head.encode(self._method, target, fields)
        return data, None if announced is None else int(announced)

    async def _ask(self, data: bytes, announced: int | None) -> Reply:
        if self._repeatable:
            self._connection = self._pool.reuse(self._origin)
        if self._connection is not None:
            try:
                return await self._once(self._connection, data, announced)
            except BackendUnavailable:
                if not self._connection.answer.untouched:
                    raise
            self._connection.abort()
            self._connection = None
        self._connection = await self._pool.connect(self._origin)
        if not self._repeatable:
            self._connection.spend()
        return await self._once(self._connection, data, announced)

    async def _once(self, connection: Connection, data: bytes, announced: int | None) -> Reply:
        connection.begin(self._method, idle_seconds=self._idle, total_seconds=self._total)
        found = await sending.ask(connection, data, self._body, announced, invited=self._waits)
        return Reply(found, connection)

    @property
    def _waits(self) -> bool:
        """Whether the body waits to be let in."""
        return self._pool.invited and not (self._body is None or isinstance(self._body, bytes))

    def _leave(self, *, abort: bool = False) -> None:
        connection, self._connection = self._connection, None
        if abort and connection is not None:
            connection.abort()
        self._pool.release(self._origin, connection)


def _unconnected(error: Exception) -> GatewayError:
    detail = f"{type(error).__name__}: {error}"
    match error:
        case ssl.SSLError():
            return BackendFailed(
                "the storage has no valid TLS certificate or does not speak TLS", detail=detail
            )
        case TimeoutError():
            return BackendTimeout("the storage took too long", detail=detail)
        case _:
            return BackendUnavailable("the storage cannot be reached", detail=detail)
