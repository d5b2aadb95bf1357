"""The answer to one request, as it arrives: bytes in, a head and pieces of a body out.

A body is complete when its framing says so, and never because the connection ended, unless that is
its framing. What had arrived before a failure can still be read.
"""

from collections import deque

from gateway.errors import BackendFailed, BackendUnavailable
from gateway.upstream import head
from gateway.upstream.chunked import Decoder
from gateway.upstream.head import Head

HIGH_WATER = 256 * 1024
MOST_PIECES = 64
"""More than either of a body should not wait here for a slow reader."""
MOST_INTERIM = 16


class Answer:
    """What a storage answers to `method`.

    untouched: not a byte has come.
    invited: it has said 100, the body may come (RFC 9110 10.1.1).
    head: the final head, once it is here; 1xx are passed over.
    ended: the body is complete.
    surplus: bytes came after that.
    """

    __slots__ = (
        "_buffered",
        "_decoder",
        "_interim",
        "_left",
        "_method",
        "_partial",
        "_pieces",
        "ended",
        "head",
        "invited",
        "surplus",
        "untouched",
    )

    def __init__(self, method: str) -> None:
        self.untouched = True
        self.invited = False
        self.head: Head | None = None
        self.ended = False
        self.surplus = False
        self._method = method
        self._partial = b""
        self._interim = 0
        self._left: int | None = None
        self._decoder: Decoder | None = None
        self._pieces: deque[bytes] = deque()
        self._buffered = 0

    def feed(self, data: bytes) -> None:
        """Take what has arrived. Raises BackendFailed for what is no answer."""
        if self.head is None:
            self._feed_head(data)
        else:
            self._feed_body(data)

    def close(self, reason: str) -> None:
        """Nothing more will come; `reason` is empty for an orderly end.

        Raises BackendUnavailable or BackendFailed when something is missing.
        """
        if self.ended:
            return
        detail = reason or "connection closed"
        if self.untouched:
            raise BackendUnavailable("the storage did not answer", detail=detail)
        by_closing = self.head is not None and not self.head.chunked and self.head.length is None
        if reason or not by_closing:
            raise BackendFailed("the storage broke off its answer", detail=detail)
        self.ended = True

    @property
    def length(self) -> int | None:
        """Bytes of the body still to be read; None while nobody knows."""
        if self.ended:
            return self._buffered
        return None if self._left is None else self._left + self._buffered

    @property
    def ready(self) -> int:
        """Bytes of the body that wait to be read."""
        return self._buffered

    @property
    def full(self) -> bool:
        """Whether enough waits to be read."""
        return self._buffered > HIGH_WATER or len(self._pieces) > MOST_PIECES

    def pop(self) -> bytes:
        """The next piece of the body; empty when none is here."""
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self._buffered -= len(piece)
        return piece

    def pop_all(self) -> bytes:
        """All of the body that is here."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        return data

    def end(self) -> None:
        """Somebody else has read the rest of the body."""
        self._left = 0
        self.ended = True

    def _feed_head(self, data: bytes) -> None:
        self.untouched = False
        start = max(0, len(self._partial) - 2)
        data = self._partial + data if self._partial else data
        while (end := head.end_of(data, start)) >= 0:
            if end > head.LONGEST_HEAD:
                break
            found = head.parse(data[:end], self._method)
            data, start = data[end:], 0
            if found.status >= 200:
                self._partial = b""
                self._begin_body(found, data)
                return
            self._interim += 1
            self.invited |= found.status == 100
            if found.status == 101 or self._interim > MOST_INTERIM:
                raise _improper(f"status {found.status}, answer {self._interim}")
        if len(data) > head.LONGEST_HEAD:
            raise _improper(f"a head above {head.LONGEST_HEAD} bytes")
        self._partial = data

    def _begin_body(self, found: Head, data: bytes) -> None:
        self.head = found
        self._left = found.length
        if found.chunked:
            self._decoder = Decoder()
        if data or not self._left:
            self._feed_body(data)

    def _feed_body(self, data: bytes) -> None:
        if self.ended:
            self.surplus = True
            return
        if self._decoder is not None:
            data = self._decoder.feed(data)
            self.ended, self.surplus = self._decoder.ended, self._decoder.surplus
        elif self._left is not None:
            if len(data) > self._left:
                data, self.surplus = data[: self._left], True
            self._left -= len(data)
            self.ended = not self._left
        if data:
            self._pieces.append(data)
            self._buffered += len(data)


def _improper(detail: str) -> BackendFailed:
    return BackendFailed("the storage did not answer properly", detail=detail)
