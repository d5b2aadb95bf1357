"""What a client may know of locks (RFC 4918 15.8): its own in full, of others' that they are there.

A lock of another scope loses its token and its owner. A lock root outside the Target becomes the
Target's root.
"""

from html import escape
from xml.parsers import expat

from gateway.dav.hrefs import Hrefs
from gateway.dav.locks import LockSeal
from gateway.dav.message import DECLARATION
from gateway.dav.properties import LOCKDISCOVERY
from gateway.dav.spans import Buffer, Edit, broken, is_empty, splice, tag_end, text_of

ACTIVELOCK = "DAV: activelock"
HREF = "DAV: href"
TOKEN = "DAV: locktoken"  # noqa: S105
ROOT = "DAV: lockroot"

_OPEN_TO_ALL = frozenset(
    {"DAV: lockscope", "DAV: locktype", "DAV: depth", "DAV: timeout", TOKEN, ROOT}
)
_DEEPEST = 64

Span = tuple[int, int]


class LockSpans:
    """Told of every element inside one lockdiscovery; `edits` is what to change in it."""

    def __init__(self, raw: Buffer, hrefs: Hrefs, seal: LockSeal, scope: str) -> None:
        self.edits: list[Edit] = []
        self._raw = raw
        self._hrefs = hrefs
        self._seal = seal
        self._scope = scope
        self._open: list[tuple[str, int, int]] = []
        self._children: list[tuple[str, Span]] = []
        self._texts: dict[str, Span] = {}

    def start(self, name: str, start: int) -> None:
        """An element opens at that offset."""
        if len(self._open) > _DEEPEST:
            raise broken("nested too deeply")
        self._open.append((name, start, tag_end(self._raw, start)))

    def end(self, index: int) -> None:
        """The innermost element closes; `index` is where its closing tag starts, if it has one."""
        name, start, inner = self._open.pop()
        empty = is_empty(self._raw, inner)
        last, end = (inner, inner) if empty else (index, self._raw.find(b">", index) + 1)
        above = [entry[0] for entry in self._open]
        if not above:
            self._finish(name, (start, end))
        elif above == [ACTIVELOCK]:
            self._children.append((name, (start, end)))
        elif above in ([ACTIVELOCK, TOKEN], [ACTIVELOCK, ROOT]) and name == HREF:
            self._texts[above[1]] = (inner, last)

    def _finish(self, name: str, whole: Span) -> None:
        if name == ACTIVELOCK:
            self._edit_lock()
        else:
            self.edits.append((*whole, b""))
        self._children, self._texts = [], {}

    def _edit_lock(self) -> None:
        token = self._text(TOKEN)
        own = bool(token) and self._seal.knows(self._scope, token)
        for name, (start, end) in self._children:
            if name == TOKEN:
                self._edit_text(name, (start, end), self._sealed(token) if own else None)
            elif name == ROOT:
                self._edit_text(name, (start, end), self._root())
            elif not own and name not in _OPEN_TO_ALL:
                self.edits.append((start, end, b""))

    def _edit_text(self, name: str, whole: Span, text: str | None) -> None:
        """Put another text into the element's href, or take the whole element away."""
        if text is None or name not in self._texts:
            self.edits.append((*whole, b""))
        else:
            self.edits.append((*self._texts[name], escape(text, quote=False).encode()))

    def _text(self, name: str) -> str:
        start, end = self._texts.get(name, (0, 0))
        return text_of(self._raw[start:end])

    def _sealed(self, token: str) -> str:
        return self._seal.seal(self._scope, token)

    def _root(self) -> str:
        href = self._text(ROOT)
        rel = self._hrefs.rel(href)
        return self._hrefs.public(rel or (), slash=href.endswith("/"))


def lock_answer(body: bytes, hrefs: Hrefs, seal: LockSeal, scope: str) -> bytes:
    """The body of a successful LOCK, rewritten. Raises BackendFailed for anything else."""
    if b"\0" in body:
        raise broken("not UTF-8")
    reader = _LockAnswer(body, LockSpans(body, hrefs, seal, scope))
    reader.read()
    return reader.rewritten()


class _LockAnswer:
    """The walk through `<prop><lockdiscovery>...`; everything beside it is dropped."""

    def __init__(self, body: bytes, locks: LockSpans) -> None:
        self._body = body
        self._locks = locks
        self._depth = 0
        self._root = 0
        self._beside: tuple[bool, int] = (False, 0)
        self._edits: list[Edit] = []
        self._parser = expat.ParserCreate("utf-8", " ")

    def read(self) -> None:
        """Find what to change."""
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = _refuse
        try:
            self._parser.Parse(self._body, True)
        except (expat.ExpatError, UnicodeError) as error:
            raise broken(str(error)) from None

    def rewritten(self) -> bytes:
        """The document with the changes made."""
        edits = sorted([*self._edits, *self._locks.edits])
        return DECLARATION + splice(self._body, self._root, len(self._body), edits)

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        index = self._parser.CurrentByteIndex
        if self._depth == 1:
            if name != "DAV: prop":
                raise broken(f"{name} where prop was expected")
            self._root = index
        elif self._depth == 2:
            self._beside = (name != LOCKDISCOVERY, index)
        elif not self._beside[0]:
            self._locks.start(name, index)

    def _end(self, _: str) -> None:
        depth, index = self._depth, self._parser.CurrentByteIndex
        self._depth -= 1
        if depth == 2 and self._beside[0]:
            start = self._beside[1]
            inner = tag_end(self._body, start)
            end = inner if is_empty(self._body, inner) else self._body.find(b">", index) + 1
            self._edits.append((start, end, b""))
        elif depth > 2 and not self._beside[0]:
            self._locks.end(index)


def _refuse(*_: object) -> None:
    raise broken("a document type")
