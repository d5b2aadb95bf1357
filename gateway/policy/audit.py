"""What was done and decided, in a chain that cannot be changed unseen (`store/audit.py`).

`write` puts what was done and its entry into one transaction: there is never one without the other.
`record` returns once the entry is on disk, for what is no transaction of ours. Both raise
Unavailable when the entry cannot be written: what is acknowledged is in the trail. `note` returns
at once, for what happens often and grants nothing that lasts (access tokens, log-ins); its entry is
written within half a second, so a crash may lose those. `refuse` is a note, and bounded besides
(`refusals.py`). What is recorded and noted waits in one bounded line, and whoever writes takes all
that wait: a hundred entries at once cost one transaction. The WebDAV path writes none.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypedDict, TypeVar, Unpack

from sqlalchemy import Connection

from gateway import metrics
from gateway.errors import Unavailable
from gateway.logs import event
from gateway.model import AuditEntry, Deed
from gateway.policy.refusals import Refusals
from gateway.store import audit
from gateway.store.database import Database
from gateway.store.vault import Vault

ALLOW, DENY, DONE = "allow", "deny", "done"
"""The outcomes: of a decision, and of a deed."""

_MOST_WAITING = 10_000
_AT_ONCE = 500
_NOTE_SECONDS = 0.5
_AGAIN_SECONDS = 1.0
_LONGEST = 1000

Result = TypeVar("Result")
Waiting = tuple[Deed, asyncio.Future[None] | None]


class _More(TypedDict, total=False):
    """What may be told of a deed; see `Audit.deed`."""

    outcome: str
    who: str
    whom: str
    provider: str
    about: str
    decision: str
    reason: str


class Audit:
    """The trail of one gateway. Close it, so that what was noted is written."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Callable[[], int],
        written: Callable[[list[AuditEntry]], None] = lambda _: None,
        *,
        on: bool = True,
        refusals_per_hour: int = 300,
    ) -> None:
        """`written` is shown the entries of this process once they are on disk."""
        self._database = database
        self._vault = vault
        self._clock = clock
        self._written = written
        self._on = on
        self._refusals = Refusals(refusals_per_hour)
        self._waiting: list[Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._turn = asyncio.Lock()
        self._closing = False

    def deed(
        self,
        what: str,
        *,
        outcome: str = DONE,
        who: str = "",
        whom: str = "",
        provider: str = "",
        about: str = "",
        decision: str = "",
        reason: str = "",
    ) -> Deed:
        """What is to be entered, as of now; with a decision id of its own where none is given."""
        return Deed(
            at=self._clock(),
            what=what,
            outcome=outcome,
            decision=decision or secrets.token_hex(8),
            who=_text(who),
            whom=_text(whom),
            provider=_text(provider),
            about=_text(about),
            reason=_text(reason),
        )

    async def write(
        self,
        work: Callable[[Connection], Result],
        told: Callable[[Result], Deed | Sequence[Deed] | None],
    ) -> Result:
        """Run `work` and enter what `told` says of its result, in one transaction on disk.

        None, or none of several, is nothing worth an entry. Raises Unavailable when either cannot
        be written, and what `work` raises; there is neither then.
        """

        def both(connection: Connection) -> tuple[Result, list[AuditEntry]]:
            result = work(connection)
            deeds = (told(result) if self._on else None) or []
            if isinstance(deeds, Deed):
                deeds = [deeds]
            if not deeds:
                return result, []
            try:
                return result, audit.append(connection, self._vault, deeds)
            except audit.Damaged as error:
                raise _unwritten(error) from error

        async with self._turn:  # all change the end of the chain, and would collide
            result, entries = await self._database.write(both)
        self._have_written(entries)
        return result

    async def record(self, what: str, **more: Unpack[_More]) -> str:
        """Write an entry down; returns its decision id once it is on disk.

        Raises Unavailable when it cannot be written.
        """
        deed = self.deed(what, **more)
        if self._on:
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if not self._enqueue(deed, written):
                raise _unwritten("too much waits")
            self._hurry.set()
            await written
        return deed.decision

    def note(self, what: str, **more: Unpack[_More]) -> str:
        """Have an entry written soon; returns its decision id. Too many at once are counted, not
        kept."""
        deed = self.deed(what, **more)
        self._note([deed])
        return deed.decision

    def refuse(self, deed: Deed, kind: str = "") -> None:
        """Have a refusal written soon, unless too many like it come: then their count, later.

        Like it are those of the same `what`, server, person and `kind`.
        """
        if self._on:
            alike = (deed.what, deed.outcome, deed.provider, deed.who, kind)
            self._note(self._refusals.refused(alike, deed))

    def _note(self, deeds: Iterable[Deed]) -> None:
        for deed in deeds:
            if self._on and not self._enqueue(deed, None):
                metrics.audit_lost.inc()

    async def erase(self, address: str) -> int:
        """Forget an address, in every entry that names it; how many there were. The chain holds."""
        return await self.write(
            partial(audit.erase, address=address),
            lambda found: self.deed("audit.erased", reason=f"{found} entries"),
        )

    async def prune(self, before: int) -> int:
        """Forget the entries from before that time; how many there were."""
        return await self.write(
            partial(audit.prune, vault=self._vault, before=before),
            lambda gone: self.deed("audit.pruned", reason=f"{gone} entries") if gone else None,
        )

    async def retire(self, days: int | None) -> None:
        """Forget what is older than so many days; None forgets nothing."""
        if days is not None:
            await self.prune(self._clock() - days * 86_400)

    def settle(self) -> None:
        """Have the count of refusals written, where their hour is over."""
        self._note(self._refusals.over(self._clock()))

    async def close(self) -> None:
        """Write what waits, if it can be written."""
        self._note(self._refusals.over())
        self._closing = True
        self._hurry.set()
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)

    def _enqueue(self, deed: Deed, written: asyncio.Future[None] | None) -> bool:
        if len(self._waiting) >= _MOST_WAITING:
            return False
        self._waiting.append((deed, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return True

    async def _write(self) -> None:
        """Write until nothing waits any more."""
        while self._waiting:
            if not self._closing and all(written is None for _, written in self._waiting):
                try:
                    async with asyncio.timeout(_NOTE_SECONDS):
                        await self._hurry.wait()
                except TimeoutError:
                    pass
            self._hurry.clear()
            batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            if not await self._append(batch):
                if self._closing:
                    return
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _append(self, batch: list[Waiting]) -> bool:
        append = partial(audit.append, vault=self._vault, deeds=[deed for deed, _ in batch])
        try:
            async with self._turn:
                entries = await self._database.write(append)
        except Exception as error:  # whatever it is, nobody may wait for ever
            event("audit.stalled", level="error", error=str(error))
            self._refuse(batch, error)
            return False
        for _, written in batch:
            if written is not None and not written.done():
                written.set_result(None)
        self._have_written(entries)
        return True

    def _have_written(self, entries: list[AuditEntry]) -> None:
        if entries:
            metrics.audit_entries.inc(len(entries))
            self._written(entries)

    def _refuse(self, batch: list[Waiting], error: Exception) -> None:
        """Those that wait for their entry are told; what was only noted is tried again."""
        for _, written in batch:
            if written is not None and not written.done():
                written.set_exception(_unwritten(error))
        if isinstance(error, Unavailable):
            self._waiting = [one for one in batch if one[1] is None] + self._waiting


def _unwritten(why: object) -> Unavailable:
    return Unavailable("the audit trail cannot be written just now", detail=str(why), retry_after=5)


def _text(text: str) -> str:
    """What any database can keep, and not too much of it."""
    return text[:_LONGEST].replace("\0", "").encode("utf-8", "replace").decode()
