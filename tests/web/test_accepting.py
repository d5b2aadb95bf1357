"""Listening: where that cannot be, the reason is told."""

import socket

import pytest

from gateway.app import listening
from tests.sharing.stage import opened, peer, storage

__all__ = ["opened", "peer", "storage"]


async def test_a_port_that_is_taken_is_said_to_be(opened):
    gateway = await opened(listens=False)
    host, _, port = gateway.settings.public.listen.rpartition(":")
    with socket.create_server((host, int(port))), pytest.raises(OSError, match="in use"):
        async with listening(gateway):
            pass
    async with listening(gateway):
        socket.create_connection((host, int(port)), 5).close()
