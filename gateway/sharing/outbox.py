"""The outbox: errands to other servers that outlive a crash, a restart and a dead server.

An errand is written down in the same transaction as the decision that made it necessary, so there
is never one without the other. Then it is tried at once, by whoever decided and waits for the
outcome; the worker leaves it to them for a moment. What fails for a passing reason (no connection,
a 5xx, 408, 425 or 429) is tried again after a pause that doubles up to a limit, until the errand is
too old; what the other server refuses is not tried again. The order of errands about one share is
kept, and one server gets one errand at a time, so that a dead server costs one connection and
delays nobody else.

A process that dies in the middle of an errand leaves its claim behind. The claim is void, because
the process's lock is gone (`store/instances.py`, `store/replica.py`), and the errand runs again. So
an errand may reach the other server twice, and has its effect once: a Share is known by its
providerId, and the notifications say where a share stands, not how it got there.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from gateway import metrics
from gateway.config import Outbox as Settings
from gateway.errors import (
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
    ProviderFailed,
    TooMany,
    Unavailable,
)
from gateway.logs import event
from gateway.model import Authority, Errand, OutboxEntry
from gateway.store import outbox
from gateway.store.database import Write
from gateway.store.parts import Part, Turn
from gateway.store.state import State
from gateway.telemetry import OFF, Kind, Spans

PASSING = (
    ProviderFailed,
    BackendFailed,
    BackendUnavailable,
    BackendTimeout,
    Unavailable,
    TooMany,
)
"""What may be otherwise next time."""

PATIENCE_SECONDS = 5.0
"""How long somebody at a page waits for another server."""
_POLL_SECONDS = 1.0
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Carrier:
    """Who runs one kind of errand: `carry` raises when it fails, `give_up` is told when that is
    for good, `revive` when somebody wants it tried again after that, in the transaction that makes
    the errand a new one."""

    carry: Callable[[OutboxEntry], Awaitable[None]]
    give_up: Callable[[OutboxEntry, str], Awaitable[None]]
    revive: Callable[[Connection, OutboxEntry], object] | None = None


class Outbox:
    """Runs what lies in the outbox."""

    def __init__(
        self, state: State, settings: Settings, clock: Callable[[], int], spans: Spans = OFF
    ) -> None:
        self._state = state
        self._settings = settings
        self._clock = clock
        self._spans = spans
        self._carriers: dict[Errand, Carrier] = {}
        self._busy: dict[Authority, asyncio.Task[None]] = {}
        self._running: dict[str, asyncio.Event] = {}
        self._claiming = asyncio.Lock()
        self._wake = asyncio.Event()
        self._waiting = 0
        self._begun: set[asyncio.Task[None]] = set()
        self._tended = False
        self._spoke: set[Authority] = set()

    def employ(self, carriers: Mapping[Errand, Carrier]) -> None:
        """Say who runs which errands."""
        self._carriers.update(carriers)

    def heard(self, provider: Authority) -> None:
        """A server has just spoken to us: what waits for it is tried again soon."""
        if self._waiting:
            self._spoke.add(provider)
            self._wake.set()

    async def attempt(self, entry_id: str) -> None:
        """Try one errand now, unless an earlier one about its share waits.

        One that the worker is at already is waited for, so that whoever asks hears its outcome.
        Where `tend` runs nobody waits long for a server that is silent: the errand goes on behind
        them.
        """
        entry = await self._claim(only=entry_id)
        if entry:
            task = asyncio.create_task(self._run(entry))
            self._begun.add(task)
            task.add_done_callback(self._ended)
            await self._wait(task)
        elif running := self._running.get(entry_id):
            await self._wait(asyncio.create_task(running.wait()))

    async def _wait(self, task: asyncio.Task[Any]) -> None:
        if self._tended:
            await asyncio.wait([task], timeout=PATIENCE_SECONDS)
            if not task.done():
                return
        await task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._begun.discard(task)
        if not task.cancelled() and (error := task.exception()):  # whoever waits hears it, too
            event("outbox.stalled", level="error", error=str(error))

    async def tend(self) -> None:
        """See to what whoever decided no longer waits for, until cancelled."""
        self._tended = True
        try:
            await asyncio.Event().wait()
        finally:
            self._tended = False
            for task in self._begun:
                task.cancel()
            await asyncio.gather(*self._begun, return_exceptions=True)

    async def by_id(self, entry_id: str) -> OutboxEntry:
        """One errand that is not done. Raises NotFound."""
        return await self._state.database.read(partial(outbox.by_id, entry_id=entry_id))

    async def all(self) -> list[OutboxEntry]:
        """The errands that are not done, those given up among them."""
        return await self._state.database.read(outbox.all_entries)

    async def part(self, turn: Turn, search: str = "") -> Part[OutboxEntry]:
        """A part of them, those given up first; with `search` in server or share."""
        return await self._state.database.read(partial(outbox.part, turn=turn, search=search))

    async def depth(self) -> tuple[int, int]:
        """How many errands wait, and how many were given up."""
        return await self._state.database.read(outbox.depth)

    async def about(self, share: str) -> list[OutboxEntry]:
        """The errands about one share, or one request of ours, that are not done, in order."""
        return await self._state.database.read(partial(outbox.all_entries, share=share))

    async def about_all(self, shares: Collection[str]) -> dict[str, list[OutboxEntry]]:
        """The same for several; those about which nothing is left to do are not in it."""
        return await self._state.database.read(partial(outbox.about, shares=shares))

    async def retry(self, entry_id: str, *, write: Write | None = None) -> None:
        """Try an errand now, one that was given up as if it were new; `write` is handed the errand
        as it was. Raises NotFound."""
        now = self._clock()

        def renew(connection: Connection) -> OutboxEntry:
            entry = outbox.by_id(connection, entry_id)
            if entry.dead:
                if revive := self._carriers[entry.errand].revive:
                    revive(connection, entry)
                outbox.renew(connection, entry_id, now)
            return entry

        await (write or self._state.database.write)(renew)
        await self.attempt(entry_id)

    async def retry_about(self, about: str) -> list[OutboxEntry]:
        """Try now what is not done about a share or request, in order; what still is not."""
        for entry in await self.about(about):
            await self.retry(entry.id)
        return await self.about(about)

    async def drop(self, entry_id: str, *, write: Write | None = None) -> OutboxEntry:
        """Forget an errand for good; `write` is handed it. Raises NotFound."""
        entry = await self.by_id(entry_id)
        if not entry.dead:
            await self._carriers[entry.errand].give_up(entry, "dropped by the operator")

        def forget(connection: Connection) -> OutboxEntry:
            there = outbox.by_id(connection, entry_id)
            outbox.finish(connection, entry_id)
            return there

        entry = await (write or self._state.database.write)(forget)
        event("outbox.dropped", errand=entry.errand, provider=entry.provider, share=entry.share)
        return entry

    async def work(self) -> None:
        """Run errands as they fall due, until cancelled."""
        try:
            while True:
                self._waiting = await self._pending()
                if self._waiting:
                    await self._start_due()
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _hurry(self) -> None:
        while self._spoke:
            provider = next(iter(self._spoke))
            await self._state.database.write(
                partial(outbox.hurry, provider=provider, now=self._clock())
            )
            self._spoke.discard(provider)

    async def _start_due(self) -> None:
        try:
            await self._hurry()
            while len(self._busy) < _AT_ONCE and (entry := await self._claim()):
                task = asyncio.create_task(self._run(entry))
                self._busy[entry.provider] = task
                task.add_done_callback(partial(self._idle, entry))
        except Unavailable as error:
            event("outbox.stalled", level="error", error=error.explanation)

    def _idle(self, entry: OutboxEntry, _: asyncio.Task[None]) -> None:
        self._over(entry.id)  # a task that is cancelled before it begins does not say so itself
        self._busy.pop(entry.provider, None)
        self._wake.set()

    async def _claim(self, only: str | None = None) -> OutboxEntry | None:
        # One claim at a time, until it is known as running: else the next one takes it for void.
        async with self._claiming:
            entry = await self._state.database.write(
                partial(
                    outbox.claim,
                    now=self._clock(),
                    me=self._state.instance.name,
                    held=self._held,
                    busy=frozenset(self._busy),
                    only=only,
                )
            )
            if entry:
                self._running[entry.id] = asyncio.Event()
            return entry

    def _held(self, connection: Connection, holder: str, entry_id: str) -> bool:
        instance = self._state.instance
        if holder == instance.name:
            return entry_id in self._running
        return instance.alive(connection, holder)

    async def _run(self, entry: OutboxEntry) -> None:
        facts = {
            "ocm.errand": entry.errand.value,
            "ocm.errand_id": entry.id,
            "ocm.share": entry.share,
            "ocm.attempt": entry.attempts + 1,
            "server.address": entry.provider,
        }
        try:
            with (
                self._spans.span(f"errand {entry.errand}", Kind.INTERNAL, facts) as span,
                span.leading(),
            ):
                span.tell({"ocm.result": await self._carry(entry)})
        finally:
            self._over(entry.id)

    def _over(self, entry_id: str) -> None:
        if running := self._running.pop(entry_id, None):
            running.set()

    async def _carry(self, entry: OutboxEntry) -> str:
        """Run it; the result, as the metric has it."""
        carrier = self._carriers[entry.errand]
        try:
            await carrier.carry(entry)
        except asyncio.CancelledError:
            await self._postpone(entry, "interrupted", self._clock())
            raise
        except PASSING as error:
            return await self._failed(entry, carrier, error)
        except GatewayError as error:
            return await self._give_up(entry, carrier, error.explanation)
        except Exception as error:  # a fault of ours must not lose the errand
            event("outbox.fault", level="error", errand=entry.errand, exc_info=error)
            await self._postpone(entry, f"a fault of ours: {error}", self._next(entry, None))
            return "fault"
        else:
            await self._state.database.write(partial(outbox.finish, entry_id=entry.id))
            metrics.deliveries.labels(errand=entry.errand, result="done").inc()
            event("outbox.done", errand=entry.errand, provider=entry.provider, share=entry.share)
            return "done"

    async def _failed(self, entry: OutboxEntry, carrier: Carrier, error: GatewayError) -> str:
        if self._clock() - entry.created_at > self._settings.give_up_hours * 3600:
            reason = f"not delivered in {self._settings.give_up_hours} hours: {error.explanation}"
            return await self._give_up(entry, carrier, reason)
        next_at = self._next(entry, error.retry_after)
        await self._postpone(entry, error.explanation, next_at)
        metrics.deliveries.labels(errand=entry.errand, result="postponed").inc()
        event(
            "outbox.postponed",
            level="warning",
            errand=entry.errand,
            provider=entry.provider,
            share=entry.share,
            next_attempt_at=next_at,
            error=error.explanation,
        )
        return "postponed"

    async def _give_up(self, entry: OutboxEntry, carrier: Carrier, reason: str) -> str:
        await carrier.give_up(entry, reason)
        await self._state.database.write(partial(outbox.bury, entry_id=entry.id, error=reason))
        metrics.deliveries.labels(errand=entry.errand, result="given_up").inc()
        event(
            "outbox.given_up",
            level="warning",
            errand=entry.errand,
            provider=entry.provider,
            share=entry.share,
            error=reason,
        )
        return "given_up"

    async def _postpone(self, entry: OutboxEntry, error: str, next_at: int) -> None:
        await self._state.database.write(
            partial(outbox.postpone, entry_id=entry.id, next_attempt_at=next_at, error=error)
        )

    def _next(self, entry: OutboxEntry, retry_after: int | None) -> int:
        longest = self._settings.longest_pause_seconds
        pause: int = min(self._settings.first_retry_seconds * 2 ** min(entry.attempts, 20), longest)
        if pause > 10:  # so that errands that failed together do not come back together
            pause = int(pause * random.uniform(0.8, 1.0))  # noqa: S311
        return self._clock() + max(pause, min(retry_after or 0, longest))

    async def _pending(self) -> int:
        try:
            depths = await self.depth()
        except Unavailable as error:
            event("outbox.stalled", level="error", error=error.explanation)
            return 0
        metrics.outbox_pending.set(depths[0])
        metrics.outbox_dead.set(depths[1])
        return depths[0]
