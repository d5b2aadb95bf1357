"""The log of who came to a share, for its owner."""

import pytest

from gateway.errors import Unavailable
from gateway.model import AccessKind, Permission
from gateway.store.accesses import TOGETHER_SECONDS
from tests.pair import eventually
from tests.sharing.stage import Clock, create_share, token_of, visit
from tests.web.test_api import ask

BOTH = frozenset({Permission.READ, Permission.WRITE})


async def shared(gateway, peer, **offer):
    share = await create_share(gateway, peer, **offer)
    return share, await token_of(gateway, peer, share)


@pytest.mark.parametrize("lane", [True, False])
async def test_the_owner_sees_who_read_what_and_how_much(opened, peer, lane):
    gateway = await opened(public={"fast_lane": lane})
    share, token = await shared(gateway, peer)
    for _ in range(3):
        reply = await visit(gateway, peer, share.provider_id, token, "/day.txt", "GET")
        assert (reply.status, reply.body) == (200, b"sunny")
    [line] = await gateway.accesses.of(share.provider_id)
    assert line.provider == peer.authority
    assert (line.kind, line.path) == (AccessKind.READ, "day.txt")
    assert (line.times, line.bytes) == (3, 15)
    assert await gateway.accesses.latest([share.provider_id]) == {share.provider_id: line.last_at}


async def test_looking_reading_and_writing_are_told_apart_and_refusals_are_no_visits(
    gateway, peer, storage
):
    share, token = await shared(gateway, peer, permissions=BOTH)
    for _ in range(2):
        await visit(gateway, peer, share.provider_id, token, "/")
    reply = await visit(gateway, peer, share.provider_id, token, "/night.txt", "PUT", b"stars")
    assert reply.status == 201
    (storage.root / "alice" / "trip" / "night.txt").unlink()
    await visit(gateway, peer, share.provider_id, token, "/missing.txt", "GET")
    await visit(gateway, peer, share.provider_id, "wrong", "/day.txt", "GET")
    await visit(gateway, peer, share.provider_id, token, "/day.txt", "OPTIONS")
    lines = await gateway.accesses.of(share.provider_id)
    assert {(one.kind, one.path, one.times, one.bytes) for one in lines} == {
        (AccessKind.LOOK, "", 2, 0),
        (AccessKind.WRITE, "night.txt", 1, 5),
    }


async def test_within_an_hour_it_is_one_line_and_later_another(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock)
    share = await create_share(gateway, peer)
    began = clock.now
    for after in (0, 60, TOGETHER_SECONDS - 61):
        clock.now += after
        gateway.accesses.note(share.provider_id, "GET", "day.txt", 5)
        await gateway.accesses.flush()
    [line] = await gateway.accesses.of(share.provider_id)
    assert (line.first_at, line.last_at, line.times) == (began, clock.now, 3)
    clock.now = began + TOGETHER_SECONDS
    gateway.accesses.note(share.provider_id, "GET", "day.txt", 5)
    assert [one.times for one in await gateway.accesses.of(share.provider_id)] == [1, 3]


async def test_a_share_keeps_so_many_lines_and_the_oldest_give_way(opened, peer):
    clock = Clock()
    gateway = await opened(clock=clock, sharing={"access_log_lines": 3})
    share, untouched = await create_share(gateway, peer), await create_share(gateway, peer)
    gateway.accesses.note(untouched.provider_id, "GET", "day.txt", 5)
    for number in range(10):
        clock.now += 1
        gateway.accesses.note(share.provider_id, "GET", f"{number}.txt", 1)
    lines = await gateway.accesses.of(share.provider_id)
    assert [one.path for one in lines] == ["9.txt", "8.txt", "7.txt"]
    assert len(await gateway.accesses.of(untouched.provider_id)) == 1


async def test_without_lines_nothing_is_kept(opened, peer):
    gateway = await opened(sharing={"access_log_lines": 0})
    share, token = await shared(gateway, peer)
    await visit(gateway, peer, share.provider_id, token, "/day.txt", "GET")
    assert await gateway.accesses.of(share.provider_id) == []


async def test_a_client_that_reads_everything_fills_no_memory(gateway, peer):
    share = await create_share(gateway, peer)
    for number in range(6000):
        gateway.accesses.note(share.provider_id, "GET", f"{number}" + "x" * 2000, 1)
    lines = await gateway.accesses.of(share.provider_id)
    assert len(lines) == 100
    assert max(len(one.path) for one in lines) <= 1000
    assert next(one.times for one in lines if not one.path) == 1000


async def test_it_is_written_down_by_itself_and_survives_a_database_that_is_gone(
    gateway, peer, monkeypatch
):
    share = await create_share(gateway, peer)

    async def gone(*_, **__):
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(type(gateway.state.database), "write", gone)
        gateway.accesses.note(share.provider_id, "GET", "day.txt", 5)
        with pytest.raises(Unavailable):
            await gateway.accesses.flush()
        gateway.accesses.note(share.provider_id, "GET", "day.txt", 5)
    [line] = await eventually(lambda: gateway.accesses.of(share.provider_id))
    assert (line.times, line.bytes) == (2, 10)


async def test_only_its_owner_sees_who_came(gateway, peer):
    share = await create_share(gateway, peer)
    gateway.accesses.note(share.provider_id, "GET", "day.txt", 5)
    path = f"/shares/{share.provider_id}/accesses"
    status, [line], _ = await ask(gateway, "GET", path)
    assert (status, line["kind"], line["server"]) == (200, "read", peer.authority)
    status, _, _ = await ask(gateway, "GET", path, user="bob")
    assert status == 404
