"""What other OCM Servers say of themselves (draft 03, section 5), cached.

`/.well-known/ocm` first, then `/ocm-provider`, which ownCloud and Seafile know with a slash behind
it alone. One request at a time per server, whoever asks; a failure is remembered for a moment too,
so that a dead server slows down nobody twice. A redirect on the same server is followed, once: the
request carries no secret and no signature.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cachetools import TTLCache
from yarl import URL

from gateway import metrics
from gateway.errors import GatewayError, Malformed, ProviderFailed, ProviderRefused, ProviderTimeout
from gateway.model import Authority
from gateway.ocm import discovery
from gateway.ocm.discovery import Discovery
from gateway.transport import Guarded

PATHS = ("/.well-known/ocm", "/ocm-provider", "/ocm-provider/")
_DOCUMENT_BYTES = 256 * 1024
_MANY = 2000
_MOST_LATE = 2
"""How often a server may answer too late before it is given up."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Found:
    """A discovery document, where it was found, and when."""

    document: Discovery
    url: str
    found_at: int


class Discoveries:
    """The discovery documents of other servers."""

    def __init__(
        self,
        guarded: Guarded,
        clock: Callable[[], int],
        *,
        cache_seconds: int,
        failure_seconds: int,
        provider_seconds: float,
        learnt: Callable[[Authority, Discovery], None] = lambda _, __: None,
    ) -> None:
        """`learnt` is told of each document that was fetched."""
        self._learnt = learnt
        self._guarded = guarded
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._failure_seconds = failure_seconds
        self._provider_seconds = provider_seconds
        self._found: TTLCache[Authority, Found] = TTLCache(_MANY, max(cache_seconds, 1))
        self._failed: TTLCache[Authority, GatewayError] = TTLCache(_MANY, max(failure_seconds, 1))
        self._running: dict[Authority, asyncio.Task[Found]] = {}

    async def discover(self, provider: Authority, *, afresh: bool = False) -> Discovery:
        """The document of a server; ProviderFailed or ProviderRefused where it has none.

        `afresh` asks again however young the cached one is.
        """
        return (await self.find(provider, afresh=afresh)).document

    async def find(self, provider: Authority, *, afresh: bool = False) -> Found:
        """As `discover`, with the address it was found at."""
        found = self._found.get(provider)
        if found and not afresh and self._clock() - found.found_at < self._cache_seconds:
            return found
        if not afresh and (failure := self._failed.get(provider)):
            raise failure
        task = self._running.get(provider)
        if task is None:
            task = asyncio.create_task(self._ask(provider))
            self._running[provider] = task
            task.add_done_callback(partial(self._done, provider))
        return await asyncio.shield(task)

    def _done(self, provider: Authority, task: asyncio.Task[Found]) -> None:
        """Forget what runs no longer; whoever asked may have gone, and nobody else looks."""
        self._running.pop(provider, None)
        if not task.cancelled():
            task.exception()

    def at_hand(self, provider: Authority) -> Discovery | None:
        """The document that was fetched last, however old; nobody is asked."""
        found = self._found.get(provider)
        return found.document if found else None

    def take(self, provider: Authority, found: Found) -> None:
        """A document that was fetched just now, by us or by a probe."""
        self._failed.pop(provider, None)
        self._found[provider] = found
        self._learnt(provider, found.document)

    async def _ask(self, provider: Authority) -> Found:
        try:
            found = await self._first_of(provider)
        except GatewayError as error:
            metrics.provider_requests.labels(purpose="discovery", result="failed").inc()
            if isinstance(error, ProviderFailed) and self._failure_seconds:
                self._failed[provider] = error
            raise
        metrics.provider_requests.labels(purpose="discovery", result="ok").inc()
        self.take(provider, found)
        return found

    async def _first_of(self, provider: Authority) -> Found:
        failures = []
        for scheme in self._guarded.schemes(provider):
            late = 0
            for path in PATHS:
                url = f"{scheme}://{provider}{path}"
                try:
                    return Found(await self._fetch(provider, url), url, self._clock())
                except (ProviderFailed, Malformed) as error:
                    failures.append(f"{url}: {error.explanation}")
                    late += isinstance(error, ProviderTimeout)
                if late == _MOST_LATE:
                    break
        raise ProviderFailed(
            f"{provider} does not speak OCM, or cannot be reached", detail="; ".join(failures)
        )

    async def _fetch(self, provider: Authority, url: str, *, follow: bool = True) -> Discovery:
        async with self._guarded.request(
            provider,
            "GET",
            url,
            headers={"Accept": "application/json"},
            total_seconds=self._provider_seconds,
        ) as answer:
            leads_to = answer.headers.get("Location", "") if answer.status in REDIRECTS else ""
            if answer.status != 200 and not (leads_to and follow):
                raise ProviderFailed(f"answered {answer.status}")
            body = await answer.read(_DOCUMENT_BYTES)
        if leads_to:
            return await self._fetch(provider, moved(url, leads_to), follow=False)
        document = discovery.parse(body, asked_at=str(URL(url).origin()))
        if not document.enabled:
            raise ProviderRefused(f"{provider} has switched OCM off")
        return document


def moved(url: str, location: str) -> str:
    """Where a redirect leads; ProviderFailed when that is another server or another scheme."""
    try:
        there = URL(url, encoded=True).join(URL(location, encoded=True))
        elsewhere = there.origin() != URL(url).origin()
    except ValueError as error:
        raise ProviderFailed("answered a redirect that leads nowhere") from error
    if elsewhere:
        raise ProviderFailed("answered a redirect to another server")
    return str(there)
