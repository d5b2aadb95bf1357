"""The public keys of other OCM Servers (draft 03, 17.1; RFC 7517).

Keys are fetched from the server we expect and from no other. A key id that is not among the cached
keys, or a signature that does not hold, leads to one more fetch, a few times a minute and no more.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache
from yarl import URL

from gateway import metrics
from gateway.errors import GatewayError, Malformed, ProviderFailed, ProviderRefused
from gateway.httpsig.keys import VerificationKey, parse_jwks
from gateway.model import Authority
from gateway.ocm.json import load_object
from gateway.providers.discovery import Discoveries
from gateway.transport import Guarded

_DOCUMENT_BYTES = 256 * 1024
_MANY = 2000
_FETCHES = 4
"""Fetches per server in `_FETCH_SECONDS`, however many signatures do not hold."""
_FETCH_SECONDS = 30


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
        provider_seconds: float,
    ) -> None:
        self._guarded = guarded
        self._discoveries = discoveries
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._provider_seconds = provider_seconds
        self._sets: TTLCache[Authority, KeySet] = TTLCache(_MANY, max(cache_seconds, 1))
        self._fetches: TTLCache[Authority, int] = TTLCache(_MANY, _FETCH_SECONDS)
        self._locks: TTLCache[Authority, asyncio.Lock] = TTLCache(_MANY, 600)

    async def of(self, provider: Authority, *, newer_than: KeySet | None = None) -> KeySet | None:
        """The keys of a server, or None when `newer_than` is given and asking again is too soon.

        Raises ProviderFailed when they cannot be fetched, ProviderRefused when there are none.
        """
        lock = self._locks.setdefault(provider, asyncio.Lock())
        async with lock:
            cached = self._sets.get(provider)
            fresh = cached and self._clock() - cached.fetched_at < self._cache_seconds
            if cached and fresh and cached is not newer_than:
                return cached
            spent = self._fetches.get(provider, 0)
            if spent >= _FETCHES:
                if newer_than:
                    return None
                raise ProviderFailed(f"the keys of {provider} were asked for too often")
            self._fetches[provider] = spent + 1
            found = await self._fetch(provider)
            self._sets[provider] = found
            return found

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
