"""How often somebody may ask, and how often a secret may be guessed at.

Who asks has a minute's worth at once, and gets it back evenly over the minute (a leaky bucket; of
each who, one number is kept: when the bucket will be empty). Each scope remembers a bounded number
of those who came last, so a flood of addresses costs no memory; who is forgotten begins anew.

Several processes that answer the same callers pour into the same buckets, which are in the
database. A wrong guess is there before it is answered, and whoever shows a secret that is not known
to be right is looked up there first, so that the limits on guessing are exact. Everything else is
counted here, and given and taken four times a second: until then each process lets through what it
would alone, and what was too much is owed. While the database does not answer each process counts
for itself, and gives later what it has counted.

WebDAV is not counted, but for wrong credentials and where a rule of the policy has a rate.
"""

import asyncio
import ipaddress
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from itertools import islice

from cachetools import LRUCache
from sqlalchemy import Connection

from gateway import metrics
from gateway.config import Config
from gateway.errors import TooMany, Unavailable
from gateway.logs import event
from gateway.store import rates
from gateway.store.state import State

MOST = 20_000
"""Whom a scope remembers at most."""
_MINUTE = 60.0
_LONGEST = 3600.0
_ROUNDING = 1e-6
_NAMES = 5
"""A name may be tried at more often than an address may try, so that a single stranger cannot lock
its owner out; guessing from many addresses ends there all the same."""
_POLICY = "policy"
_TURN_SECONDS = 0.25
_SILENT_SECONDS = 2.0
_AT_ONCE = 1000
"""How many buckets are given, and how many taken, in one turn."""
_WORTH_TELLING = _MINUTE / 4
"""How many seconds a bucket holds that others should know of before they meet who fills it."""

Tried = tuple[str, str]
"""Scope and who."""


class Rates:
    """Counts by scope and who. Switched off by `testing.rate_limits: false`, all but `within`."""

    def __init__(
        self,
        settings: Config,
        state: State | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`state` is what other processes that answer the same callers share with this one; None
        for a process that is alone."""
        limits = settings.limits
        self._on = settings.testing.rate_limits
        self._state = state
        self._clock = clock
        self._key = state.vault.fingerprint("rates").encode() if state else secrets.token_bytes(64)
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
        self._empty_at: dict[str, LRUCache[str, float]] = {
            scope: LRUCache(MOST) for scope in (*self._steps, _POLICY)
        }
        self._owed: dict[str, float] = {}
        """What others were not told yet: seconds by bucket."""
        self._giving = asyncio.Lock()
        self._silent_until = 0.0

    def count(self, scope: str, who: str) -> None:
        """Count one request; TooMany when that was one too many."""
        if self._on:
            self._admit(self._bucket(scope, who), self._steps[scope])

    def within(self, most: int, who: str) -> None:
        """Count one of what a rule of the policy allows `most` of a minute; TooMany as above."""
        self._admit(self._bucket(_POLICY, who), _MINUTE / most)

    async def check(self, *tried: Tried, known: bool = False) -> None:
        """TooMany when one of these may not guess once more; nothing is counted.

        `known`: the secret that is shown is known to be right, so that nobody else is asked.
        """
        if not self._on:
            return
        buckets = {self._bucket(scope, who): self._steps[scope] for scope, who in tried}
        for bucket, step in buckets.items():
            self._expect_room(bucket, step)
        if not known and await self._learn(partial(rates.left, buckets=buckets)):
            for bucket, step in buckets.items():
                self._expect_room(bucket, step)

    async def guessed(self, *tried: Tried) -> None:
        """Count a wrong guess, that many at once passed the check notwithstanding: they are owed,
        for an hour at most."""
        if not self._on:
            return
        buckets = {self._bucket(scope, who): self._steps[scope] for scope, who in tried}
        for bucket, step in buckets.items():
            self._pour(bucket, step)
        await self._give(buckets)

    @asynccontextmanager
    async def guessing(
        self,
        scope: str,
        who: str,
        *wrong: type[Exception],
        name: str = "",
        known: bool = False,
    ) -> AsyncIterator[None]:
        """Count what ends in one of the errors `wrong`, inside the block, as a guess at a secret.

        TooMany at once for who has guessed too often; also where `name` has been guessed at so.
        """
        tried = [(scope, who), *([("name", name)] if name else [])]
        await self.check(*tried, known=known)
        try:
            yield
        except wrong:
            await self.guessed(*tried)
            raise

    async def work(self) -> None:
        """Give and take what is counted, until cancelled."""
        if self._state is None:
            return
        fullest = partial(rates.fullest, least=_WORTH_TELLING, most=_AT_ONCE)
        version: int | None = None
        while True:
            await asyncio.sleep(_TURN_SECONDS)
            await self._give()
            seen = self._state.changes.version()
            if seen != version and await self._learn(fullest):
                version = seen

    def _bucket(self, scope: str, who: str) -> str:
        """The name of a bucket: its scope, and a hash, which is short however long `who` is."""
        text = f"{scope} {who}".encode(errors="surrogatepass")
        return f"{scope} {blake2b(text, digest_size=16, key=self._key).hexdigest()}"

    def _left(self, bucket: str, now: float) -> float:
        """In how many seconds a bucket is empty."""
        known = self._empty_at[_scope(bucket)]
        return max(known.get(bucket, now) - now, 0.0)

    def _admit(self, bucket: str, step: float) -> None:
        self._expect_room(bucket, step)
        self._pour(bucket, step)

    def _expect_room(self, bucket: str, step: float) -> None:
        """TooMany where there is no room for one more."""
        wait = self._left(bucket, self._clock()) + step - _MINUTE
        if wait > _ROUNDING:
            metrics.rate_limited.labels(scope=_scope(bucket)).inc()
            seconds = math.ceil(wait)
            raise TooMany(f"too many requests; try again in {seconds} s", retry_after=seconds)

    def _pour(self, bucket: str, seconds: float) -> None:
        now = self._clock()
        left = min(self._left(bucket, now) + seconds, _LONGEST)
        self._empty_at[_scope(bucket)][bucket] = now + left
        self._owe(bucket, seconds)

    def _owe(self, bucket: str, seconds: float) -> None:
        """Have others told. In a flood of more than can be told some are counted here alone."""
        if self._state and (bucket in self._owed or len(self._owed) < MOST):
            self._owed[bucket] = self._owed.get(bucket, 0.0) + seconds

    async def _give(self, first: Collection[str] = ()) -> None:
        """Tell others what was counted: of these buckets, and of what waits longest.

        One at a time, so that who waited finds its own told by who came before.
        """
        async with self._giving:
            if self._state is None or self._silent:
                return
            wanted = {*first, *islice(self._owed, _AT_ONCE)}
            poured = {bucket: self._owed.pop(bucket) for bucket in wanted if bucket in self._owed}
            if not poured:
                return
            pour = partial(rates.pour, poured=poured, longest=_LONGEST)
            try:
                self._take(await self._state.database.write(pour, on_disk=False))
            except Unavailable as error:
                self._wait(error)
                for bucket, seconds in poured.items():
                    self._owe(bucket, seconds)

    async def _learn(self, read: Callable[[Connection], dict[str, float]]) -> bool:
        """Take what others have counted; False when it could not be read."""
        if self._state is None or self._silent:
            return False
        try:
            self._take(await self._state.database.read(read))
        except Unavailable as error:
            self._wait(error)
            return False
        return True

    def _take(self, left: Mapping[str, float]) -> None:
        now = self._clock()
        for bucket, seconds in left.items():
            known = self._empty_at.get(_scope(bucket))
            if known is not None:
                untold = self._owed.get(bucket, 0.0)
                known[bucket] = max(known.get(bucket, now), now + min(seconds + untold, _LONGEST))

    @property
    def _silent(self) -> bool:
        """Whether the database has just not answered."""
        return self._clock() < self._silent_until

    def _wait(self, error: Unavailable) -> None:
        self._silent_until = self._clock() + _SILENT_SECONDS
        event("rates.stalled", level="warning", error=error.explanation)


def _scope(bucket: str) -> str:
    return bucket.partition(" ")[0]


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
