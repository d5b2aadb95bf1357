"""The exact way through a multistatus: expat says where things stand (RFC 4918 14.24).

No text event is ever asked for; one response is held at a time. What is not exactly a multistatus
in UTF-8 (document types, other encodings, a missing end, an error text after the end) raises
BackendFailed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

from gateway.dav import properties
from gateway.dav.entries import Plan
from gateway.dav.hrefs import Hrefs
from gateway.dav.lockdiscovery import LockSpans
from gateway.dav.parts import Element, Property, PropStat, Response
from gateway.dav.spans import broken, is_empty, tag_end

PIECE = 16 * 1024
"""Bytes parsed at once; expat before 2.6 reads an unfinished token again with every piece."""

_RESPONSE = "DAV: response"
_TELLING = frozenset({properties.RESOURCETYPE, properties.LOCKDISCOVERY})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of one response, of one token, held back before the first; depth; entries; shapes."""

    response: int = 1024 * 1024
    token: int = 256 * 1024
    held: int = 4 * 1024 * 1024
    depth: int = 64
    entries: int = 1_000_000
    shapes: int = 64


USUAL = Limits()


class Responses:
    """Calls `take` with each response, while `raw` holds its bytes.

    `root` is the multistatus' opening tag, empty until it is seen.
    """

    def __init__(
        self, plan: Plan, limits: Limits, hrefs: Hrefs, take: Callable[[Response], None]
    ) -> None:
        self.raw = bytearray()
        self.root = b""
        self._plan = plan
        self._limits = limits
        self._hrefs = hrefs
        self._take = take
        self._offset = 0  # of raw[0] in what was parsed
        self._fed = 0
        self._ended = -1  # where the last response did
        self._depth = 0
        self._open: list[Element] = []
        self._response: Response | None = None
        self._propstat: PropStat | None = None
        self._property: Property | None = None
        self._locks: LockSpans | None = None
        self._telling = False  # inside a property whose elements say something to us
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.XmlDeclHandler = _check_declaration

    @property
    def between(self) -> bool:
        """Whether all that was parsed ends with a response, exactly."""
        return self._fed == self._ended

    def parse(self, data: bytes) -> None:
        """Take more of the storage's bytes. Raises BackendFailed."""
        for at in range(0, len(data), PIECE):
            self._parse(data[at : at + PIECE], final=False)

    def finish(self) -> None:
        """There is no more. Raises BackendFailed unless the document is complete."""
        self._parse(b"", final=True)

    def _parse(self, piece: bytes, *, final: bool) -> None:
        self.raw += piece
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
        elif len(self.raw) - self._response.start > self._limits.response:
            raise broken("one response is too large")

    def _trim(self, to: int) -> None:
        del self.raw[:to]
        self._offset += to

    def _start(self, name: str, _: dict[str, str]) -> None:
        depth = self._depth = self._depth + 1
        if depth > 5:
            if self._telling or depth > self._limits.depth:
                self._start_inside(name)
            return
        start = self._parser.CurrentByteIndex - self._offset
        inner = tag_end(self.raw, start)
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
        self.root = bytes(self.raw[start:inner])
        if is_empty(self.raw, inner):
            self.root = self.root[:-2] + b">"

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
            self._locks = LockSpans(self.raw, self._hrefs, plan.seal, plan.target.scope)
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
        if is_empty(self.raw, found.inner):
            found.last = found.end = found.inner
        else:
            found.last, found.end = index, self.raw.find(b">", index) + 1
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
            # The names of properties alone do not tell what it is.
            self._response.typed = self._plan.typed

    def _end_response(self, response: Response) -> None:
        self._take(response)
        self._response = None
        self._ended = self._offset + response.end
        self._trim(response.end)


def _refuse_doctype(*_: object) -> None:
    raise broken("a document type")


def _check_declaration(_: str, encoding: str | None, __: int) -> None:
    if encoding and encoding.lower() not in ("utf-8", "us-ascii", "ascii"):
        raise broken(f"its encoding is {encoding}")
