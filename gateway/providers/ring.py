"""Our own signing keys, from the day they are staged to the day nothing they signed holds.

    staged  ->  active  ->  overlapping  ->  retired
    published   signs       published       access tokens that it signed hold until they expire

There are two kinds: one key signs after RFC 9421 and makes the access tokens, and stands in the key
set; one RSA key signs draft-cavage for older servers, and stands in the discovery document. Of each
kind one is active. Private parts are sealed in the database, those from files, too; every process
holds them in memory and takes in what another one changes.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from gateway.errors import Conflict, Malformed, NotFound
from gateway.httpsig.keys import ECDSA_P256, ED25519, RSA_V15_512, VerificationKey
from gateway.httpsig.signing import JOSE, SigningKey
from gateway.logs import event
from gateway.model import Authority, KeyState
from gateway.store import keys
from gateway.store.database import Database, Write
from gateway.store.keys import KeptKey
from gateway.store.vault import Vault

ALGORITHMS = {"ed25519": ED25519, "es256": ECDSA_P256, "rsa": RSA_V15_512}
"""The operator's names of what a key may be."""


UNNAMED = "unnamed"
"""How a key is called until it is kept."""

_LONGEST_FILE = 16 * 1024


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of ours and where it stands."""

    key: SigningKey
    state: KeyState
    created_at: int
    changed_at: int

    @property
    def cavage(self) -> bool:
        """Whether it is for older servers."""
        return self.key.algorithm not in JOSE


@dataclass(frozen=True, slots=True)
class Names:
    """How our keys are called: `host#name` (draft 03, 17.1), and as a URL for draft-cavage, where
    Nextcloud looks for the host in it. `cavage` says whether there is one of the latter."""

    authority: Authority
    end_point: str
    cavage: bool

    def kid(self, algorithm: str, number: int) -> str:
        """The name of a new key."""
        if algorithm == RSA_V15_512:
            return f"{self.end_point}#rsa{number}"
        return f"{self.authority}#key{number}"

    def ours(self, kid: str) -> bool:
        """Whether a key is of this server, and not of an earlier public origin."""
        return kid.startswith((f"{self.authority}#", f"{self.end_point}#"))


class Ring:
    """The keys of this server."""

    def __init__(
        self, database: Database, vault: Vault, names: Names, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._vault = vault
        self._names = names
        self._clock = clock
        self._verifying: dict[str, VerificationKey] = {}
        self._listeners: list[Callable[[], None]] = []
        self.keys: tuple[OwnKey, ...] = ()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Tell somebody who remembers what a key has verified."""
        self._listeners.append(listener)

    @property
    def active(self) -> SigningKey:
        """The key that signs after RFC 9421, and access tokens."""
        return next(one.key for one in self._of_kind(cavage=False) if one.state is KeyState.ACTIVE)

    @property
    def cavage(self) -> SigningKey | None:
        """The key that signs draft-cavage; None when that is switched off."""
        found = self._of_kind(cavage=True) if self._names.cavage else ()
        return next((one.key for one in found if one.state is KeyState.ACTIVE), None)

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """The keys in the key set, the one that signs first."""
        found = [one for one in self._of_kind(cavage=False) if one.state.published]
        found.sort(key=lambda one: one.state is not KeyState.ACTIVE)
        return tuple(one.key for one in found)

    def jwks(self) -> dict[str, object]:
        """The JWK Set of the public keys (RFC 7517 5)."""
        return {"keys": [key.public_jwk() for key in self.published]}

    def verifying(self, kid: str) -> VerificationKey | None:
        """The key that verifies our own access tokens of that kid."""
        return self._verifying.get(kid)

    def _of_kind(self, *, cavage: bool) -> tuple[OwnKey, ...]:
        return tuple(one for one in self.keys if one.cavage is cavage)

    async def load(self) -> None:
        """Take in what any process has changed."""
        kept = await self._database.read(partial(keys.all_keys, vault=self._vault))
        mine = (one for one in kept if self._names.ours(one.kid))
        self.keys = tuple(map(_own, mine))
        self._verifying = {
            one.key.kid: one.key.verification_key()
            for one in self._of_kind(cavage=False)
            if one.state is not KeyState.COMPROMISED
        }
        for listener in self._listeners:
            listener()

    async def complete(self, given: Sequence[SigningKey] = ()) -> None:
        """Have the keys that every server has, where there are none yet: the first of its kind
        that is `given`, or a new one."""
        await self.load()
        wanted = [ED25519] + [RSA_V15_512] * self._names.cavage
        kinds = {one.cavage for one in self.keys if one.state is KeyState.ACTIVE}
        for algorithm in wanted:
            if (cavage := algorithm not in JOSE) not in kinds:
                mine = next((one for one in given if (one.algorithm not in JOSE) is cavage), None)
                await self._make(algorithm, KeyState.ACTIVE, made=mine)
        await self.load()

    async def _make(
        self,
        algorithm: str,
        state: KeyState,
        write: Write | None = None,
        made: SigningKey | None = None,
    ) -> str:
        """Keep a new key; its kid. Where two processes start at once, the first one's counts."""
        # The name is part of what is sealed, so it is given once the key is being kept.
        if made is None:
            made = await asyncio.to_thread(SigningKey.generate, UNNAMED, algorithm)
        private, name = made.private_bytes(), made.algorithm
        now = self._clock()

        def keep(connection: Connection) -> str:
            kind = self._kept(connection, cavage=algorithm not in JOSE)
            if state is KeyState.ACTIVE and (
                there := next((one for one in kind if one.state is KeyState.ACTIVE), None)
            ):
                return there.kid
            kid = self._names.kid(name, len(kind) + 1)
            keys.add(connection, self._vault, KeptKey(kid, name, private, state, now, now))
            return kid

        return await (write or self._database.write)(keep)

    def _kept(self, connection: Connection, *, cavage: bool) -> list[KeptKey]:
        """Our keys of one kind, the newest first."""
        kept = keys.all_keys(connection, self._vault)
        mine = (one for one in kept if self._names.ours(one.kid))
        return [one for one in mine if (one.algorithm not in JOSE) is cavage]

    async def adopt(self, given: Sequence[SigningKey], *, write: Write | None = None) -> list[str]:
        """Of each kind sign with the first that is given, and publish the others; the kids of those
        that moved. One that signed before and is not given stays published.

        `write` is handed those kids. Raises Conflict for one that was compromised.
        """
        if self._adopted(given):
            return []
        now = self._clock()

        def adopt(connection: Connection) -> list[str]:
            moved: list[str] = []
            for cavage in (False, True):
                kind = [one for one in given if (one.algorithm not in JOSE) is cavage]
                for place, one in enumerate(kind):
                    state = KeyState.STAGED if place else KeyState.ACTIVE
                    moved += self._take(connection, one, state, now)
            return moved

        moved = await (write or self._database.write)(adopt)
        await self.load()
        for kid in moved:
            event("key.adopted", kid=kid)
        return moved

    def _adopted(self, given: Sequence[SigningKey]) -> bool:
        """Whether nothing is to do for these."""
        known = {one.key.private_bytes(): one for one in self.keys}
        for cavage in (False, True):
            kind = [one for one in given if (one.algorithm not in JOSE) is cavage]
            for place, one in enumerate(kind):
                mine = known.get(one.private_bytes())
                if mine is None or not mine.state.published:
                    return False
                if not place and mine.state is not KeyState.ACTIVE:
                    return False
        return True

    def _take(
        self, connection: Connection, one: SigningKey, state: KeyState, now: int
    ) -> list[str]:
        """Bring a key that was given into that state; the kids of those that moved."""
        kept = self._kept(connection, cavage=one.algorithm not in JOSE)
        private = one.private_bytes()
        mine = next((key for key in kept if key.private == private), None)
        if mine and mine.state is KeyState.COMPROMISED:
            raise Conflict(f"a file of keys.files has the compromised key {mine.kid}")
        if mine and (mine.state is state or (state is KeyState.STAGED and mine.state.published)):
            return []
        moved = []
        if state is KeyState.ACTIVE:
            for key in kept:
                if key.state is KeyState.ACTIVE:
                    keys.move(connection, key.kid, KeyState.OVERLAPPING, now)
                    moved.append(key.kid)
        kid = mine.kid if mine else self._names.kid(one.algorithm, len(kept) + 1)
        if mine:
            keys.move(connection, kid, state, now)
        else:
            new = KeptKey(kid, one.algorithm, private, state, now, now)
            keys.add(connection, self._vault, new)
        return [*moved, kid]

    async def stage(self, name: str, *, write: Write | None = None) -> OwnKey:
        """Make a key and publish it; it signs nothing yet. `name` is one of `ALGORITHMS`.

        A key for draft-cavage is published once it is active: older servers know one at a time.
        `write` is handed the kid.
        """
        if name not in ALGORITHMS:
            raise Malformed(f"a key is one of {', '.join(ALGORITHMS)}")
        kid = await self._make(ALGORITHMS[name], KeyState.STAGED, write)
        await self.load()
        event("key.staged", kid=kid)
        return self.by_kid(kid)

    async def activate(self, kid: str, *, write: Write | None = None) -> OwnKey:
        """Sign with that key from now on; the one before stays published. Raises NotFound,
        Conflict for one that is retired."""
        chosen = self.by_kid(kid)
        if not chosen.state.published:
            raise Conflict(f"the key is {chosen.state.value}; stage a new one")
        now = self._clock()

        def move(connection: Connection) -> None:
            for one in self._kept(connection, cavage=chosen.cavage):
                if one.state is KeyState.ACTIVE and one.kid != kid:
                    keys.move(connection, one.kid, KeyState.OVERLAPPING, now)
            keys.move(connection, kid, KeyState.ACTIVE, now)

        await (write or self._database.write)(move)
        return await self._moved(kid, "activated")

    async def retire(
        self, kid: str, *, compromised: bool = False, write: Write | None = None
    ) -> OwnKey:
        """Publish that key no more. `compromised` also ends the access tokens that it signed.

        Raises NotFound, and Conflict for the key that signs.
        """
        if self.by_kid(kid).state is KeyState.ACTIVE:
            raise Conflict("the key signs; activate another one first")
        state = KeyState.COMPROMISED if compromised else KeyState.RETIRED
        move = partial(keys.move, kid=kid, state=state, now=self._clock())
        await (write or self._database.write)(move)
        return await self._moved(kid, state.value)

    def by_kid(self, kid: str) -> OwnKey:
        """One key; NotFound."""
        found = next((one for one in self.keys if one.key.kid == kid), None)
        if found is None:
            raise NotFound("there is no such key")
        return found

    async def _moved(self, kid: str, what: str) -> OwnKey:
        await self.load()
        event(f"key.{what}", kid=kid)
        return self.by_kid(kid)


def _own(kept: KeptKey) -> OwnKey:
    key = SigningKey.load(kept.kid, kept.algorithm, kept.private)
    return OwnKey(key, kept.state, kept.created_at, kept.changed_at)


def read_keys(files: Sequence[Path]) -> list[SigningKey]:
    """The private keys of PEM files. Raises Malformed, naming the file."""
    found = []
    for file in files:
        try:
            with file.open("rb") as source:
                found.append(SigningKey.from_pem(UNNAMED, source.read(_LONGEST_FILE)))
        except OSError as error:
            raise Malformed(f"the key {file} cannot be read", detail=str(error)) from error
        except Malformed as error:
            raise Malformed(f"the key {file} cannot be used: {error.message}") from error
    return found
