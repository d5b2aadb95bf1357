"""A list of servers that the operator takes in at once: read from a file, shown, then decided.

CSV with the columns authority, standing, comment and pins, of which the first alone is a must; or
JSON as `peers list --json` prints it. Where nothing is said the standing is approved; servers that
are only known or pending elsewhere are written down, and nothing is decided about them.
"""

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from gateway.errors import Malformed
from gateway.model import Authority, KeyStanding, Provider, ProviderSource, Standing
from gateway.ocm.address import authority
from gateway.store import providers

MOST_BYTES = 4 << 20
MOST_ENTRIES = providers.MOST_PROVIDERS
_MOST_FAULTS = 100
_COLUMNS = frozenset({"authority", "standing", "comment", "pins"})
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


def thumbprint(text: str) -> str:
    """The thumbprint of a key (RFC 7638). Raises Malformed."""
    if not _THUMBPRINT.fullmatch(text):
        raise Malformed(f"{text[:60]} is not the thumbprint of a key")
    return text


def _pins(value: object) -> object:
    return value.split() if isinstance(value, str) else value


class _Row(BaseModel):
    """One server of a file; what else is told of it is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    authority: str
    standing: Standing = Standing.APPROVED
    comment: str | None = Field(default=None, max_length=1000)
    pins: Annotated[tuple[str, ...], BeforeValidator(_pins), Field(max_length=20)] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to hold of a server; a comment of None leaves the one there is."""

    authority: Authority
    standing: Standing
    comment: str | None = None
    pins: tuple[str, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether it is more than a note that the server exists."""
        return self.standing in (Standing.APPROVED, Standing.BLOCKED)


@dataclass(frozen=True, slots=True)
class Change:
    """What an entry does to a server that stood so before; None for one that was not known."""

    entry: Entry
    before: Standing | None
    comment: str
    new_pins: tuple[str, ...]

    @property
    def standing(self) -> Standing:
        """How the server stands then."""
        if self.entry.decides:
            return self.entry.standing
        return self.before or Standing.KNOWN

    @property
    def changes(self) -> bool:
        """Whether anything is other than before."""
        said = self.entry.comment is not None and self.entry.comment != self.comment
        return self.before is not self.standing or bool(self.new_pins) or said


def read(text: str, name: str) -> list[Entry]:
    """The servers of a file, each once. Raises Malformed that names every fault."""
    if len(text) > MOST_BYTES:
        raise Malformed(f"{name} is larger than {MOST_BYTES} bytes")
    rows = _csv(text, name) if name.lower().endswith(".csv") else _json(text, name)
    if len(rows) > MOST_ENTRIES:
        raise Malformed(f"{name} names more than {MOST_ENTRIES} servers")
    entries: dict[Authority, Entry] = {}
    faults = []
    for number, row in enumerate(rows, 1):
        try:
            entry = _entry(row)
            if entry.authority in entries:
                raise Malformed(f"{entry.authority} stands twice")
            entries[entry.authority] = entry
        except Malformed as error:
            faults.append((f"server {number}", error.message))
    if faults:
        raise Malformed(f"{name} has faults", fields=tuple(faults[:_MOST_FAULTS]))
    return list(entries.values())


def _csv(text: str, name: str) -> list[Any]:
    rows = csv.DictReader(io.StringIO(text))
    columns = list(rows.fieldnames or ())
    if "authority" not in columns or not _COLUMNS.issuperset(columns):
        wanted = ", ".join(sorted(_COLUMNS))
        raise Malformed(f"the first line of {name} has other columns than {wanted}")
    try:
        return [{key: value for key, value in row.items() if value} for row in rows]
    except csv.Error as error:
        raise Malformed(f"{name} is not CSV", detail=str(error)) from error


def _json(text: str, name: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{name} is not JSON", detail=str(error)) from error
    if not isinstance(found, list):
        raise Malformed(f"{name} is not a list of servers")
    return found


def _entry(data: Any) -> Entry:
    if isinstance(data, dict) and None in data:
        raise Malformed("has more values than there are columns")
    try:
        row = _Row.model_validate(data)
    except ValidationError as error:
        [first, *_] = error.errors()
        where = ".".join(str(part) for part in first["loc"])
        raise Malformed(f"{where}: {first['msg']}" if where else first["msg"]) from error
    pins = tuple(thumbprint(one) for one in row.pins)
    return Entry(authority(row.authority), row.standing, row.comment, pins)


def compare(connection: Connection, entries: list[Entry]) -> list[Change]:
    """What the entries would do."""
    known = {one.authority: one for one in providers.all_providers(connection)}
    return [_change(connection, entry, known.get(entry.authority)) for entry in entries]


def _change(connection: Connection, entry: Entry, known: Provider | None) -> Change:
    if known is None:
        return Change(entry, None, "", entry.pins)
    pinned = {
        key.thumbprint
        for key in (providers.keys_of(connection, entry.authority) if entry.pins else ())
        if key.standing is KeyStanding.PINNED
    }
    new = tuple(pin for pin in entry.pins if pin not in pinned)
    return Change(entry, known.standing, known.comment, new)


def keep(connection: Connection, entries: list[Entry], now: int) -> list[Change]:
    """Do it, and say what was done."""
    done = compare(connection, entries)
    for change in done:
        entry = change.entry
        if not change.changes:
            continue
        providers.note(connection, entry.authority, ProviderSource.CONFIGURED, now)
        providers.decide(connection, entry.authority, change.standing, entry.comment)
        for pin in change.new_pins:
            providers.pin(connection, entry.authority, pin, now)
    return done
