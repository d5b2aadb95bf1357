"""Signatures seen, so that none is taken twice (RFC 9421 7.2.2)."""

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.sqlite import insert

from gateway.store.tables import replays


def add(connection: Connection, signature: str, expires_at: int) -> bool:
    """Remember a signature until it would be refused for its age; False when it was seen before."""
    done = connection.execute(
        insert(replays).values(signature=signature, expires_at=expires_at).on_conflict_do_nothing()
    )
    return done.rowcount == 1


def sweep(connection: Connection, now: int) -> None:
    """Forget those that are too old to be taken anyway."""
    connection.execute(delete(replays).where(replays.c.expires_at < now))
