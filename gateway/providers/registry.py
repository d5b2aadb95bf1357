"""The registry of other servers: who they are to us, what they have proven, what the operator says.

Nothing is ever trusted by being in here. A server is written down when the operator adds it, when
somebody here deals with it, or once it has proven itself; policy judges it all the same.

What each request must know (who is blocked, who has proven what) is held in memory. Another
process's decisions arrive through `store/revisions.py`, within a second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from cachetools import LRUCache
from sqlalchemy import Connection

from gateway.config import ChangedKey, Trust
from gateway.errors import Conflict, NotFound, Refused, Unavailable
from gateway.logs import event
from gateway.model import (
    Authority,
    KeyStanding,
    Provider,
    ProviderKey,
    ProviderSource,
    Scheme,
    Standing,
)
from gateway.ocm.dialects import recognise
from gateway.ocm.discovery import Discovery
from gateway.providers import importing
from gateway.providers.health import Healths
from gateway.providers.importing import Change, Entry
from gateway.store import providers
from gateway.store.database import Database, Write
from gateway.store.parts import Part, Turn
from gateway.store.providers import Health

_MANY = 10_000
_FLUSH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What a server has just shown: a signature of that scheme, made with that key."""

    provider: Authority
    scheme: Scheme
    kid: str
    algorithm: str
    thumbprint: str


class Outcome(StrEnum):
    """What a proof is worth."""

    GOOD = "good"
    WEAKER = "weaker"  # it has proven itself with more before
    CHANGED_KEY = "changed key"  # another key than before, and the configuration or a pin says no
    PENDING = "pending"  # it waits for approval


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a server last said of itself."""

    api_version: str
    capabilities: frozenset[str]
    dialect: str


class Registry:
    """Other servers, as the operator sees them."""

    def __init__(
        self, database: Database, trust: Trust, healths: Healths, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._trust = trust
        self._healths = healths
        self._clock = clock
        self._standings: dict[Authority, Standing] = {}
        self._proven: LRUCache[Authority, set[Proof]] = LRUCache(_MANY)
        self._met: set[tuple[Authority, ProviderSource]] = set()
        self._seen: dict[Authority, int] = {}
        self._said: LRUCache[Authority, _Heard] = LRUCache(_MANY)
        self._signed: LRUCache[Authority, Scheme] = LRUCache(_MANY)
        self._unwritten: set[Authority] = set()
        self._in_turn = asyncio.Lock()
        """What is written down is never overtaken by what was read before it."""

    async def load(self) -> None:
        """Take in what any process has decided or found."""

        def read(
            connection: Connection,
        ) -> tuple[dict[Authority, Standing], dict[Authority, Health]]:
            return providers.standings(connection), providers.failing(connection)

        async with self._in_turn:
            self._standings, failing = await self._database.read(read)
            self._healths.take_in(failing)
        self._proven.clear()
        self._met.clear()

    def standing(self, provider: Authority) -> Standing:
        """What was decided about a server. Costs a look-up; asked for every request."""
        return self._standings.get(provider, Standing.KNOWN)

    def approved(self) -> list[Authority]:
        """The servers that the operator has approved."""
        standings = self._standings.items()
        return [provider for provider, standing in standings if standing is Standing.APPROVED]

    def admit(self, provider: Authority) -> None:
        """Refused for a server that the operator has blocked."""
        if self.standing(provider) is Standing.BLOCKED:
            raise Refused(
                "this server does not federate with yours", detail=f"{provider} is blocked"
            )

    async def expect_approved(self, provider: Authority, source: ProviderSource) -> None:
        """Refused while a server waits to be approved, where that is wanted.

        It is written down, for the operator to see: somebody here has named it, or it has proven
        itself, and policy admits it.
        """
        self.admit(provider)
        if self._trust.approval and self.standing(provider) is not Standing.APPROVED:
            await self.note(provider, source)
            raise Refused(f"{provider} waits to be approved by the operator of this server")

    async def note(self, provider: Authority, source: ProviderSource) -> None:
        """Write a server down that somebody here deals with, if it is new."""
        if (provider, source) in self._met:
            return
        note = partial(
            providers.note,
            provider=provider,
            source=source,
            now=self._clock(),
            standing=self._first_standing(),
        )
        noted = await self._database.write(note, on_disk=False)
        if noted.standing is not self.standing(provider):
            await self.load()
        self._remember_met(provider, source)

    def _remember_met(self, provider: Authority, source: ProviderSource) -> None:
        if len(self._met) >= _MANY:
            self._met.clear()
        self._met.add((provider, source))
        self._unwritten.add(provider)

    def _first_standing(self) -> Standing:
        return Standing.PENDING if self._trust.approval else Standing.KNOWN

    def remembers(self, proof: Proof) -> bool:
        """Whether exactly that was shown before, so that there is nothing to judge or record."""
        return proof in self._proven.get(proof.provider, ())

    async def settle(self, proof: Proof, outcome: Outcome) -> None:
        """What became of a proof, once it is recorded."""
        self._healths.answered(proof.provider)
        if outcome is Outcome.PENDING and self.standing(proof.provider) is not Standing.PENDING:
            await self.load()
        if outcome is not Outcome.GOOD:
            return
        if not self.remembers(proof):
            # With a better scheme than before, what was shown with another counts no more.
            known = self._proven.get(proof.provider, set())
            same = {one for one in known if one.scheme is proof.scheme}
            self._proven[proof.provider] = {*list(same)[-providers.MOST_KEYS :], proof}
            self._unwritten.add(proof.provider)
        self._seen[proof.provider] = self._clock()

    def learn(self, provider: Authority, document: Discovery) -> None:
        """What a server says of itself, in its discovery document."""
        said = _Heard(document.api_version, document.capabilities, recognise(document).name)
        if self._said.get(provider) != said:
            self._said[provider] = said
            self._unwritten.add(provider)

    async def flush(self) -> None:
        """Write down what was seen and found meanwhile, of servers that are in the registry."""
        if not (self._seen or self._unwritten or self._healths.changed):
            return
        async with self._in_turn:
            seen, self._seen = self._seen, {}
            unwritten, self._unwritten = self._unwritten, set()
            failing, self._healths.changed = self._healths.changed, set()
            try:
                await self._write_down(seen, unwritten, failing)
            except BaseException:
                self._seen = seen | self._seen
                self._unwritten |= unwritten
                self._healths.changed |= failing
                raise

    async def _write_down(
        self, seen: dict[Authority, int], unwritten: set[Authority], failing: set[Authority]
    ) -> None:
        # Of a server that is new in the registry, the failures before it came count too.
        failing = failing | {one for one in unwritten if self._healths.of(one).failures}
        healths = {one: self._healths.of(one) for one in failing}

        def write(connection: Connection) -> None:
            for provider, moment in seen.items():
                providers.seen(connection, provider, moment)
            for provider in unwritten:
                if said := self._said.get(provider):
                    providers.describe(
                        connection,
                        provider,
                        api_version=said.api_version,
                        capabilities=said.capabilities,
                        dialect=said.dialect,
                    )
                if scheme := self._signed.get(provider):
                    providers.signed_to(connection, provider, scheme)
            providers.keep_health(connection, healths)

        await self._database.write(write, on_disk=False)

    async def work(self) -> None:
        """Flush every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except Unavailable as error:
                event("registry.stalled", level="error", error=error.explanation)

    async def floor(self, provider: Authority) -> Scheme:
        """The least a server is still taken with: the strongest that it has proven itself with."""
        found = await self._database.read(partial(providers.find, provider=provider))
        return found.scheme if found else Scheme.NONE

    async def owed(self, provider: Authority) -> Scheme:
        """What a server may count on from us: the best that either has signed with before."""
        found = await self._database.read(partial(providers.find, provider=provider))
        before = (found.scheme, found.our_scheme) if found else ()
        ours: Scheme = self._signed.get(provider, Scheme.NONE)
        best: Scheme = max((*before, ours), key=lambda one: one.rank)
        return best

    def signed_to(self, provider: Authority, scheme: Scheme) -> None:
        """We have signed towards a server, and do so from now on."""
        if self._signed.get(provider, Scheme.NONE).rank < scheme.rank:
            self._signed[provider] = scheme
            self._unwritten.add(provider)

    def weigh(self, connection: Connection, proof: Proof) -> Outcome:
        """Judge a proof and record it, in the transaction of the message."""
        now = self._clock()
        known = providers.note(
            connection,
            proof.provider,
            ProviderSource.SEEN,
            now,
            standing=self._first_standing(),
        )
        if proof.scheme.rank < known.scheme.rank:
            return Outcome.WEAKER
        if not self._weigh_key(connection, proof, now):
            return Outcome.CHANGED_KEY
        if proof.scheme is known.scheme:
            providers.seen(connection, proof.provider, now)
        else:
            providers.strengthen(connection, proof.provider, scheme=proof.scheme, now=now)
        waits = self._trust.approval and known.standing is not Standing.APPROVED
        return Outcome.PENDING if waits else Outcome.GOOD

    def _weigh_key(self, connection: Connection, proof: Proof, now: int) -> bool:
        """Trust on first use; a pin rules out every other key."""
        history = providers.keys_of(connection, proof.provider)
        found = next((key for key in history if key.thumbprint == proof.thumbprint), None)
        pinned = any(key.standing is KeyStanding.PINNED for key in history)
        if found is None:
            standing = self._standing_of_new(history, pinned=pinned)
            found = ProviderKey(
                proof.provider, proof.thumbprint, proof.kid, proof.algorithm, standing, now, now
            )
            providers.add_key(connection, found)
            if history:
                event(
                    "provider.key_changed",
                    level="warning",
                    server=proof.provider,
                    thumbprint=proof.thumbprint,
                    standing=standing.value,
                )
        else:
            providers.use_key(connection, found, now)
        if pinned:
            return found.standing is KeyStanding.PINNED
        return found.standing is KeyStanding.TRUSTED

    def _standing_of_new(self, history: list[ProviderKey], *, pinned: bool) -> KeyStanding:
        if pinned:
            return KeyStanding.REFUSED
        if not history:
            return KeyStanding.TRUSTED
        return {
            ChangedKey.ACCEPT: KeyStanding.TRUSTED,
            ChangedKey.QUARANTINE: KeyStanding.QUARANTINED,
            ChangedKey.REFUSE: KeyStanding.REFUSED,
        }[self._trust.changed_key]

    def health(self, provider: Authority) -> Health:
        """How a server does, as far as this process knows."""
        return self._healths.of(provider)

    async def all(self) -> list[Provider]:
        """Every server, by name."""
        return await self._database.read(providers.all_providers)

    async def part(self, turn: Turn, search: str = "", *, failing: bool = False) -> Part[Provider]:
        """A part of the servers, by name; as `store.providers.part` has it."""
        return await self._database.read(
            partial(providers.part, turn=turn, search=search, failing=failing)
        )

    async def find(self, provider: Authority) -> Provider | None:
        """What is known of a server; None for nothing."""
        return await self._database.read(partial(providers.find, provider=provider))

    async def pinned(self, provider: Authority) -> bool:
        """Whether the operator has pinned the server's key."""
        keys = await self.keys_of(provider)
        return any(key.standing is KeyStanding.PINNED for key in keys)

    async def by_authority(self, provider: Authority) -> Provider:
        """One server; NotFound when nothing is known of it."""
        return await self._database.read(partial(_known, provider=provider))

    async def keys_of(self, provider: Authority) -> list[ProviderKey]:
        """The keys that a server has signed with."""
        return await self._database.read(partial(providers.keys_of, provider=provider))

    async def add(
        self,
        provider: Authority,
        comment: str,
        pins: tuple[str, ...] = (),
        *,
        write: Write | None = None,
    ) -> Provider:
        """The operator names a server, and with `pins` (thumbprints) its only keys."""
        now = self._clock()

        def work(connection: Connection) -> None:
            providers.note(connection, provider, ProviderSource.CONFIGURED, now)
            providers.decide(connection, provider, Standing.APPROVED, comment)
            for thumbprint in pins:
                providers.pin(connection, provider, thumbprint, now)

        await (write or self._database.write)(work)
        return await self._decided(provider, "added")

    async def decide(
        self,
        provider: Authority,
        standing: Standing,
        comment: str | None = None,
        *,
        write: Write | None = None,
    ) -> Provider:
        """Approve or block a server. Approving also trusts the keys that waited.

        A server that is not known is written down, so that one can be blocked before it comes.
        """
        now = self._clock()

        def work(connection: Connection) -> None:
            providers.note(connection, provider, ProviderSource.CONFIGURED, now)
            providers.decide(connection, provider, standing, comment)
            if standing is Standing.APPROVED:
                for key in providers.keys_of(connection, provider):
                    if key.standing is KeyStanding.QUARANTINED:
                        providers.judge_key(connection, key, KeyStanding.TRUSTED)

        await (write or self._database.write)(work)
        return await self._decided(provider, standing.value)

    async def pin(
        self, provider: Authority, thumbprint: str = "", *, write: Write | None = None
    ) -> Provider:
        """That key counts, and no other but those pinned before; without one, its only one.

        `write` is handed what is pinned then. Raises NotFound for a server that is not known,
        Conflict where it has not just one key.
        """
        now = self._clock()

        def work(connection: Connection) -> tuple[str, ...]:
            _known(connection, provider)
            chosen = thumbprint or _only_key(connection, provider)
            providers.pin(connection, provider, chosen, now)
            keys = providers.keys_of(connection, provider)
            return tuple(key.thumbprint for key in keys if key.standing is KeyStanding.PINNED)

        await (write or self._database.write)(work)
        return await self._decided(provider, "pinned")

    async def unpin(
        self, provider: Authority, thumbprint: str, *, write: Write | None = None
    ) -> Provider:
        """That key is one like others again. Raises NotFound."""

        def work(connection: Connection) -> None:
            for key in providers.keys_of(connection, provider):
                if key.thumbprint == thumbprint and key.standing is KeyStanding.PINNED:
                    providers.unpin(connection, key)
                    return
            raise NotFound(f"no such key of {provider} is pinned")

        await (write or self._database.write)(work)
        return await self._decided(provider, "unpinned")

    async def take_in(self, entries: list[Entry], *, write: Write | None = None) -> list[Change]:
        """Do what a list says of many servers, all of it or nothing; returns what that was."""
        keep = partial(importing.keep, entries=entries, now=self._clock())
        done = await (write or self._database.write)(keep)
        await self.load()
        event("provider.imported", servers=sum(one.changes for one in done))
        return done

    async def reset(self, provider: Authority, *, write: Write | None = None) -> Provider:
        """Forget what a server has proven and how it failed: it begins anew.

        Its standing, its comment and pinned keys stay. Raises NotFound.
        """

        def work(connection: Connection) -> None:
            _known(connection, provider)
            providers.reset(connection, provider)

        await (write or self._database.write)(work)
        return await self._decided(provider, "reset")

    async def remove(self, provider: Authority, *, write: Write | None = None) -> None:
        """Forget a server altogether, the operator's decision included. Raises NotFound."""

        def work(connection: Connection) -> None:
            if not providers.remove(connection, provider):
                raise NotFound(f"nothing is known of {provider}")

        await (write or self._database.write)(work)
        await self.load()
        event("provider.removed", server=provider)

    async def _decided(self, provider: Authority, what: str) -> Provider:
        await self.load()
        event(f"provider.{what}", server=provider)
        return await self.by_authority(provider)


def _known(connection: Connection, provider: Authority) -> Provider:
    found = providers.find(connection, provider)
    if found is None:
        raise NotFound(f"nothing is known of {provider}")
    return found


def _only_key(connection: Connection, provider: Authority) -> str:
    used = [key for key in providers.keys_of(connection, provider) if key.last_seen_at]
    if len(used) != 1:
        raise Conflict(f"{provider} has signed with {len(used)} keys; name the right one")
    return used[0].thumbprint
