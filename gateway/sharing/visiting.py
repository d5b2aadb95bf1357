"""The Receiving Server as a client: reaching what was shared with us (draft 03, 8 and 9).

A token is got in exchange for the share's secret, one exchange at a time for each share, kept in
memory and renewed before it expires. A share that requires the exchange is never reached with its
bare secret, whatever happens; without the requirement a failed exchange falls back to it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from cachetools import TTLCache

from gateway.dav.client import Send
from gateway.dav.target import REMOTE, Target, encode_path
from gateway.errors import (
    Malformed,
    NotFound,
    ProviderFailed,
    ProviderRefused,
    Refused,
)
from gateway.logs import event
from gateway.model import Permission, ReceivedShare, ResourceType, User
from gateway.ocm import tokens
from gateway.ocm.discovery import Discovery, webdav_path
from gateway.ocm.tokens import TokenRequest
from gateway.sharing.credentials import basic
from gateway.sharing.others import Others, expect_success
from gateway.sharing.ours import Ours
from gateway.sharing.receiving import uri_segments
from gateway.store.state import State

_MANY = 10_000
_FALLBACK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ObtainedToken:
    """What opens a share at its Sending Server: an Authorization value, good until `renew_at`."""

    authorization: str = field(repr=False)
    renew_at: float


@dataclass(frozen=True, slots=True)
class Way:
    """How one request reaches a received share."""

    share: ReceivedShare
    target: Target
    send: Send


class Visiting:
    """Opens received shares for local users."""

    def __init__(self, ours: Ours, state: State, others: Others, clock: Callable[[], int]) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._clock = clock
        self._obtained: TTLCache[str, ObtainedToken] = TTLCache(_MANY, 86_400)
        self._locks: TTLCache[str, asyncio.Lock] = TTLCache(_MANY, 86_400)

    async def tree(self, user: User) -> list[ReceivedShare]:
        """The shares that lie in a user's WebDAV tree. No other server is asked."""
        everything = await self._state.database.read(
            partial(self._state.received.all, recipient=user.name)
        )
        now = self._clock()
        return sorted(
            (share for share in everything if share.opens_at(now)), key=lambda share: share.folder
        )

    async def open(
        self, user: User, folder: str, rel: tuple[str, ...], *, refused: Way | None = None
    ) -> Way:
        """The way to something in a share of the user's tree.

        `refused` is a way whose token the Sending Server did not take: a new one is got. Raises
        NotFound for no such share, Refused for one that may not be read and for a server that is
        denied now, ProviderFailed and its kin when the Sending Server does not give us access.
        """
        share = await self._state.database.read(
            partial(self._state.received.find_by_folder, recipient=user.name, folder=folder)
        )
        if share is None or not share.opens_at(self._clock()):
            raise NotFound("there is no such share")
        if Permission.READ not in share.permissions:
            raise Refused("the share does not allow reading")
        self._others.doorkeeper.admit_provider(share.sending_server)
        discovery = await self._others.discoveries.discover(share.sending_server)
        worn = refused.target.authorization if refused else ""
        authorization = await self._authorization(share, discovery, worn)
        target = self._target(share, rel, _base(share, discovery), authorization)
        return Way(share, target, partial(self._others.guarded.request, share.sending_server))

    def _target(
        self, share: ReceivedShare, rel: tuple[str, ...], base: str, authorization: str
    ) -> Target:
        return Target(
            base=base,
            root=(),
            rel=rel,
            mount=(*self._ours.received, share.folder),
            origin=self._ours.origin,
            authorization=authorization,
            scope=share.id,
            single_file=share.resource_type is ResourceType.FILE,
            writable=Permission.WRITE in share.permissions,
            reshare=False,
            label=share.folder,
            trusted=False,
            profile=REMOTE,
        )

    async def _authorization(self, share: ReceivedShare, discovery: Discovery, worn: str) -> str:
        """An Authorization value for the share, another than the one that is worn."""
        async with self._locks.setdefault(share.id, asyncio.Lock()):
            held = self._obtained.get(share.id)
            if held and held.authorization != worn and self._clock() < held.renew_at:
                return held.authorization
            obtained = await self._obtain(share, discovery)
            self._obtained[share.id] = obtained
            return obtained.authorization

    async def _obtain(self, share: ReceivedShare, discovery: Discovery) -> ObtainedToken:
        if not share.uri:
            # The form of 1.0: the secret is the user name, at the WebDAV root (draft 03, 8 step 5).
            return self._bare(basic(share.shared_secret, ""))
        if not discovery.exchanges_tokens and share.must_exchange_token:
            raise ProviderRefused(f"{share.sending_server} offers no token exchange any more")
        if not discovery.exchanges_tokens:
            return self._bare(f"Bearer {share.shared_secret}")
        try:
            return await self._exchange(share, discovery.token_end_point)
        except (ProviderFailed, ProviderRefused) as error:
            if share.must_exchange_token:
                raise
            event("token.fallback", level="warning", id=share.id, error=error.explanation)
            return self._bare(f"Bearer {share.shared_secret}")

    def _bare(self, authorization: str) -> ObtainedToken:
        return ObtainedToken(authorization, self._clock() + _FALLBACK_SECONDS)

    async def _exchange(self, share: ReceivedShare, token_end_point: str) -> ObtainedToken:
        """The Code Flow (draft 03, 9.1)."""
        provider = share.sending_server
        reply = await self._others.client.post(
            provider,
            token_end_point,
            tokens.encode_request(TokenRequest(self._ours.authority, share.shared_secret)),
            content_type=tokens.FORM,
            purpose="token",
        )
        expect_success(provider, reply)
        try:
            response = tokens.parse_response(reply.body)
        except Malformed as error:
            raise ProviderFailed(
                f"{provider} gave no usable token", detail=error.message
            ) from error
        # Three quarters of its life, so that no request starts with a token about to end.
        renew_at = self._clock() + response.expires_in * 0.75
        return ObtainedToken(f"Bearer {response.access_token}", renew_at)


def _base(share: ReceivedShare, discovery: Discovery) -> str:
    """The URL of the share's root, without a trailing slash (draft 03, 8 step 4)."""
    if "://" in share.uri:
        return share.uri.rstrip("/")
    path = webdav_path(discovery, share.resource_type)
    if path is None:
        raise ProviderRefused(f"{share.sending_server} serves no WebDAV")
    prefix = discovery.asked_at + path.rstrip("/")
    return prefix + encode_path(uri_segments(share.uri))
