"""The Receiving Server: what people at other servers share with local users."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway import metrics
from gateway.dav.target import check_name, decode_segment
from gateway.errors import (
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    BadSignature,
    Conflict,
    Malformed,
    NotFound,
    ProviderFailed,
    ProviderRefused,
    Refused,
    Unavailable,
    Unsigned,
    Unsupported,
)
from gateway.httpsig.message import Message, Signature
from gateway.logs import event
from gateway.model import (
    Contact,
    ContactSource,
    Deed,
    Errand,
    NewsKind,
    OutboxEntry,
    Permission,
    ProviderSource,
    ReceivedShare,
    ReceivedState,
    ResourceType,
    User,
)
from gateway.ocm import legacy, shares, urls
from gateway.ocm.address import local_part, parse_address
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.ocm.shares import NewShare, WebDav
from gateway.policy.doorkeeper import Ruling
from gateway.policy.facts import Action, Outcome
from gateway.providers.identity import claimed
from gateway.sharing import facts, notices
from gateway.sharing.news import Newsroom
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Carrier, Outbox
from gateway.sharing.parties import Parties
from gateway.store import contacts, outbox
from gateway.store.state import State

_MOST_CANDIDATES = 5
"""How many servers with a share of the same id are asked for their keys."""
_SETTLING_SECONDS = 60
_NOT_YET = (400, 401, 404)
"""What a server may say of its own share for so long: Reva keeps it after our answer."""
_EVERYTHING = frozenset({Permission.READ, Permission.WRITE})


@dataclass(frozen=True, slots=True)
class _Known:
    """What we know of who sends a share: the recipient's contact, and the sending server."""

    contact: Contact | None
    server: facts.Known


class Receiving:
    """The use cases of the Receiving Server, but for the access itself (`visiting.py`)."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        parties: Parties,
        outbox_: Outbox,
        newsroom: Newsroom,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._parties = parties
        self._outbox = outbox_
        self._newsroom = newsroom
        self._clock = clock
        outbox_.employ(
            {
                Errand.SHARE_ACCEPTED: Carrier(self._answer, notices.ignore),
                Errand.SHARE_DECLINED: Carrier(self._answer, notices.ignore),
            }
        )

    async def receive_share(self, new: NewShare, message: Message) -> User:
        """Take in a Share Creation Notification (draft 03, 6); returns its recipient.

        Checked in an order that tells strangers nothing and fetches nothing for them: policy on
        the claimed server (Refused), its signature (Unsigned, BadSignature), whose Resource it is
        (Refused), what it is (Unsupported), for whom (Malformed). The same share twice is one.
        """
        if not self._ours.receives:
            raise Unsupported("this server takes no shares")
        sending_server = new.sending_server
        for provider in {sending_server, new.sender.authority}:
            self._others.doorkeeper.admit_provider(provider, Action.SHARE_IN)
        signer = await self._others.identity.authenticate(message, sending_server)
        await self._others.registry.expect_approved(sending_server, ProviderSource.SHARE)
        if new.owner.authority != sending_server:
            raise Refused("the owner is not a user of the sending server")
        webdav = shares.check_supported(new, honours_mfa=self._ours.honours_mfa)
        self._admit_terms(new, webdav)
        recipient = await self._recipient(new)
        known = await self._state.database.read(partial(_known, new=new, recipient=recipient))
        contact = self._admit_sender(new, known.contact)
        offered = self._record(new, webdav, recipient)
        ruling = self._rule(offered, known, contact, facts.scheme_of(message, signer))
        share = await self._others.audit.write(
            partial(self._keep, share=offered, ruling=ruling),
            lambda kept: self._arrived(kept, ruling) if kept.id == offered.id else None,
        )
        await self._others.registry.note(sending_server, ProviderSource.SHARE)
        event("share.received", id=share.id, server=sending_server, recipient=recipient.name)
        if contact and contact.trusted and share.state is ReceivedState.PENDING:
            await self._decide(
                share,
                ReceivedState.ACCEPTED,
                Errand.SHARE_ACCEPTED,
                (ReceivedState.PENDING,),
                at_once=False,
            )
        return recipient

    def _admit_sender(self, new: NewShare, contact: Contact | None) -> Contact | None:
        """The recipient's contact, if the sender is one; Refused where only contacts may share.

        A contact that came of an earlier share alone was never asked for (draft 03, 4.4.1).
        """
        if new.sender.authority != new.sending_server:
            contact = None  # another server says so (a reshare in the form of 1.0)
        asked_for = contact is not None and contact.source is not ContactSource.SHARE
        if self._ours.wants_invite and not asked_for:
            raise Refused("the recipient takes shares only from contacts; send an invite first")
        return contact

    def _rule(
        self, share: ReceivedShare, known: _Known, contact: Contact | None, signed: str
    ) -> Ruling:
        """Policy on the whole share, now that everything is known of it."""
        return self._others.doorkeeper.admit(
            replace(
                facts.of_received(share, Action.SHARE_IN),
                signed=signed,
                invited=contact is not None and contact.source is ContactSource.INVITE,
                capabilities=known.server.capabilities,
                pinned=known.server.pinned,
                settled=True,
            )
        )

    def _admit_terms(self, new: NewShare, webdav: WebDav) -> None:
        if self._ours.wants_exchange and not webdav.must_exchange_token:
            raise Refused("this server takes only shares that require must-exchange-token")
        if new.expiration is not None and new.expiration <= self._clock():
            raise _fault("expiration", "lies in the past")
        _check_uri(new, webdav)

    async def _recipient(self, new: NewShare) -> User:
        if new.share_with.authority != self._ours.authority:
            raise _fault("shareWith", "is not a user of this server")
        try:
            user = await self._parties.find(new.share_with.identifier)
        except (BackendFailed, BackendUnavailable, BackendTimeout) as error:
            raise Unavailable(
                "who lives here cannot be told just now", detail=error.explanation, retry_after=60
            ) from error
        if user is None:
            raise _fault("shareWith", "is not a user of this server")
        return user

    def _record(self, new: NewShare, webdav: WebDav, recipient: User) -> ReceivedShare:
        return ReceivedShare(
            id=str(uuid.uuid4()),
            sending_server=new.sending_server,
            provider_id=new.provider_id,
            recipient=recipient.name,
            owner=str(new.owner),
            sender=str(new.sender),
            name=new.name,
            folder=folder_name(new.name),
            resource_type=ResourceType(new.resource_type),
            uri=webdav.uri,
            # A sender that names no permissions decides by itself on each request.
            permissions=_EVERYTHING if webdav.permissions is None else webdav.permissions,
            must_exchange_token=webdav.must_exchange_token,
            must_use_mfa=webdav.must_use_mfa,
            shared_secret=webdav.shared_secret,
            received_at=self._clock(),
            expiration_at=new.expiration,
            size=webdav.size,
            description=new.description,
            sender_display_name=new.sender_display_name,
            owner_display_name=new.owner_display_name,
        )

    def _keep(self, connection: Connection, share: ReceivedShare, ruling: Ruling) -> ReceivedShare:
        """Keep a new share, within the limits; one that we have already stays as it is."""
        known = self._state.received.find_by_provider_id(
            connection, share.sending_server, share.provider_id
        )
        if known is None:
            kept = self._state.received.add(connection, _limited(share, ruling))
            if kept.state is not ReceivedState.QUARANTINED:
                self._newsroom.add(
                    connection,
                    NewsKind.SHARE_RECEIVED,
                    kept.recipient,
                    kept.sender,
                    kept.name,
                    kept.id,
                )
            return kept
        again = replace(share, received_at=known.received_at)
        if _terms(known) not in (_terms(again), _terms(_limited(again, ruling))):
            raise Conflict("another share of this providerId was received before")
        return known

    async def receive_notification(self, notification: NewNotification, message: Message) -> None:
        """SHARE_UNSHARED from the Sending Server of a share (draft 03, 7 and 10).

        Changes of permissions, and what an unsigned server cannot prove, have the share looked at.
        Raises Malformed for a providerId that no server has used, Refused for another server's.
        """
        signature = self._others.identity.examine(message)
        candidates = await self._state.database.read(
            partial(self._state.received.all_by_provider_id, provider_id=notification.provider_id)
        )
        if not candidates:
            raise Malformed(
                "there is no such share", fields=(("providerId", "is not a share of yours"),)
            )
        share, proven = await self._told_by(candidates, signature, notification)
        if not proven or notification.notification_type != NotificationType.SHARE_UNSHARED:
            await self._doubt(share, notification, proven=proven)
            return
        unshare = partial(
            self._state.received.move,
            share_id=share.id,
            state=ReceivedState.UNSHARED,
            out_of=(
                ReceivedState.PENDING,
                ReceivedState.ACCEPTED,
                ReceivedState.UNAVAILABLE,
                ReceivedState.QUARANTINED,
            ),
        )
        deed = self._deed("received.unshared", share, share.sender)
        if await self._others.audit.write(unshare, lambda moved: deed if moved else None):
            event("share.unshared", id=share.id, server=share.sending_server)

    async def _doubt(
        self, share: ReceivedShare, notification: NewNotification, *, proven: bool
    ) -> None:
        """A change that is best seen at the server itself: have the share looked at.

        What nothing proves has to name its recipient at least, as oCIS does.
        """
        if not proven:
            local, _, _ = notification.said("grantee").partition("@")
            if local != share.recipient:
                raise Unsigned("neither signed nor with the secret of the share")
            metrics.tolerated.labels(form=legacy.UNSIGNED_HINT).inc()
        await self._state.database.write(partial(self._state.received.doubt, share_id=share.id))

    async def _told_by(
        self,
        candidates: list[ReceivedShare],
        signature: Signature | None,
        notification: NewNotification,
    ) -> tuple[ReceivedShare, bool]:
        """Which of several servers' shares of one id a message is about, and whether it proves it:
        its signer's, else the one whose secret it tells."""
        named = claimed(signature)
        candidates = [one for one in candidates if one.sending_server == named] or candidates
        *others, last = candidates[:_MOST_CANDIDATES]
        for share in others:
            try:
                if await self._believes(share, signature, notification):
                    return share, True
            except (BadSignature, Refused):
                continue
        return last, await self._believes(last, signature, notification)

    async def _believes(
        self, share: ReceivedShare, signature: Signature | None, notification: NewNotification
    ) -> bool:
        return await notices.believe(
            self._others, signature, share.sending_server, notification, share.shared_secret
        )

    async def inbox(self, recipient: str | None = None) -> list[ReceivedShare]:
        """What was shared with a user, or with anybody here, and is not gone; newest first."""
        everything = await self._state.database.read(
            partial(self._state.received.all, recipient=recipient)
        )
        now = self._clock()
        gone = (
            ReceivedState.UNSHARED,
            ReceivedState.DECLINED,
            ReceivedState.EXPIRED,
            ReceivedState.QUARANTINED,
        )
        return [share for share in everything if share.state not in gone and share.live_at(now)]

    async def by_id(self, share_id: str, *, recipient: str | None = None) -> ReceivedShare:
        """One share, of that recipient if one is given; NotFound otherwise."""
        share = await self._state.database.read(
            partial(self._state.received.by_id, share_id=share_id)
        )
        if recipient is not None and share.recipient != recipient:
            raise NotFound("there is no such received share")
        return share

    async def accept(self, share_id: str, *, recipient: str | None = None) -> ReceivedShare:
        """The user wants the share. It opens at once; the Sending Server is told after.

        Raises Conflict for one that was declined, withdrawn or has expired.
        """
        share = await self.by_id(share_id, recipient=recipient)
        if not share.live_at(self._clock()):
            raise Conflict("the share has expired")
        return await self._decide(
            share, ReceivedState.ACCEPTED, Errand.SHARE_ACCEPTED, (ReceivedState.PENDING,)
        )

    async def decline(self, share_id: str, *, recipient: str | None = None) -> ReceivedShare:
        """The user does not want the share, or no longer. Raises Conflict for one that is gone."""
        share = await self.by_id(share_id, recipient=recipient)
        return await self._decide(
            share,
            ReceivedState.DECLINED,
            Errand.SHARE_DECLINED,
            (ReceivedState.PENDING, ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE),
        )

    async def hide(
        self, share_id: str, *, hidden: bool, recipient: str | None = None
    ) -> ReceivedShare:
        """Put a share out of the user's sight, or back; nobody is told, and it opens as before."""
        await self.by_id(share_id, recipient=recipient)
        await self._state.database.write(
            partial(self._state.received.hide, share_id=share_id, hidden=hidden)
        )
        return await self.by_id(share_id)

    async def expire(self, share: ReceivedShare) -> None:
        """Close a share whose time is over. Its server set the time, and need not be told."""
        move = partial(
            self._state.received.move,
            share_id=share.id,
            state=ReceivedState.EXPIRED,
            out_of=(
                ReceivedState.PENDING,
                ReceivedState.ACCEPTED,
                ReceivedState.UNAVAILABLE,
                ReceivedState.QUARANTINED,
            ),
        )
        deed = self._deed("received.expired", share, self._address(share))
        if await self._others.audit.write(move, lambda moved: deed if moved else None):
            event("share.expired", id=share.id, server=share.sending_server)

    async def _decide(
        self,
        share: ReceivedShare,
        state: ReceivedState,
        errand: Errand,
        out_of: tuple[ReceivedState, ...],
        *,
        at_once: bool = True,
    ) -> ReceivedShare:
        """The decision and the errand that tells of it, in one transaction.

        Not `at_once` while the share itself has not been answered: its server hears that first.
        """
        entry = notices.entry(errand, share.id, share.sending_server, self._clock())
        if not at_once:
            entry = replace(entry, next_attempt_at=entry.created_at + 1)

        def record(connection: Connection) -> bool:
            moved = self._state.received.move(connection, share.id, state, out_of=out_of)
            if moved:
                outbox.add(connection, entry)
            if moved and state is ReceivedState.ACCEPTED:
                contacts.put(connection, _contact(share, self._clock()))
            return moved

        deed = self._deed(f"received.{state.value}", share, self._address(share))
        if await self._others.audit.write(record, lambda moved: deed if moved else None):
            event(f"share.{state.value}", id=share.id, server=share.sending_server)
            if at_once:
                await self._outbox.attempt(entry.id)
        decided = await self.by_id(share.id)
        if decided.state is not state:
            raise Conflict(f"the share is {decided.state.value} already")
        return decided

    def _arrived(self, share: ReceivedShare, ruling: Ruling) -> Deed:
        deed = self._deed("received.arrived", share, share.sender)
        return replace(deed, outcome=ruling.verdict.outcome.word, decision=ruling.id)

    def _deed(self, what: str, share: ReceivedShare, who: str) -> Deed:
        ours = self._address(share)
        return self._others.audit.deed(
            what,
            who=who,
            whom=share.sender if who == ours else ours,
            provider=share.sending_server,
            about=share.id,
        )

    def _address(self, share: ReceivedShare) -> str:
        return str(self._ours.address(share.recipient))

    async def _answer(self, entry: OutboxEntry) -> None:
        share = await self.by_id(entry.share)
        notice = NewNotification(
            NotificationType(entry.errand), share.provider_id, share.resource_type
        )
        try:
            await notices.tell(
                self._others,
                share.sending_server,
                notice,
                shared_secret="" if share.must_exchange_token else share.shared_secret,
                recipient=share.recipient,
            )
        except ProviderRefused as error:
            age = self._clock() - share.received_at
            if error.answered not in _NOT_YET or age >= _SETTLING_SECONDS:
                raise
            raise ProviderFailed(error.message, detail=error.detail) from error


def _known(connection: Connection, new: NewShare, recipient: User) -> _Known:
    contact = contacts.find(
        connection,
        user=recipient.name,
        provider=new.sender.authority,
        user_id=local_part(new.sender.identifier, new.sender.authority),
    )
    return _Known(contact, facts.known(connection, new.sending_server))


def _contact(share: ReceivedShare, now: int) -> Contact:
    """Who sent an accepted share, for the recipient's address book."""
    sender = parse_address(share.sender)
    return Contact(
        id=str(uuid.uuid4()),
        user=share.recipient,
        user_id=local_part(sender.identifier, sender.authority),
        provider=sender.authority,
        name=share.sender_display_name,
        email="",
        source=ContactSource.SHARE,
        added_at=now,
    )


def folder_name(name: str) -> str:
    """A share's name as one segment of a path, whatever its sender called it."""
    cleaned = name.replace("/", "_").replace("\\", "_").strip()
    try:
        check_name(cleaned)
    except Malformed:
        return "share"
    return cleaned or "share"


def uri_segments(uri: str) -> tuple[str, ...]:
    """The path of a relative webdav.uri as segments; Malformed for one that climbs."""
    return tuple(decode_segment(part) for part in uri.split("/") if part)


def _check_uri(new: NewShare, webdav: WebDav) -> None:
    """A share that could never be opened is not taken."""
    try:
        if "://" in webdav.uri:
            at = urls.authority_of(urls.absolute(webdav.uri))
            # opencloudmesh-go writes our own host where absolute addresses are asked for.
            if at not in (new.sending_server, new.share_with.authority):
                raise _fault("protocol.webdav.uri", "is not at the sending server")
        else:
            if set("?#") & set(webdav.uri):
                raise Malformed("is not a path")
            uri_segments(webdav.uri)
    except Malformed as error:
        if error.fields:
            raise
        raise _fault("protocol.webdav.uri", error.message) from error


def _limited(share: ReceivedShare, ruling: Ruling) -> ReceivedShare:
    """The share as policy lets it in: less than was offered, or held for review."""
    limits = ruling.limits
    held = ruling.verdict.outcome is Outcome.QUARANTINE
    return replace(
        share,
        permissions=share.permissions - ({Permission.WRITE} if limits.read_only else set()),
        expiration_at=limits.expiration(share.expiration_at, share.received_at),
        state=ReceivedState.QUARANTINED if held else share.state,
    )


def _terms(share: ReceivedShare) -> tuple[object, ...]:
    """What a user relies on, and what must not change under them."""
    return (
        share.recipient,
        share.owner,
        share.sender,
        share.name,
        share.resource_type,
        share.uri,
        share.permissions,
        share.must_exchange_token,
        share.must_use_mfa,
        share.shared_secret,
        share.expiration_at,
    )


def _fault(name: str, message: str) -> Malformed:
    return Malformed("the share is not valid", fields=((name, message),))
