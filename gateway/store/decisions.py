"""What policy decided, kept for a while so that it can be explained."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from gateway.model import Authority, Decision
from gateway.store.parts import Part, Turn, part_of
from gateway.store.tables import decisions

_MOST_SHADOWED = 50


@dataclass(frozen=True, slots=True)
class Decided:
    """How often something decided, and when last; None for never."""

    times: int = 0
    last_at: int | None = None


@dataclass(frozen=True, slots=True)
class Shadowed:
    """How often a decision of this outcome would have been another by the rehearsed policy."""

    outcome: str
    shadow: str
    times: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The decisions that are kept, counted. `since` is when the oldest of them was made."""

    kept: int
    since: int | None
    by_rule: Mapping[str, Decided]
    shadowed: tuple[Shadowed, ...]

    def of(self, rule: str) -> Decided:
        """How often that rule decided."""
        return self.by_rule.get(rule, Decided())


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


def part(
    connection: Connection, turn: Turn, *, provider: Authority | None = None
) -> Part[Decision]:
    """A part of the decisions, the newest first; about one server."""
    query = select(decisions).order_by(decisions.c.position.desc())
    if provider is not None:
        query = query.where(decisions.c.provider == provider)
    return part_of(connection, query, turn, _decision)


def _decision(row: Row[Any]) -> Decision:
    values: list[Any] = list(row)[1:]  # the columns are the fields, behind the position
    return Decision(*values)


def tally(connection: Connection) -> Tally:
    """Count what is kept, in one look at the table."""
    table = decisions.c
    rows = connection.execute(
        select(
            table.rule,
            table.outcome,
            table.shadow,
            func.count(),
            func.min(table.at),
            func.max(table.at),
        ).group_by(table.rule, table.outcome, table.shadow)
    ).all()
    by_rule: dict[str, Decided] = {}
    shadowed = []
    for rule, outcome, shadow, times, _, last_at in rows:
        known = by_rule.get(rule, Decided())
        by_rule[rule] = Decided(known.times + times, max(known.last_at or 0, last_at))
        if shadow:
            shadowed.append(Shadowed(outcome, shadow, times))
    gathered: Counter[tuple[str, str]] = Counter()
    for one in shadowed:
        gathered[one.outcome, one.shadow] += one.times
    return Tally(
        sum(row[3] for row in rows),
        min((row[4] for row in rows), default=None),
        by_rule,
        tuple(Shadowed(*pair, times) for pair, times in gathered.most_common(_MOST_SHADOWED)),
    )
