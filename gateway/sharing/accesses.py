"""Who came to what we share, for its owner: gathered in memory, written down every few seconds.

A request costs a look into a dictionary and no statement. What is the same (the share, the kind,
the path) is one line, as long as it began within the hour. So ten thousand listings by a client
that synchronises are one line, and a crash costs the owner the last seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.logs import event
from gateway.model import AccessKind, AccessLine
from gateway.store import accesses
from gateway.store.database import Database
from gateway.store.shares import SentShares

_FLUSH_SECONDS = 3
_MANY = 5000
_LONGEST_PATH = 1000

_KINDS = {
    "GET": AccessKind.READ,
    "HEAD": AccessKind.LOOK,
    "PROPFIND": AccessKind.LOOK,
    "OPTIONS": None,
    "LOCK": None,
    "UNLOCK": None,
}
"""Other methods write. Locks come with writing, and OPTIONS tells nothing of the share."""

_Key = tuple[str, AccessKind, str]


class Accesses:
    """The log of accesses to the Shares that we send."""

    def __init__(
        self, database: Database, sent: SentShares, clock: Callable[[], int], *, keep: int
    ) -> None:
        """At most `keep` lines are kept for a Share; 0 keeps none at all."""
        self._database = database
        self._sent = sent
        self._clock = clock
        self._keep = keep
        self._noted: dict[_Key, list[int]] = {}
        self._writing = asyncio.Lock()

    def note(self, share: str, method: str, path: Sequence[str] | str, size: int) -> None:
        """A request was answered: `path` lies below the Share, `size` is that of what it brought
        or took, and whole for a transfer that broke off."""
        kind = _KINDS.get(method, AccessKind.WRITE)
        if kind is None or not self._keep:
            return
        if kind is AccessKind.LOOK:
            path, size = "", 0
        elif not isinstance(path, str):
            path = "/".join(path)
        # A client that reads a million names gets one line for those that find no room.
        key = (share, kind, path[:_LONGEST_PATH] if len(self._noted) < _MANY else "")
        now = self._clock()
        line = self._noted.get(key)
        if line is None:
            self._noted[key] = [now, now, 1, size]
        else:
            line[1] = now
            line[2] += 1
            line[3] += size

    async def flush(self) -> None:
        """Everything noted so far is in the database when this returns. Raises Unavailable."""
        async with self._writing:
            if not self._noted:
                return
            noted, self._noted = self._noted, {}
            try:
                await self._write(noted)
            except Unavailable:
                self._keep_for_later(noted)
                raise

    def _keep_for_later(self, noted: dict[_Key, list[int]]) -> None:
        """What could not be written down, with what came since; all of it, within bounds."""
        if len(noted) > 2 * _MANY:
            return
        for key, line in noted.items():
            later = self._noted.get(key)
            if later:
                line[1], line[2], line[3] = later[1], line[2] + later[2], line[3] + later[3]
        self._noted = noted | {key: line for key, line in self._noted.items() if key not in noted}

    async def _write(self, noted: dict[_Key, list[int]]) -> None:
        def write(connection: Connection) -> None:
            servers = self._sent.servers_of(connection, {share for share, _, _ in noted})
            lines = [
                AccessLine(share, servers[share], kind, path, *numbers)
                for (share, kind, path), numbers in noted.items()
                if share in servers
            ]
            accesses.add(connection, lines, keep=self._keep)

        await self._database.write(write, on_disk=False)

    async def of(self, share: str) -> list[AccessLine]:
        """The lines of one Share, the newest first; whose it is is the caller's to see."""
        await self.flush()
        return await self._database.read(partial(accesses.of, share=share))

    async def latest(self, shares: Sequence[str]) -> dict[str, int]:
        """When somebody came last to each of these Shares, if ever."""
        await self.flush()
        return await self._database.read(partial(accesses.latest, shares=shares))

    async def close(self) -> None:
        """Write down what is left, if that is still possible."""
        with contextlib.suppress(Unavailable):
            await self.flush()

    async def work(self) -> None:
        """Write down what gathers, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self.flush()
            except Unavailable as error:
                event("accesses.stalled", level="error", error=error.explanation)
