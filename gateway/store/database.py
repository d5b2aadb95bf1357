"""A database, whichever it is: whole transactions, each handed over as a function.

A use case hands over a transaction as a function of a `Connection`, and gets its result back. Two
engines run them: SQLite in a file (`sqlite.py`), for one machine, and PostgreSQL (`postgres.py`),
for several replicas. Both keep the same promises, so that nobody above has to know which it is:

- Transactions have the effect of one after the other; none sees half of another.
- A commit is on disk before `write` returns: what was acknowledged survives.
- A function may be run again when two collided, so it changes nothing but the database.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, inspect, text

from gateway.errors import Unavailable

HEAD = "0031"
"""The newest migration. A test holds it to the files in `migrations/versions`."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class Write(Protocol):
    """Runs work in a transaction, as `Database.write` does; what else is in it is up to whoever
    hands it over."""

    async def __call__(self, work: Work[Result], /) -> Result:
        """Committed to disk when this returns."""


class Database(ABC):
    """The open database. Close it when done.

    `read` and `write` raise Unavailable when the database is locked, full or gone, and pass the
    errors of the work itself through after rolling back. `failing`: a write was Unavailable. That
    smaller ones go through again says little of a disk that is full: `facts.try_out` has to, and
    whoever saw it sets this back.
    """

    failing = False
    connections = 1
    """How many transactions can run at a time."""

    @abstractmethod
    async def read(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction that sees one state of the database and changes nothing."""

    @abstractmethod
    async def write(self, work: Work[Result], *, on_disk: bool = True) -> Result:
        """Run `work` in a transaction of its own; committed to disk when this returns.

        Without `on_disk` it survives the end of this process, but perhaps not a loss of power.
        A cancelled caller does not undo it: once handed over, the transaction runs to its end.
        """

    @property
    @abstractmethod
    def running(self) -> int:
        """How many transactions run, or wait for their turn."""

    @abstractmethod
    async def migrate(self) -> None:
        """Bring the tables to the newest form; quick when they are."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of it."""


class Damaged(Unavailable):
    """What should be the database is not one, or not whole. Time does not mend it."""


def unavailable(error: BaseException) -> Unavailable:
    """What a caller is told when the database does not do its work."""
    cause = getattr(error, "orig", None) or error
    detail = " ".join(str(cause or type(error).__name__).split())
    broken = getattr(cause, "sqlite_errorcode", None) in _DAMAGE
    kind = Damaged if broken else Unavailable
    return kind("the database does not answer", detail=detail, retry_after=5)


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest form, in the transaction of the caller.

    Raises Unavailable for tables of a newer version than this one.
    """
    known = version(connection)
    if known == HEAD:
        return
    if known and known > HEAD:
        raise Unavailable(
            "the database was made by a newer version of the gateway",
            detail=f"its tables have form {known}, this version knows {HEAD}",
        )
    # Alembic takes a third of a second to import, which only the first start has to pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def version(connection: Connection) -> str | None:
    """Which migration the tables are at; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
