"""Our signing keys, the private part sealed."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from gateway.model import KeyState
from gateway.store import revisions
from gateway.store.tables import signing_keys
from gateway.store.vault import Vault


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A key as it is kept. `private` is the seed of Ed25519, PKCS #8 of others."""

    kid: str
    algorithm: str
    private: bytes = field(repr=False)
    state: KeyState
    created_at: int
    changed_at: int


def add(connection: Connection, vault: Vault, key: KeptKey) -> None:
    """Keep a new key."""
    connection.execute(
        insert(signing_keys).values(
            kid=key.kid,
            algorithm=key.algorithm,
            sealed_private=vault.seal(key.private, key.kid),
            state=key.state,
            created_at=key.created_at,
            changed_at=key.changed_at,
        )
    )
    revisions.bump(connection, revisions.KEYS)


def move(connection: Connection, kid: str, state: KeyState, now: int) -> None:
    """Bring a key into another state."""
    connection.execute(
        update(signing_keys).where(signing_keys.c.kid == kid).values(state=state, changed_at=now)
    )
    revisions.bump(connection, revisions.KEYS)


def all_keys(connection: Connection, vault: Vault) -> list[KeptKey]:
    """Every key, the newest first."""
    query = select(signing_keys).order_by(signing_keys.c.created_at.desc(), signing_keys.c.kid)
    return [
        KeptKey(
            kid=row.kid,
            algorithm=row.algorithm,
            private=vault.open_bytes(row.sealed_private, row.kid),
            state=KeyState(row.state),
            created_at=row.created_at,
            changed_at=row.changed_at,
        )
        for row in connection.execute(query)
    ]
