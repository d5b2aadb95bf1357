"""The Invite Flow (draft 03, 4.4), in both roles: our users invite, and accept invites."""

import secrets
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlencode

from sqlalchemy import Connection

from gateway.errors import (
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    BadSignature,
    Conflict,
    GatewayError,
    Malformed,
    NotFound,
    ProviderFailed,
    ProviderRefused,
    Refused,
    TooMany,
    Unavailable,
    Unsigned,
    Unsupported,
)
from gateway.httpsig.message import Message
from gateway.logs import event
from gateway.model import (
    Authority,
    Contact,
    ContactSource,
    Deed,
    InviteState,
    NewsKind,
    ProviderSource,
    SentInvite,
    User,
)
from gateway.ocm import invites
from gateway.ocm.invites import Acceptance, Invite, Person
from gateway.policy.doorkeeper import Ruling
from gateway.policy.facts import Action, Facts
from gateway.providers.client import Reply
from gateway.sharing import facts
from gateway.sharing.news import Newsroom
from gateway.sharing.others import Others, expect_success, spoken
from gateway.sharing.ours import Ours
from gateway.sharing.parties import Parties
from gateway.store import contacts
from gateway.store.parts import Part, Turn
from gateway.store.state import State

_TOKEN_BYTES = 34
_LONGEST_NOTE = 2000
_TAKEN = 409


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator lets users do: how long an Invite lasts, how many may be open at once.

    `lifetime_seconds` None is for ever.
    """

    on: bool
    lifetime_seconds: int | None
    most_open: int


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the Invite Receiver's server is told: who invited, and whether it knew that before."""

    sender: Person
    repeated: bool


class Inviting:
    """The use cases of the Invite Sender and the Invite Receiver OCM Server."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        parties: Parties,
        terms: Terms,
        newsroom: Newsroom,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._parties = parties
        self._terms = terms
        self._newsroom = newsroom
        self._clock = clock

    async def create_invite(
        self, sender: str, *, note: str = "", expiration_at: int | None = None
    ) -> SentInvite:
        """A new Invite of a local user; None lets it last as long as the operator allows.

        Raises NotFound for an unknown user, Malformed, Refused for a longer time than allowed, and
        TooMany when too many are open already.
        """
        self._expect_on()
        user = await self._user(sender)
        if len(note) > _LONGEST_NOTE:
            raise Malformed(f"a note may have {_LONGEST_NOTE} characters")
        now = self._clock()
        invite = SentInvite(
            id=str(uuid.uuid4()),
            sender=user.name,
            token=invites.fit(secrets.token_urlsafe(_TOKEN_BYTES), self._ours.authority),
            created_at=now,
            expiration_at=self._expiration(expiration_at, now),
            note=note,
        )

        def record(connection: Connection) -> None:
            if self._state.invites.count_open(connection, user.name, now) >= self._terms.most_open:
                raise TooMany(f"{self._terms.most_open} invites are open already; withdraw some")
            self._state.invites.add(connection, invite)

        deed = self._deed("invite.created", user.name, about=invite.id)
        await self._others.audit.write(record, lambda _: deed)
        event("invite.created", id=invite.id, user=user.name)
        return invite

    def _expiration(self, wanted: int | None, now: int) -> int | None:
        longest = self._terms.lifetime_seconds
        if wanted is None:
            return now + longest if longest else None
        if wanted <= now:
            raise Malformed("the expiration lies in the past")
        if longest and wanted > now + longest:
            raise Refused(f"an invite here may last {longest // 86_400} days")
        return wanted

    def string_of(self, invite: SentInvite) -> str:
        """The invite string, the canonical form (4.4.6); "" when nobody can accept it any more."""
        return invites.encode_invite(invite.token, self._ours.authority) if invite.token else ""

    def link_of(self, invite: SentInvite) -> str:
        """The invite as a link to our WAYF Page (4.4.6); "" without one."""
        if not (invite.token and self._ours.wayf):
            return ""
        return f"{self._ours.wayf}?{urlencode({'token': invite.token})}"

    async def find_open(self, token: str) -> SentInvite | None:
        """The Invite of a token, while it can be accepted."""
        if not self._terms.on:
            return None
        invite = await self._state.database.read(
            partial(self._state.invites.find_by_token, token=token)
        )
        return invite if invite and invite.open_at(self._clock()) else None

    async def by_id(self, invite_id: str, *, sender: str | None = None) -> SentInvite:
        """One Invite, of that user if one is given; NotFound otherwise."""
        invite = await self._state.database.read(
            partial(self._state.invites.by_id, invite_id=invite_id)
        )
        if sender is not None and invite.sender != sender:
            raise NotFound("there is no such invite")
        return invite

    async def all(self, sender: str | None = None) -> list[SentInvite]:
        """The Invites of one user, or all, the newest first."""
        return await self._state.database.read(partial(self._state.invites.all, sender=sender))

    async def part(
        self, turn: Turn, sender: str, *, states: Collection[InviteState] = tuple(InviteState)
    ) -> Part[SentInvite]:
        """A part of the Invites of one user in those states, the newest first."""
        return await self._state.database.read(
            partial(self._state.invites.part, turn=turn, sender=sender, states=states)
        )

    async def withdraw(self, invite_id: str, *, sender: str | None = None) -> SentInvite:
        """Take an Invite back. Raises Conflict when it was accepted already."""
        invite = await self.by_id(invite_id, sender=sender)
        withdraw = partial(self._state.invites.withdraw, invite_id=invite_id)
        deed = self._deed("invite.withdrawn", invite.sender, about=invite_id)
        if await self._others.audit.write(withdraw, lambda done: deed if done else None):
            event("invite.withdrawn", id=invite_id)
        invite = await self.by_id(invite_id)
        if invite.state is not InviteState.WITHDRAWN:
            raise Conflict(f"the invite is {invite.state.value} already")
        return invite

    async def renew(self, invite_id: str, *, sender: str | None = None) -> SentInvite:
        """Let an Invite last its time from now on, even one that has expired.

        Its string stays the same. Raises Conflict when it was accepted or withdrawn.
        """
        self._expect_on()
        invite = await self.by_id(invite_id, sender=sender)
        renew = partial(
            self._state.invites.renew,
            invite_id=invite_id,
            expiration_at=self._expiration(None, self._clock()),
        )
        if not await self._state.database.write(renew):
            raise Conflict(f"the invite is {invite.state.value} already")
        return await self.by_id(invite_id)

    async def receive_acceptance(self, acceptance: Acceptance, message: Message) -> Welcome:
        """Take in an Invite Acceptance Request (4.4.3); says who had invited (4.4.4).

        Checked in an order that costs strangers' victims nothing: policy on the claimed server,
        the token, and only then the signature, for which keys are fetched. Nothing is used up by a
        request that is refused. Raises Refused (policy, signature), Malformed for a token that is
        unknown, expired or withdrawn, Conflict when somebody else has accepted the Invite.
        """
        self._expect_on()
        provider = acceptance.recipient_provider
        if provider == self._ours.authority:
            raise Refused("nobody can invite somebody of the same server")
        self._others.doorkeeper.admit_provider(provider, Action.INVITE)
        invite = await self._known(acceptance.token)
        signer = await self._prove(message, provider)
        sender = await self._inviter(invite)
        ruling = await self._admit(provider, sender.name, facts.scheme_of(message, signer))
        contact = self._contact(sender.name, provider, acceptance.receiver)
        take = partial(self._take, invite=invite, contact=contact)
        deed = self._deed("invite.accepted", sender.name, contact, about=invite.id)
        deed = replace(deed, decision=ruling.id)
        if await self._others.audit.write(take, lambda taken: deed if taken else None):
            event("invite.accepted", id=invite.id, user=sender.name, server=provider)
            return Welcome(_introduce(sender), repeated=False)
        invite = await self._known(acceptance.token)
        if invite.accepted_by != contact.address:
            raise Conflict("the invite was already accepted")
        return Welcome(_introduce(sender), repeated=True)

    async def _known(self, token: str) -> SentInvite:
        """The Invite of a token that is open, or accepted already."""
        invite = await self._state.database.read(
            partial(self._state.invites.find_by_token, token=token)
        )
        accepted = invite is not None and invite.state is InviteState.ACCEPTED
        if invite is None or not (accepted or invite.open_at(self._clock())):
            raise Malformed("the invite token is not valid", fields=(("token", "is not valid"),))
        return invite

    async def _inviter(self, invite: SentInvite) -> User:
        try:
            return await self._user(invite.sender)
        except NotFound as error:  # gone since
            raise Malformed("the invite token is not valid", detail=error.message) from error
        except (BackendFailed, BackendUnavailable, BackendTimeout) as error:
            raise Unavailable(
                "who lives here cannot be told just now", detail=error.explanation, retry_after=60
            ) from error

    async def _admit(self, provider: Authority, user: str, signed: str | None = None) -> Ruling:
        """Policy on an invite, now that everything is known of it."""
        return self._others.doorkeeper.admit(
            Facts(
                Action.INVITE,
                provider,
                user=user,
                signed=signed,
                invited=True,
                pinned=await self._others.registry.pinned(provider),
                settled=True,
            )
        )

    async def _prove(self, message: Message, provider: Authority) -> Authority | None:
        try:
            return await self._others.identity.authenticate(message, provider)
        except (BadSignature, Unsigned) as error:  # 4.4.4 has no 401 (C-35)
            raise Refused(error.message, detail=error.detail) from error

    def _take(self, connection: Connection, invite: SentInvite, contact: Contact) -> bool:
        """The Invite is used up and the contact made, both or neither."""
        if not self._state.invites.accept(connection, invite.id, contact.address, self._clock()):
            return False
        contacts.put(connection, contact)
        self._newsroom.add(
            connection, NewsKind.INVITE_ACCEPTED, invite.sender, contact.address, "", invite.id
        )
        return True

    async def accept_invite(self, user: str, invite: Invite) -> Contact:
        """A local user accepts an invite: their server is asked, its user becomes a contact.

        Raises Malformed for an invite of this server, Refused (policy here or there), NotFound when
        the other server does not know it (any more), Conflict when it was accepted already, and
        ProviderFailed and its kin.
        """
        self._expect_on()
        receiver = await self._user(user)
        provider = invite.provider
        if provider == self._ours.authority:
            raise Malformed("the invite is from somebody of this server; nobody needs it here")
        ruling = await self._admit(provider, receiver.name)
        await self._others.registry.expect_approved(provider, ProviderSource.INVITE)
        token, now = invite.token, self._clock()

        def begin(connection: Connection) -> bool:
            begun = self._state.invites.begin_acceptance
            return begun(connection, receiver.name, provider, token, now)

        def end(connection: Connection) -> None:
            self._state.invites.end_acceptance(connection, receiver.name, provider, token)

        in_doubt = await self._state.database.write(begin)
        try:
            sender = await self._ask(invite, receiver, in_doubt=in_doubt)
        except GatewayError as error:
            if error.status < 500:  # else they may have taken it, and only the answer was lost
                await self._state.database.write(end)
            raise
        contact = self._contact(receiver.name, provider, sender)

        def record(connection: Connection) -> Contact:
            end(connection)
            return contacts.put(connection, contact)

        deed = replace(self._deed("invite.taken", receiver.name, contact), decision=ruling.id)
        kept = await self._others.audit.write(record, lambda _: deed)
        await self._others.registry.note(provider, ProviderSource.INVITE)
        event("invite.taken", user=receiver.name, server=provider, contact=kept.id)
        return kept

    async def _ask(self, invite: Invite, receiver: User, *, in_doubt: bool) -> Person:
        """The Invite Acceptance Request; who had invited."""
        provider = invite.provider
        discovery = await self._others.discoveries.discover(provider, afresh=True)
        acceptance = Acceptance(invite.token, self._ours.authority, _introduce(receiver))
        reply = await self._others.client.post(
            provider,
            discovery.api("invite-accepted"),
            invites.encode_acceptance(acceptance),
            content_type="application/json",
            purpose="invite",
        )
        if reply.status == _TAKEN and in_doubt:
            # An answer to us was lost; some servers repeat it to the one who has accepted.
            try:
                return invites.parse_person(reply.body, provider)
            except Malformed:
                pass
        _expect_taken(provider, reply)
        try:
            return invites.parse_person(reply.body, provider)
        except Malformed as error:
            raise ProviderRefused(
                f"{provider} does not say who invites", detail=error.explanation
            ) from error

    def _deed(
        self, what: str, user: str, contact: Contact | None = None, *, about: str = ""
    ) -> Deed:
        return self._others.audit.deed(
            what,
            who=str(self._ours.address(user)),
            whom=contact.address if contact else "",
            provider=contact.provider if contact else "",
            about=about,
        )

    def _contact(self, user: str, provider: Authority, person: Person) -> Contact:
        return Contact(
            id=str(uuid.uuid4()),
            user=user,
            user_id=person.user_id,
            provider=provider,
            name=person.name,
            email=person.email,
            source=ContactSource.INVITE,
            added_at=self._clock(),
        )

    async def _user(self, name: str) -> User:
        user = await self._parties.find(name)
        if user is None:
            raise NotFound(f"there is no user {name} here")
        return user

    def _expect_on(self) -> None:
        if not self._terms.on:
            raise Unsupported("invites are switched off")


def _introduce(user: User) -> Person:
    """Our user as others see them: the userID is the identifier of their OCM Address."""
    return Person(user.name, user.email, user.shown_as)


def _expect_taken(provider: Authority, reply: Reply) -> None:
    """Return for 200, and raise for everything else what our user can make something of."""
    if reply.status == 200:
        return
    said = spoken(reply.body)
    text = f"{provider} answered {reply.status}" + (f": {said}" if said else "")
    if reply.status in (401, 403):
        raise Refused(text)
    if reply.status in (400, 404):
        raise NotFound(text)
    if reply.status == _TAKEN:
        raise Conflict(text)
    expect_success(provider, reply)
    raise ProviderFailed(text)
