"""The parts of a DAV:response, as byte offsets, how they are put together anew, and the
preconditions that may be named in it."""

import re
from dataclasses import dataclass, field

from gateway.dav.hrefs import Segments
from gateway.dav.spans import Buffer, Edit

CONDITIONS = (
    "propfind-finite-depth",
    "lock-token-submitted",
    "lock-token-matches-request-uri",
    "no-conflicting-lock",
    "cannot-modify-protected-property",
    "no-external-entities",
    "preserved-live-properties",
    "quota-not-exceeded",
    "sufficient-disk-space",
)
"""The preconditions of RFC 4918 16 and RFC 4331 that are passed on."""

_CONDITION = re.compile(rb"<(?:[\w.-]+:)?(" + "|".join(CONDITIONS).encode() + rb")(?=[\s/>])")

Piece = bytes | tuple[int, int] | str
"""A part of what the client gets: as it is; from there to there of the storage's bytes; or, by its
name, something made for this resource."""


@dataclass(slots=True)
class Element:
    """Where an element starts, its content starts, its content ends, and it ends."""

    start: int = 0
    inner: int = 0
    last: int = 0
    end: int = 0


@dataclass(slots=True)
class Property(Element):
    """A property, its name, and what to change in it."""

    name: str = ""
    edits: list[Edit] = field(default_factory=list)


@dataclass(slots=True)
class PropStat(Element):
    """A DAV:propstat."""

    prop: Element | None = None
    status: Element | None = None
    error: Element | None = None
    properties: list[Property] = field(default_factory=list)


@dataclass(slots=True)
class Response(Element):
    """A DAV:response. typed: DAV:resourcetype was among its properties."""

    hrefs: list[Element] = field(default_factory=list)
    propstats: list[PropStat] = field(default_factory=list)
    status: Element | None = None
    error: Element | None = None
    typed: bool = False
    collection: bool = False


@dataclass(slots=True)
class Composition:
    """How one response is put together, and which of its texts that depends on.

    sources: the storage's properties that others are made from. fixed, filled: elements for which
    another text, or an empty one, could have led to something else. sure: nothing else could.
    """

    rel: Segments
    slash: bool
    pieces: list[Piece] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    sources: dict[str, Element] = field(default_factory=dict)
    fixed: list[Element] = field(default_factory=list)
    filled: list[Element] = field(default_factory=list)
    sure: bool = True


def condition_in(body: Buffer) -> str:
    """The first known precondition that an error body names, or nothing.

    Found by pattern: lighttpd's error bodies are not namespace-well-formed.
    """
    match = _CONDITION.search(body)
    return match[1].decode() if match else ""
