"""The database checked, backed up, restored and moved between its two engines."""

import asyncio
import json
import sqlite3

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from gateway import config
from gateway.app import open_gateway
from gateway.cli import console
from gateway.cli.main import app
from gateway.sharing.sending import Offer
from gateway.store.copying import open_database
from gateway.store.place import PostgresAddress
from gateway.store.tables import metadata
from tests import servers
from tests.pair import settings, write
from tests.peer import open_peer


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with servers.wsgidav(tmp_path_factory.mktemp("storage")) as storage:
        (storage.root / "alice" / "letter.txt").write_bytes(b"Dear Bob")
        yield storage


class Installation:
    """A gateway's configuration and the commands on it."""

    def __init__(self, folder, storage, **changes):
        self.folder = folder
        self.file = write(folder, settings(folder, storage.url, **changes))
        self.settings = config.load(self.file)

    def run(self, *words, code=0):
        done = CliRunner().invoke(app, [*words, "--json", "--config", str(self.file)])
        assert done.exit_code == code, f"{done.output} {done.exception!r}"
        return json.loads(done.stdout)

    def fill(self):
        """Shares, errands, contacts, decisions, keys and a trail."""

        async def work():
            async with open_peer() as peer, open_gateway(self.settings) as gateway:
                for _ in range(3):
                    offer = Offer("alice", "/letter.txt", f"einstein@{peer.authority}")
                    await gateway.sending.create_share(offer)
                dead = Offer("alice", "/letter.txt", "einstein@127.0.0.1:9")
                await gateway.sending.create_share(dead)
                await gateway.inviting.create_invite("alice")

        asyncio.run(work())


@pytest.fixture
def one(tmp_path, storage):
    installation = Installation(tmp_path / "one", storage)
    installation.fill()
    return installation


def another(tmp_path, storage, one, name="two", **changes):
    """A second installation with the key of the first."""
    installation = Installation(tmp_path / name, storage, **changes)
    key = installation.settings.state.key_path
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_bytes(one.settings.state.key_path.read_bytes())
    return installation


def everything(place):
    """Every row of every table."""

    async def work():
        database = open_database(place)
        try:
            return await database.read(
                lambda connection: {
                    table.name: sorted(map(repr, connection.execute(select(table)).all()))
                    for table in metadata.sorted_tables
                }
            )
        finally:
            await database.close()

    return asyncio.run(work())


def file_of(installation):
    return installation.settings.state.database_file


def test_a_sound_database_is_found_sound(one):
    found = one.run("db", "check")
    assert found["sound"] is True
    assert found["schema"] == found["head"]
    assert found["audit"]["sound"] is True
    assert found["rows"]["sent_shares"] == 4


def test_what_is_wrong_with_a_database_is_found(one, tmp_path, storage):
    with sqlite3.connect(file_of(one)) as connection:
        connection.execute("UPDATE audit SET about = about || 'x' WHERE position = 2")
    connection.close()
    found = one.run("db", "check", code=console.REFUSED)
    assert (found["sound"], found["audit"]["damaged"]) == (False, 2)
    one.settings.state.key_path.write_bytes(b"A" * 43 + b"=\n")
    assert "key" in one.run("db", "check", code=console.REFUSED)["key"]
    empty = another(tmp_path, storage, one)
    empty.run("db", "check", code=console.NOT_FOUND)
    assert not file_of(empty).exists()


@pytest.mark.parametrize("begin", [0, 8192])
def test_a_file_that_is_damaged_is_found_so(one, begin):
    """At its head, or further behind."""
    file = file_of(one)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = file.read_bytes()
    file.write_bytes(content[:begin] + b"\xa5" * 40_000 + content[begin + 40_000 :])
    found = one.run("db", "check", code=console.REFUSED)
    assert not found["sound"]
    assert found["integrity"] != "ok"


def test_a_copy_that_cannot_be_written_is_told(one, tmp_path):
    (tmp_path / "file").write_text("")
    one.run("db", "copy", "sqlite:///copy", code=console.USAGE)
    target = tmp_path / "file" / "copy"
    assert "file" in one.run("db", "copy", str(target), code=console.TRY_AGAIN)["error"]["detail"]


def test_a_backup_of_a_running_gateway_is_restored(one, tmp_path, storage):
    file = tmp_path / "backup"

    async def beside():
        async with open_gateway(one.settings) as gateway:
            writing = asyncio.create_task(_write_on(gateway))
            answer = await asyncio.to_thread(one.run, "db", "backup", str(file))
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            return answer

    answer = asyncio.run(beside())
    assert answer["sound"] is True
    assert [one.name for one in tmp_path.iterdir() if "backup" in one.name] == ["backup"]
    one.run("db", "backup", str(file), code=console.REFUSED)  # nothing is overwritten
    two = another(tmp_path, storage, one)
    restored = two.run("db", "restore", str(file))
    assert restored["rows"] == answer["rows"]
    assert {share["id"] for share in one.run("share", "list")} == {
        share["id"] for share in two.run("share", "list")
    }
    assert two.run("audit", "list")[0]["what"] == "database.restored"
    assert two.run("audit", "verify")["sound"]


async def _write_on(gateway):
    while True:
        await gateway.audit.record("sent.created")


def test_a_target_that_holds_something_is_replaced_by_force_alone(one, tmp_path, storage):
    file = tmp_path / "backup"
    one.run("db", "backup", str(file))
    two = another(tmp_path, storage, one)
    two.run("invite", "create", "-u", "alice")
    before = everything(file_of(two))
    two.run("db", "restore", str(file), code=console.REFUSED)
    assert everything(file_of(two)) == before
    two.run("db", "restore", str(file), "--force")
    assert len(two.run("share", "list")) == 4
    assert len(two.run("invite", "list")) == 1


def test_a_backup_that_is_not_sound_is_not_restored(one, tmp_path, storage):
    file = tmp_path / "backup"
    one.run("db", "backup", str(file))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE audit SET who = 'mallory' WHERE position = 1")
    connection.close()
    two = another(tmp_path, storage, one)
    assert "sound" in two.run("db", "restore", str(file), code=console.REFUSED)["error"]["message"]
    file.write_bytes(b"x" * 8192)
    assert "sound" in two.run("db", "restore", str(file), code=console.REFUSED)["error"]["message"]
    two.run("db", "restore", str(tmp_path / "none"), code=console.NOT_FOUND)
    assert not file_of(two).exists()


def test_a_backup_needs_the_key_of_its_secrets(one, tmp_path, storage):
    file = tmp_path / "backup"
    one.run("db", "backup", str(file))
    two = Installation(tmp_path / "two", storage)
    two.run("invite", "list")  # which makes another key
    error = two.run("db", "restore", str(file), "--force", code=console.REFUSED)["error"]
    assert "key" in error["detail"]


def test_all_of_it_moves_to_postgresql_and_back(one, tmp_path, storage, postgres):
    address = PostgresAddress(postgres)
    held = one.run("db", "check")
    copied = one.run("db", "copy", postgres)
    assert (copied["rows"], copied["audit"]) == (held["rows"], held["audit"])
    assert everything(address) == everything(file_of(one))
    one.run("db", "copy", postgres, code=console.REFUSED)

    shared = another(tmp_path, storage, one, state={"database": postgres})
    # The numbers that PostgreSQL gives out itself go on behind those that came along.
    shared.fill()
    assert len(shared.run("share", "list")) == 8
    assert shared.run("audit", "verify")["sound"]

    back = tmp_path / "back.sqlite"
    assert shared.run("db", "copy", str(back))["sound"]
    assert everything(back) == everything(address)

    shared.run("db", "copy", f"{postgres}_other", code=console.USAGE)
    one.run("db", "copy", "postgresql://127.0.0.1:9/none", code=console.TRY_AGAIN)


def test_a_backup_of_postgresql_is_a_file_for_either_engine(one, tmp_path, storage, postgres):
    one.run("db", "copy", postgres)
    shared = another(tmp_path, storage, one, state={"database": postgres})
    file = tmp_path / "backup"
    assert shared.run("db", "backup", str(file))["sound"]
    assert everything(file) == everything(PostgresAddress(postgres))
    shared.run("db", "restore", str(file), "--force")
    two = another(tmp_path, storage, one)
    two.run("db", "restore", str(file))
    assert len(two.run("share", "list")) == 4
