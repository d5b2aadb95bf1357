"""How often somebody may ask, and how often a secret may be guessed at.

Who asks has a minute's worth at once, and gets it back evenly over the minute (a leaky bucket; of
each who, one number is kept: when the bucket will be empty). Each scope remembers a bounded number
of those who came last, so a flood of addresses costs no memory; who is forgotten begins anew.

Each process counts for itself, so n of them let pass n times as much. WebDAV is not counted, but
for wrong credentials.
"""

import ipaddress
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cachetools import LRUCache

from gateway import metrics
from gateway.config import Config
from gateway.errors import TooMany

MOST = 20_000
"""Whom a scope remembers at most."""
_MINUTE = 60.0
_LONGEST = 3600.0
_ROUNDING = 1e-6
_NAMES = 5
"""A name may be tried at more often than an address may try, so that a single stranger cannot lock
its owner out; guessing from many addresses ends there all the same."""


class Rates:
    """Counts by scope and who. Switched off by `testing.rate_limits: false`."""

    def __init__(self, settings: Config, clock: Callable[[], float] = time.monotonic) -> None:
        limits = settings.limits
        self._on = settings.testing.rate_limits
        self._clock = clock
        self._steps = {
            scope: _MINUTE / most
            for scope, most in {
                "ocm": limits.ocm_requests_per_minute,
                "provider": limits.provider_requests_per_minute,
                "user": limits.user_requests_per_minute,
                "wayf": limits.wayf_requests_per_minute,
                "link": limits.link_requests_per_minute,
                "secret": limits.wrong_secrets_per_minute,
                "login": limits.failed_logins_per_minute,
                "name": limits.failed_logins_per_minute * _NAMES,
            }.items()
        }
        self._empty_at: dict[str, LRUCache[int, float]] = {
            scope: LRUCache(MOST) for scope in self._steps
        }

    def count(self, scope: str, who: str) -> None:
        """Count one request; TooMany when that was one too many."""
        if self._on:
            self._empty_at[scope][hash(who)] = self._room(scope, who) + self._steps[scope]

    def check(self, scope: str, who: str) -> None:
        """TooMany when the next one would be one too many; nothing is counted."""
        if self._on:
            self._room(scope, who)

    def guessed(self, scope: str, who: str) -> None:
        """Count a wrong guess, that many at once passed the check notwithstanding: they are owed,
        for an hour at most."""
        if self._on:
            now, known = self._clock(), self._empty_at[scope]
            owed = max(known.get(hash(who), now), now) + self._steps[scope]
            known[hash(who)] = min(owed, now + _LONGEST)

    @contextmanager
    def guessing(
        self, scope: str, who: str, *wrong: type[Exception], name: str = ""
    ) -> Iterator[None]:
        """Count what ends in one of the errors `wrong`, inside the block, as a guess at a secret.

        TooMany at once for who has guessed too often; also where `name` has been guessed at so.
        """
        self.check(scope, who)
        if name:
            self.check("name", name)
        try:
            yield
        except wrong:
            self.guessed(scope, who)
            if name:
                self.guessed("name", name)
            raise

    def _room(self, scope: str, who: str) -> float:
        """When the bucket will be empty without one more, or TooMany where there is no room."""
        now = self._clock()
        empty_at = max(self._empty_at[scope].get(hash(who), now), now)
        wait = empty_at + self._steps[scope] - now - _MINUTE
        if wait > _ROUNDING:
            metrics.rate_limited.labels(scope=scope).inc()
            seconds = math.ceil(wait)
            raise TooMany(f"too many requests; try again in {seconds} s", retry_after=seconds)
        return empty_at


def network_of(address: str) -> str:
    """Who an address stands for: itself, and of IPv6 its /64, which is the least that one has."""
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(ip) >> 64 << 64)}/64"
