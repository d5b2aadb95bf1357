"""Storages that send requests on to their data servers: dCache's pools, XRootD's and EOS's disks.

1. Followed are redirects to hosts that the configuration names, and no others.
2. The storage's credentials stay behind, unless the configuration sends them along: a pool's URL is
   a key by itself.
3. An upload announces itself and waits to be let in (RFC 9110 10.1.1), so that its body goes to one
   server only. A redirect that comes after the body has begun is a failure.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from socket import socket
from typing import Any

from multidict import CIMultiDict

from gateway.errors import BackendFailed
from gateway.upstream.origin import Origin, split
from gateway.upstream.pool import Pool
from gateway.upstream.reply import Reply
from gateway.upstream.sending import Body, Poured

MOST = 3
"""Redirects that are followed for one request."""
_ALL = frozenset({307, 308})
_READING = frozenset({301, 302, 303})
_READ = frozenset({"GET", "HEAD"})
_SECRET = ("Authorization", "Cookie")
_PATTERN = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<any>\*\.)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?"
)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A host of the configuration: `pool1.example.org`, `*.pools.example.org:8443`."""

    scheme: str
    host: str
    port: int
    below: bool

    def matches(self, origin: Origin) -> bool:
        fits = origin.host.endswith("." + self.host) if self.below else origin.host == self.host
        return fits and origin.scheme == self.scheme and self.port in (0, origin.port)


class DataServers:
    """Where a storage may send requests on to.

    storage: its URL. hosts: `host`, `host:port`, `*.suffix`, each perhaps behind `http://` or
    `https://`; a host without a port stands for every port, one without a scheme for https and the
    storage's own. credentials: they get the storage's, too.
    """

    def __init__(self, storage: str, hosts: tuple[str, ...], *, credentials: bool = False) -> None:
        own = storage.partition("://")[0].lower()
        self._patterns = [one for host in hosts for one in _patterns(host, own)]
        self._credentials = credentials

    def next(self, method: str, url: str, reply: Reply) -> str | None:
        """The URL to ask instead; None for an answer that is no redirect, or one to elsewhere."""
        if reply.status not in _ALL and not (reply.status in _READING and method in _READ):
            return None
        location = reply.headers.get("Location", "").partition("#")[0]
        try:
            here, there = split(url)[0], split(location)[0]
        except BackendFailed:
            return None
        if here == there or not any(one.matches(there) for one in self._patterns):
            return None
        return location

    def fields(self, given: CIMultiDict[str], url: str) -> CIMultiDict[str]:
        """The header fields for that data server."""
        sent = CIMultiDict(given)
        if not self._credentials:
            for name in _SECRET:
                sent.popall(name, None)
        if "Destination" in sent:
            origin = split(url)[0]
            here = f"{origin.scheme}://{origin.authority}"
            sent["Destination"] = re.sub(r"^[a-z]+://[^/]*", here, sent["Destination"])
        return sent


class Redirected(Pool):
    """A Pool that follows the storage to its data servers."""

    def __init__(self, servers: DataServers, **options: Any) -> None:
        super().__init__(invited=True, **options)
        self._servers = servers

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | CIMultiDict[str] | None = None,
        body: Body = None,
        **options: Any,
    ) -> AsyncIterator[Reply]:
        """As `Pool.request`. Raises BackendFailed for an upload that is redirected too late."""
        watched, sent = _Watched(body), CIMultiDict(headers or {})
        for left in range(MOST, -1, -1):
            asking = super().request(method, url, headers=sent, body=watched.body, **options)
            async with asking as reply:
                where = self._servers.next(method, url, reply) if left else None
                if where is None:
                    yield reply
                    return
            if watched.begun:
                raise BackendFailed("the storage redirects an upload that has begun")
            url, sent = where, self._servers.fields(sent, where)


class _Watched:
    """A body, and whether it has begun to leave. Bytes can leave as often as one likes."""

    def __init__(self, body: Body) -> None:
        self.begun = False
        self._given = body
        self.body: Body = body
        if isinstance(body, Poured):
            self.body = replace(body, pour=self._pour)
        elif isinstance(body, AsyncIterator):
            self.body = self._pieces(body)

    async def _pour(self, where: socket) -> object:
        assert isinstance(self._given, Poured), "only what is poured comes here"
        self.begun = True
        return await self._given.pour(where)

    async def _pieces(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.begun = True
        async for piece in body:
            yield piece


def _patterns(text: str, own: str) -> list[_Pattern]:
    found = _PATTERN.fullmatch(text.lower())
    assert found is not None, "the configuration has looked at it"
    schemes = {found["scheme"]} if found["scheme"] else {own, "https"}
    host, port, below = found["host"].strip("[]"), int(found["port"] or 0), bool(found["any"])
    return [_Pattern(scheme, host, port, below) for scheme in sorted(schemes)]
