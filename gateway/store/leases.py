"""Work that one process does at a time, though many could.

A lease names its holder; when that process is gone, whatever way it ended, the lease is free.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, insert, select, update

from gateway.store.state import State
from gateway.store.tables import leases

Alive = Callable[[Connection, str], bool]


class Lease:
    """A lease by name, as one process sees it."""

    def __init__(self, name: str, state: State, clock: Callable[[], int]) -> None:
        self._name = name
        self._state = state
        self._clock = clock

    async def take(self, *, not_since: int | None = None) -> bool:
        """Take it, or keep it; False where a living process holds it or took it after `not_since`.

        Who must not wait for another's turn asks again: nobody is told when it is free.
        """
        if await self._state.database.read(self.busy):
            return False
        return await self._state.database.write(partial(self._take, not_since=not_since))

    async def keep(self) -> bool:
        """As `take`, but what one holds already is not written down anew."""
        return await self._state.database.read(self.mine) or await self.take()

    def mine(self, connection: Connection) -> bool:
        """Whether this process holds it."""
        return holder(connection, self._name) == self._state.instance.name

    def busy(self, connection: Connection) -> bool:
        """Whether another process holds it, which lives."""
        held_by = holder(connection, self._name)
        instance = self._state.instance
        return held_by not in ("", instance.name) and instance.alive(connection, held_by)

    async def release(self) -> None:
        """Let go of it, if one holds it."""
        me = self._state.instance.name
        if await self._state.database.read(self.mine):
            await self._state.database.write(partial(release, name=self._name, me=me))

    def _take(self, connection: Connection, not_since: int | None) -> bool:
        now, instance = self._clock(), self._state.instance
        return take(
            connection,
            self._name,
            instance.name,
            instance.alive,
            now=now,
            not_since=now if not_since is None else not_since,
        )


def holder(connection: Connection, name: str) -> str:
    """The process that took a lease last and has not let go of it; "" for none."""
    asked = select(leases.c.held_by).where(leases.c.name == name)
    return connection.execute(asked).scalar() or ""


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
