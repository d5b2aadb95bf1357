"""The Sending Server: local Resources shared with people at other servers."""

import secrets
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway import metrics
from gateway.dav.target import check_name
from gateway.errors import (
    BadSignature,
    Conflict,
    GatewayError,
    InvalidClient,
    InvalidGrant,
    Malformed,
    NotFound,
    ProviderRefused,
    Refused,
    UnauthorizedClient,
    Unsigned,
    Unsupported,
)
from gateway.httpsig.message import Message
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
    ResourceType,
    SentShare,
    SentState,
    ShareType,
)
from gateway.ocm import legacy
from gateway.ocm.address import Address, local_part, parse_address
from gateway.ocm.discovery import Discovery
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.ocm.shares import NewShare
from gateway.ocm.tokens import TokenRequest, TokenResponse
from gateway.policy.audit import DENY
from gateway.policy.doorkeeper import Ruling
from gateway.policy.facts import Action, Facts, Limits
from gateway.providers.dialects import Speech
from gateway.providers.identity import claimed
from gateway.sharing import announcing, facts, notices
from gateway.sharing.access import Access
from gateway.sharing.announcing import Attempt
from gateway.sharing.news import Newsroom
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Carrier, Outbox
from gateway.sharing.storage import Storage
from gateway.store import contacts, outbox
from gateway.store.parts import Part, Turn
from gateway.store.state import State

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Offer:
    """What a local user wants to share, with whom and how.

    `path` is relative to the user's storage root. `expiration_at` in seconds since the epoch, None
    for never. `must_exchange_token` None asks for the exchange wherever the other side can do it.
    `must_use_mfa` lets it be opened only after a log-in with several factors. `share_type` says
    whether `share_with` names a user or a group there, `granted_by` the Share that is passed on.
    """

    user: str
    path: str
    share_with: str
    permissions: frozenset[Permission] = frozenset({Permission.READ})
    expiration_at: int | None = None
    must_exchange_token: bool | None = None
    must_use_mfa: bool = False
    description: str = ""
    share_type: ShareType = ShareType.USER
    granted_by: str = ""


class Sending:
    """The use cases of the Sending Server."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        storage: Storage,
        access: Access,
        outbox_: Outbox,
        newsroom: Newsroom,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._storage = storage
        self._access = access
        self._outbox = outbox_
        self._newsroom = newsroom
        self._clock = clock
        self._asked: Callable[[SentShare, Address], Awaitable[None]] | None = None
        outbox_.employ(
            {
                Errand.SHARE: Carrier(self._deliver, self._undelivered, self._redeliver),
                Errand.SHARE_UNSHARED: Carrier(self._tell_unshared, notices.ignore),
            }
        )

    async def create_share(
        self, offer: Offer, along: Callable[[Connection, SentShare], None] | None = None
    ) -> SentShare:
        """Share a Resource: record the intent, notify the Receiving Server, record the outcome.

        `along` is recorded in the same transaction; what it raises undoes all of it.

        The Share comes back as it stands after the first attempt: sent, refused with a reason, or
        pending while its delivery is retried, with what went wrong as its reason. Raises Malformed,
        NotFound, Refused, Unsupported for what cannot be shared at all, and the storage's errors;
        nothing is kept then.
        """
        share, ruling = await self._intend(offer)
        entry = self._entry(Errand.SHARE, share)
        held = share.state is SentState.HELD

        def record(connection: Connection) -> None:
            self._state.sent.add(connection, share)
            if not held:
                outbox.add(connection, entry)
            if along:
                along(connection, share)

        deed = replace(
            self._deed("sent.created", share),
            outcome=ruling.verdict.outcome.word,
            decision=ruling.id,
        )
        await self._others.audit.write(record, lambda _: deed)
        await self._others.registry.note(share.receiving_server, ProviderSource.DIRECT)
        event("share.created", provider_id=share.provider_id, server=share.receiving_server)
        if not held:
            await self._outbox.attempt(entry.id)
        made = await self.by_id(share.provider_id)
        if made.state is not SentState.PENDING:
            return made
        waiting = await self._outbox.about(made.provider_id)
        return replace(made, reason=waiting[0].last_error) if waiting else made

    async def held(self) -> list[SentShare]:
        """What the operator has to look at before anybody is told of it, the newest first."""
        return await self._state.database.read(
            partial(self._state.sent.all, states=(SentState.HELD,))
        )

    async def held_part(self, turn: Turn) -> Part[SentShare]:
        """A part of that."""
        return await self._state.database.read(
            partial(self._state.sent.part, turn=turn, states=(SentState.HELD,))
        )

    async def release(self, provider_id: str, *, by: str) -> SentShare:
        """An operator lets a Share go that was held for review. Raises NotFound, Conflict."""
        share = await self.by_id(provider_id)
        if share.expiration_at is not None and share.expiration_at <= self._clock():
            raise Conflict("the share has expired")
        entry = self._entry(Errand.SHARE, share)

        def record(connection: Connection) -> bool:
            held = (SentState.HELD,)
            if not self._state.sent.move(connection, provider_id, SentState.PENDING, out_of=held):
                return False
            outbox.add(connection, entry)
            return True

        deed = replace(self._deed("review.released", share), who=by)
        if not await self._others.audit.write(record, lambda done: deed if done else None):
            raise Conflict(f"the share is {share.state.value}, not held")
        await self._outbox.attempt(entry.id)
        return await self.by_id(provider_id)

    async def turn_down(self, provider_id: str, *, by: str) -> SentShare:
        """The operator does not let a Share go that was held; its owner sees it as refused."""
        share = await self.by_id(provider_id)
        move = partial(
            self._state.sent.move,
            provider_id=provider_id,
            state=SentState.REFUSED,
            out_of=(SentState.HELD,),
            reason="the operator of this server did not approve it",
        )
        deed = replace(self._deed("review.refused", share), who=by)
        if not await self._others.audit.write(move, lambda done: deed if done else None):
            raise Conflict(f"the share is {share.state.value}, not held")
        return await self.by_id(provider_id)

    async def _intend(self, offer: Offer) -> tuple[SentShare, Ruling]:
        """The Share within the limits of policy, and what that has decided."""
        if not self._ours.sends:
            raise Unsupported("sharing with other servers is switched off")
        address = parse_address(offer.share_with)
        if address.authority == self._ours.authority:
            raise Malformed(f"{address} is at this server; OCM is for other servers")
        if Permission.READ not in offer.permissions:
            raise Malformed("a share grants at least read")
        now = self._clock()
        expiration_at = self.expiration(offer.expiration_at, since=now)
        keeper = self._others.doorkeeper
        keeper.admit_provider(address.authority, Action.SHARE_OUT)
        if offer.must_use_mfa and not self._ours.mfa_trusted.find(address.authority):
            raise Refused(
                f"{address.authority} is not trusted here to keep a demand for several factors"
            )
        await self._others.registry.expect_approved(address.authority, ProviderSource.DIRECT)
        resource = _resource(offer.path)
        stat = await self._storage.stat(offer.user, resource)
        if not stat.exists:
            raise NotFound(f"there is no {offer.path}")
        share = SentShare(
            provider_id=str(uuid.uuid4()),
            resource=resource,
            resource_type=ResourceType.FOLDER if stat.collection else ResourceType.FILE,
            owner=offer.user,
            share_with=str(address),
            receiving_server=address.authority,
            permissions=offer.permissions,
            must_exchange_token=offer.must_exchange_token,
            shared_secret=secrets.token_urlsafe(_SECRET_BYTES),
            created_at=now,
            expiration_at=expiration_at,
            size=None if stat.collection else stat.size,
            description=offer.description,
            must_use_mfa=offer.must_use_mfa,
            share_type=offer.share_type,
            granted_by=offer.granted_by,
        )
        ruling = await self.admit(share)
        limited = replace(
            limited_to(ruling.limits, share),
            must_exchange_token=ruling.limits.must_exchange or share.must_exchange_token,
            state=SentState.HELD if ruling.held else share.state,
        )
        return limited, ruling

    async def admit(self, share: SentShare) -> Ruling:
        """What policy says of a Share that is to be made, or to have these terms; raises
        Refused."""
        return self._others.doorkeeper.admit(await self._facts(share))

    async def _facts(self, share: SentShare) -> Facts:
        """All that policy may want to know of a Share that is about to be made."""
        contact = await self._contact_of(share)
        known = await self._state.database.read(
            partial(facts.known, provider=share.receiving_server)
        )
        return facts.of_sent(share, Action.SHARE_OUT)._replace(
            invited=contact is not None and contact.source is ContactSource.INVITE,
            capabilities=known.capabilities,
            pinned=known.pinned,
            settled=True,
        )

    def expiration(self, wanted: int | None, *, since: int) -> int | None:
        """When a Share ends that began at `since`: as its owner wants, within what the operator
        allows. Raises Malformed for the past, Refused for too long."""
        longest = self._ours.longest_share_seconds
        latest = since + longest if longest else None
        ends_at = latest if wanted is None else wanted
        if ends_at is not None and ends_at <= self._clock():
            raise Malformed("the expiration lies in the past")
        if latest and ends_at and ends_at > latest:
            raise Refused(f"a share here may last {(latest - since) // 86_400} days")
        return ends_at

    async def by_id(self, provider_id: str, *, owner: str | None = None) -> SentShare:
        """One Share, of that owner if one is given; NotFound otherwise."""
        share = await self._state.database.read(
            partial(self._state.sent.by_id, provider_id=provider_id)
        )
        if owner is not None and share.owner != owner:
            raise NotFound("there is no such share")
        return share

    async def all(self, owner: str | None = None, *, search: str = "") -> list[SentShare]:
        """The Shares of one owner, or every Share, the newest first; `search` finds in the name
        and the recipient."""
        return await self._state.database.read(
            partial(self._state.sent.all, owner=owner, search=search)
        )

    async def part(
        self,
        turn: Turn,
        owner: str,
        *,
        states: Collection[SentState] | None = None,
        search: str = "",
    ) -> Part[SentShare]:
        """A part of what `all` finds, in those states."""
        return await self._state.database.read(
            partial(self._state.sent.part, turn=turn, owner=owner, states=states, search=search)
        )

    async def of(self, owner: str, resource: tuple[str, ...]) -> list[SentShare]:
        """The Shares that open a Resource now, the newest first."""
        opens = tuple(state for state in SentState if state.opens)
        return await self._state.database.read(
            partial(self._state.sent.all, owner=owner, states=opens, resource=resource)
        )

    async def revoke(self, provider_id: str, *, owner: str | None = None) -> SentShare:
        """Withdraw a Share. Access ends when this returns; the Receiving Server is told after.

        Withdrawing one that no longer opens anything changes nothing.
        """
        share = await self.by_id(provider_id, owner=owner)
        entry = self._entry(Errand.SHARE_UNSHARED, share)
        if await self._end(share, SentState.REVOKED, entry):
            await self._outbox.attempt(entry.id)
        return await self.by_id(provider_id)

    async def expire(self, share: SentShare) -> None:
        """Close a Share whose time is over; the outbox tells the Receiving Server, once."""
        entry = self._entry(Errand.SHARE_UNSHARED, share)
        await self._end(share, SentState.EXPIRED, replace(entry, next_attempt_at=self._clock()))

    async def _end(self, share: SentShare, state: SentState, entry: OutboxEntry) -> bool:
        """The end of a Share and the errand that tells of it, in one transaction.

        False where it had ended already, or where the other side has never heard of it.
        """

        def record(connection: Connection) -> tuple[bool, bool]:
            held = (SentState.HELD,)
            if self._state.sent.move(connection, share.provider_id, state, out_of=held):
                return True, False
            opens = tuple(state for state in SentState if state.opens)
            if not self._state.sent.move(connection, share.provider_id, state, out_of=opens):
                return False, False
            undelivered = outbox.find(connection, share.provider_id, Errand.SHARE)
            if undelivered and outbox.withdraw(connection, undelivered.id):
                return True, False
            outbox.add(connection, entry)
            return True, True

        deed = self._deed(f"sent.{state.value}", share)
        ended, told = await self._others.audit.write(record, lambda done: deed if done[0] else None)
        if ended:
            event(
                f"share.{state.value}",
                provider_id=share.provider_id,
                server=share.receiving_server,
            )
        return told

    def _deed(self, what: str, share: SentShare, reason: str = "") -> Deed:
        return self._others.audit.deed(
            what,
            who=str(self._ours.address(share.owner)),
            whom=share.share_with,
            provider=share.receiving_server,
            about=share.provider_id,
            reason=reason,
        )

    async def _deliver(self, entry: OutboxEntry) -> None:
        """The Share Creation Notification (draft 03, 6), in a form that the server can take."""
        share = await self.by_id(entry.share)
        if share.state is not SentState.PENDING:
            return
        if not share.opens_at(self._clock()):
            raise Refused("the share expired before it could be delivered")
        provider = share.receiving_server
        self._others.doorkeeper.admit_provider(provider, Action.SHARE_OUT)
        discovery = await self._others.discoveries.discover(provider, afresh=True)
        speech = await self._others.dialects.speech(provider, discovery)
        announcing.expect_fit(share, discovery, speech)
        if discovery.wants_invite:
            await self._expect_invited(share)
        await self._announce(share, discovery, speech)
        await self._state.database.write(
            partial(
                self._state.sent.move,
                provider_id=share.provider_id,
                state=SentState.SENT,
                out_of=(SentState.PENDING,),
            )
        )

    async def _expect_invited(self, share: SentShare) -> None:
        """ProviderRefused unless owner and recipient have exchanged an invite (draft 03, 4.4.7)."""
        contact = await self._contact_of(share)
        if contact is None or contact.source is not ContactSource.INVITE:
            raise ProviderRefused(
                f"{share.receiving_server} takes shares only after an invite was accepted"
            )

    async def _contact_of(self, share: SentShare) -> Contact | None:
        """Whether, and since when, the owner knows the recipient; nobody knows a whole group."""
        if share.share_type is ShareType.GROUP:
            return None
        recipient = parse_address(share.share_with)
        return await self._state.database.read(
            partial(
                contacts.find,
                user=share.owner,
                provider=recipient.authority,
                user_id=local_part(recipient.identifier, recipient.authority),
            )
        )

    async def _announce(self, share: SentShare, discovery: Discovery, speech: Speech) -> None:
        """In the first form that the server takes; recorded before it is sent."""
        dialects, server = self._others.dialects, share.receiving_server
        reply = None
        for attempt in announcing.attempts(
            share,
            discovery,
            speech,
            legacy=dialects.takes_legacy(server),
            unsigned=dialects.takes_unsigned_exchange(server),
        ):
            settle = partial(
                self._state.sent.settle,
                provider_id=share.provider_id,
                must=attempt.must_exchange_token,
                form=attempt.form,
                at_root=attempt.at_root,
            )
            await self._state.database.write(settle)
            new = self._new_share(share, attempt)
            reply = await announcing.announce(
                self._others, self._ours, share, new, attempt, discovery, speech
            )
            if reply is None:
                await self._others.dialects.took(share.receiving_server, speech, attempt.form)
                return
        assert reply is not None
        raise announcing.refused(share, reply)

    def _new_share(self, share: SentShare, attempt: Attempt) -> NewShare:
        owner = self._ours.address(share.owner)
        return NewShare(
            share_with=parse_address(share.share_with),
            name=share.name,
            provider_id=share.provider_id,
            owner=owner,
            sender=owner,
            share_type=share.share_type,
            resource_type=share.resource_type,
            description=share.description,
            expiration=share.expiration_at,
            webdav=announcing.webdav_of(share, attempt, self._ours),
        )

    async def _undelivered(self, entry: OutboxEntry, reason: str) -> None:
        refuse = partial(
            self._state.sent.move,
            provider_id=entry.share,
            state=SentState.REFUSED,
            out_of=(SentState.PENDING,),
            reason=reason,
        )
        deed = self._deed("sent.refused", await self.by_id(entry.share), reason)
        await self._others.audit.write(refuse, lambda moved: deed if moved else None)

    def _redeliver(self, connection: Connection, entry: OutboxEntry) -> None:
        self._state.sent.move(
            connection, entry.share, SentState.PENDING, out_of=(SentState.REFUSED,)
        )

    async def _tell_unshared(self, entry: OutboxEntry) -> None:
        share = await self.by_id(entry.share)
        notice = NewNotification(
            NotificationType.SHARE_UNSHARED, share.provider_id, share.resource_type
        )
        await notices.tell(
            self._others,
            share.receiving_server,
            notice,
            shared_secret=share.shared_secret,  # which opens nothing any more
            recipient=parse_address(share.share_with).identifier,
        )

    async def receive_reshare_request(
        self, notification: NewNotification, message: Message
    ) -> None:
        """REQUEST_RESHARE: the Receiving Server asks us to share with somebody else (draft 03, 12).

        Nothing is shared by asking. Raises Unsupported where nobody takes such requests, or where
        the Share does not grant resharing.
        """
        if self._asked is None:
            raise Unsupported("requests to reshare are not supported")
        share = await self._told_of(notification, message)
        if Permission.SHARE not in share.permissions:
            raise Unsupported("the share does not allow resharing")
        await self._asked(share, parse_address(legacy.address(notification.said("shareWith"))))

    def on_reshare_request(self, asked: Callable[[SentShare, Address], Awaitable[None]]) -> None:
        """Say who keeps requests to share a Share's Resource with somebody else, for its owner."""
        self._asked = asked

    async def concerns(self, notification: NewNotification, message: Message) -> bool:
        """Whether a notification is about a Share with the very server that it claims to be from.

        A Receiving Server may say SHARE_UNSHARED too, where it means SHARE_DECLINED (draft 03, 10).
        """
        signer = claimed(self._others.identity.examine(message))
        find = partial(self._state.sent.find, provider_id=notification.provider_id)
        share = await self._state.database.read(find)
        return share is not None and share.receiving_server == signer

    async def receive_notification(self, notification: NewNotification, message: Message) -> None:
        """SHARE_ACCEPTED or SHARE_DECLINED from the Receiving Server of a Share (draft 03, 7).

        SHARE_UNSHARED after SHARE_ACCEPTED equals SHARE_DECLINED (draft 03, 10). Only the server
        that has the Share is believed. Raises Malformed for an unknown providerId, Refused for
        another server, Unsigned and BadSignature.
        """
        share = await self._told_of(notification, message)
        accepted = notification.notification_type == NotificationType.SHARE_ACCEPTED
        state = SentState.ACCEPTED if accepted else SentState.DECLINED
        out_of = {
            SentState.ACCEPTED: (SentState.PENDING, SentState.SENT),
            SentState.DECLINED: (SentState.PENDING, SentState.SENT, SentState.ACCEPTED),
        }[state]
        kind = NewsKind.SHARE_ACCEPTED if accepted else NewsKind.SHARE_DECLINED

        def record(connection: Connection) -> bool:
            moved = self._state.sent.move(connection, share.provider_id, state, out_of=out_of)
            if moved:
                self._newsroom.add(
                    connection, kind, share.owner, share.share_with, share.name, share.provider_id
                )
            return moved

        deed = self._deed(f"sent.{state.value}", share)
        if await self._others.audit.write(record, lambda moved: deed if moved else None):
            event(
                f"share.{state.value}",
                provider_id=share.provider_id,
                server=share.receiving_server,
            )

    async def _told_of(self, notification: NewNotification, message: Message) -> SentShare:
        """The Share that a notification is about, proven to be from the server that has it."""
        signature = self._others.identity.examine(message)
        find = partial(self._state.sent.find, provider_id=notification.provider_id)
        share = await self._state.database.read(find)
        if share is None:
            raise Malformed(
                "there is no such share", fields=(("providerId", "is not a share of yours"),)
            )
        if not await notices.believe(
            self._others, signature, share.receiving_server, notification, share.shared_secret
        ):
            raise Unsigned("neither signed nor with the secret of the share")
        return share

    async def exchange_token(self, request: TokenRequest, message: Message) -> TokenResponse:
        """Exchange the secret of a Share for an access token (Code Flow, draft 03, 9).

        The code stays good: the same request is how a token is renewed. Raises InvalidClient for
        one who is not the Share's server, InvalidGrant for a code that opens nothing,
        UnauthorizedClient for a server that is denied.
        """
        try:
            share = await self._opened_by(request, message)
        except (InvalidClient, InvalidGrant) as error:
            self._refused(request, error)
            raise
        return self._issue(share)

    async def _opened_by(self, request: TokenRequest, message: Message) -> SentShare:
        """The Share of a code, whose server is the one that asks."""
        try:
            signature = self._others.identity.examine(message, required=True)
        except Unsigned as error:
            share = await self._code_of_unsigned(request)
            if share is None:
                raise InvalidClient(error.message, detail=error.detail) from error
            return share
        except BadSignature as error:
            raise InvalidClient(error.message, detail=error.detail) from error
        if claimed(signature) not in (None, request.client_id):
            raise InvalidClient("the key is not one of the client")
        find = partial(self._state.sent.opening_by_secret, secret=request.code)
        share = await self._state.database.read(find)
        if share is None or share.receiving_server != request.client_id:
            raise InvalidGrant("the code is not one of yours")
        try:
            self._access.admit(share, Action.TOKEN)
        except Refused as error:
            denied = UnauthorizedClient(error.message, detail=error.detail)
            denied.decision = error.decision
            raise denied from error
        except NotFound as error:
            raise InvalidGrant("the share has ended") from error
        try:
            await self._others.identity.prove(signature, share.receiving_server)
        except (BadSignature, Unsigned) as error:
            raise InvalidClient(error.message, detail=error.detail) from error
        if not share.opens_at(self._clock()):
            raise InvalidGrant("the share has ended")
        return share

    def _refused(self, request: TokenRequest, error: GatewayError) -> None:
        """Into the trail; who asked is what they say. A denied server is entered by policy."""
        audit = self._others.audit
        deed = audit.deed(
            "token.refused", outcome=DENY, provider=request.client_id, reason=error.explanation
        )
        audit.refuse(deed, error.code)

    def _issue(self, share: SentShare) -> TokenResponse:
        self._others.audit.note(
            "token.issued",
            who=share.share_with,
            whom=str(self._ours.address(share.owner)),
            provider=share.receiving_server,
            about=share.provider_id,
        )
        return self._access.issue(share)

    @property
    def takes_unsigned_exchange(self) -> bool:
        """Whether there are servers that may exchange secrets without a signature."""
        return self._others.dialects.any_unsigned_exchange

    async def _code_of_unsigned(self, request: TokenRequest) -> SentShare | None:
        """The Share of a code that comes without a signature, from a server that never signs and
        of which the operator takes that; the code itself is then all the proof (draft 03, 9 says
        MUST)."""
        if not self.takes_unsigned_exchange:
            return None
        find = partial(self._state.sent.opening_by_secret, secret=request.code)
        share = await self._state.database.read(find)
        if share is None or not share.opens_at(self._clock()):
            return None
        server = share.receiving_server
        named = request.client_id in ("", server, server.rpartition(":")[0])
        if not named or not self._others.dialects.takes_unsigned_exchange(server):
            return None
        try:
            self._others.doorkeeper.admit_provider(server)
            await self._others.identity.prove(None, server, excused=True)
        except (Refused, Unsigned):
            return None
        metrics.tolerated.labels(form=legacy.UNSIGNED_EXCHANGE).inc()
        return share

    def _entry(self, errand: Errand, share: SentShare) -> OutboxEntry:
        return notices.entry(errand, share.provider_id, share.receiving_server, self._clock())


def limited_to(limits: Limits, share: SentShare) -> SentShare:
    """The Share as those limits have it: to read alone, or for less long."""
    return replace(
        share,
        permissions=share.permissions - ({Permission.WRITE} if limits.read_only else set()),
        expiration_at=limits.expiration(share.expiration_at, share.created_at),
    )


def _resource(path: str) -> tuple[str, ...]:
    """A user's path as segments. Malformed for one that climbs or that no storage can hold."""
    segments = tuple(part for part in path.split("/") if part)
    for segment in segments:
        check_name(segment)
    return segments
