"""Is this message from the server we expect? (draft 03, 17.3; RFC 9421)

The role says whom it expects; what a message says of itself is never proof. Everything that can be
checked without a key is checked first, so that strangers cannot make us fetch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256

from gateway import metrics
from gateway.errors import (
    BadSignature,
    GatewayError,
    Malformed,
    ProviderFailed,
    ProviderRefused,
    Unavailable,
    Unsigned,
)
from gateway.httpsig.message import (
    Message,
    Profile,
    Signature,
    check_keyed,
    check_unkeyed,
    read_signature,
)
from gateway.httpsig.reasons import Reason
from gateway.model import Authority
from gateway.ocm.address import authority
from gateway.providers.keys import KeySet, ProviderKeys
from gateway.store import replays
from gateway.store.database import Database


class Identity:
    """Authenticates the messages of other servers."""

    def __init__(
        self,
        keys: ProviderKeys,
        database: Database,
        clock: Callable[[], int],
        *,
        required: bool,
        profile: Profile,
        max_age_seconds: int,
        skew_seconds: int,
        heard: Callable[[Authority], None] = lambda _: None,
    ) -> None:
        """`heard` is told of each server that has proven itself."""
        self._heard = heard
        self._keys = keys
        self._database = database
        self._clock = clock
        self._required = required
        self._profile = profile
        self._max_age_seconds = max_age_seconds
        self._skew_seconds = skew_seconds

    async def authenticate(
        self, message: Message, expected: Authority, *, required: bool = False
    ) -> Authority | None:
        """The proven signer, which is `expected`, or None for an unsigned message we tolerate.

        Raises Unsigned, BadSignature, or Unavailable when the keys cannot be fetched just now.
        `required` demands a signature whatever the configuration says.
        """
        return await self.prove(self.examine(message, required=required), expected)

    def examine(self, message: Message, *, required: bool = False) -> Signature | None:
        """All that can be said of a signature before it is known whom to expect; None without one.

        For roles that must look something up to know that: they examine first, so that a stranger
        learns nothing about what exists. Raises Unsigned where a signature is required,
        BadSignature.
        """
        with _counted():
            try:
                signature = read_signature(message, self._profile)
            except Unsigned:
                if required or self._required:
                    raise
                return None
            check_unkeyed(
                signature,
                message,
                self._clock(),
                max_age_seconds=self._max_age_seconds,
                skew_seconds=self._skew_seconds,
            )
            return signature

    async def prove(self, signature: Signature | None, expected: Authority) -> Authority | None:
        """The signer, once an examined signature is proven to be one of `expected`."""
        with _counted():
            if signature is None:
                if await self._publishes_keys(expected):
                    raise Unsigned("the request is not signed")
                metrics.signatures.labels(result="tolerated", reason="").inc()
                return None
            _expect_server(signature, expected)
            await self._check_with_keys(signature, expected)
            await self._expect_first_use(signature)
        # It has just spoken to us, so what waits for it need not wait any longer.
        self._heard(expected)
        metrics.signatures.labels(result="verified", reason="").inc()
        return expected

    async def _check_with_keys(self, signature: Signature, expected: Authority) -> None:
        keys = await self._keys_of(expected)
        try:
            check_keyed(signature, *keys.keys)
        except BadSignature as error:
            # The server may have new keys, or other keys under the same name.
            newer = await self._renewed(expected, keys, error)
            if newer.keys == keys.keys:
                raise
            check_keyed(signature, *newer.keys)

    async def _keys_of(self, expected: Authority) -> KeySet:
        try:
            return await self._keys.of(expected)
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

    async def _renewed(self, expected: Authority, keys: KeySet, error: BadSignature) -> KeySet:
        try:
            return await self._keys.renewed(expected, keys, error.reason)
        except (ProviderFailed, ProviderRefused):
            return keys

    async def _expect_first_use(self, signature: Signature) -> None:
        # What was signed, not the signature: of an ECDSA signature anyone can make another.
        seen = sha256(signature.base).hexdigest()
        keep_until = self._clock() + self._max_age_seconds + 2 * self._skew_seconds
        # A loss of power would have to come within the few minutes that a signature is fresh.
        first = await self._database.write(
            partial(replays.add, signature=seen, expires_at=keep_until), on_disk=False
        )
        if not first:
            raise BadSignature("this signature was used before", reason=Reason.REPLAY)

    async def _publishes_keys(self, provider: Authority) -> bool:
        try:
            return bool((await self._keys.of(provider)).keys)
        except GatewayError:
            return False


def claimed(signature: Signature | None) -> Authority | None:
    """Whom a key id names, proving nothing: a hint for choosing whom to expect."""
    try:
        return _named(signature) if signature else None
    except Malformed:
        return None


@contextmanager
def _counted() -> Iterator[None]:
    """Count what is refused inside the block, by its reason."""
    try:
        yield
    except BadSignature as error:
        metrics.signatures.labels(result="refused", reason=error.reason).inc()
        raise
    except Unsigned:
        metrics.signatures.labels(result="refused", reason="unsigned").inc()
        raise


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
