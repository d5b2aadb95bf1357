"""Work that one process does at a time, though many could.

A lease names its holder; when that process is gone, whatever way it ended, the lease is free.
"""

from collections.abc import Callable

from sqlalchemy import Connection, insert, select, update

from gateway.store.tables import leases

Alive = Callable[[Connection, str], bool]


def take(
    connection: Connection, name: str, me: str, alive: Alive, *, now: int, not_since: int
) -> bool:
    """Take a lease, unless a living process holds it or took it after `not_since`; whether so."""
    row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    if row is None:
        connection.execute(insert(leases).values(name=name, held_by=me, held_at=now))
        return True
    held = row.held_by not in ("", me) and alive(connection, row.held_by)
    if held or not_since < row.held_at <= now:  # a time in the future is from a wrong clock
        return False
    connection.execute(update(leases).where(leases.c.name == name).values(held_by=me, held_at=now))
    return True


def release(connection: Connection, name: str, me: str) -> None:
    """Let go of a lease that one holds."""
    connection.execute(
        update(leases).where(leases.c.name == name, leases.c.held_by == me).values(held_by="")
    )
