"""PostgreSQL: one database for several replicas.

Writers run SERIALIZABLE, so that a use case need not know that others write at the same time. Where
two collide, one is run again, and what has to be run again waits in line within its process instead
of colliding anew. A unique value that somebody else was faster with is a collision, too: run again,
the work finds the other's row.

A connection that breaks before COMMIT is replaced and the work is run again. When it breaks during
COMMIT nobody can know the outcome; then the caller is told that the database does not answer, and
acknowledges nothing.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
from sqlalchemy import Connection, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import GatewayError, Malformed, Unavailable
from gateway.store.database import Database, Result, Work, unavailable, upgrade
from gateway.store.place import STATEMENT_SECONDS, PostgresAddress

CHANNEL = "ocm_gateway"
"""Where a replica tells the others that it has committed something."""

LOCKS = 0x0C_3A
"""The class of our advisory locks; 0 is the migrations', the others are the replicas'."""

_ATTEMPTS = 12
_UNIQUE_ATTEMPTS = 3
_COLLISIONS = frozenset({"40001", "40P01"})
_UNIQUE = "23505"
_STALE_PLAN = "0A000"  # the tables were migrated under a prepared statement


class Postgres(Database):
    """A database on a server."""

    def __init__(
        self, address: PostgresAddress, written: Callable[[], None] = lambda: None
    ) -> None:
        """`written` is told of each commit, before the writer hears of it."""
        self._written = written
        self._engine = _engine(address)
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writing = self._engine.execution_options(isolation_level="SERIALIZABLE")
        self._plain = self._engine.execution_options(isolation_level="READ COMMITTED")
        self._again = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connections = address.connections

    @property
    def running(self) -> int:
        """How many transactions run, or wait for their turn."""
        return len(self._tasks)

    async def read(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction that sees one state of the database and changes nothing."""
        return await self._shielded(self._persist(self._reading, work, ()))

    async def write(self, work: Work[Result], *, on_disk: bool = True) -> Result:
        """Run `work` in a transaction of its own; committed to disk when this returns.

        What need not be `on_disk` is not announced to the other replicas either: they see it, but
        do not drop what they remember for it.
        """
        around = (f"NOTIFY {CHANNEL}",) if on_disk else ("SET LOCAL synchronous_commit = off",)
        try:
            return await self._shielded(self._persist(self._writing, work, around, self._written))
        except Unavailable:
            self.failing = True
            raise

    async def migrate(self) -> None:
        """Bring the tables to the newest form, one replica at a time; quick when they are."""
        lock = f"SELECT pg_advisory_xact_lock({LOCKS}, 0)"
        await self._shielded(self._persist(self._plain, _locked(upgrade, lock), ()))

    async def close(self) -> None:
        """Let what runs finish, and close every connection."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.dispose()

    async def _shielded(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _persist(
        self,
        engine: AsyncEngine,
        work: Work[Result],
        around: tuple[str, ...],
        done: Callable[[], None] = lambda: None,
    ) -> Result:
        """Run it, and again where that may help."""
        attempt = 0
        try:
            result = await _transact(engine, work, around)
        except _Again as again:
            async with self._again:
                while True:
                    attempt += 1
                    if attempt >= again.attempts:
                        raise _said(again.error) from again.error
                    await asyncio.sleep(random.uniform(0, 0.004 * 2 ** min(attempt, 6)))  # noqa: S311
                    try:
                        result = await _transact(engine, work, around)
                        break
                    except _Again as another:
                        again = another
        done()
        return result


class _Again(Exception):
    """The transaction left nothing behind and may work when it is run again, so many times."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.attempts = attempts


async def _transact(engine: AsyncEngine, work: Work[Result], around: tuple[str, ...]) -> Result:
    committing = False
    try:
        async with engine.connect() as connection:
            transaction = await connection.begin()
            try:
                for statement in around:
                    await connection.exec_driver_sql(statement)
                result = await connection.run_sync(work)
                committing = True
                await transaction.commit()
            except BaseException:
                await _roll_back(connection)
                raise
            return result
    except GatewayError:
        raise
    except (exc.SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        attempts = _attempts(error, committing=committing)
        if attempts:
            raise _Again(error, attempts) from error
        raise _said(error) from error


async def _roll_back(connection: AsyncConnection) -> None:
    try:
        await connection.rollback()
    except (exc.SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.invalidate()


def _attempts(error: BaseException, *, committing: bool) -> int:
    """How often work that failed so may be tried in all; 0 when it may not be tried again."""
    state = _state(error)
    if state in _COLLISIONS:
        return _ATTEMPTS
    if state == _UNIQUE:
        return _UNIQUE_ATTEMPTS
    if committing:
        return 0
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    return 2 if lost or state == _STALE_PLAN else 0


def _state(error: BaseException) -> str:
    """PostgreSQL's code for what went wrong."""
    original = getattr(error, "orig", None) or error
    return str(getattr(original, "sqlstate", None) or "")


def _said(error: BaseException) -> BaseException:
    """The error for the caller: a broken rule is the work's own fault, the rest is ours."""
    if isinstance(error, exc.DataError):
        return Malformed("this cannot be kept", detail=str(error.orig))
    return error if isinstance(error, exc.IntegrityError) else unavailable(error)


def _locked(work: Work[Result], lock: str) -> Work[Result]:
    def locked(connection: Connection) -> Result:
        connection.exec_driver_sql(lock)
        return work(connection)

    return locked


def _engine(address: PostgresAddress) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=address.connect,
        pool_size=address.connections,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_recycle=1800,
    )
