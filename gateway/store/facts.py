"""Single facts about the state itself, by name."""

from sqlalchemy import Connection, insert, select, update

from gateway.errors import Unavailable
from gateway.store.tables import facts
from gateway.store.vault import Vault

_KEY_CHECK = "key check"


def find(connection: Connection, name: str) -> str | None:
    """The fact of that name, if it is known."""
    return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()


def put(connection: Connection, name: str, value: str) -> None:
    """Keep a fact, in place of what was known under its name."""
    done = connection.execute(update(facts).where(facts.c.name == name).values(value=value))
    if not done.rowcount:
        connection.execute(insert(facts).values(name=name, value=value))


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
