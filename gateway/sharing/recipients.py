"""May I share with this address, and can their server take it? Asked before a share is made."""

from dataclasses import dataclass

from gateway.errors import GatewayError, Malformed
from gateway.model import Authority
from gateway.ocm import dialects
from gateway.ocm.address import parse_address
from gateway.sharing.contacts import Contacts
from gateway.sharing.others import Others
from gateway.sharing.ours import Ours


@dataclass(frozen=True, slots=True)
class Recipient:
    """What can be said of an address beforehand.

    `problem` is why nothing can be shared there now, in words; empty when it can. `product` is what
    the server seems to run, `known` what our user calls the contact.
    """

    address: str
    provider: Authority | None = None
    known: str = ""
    product: str = ""
    signs: bool = False
    exchanges_tokens: bool = False
    wants_invite: bool = False
    problem: str = ""


class Recipients:
    """Looks before a user shares."""

    def __init__(self, ours: Ours, others: Others, contacts: Contacts) -> None:
        self._ours = ours
        self._others = others
        self._contacts = contacts

    async def look(self, user: str, text: str) -> Recipient:
        """What can be said of the party a user names. Never raises for what is wrong with it."""
        try:
            address = parse_address(text.strip())
        except Malformed as error:
            return Recipient(text.strip(), problem=error.message)
        if address.authority == self._ours.authority:
            problem = "this is a user of this server; OCM is for other servers"
            return Recipient(str(address), address.authority, problem=problem)
        known = await self._known(user, str(address))
        try:
            self._others.doorkeeper.admit_provider(address.authority)
            document = await self._others.discoveries.discover(address.authority)
        except GatewayError as error:
            return Recipient(str(address), address.authority, known, problem=error.message)
        return Recipient(
            address=str(address),
            provider=address.authority,
            known=known,
            product=dialects.recognise(document).title,
            signs=document.signs,
            exchanges_tokens=document.exchanges_tokens,
            wants_invite=document.wants_invite,
            problem=""
            if known or not document.wants_invite
            else "their server takes shares only from people whose invite they accepted",
        )

    async def _known(self, user: str, address: str) -> str:
        found = await self._contacts.all(user, search=address)
        return next((one.shown_as for one in found if one.address == address), "")
