"""The audit trail: a table that only grows at one end, each entry chained to the one before.

The hash of an entry is SHA-256 over the hash of the entry before and the entry in a canonical
form. What is personal (`who`, `whom`, `reason`) is not in that form; a commitment to it is: SHA-256
over a random salt and the text. So the text and its salt can be erased, after which nobody can tell
what stood there, and the chain still holds.

The end of the chain is kept beside it under a keyed hash: whoever can write to the database, but
does not have the key file, can neither shorten the chain nor make another one.
"""

import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, or_, select, update

from gateway.model import AuditEntry, Deed
from gateway.store import facts
from gateway.store.tables import audit
from gateway.store.vault import Vault

PERSONAL = ("who", "whom", "reason")
_HEAD = "audit head"
_BASE = "audit base"
_ORIGIN = "0" * 64

# In the driver's own words: composing it costs more than it does.
_COLUMNS = tuple(column.name for column in audit.columns)
_INSERT = {
    dialect: f"INSERT INTO audit ({', '.join(_COLUMNS)}) VALUES ({', '.join(places)})"  # noqa: S608
    for dialect, places in {
        "sqlite": ["?" for _ in _COLUMNS],
        "postgresql": [f"${number}" for number, _ in enumerate(_COLUMNS, 1)],
    }.items()
}


@dataclass(frozen=True, slots=True)
class End:
    """An end of the chain: the position of an entry and its hash."""

    position: int
    hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries somebody wants to see; everything that is given must fit."""

    address: str = ""
    what: str = ""
    decision: str = ""
    who: str = ""
    whom: str = ""
    outcome: str = ""
    provider: str = ""
    about: str = ""
    since: int | None = None
    until: int | None = None


def append(connection: Connection, vault: Vault, deeds: Sequence[Deed]) -> list[AuditEntry]:
    """Chain deeds to the end, all or none. Writers of one database take turns."""
    head = _end(connection, vault, _HEAD)
    position, previous = head.position, head.hash
    rows, entries = [], []
    for deed in deeds:
        position += 1
        row = _row(position, deed)
        previous = row["hash"] = _hash(previous, row)
        rows.append(row)
        entries.append(AuditEntry(position, deed, previous))
    connection.exec_driver_sql(
        _INSERT[connection.dialect.name], [tuple(row[name] for name in _COLUMNS) for row in rows]
    )
    _keep(connection, vault, _HEAD, End(position, previous))
    return entries


def entries(
    connection: Connection,
    wanted: Wanted,
    *,
    after: int = 0,
    most: int = 1000,
    newest_first: bool = False,
) -> list[AuditEntry]:
    """So many entries, beyond the position `after` (0 for the first ones)."""
    order = audit.c.position.desc() if newest_first else audit.c.position
    query = select(audit).where(*_conditions(wanted)).order_by(order).limit(most)
    if after:
        query = query.where(audit.c.position < after if newest_first else audit.c.position > after)
    return [_entry(row) for row in connection.execute(query)]


def last(connection: Connection) -> int:
    """The position of the newest entry; 0 for an empty trail."""
    return connection.execute(select(func.max(audit.c.position))).scalar() or 0


def ends(connection: Connection, vault: Vault) -> tuple[End, End]:
    """Where the chain begins (the last entry that was pruned) and where it ends.

    Raises Damaged when they are not as we left them.
    """
    return _end(connection, vault, _BASE), _end(connection, vault, _HEAD)


def check(connection: Connection, known: End, most: int) -> tuple[End, int]:
    """Verify the next entries behind one that was verified; the last one and how many there were.

    Raises Damaged at the first entry that is not what was written.
    """
    query = select(audit).where(audit.c.position > known.position)
    rows = connection.execute(query.order_by(audit.c.position).limit(most)).all()
    position, previous = known.position, known.hash
    for row in rows:
        if row.position != position + 1:
            raise Damaged(position + 1, "is missing")
        position = row.position
        columns = row._asdict()
        if _hash(previous, columns) != row.hash:
            raise Damaged(position, "is not as it was written, or the one before it is not")
        for name in PERSONAL:
            salt = columns[f"{name}_salt"]
            if salt and _commitment(salt, columns[name]) != columns[f"{name}_seal"]:
                raise Damaged(position, f"has another {name} than it was written with")
            if not salt and columns[name]:
                raise Damaged(position, f"has a {name} although that was erased")
        previous = row.hash
    return End(position, previous), len(rows)


def expect_head(end: End, head: End) -> None:
    """Damaged when the last entry is not the one that was written last."""
    if head.position > end.position:
        raise Damaged(end.position + 1, "is missing")
    if head != end:
        raise Damaged(head.position + 1, "was not written by this gateway")


def erase(connection: Connection, address: str) -> int:
    """Forget an address; how many entries named it."""
    touched = [
        _is(address, "who"),
        _is(address, "whom"),
        func.lower(audit.c.reason).contains(address.lower(), autoescape=True),
    ]
    query = select(func.count()).select_from(audit).where(or_(*touched))
    found = connection.execute(query).scalar_one()
    for name, condition in zip(PERSONAL, touched, strict=True):
        blank = {name: "", f"{name}_salt": ""}
        connection.execute(update(audit).where(condition).values(**blank))
    return found


def prune(connection: Connection, vault: Vault, before: int) -> int:
    """Forget the entries from before that time, from the old end; how many.

    The last entry stays, so that the chain has an end.
    """
    base, head = ends(connection, vault)
    first_kept = select(func.min(audit.c.position)).where(audit.c.at >= before)
    until = (connection.execute(first_kept).scalar() or head.position) - 1
    last = connection.execute(select(audit).where(audit.c.position == until)).one_or_none()
    if last is None or until <= base.position:
        return 0
    connection.execute(delete(audit).where(audit.c.position <= until))
    _keep(connection, vault, _BASE, End(until, last.hash))
    return until - base.position


class Damaged(Exception):
    """The chain does not hold at that position."""

    def __init__(self, position: int, fault: str) -> None:
        super().__init__(f"entry {position} {fault}")
        self.position = position
        self.fault = fault


def _row(position: int, deed: Deed) -> dict[str, Any]:
    row: dict[str, Any] = {
        "position": position,
        "at": deed.at,
        "what": deed.what,
        "outcome": deed.outcome,
        "decision": deed.decision,
        "provider": deed.provider,
        "about": deed.about,
    }
    for name in PERSONAL:
        value, salt = getattr(deed, name), secrets.token_hex(16)
        row |= {name: value, f"{name}_salt": salt, f"{name}_seal": _commitment(salt, value)}
    return row


_CHAINED = ("position", "at", "what", "outcome", "decision", "provider", "about")


def _hash(previous: str, row: dict[str, Any]) -> str:
    chained = [row[name] for name in _CHAINED] + [row[f"{name}_seal"] for name in PERSONAL]
    canonical = json.dumps(chained, ensure_ascii=False, separators=(",", ":"))
    return sha256(f"{previous}\n{canonical}".encode()).hexdigest()


def _commitment(salt: str, value: str) -> str:
    return sha256(f"{salt}\n{value}".encode()).hexdigest()


def _end(connection: Connection, vault: Vault, name: str) -> End:
    kept = facts.find(connection, name)
    if kept is None:
        return End(0, _ORIGIN)
    position, known, proof = kept.split(":")
    if not hmac.compare_digest(proof, vault.fingerprint(f"{name}:{position}:{known}")):
        raise Damaged(int(position), f"is named by an {name} that we did not write")
    return End(int(position), known)


def _keep(connection: Connection, vault: Vault, name: str, end: End) -> None:
    text = f"{end.position}:{end.hash}"
    facts.put(connection, name, f"{text}:{vault.fingerprint(f'{name}:{text}')}")


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.address:
        yield or_(_is(wanted.address, "who"), _is(wanted.address, "whom"))
    if wanted.what:
        yield audit.c.what.startswith(wanted.what, autoescape=True)
    for name in ("decision", "who", "whom", "outcome", "provider", "about"):
        if text := getattr(wanted, name):
            yield audit.c[name] == text
    if wanted.since is not None:
        yield audit.c.at >= wanted.since
    if wanted.until is not None:
        yield audit.c.at < wanted.until


def _is(address: str, name: str) -> ColumnElement[bool]:
    return audit.c[name] == address


def _entry(row: Row[Any]) -> AuditEntry:
    columns = row._asdict()
    return AuditEntry(
        row.position,
        Deed(
            at=row.at,
            what=row.what,
            outcome=row.outcome,
            decision=row.decision,
            who=row.who,
            whom=row.whom,
            provider=row.provider,
            about=row.about,
            reason=row.reason,
        ),
        row.hash,
        tuple(name for name in PERSONAL if not columns[f"{name}_salt"]),
    )
