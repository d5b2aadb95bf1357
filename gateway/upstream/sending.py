"""Sending one request over a connection: what frames its body, the body itself, early answers.

1. A body of announced length is counted; one that turns out shorter, or fails, is never ended: the
   connection breaks, and the storage sees a broken upload.
2. A refusal that comes while the body is still on its way is delivered at once. A success is not
   believed before all of the body has gone out.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.errors import BackendFailed, Malformed
from gateway.upstream import chunked
from gateway.upstream.connection import Connection
from gateway.upstream.head import Head

INVITATION_SECONDS = 20.0
"""How long a body waits to be let in. XRootD takes five to place a new file."""

_OURS = ("Transfer-Encoding", "Connection", "Upgrade", "Expect")
_EMPTY = (("Content-Length", "0"),)
_NEVER_A_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Poured:
    """A body of known length whose giver writes it to the socket itself. Not under TLS.

    first: what is here already, sent with the head. length: all of it, `first` included.
    pour: writes exactly the other bytes to the socket, or raises.
    """

    first: bytes
    length: int
    pour: Callable[[socket.socket], Awaitable[object]]


Body = bytes | AsyncIterator[bytes] | Poured | None


def framing(
    method: str, headers: CIMultiDict[str] | CIMultiDictProxy[str], body: Body
) -> tuple[tuple[str, str], ...]:
    """The fields to add so that the storage knows where the body ends (RFC 9112 6).

    Raises Malformed for fields that say otherwise.
    """
    if any(name in headers for name in _OURS):
        raise Malformed("the request has fields that belong to one connection")
    announced = headers.getall("Content-Length", ())
    known = _known_length(body)
    if known is None:
        if not announced:
            return (("Transfer-Encoding", "chunked"),)
        if len(announced) > 1 or not (announced[0].isascii() and announced[0].isdigit()):
            raise Malformed("the Content-Length is malformed")
        return ()
    if announced:
        if list(announced) != [str(known)]:
            raise Malformed("the body has another length than announced")
        return ()
    if known:
        return (("Content-Length", str(known)),)
    return () if method in _NEVER_A_BODY else _EMPTY


def _known_length(body: Body) -> int | None:
    match body:
        case None:
            return 0
        case bytes():
            return len(body)
        case Poured():
            return body.length
        case _:
            return None


async def ask(
    connection: Connection,
    head: bytes,
    body: Body,
    announced: int | None,
    *,
    invited: bool = False,
) -> Head:
    """Send a request and return the head of the answer.

    `announced` is the Content-Length of an iterated body. A body that is to be `invited` is not
    touched when the answer comes before it. Raises what `Connection.head` does, and what the body
    raises. The caller closes the connection after a failure.
    """
    if body is None or isinstance(body, bytes):
        connection.write(head + body if body else head)
        return await connection.head()
    if invited:
        connection.write(head)
        head = b""
        if (refusal := await _uninvited(connection)) is not None:
            connection.spend()
            return refusal
    # Also what is answered to an upload that breaks is read from it.
    lent = connection.lend() if connection.plain and not connection.closing else None
    if isinstance(body, Poured):
        sending = _pour(connection, head, body, lent)
    else:
        if head:
            connection.write(head)
        sending = _send(connection, body, announced)
    upload = asyncio.ensure_future(sending)
    upload.add_done_callback(lambda _: connection.wake())
    try:
        return await _answer(connection, upload)
    finally:
        if not upload.done():
            upload.cancel()
            await asyncio.wait((upload,))
        if upload.cancelled() or upload.exception() is not None:
            connection.spend()
        connection.unlend()


async def _uninvited(connection: Connection) -> Head | None:
    """What was answered instead of an invitation. Old storages never invite: they get the body
    after a while (RFC 9110 10.1.1)."""
    answer = connection.answer
    with suppress(TimeoutError):
        async with asyncio.timeout(INVITATION_SECONDS):
            while answer.head is None and not answer.invited:
                await connection.wait(patiently=True)
    if answer.head is not None and answer.head.status < 300:
        raise BackendFailed("the storage answered an upload before its body")
    return answer.head


async def _answer(connection: Connection, upload: asyncio.Future[None]) -> Head:
    answer = connection.answer
    while answer.head is None and not upload.done():
        await connection.wait(patiently=True)
    if answer.head is None and connection.closing:
        await connection.head()  # the storage hung up; why, it may have said before
    if answer.head is not None and answer.head.status >= 300:
        return answer.head
    await upload
    found = await connection.head()
    await connection.flush()
    return found


async def _send(connection: Connection, body: AsyncIterator[bytes], announced: int | None) -> None:
    sent = 0
    async for piece in body:
        sent += len(piece)
        if announced is None:
            connection.write(chunked.encode(piece))
        elif sent <= announced:
            connection.write(piece)
        else:
            raise _other_length()
        await connection.drain()
    if announced is None:
        connection.write(chunked.LAST)
    elif sent != announced:
        raise _other_length()


async def _pour(
    connection: Connection, head: bytes, body: Poured, lent: socket.socket | None
) -> None:
    if not connection.plain:
        raise ValueError("a body cannot be poured into TLS")
    connection.write(head + body.first)
    await connection.flush()
    assert lent is not None, "a closed connection is not written to"
    await body.pour(lent)


def _other_length() -> Malformed:
    return Malformed("the body has another length than announced")
