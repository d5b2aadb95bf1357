"""Signatures seen, so that none is taken twice (RFC 9421 7.2.2)."""

from sqlalchemy import Connection, delete

from gateway.store.tables import replays

# In the driver's own words: this runs for each signed message, and composing it costs more than it.
_ADD = {
    "sqlite": "INSERT INTO replays (signature, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
    "postgresql": "INSERT INTO replays (signature, expires_at) VALUES ($1, $2)"
    " ON CONFLICT DO NOTHING",
}


def add(connection: Connection, signature: str, expires_at: int) -> bool:
    """Remember a signature until it would be refused for its age; False when it was seen before."""
    done = connection.exec_driver_sql(_ADD[connection.dialect.name], (signature, expires_at))
    return done.rowcount == 1


def forget(connection: Connection, signature: str) -> None:
    """Take one that was not taken after all."""
    connection.execute(delete(replays).where(replays.c.signature == signature))


def sweep(connection: Connection, now: int) -> None:
    """Forget those that are too old to be taken anyway."""
    connection.execute(delete(replays).where(replays.c.expires_at < now))
