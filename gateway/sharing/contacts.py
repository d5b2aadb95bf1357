"""The address books of local users (draft 03, 4.4.5): whom they know at other servers."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Malformed, NotFound
from gateway.logs import event
from gateway.model import Contact, ContactSource
from gateway.ocm import jscontact
from gateway.ocm.address import parse_address
from gateway.ocm.json import has_control
from gateway.sharing.leaving import Leaving
from gateway.sharing.ours import Ours
from gateway.sharing.parties import Parties
from gateway.store import contacts
from gateway.store.parts import Part, Turn
from gateway.store.state import State

_LONGEST_LABEL = 255


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of an import; `left_out` says which addresses were not taken, and why."""

    contacts: list[Contact]
    left_out: list[str]


class Contacts:
    """What a user may do with an address book."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        parties: Parties,
        leaving: Leaving,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._parties = parties
        self._leaving = leaving
        self._clock = clock

    async def add(self, user: str, address: str, *, name: str = "", email: str = "") -> Contact:
        """Direct entry (draft 03, 4.1). One who is known already stays who they are.

        Raises Malformed for what is no OCM Address of another server, NotFound for an unknown user.
        """
        wanted = parse_address(address)
        if wanted.authority == self._ours.authority:
            raise Malformed(f"{wanted} is a user of this server; OCM is for other servers")
        if await self._parties.find(user) is None:
            raise NotFound(f"there is no user {user} here")
        contact = Contact(
            id=str(uuid.uuid4()),
            user=user,
            user_id=wanted.identifier,
            provider=wanted.authority,
            name="",
            email=_text(email),
            source=ContactSource.DIRECT_ENTRY,
            added_at=self._clock(),
            label=_text(name),
        )
        return await self._state.database.write(partial(contacts.put, contact=contact))

    async def export(self, user: str | None = None) -> list[dict[str, object]]:
        """The contacts of one user, or of all, as JSContact cards."""
        return [jscontact.encode_card(one) for one in await self.all(user)]

    async def take_in(self, user: str, cards: bytes, *, keep_trust: bool = False) -> Taken:
        """Import JSContact cards; whom one knows already stays, with what is new.

        Whom the cards call trusted is trusted here only with `keep_trust`. Raises Malformed for
        what are no cards, NotFound for an unknown user.
        """
        if await self._parties.find(user) is None:
            raise NotFound(f"there is no user {user} here")
        found, left_out = jscontact.parse_cards(cards)
        now = self._clock()
        wanted = [
            Contact(
                id=str(uuid.uuid4()),
                user=user,
                user_id=card.address.identifier,
                provider=card.address.authority,
                name=card.name,
                email=card.email,
                source=card.source,
                added_at=now,
                label=card.label,
                trusted=card.trusted and keep_trust,
            )
            for card in found
            if card.address.authority != self._ours.authority
        ]
        left_out += [
            f"{card.address}: is a user of this server"
            for card in found
            if card.address.authority == self._ours.authority
        ]

        def record(connection: Connection) -> list[Contact]:
            return [contacts.put(connection, one) for one in wanted]

        kept = await self._state.database.write(record)
        event("contacts.imported", user=user, number=len(kept))
        return Taken(kept, left_out)

    async def by_id(self, contact_id: str, *, user: str | None = None) -> Contact:
        """One contact, of that user if one is given; NotFound otherwise."""
        contact = await self._state.database.read(partial(contacts.by_id, contact_id=contact_id))
        if user is not None and contact.user != user:
            raise NotFound("there is no such contact")
        return contact

    async def all(self, user: str | None = None, search: str = "") -> list[Contact]:
        """The contacts of one user, or of all, by name; `search` finds in names and addresses."""
        return await self._state.database.read(partial(contacts.all_of, user=user, search=search))

    async def part(self, turn: Turn, user: str, search: str = "") -> Part[Contact]:
        """A part of what `all` finds."""
        return await self._state.database.read(
            partial(contacts.part, turn=turn, user=user, search=search)
        )

    async def known_as(self, user: str, addresses: Collection[str]) -> dict[str, Contact]:
        """Those of these OCM Addresses whom a user knows."""
        return await self._state.database.read(
            partial(contacts.known_as, user=user, addresses=addresses)
        )

    async def rename(self, contact_id: str, label: str, *, user: str | None = None) -> Contact:
        """Call a contact otherwise; "" goes back to how they call themselves."""
        await self.by_id(contact_id, user=user)
        relabel = partial(contacts.relabel, contact_id=contact_id, label=_text(label))
        await self._state.database.write(relabel)
        return await self.by_id(contact_id)

    async def trust(self, contact_id: str, trusted: bool, *, user: str | None = None) -> Contact:
        """Accept what a contact shares from now on without asking, or no longer."""
        await self.by_id(contact_id, user=user)
        trust = partial(contacts.trust, contact_id=contact_id, trusted=trusted)
        await self._state.database.write(trust)
        return await self.by_id(contact_id)

    async def remove(
        self, contact_id: str, *, user: str | None = None, tell: bool = False
    ) -> Contact:
        """Forget a contact (4.4.5). Without `tell` nobody is told and the shares stay.

        With it the shares in both directions end, and the other side gets USER_REMOVED.
        """
        contact = await self.by_id(contact_id, user=user)
        if tell:
            await self._leaving.part(contact)
        else:
            await self._state.database.write(partial(contacts.remove, contact_id=contact_id))
        event("contact.removed", user=contact.user, server=contact.provider)
        return contact


def _text(text: str) -> str:
    cleaned = text.strip()
    if len(cleaned) > _LONGEST_LABEL or has_control(cleaned):
        raise Malformed("a name is one line of at most 255 characters")
    return cleaned
