"""Two replicas on one PostgreSQL are one gateway, and either may die."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import text

from gateway.errors import Unavailable
from gateway.model import Errand
from gateway.store import outbox, replays
from gateway.store.replica import Replica
from tests import postgres as postgres_
from tests.pair import Process, eventually, in_process, settings, write
from tests.peer import Answer
from tests.servers import free_port
from tests.sharing.stage import create_share, peer, send_share, storage, token_of, visit

__all__ = ["peer", "storage"]


@asynccontextmanager
async def two_replicas(tmp_path, storage, postgres, **changes):
    """Two gateways of one public origin, which lies at the first one's port."""
    port = free_port()
    origin, key = f"http://127.0.0.1:{port}", {"key_file": str(tmp_path / "key")}
    async with AsyncExitStack() as stack:
        opened = []
        for name, own in (("one", port), ("two", free_port())):
            public = {"origin": origin, "listen": f"127.0.0.1:{own}"}
            gateway = in_process(
                tmp_path / name, storage, postgres=postgres, public=public, state=key, **changes
            )
            opened.append(await stack.enter_async_context(gateway))
        yield opened


@pytest.fixture
async def replicas(tmp_path, storage, postgres):
    """As they come."""
    async with two_replicas(tmp_path, storage, postgres) as opened:
        yield opened


async def visit_at(gateway, peer, share, token, path="/day.txt"):
    """A request that a load balancer gave to this replica."""
    listen = gateway.settings.public.listen
    url = f"http://{listen}/remote/dav/ocm/{share.provider_id}{path}"
    async with peer.session.get(url, headers={"Authorization": f"Bearer {token}"}) as reply:
        return reply.status


async def test_a_token_of_one_replica_opens_the_door_at_the_other(replicas, peer):
    one, two = replicas
    share = await create_share(one, peer)
    token = await token_of(one, peer, share)
    assert await visit_at(two, peer, share, token) == 200
    assert await visit_at(one, peer, share, token) == 200


async def closing(one, two, peer):
    """Seconds from a revocation at one replica until the other opens no more."""
    share = await create_share(one, peer)
    token = await token_of(one, peer, share)

    async def remembered():
        assert await visit_at(two, peer, share, token) == 200
        return two.access.remembered([f"Bearer {token}"], share.provider_id, "/day.txt")

    await eventually(remembered)
    await one.sending.revoke(share.provider_id)
    revoked_at = time.monotonic()

    async def closed():
        return await visit_at(two, peer, share, token) == 404

    await eventually(closed)
    return time.monotonic() - revoked_at


async def test_what_one_replica_revokes_the_other_closes_within_a_second(replicas, peer):
    """A machine that is busy with other things may need another try."""
    tries = [await closing(*replicas, peer)]
    while tries[-1] >= 1 and len(tries) < 4:
        tries.append(await closing(*replicas, peer))
    assert tries[-1] < 1, tries


@pytest.fixture
def deaf(monkeypatch):
    """No replica hears what others announce."""
    monkeypatch.setattr(Replica, "_told", lambda *_: None)


async def test_a_revocation_is_seen_where_its_announcement_is_lost(deaf, replicas, peer):
    await closing(*replicas, peer)


async def test_nothing_changes_while_nothing_is_written(replicas):
    one, _ = replicas

    async def still():
        before = one.state.changes.version()
        for _ in range(5):
            await asyncio.sleep(0.1)
            await one.state.database.read(outbox.depth)
        return one.state.changes.version() == before

    await eventually(still)  # what starts up may write a little


async def test_a_signature_is_taken_once_among_all_replicas(replicas):
    def add(gateway, number):
        return gateway.state.database.write(
            lambda connection: replays.add(connection, f"s{number}", 2**40), on_disk=False
        )

    for number in range(10):
        taken = await asyncio.gather(*(add(gateway, number) for gateway in replicas * 4))
        assert sorted(taken) == [False] * 7 + [True]


async def test_wrong_tokens_at_one_replica_are_counted_at_the_other(
    tmp_path, storage, postgres, peer
):
    limits = {"limits": {"failed_logins_per_minute": 4}, "testing": {"rate_limits": True}}
    async with two_replicas(tmp_path, storage, postgres, **limits) as replicas:
        share = await create_share(replicas[0], peer)
        token = await token_of(replicas[0], peer, share)
        for gateway in replicas * 2:
            assert await visit_at(gateway, peer, share, "guess") == 401
        for gateway in replicas:
            assert await visit_at(gateway, peer, share, "guess") == 429
            assert await visit_at(gateway, peer, share, token) == 429


async def test_what_a_rule_limits_is_limited_at_all_replicas_together(
    tmp_path, storage, postgres, peer
):
    rule = {"who": "everyone", "action": "access", "then": "allow"}
    rules = [rule | {"limits": {"rate_per_minute": 5}}]
    async with two_replicas(tmp_path, storage, postgres, policy={"rules": rules}) as replicas:
        one, two = replicas
        share = await create_share(one, peer)
        token = await token_of(one, peer, share)
        for _ in range(5):
            assert await visit_at(one, peer, share, token) == 200
        assert await visit_at(one, peer, share, token) == 429
        said = f"{share.receiving_server} policy.rules.0"
        bucket = two.rates._bucket("policy", said)
        await eventually(lambda: two.rates._left(bucket, time.monotonic()) > 45)
        assert await visit_at(two, peer, share, token) == 429


async def test_an_errand_is_run_once_among_all_replicas(replicas, peer):
    one, two = replicas
    peer.on("POST /ocm/shares", Answer(503))
    shares = [await create_share(one, peer) for _ in range(6)]
    peer.on("POST /ocm/shares", Answer(201, {"recipientDisplayName": "E"}))
    peer.seen.clear()

    async def sent():
        found = [await two.sending.by_id(share.provider_id) for share in shares]
        return all(share.state == "sent" for share in found)

    await eventually(sent, 20)
    assert len(peer.requests("POST /ocm/shares")) == len(shares)


async def test_many_writers_at_once_each_get_what_they_came_for(replicas, peer):
    one, two = replicas
    await asyncio.gather(*(send_share(peer, one) for _ in range(25)))
    folders = [share.folder for share in await two.receiving.inbox()]
    assert len(folders) == len(set(folders)) == 25


async def test_a_replica_with_another_key_does_not_start(replicas, tmp_path, storage, postgres):
    key = tmp_path / "another"
    key.write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    with pytest.raises(Unavailable, match="key file does not belong"):
        async with in_process(
            tmp_path / "three", storage, postgres=postgres, state={"key_file": str(key)}
        ):
            pass


async def test_a_replica_without_a_key_does_not_make_one(replicas, tmp_path, storage, postgres):
    with pytest.raises(Unavailable, match="is missing and the database needs it"):
        async with in_process(tmp_path / "three", storage, postgres=postgres):
            pass
    assert not (tmp_path / "three/state/secret.key").exists()


async def test_a_wrong_password_is_named_and_never_shown(tmp_path, storage, postgres):
    wrong = postgres.replace(postgres_.PASSWORD, "not-the-password")
    with pytest.raises(Unavailable) as caught:
        async with in_process(tmp_path / "a", storage, postgres=wrong):
            pass
    assert "password authentication failed" in caught.value.explanation
    assert "not-the-password" not in caught.value.explanation


async def test_the_password_may_come_from_a_file(tmp_path, storage, postgres):
    file = tmp_path / "password"
    file.write_text(f"{postgres_.PASSWORD}\n")
    url = postgres.replace(f":{postgres_.PASSWORD}", "")
    state = {"database_password_file": str(file)}
    async with in_process(tmp_path / "a", storage, postgres=url, state=state) as gateway:
        assert await gateway.state.database.read(outbox.depth) == (0, 0)
        assert postgres_.PASSWORD not in repr(gateway.settings)
    with pytest.raises(Unavailable):
        async with in_process(tmp_path / "b", storage, postgres=url):
            pass


async def test_the_errand_of_a_replica_that_died_is_taken_over(replicas, peer):
    one, two = replicas
    peer.on("POST /ocm/shares", Answer(503))
    share = await create_share(one, peer)
    claim = text("UPDATE outbox SET leased_by = :holder, next_attempt_at = 0")
    holder = {"holder": one.state.instance.name}

    def claimed(connection):
        connection.execute(claim, holder)

    await two.state.database.write(claimed)
    one.outbox._running.update(
        {entry.id: asyncio.Event() for entry in await two.state.database.read(outbox.all_entries)}
    )
    peer.on("POST /ocm/shares", Answer(201, {"recipientDisplayName": "E"}))
    await asyncio.sleep(2)
    assert (await two.sending.by_id(share.provider_id)).state == "pending"
    await one.state.instance.close()

    async def sent():
        return (await two.sending.by_id(share.provider_id)).state == "sent"

    await eventually(sent)

    async def gone():
        return not await two.state.database.read(
            lambda connection: outbox.find(connection, share.provider_id, Errand.SHARE)
        )

    await eventually(gone)


async def test_either_replica_may_die(tmp_path, storage, postgres, peer):
    key = {"key_file": str(tmp_path / "key")}
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    replicas = []
    for name, own in (("one", port), ("two", free_port())):
        public = {"origin": origin, "listen": f"127.0.0.1:{own}"}
        data = settings(tmp_path / name, storage.url, postgres=postgres, public=public, state=key)
        replicas.append(Process(write(tmp_path / name, data)))
    one, two = replicas
    one.start()
    two.start()
    try:
        where = ["share", "create", "-u", "alice", "/trip", f"einstein@{peer.authority}"]
        share = await asyncio.to_thread(one.run, *where)
        one.kill()
        assert (await asyncio.to_thread(two.run, "share", "show", share["id"]))["state"] == "sent"
        one.start()
        two.kill()
        await asyncio.to_thread(one.run, "share", "revoke", share["id"])
        two.start()
        shown = await asyncio.to_thread(two.run, "share", "show", share["id"])
        assert shown["state"] == "revoked"
    finally:
        one.stop()
        two.stop()


async def test_a_database_that_is_gone_is_503_and_comes_back(tmp_path, storage, peer):
    with postgres_.running() as server:
        async with in_process(tmp_path / "a", storage, postgres=server.database()) as gateway:
            share = await create_share(gateway, peer)
            token = await token_of(gateway, peer, share)
            assert (await visit(gateway, peer, share.provider_id, token)).status == 207
            server.stop()
            with pytest.raises(Unavailable):
                await gateway.sending.by_id(share.provider_id)
            await asyncio.sleep(1.1)
            refused = await visit(gateway, peer, share.provider_id, token)
            assert refused.status == 503
            assert refused.headers["Retry-After"]
            server.start()

            async def opens():
                reply = await visit(gateway, peer, share.provider_id, token)
                return reply.status == 207

            await eventually(opens)
