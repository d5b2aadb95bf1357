"""Our signing key is replaced by itself, as `keys.rotate_days` says.

The next key is published a day before it signs, so that others know it; the one before stays
published for `keys.overlap_days`. A key that the operator staged is the next one. The RSA key for
older servers is left alone: they know one at a time. Of several processes one does this at a time.
"""

import asyncio
from collections.abc import Callable

from gateway import config
from gateway.errors import GatewayError
from gateway.httpsig.keys import ECDSA_P256
from gateway.logs import event
from gateway.model import KeyState
from gateway.providers.ring import OwnKey, Ring
from gateway.sharing.operating import Operating
from gateway.store.leases import Lease
from gateway.store.state import State

_PAUSE_SECONDS = 60
_DAY = 86_400
_BY = "keys.rotate_days"


class Rotating:
    """Looks for keys that are due."""

    def __init__(
        self,
        settings: config.Keys,
        ring: Ring,
        operating: Operating,
        state: State,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._ring = ring
        self._operating = operating
        self._clock = clock
        self._lease = Lease("keys", state, clock)

    async def work(self) -> None:
        """Turn the keys now and then, until cancelled."""
        while self._settings.rotate_days:
            try:
                await self.turn()
            except GatewayError as error:
                event("keys.stalled", level="warning", error=error.explanation)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def turn(self) -> None:
        """Do what is due now. Nothing happens where another process is at it."""
        if not self._settings.rotate_days or not await self._lease.take():
            return
        try:
            await self._ring.load()
            await self._turn(self._settings.rotate_days * _DAY)
        finally:
            await self._lease.release()

    async def _turn(self, lifetime: int) -> None:
        now = self._clock()
        [active] = self._in(KeyState.ACTIVE)
        due, staged = active.changed_at + lifetime, self._in(KeyState.STAGED)
        if not staged:
            if now >= due - _DAY:
                name = "es256" if active.key.algorithm == ECDSA_P256 else "ed25519"
                await self._operating.stage(name, by=_BY)
        elif now >= max(due, staged[-1].changed_at + _DAY):
            await self._operating.activate(staged[-1].key.kid, by=_BY)
        for one in self._in(KeyState.OVERLAPPING):
            if now >= one.changed_at + self._settings.overlap_days * _DAY:
                await self._operating.retire(one.key.kid, by=_BY)

    def _in(self, state: KeyState) -> list[OwnKey]:
        """Our keys in that state, the newest first, but for those of older servers."""
        return [one for one in self._ring.keys if not one.cavage and one.state is state]
