"""Our own signing keys: the one that signs, and all that are published."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.httpsig.keys import SigningKey
from gateway.model import Authority
from gateway.store import keys
from gateway.store.database import Database
from gateway.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Ring:
    """`active` signs; `published` are in the JWK Set, `active` first."""

    active: SigningKey
    published: tuple[SigningKey, ...]
    created_at: tuple[int, ...]

    def jwks(self) -> dict[str, object]:
        """The JWK Set of the public keys (RFC 7517 5)."""
        return {"keys": [key.public_jwk() for key in self.published]}


async def open_ring(database: Database, vault: Vault, ours: Authority, now: int) -> Ring:
    """The keys of this server; the first one is made when there is none.

    A key's id is `host[:port]#name` (draft 03, 17.1): keys of an earlier public origin are left
    alone and not published under the new one.
    """

    def load(connection: Connection) -> list[tuple[str, bytes, int]]:
        found = [key for key in keys.all_keys(connection, vault) if key[0].startswith(f"{ours}#")]
        if not found:
            keys.add(connection, vault, f"{ours}#key1", secrets.token_bytes(32), now)
            return load(connection)
        return found

    rows = await database.write(load)
    ring = tuple(SigningKey.from_seed(kid, seed) for kid, seed, _ in rows)
    return Ring(ring[0], ring, tuple(created_at for _, _, created_at in rows))
