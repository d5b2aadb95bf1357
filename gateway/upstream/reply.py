"""A storage's answer, as the rest of the house sees it."""

import socket
from collections.abc import AsyncIterator
from typing import Self

from multidict import CIMultiDictProxy

from gateway.upstream.connection import Connection
from gateway.upstream.head import Head


class Reply:
    """An answer whose head has arrived. The body comes as it was sent, once."""

    __slots__ = ("_connection", "headers", "status")

    def __init__(self, found: Head, connection: Connection) -> None:
        self.status = found.status
        self.headers: CIMultiDictProxy[str] = found.headers
        self._connection = connection

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body, which raises BackendFailed or BackendTimeout rather than end early."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._connection.piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    @property
    def length(self) -> int | None:
        """Bytes of the body still to come, or None where nobody knows."""
        return self._connection.answer.length

    @property
    def ready(self) -> int:
        """Bytes of the body that are here."""
        return self._connection.answer.ready

    def take(self) -> tuple[bytes, socket.socket | None]:
        """The body's bytes that are here, and the socket where the next `length` are to be had.

        Without a socket, `chunks` goes on: nothing is missing, or the length is unknown, or there
        is TLS. With one, `give_back` says that exactly those bytes have been read.
        """
        return self._connection.take()

    def give_back(self, *, clean: bool) -> None:
        """Return the socket; not `clean` when it was read differently, which ends it."""
        self._connection.give_back(clean=clean)
