"""Asking people at other servers to share something (OCM-API 1.4 request-share).

A request is an errand of the outbox, so it reaches a server that is away just now. What comes of it
no message tells: the owner shares, or does not. `came` says what they have shared since.
"""

import uuid
from collections.abc import Callable, Iterable
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Conflict, Malformed, NotFound, Unsupported
from gateway.logs import event
from gateway.model import Errand, OutboxEntry, ReceivedShare, SentRequest, SentRequestState
from gateway.ocm import requests as wire
from gateway.ocm.address import parse_address
from gateway.ocm.requests import ShareRequest
from gateway.policy.facts import Action
from gateway.sharing import notices
from gateway.sharing.others import Others, expect_success
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import Carrier, Outbox
from gateway.sharing.parties import Parties
from gateway.store import asking, outbox
from gateway.store.parts import Part, Turn
from gateway.store.state import State

_AGAIN_SECONDS = 86_400
"""How long the same thing is not asked of the same owner twice."""


class Asking:
    """What local users ask of others."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        others: Others,
        parties: Parties,
        outbox_: Outbox,
        clock: Callable[[], int],
    ) -> None:
        self._ours = ours
        self._state = state
        self._others = others
        self._parties = parties
        self._outbox = outbox_
        self._clock = clock
        outbox_.employ({Errand.REQUEST: Carrier(self._carry, self._refused, self._revive)})

    async def send(self, user: str, owner: str, share: str) -> SentRequest:
        """Ask somebody at another server to share something with a local user.

        It comes back as it stands after the first attempt: sent, refused with a reason (also by a
        server that takes no requests), or pending. Raises Malformed, NotFound for no such user,
        Refused for a server that is denied, Conflict for what was asked within a day; nothing is
        kept then.
        """
        if not self._ours.receives:
            raise Unsupported("this server takes no shares")
        if await self._parties.find(user) is None:
            raise NotFound(f"there is no user {user}")
        address = parse_address(owner)
        if address.authority == self._ours.authority:
            raise Malformed(f"{address} is a user of this server; OCM is for other servers")
        wire.parse(wire.encode(ShareRequest(address, self._ours.address(user), share)))
        provider = address.authority
        self._others.doorkeeper.admit_provider(provider, Action.REQUEST)
        now = self._clock()
        request = SentRequest(str(uuid.uuid4()), user, str(address), provider, share, now)
        entry = notices.entry(Errand.REQUEST, request.id, provider, now)

        def record(connection: Connection) -> None:
            before = asking.latest(connection, user, request.owner, share)
            fresh = before is not None and now - before.created_at < _AGAIN_SECONDS
            if before and fresh and before.state is not SentRequestState.REFUSED:
                raise Conflict("you asked for that already; it is theirs to share")
            asking.add(connection, request)
            outbox.add(connection, entry)

        await self._state.database.write(record)
        await self._outbox.attempt(entry.id)
        return await self.by_id(request.id)

    async def all(self, user: str | None = None) -> list[SentRequest]:
        """What one user asked for, or everybody, the newest first."""
        return await self._state.database.read(partial(asking.all_, user=user))

    async def part(self, turn: Turn, user: str) -> Part[SentRequest]:
        """A part of what one user asked for, the newest first."""
        return await self._state.database.read(partial(asking.part, turn=turn, user=user))

    async def by_id(self, request_id: str, *, user: str | None = None) -> SentRequest:
        """One request, of that user if one is given; NotFound otherwise."""
        request = await self._state.database.read(partial(asking.by_id, request_id=request_id))
        if user is not None and request.user != user:
            raise NotFound("there is no such request")
        return request

    async def _carry(self, entry: OutboxEntry) -> None:
        request = await self.by_id(entry.share)
        provider = request.provider
        self._others.doorkeeper.admit_provider(provider, Action.REQUEST)
        discovery = await self._others.discoveries.discover(provider)
        asked = ShareRequest(
            parse_address(request.owner), self._ours.address(request.user), request.share
        )
        reply = await self._others.client.post(
            provider,
            discovery.api("request-share"),
            wire.encode(asked),
            content_type="application/json",
            purpose="request",
        )
        expect_success(provider, reply)
        await self._move(request.id, SentRequestState.SENT, SentRequestState.PENDING)
        event("request.sent", id=request.id, server=provider, user=request.user)

    async def _refused(self, entry: OutboxEntry, reason: str) -> None:
        await self._move(entry.share, SentRequestState.REFUSED, SentRequestState.PENDING, reason)

    def _revive(self, connection: Connection, entry: OutboxEntry) -> None:
        asking.move(
            connection, entry.share, SentRequestState.PENDING, out_of=SentRequestState.REFUSED
        )

    async def _move(
        self, request_id: str, state: SentRequestState, out_of: SentRequestState, reason: str = ""
    ) -> None:
        await self._state.database.write(
            partial(asking.move, request_id=request_id, state=state, out_of=out_of, reason=reason)
        )


def came(request: SentRequest, shares: Iterable[ReceivedShare]) -> list[ReceivedShare]:
    """What the owner has shared with the user since: most likely what was asked for."""
    if request.state is not SentRequestState.SENT:
        return []
    return [
        share
        for share in shares
        if share.recipient == request.user
        and share.received_at >= request.created_at
        and request.owner in (share.owner, share.sender)
    ]
