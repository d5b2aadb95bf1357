"""Looking at received shares unasked: whether they are still there, and what they are.

Some servers never tell what becomes of a share (Reva, OpenCloud), some tell it without proof
(oCIS), and those of OCM 1.0 call a folder a file. So the shares of such servers are looked at: soon
after they were accepted, now and then, and when a notification that nothing proves hints at a
change. What is gone is shown as unavailable, and comes back when it is there again; one that was
not found many times in a row is shown as gone, and swept after the time that ended shares are kept
(`sweeping.py`). Servers that notify are left alone.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from gateway.errors import GatewayError, NotFound, ProviderRefused
from gateway.logs import event
from gateway.model import ReceivedShare, ReceivedState
from gateway.sharing.others import Others
from gateway.sharing.visiting import Visiting
from gateway.store.state import State

_PAUSE_SECONDS = 2.0
_FIRST_RETRY_SECONDS = 4
_LONGEST_RETRY_SECONDS = 3600
_AT_ONCE = 20


class Probing:
    """Looks at shares as they fall due."""

    def __init__(
        self,
        state: State,
        others: Others,
        visiting: Visiting,
        clock: Callable[[], int],
        *,
        every_seconds: int,
    ) -> None:
        """`every_seconds` is how often a server that does not notify is asked."""
        self._state = state
        self._others = others
        self._visiting = visiting
        self._clock = clock
        self._every_seconds = every_seconds
        self._later: dict[str, tuple[int, int]] = {}

    async def work(self) -> None:
        """Look at what is due, until cancelled."""
        while True:
            try:
                await self.run()
            except GatewayError as error:
                event("probing.stalled", level="error", error=error.explanation)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def run(self) -> None:
        """Look at what is due now."""
        now = self._clock()
        due = await self._state.database.read(
            partial(
                self._state.received.due, checked_before=now - self._every_seconds, most=_AT_ONCE
            )
        )
        for share in due:
            if share.live_at(now) and self._later.get(share.id, (0, 0))[0] <= now:
                await self._probe(share, now)

    async def _probe(self, share: ReceivedShare, now: int) -> None:
        claim = partial(
            self._state.received.claim_check,
            share_id=share.id,
            seen=share.checked_at,
            checked_at=now,
        )
        unknown = share.kind_unknown and not share.uri
        if not unknown and not await self._state.database.write(claim):
            return  # another worker looks at it
        try:
            if await self._worthwhile(share):
                await self._visiting.look(share)
            self._later.pop(share.id, None)
        except GatewayError as error:
            self._postpone(share, now)
            event("probing.failed", id=share.id, error=error.explanation)
            if _says_gone(error):
                count = partial(self._state.received.miss, share_id=share.id)
                await self._state.database.write(count)

    async def _worthwhile(self, share: ReceivedShare) -> bool:
        if (share.kind_unknown and not share.uri) or share.checked_at == 0:
            return True
        if share.state is ReceivedState.UNAVAILABLE:
            return True
        document = await self._others.discoveries.discover(share.sending_server)
        speech = await self._others.dialects.speech(share.sending_server, document)
        return not speech.dialect.notifies

    def _postpone(self, share: ReceivedShare, now: int) -> None:
        pause = min(self._later.get(share.id, (0, 0))[1] * 2, _LONGEST_RETRY_SECONDS)
        pause = pause or _FIRST_RETRY_SECONDS
        self._later[share.id] = (now + pause, pause)


def _says_gone(error: GatewayError) -> bool:
    """Whether the other server answered, and has neither the share nor a token for it."""
    return isinstance(error, NotFound) or (
        isinstance(error, ProviderRefused) and bool(error.answered)
    )
