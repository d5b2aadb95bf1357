"""The If header (RFC 4918 10.4.2).

    If            = 1*No-tag-list | 1*Tagged-list
    Tagged-list   = "<" Resource-Tag ">" 1*List
    List          = "(" 1*Condition ")"
    Condition     = ["Not"] ( "<" State-token ">" | "[" entity-tag "]" )

Parsed in full and written anew, so that nothing in it reaches a storage by accident.
"""

import re
from dataclasses import dataclass

from gateway.errors import Malformed

LONGEST = 8 * 1024
MOST_CONDITIONS = 100

_TOKEN = re.compile(
    r"""\s*(?:
      <(?P<coded>[^<>\s]+)>
    | \[(?P<etag>(?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\]
    | (?P<mark>[()])
    | (?P<no>not)(?=[\s<\[])
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One state token or one entity tag (with its quotes), of which the other is empty."""

    token: str = ""
    etag: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ConditionList:
    """Conditions that must hold together, about `resource` (empty: what is requested)."""

    conditions: tuple[Condition, ...]
    resource: str = ""


def parse(text: str) -> tuple[ConditionList, ...]:
    """The lists of an If header; several lines of it are joined by a space. Raises Malformed."""
    if len(text) > LONGEST:
        raise Malformed("the If header is too long")
    words = _words(text)
    lists: list[ConditionList] = []
    resource, at = "", 0
    tagged = bool(words) and words[0][0] == "coded"
    listed = True
    while at < len(words):
        kind, value = words[at]
        if kind == "coded" and tagged and listed | (at == 0):
            resource, listed, at = value, False, at + 1
        elif (kind, value) == ("mark", "("):
            conditions, at = _conditions(words, at + 1)
            lists.append(ConditionList(conditions, resource))
            listed = True
        else:
            raise _malformed()
    if not lists or not listed:
        raise _malformed()
    return tuple(lists)


def encode(lists: tuple[ConditionList, ...]) -> str:
    """The lists as one header value. Tagged and untagged lists are not to be mixed."""
    parts: list[str] = []
    for entry in lists:
        if entry.resource:
            parts.append(f"<{entry.resource}>")
        parts.append(f"({' '.join(map(_encode_condition, entry.conditions))})")
    return " ".join(parts)


def may_hold(lists: tuple[ConditionList, ...], resource: str, etag: str) -> bool:
    """Whether one of the lists may hold, as far as the ETag of the resource tells ("" for none).

    State tokens and other resources are left to the storage, which knows them.
    """
    return any(
        all(
            condition.token or (condition.etag == etag) is not condition.negated
            for condition in each.conditions
        )
        for each in lists
        if each.resource in ("", resource)
    ) or any(each.resource not in ("", resource) for each in lists)


def _encode_condition(condition: Condition) -> str:
    what = f"<{condition.token}>" if condition.token else f"[{condition.etag}]"
    return f"Not {what}" if condition.negated else what


def _words(text: str) -> list[tuple[str, str]]:
    words: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None or len(words) > 5 * MOST_CONDITIONS:
            raise _malformed()
        words.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return words


def _conditions(words: list[tuple[str, str]], at: int) -> tuple[tuple[Condition, ...], int]:
    found: list[Condition] = []
    negated = False
    for after, (kind, value) in enumerate(words[at:], at + 1):
        if kind == "no" and not negated:
            negated = True
        elif kind == "coded":
            found.append(Condition(token=value, negated=negated))
            negated = False
        elif kind == "etag":
            found.append(Condition(etag=value, negated=negated))
            negated = False
        elif value == ")" and found and not negated:
            return tuple(found), after
        else:
            break
    raise _malformed()


def _malformed() -> Malformed:
    return Malformed("the If header is malformed")
