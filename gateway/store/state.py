"""Everything that survives a restart, opened together."""

from dataclasses import dataclass
from pathlib import Path

from gateway.store.changes import Changes
from gateway.store.database import Database
from gateway.store.instances import Instance
from gateway.store.invites import Invites
from gateway.store.shares import ReceivedShares, SentShares
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
    instance: Instance

    async def close(self) -> None:
        """Close everything."""
        self.changes.close()
        await self.database.close()
        self.instance.close()


async def open_state(folder: Path, database_file: Path, key_file: Path) -> State:
    """Open the state of a folder, making what is missing.

    Raises Unavailable when the database or the key file cannot be used.
    """
    vault = _prepare(folder, database_file, key_file)
    changes = Changes(database_file)
    database = Database(database_file, changes.seen)
    try:
        await database.migrate()
    except BaseException:
        changes.close()
        await database.close()
        raise
    instance = Instance(folder)
    return State(
        database,
        vault,
        SentShares(vault),
        ReceivedShares(vault),
        Invites(vault),
        changes,
        instance,
    )


def _prepare(folder: Path, database_file: Path, key_file: Path) -> Vault:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_vault(key_file, fresh=not database_file.exists())
