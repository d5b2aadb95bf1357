"""Single facts about the state itself, by name."""

from sqlalchemy import Connection, delete

from gateway.errors import Unavailable
from gateway.store.tables import facts
from gateway.store.vault import Vault

_KEY_CHECK = "key check"
_TRIAL = "trial"
_TRIAL_BYTES = 256 * 1024

# In the driver's own words: the end of the audit trail is a fact, read and put for each entry, and
# composing these costs more than they do.
_FIND = {
    "sqlite": "SELECT value FROM facts WHERE name = ?",
    "postgresql": "SELECT value FROM facts WHERE name = $1",
}
_PUT = {
    "sqlite": "INSERT INTO facts (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    "postgresql": "INSERT INTO facts (name, value) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
}


def find(connection: Connection, name: str) -> str | None:
    """The fact of that name, if it is known."""
    found: str | None = connection.exec_driver_sql(_FIND[connection.dialect.name], (name,)).scalar()
    return found


def put(connection: Connection, name: str, value: str) -> None:
    """Keep a fact, in place of what was known under its name."""
    connection.exec_driver_sql(_PUT[connection.dialect.name], (name, value))


def try_out(connection: Connection) -> None:
    """Write something of a size that a full disk does not take, and leave nothing of it."""
    put(connection, _TRIAL, "." * _TRIAL_BYTES)
    connection.execute(delete(facts).where(facts.c.name == _TRIAL))


def has_key(connection: Connection) -> bool:
    """Whether it is settled which key the secrets are encrypted with."""
    return find(connection, _KEY_CHECK) is not None


def check_key(connection: Connection, vault: Vault) -> None:
    """Settle with the first vault that comes; Unavailable for one with another key."""
    ours = vault.fingerprint(_KEY_CHECK)
    known = find(connection, _KEY_CHECK)
    if known is None:
        put(connection, _KEY_CHECK, ours)
    elif known != ours:
        raise Unavailable(
            "the key file does not belong to this database",
            detail="every replica needs the same key file; copy it from one that works",
        )
