"""How other servers do: back-off and a circuit breaker for each.

A server that did not answer several times in a row is left alone for a while, which doubles up to
a limit; what wants something of it meanwhile is told at once that it is away. Then one request may
try. An answer of any kind, or a word from it, ends the pause. Failures within one second count
once, so that a burst, or a discovery at several addresses, is not taken for a long silence.

Each process counts for itself; what it finds is written down for servers in the registry, and the
others take that in.
"""

from collections.abc import Callable, Mapping

from cachetools import LRUCache

from gateway import metrics
from gateway.config import Breaker
from gateway.errors import ProviderFailed
from gateway.logs import event
from gateway.model import Authority
from gateway.store.providers import Health

_MANY = 10_000
_FINE = Health()


class Healths:
    """The health of every server that we have asked something lately."""

    def __init__(self, settings: Breaker, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._states: LRUCache[Authority, Health] = LRUCache(_MANY)
        self._last: LRUCache[Authority, int] = LRUCache(_MANY)
        self._written: set[Authority] = set()
        self.changed: set[Authority] = set()
        """Servers whose health is to be written down."""

    def of(self, provider: Authority) -> Health:
        """How a server does."""
        return self._states.get(provider, _FINE)

    def expect_open(self, provider: Authority) -> None:
        """ProviderFailed, with the seconds to wait, while a server is left alone."""
        health = self._states.get(provider)
        if health is None or not health.paused_until:
            return
        now = self._clock()
        if now < health.paused_until:
            metrics.breaker.labels(result="spared").inc()
            raise ProviderFailed(
                f"{provider} did not answer lately and is left alone for now",
                detail=health.last_error,
                retry_after=health.paused_until - now,
            )
        # One request tries it; the others wait for what comes of that.
        trying = now + self._settings.first_pause_seconds
        self._states[provider] = Health(
            health.failures, health.failing_since_at, trying, health.last_error
        )

    def failed(self, provider: Authority, reason: str) -> None:
        """A server did not answer."""
        now, before = self._clock(), self.of(provider)
        if before.failures and self._last.get(provider) == now:
            return
        self._last[provider] = now
        failures = before.failures + 1
        paused_until = 0
        if failures >= self._settings.failures:
            doubled = 2 ** min(failures - self._settings.failures, 20)
            pause = self._settings.first_pause_seconds * doubled
            paused_until = now + min(pause, self._settings.longest_pause_seconds)
        if failures == self._settings.failures:
            metrics.breaker.labels(result="opened").inc()
            event("provider.paused", level="warning", server=provider, error=reason)
        since = before.failing_since_at or now
        self._states[provider] = Health(failures, since, paused_until, reason[:500])
        self.changed.add(provider)

    def answered(self, provider: Authority) -> None:
        """A server answered, or spoke to us."""
        health = self._states.pop(provider, None)
        if health is None:
            return
        self._last.pop(provider, None)
        self.changed.add(provider)
        if health.paused_until:
            metrics.breaker.labels(result="closed").inc()
            event("provider.back", server=provider, failures=health.failures)

    def take_in(self, written: Mapping[Authority, Health]) -> None:
        """The servers that are written down as failing; those that were before do well again."""
        for provider in self._written - written.keys() - self.changed:
            self._states.pop(provider, None)
        for provider, health in written.items():
            if provider not in self.changed:
                self._states[provider] = health
        self._written = set(written)
