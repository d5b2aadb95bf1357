"""What older servers write, turned into what the drafts say, before it is read strictly.

A message with a signature of the drafts (RFC 9421) is read to the letter: who signs so, knows how
to write. The exception is Nextcloud 35, which signs so and still writes as ever; it is known by
`sharedBy` in place of `sender`. What was turned is told by name, to be counted.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from gateway.errors import Malformed
from gateway.model import Authority
from gateway.ocm.json import has_control

SHARED_BY = "shared-by"  # Nextcloud, Seafile: sharedBy for sender
OWNER_AS_SENDER = "owner-as-sender"  # ownCloud: no sender at all
NUMBER_AS_ID = "number-as-id"  # older Nextclouds: providerId is a number
ADDRESS_AS_URL = "address-as-url"  # Nextcloud, ownCloud: user@https://host/path/
OTHER_URI = "other-uri"  # older oCIS: webdav.url; ocm-stub: webdav.URI
NO_EXPIRATION = "no-expiration"  # Reva: expiration 0 for never
OPTIONS = "options"  # the secret in protocol.options
OCS = "ocs"  # the form-encoded share
UNSIGNED_SECRET = "unsigned-secret"  # noqa: S105 - a notification that its secret proves
UNSIGNED_EXCHANGE = "unsigned-exchange"  # Reva: a token request without a signature
BASIC_ACCESS = "basic-access"  # WebDAV with the secret as Basic user name
UNSIGNED_HINT = "unsigned-hint"  # oCIS: a notification that nothing proves

_URL = re.compile(r"(https?)://([^/]*)(/.*)?", re.IGNORECASE | re.DOTALL)
_PATH = re.compile(r"([^/]+)/.*", re.DOTALL)
_HAS_PORT = re.compile(r":[0-9]+$")
_ADDRESSES = ("shareWith", "owner", "sender")
_MOST_FIELDS = 50

Members = dict[str, object]


def modernise(members: Members, *, signed: bool) -> tuple[Members, frozenset[str]]:
    """The members of a Share Creation Notification as the drafts have them, and what was turned.

    `signed` says that the message carries a signature of the drafts.
    """
    nextcloud = "sender" not in members and isinstance(members.get("sharedBy"), str)
    if signed and not nextcloud:
        return members, frozenset()
    turned: set[str] = set()
    members = dict(members)
    _name_sender(members, turned)
    if type(members.get("providerId")) is int:
        members["providerId"] = str(members["providerId"])
        turned.add(NUMBER_AS_ID)
    for name in _ADDRESSES:
        if isinstance(written := members.get(name), str):
            members[name] = address(written)
            if members[name] != written:
                turned.add(ADDRESS_AS_URL)
    if type(members.get("expiration")) is int and members["expiration"] == 0:
        del members["expiration"]
        turned.add(NO_EXPIRATION)
    if isinstance(protocol := members.get("protocol"), dict):
        members["protocol"] = _protocol(protocol, turned)
    return members, frozenset(turned)


def is_old_form(members: Mapping[str, object]) -> bool:
    """Whether a Share comes in the form of 1.0: the secret in options, and no webdav object."""
    protocol = members.get("protocol")
    if not isinstance(protocol, dict):
        return False
    return protocol.get("name") == "webdav" and not protocol.get("webdav")


def address(written: str) -> str:
    """An OCM Address without the scheme, the path and the slashes that some servers write."""
    identifier, at, host = written.rpartition("@")
    if not at or not identifier:
        return written
    if found := _URL.fullmatch(host):
        plain_http = found[1].lower() == "http" and not _HAS_PORT.search(found[2])
        host = f"{found[2]}:80" if plain_http else found[2]
    elif found := _PATH.fullmatch(host):
        host = found[1]
    return f"{identifier}@{host}"


def parse_ocs(body: bytes, ours: Authority) -> Members:
    """The form-encoded share of the OCS API, as members of the form of 1.0.

    Raises Malformed for what is no form. A name without a server is at `remote`, or is ours.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict",
            max_num_fields=_MOST_FIELDS,
        )  # fmt: skip
    except ValueError as error:
        raise Malformed("the form cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a field stands twice")
    remote = fields.get("remote", "")
    owner = fields.get("ownerFederatedId") or _at(fields.get("owner", ""), remote)
    sender = fields.get("sharedByFederatedId") or fields.get("sharedBy") or owner
    secret = fields.get("token", "")
    if has_control(secret):
        raise Malformed("the token holds control characters")
    return {
        "shareWith": _at(fields.get("shareWith", ""), ours),
        "name": fields.get("name", ""),
        "providerId": fields.get("remoteId", ""),
        "owner": address(owner),
        "sender": address(_at(sender, remote)),
        "shareType": "user",
        "resourceType": "file",
        "protocol": {"name": "webdav", "options": {"sharedSecret": secret}},
    }


def _at(name: str, server: str) -> str:
    return name if "@" in name else f"{name}@{server}"


def _name_sender(members: Members, turned: set[str]) -> None:
    if "sender" in members:
        return
    if isinstance(members.get("sharedBy"), str):
        members["sender"] = members["sharedBy"]
        if isinstance(shown := members.get("sharedByDisplayName"), str):
            members.setdefault("senderDisplayName", shown)
        turned.add(SHARED_BY)
    elif is_old_form(members) and "owner" in members:
        members["sender"] = members["owner"]
        turned.add(OWNER_AS_SENDER)


def _protocol(protocol: Mapping[str, object], turned: set[str]) -> Members:
    webdav = protocol.get("webdav")
    if not isinstance(webdav, dict) or "uri" in webdav:
        return dict(protocol)
    other = next((webdav[name] for name in ("url", "URI") if name in webdav), None)
    if other is None:
        return dict(protocol)
    turned.add(OTHER_URI)
    return {**protocol, "webdav": {**webdav, "uri": other}}
