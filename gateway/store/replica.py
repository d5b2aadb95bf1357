"""This process among the replicas that share a PostgreSQL database.

One connection is held for as long as the process lives. Over it come the others' announcements
(LISTEN), it holds the lock by which the others know that we live, and every `LOOK_SECONDS` it is
asked which transactions are under way (`pg_current_snapshot`). Two equal answers mean that nobody
has committed anything in between, so nothing is missed where an announcement is lost, and the
WebDAV path asks the database nothing.

An answer is believed for `FRESH_SECONDS`. When none came for longer (the database is gone, or this
process was stopped), what is remembered counts as changed and is read anew: a share that was
revoked meanwhile does not open.
"""

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from time import monotonic
from typing import Any

import asyncpg
from sqlalchemy import Connection, text

from gateway.errors import Unavailable
from gateway.logs import event
from gateway.store.changes import Changes
from gateway.store.database import unavailable
from gateway.store.instances import Instances
from gateway.store.place import PostgresAddress
from gateway.store.postgres import CHANNEL, LOCKS

LOOK_SECONDS = 0.25
FRESH_SECONDS = 1.0

_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, Unavailable)
_SNAPSHOT = "SELECT pg_current_snapshot()::text"
_HOLD = f"SELECT pg_advisory_lock({LOCKS}, $1)"
_ALIVE = text(
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :locks"
    " AND objid = :number AND database = (SELECT oid FROM pg_database"
    " WHERE datname = current_database())"
)


class Replica(Changes, Instances):
    """Our own connection. Made by `open_replica`."""

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address
        self._number = secrets.randbits(31) or 1
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{self._number}"
        self._version = 0
        self._fresh_until = 0.0
        self._snapshot = ""
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None

    def version(self) -> int:
        """A number that is another one after each commit; never the same twice in the dark."""
        if monotonic() > self._fresh_until:
            self._version += 1
        return self._version

    def seen(self) -> None:
        """Something was committed in this process."""
        self._version += 1

    def alive(self, connection: Connection, name: str) -> bool:
        """Whether the replica of that name still holds its lock."""
        number = name.rpartition("-")[2]
        if name == self.name:
            return True
        if not number.isdigit():
            return False
        asked = {"locks": LOCKS, "number": int(number)}
        return connection.execute(_ALIVE, asked).first() is not None

    async def open(self) -> None:
        """Connect, hold our lock and start to listen; raises what hinders it."""
        await self._connect()
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Let go of the lock and the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._connection is not None:
            with suppress(*_FAILURES):
                await self._connection.close(timeout=2)
            self._connection = None

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._connection is None or self._connection.is_closed():
                    await self._connect()
                    event("database.back")
                await self._look()
            except _FAILURES as error:
                if self._connection is not None:
                    event("database.gone", level="error", error=str(error) or type(error).__name__)
                    self._connection.terminate()
                    self._connection = None

    async def _connect(self) -> None:
        connection = await self._address.connect()
        try:
            await connection.add_listener(CHANNEL, self._told)
            await connection.execute(f"SET application_name = 'ocm-gateway replica {self._number}'")
            await connection.fetchval(_HOLD, self._number)
            self._connection = connection
            self._version += 1
            await self._look()
        except BaseException:
            connection.terminate()
            self._connection = None
            raise

    async def _look(self) -> None:
        asked_at = monotonic()
        async with asyncio.timeout(2 * FRESH_SECONDS):
            snapshot = await self._connection.fetchval(_SNAPSHOT)
        if snapshot != self._snapshot:
            self._version += 1
            self._snapshot = snapshot
        self._fresh_until = asked_at + FRESH_SECONDS

    def _told(self, *_: object) -> None:
        self._version += 1


async def open_replica(address: PostgresAddress) -> Replica:
    """This process as a replica; Unavailable when the database does not answer."""
    replica = Replica(address)
    try:
        await replica.open()
    except _FAILURES as error:
        raise error if isinstance(error, Unavailable) else unavailable(error) from error
    return replica
