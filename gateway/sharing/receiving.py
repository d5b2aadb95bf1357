"""The Receiving Server: what people at other servers share with local users."""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
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
    OutboxEntry,
    Permission,
    ProviderSource,
    ReceivedShare,
    ReceivedState,
    ResourceType,
    ShareType,
    User,
)
from gateway.ocm import legacy, shares, urls
from gateway.ocm.address import local_part, parse_address
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.ocm.shares import NewShare, WebDav
from gateway.policy.facts import Action
from gateway.providers.identity import claimed
from gateway.sharing import facts, notices
from gateway.sharing.admission import Admission, Admitted
from gateway.sharing.news import Newsroom
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Carrier, Outbox
from gateway.sharing.parties import Parties
from gateway.store import contacts, outbox
from gateway.store.parts import Part, Turn
from gateway.store.state import State

_MOST_CANDIDATES = 5
"""How many servers with a share of the same id are asked for their keys."""
_SETTLING_SECONDS = 60
_NOT_YET = (400, 401, 404)
"""What a server may say of its own share for so long: Reva keeps it after our answer."""
_EVERYTHING = frozenset({Permission.READ, Permission.WRITE})
_WITH_THEM = (ReceivedState.PENDING, ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE)
"""What its recipient sees."""


class Receiving:
    """The use cases of the Receiving Server, but for the access itself (`visiting.py`)."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        parties: Parties,
        admission: Admission,
        outbox_: Outbox,
        newsroom: Newsroom,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._parties = parties
        self._admission = admission
        self._outbox = outbox_
        self._newsroom = newsroom
        self._clock = clock
        outbox_.employ(
            {
                Errand.SHARE_ACCEPTED: Carrier(self._answer, notices.ignore),
                Errand.SHARE_DECLINED: Carrier(self._answer, notices.ignore),
            }
        )

    async def receive_share(self, new: NewShare, message: Message) -> str:
        """Take in a Share Creation Notification (draft 03, 6); what its recipient is called.

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
        webdav = shares.check_supported(
            new, honours_mfa=self._ours.honours_mfa, has_groups=bool(self._ours.groups)
        )
        self._admit_terms(new, webdav)
        called, recipients = await self._recipients(new)
        admitted = await self._admission.admit(
            [self._record(new, webdav, recipient) for recipient in recipients],
            facts.scheme_of(message, signer),
        )
        kept = await self._others.audit.write(
            partial(self._keep, admitted=admitted),
            partial(self._admission.deeds, admitted=admitted),
        )
        await self._others.registry.note(sending_server, ProviderSource.SHARE)
        for share in kept:
            event("share.received", id=share.id, server=sending_server, recipient=share.recipient)
        await self._accept_trusted(kept, admitted)
        return called

    async def _accept_trusted(
        self, kept: Sequence[ReceivedShare], admitted: Sequence[Admitted]
    ) -> None:
        """What comes from a trusted contact is accepted without asking."""
        trusting = {
            one.offered.recipient for one in admitted if one.contact and one.contact.trusted
        }
        for share in kept:
            if share.recipient in trusting and share.state is ReceivedState.PENDING:
                await self._decide(
                    share,
                    ReceivedState.ACCEPTED,
                    Errand.SHARE_ACCEPTED,
                    (ReceivedState.PENDING,),
                    at_once=False,
                )

    def _admit_terms(self, new: NewShare, webdav: WebDav) -> None:
        if self._ours.wants_exchange and not webdav.must_exchange_token:
            raise Refused("this server takes only shares that require must-exchange-token")
        if new.expiration is not None and new.expiration <= self._clock():
            raise _fault("expiration", "lies in the past")
        _check_uri(new, webdav)

    async def _recipients(self, new: NewShare) -> tuple[str, list[str]]:
        """What the recipient is called, and the local users for whom it is."""
        if new.share_with.authority != self._ours.authority:
            raise _fault("shareWith", "is not a user of this server")
        if new.share_type == ShareType.GROUP:
            return self._members(new)
        user = await self._user(new)
        return user.shown_as, [user.name]

    def _members(self, new: NewShare) -> tuple[str, list[str]]:
        """A group and those in it; whoever shares with a group they are in has the Resource."""
        group = new.share_with.identifier
        members = self._ours.groups.members.get(group)
        if members is None:
            raise _fault("shareWith", "is not a group of this server")
        others = [name for name in members if self._ours.address(name) != new.sender]
        if not others:
            raise _fault("shareWith", "is a group of the sender alone")
        return group, others

    async def _user(self, new: NewShare) -> User:
        try:
            user = await self._parties.find(new.share_with.identifier)
        except (BackendFailed, BackendUnavailable, BackendTimeout) as error:
            raise Unavailable(
                "who lives here cannot be told just now", detail=error.explanation, retry_after=60
            ) from error
        if user is None:
            raise _fault("shareWith", "is not a user of this server")
        return user

    def _record(self, new: NewShare, webdav: WebDav, recipient: str) -> ReceivedShare:
        return ReceivedShare(
            id=str(uuid.uuid4()),
            sending_server=new.sending_server,
            provider_id=new.provider_id,
            recipient=recipient,
            group=new.share_with.identifier if new.share_type == ShareType.GROUP else "",
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

    def _keep(self, connection: Connection, admitted: Sequence[Admitted]) -> list[ReceivedShare]:
        """Keep a new share, for each recipient; one that we have already stays as it is."""
        first = admitted[0].offered
        known = self._state.received.all_of(connection, first.sending_server, first.provider_id)
        if not known:
            return [self._admission.keep(connection, one) for one in admitted]
        mine = {one.offered.recipient: one for one in admitted}.get(known[0].recipient, admitted[0])
        again = replace(mine.offered, received_at=known[0].received_at)
        if _terms(known[0]) not in (_terms(again), _terms(mine.limit(again))):
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
        gone = await self._others.audit.write(
            partial(self._unshare, share=share),
            lambda gone: [self._deed("received.unshared", one, one.sender) for one in gone],
        )
        for one in gone:
            event("share.unshared", id=one.id, server=one.sending_server)

    def _unshare(self, connection: Connection, share: ReceivedShare) -> list[ReceivedShare]:
        """Take a share away from everybody who has it; those who did."""
        everyone = self._state.received.all_of(connection, share.sending_server, share.provider_id)
        open_ = (
            ReceivedState.PENDING,
            ReceivedState.ACCEPTED,
            ReceivedState.UNAVAILABLE,
            ReceivedState.QUARANTINED,
        )
        return [
            one
            for one in everyone
            if self._state.received.move(connection, one.id, ReceivedState.UNSHARED, out_of=open_)
        ]

    async def _doubt(
        self, share: ReceivedShare, notification: NewNotification, *, proven: bool
    ) -> None:
        """A change that is best seen at the server itself: have the share looked at.

        What nothing proves has to name its recipient at least, as oCIS does.
        """
        if not proven:
            local, _, _ = notification.said("grantee").partition("@")
            if local != share.share_with:
                raise Unsigned("neither signed nor with the secret of the share")
            metrics.tolerated.labels(form=legacy.UNSIGNED_HINT).inc()

        def doubt(connection: Connection) -> None:
            for one in self._state.received.all_of(
                connection, share.sending_server, share.provider_id
            ):
                self._state.received.doubt(connection, one.id)

        await self._state.database.write(doubt)

    async def _told_by(
        self,
        candidates: list[ReceivedShare],
        signature: Signature | None,
        notification: NewNotification,
    ) -> tuple[ReceivedShare, bool]:
        """Which of several servers' shares of one id a message is about, and whether it proves it:
        its signer's, else the one whose secret it tells."""
        named = claimed(signature)
        candidates = list({one.sending_server: one for one in candidates}.values())
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

    async def inbox(self, recipient: str | None = None, *, search: str = "") -> list[ReceivedShare]:
        """What was shared with a user, or with anybody here, and is not gone; newest first.

        `search` finds in the folder and the sender.
        """
        everything = await self._state.database.read(
            partial(self._state.received.all, recipient=recipient, states=_WITH_THEM, search=search)
        )
        now = self._clock()
        return [
            share for share in everything if share.live_at(now) and self._ours.groups.reaches(share)
        ]

    async def part(
        self,
        turn: Turn,
        recipient: str,
        *,
        states: Collection[ReceivedState] = _WITH_THEM,
        hidden: bool | None = None,
        search: str = "",
    ) -> Part[ReceivedShare]:
        """A part of what `inbox` finds, in those states; only what is `hidden`, or is not."""
        return await self._state.database.read(
            partial(
                self._state.received.part,
                turn=turn,
                recipient=recipient,
                states=states,
                groups=self._ours.groups.of(recipient),
                now=self._clock(),
                hidden=hidden,
                search=search,
            )
        )

    async def since(
        self, recipient: str, parties: Collection[str], at: int, *, most: int
    ) -> list[ReceivedShare]:
        """What these Parties have shared with a user since then and is not gone, the newest
        first."""
        found = await self._state.database.read(
            partial(
                self._state.received.since,
                recipient=recipient,
                states=_WITH_THEM,
                parties=parties,
                at=at,
                most=most,
            )
        )
        now = self._clock()
        return [one for one in found if one.live_at(now) and self._ours.groups.reaches(one)]

    async def by_id(self, share_id: str, *, recipient: str | None = None) -> ReceivedShare:
        """One share, of that recipient if one is given; NotFound otherwise."""
        share = await self._state.database.read(
            partial(self._state.received.by_id, share_id=share_id)
        )
        mine = share.recipient == recipient and self._ours.groups.reaches(share)
        if recipient is not None and (not mine or share.state is ReceivedState.QUARANTINED):
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

    async def held(self) -> list[ReceivedShare]:
        """What the operator has to look at before its recipient sees it, the newest first."""
        held = await self._state.database.read(
            partial(self._state.received.all, states=(ReceivedState.QUARANTINED,))
        )
        now = self._clock()
        return [one for one in held if one.live_at(now)]

    async def held_part(self, turn: Turn) -> Part[ReceivedShare]:
        """A part of that."""
        return await self._state.database.read(
            partial(
                self._state.received.part,
                turn=turn,
                states=(ReceivedState.QUARANTINED,),
                now=self._clock(),
            )
        )

    async def release(self, share_id: str, *, by: str) -> ReceivedShare:
        """An operator lets a share in that was held: its recipient sees it and is told of it.

        Raises NotFound, and Conflict for one that is not held or has expired.
        """
        share = await self.by_id(share_id)
        if not share.live_at(self._clock()):
            raise Conflict("the share has expired")
        release = partial(self._admission.release, share=share)
        deed = self._deed("review.released", share, by)
        if not await self._others.audit.write(release, lambda done: deed if done else None):
            raise Conflict(f"the share is {share.state.value}, not held")
        return await self.by_id(share_id)

    async def turn_away(self, share_id: str, *, by: str) -> ReceivedShare:
        """The operator does not let a share in that was held; its server hears that it was
        declined. Raises NotFound, and Conflict for one that is not held."""
        share = await self.by_id(share_id)
        return await self._decide(
            share,
            ReceivedState.DECLINED,
            Errand.SHARE_DECLINED,
            (ReceivedState.QUARANTINED,),
            deed=self._deed("review.refused", share, by),
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
        deed: Deed | None = None,
    ) -> ReceivedShare:
        """The decision and the errand that tells of it, in one transaction.

        Not `at_once` while the share itself has not been answered: its server hears that first.
        The recipient decides where no other `deed` is given.
        """
        entry = notices.entry(errand, share.id, share.sending_server, self._clock())
        if not at_once:
            entry = replace(entry, next_attempt_at=entry.created_at + 1)

        def record(connection: Connection) -> tuple[bool, bool]:
            if not self._state.received.move(connection, share.id, state, out_of=out_of):
                return False, False
            if state is ReceivedState.ACCEPTED:
                contacts.put(connection, _contact(share, self._clock()))
            everyone = [share]
            if share.group:
                everyone = self._state.received.all_of(
                    connection, share.sending_server, share.provider_id
                )
            if not self._ours.groups.speaks_for_all(share, everyone, state):
                return True, False
            # Under one id for all members, so that their errands keep their order.
            outbox.add(connection, replace(entry, share=everyone[0].id))
            return True, True

        deed = deed or self._deed(f"received.{state.value}", share, self._address(share))
        moved, told = await self._others.audit.write(record, lambda done: deed if done[0] else None)
        if moved:
            event(f"share.{state.value}", id=share.id, server=share.sending_server)
            if told and at_once:
                await self._outbox.attempt(entry.id)
        decided = await self.by_id(share.id)
        if decided.state is not state:
            raise Conflict(f"the share is {decided.state.value} already")
        return decided

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
                recipient=share.share_with,
            )
        except ProviderRefused as error:
            age = self._clock() - share.received_at
            if error.answered not in _NOT_YET or age >= _SETTLING_SECONDS:
                raise
            raise ProviderFailed(error.message, detail=error.detail) from error


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
            # RFC 3986 4.2: with two slashes it names another server, not a path.
            if set("?#") & set(webdav.uri) or webdav.uri.startswith("//"):
                raise Malformed("is not a path")
            uri_segments(webdav.uri)
    except Malformed as error:
        if error.fields:
            raise
        raise _fault("protocol.webdav.uri", error.message) from error


def _terms(share: ReceivedShare) -> tuple[object, ...]:
    """What a user relies on, and what must not change under them."""
    return (
        share.group,
        share.share_with,
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
