"""Everything that survives a restart, opened together."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.store import facts
from gateway.store.changes import Changes, FileChanges
from gateway.store.database import Database, unavailable
from gateway.store.instances import FileInstances, Instances
from gateway.store.invites import Invites
from gateway.store.place import PostgresAddress
from gateway.store.shares import ReceivedShares, SentShares
from gateway.store.sqlite import Sqlite
from gateway.store.vault import Vault, open_vault


@dataclass(frozen=True, slots=True)
class State:
    """The database, what lies in it, and who we are among the processes that share it."""

    database: Database
    vault: Vault
    sent: SentShares
    received: ReceivedShares
    invites: Invites
    changes: Changes
    instance: Instances

    async def close(self) -> None:
        """Close everything."""
        await self.changes.close()
        await self.database.close()
        await self.instance.close()


async def open_state(folder: Path, place: Path | PostgresAddress, key_file: Path) -> State:
    """Open the state, making what is missing: a SQLite file, or tables in PostgreSQL.

    Raises Unavailable when the folder, the database or the key file cannot be used, or do not
    belong together.
    """
    try:
        return await _open(folder, place, key_file)
    except OSError as error:
        raise unavailable(error) from error


async def _open(folder: Path, place: Path | PostgresAddress, key_file: Path) -> State:
    _make(folder)
    async with AsyncExitStack() as undo:
        if isinstance(place, PostgresAddress):
            from gateway.store.postgres import Postgres
            from gateway.store.replica import open_replica

            replica = await open_replica(place)
            undo.push_async_callback(replica.close)
            changes: Changes = replica
            instance: Instances = replica
            database: Database = Postgres(place, changes.seen)
            vault = None
        else:
            vault = _vault_beside(place, key_file)
            changes = FileChanges(place)
            undo.push_async_callback(changes.close)
            instance = FileInstances(folder)
            undo.push_async_callback(instance.close)
            database = Sqlite(place, changes.seen)
        undo.push_async_callback(database.close)
        await database.migrate()
        settled = await database.read(facts.has_key)
        vault = vault or open_vault(key_file, fresh=not settled)
        check = partial(facts.check_key, vault=vault)
        await (database.read(check) if settled else database.write(check))
        undo.pop_all()
    return State(
        database,
        vault,
        SentShares(vault),
        ReceivedShares(vault),
        Invites(vault),
        changes,
        instance,
    )


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _vault_beside(file: Path, key_file: Path) -> Vault:
    return open_vault(key_file, fresh=not file.exists())
