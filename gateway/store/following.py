"""Keeping in memory what any process may change: keys, decisions about servers.

Each process looks a few times a second whether anything was committed, which costs nothing, then
which topics were changed, and takes those in again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gateway.errors import Unavailable
from gateway.logs import event
from gateway.store import revisions
from gateway.store.changes import Changes
from gateway.store.database import Database

_LOOK_SECONDS = 0.25


async def follow(
    database: Database, changes: Changes, topics: Mapping[str, Callable[[], Awaitable[None]]]
) -> None:
    """Call what belongs to a topic (of `store.revisions`) soon after each change, until cancelled.

    Everything is taken in once at the start: it may have changed since it was opened.
    """
    numbers: dict[str, int] = {}
    version: int | None = None
    while True:
        try:
            if (seen := changes.version()) != version:
                found = await database.read(revisions.numbers)
                for topic, take_in in topics.items():
                    if found.get(topic, 0) != numbers.get(topic, -1):
                        await take_in()
                        numbers[topic] = found.get(topic, 0)
                version = seen
        except Unavailable as error:
            event("following.stalled", level="error", error=error.explanation)
        await asyncio.sleep(_LOOK_SECONDS)
