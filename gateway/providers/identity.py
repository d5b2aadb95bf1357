"""Is this message from the server we expect? (draft 03, 17.3; RFC 9421)

The role says whom it expects; what a message says of itself is never proof. Everything that can be
checked without a key is checked first, so that strangers cannot make us fetch.

A message carries one of two kinds of signature, or none, and a server is held to the best that it
has shown: once it has signed, it is not believed without a signature, and once it has signed after
RFC 9421, with no less (`registry.py` keeps that; `peers reset` forgets it).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Protocol

from sqlalchemy import Connection

from gateway import metrics
from gateway.config import Signatures
from gateway.errors import (
    BadSignature,
    GatewayError,
    Malformed,
    ProviderFailed,
    ProviderRefused,
    Refused,
    Unavailable,
    Unsigned,
)
from gateway.httpsig import cavage
from gateway.httpsig.keys import VerificationKey
from gateway.httpsig.message import (
    Message,
    Profile,
    Signature,
    check_keyed,
    check_unkeyed,
    read_signature,
)
from gateway.httpsig.reasons import Reason
from gateway.model import Authority, Scheme
from gateway.ocm.address import authority
from gateway.providers.keys import KeySet, ProviderKeys
from gateway.providers.registry import Outcome, Proof, Registry
from gateway.store import replays
from gateway.store.database import Database


class Excuses(Protocol):
    """Whom the operator takes without signatures."""

    @property
    def any(self) -> bool:
        """Whether there is anybody."""

    def covers(self, provider: Authority) -> bool:
        """Whether that server is one of them."""


class Identity:
    """Authenticates the messages of other servers."""

    def __init__(
        self,
        keys: ProviderKeys,
        registry: Registry,
        database: Database,
        clock: Callable[[], int],
        settings: Signatures,
        *,
        excused: Excuses,
        counted: Callable[[Authority], None],
        heard: Callable[[Authority], None],
        refused: Callable[[Authority, GatewayError], None],
    ) -> None:
        """`excused` knows whom the operator takes unsigned. `counted` is asked about each server
        that has proven itself and raises TooMany; `heard` is told of those that were taken,
        `refused` of what came in a server's name and was not proven to be its."""
        self._keys = keys
        self._registry = registry
        self._database = database
        self._clock = clock
        self._settings = settings
        self._profile = Profile(settings.profile.value)
        self._excused = excused
        self._counted = counted
        self._heard = heard
        self._refused = refused

    async def authenticate(
        self, message: Message, expected: Authority, *, required: bool = False
    ) -> Authority | None:
        """The proven signer, which is `expected`, or None for an unsigned message we tolerate.

        Raises Unsigned, BadSignature, or Unavailable when the keys cannot be fetched just now.
        `required` demands a signature whatever the configuration says.
        """
        signature = self.examine(message, expected, required=required)
        return await self.prove(signature, expected)

    def examine(
        self, message: Message, expected: Authority | None = None, *, required: bool = False
    ) -> Signature | None:
        """All that can be said of a signature before any key is fetched; None without one.

        For roles that must look something up to know whom to expect: they examine first, so that
        a stranger learns nothing about what exists. Raises Unsigned where a signature is required,
        BadSignature.
        """
        ages = self._settings.max_age_seconds, self._settings.skew_seconds
        with _counted():
            try:
                if self._settings.cavage and cavage.spoken_in(message):
                    signature = cavage.read_signature(message)
                    cavage.check_unkeyed(signature, message, self._clock(), *ages)
                else:
                    signature = read_signature(message, self._profile)
                    check_unkeyed(signature, message, self._clock(), *ages)
            except Unsigned:
                if required or not self._may_be_unsigned(expected):
                    raise
                return None
            return signature

    def _may_be_unsigned(self, expected: Authority | None) -> bool:
        if not self._settings.required:
            return True
        return self._excused.any if expected is None else self._excused.covers(expected)

    async def prove(
        self, signature: Signature | None, expected: Authority, *, excused: bool = False
    ) -> Authority | None:
        """The signer, once an examined signature is proven to be one of `expected`.

        None without one, for a server that may come so and never signs; `excused` says that it
        may, whatever the configuration says of it otherwise.
        """
        with _counted(partial(self._refused, expected)):
            if signature is None:
                await self._tolerate(expected, excused=excused)
                return None
            _expect_server(signature, expected)
            key = await self._check_with_keys(signature, expected)
            self._counted(expected)
            await self._take(signature, key, expected)
        # It has just spoken to us, so what waits for it need not wait any longer.
        self._heard(expected)
        metrics.signatures.labels(result="verified", reason=signature.scheme.value).inc()
        return expected

    async def _tolerate(self, expected: Authority, *, excused: bool) -> None:
        """Return for a server that may come unsigned, and that has never signed."""
        named = self._excused.covers(expected)
        if self._settings.required and not (named or excused):
            raise Unsigned("the request is not signed")
        if await self._registry.floor(expected) is not Scheme.NONE:
            raise Unsigned("the request is not signed, and this server has signed before")
        # What the operator says of one server counts for more than a key that it publishes.
        if not named and await self._publishes_keys(expected):
            raise Unsigned("the request is not signed")
        metrics.signatures.labels(result="tolerated", reason="").inc()

    async def _check_with_keys(self, signature: Signature, expected: Authority) -> VerificationKey:
        keys = await self._keys_of(expected, signature)
        try:
            return check_keyed(signature, *keys.keys)
        except BadSignature as error:
            # The server may have new keys, or other keys under the same name.
            newer = await self._renewed(expected, keys, error, signature.scheme)
            if newer.keys == keys.keys:
                raise
            return check_keyed(signature, *newer.keys)

    async def _keys_of(self, expected: Authority, signature: Signature) -> KeySet:
        try:
            return await self._keys.of(expected, signature.scheme, kid=signature.keyid)
        except ProviderFailed as error:
            raise Unavailable(
                f"the keys of {expected} cannot be fetched just now",
                detail=error.explanation,
                retry_after=30,
            ) from error
        except ProviderRefused as error:
            raise BadSignature(
                f"{expected} publishes no keys", reason=Reason.NO_KEYS, detail=error.explanation
            ) from error

    async def _renewed(
        self, expected: Authority, keys: KeySet, error: BadSignature, scheme: Scheme
    ) -> KeySet:
        try:
            return await self._keys.renewed(expected, keys, error.reason, scheme)
        except (ProviderFailed, ProviderRefused):
            return keys

    async def _take(self, signature: Signature, key: VerificationKey, expected: Authority) -> None:
        """Once, and for no less than the server has shown before, in one transaction."""
        # What was signed, not the signature: of an ECDSA signature anyone can make another.
        seen = sha256(signature.base).hexdigest()
        settings = self._settings
        keep_until = self._clock() + settings.max_age_seconds + 2 * settings.skew_seconds
        proof = Proof(expected, signature.scheme, key.kid, key.algorithms[0], key.thumbprint)
        known = self._registry.remembers(proof)

        def take(connection: Connection) -> Outcome | None:
            if not replays.add(connection, seen, keep_until):
                return None
            return Outcome.GOOD if known else self._registry.weigh(connection, proof)

        # A loss of power would have to come within the few minutes that a signature is fresh; what
        # the server has shown for the first time is not to be forgotten even then.
        outcome = await self._database.write(take, on_disk=not known)
        if outcome is None:
            raise BadSignature("this signature was used before", reason=Reason.REPLAY)
        await self._registry.settle(proof, outcome)
        _expect_good(outcome, expected)

    async def _publishes_keys(self, provider: Authority) -> bool:
        for scheme in (Scheme.RFC9421, Scheme.CAVAGE):
            try:
                if (await self._keys.of(provider, scheme)).keys:
                    return True
            except GatewayError:
                continue
        return False


def claimed(signature: Signature | None) -> Authority | None:
    """Whom a key id names, proving nothing: a hint for choosing whom to expect."""
    try:
        return _named(signature) if signature else None
    except Malformed:
        return None


@contextmanager
def _counted(told: Callable[[GatewayError], None] = lambda _: None) -> Iterator[None]:
    """Count what is refused inside the block, by its reason; `told` hears of it, too."""
    try:
        yield
    except BadSignature as error:
        metrics.signatures.labels(result="refused", reason=error.reason).inc()
        told(error)
        raise
    except Unsigned as error:
        metrics.signatures.labels(result="refused", reason="unsigned").inc()
        told(error)
        raise


def _expect_good(outcome: Outcome, expected: Authority) -> None:
    if outcome is Outcome.WEAKER:
        raise BadSignature(f"{expected} has signed in a better way before", reason=Reason.WEAKER)
    if outcome is Outcome.CHANGED_KEY:
        raise BadSignature(
            f"the key is another than {expected} had before", reason=Reason.CHANGED_KEY
        )
    if outcome is Outcome.PENDING:
        raise Refused("your server waits to be approved by the operator of this one")


def _expect_server(signature: Signature, expected: Authority) -> None:
    """The host in a key id, where there is one, must not contradict (C-12)."""
    try:
        contradicts = _named(signature) not in (None, expected)
    except Malformed:
        contradicts = True
    if contradicts:
        raise BadSignature(
            f"the key is not one of {expected}",
            reason=Reason.WRONG_SERVER,
            detail=f"keyid {signature.keyid!r}",
        )


def _named(signature: Signature) -> Authority | None:
    """The server in a key id: `host#name` or an https URL with a fragment; None for others."""
    named, fragment, _ = signature.keyid.partition("#")
    if not fragment:
        return None
    for scheme in ("https://", "http://"):
        named = named.removeprefix(scheme)
    return authority(named.partition("/")[0])
