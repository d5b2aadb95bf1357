"""What policy decided, kept for a while so that it can be explained."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from gateway.model import Authority, Decision
from gateway.store.tables import decisions


def add(connection: Connection, entries: Iterable[Decision]) -> None:
    """Keep these, in one statement."""
    rows = [asdict(entry) for entry in entries]
    if rows:
        connection.execute(insert(decisions), rows)


def trim(connection: Connection, *, keep: int, older_than: int) -> None:
    """Forget those before `older_than`, and the oldest above `keep`."""
    connection.execute(delete(decisions).where(decisions.c.at < older_than))
    newest = select(func.max(decisions.c.position)).scalar_subquery()
    connection.execute(delete(decisions).where(decisions.c.position <= newest - keep))


def find(connection: Connection, decision_id: str) -> Decision | None:
    """The decision of that id."""
    row = connection.execute(select(decisions).where(decisions.c.id == decision_id)).one_or_none()
    return _decision(row) if row else None


def latest(
    connection: Connection,
    *,
    provider: Authority | None = None,
    outcome: str | None = None,
    shadowed: bool = False,
    most: int = 100,
) -> list[Decision]:
    """The newest decisions first; about one server, of one outcome, or those that the rehearsed
    policy would make differently."""
    query = select(decisions).order_by(decisions.c.position.desc()).limit(most)
    if provider is not None:
        query = query.where(decisions.c.provider == provider)
    if outcome is not None:
        query = query.where(decisions.c.outcome == outcome)
    if shadowed:
        query = query.where(decisions.c.shadow != "")
    return [_decision(row) for row in connection.execute(query)]


def _decision(row: Row[Any]) -> Decision:
    values: list[Any] = list(row)[1:]  # the columns are the fields, behind the position
    return Decision(*values)
