"""Who came to the Shares that we send: a bounded number of lines for each Share."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.model import AccessKind, AccessLine, Authority
from gateway.store.tables import accesses

TOGETHER_SECONDS = 3600
"""What comes again within this time is added to the line that is there."""


def add(connection: Connection, noted: Iterable[AccessLine], *, keep: int) -> None:
    """Keep what was noted, at most `keep` lines for each Share: the oldest give way."""
    table = accesses.c
    shares = set()
    for one in noted:
        shares.add(one.share)
        same = (table.share == one.share, table.kind == one.kind, table.path == one.path)
        known = update(accesses).where(*same, table.first_at > one.last_at - TOGETHER_SECONDS)
        more = {
            "last_at": one.last_at,
            "times": table.times + one.times,
            "bytes": table.bytes + one.bytes,
        }
        if connection.execute(known.values(more)).rowcount == 0:
            connection.execute(insert(accesses).values(**_columns(one)))
    for share in shares:
        newest = (
            select(table.position)
            .where(table.share == share)
            .order_by(table.last_at.desc(), table.position.desc())
            .limit(keep)
        )
        connection.execute(
            delete(accesses).where(table.share == share, table.position.not_in(newest))
        )


def of(connection: Connection, share: str) -> list[AccessLine]:
    """The lines of a Share, the newest first."""
    query = (
        select(accesses)
        .where(accesses.c.share == share)
        .order_by(accesses.c.last_at.desc(), accesses.c.position.desc())
    )
    return [_access(row) for row in connection.execute(query)]


def latest(connection: Connection, shares: Iterable[str]) -> dict[str, int]:
    """When somebody came last to each of these Shares; those to which nobody came are not in it."""
    query = (
        select(accesses.c.share, func.max(accesses.c.last_at))
        .where(accesses.c.share.in_(list(shares)))
        .group_by(accesses.c.share)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _columns(one: AccessLine) -> dict[str, Any]:
    return {
        "share": one.share,
        "provider": one.provider,
        "kind": one.kind,
        "path": one.path,
        "first_at": one.first_at,
        "last_at": one.last_at,
        "times": one.times,
        "bytes": one.bytes,
    }


def _access(row: Row[Any]) -> AccessLine:
    return AccessLine(
        share=row.share,
        provider=Authority(row.provider),
        kind=AccessKind(row.kind),
        path=row.path,
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
        bytes=row.bytes,
    )
