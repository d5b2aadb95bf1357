"""Notifications between servers about a share: how they are told, and who is believed."""

import hmac
import uuid
from dataclasses import replace

from gateway import metrics
from gateway.errors import BadSignature, Refused
from gateway.httpsig.message import Signature
from gateway.httpsig.reasons import Reason
from gateway.model import Authority, Errand, OutboxEntry, ResourceType
from gateway.ocm import legacy, notifications
from gateway.ocm.dialects import Notice, takes_notices
from gateway.ocm.notifications import NewNotification, NotificationType
from gateway.policy.facts import Action
from gateway.sharing.others import Others, expect_success
from gateway.store import outbox

_MESSAGES: dict[str, str] = {
    NotificationType.SHARE_ACCEPTED: "The recipient accepted the share",
    NotificationType.SHARE_DECLINED: "The recipient declined the share",
    NotificationType.SHARE_UNSHARED: "The owner withdrew the share",
    NotificationType.SHARE_CHANGE_PERMISSION: "The owner changed the share",
}
_OF_GRANTEE = frozenset({NotificationType.SHARE_UNSHARED, NotificationType.SHARE_CHANGE_PERMISSION})


def entry(errand: Errand, share: str, provider: Authority, now: int) -> OutboxEntry:
    """A new errand about a share, for whoever makes it to try at once."""
    due_at = now + outbox.HEAD_START_SECONDS
    return OutboxEntry(str(uuid.uuid4()), errand, share, provider, now, due_at)


async def tell(
    others: Others,
    provider: Authority,
    notice: NewNotification,
    *,
    shared_secret: str,
    recipient: str,
) -> None:
    """Send one notification; one to a server that takes none is done already (draft 03, 7).

    `shared_secret` and `recipient` (without the host) are the share's, for servers that find it by
    them; the secret is "" where it is not to be told: while it can be exchanged for tokens.
    """
    others.doorkeeper.admit_provider(provider, Action.NOTIFICATION)
    discovery = await others.discoveries.discover(provider)
    speech = await others.dialects.speech(provider, discovery)
    if not takes_notices(speech.dialect, discovery):
        return
    worded = _worded(notice, speech.dialect.notice, shared_secret, recipient)
    if worded is None:
        return
    reply = await others.client.post(
        provider,
        discovery.api("notifications"),
        notifications.encode(worded),
        content_type="application/json",
        purpose="notification",
        status_alone=True,
    )
    expect_success(provider, reply)


def _worded(
    notice: NewNotification, kind: Notice, shared_secret: str, recipient: str
) -> NewNotification | None:
    """The notification as a server of that kind reads it; None for one that it does not know.

    Those that are not about a share stay as the drafts have them. The secret goes only to servers
    that want it; so does what else is in `notification`.
    """
    if notice.notification_type not in _MESSAGES:
        return notice
    if kind is Notice.GRANTEE:
        if notice.notification_type not in _OF_GRANTEE:
            return None
        more = {"grantee": recipient, **notice.notification}
    elif kind is Notice.LEGACY:
        if notice.notification_type == NotificationType.SHARE_CHANGE_PERMISSION:
            return None  # their servers see it when they come
        more = {"message": _MESSAGES[notice.notification_type]}
        more |= {"sharedSecret": shared_secret} if shared_secret else {}
    else:
        return replace(notice, notification={})
    return replace(notice, resource_type=ResourceType.FILE, notification=more)


async def believe(
    others: Others,
    signature: Signature | None,
    expected: Authority,
    notification: NewNotification,
    shared_secret: str,
) -> bool:
    """Whether a notification is proven to be from the server that has the share.

    By its signature; without one, where that is tolerated, by the share's secret. False for one
    that nothing proves: a hint at most. Raises Refused for a wrong secret, and what `authenticate`
    does.
    """
    if await authenticate(others, signature, expected):
        return True
    said = notification.said("sharedSecret")
    if not said:
        return False
    if not hmac.compare_digest(said.encode(), shared_secret.encode()):
        raise Refused("the share is not one of yours")
    metrics.tolerated.labels(form=legacy.UNSIGNED_SECRET).inc()
    return True


async def ignore(_: OutboxEntry, __: str) -> None:
    """A notification that nobody wants to hear changes nothing here (draft 03, 7)."""


async def authenticate(
    others: Others, signature: Signature | None, expected: Authority
) -> Authority | None:
    """The server that has the share, when the signature is its own; None for none, where that is
    tolerated.

    Raises Refused for another server, or one that we deny; Unsigned, BadSignature.
    """
    others.doorkeeper.admit_provider(expected, Action.NOTIFICATION, counts=True)
    try:
        return await others.identity.prove(signature, expected)
    except BadSignature as error:
        if error.reason == Reason.WRONG_SERVER:
            raise Refused("the share is not one of yours", detail=error.explanation) from error
        raise
