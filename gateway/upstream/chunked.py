"""The chunked transfer coding (RFC 9112 7.1), read and written.

Extensions and trailers are skipped, and bounded. Lines end in CRLF and nothing else: where one
reader sees the end of a line and another does not, answers can be smuggled.
"""

import re

from gateway.errors import BackendFailed

LONGEST_LINE = 4 * 1024
LONGEST_TRAILERS = 16 * 1024
LAST = b"0\r\n\r\n"
"""What ends a body. Never sent after a failure: it says that the body is complete."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
_AWAITS_SIZE, _IN_DATA, _AFTER_DATA, _IN_TRAILERS = range(4)


def encode(piece: bytes) -> bytes:
    """One chunk. Nothing for an empty piece, as an empty chunk would be the last."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


class Decoder:
    """Takes a chunked body as it arrives, in pieces of any size.

    ended: the last chunk and its trailers have been seen.
    surplus: bytes have come after that.
    """

    __slots__ = ("_carry", "_left", "_state", "_trailers", "ended", "surplus")

    def __init__(self) -> None:
        self.ended = False
        self.surplus = False
        self._state = _AWAITS_SIZE
        self._left = 0
        self._carry = b""
        self._trailers = 0

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body in what has arrived. Raises BackendFailed."""
        if self._carry:
            data, self._carry = self._carry + data, b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self.ended:
                self.surplus = True
                break
            if self._state == _IN_DATA:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _AFTER_DATA
                continue
            end = data.find(b"\r\n", at, at + LONGEST_LINE + 2)
            if end < 0:
                self._keep(data[at:])
                break
            self._line(data[at:end])
            at = end + 2
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep(self, line: bytes) -> None:
        """The beginning of a line, until the rest of it is here."""
        if len(line) > LONGEST_LINE or (self._state == _AFTER_DATA and line != b"\r"):
            raise _improper("a line without end", line)
        self._carry = line

    def _line(self, line: bytes) -> None:
        if self._state == _AWAITS_SIZE:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise _improper("no chunk size", line)
            self._left = int(match[1], 16)
            self._state = _IN_DATA if self._left else _IN_TRAILERS
        elif self._state == _AFTER_DATA:
            if line:
                raise _improper("a chunk longer than its size", line)
            self._state = _AWAITS_SIZE
        elif line:
            self._trailers += len(line)
            if self._trailers > LONGEST_TRAILERS or not _TRAILER.fullmatch(line):
                raise _improper("bad trailers", line)
        else:
            self.ended = True


def _improper(what: str, line: bytes) -> BackendFailed:
    return BackendFailed(
        "the storage did not answer properly", detail=f"chunked: {what}: {line[:40]!r}"
    )
