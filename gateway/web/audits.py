"""Looking through the audit trail, for the operator's page and its API: filtered, in parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from gateway.errors import Malformed
from gateway.model import AuditEntry
from gateway.store import audit
from gateway.store.audit import Wanted
from gateway.store.database import Database

MOST = 50
FILTERS = ("who", "whom", "what", "outcome", "server", "about", "decision")
"""By what entries are looked for; `what` is how it begins, the others are the whole text."""
_LONGEST = 1500


@dataclass(frozen=True, slots=True)
class Found:
    """The newest entries that fit; `before` is the position to go on from, 0 when that is all."""

    entries: list[AuditEntry]
    before: int


async def search(database: Database, query: Mapping[str, str]) -> Found:
    """The entries that fit all of `query`, below its position `before`. Raises Malformed."""
    wanted = {name: query.get(name, "").strip() for name in FILTERS}
    if any(len(text) > _LONGEST or "\0" in text for text in wanted.values()):
        raise Malformed("a filter is too long")
    before = query.get("before", "") or "0"
    if not (before.isascii() and before.isdigit() and len(before) <= 18):
        raise Malformed("`before` is the position of an entry")
    entries = await database.read(
        partial(
            audit.entries,
            wanted=Wanted(
                what=wanted["what"],
                decision=wanted["decision"],
                who=wanted["who"],
                whom=wanted["whom"],
                outcome=wanted["outcome"],
                provider=wanted["server"],
                about=wanted["about"],
            ),
            after=int(before),
            most=MOST + 1,
            newest_first=True,
        )
    )
    more = len(entries) > MOST
    return Found(entries[:MOST], entries[MOST - 1].position if more else 0)
