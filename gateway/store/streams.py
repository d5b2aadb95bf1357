"""How far the audit trail was told to somebody else, and which process does it."""

from sqlalchemy import Connection

from gateway.store import facts

_STREAM = "audit stream"


def find(connection: Connection) -> tuple[str, int]:
    """The process that tells, and the position of the last entry told; ("", 0) at first."""
    kept = facts.find(connection, _STREAM)
    if kept is None:
        return "", 0
    teller, _, position = kept.rpartition(" ")
    return teller, int(position)


def put(connection: Connection, teller: str, position: int) -> None:
    """From now on that process tells."""
    facts.put(connection, _STREAM, f"{teller} {position}")


def reached(connection: Connection, me: str, position: int) -> bool:
    """Note what was told; False, and nothing is noted, when another process tells by now."""
    if find(connection)[0] != me:
        return False
    put(connection, me, position)
    return True
