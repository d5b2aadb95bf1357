"""May I share with this address, and can their server take it? Asked before a share is made."""

import asyncio
from dataclasses import dataclass
from functools import partial

from gateway.errors import GatewayError, Malformed
from gateway.model import Authority, ContactSource, ResourceType, ShareType
from gateway.ocm import dialects
from gateway.ocm.address import parse_address
from gateway.policy.facts import Action, Facts, Outcome, Verdict
from gateway.sharing import facts
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours
from gateway.sharing.outbox import PATIENCE_SECONDS
from gateway.store import contacts
from gateway.store.state import State

_LATE = "the other server took too long"


@dataclass(frozen=True, slots=True)
class Recipient:
    """What can be said of an address beforehand.

    `problem` is why nothing can be shared there now, in words; empty when it can. `product` is what
    the server seems to run, `known` what our user calls the contact. `demands_mfa` and
    `demands_exchange` say what may be demanded of it: what it says it honours, and what it is
    trusted with here, `takes_groups` whether the address may be that of a group. `read_only` and
    `longest_days` are limits that policy sets.
    """

    address: str
    provider: Authority | None = None
    known: str = ""
    product: str = ""
    signs: bool = False
    exchanges_tokens: bool = False
    wants_invite: bool = False
    demands_mfa: bool = False
    demands_exchange: bool = False
    takes_groups: bool = False
    read_only: bool = False
    longest_days: int | None = None
    problem: str = ""


class Recipients:
    """Looks before a user shares."""

    def __init__(self, ours: Ours, state: State, others: Others) -> None:
        self._ours = ours
        self._state = state
        self._others = others

    async def look(self, user: str, text: str) -> Recipient:
        """What can be said of the party a user names. Never raises for what is wrong with it."""
        try:
            address = parse_address(text.strip())
        except Malformed as error:
            return Recipient(text.strip(), problem=error.message)
        provider = address.authority
        if provider == self._ours.authority:
            problem = "this is a user of this server; OCM is for other servers"
            return Recipient(str(address), provider, problem=problem)
        contact = await self._state.database.read(
            partial(contacts.find, user=user, provider=provider, user_id=address.identifier)
        )
        known = contact.shown_as if contact else ""
        invited = contact is not None and contact.source is ContactSource.INVITE
        verdict = await self._weigh(user, provider, invited=invited)
        if not verdict.allowed:
            return Recipient(str(address), provider, known, problem=_refusal(verdict))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                document = await self._others.discoveries.discover(provider)
        except GatewayError as error:
            return Recipient(str(address), provider, known, problem=error.message)
        except TimeoutError:  # what is asked goes on, and is known the next time
            return Recipient(str(address), provider, known, problem=_LATE)
        longest = verdict.limits.max_expiration_seconds
        return Recipient(
            address=str(address),
            provider=provider,
            known=known,
            product=dialects.recognise(document).title,
            signs=document.signs,
            exchanges_tokens=document.exchanges_tokens,
            wants_invite=document.wants_invite,
            demands_mfa=bool(document.enforces_mfa and self._ours.mfa_trusted.find(provider)),
            demands_exchange=document.exchanges_tokens,
            takes_groups=any(document.offers(one, ShareType.GROUP) for one in ResourceType),
            read_only=verdict.limits.read_only,
            longest_days=None if longest is None else max(longest // 86_400, 1),
            problem=""
            if invited or not document.wants_invite
            else "their server takes shares only from people whose invite they accepted",
        )

    async def _weigh(self, user: str, provider: Authority, *, invited: bool) -> Verdict:
        """Policy, as far as it can tell before it is known what is shared."""
        known = await self._state.database.read(partial(facts.known, provider=provider))
        return self._others.doorkeeper.weigh(
            Facts(
                Action.SHARE_OUT,
                provider,
                user=user,
                invited=invited,
                capabilities=known.capabilities,
                pinned=known.pinned,
            )
        )


def _refusal(verdict: Verdict) -> str:
    """What our own user reads: what the rule tells everybody, else that it is policy."""
    if verdict.told:
        return verdict.told
    if verdict.outcome is Outcome.QUARANTINE:
        return "sharing with their server waits for the approval of this server's operator"
    return "the policy of this server does not allow sharing with theirs"
