"""Accepting an invite at a page: nobody waits there for a server that is silent.

The server is asked on behind them, and what it answers is kept. What a process that ends leaves
unanswered is in doubt (`inviting.py`): whoever accepts once more hears what became of it.
"""

import asyncio

from gateway.errors import GatewayError
from gateway.logs import event
from gateway.model import Contact
from gateway.ocm.invites import Invite
from gateway.sharing.inviting import Inviting
from gateway.sharing.outbox import PATIENCE_SECONDS

_Asked = tuple[str, Invite]
"""Who accepts what."""


class Accepting:
    """Accepts invites for people who look on. Close it."""

    def __init__(self, inviting: Inviting) -> None:
        self._inviting = inviting
        self._asking: dict[_Asked, asyncio.Task[Contact]] = {}

    async def accept(self, user: str, invite: Invite) -> Contact | None:
        """As `Inviting.accept_invite`; None when the other server has not answered by now, and is
        still asked. Whoever accepts the same again meanwhile waits for the same answer."""
        asked = user, invite
        task = self._asking.get(asked)
        if task is None:
            task = asyncio.create_task(self._inviting.accept_invite(user, invite))
            self._asking[asked] = task
            task.add_done_callback(lambda done: self._done(asked, done))
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        return await task if task.done() else None

    def _done(self, asked: _Asked, task: asyncio.Task[Contact]) -> None:
        del self._asking[asked]
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, GatewayError):
            event("invite.failed", user=asked[0], error=error.explanation)
        elif error:
            event("invite.fault", level="error", exc_info=error)

    async def close(self) -> None:
        """Wait for nobody any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
