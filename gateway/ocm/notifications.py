"""Notifications about a Share or a contact (draft 03, 7.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.errors import Malformed
from gateway.ocm import json

LONGEST_PROVIDER_ID = 255
_LONGEST_TYPE = 64


class NotificationType(StrEnum):
    """The types in use, in the wire's capitals.

    Draft 03 has the first three, OCM-API 1.4 adds USER_REMOVED; Nextcloud, ownCloud and oCIS
    send the rest.
    """

    SHARE_ACCEPTED = "SHARE_ACCEPTED"
    SHARE_DECLINED = "SHARE_DECLINED"
    SHARE_UNSHARED = "SHARE_UNSHARED"
    USER_REMOVED = "USER_REMOVED"
    REQUEST_RESHARE = "REQUEST_RESHARE"
    RESHARE_UNDO = "RESHARE_UNDO"
    RESHARE_CHANGE_PERMISSION = "RESHARE_CHANGE_PERMISSION"
    SHARE_CHANGE_PERMISSION = "SHARE_CHANGE_PERMISSION"


@dataclass(frozen=True, slots=True)
class NewNotification:
    """What POST {endPoint}/notifications carries.

    `notification_type` is any text, for unknown types are well formed. `provider_id` is the
    Share's id at its Sending Server. `notification` holds further parameters as sent, among them
    the shared secret with older servers.
    """

    notification_type: str
    provider_id: str
    resource_type: str | None = None
    notification: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)

    def said(self, name: str) -> str:
        """A parameter that is a text; "" for none."""
        value = self.notification.get(name)
        return value if isinstance(value, str) else ""


def parse(body: bytes, *, signed: bool = True) -> NewNotification:
    """Read a notification. Raises Malformed, naming the members at fault.

    `signed` says that it carries a signature of the drafts; without, a providerId may be a number,
    as older Nextclouds write it. An empty `notification` may be an array: so PHP writes it.
    """
    members = json.load_object(body)
    if not signed and type(members.get("providerId")) is int:
        members["providerId"] = str(members["providerId"])
    wrong = tuple(
        (name, "must be a string of reasonable length")
        for name, longest, required in (
            ("notificationType", _LONGEST_TYPE, True),
            ("providerId", LONGEST_PROVIDER_ID, True),
            ("resourceType", _LONGEST_TYPE, False),
        )
        if not _text(members.get(name), longest, required)
    )
    extra = members.get("notification") or {}
    if not isinstance(extra, dict):
        wrong += (("notification", "must be an object"),)
    if wrong or not isinstance(extra, dict):
        raise Malformed("the notification is not valid", fields=wrong)
    resource_type = members.get("resourceType")
    return NewNotification(
        notification_type=str(members["notificationType"]),
        provider_id=str(members["providerId"]),
        resource_type=None if resource_type is None else str(resource_type),
        notification=extra,
    )


def encode(notification: NewNotification) -> bytes:
    """The body of the request."""
    members: dict[str, object] = {
        "notificationType": notification.notification_type,
        "providerId": notification.provider_id,
    }
    if notification.resource_type is not None:
        members["resourceType"] = notification.resource_type
    if notification.notification:
        members["notification"] = dict(notification.notification)
    return json.dump(members)


def _text(value: object, longest: int, required: bool) -> bool:
    if value is None:
        return not required
    return isinstance(value, str) and 0 < len(value) <= longest and not json.has_control(value)
