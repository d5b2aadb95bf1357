"""Byte offsets in an XML document: where a tag ends, what an element's text is, what to replace."""

import re
from xml.parsers import expat

from gateway.errors import BackendFailed

Buffer = bytes | bytearray
Edit = tuple[int, int, bytes]
"""From, to, and what stands there instead."""

_TAG = re.compile(rb"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")
_SLASH = ord("/")


def tag_end(raw: Buffer, start: int) -> int:
    """Where the tag that starts there ends; it is complete and well-formed."""
    end = raw.find(b">", start) + 1
    if raw.find(b'"', start, end) < 0 and raw.find(b"'", start, end) < 0:
        return end
    match = _TAG.match(raw, start)
    if match is None:
        raise broken("a tag without an end")
    return match.end()


def is_empty(raw: Buffer, tag_end_: int) -> bool:
    """Whether the tag that ends there is an element of its own."""
    return raw[tag_end_ - 2] == _SLASH


def text_of(piece: Buffer) -> str:
    """The text between two tags, stripped; with references and CDATA sections resolved."""
    if b"<" not in piece and b"&" not in piece:
        return piece.decode().strip()
    found: list[str] = []
    parser = expat.ParserCreate("utf-8")
    parser.CharacterDataHandler = found.append
    try:
        parser.Parse(b"<t>" + piece + b"</t>", True)
    except expat.ExpatError as error:
        raise broken(str(error)) from None
    return "".join(found).strip()


def splice(raw: Buffer, start: int, end: int, edits: list[Edit]) -> bytes:
    """raw[start:end] with the edits made; they lie inside, in order, and do not overlap."""
    parts: list[Buffer] = []
    for first, last, instead in edits:
        parts += (raw[start:first], instead)
        start = last
    parts.append(raw[start:end])
    return b"".join(parts)


def broken(detail: str) -> BackendFailed:
    """The storage's XML is not what it should be."""
    return BackendFailed("the storage answered with broken XML", detail=detail)
