"""The registry of other servers: who they are to us, what they have proven, what the operator says.

Nothing is ever trusted by being in here. A server is written down when the operator adds it, when
somebody here deals with it, or once it has proven itself; policy judges it all the same.

What each request must know (who is blocked, who has proven what) is held in memory. Another
process's decisions arrive through `store/revisions.py`, within a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from gateway.config import ChangedKey, Trust
from gateway.errors import NotFound, Refused
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
from gateway.store import providers
from gateway.store.database import Database

_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Proof:
    """What a server has just shown: a signature of that scheme, made with that key."""

    provider: Authority
    scheme: Scheme
    kid: str
    algorithm: str
    thumbprint: str


class Registry:
    """Other servers, as the operator sees them."""

    def __init__(self, database: Database, trust: Trust, clock: Callable[[], int]) -> None:
        self._database = database
        self._trust = trust
        self._clock = clock
        self._standings: dict[Authority, Standing] = {}
        self._proven: set[Proof] = set()

    async def load(self) -> None:
        """Take in what any process has decided."""
        self._standings = await self._database.read(providers.standings)
        self._proven.clear()

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
        """Refused while a server waits for approval, where that is wanted.

        Only for servers that somebody here has named: it is written down, for the operator to see.
        """
        if self._trust.approval and self.standing(provider) is not Standing.APPROVED:
            await self.note(provider, source)
            self.admit(provider)
            raise Refused(f"{provider} waits to be approved by the operator of this server")

    async def note(self, provider: Authority, source: ProviderSource) -> Provider:
        """Write a server down that somebody here deals with, if it is new."""
        noted = await self._database.write(
            partial(
                providers.note,
                provider=provider,
                source=source,
                now=self._clock(),
                standing=self._first_standing(),
            )
        )
        await self.load()
        return noted

    def _first_standing(self) -> Standing:
        return Standing.PENDING if self._trust.approval else Standing.KNOWN

    def remembers(self, proof: Proof) -> bool:
        """Whether exactly that was shown before, so that there is nothing to judge or record."""
        return proof in self._proven

    def remember(self, proof: Proof) -> None:
        """That was shown and recorded."""
        if len(self._proven) >= _MANY:
            self._proven.clear()
        self._proven.add(proof)

    async def floor(self, provider: Authority) -> Scheme:
        """The least a server is still taken with: the strongest that it has proven itself with."""
        found = await self._database.read(partial(providers.find, provider=provider))
        return found.scheme if found else Scheme.NONE

    def weigh(self, connection: Connection, proof: Proof) -> str:
        """Judge a proof and record it, in the transaction of the message; "" when it is good.

        Else a reason: weaker (it has proven itself with more), changed_key (another key than
        before, and the configuration or a pin says no), pending (it waits for approval).
        """
        now = self._clock()
        known = providers.note(
            connection,
            proof.provider,
            ProviderSource.SEEN,
            now,
            standing=self._first_standing(),
        )
        if proof.scheme.rank < known.scheme.rank:
            return "weaker"
        if not self._weigh_key(connection, proof, now):
            return "changed_key"
        providers.strengthen(connection, proof.provider, scheme=proof.scheme, now=now)
        waits = self._trust.approval and known.standing is not Standing.APPROVED
        return "pending" if waits else ""

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

    async def all(self) -> list[Provider]:
        """Every server, by name."""
        return await self._database.read(providers.all_providers)

    async def find(self, provider: Authority) -> Provider | None:
        """What is known of a server; None for nothing."""
        return await self._database.read(partial(providers.find, provider=provider))

    async def pinned(self, provider: Authority) -> bool:
        """Whether the operator has pinned the server's key."""
        keys = await self.keys_of(provider)
        return any(key.standing is KeyStanding.PINNED for key in keys)

    async def by_authority(self, provider: Authority) -> Provider:
        """One server; NotFound when nothing is known of it."""
        found = await self._database.read(partial(providers.find, provider=provider))
        if found is None:
            raise NotFound(f"nothing is known of {provider}")
        return found

    async def keys_of(self, provider: Authority) -> list[ProviderKey]:
        """The keys that a server has signed with."""
        return await self._database.read(partial(providers.keys_of, provider=provider))

    async def add(self, provider: Authority, comment: str, pins: tuple[str, ...] = ()) -> Provider:
        """The operator names a server, and with `pins` (thumbprints) its only keys."""
        now = self._clock()

        def work(connection: Connection) -> None:
            providers.note(connection, provider, ProviderSource.CONFIGURED, now)
            providers.decide(connection, provider, Standing.APPROVED, comment)
            for thumbprint in pins:
                _pin(connection, provider, thumbprint, now)

        await self._database.write(work)
        return await self._decided(provider, "added")

    async def decide(
        self, provider: Authority, standing: Standing, comment: str | None = None
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

        await self._database.write(work)
        return await self._decided(provider, standing.value)

    async def reset(self, provider: Authority) -> Provider:
        """Forget what a server has proven and how it failed: it begins anew.

        Its standing, its comment and pinned keys stay. Raises NotFound.
        """
        await self.by_authority(provider)
        await self._database.write(partial(providers.reset, provider=provider))
        return await self._decided(provider, "reset")

    async def remove(self, provider: Authority) -> None:
        """Forget a server altogether, the operator's decision included. Raises NotFound."""
        if not await self._database.write(partial(providers.remove, provider=provider)):
            raise NotFound(f"nothing is known of {provider}")
        await self.load()
        event("provider.removed", server=provider)

    async def _decided(self, provider: Authority, what: str) -> Provider:
        await self.load()
        event(f"provider.{what}", server=provider)
        return await self.by_authority(provider)


def _pin(connection: Connection, provider: Authority, thumbprint: str, now: int) -> None:
    known = {key.thumbprint: key for key in providers.keys_of(connection, provider)}
    if found := known.get(thumbprint):
        providers.judge_key(connection, found, KeyStanding.PINNED)
        return
    key = ProviderKey(provider, thumbprint, "", "", KeyStanding.PINNED, now, 0)
    providers.add_key(connection, key)
