"""The heads of HTTP/1.1 messages: a storage's answers read, our requests written (RFC 9112).

1. An answer we cannot frame beyond doubt is no answer: two lengths, a length beside a transfer
   coding, any coding but `chunked`, folded lines, odd names. All raise BackendFailed.
2. Lines may end in a bare LF, as old servers have it; a bare CR, a NUL or another control may not
   occur.
3. Nothing goes out with a CR, LF or NUL that we did not write.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.errors import BackendFailed, Malformed

LONGEST_HEAD = 64 * 1024
MOST_FIELDS = 128
LONGEST_NAME = 256

_END = re.compile(rb"\n\r?\n")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[\x21-\x7e]+")
_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n")
_VERSIONS = {"HTTP/1.1 ": True, "HTTP/1.0 ": False}
_LENGTH_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer.

    length: bytes of the body; None where it is chunked, or ends with the connection.
    persistent: whether the connection may serve another request after the body (RFC 9112 9.3).
    """

    status: int
    headers: CIMultiDictProxy[str]
    length: int | None
    chunked: bool
    persistent: bool


def end_of(data: bytes | bytearray, start: int = 0) -> int:
    """Where the body begins in what has arrived; -1 while the head is not complete."""
    found = _END.search(data, start)
    return found.end() if found else -1


def parse(data: bytes, method: str) -> Head:
    """A whole head, the empty line included, in answer to `method`. Raises BackendFailed.

    Values are UTF-8; what is not survives as surrogate escapes.
    """
    text = data.replace(b"\r\n", b"\n")
    if len(text.translate(None, _CONTROLS)) != len(text):
        raise _improper("a control character in the head")
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) - 3 > MOST_FIELDS:
        raise _improper(f"more than {MOST_FIELDS} header fields")
    status, modern = _status(lines[0])
    headers = CIMultiDict([_field(line) for line in lines[1:-2]])
    length, chunked = _framing(status, method, headers, modern)
    # Some storages send the page of an error for HEAD as well; it may still be on its way.
    sound = method != "HEAD" or status < 400
    persistent = sound and _persistent(headers, modern) and (chunked or length is not None)
    return Head(status, CIMultiDictProxy(headers), length, chunked, persistent)


def _status(line: str) -> tuple[int, bool]:
    """The status code, and whether it is HTTP/1.1 (RFC 9112 4)."""
    modern = _VERSIONS.get(line[:9])
    code = line[9:12]
    if modern is None or not (code.isascii() and code.isdigit()) or line[12:13] not in ("", " "):
        raise _improper(f"no status line: {line[:40]!r}")
    status = int(code)
    if not 100 <= status <= 599:
        raise _improper(f"status {status}")
    return status, modern


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise _improper(f"a header line without a colon: {line[:40]!r}")
    return _answered_name(name), value.strip(" \t")


@lru_cache(maxsize=512)
def _answered_name(name: str) -> str:
    # A folded line (RFC 9112 5.2) begins with white space and fails here too.
    if len(name) > LONGEST_NAME or not _TOKEN.fullmatch(name):
        raise _improper(f"a bad header name: {name[:40]!r}")
    return name


def _framing(
    status: int, method: str, headers: CIMultiDict[str], modern: bool
) -> tuple[int | None, bool]:
    """The body's length and whether it is chunked (RFC 9112 6.3)."""
    lengths = headers.getall("Content-Length", ())
    codings = headers.getall("Transfer-Encoding", ())
    if codings and (lengths or len(codings) > 1 or codings[0].lower() != "chunked" or not modern):
        raise _improper(f"Transfer-Encoding {', '.join(codings)[:40]!r}")
    length = _length(lengths) if lengths else None
    if method == "HEAD" or status < 200 or status in (204, 304):
        return 0, False
    return length, bool(codings)


def _length(values: Iterable[str]) -> int:
    value, *others = values
    if others or not (value.isascii() and value.isdigit()) or len(value) > _LENGTH_DIGITS:
        raise _improper(f"Content-Length {value[:40]!r}, given {1 + len(others)} times")
    return int(value)


def _persistent(headers: CIMultiDict[str], modern: bool) -> bool:
    values = headers.getall("Connection", ())
    if not values or values == ["keep-alive"]:
        return modern or bool(values)
    options = {option.strip().lower() for option in ",".join(values).split(",")}
    return "close" not in options and (modern or "keep-alive" in options)


def _improper(detail: str) -> BackendFailed:
    return BackendFailed("the storage did not answer properly", detail=detail)


def encode(method: str, target: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """The head of a request, the empty line included; the target goes out as it is.

    Raises Malformed for what cannot be written down safely.
    """
    if not _TARGET.fullmatch(target):
        raise Malformed("the address contains bytes that belong escaped")
    lines = [f"{_sent_name(method)} {target} HTTP/1.1\r\n"]
    lines += [f"{_sent_name(name)}: {value}\r\n" for name, value in fields]
    lines.append("\r\n")
    text = "".join(lines)
    # Each line brought one of both; one more came with a value.
    if text.count("\r") != len(lines) or text.count("\n") != len(lines) or "\0" in text:
        raise Malformed("a header field contains a line break")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Malformed("a header field is not text") from None


@lru_cache(maxsize=512)
def _sent_name(name: str) -> str:
    if len(name) > LONGEST_NAME or not _TOKEN.fullmatch(name):
        raise Malformed("a method or header name is malformed")
    return name
