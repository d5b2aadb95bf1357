"""A 207 body, rewritten while it streams (RFC 4918 13, 14.16).

Two lanes give the same bytes. Through the exact one (`responses`, `entries`) goes everything that
is new; a response of a shape seen before (`shapes`) is written from its texts alone, which is
several times faster. What is not exactly a multistatus raises BackendFailed before the end is
written, so that a broken listing never looks complete.
"""

from gateway.dav.entries import Composer, Plan
from gateway.dav.hrefs import Hrefs, Segments
from gateway.dav.message import DECLARATION
from gateway.dav.parts import Response
from gateway.dav.responses import PIECE, USUAL, Limits, Responses
from gateway.dav.shapes import Shapes
from gateway.dav.spans import broken, text_of
from gateway.dav.target import is_aside

_OPENING = 512
"""Bytes parsed at once until the root is known; after that, one response at a time."""


class Multistatus:
    """Fed with the storage's bytes, gives the client's. One for each body.

    `itself` is the response about what was asked for, once seen; `dropped` counts responses about
    anything outside.
    """

    def __init__(self, plan: Plan, limits: Limits = USUAL) -> None:
        self.itself: Response | None = None
        self.dropped = 0
        self._plan = plan
        self._limits = limits
        self._hrefs = Hrefs(plan.target)
        self._composer = Composer(plan, self._hrefs)
        self._responses = Responses(plan, limits, self._hrefs, self._take)
        shapes = limits.shapes if plan.depth == "1" else 0
        self._shapes = Shapes(self._composer, self._hrefs, shapes)
        self._own_rel: Segments = () if plan.target.single_file else plan.target.rel
        self._seen: set[int] = set()
        self._out: list[bytes] = []
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._started = False
        self._waiting = b""  # for the end of its response
        self._closing = b""  # the tag that ends one

    def feed(self, data: bytes) -> bytes:
        """Take more of the storage's bytes and return what is ready. Raises BackendFailed."""
        if b"\0" in data:
            raise broken("not UTF-8")
        searched = len(self._waiting)
        data = self._waiting + data
        at = 0
        while not self._closing and at < len(data):
            self._responses.parse(data[at : at + _OPENING])
            at += _OPENING
            self._open()
        searched = max(at, searched - len(self._closing))
        while self._closing and (end := data.find(self._closing, searched)) >= 0:
            searched = end + len(self._closing)
            block = data[at:searched]
            if not (self._responses.between and self._write(block)):
                self._responses.parse(block)
            at = searched
        self._waiting = data[at:]
        if len(self._waiting) > PIECE:
            self._responses.parse(self._waiting)
            self._waiting = b""
        return self._ready()

    def close(self) -> bytes:
        """The storage's bytes have ended: the rest. Raises BackendFailed when too early."""
        self._responses.parse(self._waiting)
        self._responses.finish()
        if self._plan.requested is not None and self.itself is None:
            raise broken("nothing about what was asked for")
        self._open()
        self._release()
        self._out.append(b"</" + _name(self._responses.root) + b">")
        return self._ready()

    def _ready(self) -> bytes:
        ready = b"".join(self._out)
        self._out.clear()
        return ready

    def _open(self) -> None:
        """Once the root is known, so is how a response most likely ends."""
        name = _name(self._responses.root)
        if name and not self._closing:
            prefix, colon, _ = name.rpartition(b":")
            self._closing = b"</" + prefix + colon + b"response>"

    def _write(self, block: bytes) -> bool:
        """Write one whole response by its shape; False when that cannot be done."""
        if self.itself is None or len(block) > PIECE:
            return False
        found = self._shapes.find(block)
        if found is None:
            return False
        shape, texts = found
        rel = self._hrefs.rel(texts[shape.href].decode().strip())
        if rel is None or not self._belongs(rel):
            self.dropped += 1
            return True
        ready = self._shapes.write(shape, texts, self._spelled(rel))
        if ready is None:
            return False
        self._count(rel)
        self._out.append(ready)
        return True

    def _take(self, response: Response) -> None:
        raw = self._responses.raw
        rels = self._rels(response)
        if not rels:
            self.dropped += 1
            return
        made = self._composer.compose(raw, response, rels)
        self._emit(self._composer.write(raw, response, made), response, rels[0])
        if self._plan.requested is not None and len(rels[0]) > len(self._own_rel):
            self._shapes.learn(bytes(raw[response.start : response.end]), response, made)

    def _rels(self, response: Response) -> list[Segments]:
        """Where its hrefs are, or nothing when the response is not to be passed on."""
        raw = self._responses.raw
        found = [self._hrefs.rel(text_of(raw[href.inner : href.last])) for href in response.hrefs]
        rels = [rel for rel in found if rel is not None]
        if not found or found[0] is None:
            return []
        if self._plan.requested is not None:
            if not self._belongs(rels[0]):
                return []
            self._count(rels[0])
            rels[0] = self._spelled(rels[0])
        return rels

    def _spelled(self, rel: Segments) -> Segments:
        """As the client spelled it."""
        return self._own_rel + rel[len(self._own_rel) :]

    def _belongs(self, rel: Segments) -> bool:
        """Whether a PROPFIND of that depth has this, and it is the first time."""
        own = self._own_rel
        if rel[: len(own)] != own and not self._hrefs.same(rel[: len(own)], own):
            return False
        if len(rel) - len(own) > (self._plan.depth == "1"):
            return False
        if rel and is_aside(rel[-1]):
            return False
        return hash(rel) not in self._seen

    def _count(self, rel: Segments) -> None:
        self._seen.add(hash(rel))
        if len(self._seen) > self._limits.entries:
            raise broken("too many entries")

    def _emit(self, ready: bytes, response: Response, rel: Segments) -> None:
        """Hold back what comes before the requested resource: receivers take the first for it."""
        if self._plan.requested is None or self.itself is not None:
            self._release()
            self._out.append(ready)
        elif len(rel) == len(self._own_rel):
            self.itself = response
            self._held.insert(0, ready)
            self._release()
        else:
            self._held.append(ready)
            self._held_bytes += len(ready)
            if self._held_bytes > self._limits.held:
                raise broken("the requested resource does not come first")

    def _release(self) -> None:
        """Write what was held back, after the root's opening tag."""
        if not self._started:
            self._started = True
            self._out.append(DECLARATION + self._responses.root)
        self._out += self._held
        self._held = []


def _name(tag: bytes) -> bytes:
    return tag[1:-1].split(None, 1)[0] if tag else b""
