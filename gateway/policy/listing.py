"""The list in the database, as files have it: JSON (a policy without default), or CSV with the
columns server and then (allow or deny)."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.policy.language import MOST_BYTES, BadPolicy, Document, read_data, read_text
from gateway.policy.names import parse_names, references

_COLUMNS = ("server", "then")
_OUTCOMES = ("allow", "deny")


@dataclass(frozen=True, slots=True)
class Change:
    """What a new list adds, takes away and leaves, each entry in a line."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be taken: where it stands and what stands there, both empty where that is not one
    line, and why not."""

    where: str
    text: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.reason) if part)


def read(text: str, name: str) -> Document:
    """A list from a file. Raises BadPolicy with all that is wrong."""
    document, faults = examine(text, name)
    if faults:
        raise BadPolicy([f"{name}: {one}" for one in faults])
    return document


def examine(text: str, name: str) -> tuple[Document, tuple[Fault, ...]]:
    """What of a file can be taken, and what cannot, line by line.

    Raises BadPolicy for a file that cannot be read at all.
    """
    if len(text) > MOST_BYTES:
        raise BadPolicy([f"{name}: more than {MOST_BYTES} bytes"])
    if name.lower().endswith(".csv"):
        return _table(text, name)
    document = read_text(text, name)
    return document, tuple(_bad_names(document))


def _table(text: str, name: str) -> tuple[Document, tuple[Fault, ...]]:
    rows = csv.DictReader(io.StringIO(text))
    found: dict[str, list[str]] = {outcome: [] for outcome in _OUTCOMES}
    faults = []
    try:
        if tuple(rows.fieldnames or ())[:2] != _COLUMNS:
            raise BadPolicy([f"{name}: the first line is not server,then"])
        for row in rows:
            server, then = ((row[name] or "").strip() for name in _COLUMNS)
            where = f"line {rows.line_num}"
            if None in row or not server or then not in found:
                said = ",".join(filter(None, (server, then)))
                faults.append(Fault(where, said, "is not a server, and allow or deny"))
            elif reason := _wrong(server):
                faults.append(Fault(where, f"{server},{then}", reason))
            else:
                found[then].append(server)
    except csv.Error as error:
        raise BadPolicy([f"{name}: is not CSV: {error}"]) from error
    return read_data(found, name), tuple(faults)


def _bad_names(document: Document) -> Iterator[Fault]:
    for outcome in _OUTCOMES:
        for server in getattr(document, outcome):
            if reason := _wrong(server):
                yield Fault(outcome, server, reason)


def _wrong(server: str) -> str:
    """Why that names nobody; empty for a name, and for one of a set or directory."""
    try:
        parse_names(references([server])[0])
    except ValueError as error:
        return str(error)
    return ""


def parse(text: str) -> Document:
    """A list as it was kept."""
    return read_text(text, "list")


def write(document: Document) -> str:
    """A list as it is kept."""
    return document.model_dump_json(by_alias=True, exclude_defaults=True)


def compare(before: str, after: Document) -> Change:
    """What is new in place of a list as it was kept, what is gone, and what stays."""
    old, new = set(_lines(parse(before))), set(_lines(after))
    return Change(tuple(sorted(new - old)), tuple(sorted(old - new)), tuple(sorted(old & new)))


def csv_of(document: Document) -> str:
    """The servers that a list allows and denies; rules do not fit a table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for outcome in _OUTCOMES:
        writer.writerows((server, outcome) for server in getattr(document, outcome))
    return out.getvalue()


def _lines(document: Document) -> list[str]:
    found = [f"{outcome} {one}" for outcome in _OUTCOMES for one in getattr(document, outcome)]
    found += [f"set {name}: {one}" for name, names in document.sets.items() for one in names]
    found += [f"group {name}: {one}" for name, users in document.groups.items() for one in users]
    for rule in document.rules:
        text = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        found.append(f"rule {json.dumps(text, ensure_ascii=False)}")
    return found
