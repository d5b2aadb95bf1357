"""Errands to other servers, kept until they are done.

An entry is claimed before it is run, so that the server and a command beside it never run the same
errand at once. The claim names the process that made it; when that process is gone, the claim is
void at once, and the errand runs again.
"""

from collections.abc import Callable, Collection
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, select, update

from gateway.errors import NotFound
from gateway.model import Authority, Errand, OutboxEntry
from gateway.store.parts import Part, Turn, folded, holds, part_of
from gateway.store.tables import outbox

Held = Callable[[Connection, str, str], bool]
"""Whether the process of that name is still at work on the entry of that id."""

_AT_ONCE = 20

HEAD_START_SECONDS = 2
"""How long a new errand is left to whoever decided on it and waits for its outcome."""


def add(connection: Connection, entry: OutboxEntry) -> None:
    """Keep a new errand."""
    connection.execute(
        insert(outbox).values(
            id=entry.id,
            errand=entry.errand,
            share=entry.share,
            provider=entry.provider,
            created_at=entry.created_at,
            next_attempt_at=entry.next_attempt_at,
            attempts=entry.attempts,
            last_error=entry.last_error,
            dead=entry.dead,
            found_by=folded(entry.provider, entry.share),
        )
    )


def claim(
    connection: Connection,
    now: int,
    *,
    me: str,
    held: Held,
    busy: frozenset[Authority] = frozenset(),
    only: str | None = None,
) -> OutboxEntry | None:
    """Claim the next errand that is due, or None.

    Errands about one share run in the order in which they were given; of several shares, first the
    one that is due for the longest. Providers in `busy` are passed over. With `only`, that entry
    and no other is claimed, due or not.
    """
    query = select(outbox).where(outbox.c.dead.is_(False), _first_of_its_share())
    if only:
        query = query.where(outbox.c.id == only)
    else:
        query = query.where(outbox.c.next_attempt_at <= now, outbox.c.provider.not_in(busy))
        query = query.order_by(outbox.c.next_attempt_at, outbox.c.position)
    for offset in count(0, _AT_ONCE):
        rows = connection.execute(query.limit(_AT_ONCE).offset(offset)).all()
        for row in rows:
            if row.leased_by and held(connection, row.leased_by, row.id):
                continue
            if _lease(connection, row.id, me):
                return _entry(row)
        if len(rows) < _AT_ONCE:
            break
    return None


def _first_of_its_share() -> ColumnElement[bool]:
    earlier = outbox.alias()
    return ~exists().where(
        earlier.c.share == outbox.c.share,
        earlier.c.position < outbox.c.position,
        earlier.c.dead.is_(False),
    )


def _lease(connection: Connection, entry_id: str, me: str) -> bool:
    """Claim a row; False when another replica is about to, for which nobody waits."""
    free = select(outbox.c.id).where(outbox.c.id == entry_id).with_for_update(skip_locked=True)
    done = connection.execute(
        update(outbox).where(outbox.c.id == free.scalar_subquery()).values(leased_by=me)
    )
    return done.rowcount == 1


def withdraw(connection: Connection, entry_id: str) -> bool:
    """Forget an errand that was never tried and that nobody is running; whether it was so."""
    done = connection.execute(
        delete(outbox).where(
            outbox.c.id == entry_id, outbox.c.attempts == 0, outbox.c.leased_by.is_(None)
        )
    )
    return done.rowcount == 1


def finish(connection: Connection, entry_id: str) -> None:
    """Forget an errand that is done."""
    connection.execute(delete(outbox).where(outbox.c.id == entry_id))


def postpone(connection: Connection, entry_id: str, next_attempt_at: int, error: str) -> None:
    """Let go of an errand that failed for now."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id == entry_id)
        .values(
            next_attempt_at=next_attempt_at,
            attempts=outbox.c.attempts + 1,
            last_error=error,
            leased_by=None,
        )
    )


def bury(connection: Connection, entry_id: str, error: str) -> None:
    """Give an errand up, and keep it for the operator."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id == entry_id)
        .values(dead=True, attempts=outbox.c.attempts + 1, last_error=error, leased_by=None)
    )


def renew(connection: Connection, entry_id: str, now: int) -> None:
    """Make an errand that was given up a new one, for whoever asked for that to try."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id == entry_id, outbox.c.dead.is_(True))
        .values(
            dead=False,
            attempts=0,
            created_at=now,
            next_attempt_at=now + HEAD_START_SECONDS,
            leased_by=None,
        )
    )


def hurry(connection: Connection, provider: Authority, now: int) -> None:
    """Try again now what failed at a provider: it has just spoken to us, so it is there."""
    connection.execute(
        update(outbox)
        .where(outbox.c.provider == provider, outbox.c.dead.is_(False))
        .where(outbox.c.attempts > 0, outbox.c.next_attempt_at > now)
        .values(next_attempt_at=now)
    )


def find(connection: Connection, share: str, errand: Errand) -> OutboxEntry | None:
    """The errand of that kind about a share that is still to be done."""
    query = select(outbox).where(
        outbox.c.share == share, outbox.c.errand == errand, outbox.c.dead.is_(False)
    )
    row = connection.execute(query).first()
    return _entry(row) if row else None


def by_id(connection: Connection, entry_id: str) -> OutboxEntry:
    """The errand of that id; NotFound when it is done, or never was."""
    row = connection.execute(select(outbox).where(outbox.c.id == entry_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such errand")
    return _entry(row)


def all_entries(connection: Connection, share: str | None = None) -> list[OutboxEntry]:
    """Every errand that is not done, or those about one share, in order."""
    query = select(outbox).order_by(outbox.c.position)
    if share is not None:
        query = query.where(outbox.c.share == share)
    return [_entry(row) for row in connection.execute(query)]


def part(connection: Connection, turn: Turn, search: str = "") -> Part[OutboxEntry]:
    """A part of the errands that are not done, those given up first, in order; with `search` in
    server or share."""
    query = select(outbox).order_by(outbox.c.dead.desc(), outbox.c.position)
    if search:
        query = query.where(holds(outbox.c.found_by, search))
    return part_of(connection, query, turn, _entry)


def about(connection: Connection, shares: Collection[str]) -> dict[str, list[OutboxEntry]]:
    """The errands about these shares that are not done, in order, by share."""
    query = select(outbox).where(outbox.c.share.in_(shares)).order_by(outbox.c.position)
    found: dict[str, list[OutboxEntry]] = {}
    for row in connection.execute(query):
        found.setdefault(row.share, []).append(_entry(row))
    return found


def depth(connection: Connection) -> tuple[int, int]:
    """How many errands wait, and how many were given up."""
    query = select(outbox.c.dead, func.count()).group_by(outbox.c.dead)
    counts: dict[bool, int] = {row[0]: row[1] for row in connection.execute(query)}
    return counts.get(False, 0), counts.get(True, 0)


def _entry(row: Row[Any]) -> OutboxEntry:
    return OutboxEntry(
        id=row.id,
        errand=Errand(row.errand),
        share=row.share,
        provider=Authority(row.provider),
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        attempts=row.attempts,
        last_error=row.last_error,
        dead=row.dead,
    )
