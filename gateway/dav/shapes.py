"""The fast lane of a listing: responses that differ from one seen before in their texts only.

A storage writes thousands of responses with the same tags. Those tags, in order, are a shape. The
first response of a shape is read by expat and composed; the composition, with its offsets turned
into numbers of texts, is kept. Further responses of that shape are cut at their tags and written
from their texts.

Why this is exact: the tags are the same byte for byte inside the same root, and what stands between
them has no markup (no `<`, no `&`, no `]]>`) and only characters that XML allows. So expat would
find the same elements at the same tags. What composing reads from the texts is either compared
with the first one's (statuses, permissions) or made anew. Everything else is left to expat.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

from gateway.dav import properties
from gateway.dav.entries import HREF, UNIX_FOLDER, Composer
from gateway.dav.hrefs import Hrefs, Segments
from gateway.dav.parts import Composition, Element, Piece, Response

_TAG = re.compile(rb"<([^>]*)>")
_WHOLE_TAG = re.compile(rb"""[^!?"'][^"']*(?:"[^"]*"[^"']*|'[^']*'[^"']*)*""")
_ORDINARY = bytes({9, 10, 13, *range(32, 128)} - {ord("&")})
_NO_CHARACTER = re.compile("[\ufffe\uffff]")

Tags = tuple[bytes, ...]
Texts = list[bytes]


@dataclass(frozen=True, slots=True)
class Shape:
    """How responses with certain tags are written; numbers are those of their texts.

    href: the text with the address. fixed: texts that must be these. filled: that must not be
    empty, nor name a Unix folder as a type. parts: what is written, with a gap at every odd place;
    gaps: the texts that fill them, where `made` does not. made: places and names of what is made.
    """

    href: int
    collection: bool
    fixed: tuple[tuple[int, bytes], ...]
    filled: tuple[int, ...]
    length: int | None
    modified: int | None
    parts: tuple[bytes, ...]
    gaps: Callable[[Texts], tuple[bytes, ...]]
    made: tuple[tuple[int, str], ...]
    at: int

    def fits(self, texts: Texts) -> bool:
        """Whether nothing in these texts leads to another composition."""
        for number, text in self.fixed:
            if texts[number] != text:
                return False
        for number in self.filled:
            if not texts[number] or UNIX_FOLDER in texts[number]:
                return False
        return True


class Shapes:
    """The shapes of one listing, at most `limit` of them."""

    def __init__(self, composer: Composer, hrefs: Hrefs, limit: int) -> None:
        self._composer = composer
        self._hrefs = hrefs
        self._limit = limit
        self._known: dict[Tags, Shape] = {}

    def find(self, block: bytes) -> tuple[Shape, Texts] | None:
        """The shape and the texts of a response, with whatever stands before it."""
        if not self._known:
            return None
        pieces = _TAG.split(block)
        shape = self._known.get(tuple(pieces[1::2]))
        if shape is None or not _is_ordinary(block):
            return None
        texts = pieces[::2]
        return (shape, texts) if shape.fits(texts) else None

    def write(self, shape: Shape, texts: Texts, rel: Segments) -> bytes | None:
        """The response as the client gets it; None where something cannot be made."""
        parts = list(shape.parts)
        parts[1::2] = shape.gaps(texts)
        parts[shape.at] = self._hrefs.public(rel, slash=shape.collection).encode()
        if shape.made:
            length = b"" if shape.length is None else texts[shape.length]
            modified = b"" if shape.modified is None else texts[shape.modified]
            facts = self._composer.facts(
                rel,
                collection=shape.collection,
                length=length.decode().strip(),
                modified=modified.decode().strip(),
            )
            for place, name in shape.made:
                parts[place] = self._composer.property_of_ours(name, facts)
                if not parts[place]:
                    return None
        return b"".join(parts)

    def learn(self, block: bytes, response: Response, made: Composition) -> None:
        """Keep how this response was composed. `block` is exactly the response's bytes."""
        if not made.sure or len(self._known) >= self._limit:
            return
        cut = _Cut(block, response.start)
        if all(map(_WHOLE_TAG.fullmatch, cut.tags)) and cut.tags not in self._known:
            shape = _shape(cut, response, made)
            if shape is not None:
                self._known[cut.tags] = shape


class _Cut:
    """A response cut at its tags: where each starts and ends, in the offsets of its elements."""

    def __init__(self, block: bytes, offset: int) -> None:
        found = list(_TAG.finditer(block))
        self.tags = tuple(match[1] for match in found)
        self.texts: Texts = _TAG.split(block)[::2]
        self._starting = {match.start() + offset: at for at, match in enumerate(found)}
        self._ending = {match.end() + offset: at for at, match in enumerate(found)}

    def text(self, found: Element) -> int | None:
        """The number of an element's only text; None without. KeyError if there are tags in it."""
        if found.inner == found.end:
            return None
        before, after = self._ending[found.inner], self._starting[found.last]
        if after != before + 1:
            raise KeyError(found)
        return after

    def run(self, start: int, end: int) -> list[bytes | int]:
        """From there to there, as tags and numbers of texts."""
        if start == end:
            return []
        first, last = self._starting[start], self._ending[end]
        found: list[bytes | int] = []
        for at in range(first, last + 1):
            found += (at, b"<" + self.tags[at] + b">")
        return found[1:]


def _shape(cut: _Cut, response: Response, made: Composition) -> Shape | None:
    try:
        href = cut.text(response.hrefs[0])
        fixed = [number for found in made.fixed if (number := cut.text(found)) is not None]
        filled = [number for found in made.filled if (number := cut.text(found)) is not None]
        length, modified = (
            cut.text(made.sources[name]) if name in made.sources else None
            for name in (properties.LENGTH, properties.MODIFIED)
        )
        line = [part for piece in made.pieces for part in _parts(cut, piece)]
    except KeyError:
        return None
    if href is None:
        return None
    parts, gaps = _with_gaps(line)
    return Shape(
        href=href,
        collection=made.slash,
        fixed=tuple((number, cut.texts[number]) for number in fixed),
        filled=tuple(filled),
        length=length,
        modified=modified,
        parts=tuple(parts),
        gaps=_getter([gap if isinstance(gap, int) else 0 for gap in gaps]),
        made=tuple(
            (2 * at + 1, gap) for at, gap in enumerate(gaps) if isinstance(gap, str) and gap != HREF
        ),
        at=2 * gaps.index(HREF) + 1,
    )


def _parts(cut: _Cut, piece: Piece) -> list[bytes | int | str]:
    return [*cut.run(*piece)] if isinstance(piece, tuple) else [piece]


def _with_gaps(line: list[bytes | int | str]) -> tuple[list[bytes], list[int | str]]:
    """What is always the same, and what stands in the gaps between."""
    parts, gaps = [b""], list[int | str]()
    for part in line:
        if isinstance(part, bytes):
            parts[-1] += part
        else:
            gaps.append(part)
            parts += (b"", b"")
    return parts, gaps


def _getter(numbers: list[int]) -> Callable[[Texts], tuple[bytes, ...]]:
    if len(numbers) == 1:
        return lambda texts: (texts[numbers[0]],)
    return itemgetter(*numbers)


def _is_ordinary(block: bytes) -> bool:
    """Whether it holds only characters that XML allows, and no reference."""
    if b"]]>" in block:
        return False
    rest = block.translate(None, _ORDINARY)
    if not rest:
        return True
    if min(rest) < 0x80:
        return False
    try:
        return not _NO_CHARACTER.search(block.decode())
    except UnicodeDecodeError:
        return False
