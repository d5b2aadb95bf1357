"""Does the audit trail hold? Every entry is looked at, from the oldest to the newest."""

from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.store import audit
from gateway.store.database import Database
from gateway.store.vault import Vault

_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a look at the whole chain: which entry is the first that does not hold.

    `first` and `last` are positions, 0 for an empty trail; `damaged` is None for a sound one.
    """

    entries: int
    first: int
    last: int
    damaged: int | None = None
    fault: str = ""


async def verify(database: Database, vault: Vault) -> Verification:
    """Look at every entry of the chain; others may write meanwhile."""
    count, base, known = 0, audit.End(0, ""), None

    def step(connection: Connection) -> tuple[audit.End, audit.End, int]:
        begin, head = audit.ends(connection, vault)
        end, number = audit.check(connection, known or begin, _AT_ONCE)
        if not number:
            audit.expect_head(end, head)
        return begin, end, number

    try:
        while True:
            begin, end, number = await database.read(step)
            base = base if known else begin
            known = end
            count += number
            if not number:
                break
    except audit.Damaged as error:
        return Verification(count, base.position + 1, 0, error.position, error.fault)
    return Verification(count, base.position + 1 if count else 0, end.position)
