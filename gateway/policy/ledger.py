"""What was decided, written down a moment later and kept for a while.

Deciding must not wait for the disk, and a stranger who is refused a thousand times must not cost a
thousand commits. So decisions gather here and are written together twice a second; what a crash
loses of them is an explanation, and the log has its core.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from gateway.errors import NotFound, Unavailable
from gateway.logs import event
from gateway.model import Authority, Decision
from gateway.store import decisions
from gateway.store.database import Database
from gateway.store.decisions import Tally
from gateway.store.parts import Part, Turn

_FLUSH_SECONDS = 0.5
_MOST_WAITING = 2000


class Ledger:
    """Decisions, found again by their id."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], int],
        told: Callable[[Decision], None] = lambda _: None,
        *,
        keep: int,
        days: int,
    ) -> None:
        """At most `keep` are kept, and none longer than `days`. `told` hears of each at once."""
        self._database = database
        self._clock = clock
        self._told = told
        self._keep = keep
        self._seconds = days * 86_400
        self._waiting: deque[Decision] = deque(maxlen=_MOST_WAITING)

    def write(self, decision: Decision) -> None:
        """Keep a decision; on disk within a second."""
        self._waiting.append(decision)
        self._told(decision)

    async def flush(self) -> None:
        """Everything written so far is on disk when this returns. Raises Unavailable."""
        if not self._waiting:
            return
        gathered = list(self._waiting)
        self._waiting.clear()

        def work(connection: Connection) -> None:
            decisions.add(connection, gathered)
            decisions.trim(connection, keep=self._keep, older_than=self._clock() - self._seconds)

        try:
            await self._database.write(work, on_disk=False)
        except Unavailable:
            self._waiting.extendleft(reversed(gathered))
            raise

    async def close(self) -> None:
        """Write down what is left, if that is still possible."""
        with contextlib.suppress(Unavailable):
            await self.flush()

    async def by_id(self, decision_id: str) -> Decision:
        """One decision; NotFound when it is unknown, or was too long ago."""
        await self.flush()
        found = await self._database.read(partial(decisions.find, decision_id=decision_id))
        if found is None:
            raise NotFound("there is no such decision, or it was too long ago (policy.decisions)")
        return found

    async def latest(self, **wanted: object) -> list[Decision]:
        """The newest decisions first; `wanted` as in `store.decisions.latest`."""
        await self.flush()
        read: Callable[[Connection], list[Decision]] = partial(
            decisions.latest,
            **wanted,  # type: ignore[arg-type]
        )
        return await self._database.read(read)

    async def tally(self) -> Tally:
        """How often each rule decided, of what is kept."""
        await self.flush()
        return await self._database.read(decisions.tally)

    async def part(self, turn: Turn, *, provider: Authority | None = None) -> Part[Decision]:
        """A part of the decisions, the newest first; about one server."""
        await self.flush()
        return await self._database.read(partial(decisions.part, turn=turn, provider=provider))

    async def work(self) -> None:
        """Write down what gathers, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except Unavailable as error:
                event("decisions.stalled", level="error", error=error.explanation)
