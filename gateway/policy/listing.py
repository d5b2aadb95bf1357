"""The list in the database, as files have it: JSON (a policy without default), or CSV with the
columns server and then (allow or deny)."""

import csv
import io
import json
from dataclasses import dataclass

from gateway.policy.language import MOST_BYTES, BadPolicy, Document, read_data, read_text

_COLUMNS = ("server", "then")
_OUTCOMES = ("allow", "deny")


@dataclass(frozen=True, slots=True)
class Change:
    """What a new list adds and takes away, each entry in a line."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def read(text: str, name: str) -> Document:
    """A list from a file. Raises BadPolicy with all that is wrong."""
    if not name.lower().endswith(".csv"):
        return read_text(text, name)
    if len(text) > MOST_BYTES:
        raise BadPolicy([f"{name}: more than {MOST_BYTES} bytes"])
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ())[:2] != _COLUMNS:
        raise BadPolicy([f"{name}: the first line is not server,then"])
    found: dict[str, list[str]] = {outcome: [] for outcome in _OUTCOMES}
    faults = []
    for number, row in enumerate(rows, 2):
        if row["then"] in found and row["server"]:
            found[row["then"]].append(row["server"])
        else:
            faults.append(f"{name}: line {number} is not a server, and allow or deny")
    if faults:
        raise BadPolicy(faults)
    return read_data(found, name)


def parse(text: str) -> Document:
    """A list as it was kept."""
    return read_text(text, "list")


def write(document: Document) -> str:
    """A list as it is kept."""
    return document.model_dump_json(by_alias=True, exclude_defaults=True)


def compare(before: Document | None, after: Document) -> Change:
    """What is new in one, and what is gone."""
    old, new = set(_lines(before) if before else ()), set(_lines(after))
    return Change(tuple(sorted(new - old)), tuple(sorted(old - new)))


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
