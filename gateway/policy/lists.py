"""The list in the database: looked at before it holds, kept with all that held before it.

Another list takes the place of the one that holds, all of it or nothing. `seen` ties what is done
to what somebody looked at: when another list holds by then, it is refused. What holds already is
not kept again, so that what is asked twice is done once.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Conflict, NotFound
from gateway.policy import listing
from gateway.policy.audit import Audit
from gateway.policy.language import BadPolicy
from gateway.policy.listing import Change, Fault
from gateway.policy.live import Live
from gateway.store import policies
from gateway.store.database import Database
from gateway.store.policies import Listing, Version
from gateway.store.vault import Vault

NONE = "{}"
"""The list before the first."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a text would do in the place of list `before` (0 for none).

    `document` is what can be taken of it. `seen` is for `apply`, and empty when something is
    refused: then none of it can hold.
    """

    before: int
    change: Change
    refused: tuple[Fault, ...]
    seen: str
    document: str = field(repr=False)


class Lists:
    """The lists of one gateway."""

    def __init__(
        self, database: Database, vault: Vault, live: Live, audit: Audit, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._vault = vault
        self._live = live
        self._audit = audit
        self._clock = clock

    async def latest(self) -> Listing:
        """The list that holds; number 0 and empty before the first."""
        return await self._database.read(policies.latest) or Listing(0, 0, "", "", NONE)

    async def difference(self, before: Listing, after: Listing) -> Change:
        """What one list has otherwise than another."""
        return await asyncio.to_thread(
            lambda: listing.compare(before.document, listing.parse(after.document))
        )

    async def history(self, most: int = policies.MOST_LISTS) -> list[Version]:
        """Every list there was, the newest first."""
        return await self._database.read(partial(policies.history, most=most))

    async def by_number(self, number: int) -> Listing:
        """A list of the history, 0 for none at all. Raises NotFound."""
        found = await self._database.read(partial(policies.find, number=number))
        if found is None and number:
            raise NotFound(f"there is no list {number}")
        return found or Listing(0, 0, "", "", NONE)

    async def preview(self, text: str, name: str) -> Preview:
        """What a file would change. Raises BadPolicy for one that cannot be read at all."""
        before = await self.latest()
        document, refused = await asyncio.to_thread(listing.examine, text, name)
        if not refused:
            try:
                await self._live.admit_list(document)
            except BadPolicy as error:
                refused = tuple(Fault("", "", one) for one in error.faults)
        change = await asyncio.to_thread(listing.compare, before.document, document)
        kept = listing.write(document)
        seen = "" if refused else self._seen(before.number, kept)
        return Preview(before.number, change, refused, seen, kept)

    async def apply(
        self, text: str, name: str, *, by: str, note: str = "", seen: str = ""
    ) -> Listing:
        """Let the list of a file hold; `seen` is that of its preview, if there was one.

        Raises BadPolicy, and Conflict where it is not what was seen.
        """
        document = await asyncio.to_thread(listing.read, text, name)
        await self._live.admit_list(document)
        kept = listing.write(document)

        def expect(before: int) -> None:
            if seen and not hmac.compare_digest(seen.encode(), self._seen(before, kept).encode()):
                raise Conflict("another list holds by now, or this is not the one you looked at")

        return await self._keep(kept, by, note or f"import {name}", expect)

    async def roll_back(
        self, number: int | None = None, *, by: str, holding: int | None = None
    ) -> Listing:
        """Let an earlier list hold again, as a new one; the one before where no number is given.

        `holding` is the list that held when somebody looked. Raises NotFound, BadPolicy, Conflict.
        """
        held = await self.latest()
        if held.number == 0:
            raise NotFound("there was never a list")
        wanted = await self.by_number(held.number - 1 if number is None else number)
        await self._live.admit_list(listing.parse(wanted.document))
        looked_at = held.number if holding is None else holding

        def expect(before: int) -> None:
            if before != looked_at:
                raise Conflict("another list holds by now; look again")

        return await self._keep(wanted.document, by, f"rollback to {wanted.number}", expect)

    def _seen(self, before: int, document: str) -> str:
        return self._vault.fingerprint(f"policy list {before} {document}")

    async def _keep(
        self, document: str, by: str, note: str, expect: Callable[[int], None]
    ) -> Listing:
        def put(connection: Connection) -> tuple[Listing, bool]:
            held = policies.latest(connection)
            if held is not None and held.document == document:
                return held, False
            expect(held.number if held else 0)
            made = policies.add(connection, document, made_at=self._clock(), made_by=by, note=note)
            return made, True

        deed = self._audit.deed("list.changed", who=by, reason=note)
        kept, _ = await self._audit.write(
            put, lambda done: replace(deed, about=str(done[0].number)) if done[1] else None
        )
        return kept
