"""Load, from clients that cost little themselves: all on 127.0.0.1, all bounded in time.

Whatever is not the expected answer makes the measurement Unusable.
"""

import asyncio
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.programs import Unusable, require

_PATIENCE_SECONDS = 60
_CHUNK = 1 << 20
_HEAD_LIMIT = 1 << 16

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes


def usual_headers(token: str) -> Headers:
    """Ten header fields, Host included (it is added with the port)."""
    return {
        "Authorization": f"Bearer {token}",
        "User-Agent": "Mozilla/5.0 (Linux) mirall/3.13.0 (Nextcloud, debian)",
        "Accept": "*/*",
        "Accept-Language": "en-GB,en;q=0.8,de;q=0.5",
        "Accept-Encoding": "gzip, deflate",
        "Cache-Control": "no-cache",
        "X-Forwarded-For": "192.0.2.17",
        "X-Forwarded-Proto": "https",
        "X-Request-ID": "7d9b6c0e-5f6f-4b6c-9d0b-2f1f6f6f1c55",
    }


def request(method: str, port: int, path: str, headers: Headers, body: bytes = b"") -> bytes:
    """A request, ready for the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if body:
        lines += f"Content-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode() + body


def wrk(port: int, path: str, headers: Headers, *, connections: int, seconds: int) -> int:
    """As many GETs as go in some seconds (closed loop); how many there were."""
    fields = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    options = f"-t1 -c{connections} -d{seconds}s --timeout 20s".split()
    done = subprocess.run(
        [require("wrk"), *options, *fields, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        timeout=seconds + _PATIENCE_SECONDS,
        check=False,
    )
    counted = re.search(r"(\d+) requests in", done.stdout)
    wrong = re.search(r"(Non-2xx|Socket errors).*", done.stdout)
    if done.returncode or wrong or not counted or int(counted[1]) == 0:
        raise Unusable(f"wrk: {wrong[0] if wrong else done.stdout + done.stderr}")
    return int(counted[1])


def ask(port: int, raw: bytes) -> Answer:
    """One request on a connection of its own, for an answer with a Content-Length."""
    with _connected(port) as connection:
        connection.sendall(raw)
        status, length, body = _head(connection)
        while len(body) < length and (more := connection.recv(_CHUNK)):
            body += more
    return Answer(status, body)


def download(port: int, path: str, headers: Headers, size: int) -> None:
    """GET a file of `size` bytes and throw it away in the kernel, without a copy (MSG_TRUNC)."""
    scratch = bytearray(_CHUNK)
    with _connected(port) as connection:
        connection.sendall(request("GET", port, path, headers))
        status, length, begun = _head(connection)
        if status != 200 or length != size:
            raise Unusable(f"GET: {status}, {length} bytes")
        left = size - len(begun)
        while left > 0:
            got = connection.recv_into(scratch, min(left, _CHUNK), socket.MSG_TRUNC)
            if got == 0:
                raise Unusable(f"GET: {left} bytes are missing")
            left -= got


def upload(port: int, path: str, headers: Headers, file: Path) -> None:
    """PUT a file, with sendfile."""
    size = file.stat().st_size
    with _connected(port) as connection, file.open("rb") as opened:
        length = {"Content-Length": str(size)}
        connection.sendall(request("PUT", port, path, headers | length))
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), opened.fileno(), sent, size - sent)
        status, _, body = _head(connection)
        if status not in {201, 204}:
            raise Unusable(f"PUT: {status} {body[:300]!r}")


def each(port: int, raw: Sequence[bytes], expected: int, *, connections: int = 4) -> None:
    """Every request once, on a few connections, as fast as they are answered."""
    asyncio.run(asyncio.wait_for(_each(port, raw, expected, connections), _PATIENCE_SECONDS))


def paced(port: int, raw: bytes, *, rate: int, seconds: float, connections: int) -> list[float]:
    """The same GET `rate` times a second, whatever the answers take (open loop).

    Returns the latencies in seconds, sorted, counted from when each request was due.
    """
    running = _paced(port, raw, rate, round(rate * seconds), connections)
    return sorted(asyncio.run(asyncio.wait_for(running, seconds + _PATIENCE_SECONDS)))


def seconds_of(work: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def flood(
    port: int, raw: Sequence[bytes], *, rate: int, connections: int
) -> list[tuple[int, float]]:
    """Every request once, `rate` a second, whatever the answers are and take (open loop).

    Returns each status with its latency in seconds, counted from when the request was sent.
    """
    running = _flood(port, raw, rate, connections)
    return asyncio.run(asyncio.wait_for(running, len(raw) / rate + _PATIENCE_SECONDS))


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _each(port: int, raw: Sequence[bytes], expected: int, connections: int) -> None:
    waiting = iter(raw)

    async def work() -> None:
        connection = await asyncio.open_connection("127.0.0.1", port)
        for one in waiting:
            await _exchange(connection, one, expected)
        connection[1].close()

    await asyncio.gather(*(work() for _ in range(connections)))


async def _paced(port: int, raw: bytes, rate: int, count: int, connections: int) -> list[float]:
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    for connection in opened:
        idle.put_nowait(connection)
    latencies = []

    async def one(connection: Connection, due: float) -> None:
        await _exchange(connection, raw, 200)
        latencies.append(time.monotonic() - due)
        idle.put_nowait(connection)

    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            due = start + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(one(await idle.get(), due))
    for _, writer in opened:
        writer.close()
    return latencies


async def _flood(
    port: int, raw: Sequence[bytes], rate: int, connections: int
) -> list[tuple[int, float]]:
    idle: asyncio.Queue[Connection | None] = asyncio.Queue()
    for _ in range(connections):
        idle.put_nowait(None)
    found = []

    async def one(connection: Connection | None, request: bytes) -> None:
        reader, writer = connection or await asyncio.open_connection("127.0.0.1", port)
        sent = time.monotonic()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, length = _read_head(head)
        await reader.readexactly(length)
        found.append((status, time.monotonic() - sent))
        ends = b"connection: close" in head.lower()
        if ends:
            writer.close()
        idle.put_nowait(None if ends else (reader, writer))

    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number, request in enumerate(raw):
            due = start + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(one(await idle.get(), request))
    while not idle.empty():
        if connection := idle.get_nowait():
            connection[1].close()
    return found


async def _exchange(connection: Connection, raw: bytes, expected: int) -> None:
    reader, writer = connection
    writer.write(raw)
    status, length = _read_head(await reader.readuntil(b"\r\n\r\n"))
    body = await reader.readexactly(length)
    if status != expected:
        raise Unusable(f"answered {status} {body[:300]!r}")


def _connected(port: int) -> socket.socket:
    """A blocking socket; the kernel watches the time, which costs fewer calls than Python."""
    connection = socket.create_connection(("127.0.0.1", port))
    patience = struct.pack("ll", _PATIENCE_SECONDS, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
    return connection


def _head(connection: socket.socket) -> tuple[int, int, bytes]:
    """Status and length of an answer, and what has come of its body."""
    read = b""
    while b"\r\n\r\n" not in read:
        more = connection.recv(_HEAD_LIMIT)
        if not more or len(read) > _HEAD_LIMIT:
            raise Unusable("the connection ended before the answer began")
        read += more
    head, _, begun = read.partition(b"\r\n\r\n")
    return *_read_head(head + b"\r\n"), begun


def _read_head(head: bytes) -> tuple[int, int]:
    status = int(head[9:12])
    found = re.search(rb"\r\ncontent-length:[ ]*(\d+)\r\n", head, re.IGNORECASE)
    if not found and status != 204:
        raise Unusable(f"an answer without a length: {head[:300]!r}")
    return status, int(found[1]) if found else 0
