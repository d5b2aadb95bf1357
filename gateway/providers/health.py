"""How other servers do: back-off and a circuit breaker for each.

A server that did not answer several times in a row is left alone for a while, which doubles up to
a limit; what wants something of it meanwhile is told at once that it is away. Then one request may
try, and the others wait for what comes of it. An answer of any kind, or a word from the server,
ends the pause. Failures within a second count once, so that a burst, or a discovery at several
addresses, is not taken for a long silence; what was under way when a pause began does not count.

Each process counts for itself, and tries for itself. What it finds is written down for servers in
the registry, where the longest count holds, and the others take that in.

The clock may be set. A pause that ends further ahead than a pause can is one of a clock set back,
and over.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from cachetools import LRUCache

from gateway import metrics
from gateway.config import Breaker
from gateway.errors import ProviderFailed
from gateway.logs import event
from gateway.model import Authority
from gateway.store.providers import Health

_MANY = 10_000
_BURST_SECONDS = 1
_TRIAL_SECONDS = 120
"""How long the others wait for one that tries: the longest silence of a connection."""
_FINE = Health()


class Healths:
    """The health of every server that we have asked something lately."""

    def __init__(self, settings: Breaker, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._states: LRUCache[Authority, Health] = LRUCache(_MANY)
        self._last: LRUCache[Authority, int] = LRUCache(_MANY)
        self._trials: dict[Authority, int] = {}
        self._written: set[Authority] = set()
        self.changed: set[Authority] = set()
        """Servers whose health is to be written down."""

    def of(self, provider: Authority) -> Health:
        """How a server does."""
        return self._states.get(provider, _FINE)

    @contextmanager
    def asking(self, provider: Authority) -> Iterator[None]:
        """Around a request, up to the head of its answer, or the ProviderFailed there is instead.

        Raises ProviderFailed, with the seconds to wait, while the server is left alone.
        """
        tries = self._begin(provider)
        try:
            yield
        except ProviderFailed as error:
            self._failed(provider, error.explanation, tries=tries)
            raise
        else:
            self.answered(provider)
        finally:
            if tries:
                self._trials.pop(provider, None)

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
        """The servers that are written down as failing; those that were before do well again.

        What this process found since, or found worse, stays.
        """
        for provider in self._written - written.keys() - self.changed:
            self._states.pop(provider, None)
        for provider, health in written.items():
            if provider not in self.changed and health.worse_than(self.of(provider)):
                self._states[provider] = health
        self._written = set(written)

    def _begin(self, provider: Authority) -> bool:
        """Whether this request is the one that tries whether a server is back."""
        health = self.of(provider)
        if not health.paused_until:
            return False
        now = self._clock()
        wait = health.paused_until - now
        if 0 < wait <= self._pause_seconds(health.failures):
            raise self._spared(provider, health, wait)
        began = self._trials.get(provider)
        if began is not None and 0 <= now - began < _TRIAL_SECONDS:
            raise self._spared(provider, health, self._settings.first_pause_seconds)
        self._trials[provider] = now
        return True

    def _spared(self, provider: Authority, health: Health, wait_seconds: int) -> ProviderFailed:
        metrics.breaker.labels(result="spared").inc()
        return ProviderFailed(
            f"{provider} did not answer lately and is left alone for now",
            detail=health.last_error,
            retry_after=wait_seconds,
        )

    def _failed(self, provider: Authority, reason: str, *, tries: bool) -> None:
        now, before = self._clock(), self.of(provider)
        if before.paused_until and not tries:
            return
        last = self._last.get(provider)
        if before.failures and last is not None and 0 <= now - last <= _BURST_SECONDS and not tries:
            return
        self._last[provider] = now
        failures = before.failures + 1
        pause = self._pause_seconds(failures)
        if failures == self._settings.failures:
            metrics.breaker.labels(result="opened").inc()
            event("provider.paused", level="warning", server=provider, error=reason)
        self._states[provider] = Health(
            failures, before.failing_since_at or now, now + pause if pause else 0, reason[:500]
        )
        self.changed.add(provider)

    def _pause_seconds(self, failures: int) -> int:
        """How long a server is left alone after so many failures."""
        if failures < self._settings.failures:
            return 0
        times = min(failures - self._settings.failures, 20)
        pause = self._settings.first_pause_seconds << times
        return min(pause, self._settings.longest_pause_seconds)
