"""How long a storage may be silent: one timer per connection, moved only when it goes off.

Waiting begins and ends many times a second; noting a time is cheap, setting a timer is not.
"""

import asyncio
from collections.abc import Callable


class Patience:
    """Calls `lost` when one wait has lasted too long, or the whole exchange has.

    `moving` is asked before a wait is given up: whether what we send still gets through.
    """

    __slots__ = ("_due", "_idle_seconds", "_loop", "_lost", "_moving", "_timer", "_when", "_whole")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        lost: Callable[[], None],
        moving: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._lost = lost
        self._moving = moving
        self._idle_seconds = 0.0
        self._due = 0.0
        self._when = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._whole: asyncio.TimerHandle | None = None

    def begin(self, idle_seconds: float, total_seconds: float | None) -> None:
        """Set both limits for an exchange."""
        self._idle_seconds = idle_seconds
        if total_seconds is not None:
            self._whole = self._loop.call_later(total_seconds, self._lost)

    def end(self) -> None:
        """The exchange is over; the timer may go off once more and finds nothing to do."""
        self._due = 0.0
        if self._whole is not None:
            self._whole.cancel()
            self._whole = None

    def close(self) -> None:
        """Hold no timer any more."""
        self.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def start(self) -> None:
        """Somebody waits for the storage from now on."""
        self._due = due = self._loop.time() + self._idle_seconds
        if self._timer is None or due < self._when:
            self._arm(due)

    def stop(self) -> None:
        """Nobody waits any more."""
        self._due = 0.0

    def renew(self) -> None:
        """The storage gave a sign of life."""
        if self._due:
            self._due = self._loop.time() + self._idle_seconds

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if not self._due:
            return
        if self._loop.time() >= self._due and self._moving():
            self.renew()
        if self._loop.time() < self._due:
            self._arm(self._due)
        else:
            self._due = 0.0
            self._lost()
