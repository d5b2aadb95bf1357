"""SQLite in WAL mode: one transaction at a time, each in one hop to one thread.

SQLAlchemy's asyncio layer over aiosqlite crosses threads for every statement, which costs ten
times what the statement does. Here a whole transaction runs on the database's own thread and comes
back with its result. Several processes (workers, the command line beside a running server) share
the file: writers take the write lock at once (BEGIN IMMEDIATE) and wait for each other, readers
never wait. A commit is on disk because of synchronous=FULL.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import StaticPool

from gateway.errors import Unavailable
from gateway.store.database import Database, Result, Work, unavailable, upgrade

_WAIT_SECONDS = 15


class Sqlite(Database):
    """A database in a file."""

    def __init__(self, file: Path, written: Callable[[], None] = lambda: None) -> None:
        """`written` is told of each commit, before the writer hears of it."""
        self._written = written
        self._file = file
        self._inode = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._engine = engine_of(file)
        self._connection: Connection | None = None
        self._level = "FULL"
        self._running = 0

    @property
    def running(self) -> int:
        """How many transactions run, or wait for their turn."""
        return self._running

    async def read(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction that sees one state of the database and changes nothing."""
        return await self._run(self._transact, "BEGIN", work)

    async def write(self, work: Work[Result], *, on_disk: bool = True) -> Result:
        """Run `work` in a transaction of its own; committed to disk when this returns."""
        level = "FULL" if on_disk else "NORMAL"
        try:
            result: Result = await self._run(
                self._transact, "BEGIN IMMEDIATE", work, self._written, level
            )
            return result
        except Unavailable:
            self.failing = True
            raise

    async def migrate(self) -> None:
        """Bring the tables to the newest form; quick when they are."""
        await self._run(self._transact, "BEGIN IMMEDIATE", upgrade)

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._run(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    async def _run(self, call: Callable[..., Result], *arguments: Any) -> Result:
        loop, deadline = asyncio.get_running_loop(), time.monotonic() + _WAIT_SECONDS

        def in_time() -> Result:
            # Behind a lock everybody would wait for those before them, each for their own time.
            if time.monotonic() > deadline and call == self._transact:
                raise Unavailable("the database is busy", retry_after=5)
            return call(*arguments)

        self._running += 1
        future = loop.run_in_executor(self._thread, in_time)
        future.add_done_callback(self._ended)
        return await asyncio.shield(future)

    def _ended(self, _: object) -> None:
        self._running -= 1

    def _transact(
        self,
        begin: str,
        work: Work[Result],
        done: Callable[[], None] = lambda: None,
        level: str = "",
    ) -> Result:
        try:
            connection = self._connected()
            self._stay()
            if level and level != self._level:
                driver: Any = connection.connection.driver_connection
                driver.execute(f"PRAGMA synchronous={level}")
                self._level = level
            connection.info["begin"] = begin
            with connection.begin():
                result = work(connection)
            done()
            return result
        except (exc.OperationalError, exc.DatabaseError, sqlite3.Error) as error:
            raise unavailable(error) from error

    def _connected(self) -> Connection:
        """The one connection: making another for each transaction costs as much as a statement."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._inode = self._file.stat().st_ino
        return self._connection

    def _stay(self) -> None:
        """Raises Unavailable when the file is not the one that is open: what is written to a file
        that was deleted, or replaced by a backup, is lost with the process."""
        try:
            same = self._file.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise Unavailable(
                "the database does not answer",
                detail=f"{self._file} was moved, deleted or replaced; put it back, or restart",
                retry_after=30,
            )


def engine_of(file: Path) -> Engine:
    """The bare engine of a file; a connection's `info["begin"]` says how its transactions begin."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        f"sqlite:///{file}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _WAIT_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # BEGIN is ours to say
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set WAL mode. SQLite does not wait for a file that another process is just setting so."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
