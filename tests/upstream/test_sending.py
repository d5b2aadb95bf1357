import asyncio
import contextlib
import re
import socket
import threading

import pytest

from gateway.errors import BackendFailed, BackendTimeout, BackendUnavailable, Malformed
from gateway.upstream.sending import Poured
from tests.upstream.scripted import descriptors, scripted, settled, whole

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"


class Stored:
    """A storage that takes uploads, and remembers how each ended."""

    def __init__(self):
        self.bodies = []
        self.whole = []
        self.ended = asyncio.Event()

    async def __call__(self, caller):
        while True:
            head = await caller.request()
            body = bytearray()
            self.bodies.append(body)
            try:
                length = re.search(rb"Content-Length: (\d+)", head)
                if length:
                    while len(body) < int(length[1]):
                        body += await self.some(caller)
                else:
                    while size := int(await caller.reader.readline(), 16):
                        body += await caller.reader.readexactly(size)
                        await caller.reader.readexactly(2)
                    await caller.reader.readexactly(2)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                self.whole.append(False)
                self.ended.set()
                return
            self.whole.append(True)
            self.ended.set()
            await caller.say(CREATED)

    async def some(self, caller):
        data = await caller.reader.read(65536)
        if not data:
            raise ConnectionError
        return data


async def put(pool, url, body, length=None, **options):
    headers = {} if length is None else {"Content-Length": str(length)}
    async with pool.request("PUT", url, headers=headers, body=body, **options) as reply:
        return reply.status, await whole(reply)


async def pieces(*parts, pause=0.0, fault=None):
    for part in parts:
        yield part
        await asyncio.sleep(pause)
    if fault is not None:
        raise fault


@pytest.mark.parametrize("announced", [True, False])
async def test_an_upload_arrives_as_it_was(pool, announced):
    parts = [bytes([n]) * (n * 1000) for n in range(100)]
    data = b"".join(parts)
    stored = Stored()
    async with scripted(stored) as storage:
        for _ in range(2):
            assert (await put(pool, storage.url, pieces(*parts), len(data) * announced or None))[
                0
            ] == 201
    assert stored.bodies == [data, data]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("fault", [ConnectionResetError("gone"), Malformed("cut")])
async def test_an_upload_that_fails_is_never_ended(pool, announced, fault):
    stored = Stored()
    before = descriptors()
    async with scripted(stored) as storage:
        body = pieces(b"x" * 500_000, b"y", fault=fault)
        with pytest.raises(type(fault)):
            await put(pool, storage.url, body, 500_002 if announced else None)
        await asyncio.wait_for(stored.ended.wait(), 2)
    assert stored.whole == [False]
    assert await settled(before)


@pytest.mark.parametrize("announced", [9, 11])
async def test_an_upload_of_another_length_is_never_ended(pool, announced):
    stored = Stored()
    async with scripted(stored) as storage:
        with pytest.raises(Malformed):
            await put(pool, storage.url, pieces(b"hello", b"hello"), announced)
        await asyncio.wait_for(stored.ended.wait(), 2)
    assert stored.whole == [False]
    assert len(stored.bodies[0]) < announced


@pytest.mark.parametrize("value", [" ", "x", "-1", "1, 1"])
async def test_a_strange_length_is_refused(pool, value):
    with pytest.raises(Malformed):
        await put(pool, "http://127.0.0.1:1/", pieces(b"a"), value)


@pytest.mark.parametrize("close", [True, False])
async def test_a_refusal_is_delivered_while_the_upload_goes_on(pool, close):
    async def script(caller):
        await caller.request()
        await caller.reader.read(10)
        await caller.say(TOO_LARGE)
        if not close:
            await caller.reader.read()

    async def endless():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.005)

    before = descriptors()
    async with scripted(script) as storage:
        async with asyncio.timeout(2):
            assert await put(pool, storage.url, endless(), 10**9) == (413, b"big")
        assert not any(pool._idle.values())
    assert await settled(before)


async def test_a_refusal_is_heard_though_the_storage_hangs_up_at_once(pool):
    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(100)
                connection.sendall(TOO_LARGE)
                connection.close()  # with bytes unread: a reset follows

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for _ in range(50):
            body = pieces(*[b"x" * 65536] * 100)
            assert await put(pool, url, body, 6_553_600) == (413, b"big")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_a_refusal_is_delivered_while_the_client_is_silent(pool):
    async def script(caller):
        await caller.request()
        await caller.say(TOO_LARGE)
        await caller.reader.read()

    async def silent():
        await asyncio.sleep(30)
        yield b"x"

    async with scripted(script) as storage, asyncio.timeout(2):
        assert await put(pool, storage.url, silent(), 10) == (413, b"big")


async def test_a_refusal_is_delivered_while_the_storage_reads_nothing(pool):
    async def script(caller):
        await caller.request()
        caller.reader._transport.pause_reading()
        await asyncio.sleep(0.1)
        await caller.say(TOO_LARGE)
        await asyncio.sleep(5)

    async with scripted(script) as storage, asyncio.timeout(2):
        body = pieces(*[b"x" * 100_000] * 200)
        assert await put(pool, storage.url, body, 20_000_000) == (413, b"big")


async def test_a_success_is_not_believed_before_the_upload_is_done(pool):
    async def script(caller):
        await caller.request()
        await caller.say(CREATED)
        await caller.reader.read()

    async with scripted(script) as storage:
        fault = ConnectionResetError("gone")
        with pytest.raises(ConnectionResetError):
            await put(pool, storage.url, pieces(b"x", b"y", pause=0.02, fault=fault), 3)


async def test_a_success_of_a_storage_that_stopped_reading_is_none(pool):
    async def script(caller):
        await caller.request()
        await caller.say(CREATED)

    async with scripted(script) as storage:
        with pytest.raises((BackendFailed, BackendUnavailable)):
            await put(pool, storage.url, pieces(*[b"x" * 100_000] * 100, pause=0.001), 10_000_000)


async def test_an_early_success_counts_once_everything_is_sent(pool):
    stored = []

    async def script(caller):
        await caller.request()
        await caller.say(CREATED)
        stored.append(await caller.reader.readexactly(4))
        await caller.reader.read()

    async with scripted(script) as storage:
        assert await put(pool, storage.url, pieces(b"ab", b"cd", pause=0.03), 4) == (201, b"")
    assert stored == [b"abcd"]


async def test_a_storage_that_hangs_up_in_the_middle_is_a_failure(pool):
    async def script(caller):
        await caller.request()
        await caller.reader.read(10)
        caller.cut()

    async with scripted(script) as storage:
        for length in (10_000_000, None):
            body = pieces(*[b"x" * 100_000] * 100, pause=0.001)
            with pytest.raises((BackendFailed, BackendUnavailable)):
                await put(pool, storage.url, body, length)


async def test_a_silent_client_does_not_make_the_storage_slow(pool):
    stored = Stored()
    async with scripted(stored) as storage:
        body = pieces(b"a", b"b", pause=0.3)
        assert (await put(pool, storage.url, body, 2, idle_seconds=0.15))[0] == 201


async def test_a_storage_that_takes_nothing_is_a_timeout(pool):
    async def script(caller):
        await caller.request()
        caller.reader._transport.pause_reading()
        await asyncio.sleep(5)

    async with scripted(script) as storage:
        for body in (pieces(*[b"x" * 100_000] * 200), b"x" * 20_000_000):
            with pytest.raises(BackendTimeout):
                await put(pool, storage.url, body, 20_000_000, idle_seconds=0.15)


async def test_a_cancelled_upload_is_never_ended(pool):
    stored = Stored()
    before = descriptors()
    async with scripted(stored) as storage:
        for length in (10, None):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await put(pool, storage.url, pieces(b"x", b"y", pause=1), length)
        async with asyncio.timeout(2):
            while len(stored.whole) < 2:
                await asyncio.sleep(0.01)
    assert stored.whole == [False, False]
    assert await settled(before)


async def test_the_socket_is_lent_once_the_head_is_out(pool):
    stored = Stored()
    data = b"first" + b"rest" * 1000

    async def pour(descriptor):
        with socket.socket(fileno=socket.dup(descriptor.fileno())) as sock:
            sock.send(data[5:])

    async with scripted(stored) as storage:
        for _ in range(2):
            assert (await put(pool, storage.url, Poured(b"first", len(data), pour)))[0] == 201
    assert stored.bodies == [data, data]


async def test_what_was_with_the_head_is_out_before_the_socket_is_lent(pool):
    stored = Stored()
    first = b"f" * 30_000_000

    async def pour(descriptor):
        with socket.socket(fileno=socket.dup(descriptor.fileno())) as sock:
            while True:
                try:
                    sock.send(b"!")
                    return
                except BlockingIOError:
                    await asyncio.sleep(0.01)

    async with scripted(stored) as storage:
        assert (await put(pool, storage.url, Poured(first, len(first) + 1, pour)))[0] == 201
    assert stored.bodies == [first + b"!"]


async def test_a_refusal_stops_the_pouring(pool):
    stopped = asyncio.Event()

    async def script(caller):
        await caller.request()
        await caller.say(TOO_LARGE)
        await caller.reader.read()

    async def pour(_):
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    async with scripted(script) as storage, asyncio.timeout(2):
        assert await put(pool, storage.url, Poured(b"", 10, pour)) == (413, b"big")
    assert stopped.is_set()
    assert not any(pool._idle.values())


async def test_a_pouring_that_fails_is_never_ended(pool):
    stored = Stored()

    async def pour(_):
        raise ConnectionResetError("gone")

    async with scripted(stored) as storage:
        with pytest.raises(ConnectionResetError):
            await put(pool, storage.url, Poured(b"abc", 10, pour))
        await asyncio.wait_for(stored.ended.wait(), 2)
    assert stored.whole == [False]
