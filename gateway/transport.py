"""The guarded way out of the house, to the internet; `upstream` is the trusted one, to our storage.

https only, and the address is checked when the socket is made, after every name has been resolved,
so that neither a rebinding name nor a literal reaches a private network (RFC 6890), but by a route
of the configuration. Hosts that it names for testing are exempt from both.

It follows no redirects, keeps no cookies, reads no proxy variables, decodes no bodies and repeats
no request that may have had an effect. What aiohttp raises stops here: see `errors.py`.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway import __version__
from gateway.addresses import PrivateRoutes, routable
from gateway.errors import ProviderFailed, ProviderRefused, ProviderTimeout
from gateway.logs import TRACE
from gateway.model import Authority
from gateway.telemetry import OFF, Kind, Spans

USER_AGENT = f"ocm-gateway/{__version__}"
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND"})
"""Methods without effect: asked once more when a kept-alive connection turns out to be dead."""

_IDLE_SECONDS = 120
_NOT_PUBLIC = "is not an address of the public internet"
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

Body = bytes | AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose head has arrived. Header values are text; bodies come as they were sent."""

    status: int
    headers: CIMultiDictProxy[str]
    chunks: AsyncIterator[bytes]

    async def read(self, limit: int) -> bytes:
        """The whole body, of at most `limit` bytes; ProviderFailed above that."""
        body = bytearray()
        async for chunk in self.chunks:
            body += chunk
            if len(body) > limit:
                raise ProviderFailed("the answer is too large", detail=f"over {limit} bytes")
        return bytes(body)


class Transport:
    """Requests over pooled connections; closed by whoever opened it."""

    def __init__(self, connector: Callable[..., aiohttp.TCPConnector]) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=10, sock_read=120)
        self._pooled = _session(connector(), timeout)
        # A stale kept-alive connection must not cost an upload, so those start on a fresh one.
        self._fresh = _session(connector(force_close=True), timeout)

    async def close(self) -> None:
        """Close every connection."""
        await self._pooled.close()
        await self._fresh.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | CIMultiDict[str] | None = None,
        body: Body = None,
        total_seconds: float | None = None,
        idle_seconds: float | None = None,
    ) -> AsyncIterator[Answer]:
        """Send one request and yield the Answer; `url` goes out byte for byte.

        `idle_seconds` is the longest silence, `total_seconds` the longest the whole may take.
        Raises ProviderFailed, ProviderTimeout for everything that goes wrong up to the end of the
        body; leaving early closes the connection.
        """
        sent: CIMultiDict[str] = CIMultiDict(headers or {})
        sent.setdefault("User-Agent", USER_AGENT)
        sent.setdefault("Accept-Encoding", "identity")
        if trace := TRACE.get():
            sent["traceparent"] = trace
        timeout = aiohttp.ClientTimeout(
            total=total_seconds, sock_connect=10, sock_read=idle_seconds or _IDLE_SECONDS
        )
        repeatable = method in REPEATABLE and not isinstance(body, AsyncIterator)
        session = self._pooled if repeatable else self._fresh
        with _mapped():
            try:
                response = await self._open(session, method, url, sent, body, timeout)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if not repeatable or isinstance(error, aiohttp.ClientConnectorError):
                    raise
                response = await self._open(session, method, url, sent, body, timeout)
        finished = False

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal finished
            with _mapped():
                async for chunk in response.content.iter_any():
                    yield chunk
            finished = True

        try:
            yield Answer(response.status, response.headers, chunks())
        finally:
            if finished:
                response.release()
            else:
                response.close()

    async def _open(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: CIMultiDict[str],
        body: Body,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> aiohttp.ClientResponse:
        return await session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            skip_auto_headers=_AUTOMATIC,
            timeout=timeout,
        )


@contextmanager
def _mapped() -> Iterator[None]:
    """Turns what aiohttp raises inside the block into our errors."""
    try:
        yield
    except TimeoutError as error:
        raise ProviderTimeout("the other server took too long") from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
        raise ProviderFailed(
            "the other server has no valid TLS certificate or does not speak TLS",
            detail=str(error),
        ) from error
    except aiohttp.ClientConnectorDNSError as error:
        raise ProviderFailed("the other server has no address", detail=str(error)) from error
    except (aiohttp.ClientConnectionError, OSError) as error:
        if _NOT_PUBLIC in str(error):
            raise _KeptIn(_cause(error)) from error
        raise ProviderFailed("the other server cannot be reached", detail=_cause(error)) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise ProviderFailed(
            "the other server did not answer properly", detail=_cause(error)
        ) from error


class _KeptIn(ProviderFailed):
    """The address guard said no to the last of a server's addresses, if not to others before."""

    def __init__(self, detail: str) -> None:
        super().__init__("the other server cannot be reached", detail=detail)


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {getattr(error, 'os_error', error)}"


def _session(
    connector: aiohttp.TCPConnector, timeout: aiohttp.ClientTimeout
) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        max_line_size=16 * 1024,
        max_field_size=16 * 1024,
    )
    # aiohttp repeats DELETE and PUT by itself and has no public switch against it.
    session._retry_connection = False  # noqa: SLF001
    return session


@dataclass(frozen=True, slots=True)
class TestingHosts:
    """Hosts for which plain http and private addresses are allowed: `host` or `host:port`."""

    entries: frozenset[str] = frozenset()

    def __contains__(self, authority: object) -> bool:
        return isinstance(authority, str) and (
            authority in self.entries or _host_of(authority) in self.entries
        )


def _host_of(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdigit() else authority


class Watch(Protocol):
    """Who keeps count of the servers that do not answer."""

    def asking(self, provider: Authority) -> AbstractContextManager[None]:
        """Around a request up to the head of its answer; ProviderFailed while it is left alone."""


class Guarded:
    """The way to other OCM Servers: the address guard, and the exemption of testing hosts."""

    def __init__(
        self,
        testing: TestingHosts,
        admit: Callable[[Authority], None],
        watch: Watch,
        routes: PrivateRoutes,
        spans: Spans = OFF,
    ) -> None:
        """`admit` is asked about every server before anything is sent, and raises Refused."""
        self.routes = routes
        self._testing = testing
        self._admit = admit
        self._watch = watch
        self._spans = spans
        self._closed_in = Transport(_connector_to(routable))
        self._wide_open = Transport(_connector_to(_anywhere))
        self._routed: dict[Authority, Transport] = {}

    async def close(self) -> None:
        """Close every connection."""
        for way in (self._closed_in, self._wide_open, *self._routed.values()):
            await way.close()

    def schemes(self, provider: Authority) -> tuple[str, ...]:
        """Which URL schemes may be used with that server, the likelier first."""
        return ("http", "https") if provider in self._testing else ("https",)

    def reaches(self, provider: Authority, address: str) -> bool:
        """Whether a connection to that server may go to that address."""
        return provider in self._testing or self.routes.reach(provider, address)

    async def _leads_out(self, provider: Authority, url: URL) -> bool:
        """Whether a connection may go to any address of a server. Nothing is sent."""
        loop, host = asyncio.get_running_loop(), url.raw_host or ""
        try:
            found = await loop.getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
        except OSError:
            return True  # what cannot be told now is told another time
        addresses = {str(info[4][0]) for info in found}
        return any(routable(one) or self.reaches(provider, one) for one in addresses)

    def _way(self, provider: Authority) -> Transport:
        """A server with a route has connections of its own, which know what it may reach."""
        if provider in self._testing:
            return self._wide_open
        if provider not in self.routes:
            return self._closed_in
        if provider not in self._routed:
            reach = partial(self.routes.reach, provider)
            self._routed[provider] = Transport(_connector_to(reach))
        return self._routed[provider]

    @asynccontextmanager
    async def request(
        self, provider: Authority, method: str, url: str, **options: Any
    ) -> AsyncIterator[Answer]:
        """As `Transport.request`, to a URL of that server and no other.

        Raises Refused where policy says no, ProviderRefused for a URL that is not the server's or
        not https.
        """
        self._admit(provider)
        parts = URL(url, encoded=True)
        if authority_of(parts) != provider:
            raise ProviderRefused(
                "the address belongs to another server", detail=f"{url} is not at {provider}"
            )
        if parts.scheme not in self.schemes(provider):
            raise ProviderRefused("the address is not https", detail=url)
        way = self._way(provider)
        facts = {"http.request.method": method, "server.address": provider}
        async with AsyncExitStack() as stack:
            span = stack.enter_context(self._spans.span(method, Kind.CLIENT, facts))
            with self._watch.asking(provider), span.leading():
                try:
                    answer = await stack.enter_async_context(way.request(method, url, **options))
                except _KeptIn as error:
                    if not await self._leads_out(provider, parts):
                        raise ProviderRefused(
                            "the other server has no address on the public internet",
                            detail=error.detail,
                        ) from error
                    raise
            span.tell({"http.response.status_code": answer.status})
            yield answer


def server_of(url: str) -> Authority:
    """The server that a URL leads to."""
    return Authority(authority_of(URL(url, encoded=True)))


def authority_of(url: URL) -> str:
    """host[:port] of a URL, spelled as an Authority: lower case, no default https port."""
    host = (url.raw_host or "").rstrip(".").lower()
    if ":" in host:
        host = f"[{host}]"
    port = url.port
    return host if port is None or port == 443 else f"{host}:{port}"


def _connector_to(reach: Callable[[str], bool]) -> Callable[..., aiohttp.TCPConnector]:
    """Makes connectors whose sockets lead to those addresses and no others."""

    def made(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not reach(str(address[0])):
            why = f"{address[0]} {_NOT_PUBLIC}"
            raise OSError(errno.EACCES, why)
        return socket.socket(family, kind, protocol)

    return partial(aiohttp.TCPConnector, limit=200, limit_per_host=20, socket_factory=made)


def _anywhere(_: str) -> bool:
    return True
