"""What policy is asked about: shares and messages in the words of the rules."""

from dataclasses import dataclass
from itertools import combinations

from sqlalchemy import Connection

from gateway.httpsig.message import Message
from gateway.model import Authority, KeyStanding, Permission, ReceivedShare, SentShare
from gateway.policy.facts import Action, Facts
from gateway.store import providers

_WEBDAV = frozenset({"webdav"})
MARKS = {
    frozenset(some): "".join(sorted(one.value[0] for one in some))
    for number in range(len(Permission) + 1)
    for some in combinations(Permission, number)
}
"""What tells a share from itself with other permissions, which are the one fact that may change."""


def of_sent(share: SentShare, action: Action) -> Facts:
    """A Share that we send, as far as it is known from the day it was made."""
    return Facts(
        action,
        share.receiving_server,
        user=share.owner,
        path="/" + "/".join(share.resource),
        resource_type=share.resource_type.value,
        permissions=frozenset(one.value for one in share.permissions),
        protocols=_WEBDAV,
        size=share.size,
    )


def of_received(share: ReceivedShare, action: Action) -> Facts:
    """A share that we received; its path is its name."""
    return Facts(
        action,
        share.sending_server,
        user=share.recipient,
        path=f"/{share.name}",
        resource_type=share.resource_type.value,
        permissions=frozenset(one.value for one in share.permissions),
        protocols=_WEBDAV,
        size=share.size,
        exchanges=share.must_exchange_token,
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a server: its capabilities, None if nothing; whether its key is pinned."""

    capabilities: frozenset[str] | None
    pinned: bool


def known(connection: Connection, provider: Authority) -> Known:
    """What is known of a server."""
    found = providers.find(connection, provider)
    keys = providers.keys_of(connection, provider)
    return Known(
        frozenset(found.capabilities) if found else None,
        any(key.standing is KeyStanding.PINNED for key in keys),
    )


def scheme_of(message: Message, signer: Authority | None) -> str:
    """How a message was signed, once its signer is proven: rfc9421, cavage (before it) or none."""
    if signer is None:
        return "none"
    return "rfc9421" if message.field("signature-input") is not None else "cavage"
