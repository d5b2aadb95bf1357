"""Everything in one database written into another, whichever engines they have.

A copy is one transaction at either end: it has one state of the source, also while others write
there, and the target has all of it or nothing. A backup is such a copy, too: a SQLite file, which
can be restored into either engine.
"""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Table, delete, exc, func, insert, select

from gateway.errors import Conflict, Malformed, Unavailable
from gateway.store.database import HEAD, Database, unavailable, version
from gateway.store.place import PostgresAddress
from gateway.store.sqlite import Sqlite, engine_of
from gateway.store.tables import metadata

_AT_ONCE = 500


def counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }


def integrity(connection: Connection) -> str:
    """`ok`, or what is wrong with the file; PostgreSQL looks after its own."""
    if connection.dialect.name != "sqlite":
        return "ok"
    found = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
    return "; ".join(map(str, found))


def open_database(place: Path | PostgresAddress) -> Database:
    """That database, as it is: nothing in it is migrated."""
    if isinstance(place, PostgresAddress):
        from gateway.store.postgres import Postgres

        return Postgres(place)
    return Sqlite(place)


async def copy(
    source: Path | PostgresAddress, target: Path | PostgresAddress, *, force: bool = False
) -> dict[str, int]:
    """Write everything in `source` into `target`; how many rows of each table.

    Raises Conflict for a source whose tables are of another version, and for a target that holds
    something unless `force` says that this may go; Malformed between two PostgreSQL databases;
    Unavailable when either does not answer. The target is as it was then.
    """
    if isinstance(source, PostgresAddress) and isinstance(target, PostgresAddress):
        raise Malformed("between two PostgreSQL databases use pg_dump and pg_restore")
    database = open_database(target)
    try:
        await database.migrate()
        if isinstance(source, PostgresAddress):
            return await _out_of_postgres(source, Path(str(target)), force=force)

        def take(connection: Connection) -> dict[str, int]:
            with _opened(source, "BEGIN") as opened:
                return _transfer(opened, connection, force=force)

        return await database.write(take)
    finally:
        await database.close()


async def _out_of_postgres(source: PostgresAddress, target: Path, *, force: bool) -> dict[str, int]:
    database = open_database(source)

    def give(connection: Connection) -> dict[str, int]:
        with _opened(target, "BEGIN IMMEDIATE") as opened:
            return _transfer(connection, opened, force=force)

    try:
        return await database.read(give)
    finally:
        await database.close()


@contextmanager
def _opened(file: Path, begin: str) -> Iterator[Connection]:
    """A transaction in a SQLite file, beside one in another database."""
    engine = engine_of(file)
    try:
        with engine.connect() as connection:
            connection.info["begin"] = begin
            with connection.begin():
                yield connection
    except exc.DatabaseError as error:
        raise unavailable(error) from error
    finally:
        engine.dispose()


def _transfer(source: Connection, target: Connection, *, force: bool) -> dict[str, int]:
    known = version(source)
    if known != HEAD:
        raise Conflict(
            "the database has tables of another version; start the gateway on it once",
            detail=f"its tables have form {known}, this version knows {HEAD}",
        )
    if any(counts(target).values()):
        if not force:
            raise Conflict("the target is not empty; --force replaces what is there")
        for table in metadata.sorted_tables:
            target.execute(delete(table))
    copied = {table.name: _copy_table(source, target, table) for table in metadata.sorted_tables}
    if counts(target) != copied:
        raise Conflict("the copy does not have what the source has")
    return copied


def _copy_table(source: Connection, target: Connection, table: Table) -> int:
    found = source.execute(select(table), execution_options={"yield_per": _AT_ONCE})
    number = 0
    for part in found.mappings().partitions():
        target.execute(insert(table), [dict(row) for row in part])
        number += len(part)
    key = table.autoincrement_column
    if key is not None and target.dialect.name == "postgresql":
        # Rows that bring their number along do not move the sequence.
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        target.execute(select(func.setval(sequence, func.coalesce(func.max(key), 0) + 1, False)))
    return number


async def back_up(source: Path | PostgresAddress, file: Path) -> None:
    """All of a database in one new file, while others go on writing. Raises Conflict where there
    is such a file already, Unavailable."""
    draft = await asyncio.to_thread(_draft_beside, file)
    try:
        if isinstance(source, PostgresAddress):
            await copy(source, draft)
        else:
            await asyncio.to_thread(_copy_file, source, draft)
        await asyncio.to_thread(_settle, draft, file)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error) from error
    finally:
        draft.unlink(missing_ok=True)


def _draft_beside(file: Path) -> Path:
    """An empty file that nobody else can read, to become the backup when it is whole."""
    if file.exists():
        raise Conflict(f"{file} exists already")
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise Unavailable(f"{file} cannot be written", detail=str(error)) from error
    return draft


def _copy_file(source: Path, target: Path) -> None:
    """SQLite's own backup, in one step: writers do not wait for it and do not disturb it."""
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as one,
        closing(sqlite3.connect(target)) as other,
    ):
        one.backup(other)


def _settle(draft: Path, file: Path) -> None:
    """One file without a log beside it, on disk, under its name."""
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.replace(file)
