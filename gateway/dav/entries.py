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
from gateway.dav.parts import Element, Property, PropStat, Response, condition_in
from gateway.dav.properties import Facts
from gateway.dav.spans import Buffer, splice, text_of
from gateway.dav.target import Target

_CODE = re.compile(rb"\s([1-5]\d\d)(?!\d)")
_OK = b"</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
_MISSING = b"</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
_PROPSTAT = b'<d:propstat xmlns:d="DAV:"><d:prop>'
_MOST_CACHED = 1000
_REPLACEABLE = frozenset({properties.DISPLAYNAME, properties.TYPE})
_TEXTS = frozenset(
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


class Composer:
    """Writes responses for one Plan; keeps what is the same in many of them."""

    def __init__(self, plan: Plan, hrefs: Hrefs) -> None:
        self._target = plan.target
        self._requested = plan.requested
        self._hrefs = hrefs
        self._visible: dict[str, bool] = {}
        self._missing: dict[tuple[str, ...], bytes] = {}
        self._permissions: dict[tuple[bool, bool, str | None], tuple[tuple[str, bytes], ...]] = {}

    def compose(self, raw: Buffer, response: Response, rels: list[Segments]) -> bytes:
        """The response as the client gets it; `rels` are its hrefs that lie inside."""
        parts: list[Buffer] = [raw[response.start : response.inner]]
        tag = response.hrefs[0]
        for rel in rels:
            path = self._hrefs.public(rel, slash=self._slash(raw, response))
            parts += (raw[tag.start : tag.inner], path.encode(), raw[tag.last : tag.end])
        if response.propstats:
            parts += self._propstats(raw, response, rels[0])
        elif response.status:
            parts.append(raw[response.status.start : response.status.end])
        parts += (_error(raw, response.error), raw[response.last : response.end])
        return b"".join(parts)

    def _slash(self, raw: Buffer, response: Response) -> bool:
        if response.typed:
            return response.collection
        tag = response.hrefs[0]
        return text_of(raw[tag.inner : tag.last]).endswith("/")

    def _propstats(self, raw: Buffer, response: Response, rel: Segments) -> list[Buffer]:
        good: list[Buffer] = []
        rest: list[Buffer] = []
        renewed = self._renews_etag(response, rel)
        answered: set[str] = {properties.ETAG} if renewed else set()
        first: PropStat | None = None
        texts: dict[str, str] = {}
        for stat in response.propstats:
            code = _code(raw, stat.status)
            if stat.prop is None or (code == 404 and self._requested is not None):
                continue
            kept = self._kept(raw, stat, answered, texts)
            if code == 200 and first is None:
                first, good = stat, kept
            elif code == 200 and b"xmlns" not in _opening(raw, stat):
                good += kept
            elif kept:
                rest += _closed(raw, stat, kept)
        if renewed:
            answered.remove(properties.ETAG)
        if self._requested is not None:
            good += self._ours(response, rel, answered, texts)
            rest.append(self._missing_from(answered))
        return [*_ok(raw, first, good), *rest]

    def _kept(
        self, raw: Buffer, stat: PropStat, answered: set[str], texts: dict[str, str]
    ) -> list[Buffer]:
        """The properties that pass, in runs as long as possible."""
        kept: list[Buffer] = []
        start = end = 0
        for found in stat.properties:
            name = found.name
            if name in _TEXTS:
                texts[name] = text_of(raw[found.inner : found.last])
            if name in answered or not (self._visible.get(name) or self._shows(name)):
                continue
            if name in _REPLACEABLE and self._replaces(raw, found):
                continue
            answered.add(name)
            if found.start == end and not found.edits:
                end = found.end
                continue
            kept.append(raw[start:end])
            start, end = found.start, found.end
            if found.edits:
                kept.append(splice(raw, start, end, found.edits))
                start = end = 0
        kept.append(raw[start:end])
        return [piece for piece in kept if piece]

    def _renews_etag(self, response: Response, rel: Segments) -> bool:
        fresh = self._target.freshness and self._requested is not None
        return bool(fresh) and response.collection and not rel

    def _shows(self, name: str) -> bool:
        shown = self._visible.get(name)
        if shown is None:
            requested = self._requested
            shown = requested is None or (
                requested.wants(name) and properties.passes(name, self._target)
            )
            if len(self._visible) < _MOST_CACHED:
                self._visible[name] = shown
        return shown

    def _replaces(self, raw: Buffer, found: Property) -> bool:
        """Whether the storage's value is as good as none."""
        if self._requested is None or self._requested.asked is Asked.NAMES:
            return False
        if found.name == properties.DISPLAYNAME:
            return found.inner == found.last
        return (
            found.name == properties.TYPE
            and b"httpd/unix-directory" in raw[found.inner : found.last]
        )

    def _ours(
        self, response: Response, rel: Segments, answered: set[str], texts: dict[str, str]
    ) -> list[Buffer]:
        """Our own properties that are wanted; adds their names to those answered."""
        assert self._requested is not None
        facts = self._facts(response, rel, texts)
        found: list[Buffer] = []
        for name, text in self._written(facts, answered):
            if name not in answered and self._requested.wants(name):
                answered.add(name)
                plain = self._requested.asked is Asked.NAMES
                found.append((empty_element(name) if plain else element(name, text)).encode())
        for name, ready in self._permission_elements(facts):
            answered.add(name)
            found.append(ready)
        return found

    def _facts(self, response: Response, rel: Segments, texts: dict[str, str]) -> Facts:
        path = self._target.root + rel
        return Facts(
            root=not rel,
            collection=response.collection,
            name=(self._target.label if not rel else "") or (path[-1] if path else ""),
            etag=texts.get(properties.ETAG, ""),
            length=texts.get(properties.LENGTH, ""),
            modified=texts.get(properties.MODIFIED, ""),
            letters=None if self._target.trusted else texts.get(properties.PERMISSIONS),
        )

    def _written(self, facts: Facts, answered: set[str]) -> list[tuple[str, str]]:
        """What we can say where the storage does not."""
        found: list[tuple[str, str]] = []
        if facts.name and properties.DISPLAYNAME not in answered:
            found.append((properties.DISPLAYNAME, facts.name))
        if facts.collection:
            if facts.root and self._target.freshness:
                etag = properties.root_etag(facts, self._target.freshness)
                found.append((properties.ETAG, etag))
            return found
        if facts.length and properties.SIZE not in answered:
            found.append((properties.SIZE, facts.length))
        if facts.length and facts.modified and properties.ETAG not in answered:
            found.append((properties.ETAG, properties.file_etag(facts)))
        return [(name, text) for name, text in found if text]

    def _permission_elements(self, facts: Facts) -> tuple[tuple[str, bytes], ...]:
        assert self._requested is not None
        key = (facts.root, facts.collection, facts.letters)
        ready = self._permissions.get(key)
        if ready is None:
            plain = self._requested.asked is Asked.NAMES
            ready = tuple(
                (name, (empty_element(name) if plain else element(name, text)).encode())
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


def _code(raw: Buffer, status: Element | None) -> int:
    match = _CODE.search(raw, status.inner, status.last) if status else None
    return int(match[1]) if match else 200


def _opening(raw: Buffer, stat: PropStat) -> bytes:
    assert stat.prop is not None
    return bytes(raw[stat.start : stat.inner] + raw[stat.prop.start : stat.prop.inner])


def _closed(raw: Buffer, stat: PropStat, kept: list[Buffer]) -> list[Buffer]:
    """A propstat around what is kept of its properties."""
    assert stat.prop is not None
    status = raw[stat.status.start : stat.status.end] if stat.status else b""
    return [
        raw[stat.start : stat.inner],
        raw[stat.prop.start : stat.prop.inner],
        *kept,
        raw[stat.prop.last : stat.prop.end],
        status,
        _error(raw, stat.error),
        raw[stat.last : stat.end],
    ]


def _ok(raw: Buffer, first: PropStat | None, good: list[Buffer]) -> list[Buffer]:
    if not good:
        return []
    if first is None or first.prop is None or first.prop.inner == first.prop.end:
        return [_PROPSTAT, *good, _OK]
    return _closed(raw, first, good)


def _error(raw: Buffer, error: Element | None) -> bytes:
    """A DAV:error with its precondition and nothing else: the rest may tell paths."""
    condition = condition_in(raw[error.inner : error.last]) if error else ""
    return f'<d:error xmlns:d="DAV:"><d:{condition}/></d:error>'.encode() if condition else b""
