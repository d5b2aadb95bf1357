"""The database: SQLite in WAL mode, one transaction at a time, each in one hop to one thread.

SQLAlchemy's asyncio layer over aiosqlite crosses threads for every statement, which costs ten
times what the statement does. Here a use case hands over a whole transaction as a function of a
`Connection`; it runs on the database's own thread and comes back with its result. Several
processes (workers, the command line beside a running server) share the file: writers take the
write lock at once (BEGIN IMMEDIATE) and wait for each other, readers never wait.

A commit is on disk (synchronous=FULL) before `write` returns: what was acknowledged survives.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.pool import StaticPool

from gateway.errors import GatewayError, Unavailable

HEAD = "0010"
"""The newest migration. A test holds it to the files in `migrations/versions`."""

Result = TypeVar("Result")
Work = Callable[[Connection], Result]

_WAIT_SECONDS = 15


class Database:
    """The open database. Close it when done.

    `read` and `write` raise Unavailable when the database is locked, full or gone, and pass the
    errors of the work itself through after rolling back.
    """

    def __init__(self, file: Path, written: Callable[[], None] = lambda: None) -> None:
        """`written` is told of each commit, before the writer hears of it."""
        self._written = written
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._engine = _engine(file)
        self._connection: Connection | None = None
        self._level = "FULL"

    async def read(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction that sees one state of the database and changes nothing."""
        return await self._run(self._transact, "BEGIN", work)

    async def write(self, work: Work[Result], *, on_disk: bool = True) -> Result:
        """Run `work` in a transaction of its own; committed to disk when this returns.

        Without `on_disk` it survives the end of this process, but perhaps not a loss of power.
        A cancelled caller does not undo it: once handed over, the transaction runs to its end.
        """
        level = "FULL" if on_disk else "NORMAL"
        return await self._run(self._transact, "BEGIN IMMEDIATE", work, self._written, level)

    async def migrate(self) -> None:
        """Bring the tables to the newest form; quick when they are."""
        await self._run(self._migrate)

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._run(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    async def _run(self, call: Callable[..., Result], *arguments: Any) -> Result:
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, call, *arguments))

    def _transact(
        self,
        begin: str,
        work: Work[Result],
        done: Callable[[], None] = lambda: None,
        level: str = "",
    ) -> Result:
        try:
            connection = self._connected()
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
            raise _unavailable(error) from error

    def _connected(self) -> Connection:
        """The one connection: making another for each transaction costs as much as a statement."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _migrate(self) -> None:
        try:
            with self._engine.connect() as connection:
                connection.info["begin"] = "BEGIN IMMEDIATE"
                with connection.begin():
                    if _version(connection) != HEAD:
                        _upgrade(connection)
        except (exc.OperationalError, exc.DatabaseError, sqlite3.Error) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> GatewayError:
    return Unavailable(
        "the database does not answer", detail=str(getattr(error, "orig", error)), retry_after=5
    )


def _engine(file: Path) -> Engine:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        f"sqlite:///{file}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _WAIT_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # BEGIN is ours to say
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))

    return engine


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Alembic takes a third of a second to import, which only the first start has to pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
