import asyncio
import contextlib
import errno
import fcntl
import hashlib
import random
import socket

import pytest

from gateway.errors import BackendFailed, BackendTimeout, Unavailable
from gateway.upstream import splice
from gateway.upstream.sending import Poured
from gateway.upstream.splice import Splicer, client_end, storage_end
from tests import servers
from tests.upstream.scripted import descriptors, ok, scripted, settled, whole
from tests.upstream.test_pool import basic
from tests.upstream.test_sending import Stored

pytestmark = pytest.mark.skipif(not splice.available(), reason="this system has no splice(2)")


@contextlib.contextmanager
def connected():
    """Two ends of a TCP connection, neither of which blocks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


@pytest.fixture
def pair():
    with connected() as ends:
        yield ends


@pytest.fixture
def another():
    with connected() as ends:
        yield ends


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def received(sock, count, pause=0.0) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        some = await loop.sock_recv(sock, 100_000)
        if not some:
            break
        data += some
        if pause:
            await asyncio.sleep(pause)
    return bytes(data)


def low_water(sock) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


@pytest.mark.parametrize("size", [1, 1000, 262_144, 262_145, 3_000_000, 30_000_000])
@pytest.mark.parametrize("pause", [0, 0.001])
async def test_every_byte_arrives_and_none_beyond(pair, another, size, pause):
    (storage, source), (sink, client) = pair, another
    loop = asyncio.get_running_loop()
    data = noise(size)
    before = descriptors()
    sending = asyncio.create_task(loop.sock_sendall(storage, data + b"next"))
    receiving = asyncio.create_task(received(client, size, pause))
    ends = storage_end(source), client_end(sink)
    assert await Splicer().move(*ends, size, idle_seconds=2) == size
    assert await receiving == data
    assert low_water(source) == 1
    assert await received(source, 4) == b"next"
    await sending
    assert await settled(before)


async def test_nothing_to_move_is_done_at_once(pair):
    assert (
        await Splicer(most=0).move(storage_end(pair[0]), client_end(pair[1]), 0, idle_seconds=1)
        == 0
    )


async def test_a_trickle_gets_through_though_it_never_fills_the_socket(pair, another):
    (storage, source), (sink, client) = pair, another
    loop = asyncio.get_running_loop()

    async def trickle():
        for byte in b"drip":
            await loop.sock_sendall(storage, bytes([byte]))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(trickle())
    ends = storage_end(source), client_end(sink)
    moving = asyncio.create_task(Splicer().move(*ends, 4, idle_seconds=5))
    assert await received(client, 4) == b"drip"
    assert await moving == 4
    await task


async def test_a_storage_that_hangs_up_is_a_failure_of_the_storage(pair, another):
    (storage, source), (sink, client) = pair, another
    storage.send(b"half")
    storage.close()
    before = descriptors()
    with pytest.raises(BackendFailed):
        await Splicer().move(storage_end(source), client_end(sink), 8, idle_seconds=2)
    assert await received(client, 4) == b"half"
    assert await settled(before)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


@pytest.mark.parametrize("hang_up", [reset, socket.socket.close])
@pytest.mark.parametrize("later", [0, 0.05])
async def test_a_storage_that_breaks_off_is_noticed_while_waiting(pair, another, hang_up, later):
    (storage, source), (sink, _) = pair, another
    asyncio.get_running_loop().call_later(later, hang_up, storage)
    async with asyncio.timeout(2):
        with pytest.raises(BackendFailed):
            await Splicer().move(storage_end(source), client_end(sink), 8, idle_seconds=5)


@pytest.mark.parametrize("hang_up", [reset, socket.socket.close])
@pytest.mark.parametrize("fill", [0, 50_000_000])
async def test_a_client_that_vanishes_is_noticed_though_nothing_moves(pair, another, hang_up, fill):
    (storage, source), (sink, client) = pair, another
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(storage, b"x" * fill))
    loop.call_later(0.1, hang_up, client)
    async with asyncio.timeout(2):
        with pytest.raises(ConnectionError):
            await Splicer().move(storage_end(source), client_end(sink), 10**9, idle_seconds=5)
    sending.cancel()
    assert low_water(source) == 1


async def test_silence_is_told_of_the_side_that_is_silent(pair, another):
    (storage, source), (sink, _client) = pair, another
    with pytest.raises(BackendTimeout):
        await Splicer().move(storage_end(source), client_end(sink), 8, idle_seconds=0.1)
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(storage, b"x" * 50_000_000))
    with pytest.raises(ConnectionError):
        await Splicer().move(storage_end(source), client_end(sink), 50_000_000, idle_seconds=0.4)
    sending.cancel()


async def test_a_cancelled_transfer_leaves_nothing_behind(pair, another):
    (storage, source), (sink, _) = pair, another
    before = descriptors()
    splicer = Splicer(most=1)
    storage.send(b"x" * 100_000)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await splicer.move(storage_end(source), client_end(sink), 10**9, idle_seconds=5)
        assert splicer.free
        assert low_water(source) == 1
        assert descriptors() == before


async def test_no_more_pipes_than_allowed(pair, another):
    (_, source), (sink, _) = pair, another
    splicer = Splicer(most=1)
    ends = storage_end(source), client_end(sink)
    moving = asyncio.create_task(splicer.move(*ends, 10, idle_seconds=5))
    await asyncio.sleep(0)
    assert not splicer.free
    with pytest.raises(Unavailable):
        await splicer.move(*ends, 10, idle_seconds=5)
    moving.cancel()
    await asyncio.wait((moving,))
    assert splicer.free


async def test_a_small_pipe_will_do(pair, another, monkeypatch):
    (storage, source), (sink, client) = pair, another
    real = fcntl.fcntl

    def refusing(descriptor, command, *argument):
        if command == fcntl.F_SETPIPE_SZ:
            raise OSError(errno.EPERM, "too many pipe pages")
        return real(descriptor, command, *argument)

    monkeypatch.setattr(fcntl, "fcntl", refusing)
    data = noise(3_000_000)
    sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(storage, data))
    receiving = asyncio.create_task(received(client, len(data)))
    await Splicer().move(storage_end(source), client_end(sink), len(data), idle_seconds=2)
    assert await receiving == data
    await sending


async def test_a_closed_socket_is_told_of_its_side(pair, another):
    (_, source), (sink, _) = pair, another
    before = descriptors()
    source.close()
    with pytest.raises(BackendFailed):
        await Splicer().move(storage_end(source), client_end(sink), 8, idle_seconds=2)
    assert descriptors() == before - 1


async def test_many_transfers_share_the_loop():
    loop = asyncio.get_running_loop()
    splicer = Splicer()
    before = descriptors()

    async def one(number):
        with contextlib.ExitStack() as stack:
            storage, source = stack.enter_context(connected())
            sink, client = stack.enter_context(connected())
            data = noise(2_000_000 + number)
            sending = asyncio.create_task(loop.sock_sendall(storage, data))
            receiving = asyncio.create_task(received(client, len(data), 0.001 * (number % 2)))
            ends = storage_end(source), client_end(sink)
            await splicer.move(*ends, len(data), idle_seconds=5)
            assert await receiving == data
            await sending

    await asyncio.gather(*(one(number) for number in range(20)))
    assert await settled(before)


async def relay(pool, url, sink, splicer, **options) -> tuple[int, bool]:
    """Answer a client as a proxy would: what is here by copy, the rest in the kernel."""
    loop = asyncio.get_running_loop()
    async with pool.request("GET", url, **options) as reply:
        length = reply.length
        here, source = reply.take()
        await loop.sock_sendall(sink, here)
        if source is None:
            async for chunk in reply.chunks:
                await loop.sock_sendall(sink, chunk)
        else:
            assert reply.length == length - len(here)
            ends = storage_end(source), client_end(sink)
            await splicer.move(*ends, reply.length, idle_seconds=5)
            reply.give_back(clean=True)
        return length, source is not None


@pytest.mark.parametrize("size", [10, 100_000, 20_000_000])
async def test_a_lent_socket_goes_on_serving(pool, another, size):
    sink, client = another
    data = noise(size)

    async def script(caller):
        while True:
            await caller.request()
            await caller.say(ok(data))

    before = descriptors()
    async with scripted(script) as storage:
        for _ in range(3):
            receiving = asyncio.create_task(received(client, size))
            length, _ = await relay(pool, storage.url, sink, Splicer())
            assert length == size
            assert await receiving == data
        assert storage.connections == 1
    await pool.close()
    assert await settled(before)


async def test_a_lent_socket_that_is_not_given_back_closes(pool):
    async def script(caller):
        await caller.request()
        await caller.say(ok(b"x" * 10_000_000))

    before = descriptors()
    async with scripted(script) as storage:
        for clean in (None, False):
            async with pool.request("GET", storage.url) as reply:
                _, source = reply.take()
                assert source is not None
                if clean is not None:
                    reply.give_back(clean=clean)
                    with pytest.raises(BackendFailed):
                        await whole(reply)
        assert not any(pool._idle.values())
    assert await settled(before)


async def test_bytes_behind_a_spliced_body_cost_the_connection(pool, another):
    sink, client = another
    data = noise(5_000_000)

    async def script(caller):
        await caller.request()
        await caller.say(ok(data) + ok(b"evil"))
        await caller.reader.read()

    async with scripted(script) as storage:
        for _ in range(2):
            receiving = asyncio.create_task(received(client, len(data)))
            await relay(pool, storage.url, sink, Splicer())
            assert await receiving == data
            await asyncio.sleep(0.01)
        assert storage.connections == 2


async def test_chunked_bodies_are_not_lent(pool, another):
    sink, client = another

    async def script(caller):
        await caller.request()
        await caller.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(0.02)
        await caller.say(b"3\r\ndef\r\n0\r\n\r\n")
        await caller.request()

    async with scripted(script) as storage:
        assert await relay(pool, storage.url, sink, Splicer()) == (None, False)
        assert await received(client, 6) == b"abcdef"
        assert any(pool._idle.values())


def poured(source, first, length):
    async def pour(descriptor):
        ends = client_end(source), storage_end(descriptor)
        await Splicer().move(*ends, length - len(first), idle_seconds=2)

    return Poured(first, length, pour)


async def test_uploads_go_through_the_kernel_too(pool, pair):
    client, source = pair
    loop = asyncio.get_running_loop()
    data = noise(20_000_000)
    stored = Stored()
    before = descriptors()
    async with scripted(stored) as storage:
        for _ in range(2):
            sending = asyncio.create_task(loop.sock_sendall(client, data[1000:]))
            body = poured(source, data[:1000], len(data))
            async with pool.request("PUT", storage.url, body=body) as reply:
                assert reply.status == 201
            await sending
    assert stored.bodies == [data, data]
    await pool.close()
    assert await settled(before)


async def test_a_client_that_vanishes_breaks_the_upload(pool, pair):
    client, source = pair
    client.send(b"half")
    client.close()
    stored = Stored()
    async with scripted(stored) as storage:
        with pytest.raises(ConnectionError):
            async with pool.request("PUT", storage.url, body=poured(source, b"", 10)):
                pass
        await asyncio.wait_for(stored.ended.wait(), 2)
    assert stored.whole == [False]


@pytest.mark.parametrize("end", ["stays", "closes", "resets"])
async def test_a_refusal_stops_a_spliced_upload(pool, pair, end):
    client, source = pair

    async def script(caller):
        await caller.request()
        await caller.reader.read(1000)
        await caller.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await asyncio.sleep(0.05)
        if end == "stays":
            caller.reader._transport.pause_reading()
            await asyncio.sleep(5)
        elif end == "resets":
            caller.cut()

    sending = asyncio.create_task(
        asyncio.get_running_loop().sock_sendall(client, b"x" * 30_000_000)
    )
    before = descriptors()
    async with scripted(script) as storage, asyncio.timeout(3):
        body = poured(source, b"", 30_000_000)
        async with pool.request("PUT", storage.url, body=body) as reply:
            assert (reply.status, await whole(reply)) == (413, b"big")
    sending.cancel()
    assert await settled(before)


async def test_nginx_both_ways(pool, pair, another, tmp_path):
    (sender, source), (sink, client) = pair, another
    loop = asyncio.get_running_loop()
    data = noise(40_000_000)
    with servers.nginx(tmp_path) as storage:
        url = f"{storage.url}/alice/big"
        headers = {"Authorization": basic(storage)}
        sending = asyncio.create_task(loop.sock_sendall(sender, data))
        body = poured(source, b"", len(data))
        async with pool.request("PUT", url, headers=headers, body=body) as reply:
            assert reply.status == 201
        await sending
        for _ in range(2):
            receiving = asyncio.create_task(received(client, len(data)))
            assert (await relay(pool, url, sink, Splicer(), headers=headers))[1]
            digest = hashlib.sha256(await receiving).digest()
            assert digest == hashlib.sha256(data).digest()
        await pool.close()
