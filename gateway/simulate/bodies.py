"""What a simulated server writes: Shares, notifications, the form of OCS, invites."""

import base64
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.simulate.judging import split_address
from gateway.simulate.quirks import Form, Identifiers, Peer

_OPAQUE = uuid.UUID("4c510ada-c86b-4815-8820-42cdf82c3d51")
_MESSAGES = {
    "SHARE_ACCEPTED": "Recipient accepted the share",
    "SHARE_DECLINED": "Recipient declined the share",
    "SHARE_UNSHARED": "File was unshared",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """A Share that is to be sent."""

    provider_id: str
    name: str
    share_with: str
    secret: str
    folder: bool


def user_id(peer: Peer, user: str, authority: str) -> str:
    """How the server names one of its users to others."""
    match peer.identifiers:
        case Identifiers.ENCODED:
            return base64.urlsafe_b64encode(f"{user}@{authority}".encode()).decode().rstrip("=")
        case Identifiers.OPAQUE:
            return f"{uuid.uuid5(_OPAQUE, user)}@{authority}"
    return user


def identifiers(peer: Peer, user: str, authority: str) -> set[str]:
    """By which identifiers in shareWith the server finds that user."""
    full = user_id(peer, user, authority)
    if peer.identifiers is Identifiers.OPAQUE:
        return {full, full.partition("@")[0]}
    return {full, user}


def secret_for(peer: Peer) -> str:
    """A shared secret in the alphabet of this server."""
    if peer.odd_secrets:  # Seafile encodes library and path, with all of base64's characters
        return base64.b64encode(b"\xfb\xff\xfe" + secrets.token_bytes(16)).decode()
    return secrets.token_urlsafe(24)


def share(peer: Peer, user: str, origin: str, terms: Terms) -> dict[str, object]:
    """The body of POST /shares."""
    authority = urlsplit(origin).netloc
    identifier = user_id(peer, user, authority)
    owner = f"{identifier}@{origin if peer.schemed_owner else authority}"
    recipient, host = split_address(terms.share_with)
    scheme = f"{urlsplit(origin).scheme}://" if peer.schemed_recipient else ""
    body: dict[str, object] = {
        "shareWith": f"{recipient}@{scheme}{host}",
        "name": terms.name,
        "providerId": int(terms.provider_id) if peer.number_ids else terms.provider_id,
        "owner": owner,
        "shareType": "user",
        "resourceType": "folder" if terms.folder and not peer.folders_as_files else "file",
        "protocol": _protocol(peer, origin, terms),
    }
    body |= dict.fromkeys(peer.sender_as, owner)
    if peer.display_names:
        body |= {"ownerDisplayName": user, f"{peer.sender_as[-1]}DisplayName": user}
    return body


def ocs_form(user: str, origin: str, terms: Terms) -> dict[str, str]:
    """The older form of a Share, for POST /ocs/v2.php/cloud/shares."""
    return {
        "shareWith": split_address(terms.share_with)[0],
        "token": terms.secret,
        "name": terms.name,
        "remoteId": terms.provider_id,
        "owner": user,
        "ownerFederatedId": f"{user}@{origin}",
        "sharedBy": user,
        "sharedByFederatedId": user,
        "remote": f"{origin}/",
    }


def from_ocs_form(form: Mapping[str, str]) -> dict[str, object]:
    """That form as the Share it means."""
    owner = form.get("ownerFederatedId") or f"{form.get('owner')}@{form.get('remote')}"
    return {
        "shareWith": form.get("shareWith", ""),
        "name": form.get("name", ""),
        "providerId": form.get("remoteId", ""),
        "owner": owner,
        "sender": owner,
        "shareType": "user",
        "resourceType": "file",
        "protocol": {"name": "webdav", "options": {"sharedSecret": form.get("token", "")}},
    }


def notification(
    peer: Peer, kind: str, provider_id: str, secret: str, grantee: str
) -> dict[str, object]:
    """The body of POST /notifications."""
    body: dict[str, object] = {
        "notificationType": kind,
        "resourceType": "file",
        "providerId": provider_id,
    }
    if peer.tells_secret:
        name = "messgage" if peer.misspells and kind == "SHARE_UNSHARED" else "message"
        body["notification"] = {"sharedSecret": secret, name: _MESSAGES[kind]}
    elif peer.tells_grantee:
        body["notification"] = {"grantee": grantee}
    return body


def _protocol(peer: Peer, origin: str, terms: Terms) -> dict[str, object]:
    if peer.form is Form.OPTIONS:
        options = {"sharedSecret": terms.secret, "permissions": peer.options_permissions}
        return {"name": "webdav", "options": {name: text for name, text in options.items() if text}}
    absolute = f"{origin}/{peer.webdav.strip('/')}/{terms.provider_id}"
    webdav: dict[str, object] = {
        "uri": absolute if peer.form is Form.ABSOLUTE else terms.provider_id,
        "sharedSecret": terms.secret,
        "permissions": list(peer.grants),
    }
    if peer.demands_exchange:
        webdav["requirements"] = ["must-exchange-token"]
    if peer.form is Form.ABSOLUTE:
        return {"name": "multi", "options": {}, "webdav": webdav}
    return {"name": "multi", "webdav": webdav}
