"""A Share Creation Notification in the words of the server it is for.

The draft's form is `shares.encode`; here it is bent to what older servers read: addresses with a
scheme, `sharedBy` for `sender`, permissions inside the options, or the form-encoded share of the
OCS API, from before there was OCM.
"""

from dataclasses import replace
from urllib.parse import urlencode

from gateway.errors import Malformed
from gateway.model import Permission, ResourceType
from gateway.ocm import json, shares
from gateway.ocm.address import Address
from gateway.ocm.dialects import Dialect, Form, Spelling
from gateway.ocm.shares import NewShare

OCS_PATH = "/ocs/v2.php/cloud/shares?format=json"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
OLD_FORMS = frozenset({Form.OPTIONS, Form.OCS})

_SHARE_PERMISSIONS = "{http://open-cloud-mesh.org/ns}share-permissions"


def encode(share: NewShare, form: Form, dialect: Dialect, origin: str) -> bytes:
    """The body for a server of that dialect. `origin` is ours.

    The webdav.uri of `share` is ours to fill in by the caller; the old forms have none.
    """
    if form is Form.OCS:
        return _encode_ocs(share, dialect, origin)
    members = shares.members(_claimed(share, form, dialect))
    members["owner"] = spelled(share.owner, dialect, origin)
    members["sender"] = spelled(share.sender, dialect, origin)
    if dialect.spelling is Spelling.SCHEME:
        members["shareWith"] = f"{share.share_with.identifier}@https://{share.share_with.authority}"
    if form is Form.OPTIONS:
        members |= {
            "sharedBy": members["sender"],
            "sharedByDisplayName": share.sender_display_name or share.sender.identifier,
            "protocol": _options(share, dialect),
        }
    return json.dump(members)


def spelled(address: Address, dialect: Dialect, origin: str) -> str:
    """One of our own addresses as that server reads it.

    Servers of OCM 1.0 take an address without a scheme for one at https.
    """
    plain = dialect.spelling is Spelling.PLAIN or origin.startswith("https://")
    return str(address) if plain else f"{address.identifier}@{origin}"


def took_ocs(body: bytes) -> bool:
    """Whether an answer of the OCS API says that the share was taken."""
    try:
        ocs = json.load_object(body).get("ocs")
    except Malformed:
        return False
    meta = ocs.get("meta") if isinstance(ocs, dict) else None
    return isinstance(meta, dict) and meta.get("statuscode") in (100, 200)


def _claimed(share: NewShare, form: Form, dialect: Dialect) -> NewShare:
    if dialect.claims_files or form is Form.OPTIONS:
        return replace(share, resource_type=ResourceType.FILE)
    return share


def _options(share: NewShare, dialect: Dialect) -> dict[str, object]:
    assert share.webdav is not None
    writable = Permission.WRITE in (share.webdav.permissions or ())
    word = "write" if writable else "read"
    permissions = word if dialect.spelling is Spelling.SCHEME else _SHARE_PERMISSIONS
    return {
        "name": "webdav",
        "options": {"sharedSecret": share.webdav.shared_secret, "permissions": permissions},
    }


def _encode_ocs(share: NewShare, dialect: Dialect, origin: str) -> bytes:
    assert share.webdav is not None
    return urlencode(
        {
            "shareWith": share.share_with.identifier,
            "token": share.webdav.shared_secret,
            "name": share.name,
            "remoteId": share.provider_id,
            "owner": share.owner.identifier,
            "ownerFederatedId": spelled(share.owner, dialect, origin),
            "sharedBy": share.sender.identifier,
            "sharedByFederatedId": spelled(share.sender, dialect, origin),
            "remote": f"{origin}/",
        }
    ).encode("ascii")
