"""Two people part: the contact goes on both sides, and the shares that go with it.

OCM-API 1.4: USER_REMOVED, with resourceType user and the userID exchanged at the invite as
providerId. The texts leave open which of the two that is; we send that of our own user and name the
other in `notification.contact`, and understand both.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Conflict, Malformed
from gateway.httpsig.message import Message, Signature
from gateway.logs import event
from gateway.model import (
    Contact,
    Errand,
    OutboxEntry,
    ReceivedState,
    SentState,
    ShareType,
)
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.providers.identity import claimed
from gateway.sharing import notices
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Carrier, Outbox
from gateway.sharing.receiving import Receiving
from gateway.sharing.sending import Sending
from gateway.store import contacts, outbox
from gateway.store.state import State

USER = "user"
_OPENS = tuple(state for state in SentState if state.opens)
_LIVE = (ReceivedState.PENDING, ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE)


class Leaving:
    """Both sides of a removed contact."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        sending: Sending,
        receiving: Receiving,
        outbox_: Outbox,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._sending = sending
        self._receiving = receiving
        self._outbox = outbox_
        self._clock = clock
        outbox_.employ({Errand.USER_REMOVED: Carrier(self._tell, self._untold)})

    async def part(self, contact: Contact) -> None:
        """Our user removes a contact: their shares end, and the other side is told."""
        await self._end_shares(contact)
        now = self._clock()
        entry = notices.entry(Errand.USER_REMOVED, contact.id, contact.provider, now)

        def record(connection: Connection) -> None:
            if contacts.bury(connection, contact.id, now):
                outbox.add(connection, entry)

        await self._state.database.write(record)
        await self._outbox.attempt(entry.id)

    async def _end_shares(self, contact: Contact) -> None:
        """Each with its own notification, for servers that do not know USER_REMOVED."""
        sent, received = await self._state.database.read(partial(self._between, contact=contact))
        for provider_id in sent:
            await self._sending.revoke(provider_id)
        for share_id in received:
            try:
                await self._receiving.decline(share_id)
            except Conflict:  # they were faster
                continue

    def _between(self, connection: Connection, contact: Contact) -> tuple[list[str], list[str]]:
        """The ids of the Shares with a contact that open something, sent and received; a group may
        have the same address."""
        sent = self._state.sent.all(
            connection, contact.user, states=_OPENS, share_with=contact.address
        )
        received = self._state.received.all(
            connection, contact.user, states=_LIVE, sender=contact.address
        )
        return (
            [one.provider_id for one in sent if one.share_type is ShareType.USER],
            [one.id for one in received],
        )

    async def _tell(self, entry: OutboxEntry) -> None:
        contact = await self._buried(entry.share)
        if contact is None:
            return  # a contact again since
        notice = NewNotification(
            NotificationType.USER_REMOVED, contact.user, USER, {"contact": contact.address}
        )
        await notices.tell(
            self._others, contact.provider, notice, shared_secret="", recipient=contact.user_id
        )
        await self._forget(contact.id)

    async def _untold(self, entry: OutboxEntry, _: str) -> None:
        if await self._buried(entry.share):
            await self._forget(entry.share)

    async def _buried(self, contact_id: str) -> Contact | None:
        return await self._state.database.read(partial(contacts.find_buried, contact_id=contact_id))

    async def _forget(self, contact_id: str) -> None:
        await self._state.database.write(partial(contacts.remove, contact_id=contact_id))

    async def receive_notification(self, notification: NewNotification, message: Message) -> None:
        """USER_REMOVED: somebody at another server has removed one of our users, or has gone.

        The contact goes and the shares in both directions with it. Raises Malformed for a userID
        in no contact with that server, Unsigned, BadSignature, Refused for a denied server.
        """
        if notification.resource_type not in (None, USER):
            raise Malformed(
                "USER_REMOVED is about users", fields=(("resourceType", "must be user"),)
            )
        signature = self._others.identity.examine(message)
        concerned = await self._concerned(notification, signature)
        await notices.authenticate(self._others, signature, concerned[0].provider)
        for contact in self._meant(concerned, notification):
            await self._state.database.write(partial(self._drop, contact=contact))
            event("contact.left", user=contact.user, server=contact.provider)

    async def _concerned(
        self, notification: NewNotification, signature: Signature | None
    ) -> list[Contact]:
        """The contacts it may be about, all with the one server that it seems to be from."""
        found = await self._state.database.read(
            partial(contacts.concerned, user_id=notification.provider_id)
        )
        named = claimed(signature)
        if named is None and len({contact.provider for contact in found}) == 1:
            named = found[0].provider
        found = [contact for contact in found if contact.provider == named]
        if not found:
            raise Malformed(
                "there is no such contact", fields=(("providerId", "is not a contact of yours"),)
            )
        return found

    def _meant(self, found: list[Contact], notification: NewNotification) -> list[Contact]:
        """Theirs of that userID, for all our users or the one named; else the one of ours.

        When it may be several of ours, none is meant: too little goes rather than too much.
        """
        named = notification.notification.get("contact")
        theirs = [one for one in found if one.user_id == notification.provider_id]
        if theirs:
            ours = [one for one in theirs if str(self._ours.address(one.user)) == named]
            return ours if isinstance(named, str) else theirs
        mine = [one for one in found if named in (None, one.address)]
        return mine if len(mine) == 1 else []

    def _drop(self, connection: Connection, contact: Contact) -> None:
        contacts.remove(connection, contact.id)
        sent, received = self._between(connection, contact)
        for share_id in received:
            self._state.received.move(connection, share_id, ReceivedState.UNSHARED, out_of=_LIVE)
        for provider_id in sent:
            self._state.sent.move(connection, provider_id, SentState.DECLINED, out_of=_OPENS)
