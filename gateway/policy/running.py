"""Transfers that run, and ending those that could not begin any more.

A transfer is decided when it begins, and a large one runs for an hour. So each one is on this list
while it runs, with the question whether it may go on. That is asked when the policy or a decision
about a server changed, when a share ended, and every second, because shares expire. The connection
of one that may not is shut down. That works for bytes that move in the kernel too, since a
shut-down socket ends every copy of its descriptor.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from gateway import metrics
from gateway.errors import GatewayError
from gateway.logs import event

_SECONDS = 1

MayGoOn = Callable[[str], Awaitable[bool]]
"""Whether a share, by its id, admits what runs."""


class Running:
    """The transfers that run in this process."""

    def __init__(self) -> None:
        self._transfers: dict[int, tuple[asyncio.Transport, str, MayGoOn]] = {}
        self._count = 0

    @contextmanager
    def transfer(
        self, transport: asyncio.Transport | None, share: str, may_go_on: MayGoOn
    ) -> Iterator[None]:
        """On the list inside the block; `transport` leads to the client."""
        if transport is None:
            yield
            return
        self._count = number = self._count + 1
        self._transfers[number] = transport, share, may_go_on
        try:
            yield
        finally:
            del self._transfers[number]

    async def work(self) -> None:
        """Review again and again, until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            await self.review()

    async def review(self) -> None:
        """End what may not go on."""
        for number, (transport, share, may_go_on) in list(self._transfers.items()):
            try:
                goes_on = await may_go_on(share)
            except GatewayError:  # it could not be told; then it is told next time
                continue
            if not goes_on and number in self._transfers:
                metrics.policy_cut.inc()
                event("transfer.cut", level="warning", share=share)
                _shut_down(transport)


def _shut_down(transport: asyncio.Transport) -> None:
    """End a connection, under the hands of whoever uses its socket."""
    held = transport.get_extra_info("socket")
    if held is None or transport.is_closing():
        return
    try:
        with socket.socket(fileno=os.dup(held.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)
    except OSError:
        transport.abort()
