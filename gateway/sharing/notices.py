"""Notifications between servers about a share: how they are told, and who is believed."""

import uuid

from gateway.errors import BadSignature, Refused
from gateway.httpsig.message import Signature
from gateway.httpsig.reasons import Reason
from gateway.model import Authority, Errand, OutboxEntry
from gateway.ocm import notifications
from gateway.ocm.notifications import NewNotification
from gateway.sharing.others import Others, expect_success


def entry(errand: Errand, share: str, provider: Authority, now: int) -> OutboxEntry:
    """A new errand about a share, due at once."""
    return OutboxEntry(str(uuid.uuid4()), errand, share, provider, now, now)


async def tell(others: Others, provider: Authority, notice: NewNotification) -> None:
    """Send one notification; one to a server that takes none is done already (draft 03, 7)."""
    others.doorkeeper.admit_provider(provider)
    discovery = await others.discoveries.discover(provider)
    if not discovery.takes_notifications:
        return
    reply = await others.client.post(
        provider,
        discovery.api("notifications"),
        notifications.encode(notice),
        content_type="application/json",
        purpose="notification",
    )
    expect_success(provider, reply)


async def ignore(_: OutboxEntry, __: str) -> None:
    """A notification that nobody wants to hear changes nothing here (draft 03, 7)."""


async def authenticate(others: Others, signature: Signature | None, expected: Authority) -> None:
    """The message with that signature is from the server that has the share.

    Raises Refused for another server, or one that we deny; Unsigned, BadSignature.
    """
    others.doorkeeper.admit_provider(expected)
    try:
        await others.identity.prove(signature, expected)
    except BadSignature as error:
        if error.reason == Reason.WRONG_SERVER:
            raise Refused("the share is not one of yours", detail=error.explanation) from error
        raise
