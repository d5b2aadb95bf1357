"""Counters that tell other processes what has changed.

`Changes.version` says cheaply that something was committed; these say what. A process that keeps
something in memory reads them when the version moves, and reads again only what it keeps.
"""

from sqlalchemy import Connection, insert, select, update

from gateway.store.tables import revisions

KEYS = "keys"
PROVIDERS = "providers"
POLICY = "policy"
ENDED_SHARES = "ended shares"
"""Those that open less than before, too."""


def bump(connection: Connection, topic: str) -> None:
    """Say, in the same transaction, that something of that topic was changed."""
    grown = revisions.c.number + 1
    done = connection.execute(
        update(revisions).where(revisions.c.topic == topic).values(number=grown)
    )
    if done.rowcount == 0:
        connection.execute(insert(revisions).values(topic=topic, number=1))


def numbers(connection: Connection) -> dict[str, int]:
    """The counter of each topic that was ever changed."""
    return {row.topic: row.number for row in connection.execute(select(revisions))}
