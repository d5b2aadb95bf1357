"""The migrations make exactly the tables that the code knows."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.store import database
from gateway.store.database import Database
from gateway.store.tables import metadata

FOLDER = Path(database.__file__).parent / "migrations"


def scripts():
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return ScriptDirectory.from_config(config)


async def test_the_migrations_make_the_tables_of_the_code(tmp_path):
    opened = Database(tmp_path / "db")
    await opened.migrate()

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    assert await opened.read(differences) == []
    await opened.close()


def test_the_code_names_the_newest_migration():
    assert scripts().get_heads() == [database.HEAD]


async def test_migrating_twice_changes_nothing(tmp_path):
    for _ in range(2):
        opened = Database(tmp_path / "db")
        await opened.migrate()
        await opened.migrate()
        await opened.close()
