"""The Receiving Server as a client: reaching what was shared with us (draft 03, 8 and 9).

A token is got in exchange for the share's secret, one exchange at a time for each share, kept in
memory and renewed before it expires. A share that requires the exchange is never reached with its
bare secret, whatever happens; without the requirement a failed exchange falls back to it. A server
that refuses one credential is shown the next that its dialect knows, and what opened is remembered.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from cachetools import TTLCache

from gateway.dav import backend
from gateway.dav.backend import Stat
from gateway.dav.client import Send
from gateway.dav.target import REMOTE, Target
from gateway.errors import (
    CredentialRefused,
    Malformed,
    NeedsMfa,
    NotFound,
    ProviderFailed,
    ProviderRefused,
    Refused,
    TooMany,
    Unsigned,
)
from gateway.logs import event
from gateway.model import Authority, Permission, ReceivedShare, ReceivedState, ResourceType, User
from gateway.ocm import tokens
from gateway.ocm.dialects import Approach
from gateway.ocm.discovery import Discovery
from gateway.ocm.tokens import TokenRequest
from gateway.policy.facts import Action, Limits
from gateway.providers.dialects import Speech
from gateway.sharing import approaches, facts
from gateway.sharing.approaches import AT_ROOT, BASIC, EXCHANGING
from gateway.sharing.credentials import basic
from gateway.sharing.others import Others, expect_success
from gateway.sharing.ours import Ours
from gateway.store.state import State

_MANY = 10_000
_FALLBACK_SECONDS = 60
_SPEECH_SECONDS = 60
_SETTLING_SECONDS = 60
"""How long after its arrival a share may be unknown to its own server: Reva keeps it after our
answer."""
_TAKEN = tuple(state for state in ReceivedState if state.taken)


@dataclass(frozen=True, slots=True)
class ObtainedToken:
    """What opens a share at its Sending Server: an Authorization value, good until `renew_at`."""

    authorization: str = field(repr=False)
    renew_at: float


@dataclass(frozen=True, slots=True)
class Way:
    """How one request reaches a received share. `renewed`: with a token got because another one
    was refused."""

    share: ReceivedShare
    target: Target
    send: Send
    approach: Approach
    renewed: bool = False


class Visiting:
    """Opens received shares for local users."""

    def __init__(self, ours: Ours, state: State, others: Others, clock: Callable[[], int]) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._clock = clock
        self._obtained: TTLCache[tuple[str, Approach], ObtainedToken] = TTLCache(_MANY, 86_400)
        self._locks: TTLCache[str, asyncio.Lock] = TTLCache(_MANY, 86_400)
        self._speeches: TTLCache[Authority, Speech] = TTLCache(_MANY, _SPEECH_SECONDS)
        self._opened: TTLCache[str, Approach] = TTLCache(_MANY, 86_400)

    async def tree(self, user: User) -> list[ReceivedShare]:
        """The shares that lie in a user's WebDAV tree, without their secrets. No other server is
        asked."""
        everything = await self._state.database.read(
            partial(self._state.received.listed, recipient=user.name, states=_TAKEN)
        )
        return sorted(filter(self._opens, everything), key=lambda share: share.folder)

    async def by_id(self, user: User, share_id: str) -> ReceivedShare:
        """One share of that tree. Raises NotFound."""
        share = await self._state.database.read(
            partial(self._state.received.find, share_id=share_id)
        )
        if share is None or share.recipient != user.name or not self._opens(share):
            raise NotFound("there is no such share among those you accepted")
        return share

    async def open(self, user: User, folder: str, rel: tuple[str, ...]) -> Way:
        """The way to something in a share of the user's tree.

        Raises NotFound for no such share, NeedsMfa where the log-in proves too little (draft 03,
        8), Refused for one that may not be read and for a server that is denied now,
        ProviderFailed and its kin when the Sending Server does not give us access.
        """
        share = await self._state.database.read(
            partial(self._state.received.find_by_folder, recipient=user.name, folder=folder)
        )
        if share is None or not self._opens(share):
            raise NotFound("there is no such share")
        if Permission.READ not in share.permissions:
            raise Refused("the share does not allow reading")
        if share.must_use_mfa and not user.strong:
            raise NeedsMfa("this share opens only after a log-in with more than one factor")
        if share.kind_unknown and (not share.uri or await self._calls_folders_files(share)):
            share = await self.look(share)
        return await self.way(share, rel)

    async def way(self, share: ReceivedShare, rel: tuple[str, ...]) -> Way:
        """The way to something in that share, by what opened it last or is the likeliest."""
        self._others.doorkeeper.admit_provider(share.sending_server, Action.TRANSFER)
        discovery = await self._others.discoveries.discover(share.sending_server)
        order = await self._order(share, discovery)
        last = self._opened.get(share.id)
        return await self._by(last if last in order else order[0], share, rel, discovery)

    async def another(self, way: Way) -> Way | None:
        """The next way, where the Sending Server did not take the credential of this one.

        First a new token (draft 03, 9.2), then whatever else its dialect knows; None when nothing
        is left.
        """
        discovery = await self._others.discoveries.discover(way.share.sending_server)
        order = await self._order(way.share, discovery)
        if way.approach in EXCHANGING and not way.renewed:
            worn = way.target.authorization
            by = self._by(way.approach, way.share, way.target.rel, discovery, worn)
            return replace(await by, renewed=True)
        later = order[order.index(way.approach) + 1 :] if way.approach in order else ()
        for approach in later:
            found = await self._by(approach, way.share, way.target.rel, discovery)
            if found.target != way.target:  # else a failed exchange fell back to it already
                return found
        return None

    async def saw(self, way: Way, status: int) -> None:
        """What the Sending Server answered on a way: it may have opened, or ended, a share.

        401 stands for every credential refused.
        """
        share = way.share
        if status in (401, 404, 410):
            if not way.target.rel:
                await self._miss(share)
            return
        if status >= 400:
            return
        if share.state is ReceivedState.UNAVAILABLE:
            await self._move(share, ReceivedState.ACCEPTED)
        if self._opened.get(share.id) is not way.approach:
            self._opened[share.id] = way.approach
            await self._remember(way)

    async def look(self, share: ReceivedShare) -> ReceivedShare:
        """What the Sending Server says of a share's root: whether it is there, its kind, and what
        is granted.

        Older servers call folders files too. Raises what `way` does, and the errors of storages.
        """
        try:
            way = await self.way(share, ())
            stat = await self._stat(way)
        except ProviderRefused as error:
            if error.answered:  # no token for its secret any more
                await self._miss(share)
            raise
        if stat is None or not stat.exists:
            await self.saw(way, 401 if stat is None else 404)
            raise NotFound("the other server does not have this share any more")
        await self.saw(way, 207)
        kind = ResourceType.FOLDER if stat.collection else ResourceType.FILE
        found = replace(
            share,
            resource_type=kind,
            permissions=self._granted(share, stat.granted),
            checked_at=self._clock(),
        )
        if found.permissions != share.permissions:
            event("share.changed", id=share.id, server=share.sending_server)
        await self._state.database.write(
            partial(
                self._state.received.check,
                share_id=share.id,
                resource_type=found.resource_type,
                permissions=found.permissions,
                checked_at=self._clock(),
            )
        )
        return found

    def _granted(self, share: ReceivedShare, said: frozenset[str] | None) -> frozenset[Permission]:
        """What the share grants, by its server's word; more than before only if policy would take
        it so."""
        permissions = frozenset(one for one in Permission if one.value in (said or ()))
        if Permission.READ not in permissions or permissions == share.permissions:
            return share.permissions
        if permissions < share.permissions:
            return permissions
        wider = facts.of_received(replace(share, permissions=permissions), Action.SHARE_IN)
        try:
            ruling = self._others.doorkeeper.admit(wider)
        except (Refused, TooMany, Unsigned):
            return share.permissions & permissions
        if ruling.held:
            return share.permissions & permissions
        return permissions - ({Permission.WRITE} if ruling.limits.read_only else set())

    async def _stat(self, way: Way) -> Stat | None:
        """None when every credential was refused."""
        following: Way | None = way
        while following is not None:
            way = following
            try:
                return await backend.stat(way.send, way.target)
            except CredentialRefused:
                following = await self.another(way)
        return None

    async def _miss(self, share: ReceivedShare) -> None:
        """Not there; a young share may not be there yet."""
        if share.received_at + _SETTLING_SECONDS < self._clock():
            await self._move(share, ReceivedState.UNAVAILABLE)

    async def _move(self, share: ReceivedShare, state: ReceivedState) -> None:
        both = (ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE)
        out_of = tuple(one for one in both if one is not state)
        move = partial(self._state.received.move, share_id=share.id, state=state, out_of=out_of)
        if await self._state.database.write(move):
            name = "share.lost" if state is ReceivedState.UNAVAILABLE else "share.found"
            event(name, level="warning", id=share.id, server=share.sending_server)

    async def _calls_folders_files(self, share: ReceivedShare) -> bool:
        provider = share.sending_server
        discovery = await self._others.discoveries.discover(provider)
        return (await self._speech(provider, discovery)).dialect.claims_files

    async def _remember(self, way: Way) -> None:
        provider = way.share.sending_server
        discovery = await self._others.discoveries.discover(provider)
        speech = await self._speech(provider, discovery)
        order = approaches.approaches(way.share, discovery, speech)
        await self._others.dialects.opened(
            provider, speech, way.approach, learnt=way.approach is not order[0]
        )

    async def _order(self, share: ReceivedShare, discovery: Discovery) -> tuple[Approach, ...]:
        speech = await self._speech(share.sending_server, discovery)
        return approaches.approaches(share, discovery, speech)

    async def _speech(self, provider: Authority, discovery: Discovery) -> Speech:
        speech = self._speeches.get(provider)
        if speech is None:
            speech = await self._others.dialects.speech(provider, discovery)
            self._speeches[provider] = speech
        return speech

    async def _by(
        self,
        approach: Approach,
        share: ReceivedShare,
        rel: tuple[str, ...],
        discovery: Discovery,
        worn: str = "",
    ) -> Way:
        base = approaches.base_of(share, discovery, approach, self._ours.authority)
        if approach in AT_ROOT and share.resource_type is ResourceType.FILE:
            base += "/"  # the root is the file itself, under the address that is published
        authorization = await self._authorization(share, discovery, approach, worn)
        target = self._target(share, rel, base, authorization, self._admit(share))
        send = partial(self._others.guarded.request, share.sending_server)
        return Way(share, target, send, approach)

    def _admit(self, share: ReceivedShare, *, counts: bool = True) -> Limits:
        """Within which limits our user may use a share now; Refused, or NotFound."""
        limits = self._others.doorkeeper.admit_share(
            share.sending_server,
            Action.TRANSFER,
            share.id + facts.MARKS[share.permissions],
            partial(facts.of_received, share, Action.TRANSFER),
            counts=counts,
        )
        ends_at = limits.expiration(share.expiration_at, share.received_at)
        if ends_at is not None and ends_at <= self._clock():
            raise NotFound("there is no such share")
        if limits.must_exchange and not share.must_exchange_token:
            raise Refused("policy takes only shares that require must-exchange-token")
        return limits

    async def admits(self, share_id: str) -> bool:
        """Whether a share that is being read or written may go on being so."""
        try:
            share = await self._state.database.read(
                partial(self._state.received.by_id, share_id=share_id)
            )
            self._admit(share, counts=False)
        except (Refused, NotFound):
            return False
        return self._opens(share)

    def _opens(self, share: ReceivedShare) -> bool:
        return share.opens_at(self._clock()) and self._ours.groups.reaches(share)

    def _target(
        self,
        share: ReceivedShare,
        rel: tuple[str, ...],
        base: str,
        authorization: str,
        limits: Limits,
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
            writable=Permission.WRITE in share.permissions and not limits.read_only,
            reshare=False,
            label=share.folder,
            trusted=False,
            profile=REMOTE,
        )

    async def _authorization(
        self, share: ReceivedShare, discovery: Discovery, approach: Approach, worn: str
    ) -> str:
        """An Authorization value for the share, another than the one that is worn."""
        if approach not in EXCHANGING:
            return _bare(share, approach)
        async with self._locks.setdefault(share.id, asyncio.Lock()):
            held = self._obtained.get((share.id, approach))
            if held and held.authorization != worn and self._clock() < held.renew_at:
                return held.authorization
            obtained = await self._obtain(share, discovery, approach)
            self._obtained[share.id, approach] = obtained
            return obtained.authorization

    async def _obtain(
        self, share: ReceivedShare, discovery: Discovery, approach: Approach
    ) -> ObtainedToken:
        try:
            return await self._exchange(share, discovery.token_end_point)
        except (ProviderFailed, ProviderRefused) as error:
            if share.must_exchange_token:
                raise
            event("token.fallback", level="warning", id=share.id, error=error.explanation)
            bare = _bare(share, approaches.without_exchange(approach))
            return ObtainedToken(bare, self._clock() + _FALLBACK_SECONDS)

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


def _bare(share: ReceivedShare, approach: Approach) -> str:
    """The secret itself: as a bearer token, or as a Basic user name with an empty password."""
    if approach in BASIC:
        return basic(share.shared_secret, "")
    return f"Bearer {share.shared_secret}"
