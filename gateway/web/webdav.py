"""The WebDAV doors: what we share out, and what local users were given.

A door authorizes, gets a Target and hands it to `dav.proxy` with the request; then it writes the
answer as it comes. A body that breaks off is cut off here too, never ended.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from gateway import metrics
from gateway.config import Config
from gateway.dav import methods, proxy
from gateway.dav.client import Send
from gateway.dav.documents import LONGEST, parse_propfind
from gateway.dav.listing import Entry, multistatus
from gateway.dav.locks import LockSeal
from gateway.dav.message import DavAnswer, DavRequest, document, failure
from gateway.dav.methods import MAKING, READING, WRITING, depth
from gateway.dav.target import RequestPath, Target
from gateway.errors import (
    CredentialRefused,
    NotFound,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
    WrongMethod,
)
from gateway.logs import STRONG
from gateway.model import Permission, ReceivedShare, ResourceType, User
from gateway.rates import Rates
from gateway.sharing.access import Access
from gateway.sharing.accesses import Accesses
from gateway.sharing.credentials import basic_pair
from gateway.sharing.parties import Parties
from gateway.sharing.storage import Storage
from gateway.sharing.visiting import Visiting, Way
from gateway.upstream.sending import Poured
from gateway.web import named
from gateway.web.answers import write_answer
from gateway.web.bodies import Bodies
from gateway.web.middleware import alarming, visit_of
from gateway.web.requests import chunks_of, read_body
from gateway.web.trail import Trail

_COME_AND_GO = "shares come and go by accepting and declining them"
_IDLE_SECONDS = 120
_BASIC = 'Basic realm="ocm-gateway", charset="UTF-8"'


class Doors:
    """The two doors below the public origin."""

    def __init__(
        self,
        settings: Config,
        access: Access,
        accesses: Accesses,
        visiting: Visiting,
        parties: Parties,
        storage: Storage,
        rates: Rates,
        trail: Trail,
        seal: LockSeal,
        bodies: Bodies,
    ) -> None:
        self._names = named.from_config(settings)
        self._received = tuple(part for part in settings.public.paths.received.split("/") if part)
        self._upload_bytes = settings.limits.upload_bytes
        self._access = access
        self._accesses = accesses
        self._visiting = visiting
        self._parties = parties
        self._storage = storage
        self._rates = rates
        self._trail = trail
        self._seal = seal
        self._bodies = bodies

    async def shares(self, request: web.BaseRequest, path: RequestPath) -> web.StreamResponse:
        """What we share out: token, share, permission, path, storage (draft 03, 8)."""
        target = await self._authorize(request, path)
        admits = self._access.admits
        if request.method in WRITING:
            admits = partial(admits, writes=True)
        with self._bodies.of_share(request, target.scope, admits):
            async with self._forward(request, path, target, self._storage.send) as answer:
                if answer.status < 400:
                    size = request.content_length if request.method == "PUT" else answer.length
                    self._accesses.note(target.scope, request.method, target.rel, size or 0)
                return await write_answer(request, answer, self._bodies)

    async def _authorize(self, request: web.BaseRequest, path: RequestPath) -> Target:
        authorizations = request.headers.getall("Authorization", [])
        if not authorizations:
            return await self._access.authorize(authorizations, path)
        known = self._access.knows(authorizations)
        network = visit_of(request).network
        async with self._rates.guessing("login", network, Unauthorized, known=known):
            return await self._access.authorize(authorizations, path)

    async def received(self, request: web.BaseRequest, path: RequestPath) -> web.StreamResponse:
        """What was shared with a local user: one tree, one folder or file for each share."""
        user = await self.whoever(request)
        if not path.segments:
            return await self._tree(request, user)
        folder, *rest = path.segments
        try:
            way = await self._visiting.open(user, folder, tuple(rest))
        except NotFound as error:
            if request.method in MAKING and not rest:
                raise Refused(_COME_AND_GO) from error
            raise
        with self._bodies.of_share(request, way.share.id, self._visiting.admits):
            return await self._visit(request, path, way)

    async def _visit(
        self, request: web.BaseRequest, path: RequestPath, way: Way
    ) -> web.StreamResponse:
        while True:
            try:
                async with self._forward(request, path, way.target, way.send) as answer:
                    await self._visiting.saw(way, answer.status)
                    return await write_answer(request, answer, self._bodies)
            except CredentialRefused as error:
                way = await self._another(request, way, error)

    async def _another(self, request: web.BaseRequest, way: Way, error: CredentialRefused) -> Way:
        """The next way: with a new token, or another credential; not for an upload half sent."""
        renewed = await self._visiting.another(way)
        if renewed is None:
            await self._visiting.saw(way, 401)
            raise error
        if request.body_exists and request.content.total_bytes:
            raise Unavailable(
                "the other server asked for a new login in the middle; try again", retry_after=1
            ) from error
        return renewed

    async def whoever(self, request: web.BaseRequest) -> User:
        """The local user who asks: the proxy's header where that is configured, else Basic."""
        user = await self._named_or_basic(request)
        STRONG.set(user.strong)
        return user

    async def _named_or_basic(self, request: web.BaseRequest) -> User:
        if self._names:
            if user := self._names.user(request):
                return user
            raise Unauthorized("you are not logged in", challenges=())
        authorizations = request.headers.getall("Authorization", [])
        if not authorizations:
            raise Unauthorized("log in to see what was shared with you", challenges=(_BASIC,))
        name = basic_pair(authorizations[0])[0]
        only = authorizations[0] if len(authorizations) == 1 else ""
        network, known = visit_of(request).network, self._parties.knows(only)
        async with self._rates.guessing("login", network, Unauthorized, name=name, known=known):
            user = await self._parties.login(only)
            if user is None:
                self._trail.refused(name, f"wrong password, {visit_of(request).address}")
                raise Unauthorized("user name or password is wrong", challenges=(_BASIC,))
            return user

    async def _tree(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """The folder of a user's shares: it exists only here, and no other server is asked."""
        match request.method:
            case "OPTIONS":
                headers = {"Allow": ", ".join(READING), "DAV": "1, 2", "MS-Author-Via": "DAV"}
                return web.Response(headers=headers)
            case "PROPFIND":
                return await self._list(request, user)
            case "GET" | "HEAD":
                raise WrongMethod("this is a folder; open it as WebDAV", allow=READING)
        raise Refused(_COME_AND_GO)

    async def _list(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        asked = parse_propfind(await read_body(request, LONGEST, _IDLE_SECONDS))
        entries = [Entry(self._received, displayname=user.name, permissions="G")]
        match depth("PROPFIND", request.headers.get("Depth", "1")):
            case "1":
                shares = await self._visiting.tree(user)
                entries += [_entry(self._received, share) for share in shares]
            case "infinity":
                answer = failure(
                    403, "list one folder at a time", condition="propfind-finite-depth"
                )
                return await write_answer(request, answer, self._bodies)
        return await write_answer(request, document(207, multistatus(entries, asked)), self._bodies)

    def _body(self, request: web.BaseRequest, target: Target) -> AsyncIterator[bytes] | Poured:
        length = request.content_length
        plain = target.trusted and target.base.startswith("http://")
        pourable = request.method == "PUT" and plain and length is not None
        if pourable and self._bodies.worthwhile(request, length):
            return self._bodies.upload(request, length or 0)
        return self._upload(request)

    async def _upload(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        received = metrics.dav_bytes.labels(direction="in")
        total = 0
        async for chunk in chunks_of(request, _IDLE_SECONDS):
            total += len(chunk)
            if self._upload_bytes and total > self._upload_bytes:
                raise TooLarge(f"an upload may have {self._upload_bytes} bytes")
            received.inc(len(chunk))
            if not request.content.is_eof():
                visit_of(request).flows()
            yield chunk

    @asynccontextmanager
    async def _forward(
        self, request: web.BaseRequest, path: RequestPath, target: Target, send: Send
    ) -> AsyncIterator[DavAnswer]:
        dav_request = DavRequest(
            method=request.method,
            headers=request.headers,
            body=self._body(request, target) if request.body_exists else None,
            content_length=request.content_length,
            slash=path.slash,
        )
        methods.admit_query(request.method, path.query)
        if self._upload_bytes and (request.content_length or 0) > self._upload_bytes:
            raise TooLarge(f"an upload may have {self._upload_bytes} bytes")
        backend = "storage" if target.trusted else "provider"
        started_at = time.monotonic()
        with alarming(backend):
            async with proxy.forward(dav_request, target, send, self._seal) as answer:
                metrics.backend_latency.labels(backend, request.method).observe(
                    time.monotonic() - started_at
                )
                yield answer


def _entry(tree: tuple[str, ...], share: ReceivedShare) -> Entry:
    folder = share.resource_type is ResourceType.FOLDER
    writable = Permission.WRITE in share.permissions
    return Entry(
        (*tree, share.folder),
        collection=folder,
        size=share.size,
        modified_at=share.received_at,
        permissions="G" + (("CK" if folder else "W") if writable else ""),
    )
