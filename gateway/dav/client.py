"""The seam: how bytes are fetched, as far as this room needs to know, and one exchange over it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.dav import methods
from gateway.dav.locks import LockSeal
from gateway.dav.message import DavRequest
from gateway.dav.statuses import leads_to_slash
from gateway.dav.target import Target
from gateway.errors import BackendFailed, GatewayError, TooLarge, WrongMethod
from gateway.upstream.sending import Body, Poured

T = TypeVar("T")


class Reply(Protocol):
    """A response whose head has arrived; the body comes as it was sent.

    `chunks` raises GatewayError when the body ends before its time.
    """

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields."""

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body."""


class Send(Protocol):
    """Sends one request to the storage of a Target; leaving the context early drops the connection.

    The URL goes out byte for byte, redirects are not followed, a request that may have had an
    effect is not repeated. `idle_seconds` None is the way's own. `Way.request` is one.
    """

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | CIMultiDict[str] | None = None,
        body: Body = None,
        total_seconds: float | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[Reply]:
        """Send it and yield the Reply."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One client's request on its way: what it is, where it may go, and what is open for it."""

    request: DavRequest
    target: Target
    send: Send
    seal: LockSeal
    stack: AsyncExitStack

    async def ask(
        self,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        body: Body = None,
        *,
        idle_seconds: float | None = None,
        follow: bool = True,
    ) -> Reply:
        """Send a request that stays open as long as the exchange does.

        A redirect to the same path with a slash is followed here, once: Go's clients would turn
        their PROPFIND into a GET.
        """
        reply = await self._open(method, url, headers, body, idle_seconds)
        if follow and leads_to_slash(reply.status, reply.headers, url):
            if isinstance(body, AsyncIterator | Poured):
                raise WrongMethod("a folder has no content", allow=methods.allow(self.target))
            reply = await self._open(method, url + "/", headers, body, idle_seconds)
        return reply

    async def _open(
        self,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        body: Body,
        idle_seconds: float | None,
    ) -> Reply:
        sending = self.send(method, url, headers=headers, body=body, idle_seconds=idle_seconds)
        return await self.stack.enter_async_context(sending)


_TURNS: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def turn(url: str) -> asyncio.Lock:
    """One writer at a time between looking at a URL and acting on it, within this process."""
    return _TURNS.setdefault(url, asyncio.Lock())


async def to_the_end(doing: Coroutine[Any, Any, T]) -> T:
    """Do it whole, even if the client goes away meanwhile: a tree half moved helps nobody.

    The cancellation takes effect afterwards; a second one does at once.
    """
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(GatewayError):
            await task
        raise


async def collect(chunks: AsyncIterator[bytes] | Poured | None, limit: int) -> bytes:
    """A request's body of at most `limit` bytes. Raises TooLarge."""
    body = bytearray()
    assert not isinstance(chunks, Poured), "only a PUT pours"
    if chunks is not None:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise TooLarge("the body is too large")
    return bytes(body)


async def read(reply: Reply, limit: int) -> bytes:
    """A storage's body of at most `limit` bytes. Raises BackendFailed."""
    try:
        return await collect(reply.chunks, limit)
    except TooLarge:
        raise BackendFailed("the storage's answer is too large") from None
