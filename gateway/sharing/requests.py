"""Being asked to share: what people at other servers want of our users.

Nothing is shared by asking: a request lies in the inbox of the owner until they agree or decline.
So that nobody is buried in them, the same request counts once, one that was declined is not heard
again for a week, and an owner has a bounded number, of which one server can take only a part.

Who may ask for what, and who is told that there is nothing (404): a Share of the owner's by its id
or address, when it is one with the asking server; and a path in the owner's files, when the owner
has the asker in the address book for another reason than a share.
"""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway.dav.target import decode_segment
from gateway.errors import (
    Conflict,
    Malformed,
    NotFound,
    Refused,
    TooMany,
    Unsupported,
)
from gateway.httpsig.message import Message
from gateway.logs import event
from gateway.model import ContactSource, NewsKind, Permission, Request, RequestState, SentShare
from gateway.ocm.address import Address
from gateway.ocm.requests import ShareRequest
from gateway.policy.facts import Action
from gateway.sharing.news import Newsroom
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.parties import Parties
from gateway.sharing.sending import Offer, Sending
from gateway.sharing.storage import Storage
from gateway.store import contacts
from gateway.store import requests as store
from gateway.store.parts import Part, Turn
from gateway.store.state import State

_MOST_OPEN = 200
_MOST_OPEN_OF_ONE_SERVER = 50
_DEAF_SECONDS = 7 * 86_400
_DECIDED = "the request was decided already"
_NOTHING = "there is no such resource, or not for you"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a request may be granted; policy may allow less."""

    permissions: frozenset[Permission] = frozenset(Permission)
    expiration_at: int | None = None


class Requests:
    """The inbox of requests."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        parties: Parties,
        storage: Storage,
        sending: Sending,
        newsroom: Newsroom,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._parties = parties
        self._storage = storage
        self._sending = sending
        self._newsroom = newsroom
        self._clock = clock
        if ours.takes_requests:
            sending.on_reshare_request(self._reshare_asked)

    async def receive_request(self, asked: ShareRequest, message: Message) -> None:
        """Note what somebody asks a local user to share.

        Raises Unsupported where requests are off, Refused and the errors of signatures for the
        asking server, Malformed for an owner elsewhere, NotFound for what is not there or not for
        them, TooMany.
        """
        if not self._ours.takes_requests:
            raise Unsupported("requests for shares are not supported")
        provider = asked.share_with.authority
        self._others.doorkeeper.admit_provider(provider, Action.REQUEST, counts=True)
        await self._others.identity.authenticate(message, provider, required=True)
        if asked.owner.authority != self._ours.authority:
            raise Malformed(
                "the owner is not a user of this server",
                fields=(("owner", "is not a user of this server"),),
            )
        owner = await self._parties.find(asked.owner.identifier)
        if owner is None:
            raise NotFound(_NOTHING)
        share = await self._share_meant(asked, owner.name)
        resource = share.resource if share else await self._path_meant(asked, owner.name)
        await self._note(owner.name, asked.share_with, resource, share)

    async def _share_meant(self, asked: ShareRequest, owner: str) -> SentShare | None:
        """The owner's Share with that server that is named by id or address."""
        named = asked.share.removeprefix(f"{self._ours.origin}/{'/'.join(self._ours.shares)}/")
        find = partial(self._state.sent.find, provider_id=named.strip("/").partition("/")[0])
        share = await self._state.database.read(find)
        theirs = share is not None and share.receiving_server == asked.share_with.authority
        return share if share and theirs and share.owner == owner else None

    async def _path_meant(self, asked: ShareRequest, owner: str) -> tuple[str, ...]:
        contact = await self._state.database.read(
            partial(
                contacts.find,
                user=owner,
                provider=asked.share_with.authority,
                user_id=asked.share_with.identifier,
            )
        )
        if contact is None or contact.source is ContactSource.SHARE or "://" in asked.share:
            raise NotFound(_NOTHING)
        try:
            resource = tuple(decode_segment(part) for part in asked.share.split("/") if part)
            stat = await self._storage.stat(owner, resource)
        except (Malformed, Refused) as error:
            raise NotFound(_NOTHING) from error
        if not stat.exists or not resource:
            raise NotFound(_NOTHING)
        return resource

    async def _reshare_asked(self, share: SentShare, address: Address) -> None:
        """The Receiving Server of a Share that grants resharing names another party."""
        self._others.doorkeeper.admit_provider(address.authority)
        if address.authority == self._ours.authority:
            raise Malformed("shareWith is a user of this server")
        await self._note(share.owner, address, share.resource, share)

    async def _note(
        self, owner: str, share_with: Address, resource: tuple[str, ...], share: SentShare | None
    ) -> None:
        provider = share.receiving_server if share else share_with.authority
        request = Request(
            id=str(uuid.uuid4()),
            owner=owner,
            share_with=str(share_with),
            provider=provider,
            resource=resource,
            about=share.provider_id if share else "",
            created_at=self._clock(),
        )

        def record(connection: Connection) -> bool:
            before = store.latest(connection, owner, request.share_with, resource)
            if before and self._deaf(before):
                return False
            if (
                store.open_to(connection, owner) >= _MOST_OPEN
                or store.open_to(connection, owner, provider) >= _MOST_OPEN_OF_ONE_SERVER
            ):
                raise TooMany("the owner has too many requests to read", retry_after=3600)
            store.add(connection, request)
            kind, name = NewsKind.REQUEST_RECEIVED, resource[-1] if resource else owner
            self._newsroom.add(connection, kind, owner, request.share_with, name, request.id)
            return True

        if await self._state.database.write(record):
            event("request.received", id=request.id, server=provider, owner=owner)

    def _deaf(self, before: Request) -> bool:
        declined = before.state is RequestState.DECLINED
        recently = self._clock() - (before.decided_at or 0) < _DEAF_SECONDS
        return before.state is RequestState.OPEN or (declined and recently)

    async def all(self, owner: str | None = None) -> list[Request]:
        """What was asked of one owner, or of everybody, the newest first."""
        return await self._state.database.read(partial(store.all_, owner=owner))

    async def part(
        self, turn: Turn, owner: str, *, states: Collection[RequestState] = tuple(RequestState)
    ) -> Part[Request]:
        """A part of what was asked of one owner, in those states, the newest first."""
        return await self._state.database.read(
            partial(store.part, turn=turn, owner=owner, states=states)
        )

    async def by_id(self, request_id: str, *, owner: str | None = None) -> Request:
        """One request, to that owner if one is given; NotFound otherwise."""
        request = await self._state.database.read(partial(store.by_id, request_id=request_id))
        if owner is not None and request.owner != owner:
            raise NotFound("there is no such request")
        return request

    async def open_to(self, owner: str) -> int:
        """How many requests wait for one owner."""
        return await self._state.database.read(partial(store.open_to, owner=owner))

    async def bounds(self, requests: Collection[Request]) -> dict[str, Bounds]:
        """The most that each may be granted, by id: what is passed on is bounded by the Share that
        grants it."""
        shares = await self._passed_on(requests)
        return {
            one.id: _bounds(shares[one.id]) if one.id in shares else Bounds() for one in requests
        }

    async def agree(
        self,
        request_id: str,
        *,
        owner: str | None = None,
        permissions: frozenset[Permission] = frozenset({Permission.READ}),
        expiration_at: int | None = None,
    ) -> Request:
        """Share what was asked for; the new Share's id is in the request afterwards.

        What a Share that was passed on demands and allows holds for the new one too. Raises
        Conflict for a request that was decided, and what `create_share` raises.
        """
        request = await self.by_id(request_id, owner=owner)
        if request.state is not RequestState.OPEN:
            raise Conflict(_DECIDED)

        def agreed(connection: Connection, share: SentShare) -> None:
            self._decide(connection, request, RequestState.AGREED, share.provider_id)

        offer = Offer(
            user=request.owner,
            path="/" + "/".join(request.resource),
            share_with=request.share_with,
            permissions=permissions,
            expiration_at=expiration_at,
        )
        await self._sending.create_share(await self._bounded(offer, request), agreed)
        event("request.agreed", id=request.id, owner=request.owner)
        return await self.by_id(request.id)

    async def decline(self, request_id: str, *, owner: str | None = None) -> Request:
        """Do not share. The other side is not told: there is no word for it."""
        request = await self.by_id(request_id, owner=owner)
        decline = partial(self._decide, request=request, state=RequestState.DECLINED)
        await self._state.database.write(decline)
        event("request.declined", id=request.id, owner=request.owner)
        return await self.by_id(request.id)

    async def _passed_on(self, requests: Collection[Request]) -> dict[str, SentShare]:
        """The Shares that grant passing on, by the id of the request in which somebody else than
        the recipient is to have it."""
        named = {one.id: one for one in requests if one.about}
        about = {one.about for one in named.values()}
        shares = await self._state.database.read(partial(self._state.sent.some, shares=about))
        return {
            one.id: shares[one.about]
            for one in named.values()
            if one.about in shares and one.share_with != shares[one.about].share_with
        }

    async def _bounded(self, offer: Offer, request: Request) -> Offer:
        share = (await self._passed_on([request])).get(request.id)
        if share is None:
            return offer
        if not share.opens_at(self._clock()):
            raise Refused("the share that is passed on has ended")
        bounds = _bounds(share)
        if not offer.permissions <= bounds.permissions:
            raise Refused("that is more than the share that is passed on allows")
        ends_at = bounds.expiration_at
        if ends_at is not None and (offer.expiration_at or ends_at) > ends_at:
            raise Refused("that is longer than the share that is passed on lasts")
        return replace(
            offer,
            expiration_at=offer.expiration_at or ends_at,
            must_exchange_token=share.must_exchange_token or None,
            must_use_mfa=share.must_use_mfa,
            granted_by=share.provider_id,
        )

    def _decide(
        self, connection: Connection, request: Request, state: RequestState, share: str = ""
    ) -> None:
        """Raises Conflict for a request that was decided already."""
        if not store.decide(
            connection,
            request.id,
            state,
            out_of=RequestState.OPEN,
            at=self._clock(),
            share=share,
        ):
            raise Conflict(_DECIDED)


def _bounds(share: SentShare) -> Bounds:
    """Of whatever is passed on from a Share."""
    return Bounds(share.permissions - {Permission.SHARE}, share.expiration_at)
