"""What is measured unasked: how busy this process is, how full, what waits and what expires.

Each process measures for itself; those that share the state find the same counts.
"""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from yarl import URL

from gateway import metrics
from gateway.config import Config
from gateway.errors import GatewayError, Unavailable
from gateway.logs import event
from gateway.model import KeyState
from gateway.probes import network
from gateway.providers.ring import Ring
from gateway.sharing.storage import Storage
from gateway.store import census
from gateway.store.census import Census
from gateway.store.state import State

_LAG_SECONDS = 0.25
_LOOK_SECONDS = 15
_PATIENCE_SECONDS = 10
_COUNT_SECONDS = 60
_CERTIFICATE_SECONDS = 6 * 3600


class Gauges:
    """Measures, each thing at its own pace."""

    def __init__(
        self,
        settings: Config,
        state: State,
        ring: Ring,
        storage: Storage,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._state = state
        self._ring = ring
        self._storage = storage
        self._clock = clock

    @property
    def works(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What goes on until cancelled."""
        return (
            _lag,
            partial(_again, self.look, _LOOK_SECONDS),
            partial(_again, self.count, _COUNT_SECONDS),
            partial(_again, self.certificate, _CERTIFICATE_SECONDS),
        )

    async def look(self) -> None:
        """How the storage does, the disk, the database and our keys."""
        metrics.backend_up.set(await self._storage_answers())
        database = self._state.database
        metrics.database_transactions.set(database.running)
        metrics.database_connections.set(database.connections)
        with suppress(OSError):
            room = await asyncio.to_thread(shutil.disk_usage, self._settings.state.folder)
            metrics.state_free.set(room.free)
        for state in KeyState:
            held = sum(one.state is state for one in self._ring.keys)
            metrics.signing_keys.labels(state.value).set(held)
        for one in self._ring.keys:
            if one.state is KeyState.ACTIVE:
                use = "cavage" if one.cavage else "rfc9421"
                metrics.signing_key_time.labels(use).set(one.changed_at)

    async def _storage_answers(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await self._storage.healthy()
        except (GatewayError, TimeoutError):
            return False

    async def count(self) -> None:
        """Shares, invites, servers, and what waits in the outbox."""
        now = self._clock()
        try:
            found: Census = await self._state.database.read(partial(census.take, now=now))
        except Unavailable as error:
            event("census.stalled", level="warning", error=error.explanation)
            return
        for direction, shares in (("sent", found.sent), ("received", found.received)):
            for state, number in shares.items():
                metrics.shares.labels(direction, state).set(number)
        for state, number in found.invites.items():
            metrics.invites.labels(state).set(number)
        for standing, number in found.providers.items():
            metrics.providers.labels(standing).set(number)
        metrics.providers_paused.set(found.paused)
        oldest = found.oldest_errand_at
        metrics.outbox_oldest.set(0 if oldest is None else max(0, now - oldest))

    async def certificate(self) -> None:
        """When the certificate ends that others see at our public name; 0 where we cannot look."""
        origin = URL(self._settings.public.origin)
        if origin.scheme != "https" or origin.host is None or origin.port is None:
            return
        try:
            until = await network.certificate_end(origin.host, origin.port)
        except OSError:
            until = 0
        metrics.certificate_time.set(until)


async def _again(work: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    while True:
        await work()
        await asyncio.sleep(pause_seconds)


async def _lag() -> None:
    """How late the event loop comes to what is due."""
    while True:
        due = time.monotonic() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        metrics.loop_lag.observe(max(0.0, time.monotonic() - due))
