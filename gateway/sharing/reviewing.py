"""Shares that policy holds until the operator has looked at them, either way."""

from dataclasses import dataclass
from functools import partial

from gateway.errors import NotFound
from gateway.model import AuditEntry, ReceivedShare, SentShare
from gateway.sharing.receiving import Receiving
from gateway.sharing.sending import Sending
from gateway.store import audit
from gateway.store.audit import Wanted
from gateway.store.database import Database
from gateway.store.parts import Part, Turn

_MOST_ENTRIES = 20


@dataclass(frozen=True, slots=True)
class Held:
    """What is held: shares that came, and shares that are to go; the newest first."""

    received: list[ReceivedShare]
    sent: list[SentShare]


class Reviewing:
    """Releases and refuses them. By a share's id one need not say which way it goes."""

    def __init__(self, database: Database, receiving: Receiving, sending: Sending) -> None:
        self._database = database
        self._receiving = receiving
        self._sending = sending

    async def all(self) -> Held:
        """What is held."""
        return Held(await self._receiving.held(), await self._sending.held())

    async def incoming(self, turn: Turn) -> Part[ReceivedShare]:
        """A part of those that came."""
        return await self._receiving.held_part(turn)

    async def outgoing(self, turn: Turn) -> Part[SentShare]:
        """A part of those that are to go."""
        return await self._sending.held_part(turn)

    async def by_id(self, share_id: str) -> ReceivedShare | SentShare:
        """One share, held or not any more. Raises NotFound."""
        try:
            return await self._receiving.by_id(share_id)
        except NotFound:
            return await self._sending.by_id(share_id)

    async def trail(self, share_id: str) -> list[AuditEntry]:
        """What the audit trail says of a share, the oldest first: who let it be held, and why."""
        about = partial(audit.entries, wanted=Wanted(about=share_id), most=_MOST_ENTRIES)
        return await self._database.read(about)

    async def release(self, share_id: str, *, by: str) -> ReceivedShare | SentShare:
        """Let a share in, or go. Raises NotFound, Conflict."""
        if isinstance(await self.by_id(share_id), ReceivedShare):
            return await self._receiving.release(share_id, by=by)
        return await self._sending.release(share_id, by=by)

    async def refuse(self, share_id: str, *, by: str) -> ReceivedShare | SentShare:
        """Turn a share away. Raises NotFound, Conflict."""
        if isinstance(await self.by_id(share_id), ReceivedShare):
            return await self._receiving.turn_away(share_id, by=by)
        return await self._sending.turn_down(share_id, by=by)
