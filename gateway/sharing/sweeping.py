"""Housekeeping: shares whose time is over are closed, and what ended long ago is forgotten.

Access, tokens and listings keep to the expiration by themselves, to the second. The sweep makes the
record say so, and has the Receiving Server told (SHARE_UNSHARED) of what we had shared with it. A
state changes once, and so the other side is told once. Of several processes that share the state
one sweeps at a time (`store/leases.py`), in batches, so that no transaction is long; a share that
cannot be closed holds up no other.

After `sharing.keep_ended_days` a share that has ended goes (`store/ended.py`), and with the same
patience one that its server has not had for as long; invites go as well, and what our users asked
for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gateway.errors import GatewayError
from gateway.logs import event
from gateway.model import ReceivedShare, SentShare
from gateway.sharing.membership import Membership
from gateway.sharing.receiving import Receiving
from gateway.sharing.sending import Sending
from gateway.store import ended
from gateway.store.leases import Lease
from gateway.store.state import State

_PAUSE_SECONDS = 60.0
_AT_ONCE = 200
_MOST_BATCHES = 50

Share = TypeVar("Share", SentShare, ReceivedShare)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, or would do: shares that were over, as they stood before; those that seem
    `gone` at their server and will go, too; those that members of groups were given; the ids of
    what was forgotten. `busy` says that another process sweeps."""

    sent: tuple[SentShare, ...] = ()
    received: tuple[ReceivedShare, ...] = ()
    gone: tuple[ReceivedShare, ...] = ()
    given: tuple[ReceivedShare, ...] = ()
    forgotten_sent: tuple[str, ...] = ()
    forgotten_received: tuple[str, ...] = ()
    forgotten_invites: tuple[str, ...] = ()
    forgotten_requests: tuple[str, ...] = ()
    busy: bool = False


class Sweeping:
    """Looks for shares that are over."""

    def __init__(
        self,
        state: State,
        sending: Sending,
        receiving: Receiving,
        membership: Membership,
        clock: Callable[[], int],
        *,
        keep_seconds: int | None,
    ) -> None:
        """`keep_seconds` is how long what has ended is kept; None for ever."""
        self._state = state
        self._sending = sending
        self._receiving = receiving
        self._membership = membership
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._lease = Lease("sweep", state, clock)
        self._turn = asyncio.Lock()

    async def work(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            try:
                # Another process that has just swept has swept for us, too.
                await self.sweep(not_since=self._clock() - int(_PAUSE_SECONDS) + 5)
            except GatewayError as error:
                event("sweep.stalled", level="warning", error=error.explanation)
            except Exception as error:  # a fault of ours must not end the sweeping
                event("sweep.fault", level="error", exc_info=error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self) -> Swept:
        """What is over now, the first of it. Nothing changes."""
        now = self._clock()
        sent = await self._state.database.read(
            partial(self._state.sent.expired, now=now, most=_AT_ONCE)
        )
        sent += await self._state.database.read(
            partial(self._state.sent.ungranted, now=now, most=_AT_ONCE)
        )
        received = await self._state.database.read(
            partial(self._state.received.expired, now=now, most=_AT_ONCE)
        )
        return Swept(
            tuple(sent),
            tuple(received),
            await self._gone(),
            (),
            await self._old(ended.old_sent),
            await self._old(ended.old_received),
            await self._old(ended.old_invites),
            await self._old(ended.old_requests),
        )

    async def _gone(self) -> tuple[ReceivedShare, ...]:
        return tuple(
            await self._state.database.read(partial(self._state.received.dead, most=_AT_ONCE))
        )

    async def sweep(self, *, not_since: int | None = None) -> Swept:
        """Close what is over now, and forget what ended long ago.

        Nothing happens where another process is at it, or was after `not_since`.
        """
        async with self._turn:
            if not await self._lease.take(not_since=not_since):
                return Swept(busy=True)
            try:
                return await self._sweep()
            finally:
                await self._lease.release()

    async def _sweep(self) -> Swept:
        sent = await self._close(self._state.sent.expired, self._sending.expire)
        sent += await self._close(self._state.sent.ungranted, self._sending.expire)
        received = await self._close(self._state.received.expired, self._receiving.expire)
        given = await self._membership.catch_up()
        await self._state.database.write(partial(ended.mark, now=self._clock()))
        swept = Swept(
            tuple(sent),
            tuple(received),
            await self._gone(),
            tuple(given),
            await self._forget(ended.forget_sent),
            await self._forget(ended.forget_received),
            await self._forget(ended.forget_invites),
            await self._forget(ended.forget_requests),
        )
        forgotten = (
            swept.forgotten_sent,
            swept.forgotten_received,
            swept.forgotten_invites,
            swept.forgotten_requests,
        )
        if any(forgotten):
            shares, received_, invites, asked = map(len, forgotten)
            event("sweep.forgot", sent=shares, received=received_, invites=invites, requests=asked)
        return swept

    async def _close(
        self,
        find: Callable[..., list[Share]],
        close: Callable[[Share], Awaitable[None]],
    ) -> list[Share]:
        """Close everything that is over, a batch at a time; those that were closed."""
        closed: list[Share] = []
        failed: set[str] = set()
        for _ in range(_MOST_BATCHES):
            batch = await self._state.database.read(
                partial(find, now=self._clock(), most=_AT_ONCE, but_not=frozenset(failed))
            )
            for share in batch:
                try:
                    await close(share)
                    closed.append(share)
                except Exception as error:  # one share holds up no other
                    failed.add(_id(share))
                    event("sweep.fault", level="error", id=_id(share), exc_info=error)
            if len(batch) < _AT_ONCE:
                break
        return closed

    async def _old(self, find: Callable[..., list[str]]) -> tuple[str, ...]:
        """What ended long ago, the first of it; the ids."""
        if self._keep_seconds is None:
            return ()
        before = self._clock() - self._keep_seconds
        return tuple(await self._state.database.read(partial(find, before=before, most=_AT_ONCE)))

    async def _forget(self, forget: Callable[..., list[str]]) -> tuple[str, ...]:
        """Forget what ended long ago, a batch at a time; the ids."""
        if self._keep_seconds is None:
            return ()
        before = self._clock() - self._keep_seconds
        found: list[str] = []
        for _ in range(_MOST_BATCHES):
            batch = await self._state.database.write(partial(forget, before=before, most=_AT_ONCE))
            found += batch
            if len(batch) < _AT_ONCE:
                break
        return tuple(found)


def _id(share: SentShare | ReceivedShare) -> str:
    return share.provider_id if isinstance(share, SentShare) else share.id
