"""What the gateway leans on breaks and comes back: a clear answer, then all is well again."""

import asyncio
import json
import resource
import sqlite3
import time
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import pytest
from sqlalchemy import text

from gateway.model import Permission, SentState
from gateway.sharing import outbox as outbox_module
from gateway.store import facts, sqlite
from tests.pair import eventually
from tests.peer import Answer
from tests.relay import relay_to
from tests.sharing.stage import (
    Clock,
    address,
    create_share,
    opened,
    peer,
    send_share,
    shares_of,
    storage,
    token_of,
    visit,
)

__all__ = ["opened", "peer", "storage"]

USERS = [{"name": "alice", "password": "alice-password"}]
BOTH = frozenset({Permission.READ, Permission.WRITE})


async def ready(gateway):
    """The status of /readyz, and what it says of each part."""
    url = f"http://{gateway.settings.management.listen}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, (await answer.json()).get("checks", {})


@pytest.fixture
async def relay(storage):
    async with relay_to(urlsplit(storage.url).port) as relay:
        yield relay


async def test_a_storage_that_is_down_is_503_and_comes_back(opened, storage, relay, peer):
    gateway = await opened(storage_url=relay.instead_of(storage.url))
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    assert (await ready(gateway))[0] == 200
    await relay.cut()
    for method in ("PROPFIND", "GET"):
        down = await visit(gateway, peer, share.provider_id, token, "/day.txt", method)
        assert (down.status, "Retry-After" in down.headers) == (503, True)
    status, said = await ready(gateway)
    assert (status, said["database"]) == (503, "ok")
    assert said["storage"] != "ok"
    await relay.mend()
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207
    assert (await ready(gateway))[0] == 200


async def test_a_storage_that_stands_still_is_504_and_holds_up_nobody_else(
    opened, storage, relay, peer
):
    gateway = await opened(
        storage_url=relay.instead_of(storage.url),
        limits={"storage_idle_seconds": 1},
        users={"source": "list", "list": USERS},
    )
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    relay.hold()
    slow = [asyncio.create_task(visit(gateway, peer, share.provider_id, token)) for _ in range(5)]
    await eventually(lambda: relay.waiting >= 5)
    await send_share(peer, gateway)
    assert [answer.status for answer in await asyncio.gather(*slow)] == [504] * 5
    relay.free()
    assert (await visit(gateway, peer, share.provider_id, token)).status == 207


async def test_a_storage_that_is_full_is_507_and_leaves_the_old_file(opened, peer):
    async with full_storage() as (url, files):
        gateway = await opened(storage_url=url, users={"source": "list", "list": USERS})
        share = await create_share(gateway, peer, permissions=BOTH)
        token = await token_of(gateway, peer, share)
        answer = await visit(gateway, peer, share.provider_id, token, "/a.txt", "PUT", b"new")
        assert answer.status == 507
        assert files == {"/dav/alice/trip/a.txt": b"old"}


def full_storage():
    """A storage with one file and no room."""
    from contextlib import asynccontextmanager

    from aiohttp import web

    files = {"/dav/alice/trip/a.txt": b"old"}

    async def answer(request):
        await request.read()
        if request.method == "PUT":
            return web.Response(status=507)
        if request.method == "PROPFIND":
            kind = "" if request.path in files else "<D:collection/>"
            return web.Response(
                status=207,
                content_type="application/xml",
                text=f'<D:multistatus xmlns:D="DAV:"><D:response><D:href>{request.path}</D:href>'
                f"<D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype></D:prop>"
                "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>",
            )
        return web.Response(status=404)

    @asynccontextmanager
    async def opened():
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/dav", files
        await runner.cleanup()

    return opened()


async def test_an_upload_that_finds_no_room_here_is_507(opened, storage, peer, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    gateway = await opened(storage={"quirks": {"chunked_put": False}})
    share = await create_share(gateway, peer, permissions=BOTH)
    token = await token_of(gateway, peer, share)

    async def body():
        for _ in range(8):
            yield b"x" * 65536

    url = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}/no-room.txt"
    headers = {"Authorization": f"Bearer {token}"}
    with no_file_larger_than(100_000):
        async with peer.session.put(url, headers=headers, data=body()) as answer:
            assert answer.status == 507
    assert not (storage.root / "alice/trip/no-room.txt").exists()
    async with peer.session.put(url, headers=headers, data=body()) as answer:
        assert answer.status == 201


def no_file_larger_than(size):
    """For this process a write beyond that size fails, as it does on a full disk."""
    from contextlib import contextmanager

    @contextmanager
    def limited():
        import signal

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)

    return limited()


async def test_a_locked_database_is_503_and_the_same_message_is_taken_afterwards(
    opened, peer, monkeypatch
):
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.6)
    gateway = await opened()
    await send_share(peer, gateway)
    body = peer.share(address(gateway))
    other = sqlite3.connect(gateway.settings.state.database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reply = await peer.post(shares_of(gateway), body)
    assert (reply.status, "Retry-After" in reply.headers) == (503, True)
    assert (await ready(gateway))[0] == 503
    other.execute("ROLLBACK")
    assert (await peer.post(shares_of(gateway), body)).status == 201
    assert (await ready(gateway))[0] == 200
    assert len(await gateway.receiving.inbox()) == 2
    other.close()


async def test_many_writers_behind_a_lock_wait_together_and_not_one_after_the_other(
    opened, peer, monkeypatch
):
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.6)
    gateway = await opened()
    await send_share(peer, gateway)
    other = sqlite3.connect(gateway.settings.state.database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    posts = [peer.post(shares_of(gateway), peer.share(address(gateway))) for _ in range(40)]
    replies = await asyncio.gather(*posts)
    assert {reply.status for reply in replies} == {503}
    # One after the other would take 40 times the patience.
    assert time.monotonic() - began < 40 * 0.6
    other.execute("ROLLBACK")
    other.close()


async def test_a_full_database_is_503_and_nothing_is_kept(opened, peer):
    gateway = await opened()
    await send_share(peer, gateway)

    def pages(limit):
        def work(connection):
            used = connection.execute(text("PRAGMA page_count")).scalar()
            most = used if limit else 1 << 30
            connection.exec_driver_sql(f"PRAGMA max_page_count={most}")

        return gateway.state.database.read(work)

    def little():
        return gateway.state.database.write(partial(facts.put, name="little", value="."))

    await little()
    await pages(True)
    statuses = []
    while 503 not in statuses:
        body = peer.share(address(gateway), description="x" * 4000)
        statuses.append((await peer.post(shares_of(gateway), body)).status)
        assert len(statuses) < 100
    assert set(statuses) <= {201, 503}
    assert len(await gateway.receiving.inbox()) == 1 + statuses.count(201)
    await little()
    assert (await ready(gateway))[0] == 503
    await pages(False)
    assert (await ready(gateway))[0] == 200
    assert (await peer.post(shares_of(gateway), body)).status == 201


async def test_a_database_file_that_is_gone_takes_nothing_and_may_come_back(opened, peer):
    gateway = await opened()
    await send_share(peer, gateway)
    file = gateway.settings.state.database_file
    away = file.with_name("away")
    file.rename(away)
    body = peer.share(address(gateway))
    reply = await peer.post(shares_of(gateway), body)
    assert (reply.status, "Retry-After" in reply.headers) == (503, True)
    status, said = await ready(gateway)
    assert status == 503
    assert "moved, deleted or replaced" in said["database"]
    away.rename(file)
    assert (await peer.post(shares_of(gateway), body)).status == 201
    assert (await ready(gateway))[0] == 200
    assert len(await gateway.receiving.inbox()) == 2


async def test_a_server_that_is_down_for_an_hour_gets_each_message_once(opened, peer, monkeypatch):
    monkeypatch.setattr(outbox_module, "_POLL_SECONDS", 0.01)
    clock = Clock()
    gateway = await opened(clock, outbox={"first_retry_seconds": 5, "longest_pause_seconds": 600})
    peer.on("POST /ocm/shares", Answer(503))
    shares = [await create_share(gateway, peer) for _ in range(3)]
    began = clock.now

    def looked():
        return not gateway.outbox._wake.is_set() and not gateway.outbox._busy

    while clock.now < began + 3600:
        clock.now += 60
        gateway.outbox._wake.set()
        await eventually(looked)
    tries = len(peer.requests("POST /ocm/shares"))
    # Pauses double up to ten minutes: a dead server is not hammered, nor forgotten.
    assert 3 < tries < 60
    peer.on("POST /ocm/shares", Answer(201, {"recipientDisplayName": "E"}))
    peer.seen.clear()

    async def sent():
        clock.now += 60
        gateway.outbox._wake.set()
        found = [await gateway.sending.by_id(share.provider_id) for share in shares]
        return all(share.state is SentState.SENT for share in found)

    await eventually(sent, 20)
    told = [json.loads(one.body)["providerId"] for one in peer.requests("POST /ocm/shares")]
    assert sorted(told) == sorted(share.provider_id for share in shares)


async def test_work_in_the_background_outlives_a_fault(opened, peer, monkeypatch):
    monkeypatch.setattr("gateway.app._REST_SECONDS", 0.01)
    faults = [1, 2, 3]
    pending = outbox_module.Outbox._pending

    async def broken(self):
        if faults:
            faults.pop()
            raise RuntimeError("a fault of ours")
        return await pending(self)

    monkeypatch.setattr(outbox_module.Outbox, "_pending", broken)
    gateway = await opened()
    peer.on("POST /ocm/shares", Answer(503), Answer(201))
    share = await create_share(gateway, peer)

    async def sent():
        return (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT

    await eventually(sent)
    assert faults == []


async def test_the_outbox_goes_on_after_the_database_was_locked(opened, peer, monkeypatch):
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.6)
    gateway = await opened()
    peer.on("POST /ocm/shares", Answer(503))
    share = await create_share(gateway, peer)
    other = sqlite3.connect(gateway.settings.state.database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    gateway.outbox.heard(peer.authority)
    await eventually(lambda: gateway.state.database.failing)
    other.execute("ROLLBACK")
    other.close()
    peer.on("POST /ocm/shares", Answer(201))

    async def sent():
        return (await gateway.sending.by_id(share.provider_id)).state is SentState.SENT

    await eventually(sent)
