"""The database: what was acknowledged stays, what failed leaves nothing, readers see one state."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import text

from gateway.errors import NotFound, Unavailable
from gateway.store import replays, sqlite
from gateway.store.instances import FileInstances
from gateway.store.place import PostgresAddress
from gateway.store.postgres import Postgres
from gateway.store.sqlite import Sqlite


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path):
    """Opens the same database again and again."""
    if request.param == "sqlite":
        return lambda: Sqlite(tmp_path / "db")
    address = PostgresAddress(request.getfixturevalue("postgres"))
    return lambda: Postgres(address)


@pytest.fixture
async def database(opened):
    database = opened()
    await database.migrate()
    yield database
    await database.close()


def add(connection, name):
    return replays.add(connection, name, 10)


async def count(database):
    return await database.read(
        lambda connection: connection.execute(text("SELECT count(*) FROM replays")).scalar()
    )


async def test_what_is_written_is_there_after_a_restart(opened):
    one = opened()
    await one.migrate()
    await one.write(partial(add, name="a"))
    await one.close()
    two = opened()
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


async def test_two_processes_may_write(database, opened):
    beside = opened()
    try:
        await asyncio.gather(
            *(one.write(partial(add, name=f"{n}")) for n, one in enumerate([database, beside] * 20))
        )
        assert await count(database) == await count(beside) == 40
    finally:
        await beside.close()


async def test_a_locked_database_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.05)
    database = Sqlite(tmp_path / "db")
    await database.migrate()
    beside = Sqlite(tmp_path / "db")
    try:
        with database._engine.connect() as connection:
            connection.info["begin"] = "BEGIN IMMEDIATE"
            with connection.begin(), pytest.raises(Unavailable) as caught:
                await beside.write(partial(add, name="a"))
        assert caught.value.retry_after
    finally:
        await beside.close()
        await database.close()


async def test_what_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "db").write_bytes(b"x" * 4096)
    database = Sqlite(tmp_path / "db")
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


async def test_a_process_is_known_to_be_alive_by_its_lock(tmp_path):
    one = FileInstances(tmp_path)
    two = FileInstances(tmp_path)
    assert one.alive(None, two.name)
    assert two.alive(None, one.name)
    await one.close()
    assert not two.alive(None, one.name)
    assert not two.alive(None, "../../etc/passwd")
    await two.close()


async def test_what_a_dead_process_left_is_swept(tmp_path):
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances" / "1-dead").touch()
    one = FileInstances(tmp_path)
    assert [file.name for file in (tmp_path / "instances").iterdir()] == [one.name]
    await one.close()
