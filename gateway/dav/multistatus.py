"""A 207 body, rewritten while it streams (RFC 4918 13, 14.16).

expat says where things stand, the storage's own bytes are copied from there; no text event is ever
asked for. One response is held at a time. What is not exactly a multistatus in UTF-8 (document
types, other encodings, a missing end, an error text after the end) raises BackendFailed, before the
end is written, so that a broken listing never looks complete.
"""

from dataclasses import dataclass
from xml.parsers import expat

from gateway.dav import properties
from gateway.dav.entries import Composer, Plan
from gateway.dav.hrefs import Hrefs, Segments
from gateway.dav.lockdiscovery import LockSpans
from gateway.dav.message import DECLARATION
from gateway.dav.parts import Element, Property, PropStat, Response
from gateway.dav.spans import broken, is_empty, tag_end, text_of

PIECE = 16 * 1024
"""Bytes parsed at once; expat before 2.6 reads an unfinished token again with every piece."""

_RESPONSE = "DAV: response"
_TELLING = frozenset({properties.RESOURCETYPE, properties.LOCKDISCOVERY})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of one response, of one token, held back before the first; depth; entries."""

    response: int = 1024 * 1024
    token: int = 256 * 1024
    held: int = 4 * 1024 * 1024
    depth: int = 64
    entries: int = 1_000_000


class Multistatus:
    """Fed with the storage's bytes, gives the client's. One for each body.

    `itself` is the response about what was asked for, once seen; `dropped` counts responses about
    anything outside.
    """

    def __init__(self, plan: Plan, limits: Limits = Limits()) -> None:
        self.itself: Response | None = None
        self.dropped = 0
        self._plan = plan
        self._limits = limits
        self._hrefs = Hrefs(plan.target)
        self._composer = Composer(plan, self._hrefs)
        self._own_rel: Segments = () if plan.target.single_file else plan.target.rel
        self._seen: set[int] = set()
        self._entries = 0
        self._out: list[bytes] = []
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._raw = bytearray()
        self._offset = 0  # of raw[0] in the document
        self._fed = 0
        self._depth = 0
        self._tail = b""
        self._open: list[Element] = []
        self._response: Response | None = None
        self._propstat: PropStat | None = None
        self._property: Property | None = None
        self._locks: LockSpans | None = None
        self._telling = False  # inside a property whose elements say something to us
        self._parser = self._make_parser()

    def feed(self, data: bytes) -> bytes:
        """Take more of the storage's bytes and return what is ready. Raises BackendFailed."""
        if b"\0" in data:
            raise broken("not UTF-8")
        for at in range(0, len(data), PIECE):
            self._parse(data[at : at + PIECE], final=False)
        return self._take()

    def close(self) -> bytes:
        """The storage's bytes have ended: the rest. Raises BackendFailed when too early."""
        self._parse(b"", final=True)
        if self._plan.requested is not None and self.itself is None:
            raise broken("nothing about what was asked for")
        self._out.append(self._tail)
        return self._take()

    def _make_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("utf-8", " ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.XmlDeclHandler = _check_declaration
        return parser

    def _take(self) -> bytes:
        ready = b"".join(self._out)
        self._out.clear()
        return ready

    def _parse(self, piece: bytes, *, final: bool) -> None:
        self._raw += piece
        self._fed += len(piece)
        try:
            self._parser.Parse(piece, final)
        except (expat.ExpatError, UnicodeError) as error:
            raise broken(str(error)) from None
        done = max(self._parser.CurrentByteIndex, self._offset)
        if self._fed - done > self._limits.token:
            raise broken("a token without an end")
        if self._response is None:
            self._trim(done - self._offset)
        elif len(self._raw) - self._response.start > self._limits.response:
            raise broken("one response is too large")

    def _trim(self, to: int) -> None:
        del self._raw[:to]
        self._offset += to

    def _start(self, name: str, _: dict[str, str]) -> None:
        depth = self._depth = self._depth + 1
        if depth > 5:
            if self._telling or depth > self._limits.depth:
                self._start_inside(name)
            return
        start = self._parser.CurrentByteIndex - self._offset
        inner = tag_end(self._raw, start)
        if depth == 1:
            self._start_root(name, start, inner)
        elif depth == 2:
            self._response = Response(start, inner) if name == _RESPONSE else None
        elif self._response is not None:
            if depth == 5:
                found = self._start_property(name, start, inner)
            elif depth == 4:
                found = self._start_in_propstat(name, start, inner)
            else:
                found = self._start_in_response(self._response, name, start, inner)
            self._open.append(found)

    def _start_root(self, name: str, start: int, inner: int) -> None:
        if name != "DAV: multistatus":
            raise broken(f"{name} where multistatus was expected")
        tag = bytes(self._raw[start:inner])
        if is_empty(self._raw, inner):
            tag = tag[:-2] + b">"
        self._tail = b"</" + tag[1:-1].split(None, 1)[0] + b">"
        self._held.append(DECLARATION + tag)
        if self._plan.requested is None:
            self._release()

    def _start_in_response(self, response: Response, name: str, start: int, inner: int) -> Element:
        if name == "DAV: propstat":
            self._propstat = PropStat(start, inner)
            response.propstats.append(self._propstat)
            return self._propstat
        found = Element(start, inner)
        if name == "DAV: href":
            response.hrefs.append(found)
        elif name == "DAV: status":
            response.status = found
        elif name == "DAV: error":
            response.error = found
        return found

    def _start_in_propstat(self, name: str, start: int, inner: int) -> Element:
        found, propstat = Element(start, inner), self._propstat
        if propstat is None:
            return found
        if name == "DAV: prop" and propstat.prop is None:
            propstat.prop = found
        elif name == "DAV: status":
            propstat.status = found
        elif name == "DAV: error":
            propstat.error = found
        return found

    def _start_property(self, name: str, start: int, inner: int) -> Element:
        propstat = self._propstat
        if propstat is None or self._open[-1] is not propstat.prop:
            return Element(start, inner)
        found = self._property = Property(start, inner, name=name)
        propstat.properties.append(found)
        if name == properties.LOCKDISCOVERY:
            plan = self._plan
            self._locks = LockSpans(self._raw, self._hrefs, plan.seal, plan.target.scope)
            found.edits = self._locks.edits
        self._telling = name in _TELLING
        return found

    def _start_inside(self, name: str) -> None:
        if self._depth > self._limits.depth:
            raise broken("nested too deeply")
        if self._locks is not None:
            self._locks.start(name, self._parser.CurrentByteIndex - self._offset)
        elif self._depth == 6 and name == properties.COLLECTION and self._response:
            self._response.collection = True

    def _end(self, _: str) -> None:
        depth = self._depth
        self._depth = depth - 1
        if depth > 5:
            if self._locks is not None:
                self._locks.end(self._parser.CurrentByteIndex - self._offset)
            return
        if self._response is None or depth == 1:
            return
        index = self._parser.CurrentByteIndex - self._offset
        found = self._open.pop() if depth > 2 else self._response
        if is_empty(self._raw, found.inner):
            found.last = found.end = found.inner
        else:
            found.last, found.end = index, self._raw.find(b">", index) + 1
        if depth == 5:
            self._end_property()
        elif depth == 3:
            self._propstat = None
        elif depth == 2:
            self._end_response(self._response)

    def _end_property(self) -> None:
        found, self._property, self._locks = self._property, None, None
        self._telling = False
        if found is not None and found.name == properties.RESOURCETYPE and self._response:
            self._response.typed = self._plan.requested is not None

    def _end_response(self, response: Response) -> None:
        rels = self._placed(response)
        if rels:
            ready = self._composer.compose(self._raw, response, rels)
            self._emit(ready, response, rels[0])
        else:
            self.dropped += 1
        self._response = None
        self._trim(response.end)

    def _placed(self, response: Response) -> list[Segments]:
        """Where its hrefs are, or nothing when the response is not to be passed on."""
        raw = self._raw
        found = [self._hrefs.rel(text_of(raw[href.inner : href.last])) for href in response.hrefs]
        rels = [rel for rel in found if rel is not None]
        if not found or found[0] is None:
            return []
        if self._plan.requested is not None:
            if not self._belongs(rels[0]):
                return []
            rels[0] = self._own_rel + rels[0][len(self._own_rel) :]  # as the client spelled it
        self._entries += 1
        if self._entries > self._limits.entries:
            raise broken("too many entries")
        return rels

    def _belongs(self, rel: Segments) -> bool:
        """Whether a PROPFIND of that depth has this, and it is the first time."""
        own = self._own_rel
        if rel[: len(own)] != own and not self._hrefs.same(rel[: len(own)], own):
            return False
        if len(rel) - len(own) > (self._plan.depth == "1"):
            return False
        mark = hash(rel)
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True

    def _emit(self, ready: bytes, response: Response, rel: Segments) -> None:
        """Hold back what comes before the requested resource: receivers take the first for it."""
        if self._plan.requested is None or self.itself is not None:
            self._out.append(ready)
        elif len(rel) == len(self._own_rel):
            self.itself = response
            self._held.insert(1, ready)
            self._release()
        else:
            self._held.append(ready)
            self._held_bytes += len(ready)
            if self._held_bytes > self._limits.held:
                raise broken("the requested resource does not come first")

    def _release(self) -> None:
        self._out += self._held
        self._held = []


def _refuse_doctype(*_: object) -> None:
    raise broken("a document type")


def _check_declaration(_: str, encoding: str | None, __: int) -> None:
    if encoding and encoding.lower() not in ("utf-8", "us-ascii", "ascii"):
        raise broken(f"its encoding is {encoding}")
