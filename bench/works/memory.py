"""Memory while 64 slow clients fetch 1 GiB each: nobody may buffer what they do not take.

They read 64 KiB each, sixteen times a second, for some seconds; nobody waits for the whole GiB.
The memory is the process's (RSS); what lies in sockets and pipes belongs to the kernel.
"""

import contextlib
import socket
import time

from bench import load
from bench.field import Field
from bench.programs import Program, Unusable
from bench.rounds import Row, Work, behind, spread

_GOAL = 150.0
_CLIENTS = 64
_BITE = 64 << 10
_PAUSE_SECONDS = 1 / 16
_SECONDS = 6


def measure(field: Field, program: Program) -> float:
    """The highest number of bytes seen."""
    raw = load.request("GET", program.port, field.path("big"), field.headers)
    until = time.monotonic() + (3 if field.quick else _SECONDS)
    highest = 0
    with contextlib.ExitStack() as stack:
        clients = {stack.enter_context(_client(program.port, raw)): 0 for _ in range(_CLIENTS)}
        while time.monotonic() < until:
            for client in clients:
                clients[client] += _bite(client)
            highest = max(highest, program.memory())
            time.sleep(_PAUSE_SECONDS)
        if min(clients.values()) < _BITE:
            raise Unusable("a slow client got nothing")
    return highest


def rows(field: Field) -> list[Row]:
    """Each time a gateway of its own: what others have left in memory is not for this row."""
    figures: list[float] = []
    for _ in range(field.rounds):
        with field.installation.serving("gateway afresh") as gateway:
            figures.append(measure(field, gateway))
    rivals = {rival.name: [measure(field, rival)] for rival in (field.nginx, field.haproxy)}
    measured = spread([figure / 1e6 for figure in figures])
    text = behind({"gateway": figures} | rivals, 1e-6, "MB")
    return [Row("Memory, 1 GiB to 64 slow clients", "MB", _GOAL, measured, text)]


def _client(port: int, raw: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BITE)
    client.connect(("127.0.0.1", port))
    client.sendall(raw)
    client.setblocking(False)
    return client


def _bite(client: socket.socket) -> int:
    try:
        got = client.recv(_BITE)
    except BlockingIOError:
        return 0
    if not got:
        raise Unusable("a slow client was cut off")
    return len(got)


WORK = Work("memory", rows, measure)
