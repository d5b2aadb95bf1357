"""What Directory Services published last, so that it outlives a restart and a refused refresh."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.store.tables import directories


@dataclass(frozen=True, slots=True)
class Kept:
    """The last good document of a directory ("" for none), and how the last try went."""

    name: str
    url: str
    document: str
    fetched_at: int | None
    tried_at: int
    error: str


def find(connection: Connection, name: str) -> Kept | None:
    """What is kept of a directory."""
    row = connection.execute(select(directories).where(directories.c.name == name)).one_or_none()
    return _kept(row) if row else None


def fetched(connection: Connection, name: str) -> int | None:
    """When the last good document of a directory came."""
    query = select(directories.c.fetched_at).where(directories.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def claim(connection: Connection, name: str, url: str, now: int, pause_seconds: int) -> bool:
    """Whether a directory is due; the caller has the errand then, no other process.

    A directory that moved to another address is new.
    """
    known = find(connection, name)
    if known and known.url == url and known.tried_at > now - pause_seconds:
        return False
    if known is None:
        connection.execute(
            insert(directories).values(
                name=name, url=url, document="", fetched_at=None, tried_at=now, error=""
            )
        )
        return True
    changes: dict[str, Any] = {"tried_at": now}
    if known.url != url:
        changes |= {"url": url, "document": "", "fetched_at": None, "error": ""}
    connection.execute(update(directories).where(directories.c.name == name).values(changes))
    return True


def keep(connection: Connection, name: str, document: str, now: int) -> None:
    """A good document came."""
    connection.execute(
        update(directories)
        .where(directories.c.name == name)
        .values(document=document, fetched_at=now, error="")
    )


def fail(connection: Connection, name: str, error: str) -> None:
    """The try came to nothing; the last good document stays."""
    connection.execute(update(directories).where(directories.c.name == name).values(error=error))


def _kept(row: Row[Any]) -> Kept:
    return Kept(row.name, row.url, row.document, row.fetched_at, row.tried_at, row.error)
