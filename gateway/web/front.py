"""Who answers: the parts of the gateway as the present settings want them.

When settings change, new parts take over between two requests. Connections stay open, and what
runs is finished by the parts that it began with.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway.policy.ledger import Ledger
from gateway.policy.live import Live
from gateway.sharing.storage import Storage
from gateway.store.state import State
from gateway.web.middleware import Handler
from gateway.web.operations import Table
from gateway.web.pages.frame import Frame, OperatorPage
from gateway.web.pages.policy import PolicyPages
from gateway.web.turnstile import Turnstile


@dataclass(frozen=True, slots=True)
class Desk:
    """What the management listener asks."""

    state: State
    storage: Storage
    live: Live
    ledger: Ledger
    frame: Frame
    pages: Mapping[str, OperatorPage]
    """The operator's pages by their paths, but those about policy."""
    policy: PolicyPages
    api: Table


@dataclass(slots=True, eq=False)
class Shift:
    """Those who answer while one set of settings holds, and how many requests they are at."""

    handler: Handler
    desk: Desk
    turnstile: Turnstile
    running: int = 0
    relieved: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def _look(self) -> None:
        if self.relieved and not self.running:
            self.done.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.running += 1
        try:
            return await self.handler(request)
        finally:
            self.running -= 1
            self._look()

    def relieve(self) -> None:
        """Nothing new comes any more; `done` is set when nothing runs."""
        self.relieved = True
        self._look()


class Front:
    """Passes each request to the shift that is on when it comes."""

    def __init__(self, shift: Shift) -> None:
        self.shift = shift
        self.leaving = asyncio.Event()
        """The gateway is about to stop."""

    def answer(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer one request."""
        return self.shift.answer(request)

    def hand_over(self, shift: Shift) -> Shift:
        """From now on that shift answers; the one that is relieved."""
        relieved, self.shift = self.shift, shift
        relieved.relieve()
        return relieved
