"""The audit trail, told to somebody else: line by line on standard output, or to a webhook.

One of the processes that share the trail tells it, behind everybody's back: no request waits. It
follows the table, not what happens in it, so what is in the trail is told at least once, in order,
whoever dies meanwhile; the `position` of an entry says whether it was told before, and whether one
is missing (because it was pruned before it could be told). What is not taken is told again, for
ever: the trail itself is what waits.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway import metrics
from gateway.config import Audit as Settings
from gateway.errors import GatewayError, ProviderFailed, Unavailable
from gateway.logs import event
from gateway.model import AuditEntry
from gateway.store import audit, streams
from gateway.store.audit import Wanted
from gateway.store.leases import Lease
from gateway.store.state import State
from gateway.transport import Guarded, server_of

STDOUT = "stdout"

_MOST_AT_ONCE = 100
_POLL_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_WEBHOOK_SECONDS = 20


class Stream:
    """Tells the trail, where that is configured."""

    def __init__(
        self, settings: Settings, state: State, anywhere: Guarded, clock: Callable[[], int]
    ) -> None:
        """`anywhere` admits every host: a webhook is not a server that we federate with."""
        self._settings = settings
        self._state = state
        self._anywhere = anywhere
        self._lease = Lease("stream", state, clock)
        self._wake = asyncio.Event()
        self._most = _MOST_AT_ONCE

    def written(self, entries: Sequence[AuditEntry]) -> None:
        """There is something new to tell."""
        if entries:
            self._wake.set()

    async def work(self) -> None:
        """Tell what there is to tell, until cancelled; then it is another process's turn."""
        if self._settings.stream is None:
            return
        try:
            await self._work()
        finally:
            with suppress(GatewayError):
                await self._lease.release()

    async def _work(self) -> None:
        pause = _POLL_SECONDS
        while True:
            try:
                while await self._tell():
                    pass
            except (GatewayError, OSError, ValueError) as error:
                said = error.explanation if isinstance(error, GatewayError) else str(error)
                event("audit.stream_stalled", level="error", error=said, again_seconds=pause)
                # What is not taken may be too much at once.
                self._most = max(1, self._most // 2)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            pause = _POLL_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def _tell(self) -> bool:
        """Tell the next entries; whether there were any, and it was ours to tell them."""
        if not await self._lease.keep():
            return False
        found = await self._state.database.read(self._next)
        if found is None:
            await self._state.database.write(self._begin)
            return False
        if not found:
            return False
        await self._give("".join(f"{line(entry)}\n" for entry in found))
        reached = partial(self._reached, position=found[-1].position)
        if not await self._state.database.write(reached, on_disk=False):
            return False
        metrics.audit_streamed.inc(len(found))
        self._most = min(2 * self._most, _MOST_AT_ONCE)
        return True

    def _next(self, connection: Connection) -> list[AuditEntry] | None:
        """What we are to tell next; None when nothing was ever told."""
        position = streams.find(connection)
        if position is None:
            return None
        metrics.audit_behind.set(max(0, audit.last(connection) - position))
        return audit.entries(connection, Wanted(), after=position, most=self._most)

    def _begin(self, connection: Connection) -> None:
        # What happened before anybody wanted to hear of it is for `audit export`.
        if streams.find(connection) is None:
            streams.put(connection, audit.last(connection))

    def _reached(self, connection: Connection, position: int) -> bool:
        """Note what was told; False, and nothing is noted, when another process tells by now."""
        mine = self._lease.mine(connection)
        if mine:
            streams.put(connection, position)
        return mine

    async def _give(self, text: str) -> None:
        if self._settings.stream == STDOUT:
            # A pipe that nobody reads from blocks that thread, and nothing else.
            await asyncio.to_thread(_print, text)
        else:
            await self._post(str(self._settings.stream), text)

    async def _post(self, url: str, text: str) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        if self._settings.stream_token_file:
            headers["Authorization"] = f"Bearer {_token(self._settings.stream_token_file)}"
        async with self._anywhere.request(
            server_of(url),
            "POST",
            url,
            headers=headers,
            body=text.encode(),
            total_seconds=_WEBHOOK_SECONDS,
        ) as answer:
            if not 200 <= answer.status < 300:
                raise ProviderFailed("the audit stream was not taken", detail=f"{answer.status}")


def members(entry: AuditEntry) -> dict[str, Any]:
    """An entry in JSON, as it is exported, too."""
    deed = entry.deed
    return {
        "position": entry.position,
        "at": deed.at,
        "what": deed.what,
        "outcome": deed.outcome,
        "decision": deed.decision,
        "who": deed.who,
        "whom": deed.whom,
        "provider": deed.provider,
        "about": deed.about,
        "reason": deed.reason,
        "erased": list(entry.erased),
        "hash": entry.hash,
    }


def line(entry: AuditEntry) -> str:
    """An entry as a line of JSON."""
    return json.dumps(members(entry), ensure_ascii=False)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise Unavailable(
            "the token of the audit stream cannot be read", detail=str(error)
        ) from error
