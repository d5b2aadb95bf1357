"""How far the audit trail was told to somebody else."""

from sqlalchemy import Connection

from gateway.store import facts

_STREAM = "audit stream"


def find(connection: Connection) -> int | None:
    """The position of the last entry told; None while nothing is to be told yet."""
    kept = facts.find(connection, _STREAM)
    # The name of the process that told stood before it until there were leases.
    return None if kept is None else int(kept.rpartition(" ")[2])


def put(connection: Connection, position: int) -> None:
    """Everything up to there is told."""
    facts.put(connection, _STREAM, str(position))
