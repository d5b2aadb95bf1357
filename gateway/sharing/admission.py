"""Who of its recipients may have a share that has arrived: contacts, then policy on the whole.

A share with a user is for one; one with a group is judged for each member as if it were theirs
alone, and refused when nobody may have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Refused
from gateway.model import (
    Contact,
    ContactSource,
    Deed,
    NewsKind,
    Permission,
    ReceivedShare,
    ReceivedState,
)
from gateway.ocm.address import local_part, parse_address
from gateway.policy.doorkeeper import Ruling
from gateway.policy.facts import Action, Facts
from gateway.sharing import facts
from gateway.sharing.news import Newsroom
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.store import contacts
from gateway.store.state import State


@dataclass(frozen=True, slots=True)
class Admitted:
    """A share as it was offered to one recipient, their contact with its sender, the ruling."""

    offered: ReceivedShare
    contact: Contact | None
    ruling: Ruling

    @property
    def share(self) -> ReceivedShare:
        """The share as policy lets it in."""
        return self.limit(self.offered)

    def limit(self, share: ReceivedShare) -> ReceivedShare:
        """A share within what policy allows here: less than offered, or held for review."""
        limits = self.ruling.limits
        return replace(
            share,
            permissions=share.permissions - ({Permission.WRITE} if limits.read_only else set()),
            expiration_at=limits.expiration(share.expiration_at, share.received_at),
            state=ReceivedState.QUARANTINED if self.ruling.held else share.state,
        )


class Admission:
    """Judges shares that arrive."""

    def __init__(self, ours: Ours, state: State, others: Others, newsroom: Newsroom) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._newsroom = newsroom

    async def admit(self, offers: Sequence[ReceivedShare], signed: str) -> list[Admitted]:
        """One share of a server, for those of its recipients who may have it.

        `signed` is how the message was signed. Raises Refused, and what policy raises, where nobody
        may.
        """
        contacts_, server = await self._state.database.read(partial(_known, offers=offers))
        welcome = [
            (offer, contact)
            for offer, contact in zip(offers, contacts_, strict=True)
            if not self._ours.wants_invite or _asked_for(contact)
        ]
        if not welcome:
            raise Refused("the recipient takes shares only from contacts; send an invite first")
        several = [_facts(offer, contact, server, signed) for offer, contact in welcome]
        rulings = self._others.doorkeeper.admit_any(several)
        return [
            Admitted(offer, contact, ruling)
            for (offer, contact), ruling in zip(welcome, rulings, strict=True)
            if ruling is not None
        ]

    def keep(self, connection: Connection, admitted: Admitted) -> ReceivedShare:
        """Keep a share that is new, and have its recipient told of it."""
        kept = self._state.received.add(connection, admitted.share)
        if kept.state is not ReceivedState.QUARANTINED:
            self._tell(connection, kept)
        return kept

    def release(self, connection: Connection, share: ReceivedShare) -> bool:
        """Let its recipient see a share that was held, and be told of it; whether it was held."""
        held = (ReceivedState.QUARANTINED,)
        if not self._state.received.move(connection, share.id, ReceivedState.PENDING, out_of=held):
            return False
        self._tell(connection, share)
        return True

    def _tell(self, connection: Connection, share: ReceivedShare) -> None:
        kind, who = NewsKind.SHARE_RECEIVED, share.recipient
        self._newsroom.add(connection, kind, who, share.sender, share.name, share.id)

    def deeds(self, kept: Sequence[ReceivedShare], admitted: Sequence[Admitted]) -> list[Deed]:
        """What the audit trail is told of those that were kept, and were not here before."""
        new = {one.offered.id: one.ruling for one in admitted}
        return [
            replace(
                self._others.audit.deed(
                    "received.arrived",
                    who=share.sender,
                    whom=str(self._ours.address(share.recipient)),
                    provider=share.sending_server,
                    about=share.id,
                ),
                outcome=new[share.id].verdict.outcome.word,
                decision=new[share.id].id,
            )
            for share in kept
            if share.id in new
        ]


def _known(
    connection: Connection, offers: Sequence[ReceivedShare]
) -> tuple[list[Contact | None], facts.Known]:
    """For each recipient the contact that the sender is, if any; and the sending server."""
    server = facts.known(connection, offers[0].sending_server)
    sender = parse_address(offers[0].sender)
    if sender.authority != offers[0].sending_server:
        # Another server says so (a reshare in the form of 1.0).
        return [None for _ in offers], server
    known_as = local_part(sender.identifier, sender.authority)
    found = [contacts.find(connection, one.recipient, sender.authority, known_as) for one in offers]
    return found, server


def _facts(
    offer: ReceivedShare, contact: Contact | None, server: facts.Known, signed: str
) -> Facts:
    """All that policy may want to know, now that everything is known of it."""
    return facts.of_received(offer, Action.SHARE_IN)._replace(
        signed=signed,
        invited=contact is not None and contact.source is ContactSource.INVITE,
        capabilities=server.capabilities,
        pinned=server.pinned,
        settled=True,
    )


def _asked_for(contact: Contact | None) -> bool:
    """A contact that came of an earlier share alone was never asked for (draft 03, 4.4.1)."""
    return contact is not None and contact.source is not ContactSource.SHARE
