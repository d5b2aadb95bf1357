"""The migrations make exactly the tables that the code knows."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway.errors import Unavailable
from gateway.store import database
from gateway.store.place import PostgresAddress
from gateway.store.postgres import Postgres
from gateway.store.sqlite import Sqlite
from gateway.store.tables import metadata

FOLDER = Path(database.__file__).parent / "migrations"


def scripts():
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return ScriptDirectory.from_config(config)


@pytest.fixture(params=["sqlite", "postgres"])
def make(request, tmp_path):
    """Opens one database, empty at first."""
    if request.param == "sqlite":
        return lambda: Sqlite(tmp_path / "db")
    url = request.getfixturevalue("postgres_server").database()
    return lambda: Postgres(PostgresAddress(url))


async def test_the_migrations_make_the_tables_of_the_code(make):
    opened = make()
    await opened.migrate()

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    assert await opened.read(differences) == []
    await opened.close()


def test_the_code_names_the_newest_migration():
    assert scripts().get_heads() == [database.HEAD]


async def test_migrating_twice_changes_nothing(make):
    for _ in range(2):
        opened = make()
        await opened.migrate()
        await opened.migrate()
        await opened.close()


async def test_replicas_that_start_at_once_migrate_once(make):
    opened = [make() for _ in range(4)]
    await asyncio.gather(*(one.migrate() for one in opened))
    await asyncio.gather(*(one.close() for one in opened))


async def test_tables_of_a_newer_version_are_left_alone(make):
    opened = make()
    await opened.migrate()
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await opened.write(lambda connection: connection.execute(newer).rowcount)
    with pytest.raises(Unavailable, match="newer version"):
        await opened.migrate()
    await opened.close()
