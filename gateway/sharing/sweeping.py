"""Closing shares whose time is over.

Access, tokens and listings keep to the expiration by themselves, to the second. The sweep makes the
record say so, and has the Receiving Server told (SHARE_UNSHARED) of what we had shared with it. A
state changes once, whoever sweeps at the same time, and so the other side is told once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.errors import GatewayError
from gateway.logs import event
from gateway.model import ReceivedShare, SentShare
from gateway.sharing.membership import Membership
from gateway.sharing.receiving import Receiving
from gateway.sharing.sending import Sending
from gateway.store.state import State

_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What was over, as it stood before."""

    sent: tuple[SentShare, ...]
    received: tuple[ReceivedShare, ...]


class Sweeping:
    """Looks for shares that are over."""

    def __init__(
        self,
        state: State,
        sending: Sending,
        receiving: Receiving,
        membership: Membership,
        clock: Callable[[], int],
    ) -> None:
        self._state = state
        self._sending = sending
        self._receiving = receiving
        self._membership = membership
        self._clock = clock

    async def work(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            try:
                await self.sweep()
            except GatewayError as error:
                event("sweep.stalled", level="warning", error=error.explanation)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self) -> Swept:
        """What is over now. Nothing changes."""
        sent = await self._state.database.read(self._expired_sent)
        received = await self._state.database.read(self._expired_received)
        return Swept(tuple(sent), tuple(received))

    async def sweep(self) -> Swept:
        """Close what is over now."""
        found = await self.look()
        for share in found.sent:
            await self._sending.expire(share)
        for one in found.received:
            await self._receiving.expire(one)
        await self._membership.catch_up()
        return found

    def _expired_sent(self, connection: Connection) -> list[SentShare]:
        return self._state.sent.expired(connection, self._clock())

    def _expired_received(self, connection: Connection) -> list[ReceivedShare]:
        return self._state.received.expired(connection, self._clock())
