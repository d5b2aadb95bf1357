"""What a simulated server remembers, and how it speaks to others."""

import itertools
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.simulate import bodies, signing
from gateway.simulate.documents import Theirs, Unreadable, published, read, scheme_for
from gateway.simulate.judging import loopback
from gateway.simulate.quirks import Peer, Signs
from gateway.simulate.signing import Key, Request

_SECONDS = aiohttp.ClientTimeout(total=20)
_MOST_SEEN = 1000
USER = "einstein"


@dataclass(slots=True)
class Sent:
    """A Share that this server sent."""

    provider_id: str
    path: tuple[str, ...]
    share_with: str
    secret: str = field(repr=False)
    folder: bool = False
    writes: bool = False
    state: str = "sent"
    statuses: list[int] = field(default_factory=list)  # what each attempt was answered
    exchanged: bool = False


@dataclass(slots=True)
class Received:
    """A Share that this server took."""

    id: str
    body: Mapping[str, Any] = field(repr=False)
    server: str
    state: str = "pending"
    token: str = field(default="", repr=False)  # the access token got for it


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that this server got. `path` is raw, with the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What another server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Simulation:
    """One simulated server and its one user."""

    peer: Peer
    authority: str
    folder: Path
    session: aiohttp.ClientSession
    keys: Mapping[Signs, Key]
    sent: dict[str, Sent] = field(default_factory=dict)
    received: dict[str, Received] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)  # access token -> providerId
    invites: dict[str, str] = field(default_factory=dict)  # token -> who accepted, "" for nobody
    contacts: set[str] = field(default_factory=set)
    pinned: set[str] = field(default_factory=set)  # servers that have signed
    seen: list[Seen] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def origin(self) -> str:
        """Its scheme and authority."""
        return origin_of(self.authority)

    @property
    def address(self) -> str:
        """The OCM Address that people share with."""
        return f"{bodies.user_id(self.peer, USER, self.authority)}@{self.authority}"

    @property
    def root(self) -> str:
        """The path of its WebDAV, without a slash at the end."""
        return f"/{self.peer.webdav.strip('/')}"

    def document(self, asked_by: str) -> dict[str, object]:
        """What it publishes, to that User-Agent."""
        rsa = self.keys.get(Signs.CAVAGE) if self.peer.public_key else None
        pem = (rsa.kid, rsa.pem()) if rsa else None
        return published(self.peer, self.origin, asked_by, pem)

    def next_id(self) -> str:
        """A providerId as this kind of server makes them."""
        return str(next(self.numbers)) if self.peer.numbered else str(uuid.uuid4())

    def remember(self, seen: Seen) -> None:
        """Keep what was asked, up to a bound."""
        self.seen.append(seen)
        del self.seen[:-_MOST_SEEN]

    async def discover(self, authority: str, resource_type: str = "file") -> Theirs:
        """Another server's document, asked for and read as this kind does. Raises Unreadable."""
        origin = origin_of(authority)
        for path in self.peer.asks:
            reply = await self.call("GET", origin + path, {"Accept": "application/json"})
            if reply.status == 200:
                document = parse(reply.body)
                if document:
                    return read(self.peer, origin, document, resource_type)
        raise Unreadable(f"{authority} has no document at {', '.join(self.peer.asks)}")

    async def post(self, theirs: Theirs, url: str, body: bytes, content_type: str) -> Reply:
        """A POST, signed as this kind of server signs for that other."""
        headers = {"content-type": content_type, "accept": "application/json"}
        request, scheme = Request("POST", url, headers, body), scheme_for(self.peer, theirs)
        now = int(time.time())
        if scheme is Signs.CAVAGE:
            headers = signing.sign_cavage(request, self.keys[scheme], now)
        elif scheme is Signs.RFC9421:
            headers = signing.sign(
                request,
                self.keys[scheme],
                now,
                with_date=self.peer.covers_date,
                with_algorithm=self.peer.names_algorithm,
            )
        return await self.call("POST", url, headers, body)

    async def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Reply:
        """One request, redirects not followed. A server that cannot be reached answers 0."""
        try:
            async with self.session.request(
                method,
                url,
                headers={"User-Agent": self.peer.user_agent, **headers},
                data=body or None,
                allow_redirects=False,
                timeout=_SECONDS,
                skip_auto_headers=("Content-Type", "Accept-Encoding"),
            ) as answer:
                heads = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status, heads, await answer.read())
        except (aiohttp.ClientError, TimeoutError):
            return Reply(0, {}, b"")


def origin_of(authority: str) -> str:
    """The scheme goes without saying: http on this machine, https everywhere else."""
    return f"{'http' if loopback(authority) else 'https'}://{authority}"


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
