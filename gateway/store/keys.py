"""Our signing keys, the private part sealed."""

from sqlalchemy import Connection, insert, select

from gateway.store.tables import signing_keys
from gateway.store.vault import Vault


def add(connection: Connection, vault: Vault, kid: str, seed: bytes, created_at: int) -> None:
    """Keep a key by its 32-byte Ed25519 seed."""
    connection.execute(
        insert(signing_keys).values(
            kid=kid, sealed_seed=vault.seal(seed, kid), created_at=created_at
        )
    )


def all_keys(connection: Connection, vault: Vault) -> list[tuple[str, bytes, int]]:
    """(kid, seed, created_at) of every key, the newest first."""
    query = select(signing_keys).order_by(signing_keys.c.created_at.desc(), signing_keys.c.kid)
    return [
        (row.kid, vault.open_bytes(row.sealed_seed, row.kid), row.created_at)
        for row in connection.execute(query)
    ]
