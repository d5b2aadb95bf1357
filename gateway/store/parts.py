"""Long lists: searched, ordered and cut in the database, so that only what is shown is loaded.

What a search looks through stands in a column of its own, `found_by`, as `folded` writes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from unicodedata import normalize

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, false, func

Thing = TypeVar("Thing")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Turn:
    """Which part of a list is wanted: `number` counts from 1, `size` is how much is in one."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Part(Generic[Thing]):
    """One part of a list. `number` counts from 1, up to `last`; `found` is how much is in all."""

    items: Sequence[Thing]
    number: int
    last: int
    found: int

    def made(self, make: Callable[[Thing], Made]) -> "Part[Made]":
        """The same part of what is made of each thing."""
        return Part([make(one) for one in self.items], self.number, self.last, self.found)


def folded(*texts: str) -> str:
    """Texts as a search compares them: without case, each letter in one spelling (Unicode D145)."""
    return normalize("NFC", normalize("NFD", " ".join(texts)).casefold())


def holds(column: Column[str], wanted: str) -> ColumnElement[bool]:
    """Whether a column of folded text holds what somebody looks for."""
    if "\0" in wanted:  # which PostgreSQL does not take, and no text holds
        return false()
    return column.contains(folded(wanted.strip()), autoescape=True)


def fitting(things: Sequence[Thing], wanted: str, words: Callable[[Thing], str]) -> Sequence[Thing]:
    """Those of a list that is at hand whose words hold what somebody looks for."""
    looked_for = folded(wanted.strip())
    return [one for one in things if looked_for in folded(words(one))] if looked_for else things


def cut(things: Sequence[Thing], turn: Turn) -> Part[Thing]:
    """The part of a list that is at hand."""
    number, last = _place(turn, len(things))
    return Part(things[(number - 1) * turn.size : number * turn.size], number, last, len(things))


def part_of(
    connection: Connection,
    query: Select[Any],
    turn: Turn,
    make: Callable[[Row[Any]], Thing],
) -> Part[Thing]:
    """The part of what a query finds; the last one where there are not so many."""

    def items(number: int) -> list[Thing]:
        rows = connection.execute(query.limit(turn.size).offset((number - 1) * turn.size))
        return [make(row) for row in rows]

    first = items(1) if turn.number <= 1 else None
    if first is not None and len(first) < turn.size:  # and so all there is
        return Part(first, 1, 1, len(first))
    counting = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    found: int = connection.execute(counting).scalar_one()
    number, last = _place(turn, found)
    return Part(items(number) if first is None else first, number, last, found)


def _place(turn: Turn, found: int) -> tuple[int, int]:
    last = max(1, -(-found // turn.size))
    return min(max(turn.number, 1), last), last
