"""The public keys of other OCM Servers (draft 03, 17.1; RFC 7517).

Keys are fetched from the server we expect and from no other: for RFC 9421 its key set, for
draft-cavage the key in its discovery document. A key id that is not among the cached keys, or a
signature that does not hold, leads to one more fetch, a few times a minute and no more.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache
from yarl import URL

from gateway import metrics
from gateway.errors import GatewayError, Malformed, ProviderFailed, ProviderRefused
from gateway.httpsig.keys import VerificationKey, parse_jwks, parse_pem
from gateway.httpsig.reasons import Reason
from gateway.model import Authority, Scheme
from gateway.ocm.json import load_object
from gateway.providers.discovery import Discoveries
from gateway.transport import Guarded

_DOCUMENT_BYTES = 256 * 1024
_MANY = 2000
_RENEWALS = {Reason.UNKNOWN_KEY: 3, Reason.SIGNATURE: 3}
"""Fetches per server in `_RENEWAL_SECONDS` because a signature did not hold: for a key id that is
new to us, as after a rotation, and for a key that is not what it was, each on its own."""
_RENEWAL_SECONDS = 30

_Kind = tuple[Authority, Scheme]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one server, and when they were fetched."""

    keys: tuple[VerificationKey, ...]
    fetched_at: int


class ProviderKeys:
    """The key sets of other servers."""

    def __init__(
        self,
        guarded: Guarded,
        discoveries: Discoveries,
        clock: Callable[[], int],
        *,
        cache_seconds: int,
        failure_seconds: int,
        provider_seconds: float,
    ) -> None:
        self._guarded = guarded
        self._discoveries = discoveries
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._failure_seconds = failure_seconds
        self._provider_seconds = provider_seconds
        kept, failed = max(cache_seconds, 2), max(failure_seconds, 1)
        self._sets: TTLCache[_Kind, KeySet] = TTLCache(_MANY, kept)
        self._failed: TTLCache[_Kind, GatewayError] = TTLCache(_MANY, failed)
        self._renewals: TTLCache[tuple[_Kind, str], int] = TTLCache(_MANY, _RENEWAL_SECONDS)
        self._locks: TTLCache[_Kind, asyncio.Lock] = TTLCache(_MANY, 600)

    async def of(
        self, provider: Authority, scheme: Scheme = Scheme.RFC9421, *, kid: str = ""
    ) -> KeySet:
        """The keys of a server for one scheme, at most `cache_seconds` old.

        A `kid` that they lack does not have them fetched anew within a second, however short that
        is: else anybody could have us fetch as often as he likes. `renewed` does, if not too often.
        Raises ProviderFailed when they cannot be fetched, ProviderRefused when there are none.
        """
        kind = (provider, scheme)
        async with self._lock(kind):
            cached = self._sets.get(kind)
            if cached:
                lacks = kid and all(one.kid != kid for one in cached.keys)
                fresh_seconds = max(self._cache_seconds, 2 if lacks else 0)
                if self._clock() - cached.fetched_at < fresh_seconds:
                    return cached
            if failure := self._failed.get(kind):
                raise failure
            return await self._renew(kind)

    async def renewed(
        self, provider: Authority, worn: KeySet, reason: str, scheme: Scheme = Scheme.RFC9421
    ) -> KeySet:
        """Newer keys than `worn`, where asking again is not too soon; else `worn` itself."""
        kind = (provider, scheme)
        async with self._lock(kind):
            cached = self._sets.get(kind)
            if cached and cached is not worn and cached.fetched_at >= worn.fetched_at:
                return cached
            spent = self._renewals.get((kind, reason), 0)
            if spent >= _RENEWALS.get(Reason(reason), 0):
                return worn
            self._renewals[kind, reason] = spent + 1
            return await self._renew(kind)

    def _lock(self, kind: _Kind) -> asyncio.Lock:
        return self._locks.setdefault(kind, asyncio.Lock())

    async def _renew(self, kind: _Kind) -> KeySet:
        provider, scheme = kind
        again = kind in self._sets
        try:
            if scheme is Scheme.CAVAGE:
                found = await self._published(provider, afresh=again)
            else:
                found = await self._fetch(provider)
        except (ProviderFailed, ProviderRefused) as error:
            if self._failure_seconds:
                self._failed[kind] = error
            raise
        self._failed.pop(kind, None)
        self._sets[kind] = found
        return found

    async def _published(self, provider: Authority, *, afresh: bool) -> KeySet:
        """The one key of draft-cavage, in the discovery document."""
        document = await self._discoveries.discover(provider, afresh=afresh)
        if document.public_key is None:
            raise ProviderRefused(f"{provider} publishes no key in its discovery document")
        try:
            key = parse_pem(document.public_key.key_id, document.public_key.pem)
        except Malformed as error:
            raise ProviderRefused(
                f"{provider} publishes no usable key", detail=error.message
            ) from error
        return KeySet((key,), self._clock())

    async def _fetch(self, provider: Authority) -> KeySet:
        try:
            url = await self._address(provider)
            async with self._guarded.request(
                provider,
                "GET",
                url,
                headers={"Accept": "application/jwk-set+json, application/json"},
                total_seconds=self._provider_seconds,
            ) as answer:
                if answer.status >= 500:
                    raise ProviderFailed(f"{url} answered {answer.status}")
                if answer.status != 200:
                    raise ProviderRefused(f"{url} answered {answer.status}", answered=answer.status)
                body = await answer.read(_DOCUMENT_BYTES)
            keys = parse_jwks(load_object(body))
        except Malformed as error:
            metrics.provider_requests.labels(purpose="keys", result="failed").inc()
            raise ProviderRefused(
                f"{provider} publishes no JWK Set", detail=error.message
            ) from error
        except GatewayError:
            metrics.provider_requests.labels(purpose="keys", result="failed").inc()
            raise
        metrics.provider_requests.labels(purpose="keys", result="ok").inc()
        return KeySet(keys, self._clock())

    async def _address(self, provider: Authority) -> str:
        """jwksUri where the server names one of its own, else the well-known place."""
        well_known = "/.well-known/jwks.json"
        try:
            found = await self._discoveries.find(provider)
        except ProviderFailed:
            return f"{self._guarded.schemes(provider)[0]}://{provider}{well_known}"
        return found.document.jwks_uri or f"{URL(found.url).origin()}{well_known}"
