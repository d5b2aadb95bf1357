"""Public links (draft 03, 4.2 and 4.3): whoever has the link of a Share may ask for one like it.

The link shows what is shared and opens nothing. Who follows it names an OCM Address, and that is
taken as the owner's Sending Gesture: a Share for that address, to read, as long and under the same
conditions as the one that has the link.
"""

import secrets
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from sqlalchemy import Connection

from gateway.errors import Conflict, GatewayError, Malformed, NotFound, Refused, Unsupported
from gateway.logs import event
from gateway.model import Permission, SentShare
from gateway.ocm.address import parse_address
from gateway.sharing.ours import Ours
from gateway.sharing.parties import Parties
from gateway.sharing.sending import Offer, Sending
from gateway.store import links
from gateway.store.state import State

LINK_PATH = "/link"
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 200


class Links:
    """The use cases of public links."""

    def __init__(
        self,
        ours: Ours,
        state: State,
        parties: Parties,
        sending: Sending,
        clock: Callable[[], int],
        *,
        page: str,
        most: int,
        enabled: bool,
    ) -> None:
        """`page`: the URL of the page. `most`: how many may ask by one link."""
        self._ours = ours
        self._state = state
        self._parties = parties
        self._sending = sending
        self._clock = clock
        self._page = page
        self._most = most
        self._enabled = enabled

    @property
    def on(self) -> bool:
        """Whether the operator wants links."""
        return self._enabled

    async def switch_on(self, provider_id: str, *, owner: str | None = None) -> str:
        """Give a Share a link, in place of the one that it had; this is the only time it is known.

        Raises Unsupported where the operator does not want links, NotFound, and Refused for a Share
        that has ended.
        """
        if not self._enabled:
            raise Unsupported("public links are switched off")
        share = await self._sending.by_id(provider_id, owner=owner)
        now = self._clock()
        if not share.opens_at(now):
            raise Refused("the share has ended")
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        mark = self._state.vault.fingerprint(token)
        await self._state.database.write(
            partial(links.replace, share=provider_id, fingerprint=mark, now=now)
        )
        event("link.created", provider_id=provider_id)
        return f"{self._page}?{urlencode({'token': token})}"

    async def switch_off(self, provider_id: str, *, owner: str | None = None) -> bool:
        """Take the link away; whether there was one. What was shared by it stays shared."""
        await self._sending.by_id(provider_id, owner=owner)
        gone = await self._state.database.write(partial(links.remove, share=provider_id))
        if gone:
            event("link.removed", provider_id=provider_id)
        return gone

    async def has(self, provider_id: str, *, owner: str | None = None) -> bool:
        """Whether a Share has a link; NotFound."""
        await self._sending.by_id(provider_id, owner=owner)
        return await self._state.database.read(partial(links.has, share=provider_id))

    async def visits(self, provider_id: str, *, owner: str | None = None) -> list[tuple[str, int]]:
        """Who asked by the links of a Share and when, the newest first."""
        await self._sending.by_id(provider_id, owner=owner)
        return await self._state.database.read(partial(links.visits, share=provider_id))

    async def share_of(self, token: str) -> SentShare:
        """The Share that a link is of; NotFound for all that is no link (any more)."""
        provider_id = None
        if self._enabled and 0 < len(token) <= _LONGEST_TOKEN:
            mark = self._state.vault.fingerprint(token)
            provider_id = await self._state.database.read(partial(links.find, fingerprint=mark))
        share = await self._sending.by_id(provider_id) if provider_id else None
        if share is None or not share.opens_at(self._clock()):
            raise NotFound("this link was taken back or has expired")
        return share

    async def owner_of(self, share: SentShare) -> str:
        """What strangers may know of the owner: the name."""
        user = await self._parties.find(share.owner)
        return user.shown_as if user else share.owner

    async def ask(self, token: str, share_with: str) -> None:
        """Somebody names an address; Malformed for what is no address elsewhere, NotFound.

        What becomes of it is not told: not whether there is such a user, nor whether policy took
        the server, nor whether somebody asked before. The visit and the Share that it leads to are
        recorded together; an ask that leads to none uses up nothing.
        """
        share = await self.share_of(token)
        address = parse_address(share_with)
        if address.authority == self._ours.authority:
            raise Malformed("that is an address of this server; name one of another")
        if str(address) == share.share_with:
            return

        def ask(connection: Connection, _: SentShare) -> None:
            fingerprint = self._state.vault.fingerprint(token)
            if not links.ask(connection, fingerprint, str(address), self._most, self._clock()):
                raise Conflict("asked before, or too often")

        offer = Offer(
            user=share.owner,
            path="/".join(share.resource),
            share_with=str(address),
            permissions=frozenset({Permission.READ}),
            expiration_at=share.expiration_at,
            must_exchange_token=share.must_exchange_token,
            must_use_mfa=share.must_use_mfa,
        )
        try:
            await self._sending.create_share(offer, ask)
        except GatewayError as error:
            event("link.refused", provider_id=share.provider_id, reason=error.message)
