"""The migrations make exactly the tables that the code knows."""

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway.errors import Unavailable
from gateway.store import database
from gateway.store.place import PostgresAddress
from gateway.store.postgres import Postgres
from gateway.store.shares import resource_key
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


OLD = (
    """INSERT INTO sent_shares (provider_id, resource, resource_type, owner, share_with,
    receiving_server, permissions, sealed_secret, secret_fingerprint, created_at, description,
    state, reason) VALUES ('s1', '["in", "M\\u00fcll"]', 'file', 'alice', 'Bob@far.example',
    'far.example', 'read', '', 'f', 1, '', 'sent', '')""",
    """INSERT INTO received_shares (id, sending_server, provider_id, recipient, owner, sender, name,
    folder, resource_type, uri, permissions, must_exchange_token, sealed_secret, received_at,
    description, sender_display_name, owner_display_name, state) VALUES ('r1', 'far.example', '1',
    'alice', 'o@far.example', 'S@far.example', 'Trip', 'Trip', 'file', '', '', true, '', 1, '',
    'Zoë', '', 'pending')""",
    """INSERT INTO contacts (id, "user", user_id, provider, name, email, label, source, added_at)
    VALUES ('c1', 'alice', 'Bob', 'far.example', 'Robert', '', 'Bobby', 'invite', 1)""",
)


async def test_what_is_there_is_found_after_the_migration_that_made_search_a_column(make):
    opened = make()

    def fill(connection):
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0024")
        for statement in OLD:
            connection.execute(text(statement))

    await opened.write(fill)
    await opened.migrate()

    def look(connection):
        queries = (
            "SELECT found_by, resource_key FROM sent_shares",
            "SELECT found_by, folder_key FROM received_shares",
            "SELECT found_by FROM contacts",
        )
        return [tuple(connection.execute(text(query)).one()) for query in queries]

    assert await opened.read(look) == [
        ("müll bob@far.example", resource_key(("in", "Müll"))),
        ("trip zoë s@far.example", "trip"),
        ("bobby robert  bob@far.example",),
    ]
    await opened.close()


async def test_servers_and_errands_of_before_are_found(make):
    opened = make()

    def fill(connection):
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0028")
        connection.execute(
            text(
                "INSERT INTO providers VALUES ('far.example', 'known', 'seen', 1, 1, 'none',"
                " 'none', 'Nextcloud', '', '', 'Zoë''s', 0, 0, 0, '')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO outbox (id, errand, share, provider, created_at, next_attempt_at,"
                " attempts, last_error, dead) VALUES"
                " ('e1', 'SHARE', 'S-1', 'far.example', 1, 1, 0, '', false)"
            )
        )

    await opened.write(fill)
    await opened.migrate()
    for table, words in (
        ("providers", "far.example zoë's nextcloud"),
        ("outbox", "far.example s-1"),
    ):
        query = text(f"SELECT found_by FROM {table}")
        assert await opened.read(lambda one, query=query: one.execute(query).scalar()) == words
    await opened.close()


async def test_what_was_passed_on_before_names_what_grants_it(make):
    opened = make()
    share = (
        OLD[0].replace("'alice', 'Bob@far.example'", "'alice', '{whom}'").replace("'s1'", "'{id}'")
    )
    share = share.replace("'f', 1", "'{id}', 1")

    def fill(connection):
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "0024")
        for name, whom in (
            ("s1", "b@far.example"),
            ("s2", "c@else.example"),
            ("s3", "b@far.example"),
        ):
            connection.execute(text(share.format(id=name, whom=whom)))
            connection.execute(
                text(
                    "INSERT INTO requests (id, owner, share_with, provider, resource, about,"
                    f" created_at, state, share) VALUES ('{name}', 'alice', '{whom}',"
                    f" 'far.example', '[]', 's1', 1, 'agreed', '{name.replace('s1', '')}')"
                )
            )

    await opened.write(fill)
    await opened.migrate()
    query = text("SELECT provider_id, granted_by FROM sent_shares ORDER BY provider_id")
    found = await opened.read(lambda one: [tuple(row) for row in one.execute(query)])
    assert found == [("s1", ""), ("s2", "s1"), ("s3", "")]
    await opened.close()


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
