"""What comes in through a door and what goes out again.

Neither knows the web framework: a door turns its request into a DavRequest and a DavAnswer into its
response, header by header, and stops the connection when the body's iterator raises.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape
from typing import Protocol

from multidict import CIMultiDictProxy

from gateway.upstream.sending import Poured

Headers = tuple[tuple[str, str], ...]

XML = "application/xml; charset=utf-8"
DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'


@dataclass(frozen=True, slots=True)
class DavRequest:
    """A request that a door has authorized.

    headers: as received; what may travel on is decided by `dav.headers`.
    body: None when there is none; of a PUT it may be one that pours itself.
    content_length: None when it was not announced.
    slash: whether the request target ended in a slash.
    """

    method: str
    headers: CIMultiDictProxy[str]
    body: AsyncIterator[bytes] | Poured | None = None
    content_length: int | None = None
    slash: bool = False


class Descriptor(Protocol):
    """Whatever has a file descriptor."""

    def fileno(self) -> int:
        """The descriptor."""


class Lender(Protocol):
    """A reply that lends out the socket with the rest of its body; see `upstream.reply.Reply`."""

    @property
    def length(self) -> int | None:
        """Bytes still to come."""

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """What was not taken."""

    def take(self) -> tuple[bytes, Descriptor | None]:
        """What is here, and the socket, if it may be had."""

    def give_back(self, *, clean: bool) -> None:
        """The socket is no longer needed."""


@dataclass(frozen=True, slots=True)
class DavAnswer:
    """What the client gets.

    Content-Length is not among the headers: it is `length`, None when unknown. For HEAD and 304 the
    body is empty whatever the length. A body that is an iterator raises GatewayError when the
    storage fails half-way; the response must then be cut off, never ended. `source` is where an
    unchanged body comes from, for those who can take it from there by themselves.
    """

    status: int
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = 0
    source: Lender | None = None


def document(status: int, body: bytes, headers: Headers = ()) -> DavAnswer:
    """An answer that is one XML document."""
    return DavAnswer(status, (("Content-Type", XML), *headers), body, len(body))


def failure(status: int, message: str, *, condition: str = "", headers: Headers = ()) -> DavAnswer:
    """An answer that says no, as a DAV:error document (RFC 4918 14.5, 16).

    `condition` is the local name of a precondition; `message` is where sabre's clients look for it.
    """
    element = f"<d:{condition}/>" if condition else ""
    text = (
        '<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">'
        f"{element}<s:exception/><s:message>{escape(message, quote=False)}</s:message></d:error>"
    )
    return document(status, DECLARATION + text.encode(), headers)
