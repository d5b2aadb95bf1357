"""One DAV:response, from where its parts stand in the storage's bytes to what the client gets.

Put together from the parts that may pass, each copied byte for byte, so prefixes and dead
properties survive; whatever else stood between them is gone. The 200 propstat comes first and is
the only one (some clients read the first, some the last), the 404 one is written anew.
"""

import re
from dataclasses import dataclass

from gateway.dav import properties
from gateway.dav.documents import Asked, Requested, element, empty_element
from gateway.dav.hrefs import Hrefs, Segments
from gateway.dav.locks import LockSeal
from gateway.dav.parts import (
    Composition,
    Element,
    Piece,
    Property,
    PropStat,
    Response,
    condition_in,
)
from gateway.dav.properties import Facts
from gateway.dav.spans import Buffer, splice, text_of
from gateway.dav.target import Target

HREF = "href"
UNIX_FOLDER = b"httpd/unix-directory"

_CODE = re.compile(rb"\s([1-5]\d\d)(?!\d)")
_OK = b"</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
_MISSING = b"</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
_PROPSTAT = b'<d:propstat xmlns:d="DAV:"><d:prop>'
_MOST_CACHED = 1000
_REPLACEABLE = frozenset({properties.DISPLAYNAME, properties.TYPE})
_SOURCES = frozenset(
    {properties.ETAG, properties.LENGTH, properties.MODIFIED, properties.PERMISSIONS}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a multistatus is rewritten for.

    requested: the PROPFIND; None for the answer to anything else, whose properties are all kept.
    depth: "0" or "1" for a PROPFIND.
    """

    target: Target
    seal: LockSeal
    requested: Requested | None = None
    depth: str = "0"

    @property
    def typed(self) -> bool:
        """Whether a DAV:resourcetype says what a resource is; its name alone does not."""
        return self.requested is not None and self.requested.asked is not Asked.NAMES


class Composer:
    """Composes responses for one Plan; keeps what is the same in many of them."""

    def __init__(self, plan: Plan, hrefs: Hrefs) -> None:
        self._target = plan.target
        self._requested = plan.requested
        self._plain = plan.requested is not None and plan.requested.asked is Asked.NAMES
        self._hrefs = hrefs
        self._visible: dict[str, bool] = {}
        self._missing: dict[tuple[str, ...], bytes] = {}
        self._permissions: dict[tuple[bool, bool, str | None], tuple[tuple[str, bytes], ...]] = {}

    def compose(self, raw: Buffer, response: Response, rels: list[Segments]) -> Composition:
        """How the client gets the response; `rels` are its hrefs that lie inside."""
        tag = response.hrefs[0]
        slash = response.collection if response.typed else _text(raw, tag).endswith("/")
        made = Composition(rels[0], slash)
        made.sure = response.typed and len(response.hrefs) == 1 and bool(response.propstats)
        opening, closing = (tag.start, tag.inner), (tag.last, tag.end)
        made.pieces += [(response.start, response.inner), opening, HREF, closing]
        for rel in rels[1:]:
            made.pieces += [opening, self._hrefs.public(rel, slash=slash).encode(), closing]
        if response.propstats:
            made.pieces += self._propstats(raw, response, made)
        elif response.status:
            made.pieces.append((response.status.start, response.status.end))
        made.pieces += [_error(raw, response.error), (response.last, response.end)]
        return made

    def write(self, raw: Buffer, response: Response, made: Composition) -> bytes:
        """The response as the client gets it."""
        facts = self._facts(raw, response, made)
        path = self._hrefs.public(made.rel, slash=made.slash).encode()
        parts: list[Buffer] = []
        for piece in made.pieces:
            if isinstance(piece, bytes):
                parts.append(piece)
            elif isinstance(piece, str):
                parts.append(path if piece == HREF else self.property_of_ours(piece, facts))
            else:
                parts.append(raw[piece[0] : piece[1]])
        return b"".join(parts)

    def facts(self, rel: Segments, *, collection: bool, length: str, modified: str) -> Facts:
        """What is known of something below the root."""
        return Facts(False, collection, rel[-1], (*self._target.root, *rel), "", length, modified)

    def property_of_ours(self, name: str, facts: Facts) -> bytes:
        """A property that the storage does not have, or b"" when it cannot be told."""
        text = properties.ours(name, self._target, facts)
        if not text:
            return b""
        return (empty_element(name) if self._plain else element(name, text)).encode()

    def _facts(self, raw: Buffer, response: Response, made: Composition) -> Facts:
        path = self._target.root + made.rel
        known = {name: _text(raw, found) for name, found in made.sources.items()}
        return Facts(
            root=not made.rel,
            collection=response.collection,
            name=(self._target.label if not made.rel else "") or (path[-1] if path else ""),
            path=path,
            etag=known.get(properties.ETAG, ""),
            length=known.get(properties.LENGTH, ""),
            modified=known.get(properties.MODIFIED, ""),
            letters=None if self._target.trusted else known.get(properties.PERMISSIONS),
        )

    def _propstats(self, raw: Buffer, response: Response, made: Composition) -> list[Piece]:
        good: list[Piece] = []
        rest: list[Piece] = []
        renewed = self._renews_etag(response, made.rel)
        if renewed:
            made.answered.add(properties.ETAG)
        first: PropStat | None = None
        for stat in response.propstats:
            code = _code(raw, stat.status)
            if stat.status:
                made.fixed.append(stat.status)
            if stat.prop is None or (code == 404 and self._requested is not None):
                continue
            kept = self._kept(raw, stat, made)
            if code == 200 and first is None:
                first, good = stat, kept
            elif code == 200 and b"xmlns" not in _opening(raw, stat):
                good += kept
            elif kept:
                rest += _closed(raw, stat, kept)
        if renewed:
            made.answered.remove(properties.ETAG)
        if self._requested is not None:
            good += self._ours(raw, response, made)
            rest.append(self._missing_from(made.answered))
        return [*_ok(raw, first, good), *rest]

    def _kept(self, raw: Buffer, stat: PropStat, made: Composition) -> list[Piece]:
        """The properties that pass, in runs as long as possible."""
        kept: list[Piece] = []
        start = end = 0
        for found in stat.properties:
            name = found.name
            if name in _SOURCES:
                made.sources[name] = found
            if name in made.answered or not self._shows(name, made.rel):
                continue
            if name in _REPLACEABLE and self._replaces(raw, found, made):
                continue
            made.answered.add(name)
            if found.start == end and not found.edits:
                end = found.end
                continue
            kept.append((start, end))
            start, end = found.start, found.end
            if found.edits:
                made.sure = False
                kept.append(splice(raw, start, end, found.edits))
                start = end = 0
        kept.append((start, end))
        return [piece for piece in kept if piece != (0, 0)]

    def _renews_etag(self, response: Response, rel: Segments) -> bool:
        fresh = self._target.freshness and self._requested is not None
        return bool(fresh) and response.collection and not rel

    def _shows(self, name: str, rel: Segments) -> bool:
        shown = self._visible.get(name)
        if shown is None:
            requested = self._requested
            shown = requested is None or (
                requested.wants(name) and properties.passes(name, self._target)
            )
            if len(self._visible) < _MOST_CACHED:
                self._visible[name] = shown
        return shown and not (rel and name in properties.QUOTA and self._target.trusted)

    def _replaces(self, raw: Buffer, found: Property, made: Composition) -> bool:
        """Whether the storage's value is as good as none."""
        if self._requested is None or self._plain:
            return False
        if found.name == properties.DISPLAYNAME:
            replaced = found.inner == found.last
        else:
            replaced = UNIX_FOLDER in raw[found.inner : found.last]
        (made.fixed if replaced else made.filled).append(found)
        return replaced

    def _ours(self, raw: Buffer, response: Response, made: Composition) -> list[Piece]:
        """Our own properties that are wanted; adds their names to those answered."""
        assert self._requested is not None
        facts = self._facts(raw, response, made)
        found: list[Piece] = []
        for name in properties.MADE:
            if name in made.answered or not properties.wanted(name, self._requested):
                continue
            if self.property_of_ours(name, facts):
                made.answered.add(name)
                found.append(name)
                continue
            needed = properties.made_from(name, collection=facts.collection)
            if needed and needed <= made.sources.keys():
                made.sure = False  # other texts there might do
        if properties.PERMISSIONS in made.sources:
            made.fixed.append(made.sources[properties.PERMISSIONS])
        for name, ready in self._permission_elements(facts):
            made.answered.add(name)
            found.append(ready)
        return found

    def _permission_elements(self, facts: Facts) -> tuple[tuple[str, bytes], ...]:
        assert self._requested is not None
        key = (facts.root, facts.collection, facts.letters)
        ready = self._permissions.get(key)
        if ready is None:
            ready = tuple(
                (name, (empty_element(name) if self._plain else element(name, text)).encode())
                for name, text in properties.permissions(self._target, facts).items()
                if self._requested.wants(name)
            )
            if len(self._permissions) < _MOST_CACHED:
                self._permissions[key] = ready
        return ready

    def _missing_from(self, answered: set[str]) -> bytes:
        """The 404 propstat: what was asked for by name and got no answer."""
        assert self._requested is not None
        if self._requested.asked is not Asked.NAMED:
            return b""
        names = tuple(name for name in self._requested.names if name not in answered)
        ready = self._missing.get(names)
        if ready is None:
            inner = "".join(map(empty_element, names)).encode()
            ready = _PROPSTAT + inner + _MISSING if names else b""
            if len(self._missing) < _MOST_CACHED:
                self._missing[names] = ready
        return ready


def _text(raw: Buffer, found: Element) -> str:
    return text_of(raw[found.inner : found.last])


def _code(raw: Buffer, status: Element | None) -> int:
    match = _CODE.search(raw, status.inner, status.last) if status else None
    return int(match[1]) if match else 200


def _opening(raw: Buffer, stat: PropStat) -> bytes:
    assert stat.prop is not None
    return bytes(raw[stat.start : stat.inner] + raw[stat.prop.start : stat.prop.inner])


def _closed(raw: Buffer, stat: PropStat, kept: list[Piece]) -> list[Piece]:
    """A propstat around what is kept of its properties."""
    assert stat.prop is not None
    status = (stat.status.start, stat.status.end) if stat.status else b""
    return [
        (stat.start, stat.inner),
        (stat.prop.start, stat.prop.inner),
        *kept,
        (stat.prop.last, stat.prop.end),
        status,
        _error(raw, stat.error),
        (stat.last, stat.end),
    ]


def _ok(raw: Buffer, first: PropStat | None, good: list[Piece]) -> list[Piece]:
    if not good:
        return []
    if first is None or first.prop is None or first.prop.inner == first.prop.end:
        return [_PROPSTAT, *good, _OK]
    return _closed(raw, first, good)


def _error(raw: Buffer, error: Element | None) -> bytes:
    """A DAV:error with its precondition and nothing else: the rest may tell paths."""
    condition = condition_in(raw[error.inner : error.last]) if error else ""
    return f'<d:error xmlns:d="DAV:"><d:{condition}/></d:error>'.encode() if condition else b""
