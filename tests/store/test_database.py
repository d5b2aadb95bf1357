"""The database: what was acknowledged stays, what failed leaves nothing, readers see one state."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import text

from gateway.errors import NotFound, Unavailable
from gateway.store import database as database_module
from gateway.store import replays
from gateway.store.database import Database
from gateway.store.instances import Instance


@pytest.fixture
async def database(tmp_path):
    database = Database(tmp_path / "db")
    await database.migrate()
    yield database
    await database.close()


def add(connection, name):
    return replays.add(connection, name, 10)


async def count(database):
    return await database.read(
        lambda connection: connection.execute(text("SELECT count(*) FROM replays")).scalar()
    )


async def test_what_is_written_is_there_after_a_restart(tmp_path):
    one = Database(tmp_path / "db")
    await one.migrate()
    await one.write(partial(add, name="a"))
    await one.close()
    two = Database(tmp_path / "db")
    await two.migrate()
    assert await count(two) == 1
    await two.close()


async def test_work_that_fails_leaves_nothing(database):
    def work(connection):
        add(connection, "a")
        raise NotFound("nothing")

    with pytest.raises(NotFound):
        await database.write(work)
    assert await count(database) == 0


async def test_a_caller_that_gives_up_undoes_nothing(database):
    task = asyncio.create_task(database.write(partial(add, name="a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(database) == 1


async def test_two_processes_may_write(database, tmp_path):
    beside = Database(tmp_path / "db")
    try:
        await asyncio.gather(
            *(one.write(partial(add, name=f"{n}")) for n, one in enumerate([database, beside] * 20))
        )
        assert await count(database) == await count(beside) == 40
    finally:
        await beside.close()


async def test_a_locked_database_is_unavailable(database, tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "_WAIT_SECONDS", 0.05)
    beside = Database(tmp_path / "db")
    try:
        with database._engine.connect() as connection:
            connection.info["begin"] = "BEGIN IMMEDIATE"
            with connection.begin(), pytest.raises(Unavailable) as caught:
                await beside.write(partial(add, name="a"))
        assert caught.value.retry_after
    finally:
        await beside.close()


async def test_what_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "db").write_bytes(b"x" * 4096)
    database = Database(tmp_path / "db")
    with pytest.raises(Unavailable):
        await database.migrate()
    await database.close()


async def test_a_signature_is_seen_once_until_it_is_swept(database):
    assert await database.write(partial(add, name="a"))
    assert not await database.write(partial(add, name="a"))
    await database.write(partial(replays.sweep, now=10))
    assert not await database.write(partial(add, name="a"))
    await database.write(partial(replays.sweep, now=11))
    assert await database.write(partial(add, name="a"))


def test_a_process_is_known_to_be_alive_by_its_lock(tmp_path):
    one = Instance(tmp_path)
    two = Instance(tmp_path)
    assert one.alive(two.name)
    assert two.alive(one.name)
    one.close()
    assert not two.alive(one.name)
    assert not two.alive("../../etc/passwd")
    two.close()


def test_what_a_dead_process_left_is_swept(tmp_path):
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances" / "1-dead").touch()
    one = Instance(tmp_path)
    assert [file.name for file in (tmp_path / "instances").iterdir()] == [one.name]
    one.close()
