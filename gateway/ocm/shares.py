"""The Share Creation Notification (draft 03, 6.1) as a value.

Parsing refuses what is wrong in itself (400); `check_supported` refuses what is right and not
done here (501). Between the two the caller finds out who is asking.

A Share says how its Resource is reached in one of three forms: `webdav` with options (1.0),
`webdav` with a webdav object, `multi` with one object for each protocol. Whatever the name, a
usable webdav object wins.
"""

from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from gateway.errors import Malformed, Unsupported
from gateway.model import Authority, Permission, ResourceType, ShareType
from gateway.ocm import json, legacy
from gateway.ocm.address import Address
from gateway.ocm.wire import LONGEST_SECRET, ProtocolMembers, ShareMembers, WebDavMembers

MUST_EXCHANGE_TOKEN = "must-exchange-token"  # noqa: S105 - a name, no secret
MUST_USE_MFA = "must-use-mfa"
REMOTE = "remote"

_SYNONYMS = {"mfa-enforced": MUST_USE_MFA}  # Appendix A of draft 03


@dataclass(frozen=True, slots=True)
class WebDav:
    """How a Resource is reached by WebDAV (draft 03, 6.1 webdav).

    uri: relative to the sender's WebDAV path, or absolute; "" in the form of 1.0, where the secret
    alone selects the Resource. permissions: None when the sender does not say.
    size: bytes, None when the sender does not say.
    """

    uri: str
    shared_secret: str = field(repr=False)
    permissions: frozenset[Permission] | None = None
    requirements: frozenset[str] = frozenset()
    access_types: frozenset[str] = frozenset({REMOTE})
    size: int | None = None

    @property
    def must_exchange_token(self) -> bool:
        """Whether the secret may only be exchanged, never shown to WebDAV."""
        return MUST_EXCHANGE_TOKEN in self.requirements

    @property
    def must_use_mfa(self) -> bool:
        """Whether only a log-in with several factors may open it (draft 03, 16)."""
        return MUST_USE_MFA in self.requirements


@dataclass(frozen=True, slots=True)
class NewShare:
    """What POST {endPoint}/shares carries. `webdav` is None when only other protocols are there.

    `expiration` is in seconds since the epoch, None means never. `tolerated` names what was read
    for what it means (`ocm/legacy.py`).
    """

    share_with: Address
    name: str
    provider_id: str
    owner: Address
    sender: Address
    share_type: str
    resource_type: str
    webdav: WebDav | None
    description: str = ""
    owner_display_name: str = ""
    sender_display_name: str = ""
    expiration: int | None = None
    tolerated: frozenset[str] = frozenset()

    @property
    def sending_server(self) -> Authority:
        """Who has the Resource: the sender's server.

        In the form of 1.0 it is the owner's: that server reshares for somebody elsewhere, who then
        is the sender, and nothing but the owner says where the Resource is.
        """
        return (self.owner if legacy.OPTIONS in self.tolerated else self.sender).authority


def parse(body: bytes, *, signed: bool = True) -> NewShare:
    """Read a Share Creation Notification. Raises Malformed, naming the members at fault.

    `signed` says that it carries a signature of the drafts; without, what older servers write is
    read too, and told in `tolerated`.
    """
    return _parse(json.load_object(body), signed=signed)


def parse_ocs(body: bytes, ours: Authority) -> NewShare:
    """Read the form-encoded share from before OCM, for a user of `ours`. Raises Malformed."""
    share = _parse(legacy.parse_ocs(body, ours), signed=False)
    return replace(share, tolerated=share.tolerated | {legacy.OCS})


def _parse(written: dict[str, object], *, signed: bool) -> NewShare:
    members, tolerated = legacy.modernise(written, signed=signed)
    if not signed and legacy.is_old_form(members):
        tolerated |= {legacy.OPTIONS}
    try:
        wire = ShareMembers.model_validate(members)
    except ValidationError as error:
        raise Malformed("the share is not valid", fields=_faults(error)) from error
    return NewShare(
        share_with=wire.share_with,
        name=wire.name,
        provider_id=wire.provider_id,
        owner=wire.owner,
        sender=wire.sender,
        share_type=wire.share_type,
        resource_type=wire.resource_type,
        webdav=_access(wire.protocol),
        description=wire.description or "",
        owner_display_name=wire.owner_display_name or "",
        sender_display_name=wire.sender_display_name or "",
        expiration=wire.expiration,
        tolerated=tolerated,
    )


def check_supported(
    share: NewShare, *, honours_mfa: bool = False, has_groups: bool = False
) -> WebDav:
    """How to reach a Share that this gateway can take; raises Unsupported for any other.

    A requirement that we do not know, or not `honours_mfa`, cannot be met, so it refuses the Share.
    `has_groups` takes Shares with groups too.
    """
    if share.share_type not in ({*ShareType} if has_groups else {ShareType.USER}):
        raise Unsupported(
            "only shares with users" + (" and groups" if has_groups else "") + " are supported"
        )
    if share.resource_type not in set(ResourceType):
        raise Unsupported("only files and folders are supported")
    if share.webdav is None:
        raise Unsupported("only shares by WebDAV are supported")
    if REMOTE not in share.webdav.access_types:
        raise Unsupported("shares for data transfer alone are not supported")
    met = {MUST_EXCHANGE_TOKEN, MUST_USE_MFA} if honours_mfa else {MUST_EXCHANGE_TOKEN}
    if share.webdav.requirements - met:
        raise Unsupported("the share has requirements that this server cannot meet")
    return share.webdav


def encode(share: NewShare) -> bytes:
    """The body of the request: with a uri in the form `multi`, without one in that of 1.0."""
    return json.dump(members(share))


def members(share: NewShare) -> dict[str, object]:
    """What `encode` writes."""
    members: dict[str, object] = {
        "shareWith": str(share.share_with),
        "name": share.name,
        "providerId": share.provider_id,
        "owner": str(share.owner),
        "sender": str(share.sender),
        "shareType": share.share_type,
        "resourceType": share.resource_type,
        "protocol": encode_access(share.webdav) if share.webdav else {"name": "multi"},
    }
    optional = {
        "description": share.description,
        "ownerDisplayName": share.owner_display_name,
        "senderDisplayName": share.sender_display_name,
    }
    members |= {name: text for name, text in optional.items() if text}
    if share.expiration is not None:
        members["expiration"] = share.expiration
    return members


def encode_created(recipient_display_name: str) -> bytes:
    """The body of a 201 (draft 03, 6.2)."""
    return json.dump({"recipientDisplayName": recipient_display_name})


def encode_access(webdav: WebDav) -> dict[str, object]:
    """The member `protocol`."""
    if not webdav.uri:
        return {"name": "webdav", "options": {"sharedSecret": webdav.shared_secret}}
    details: dict[str, object] = {"uri": webdav.uri, "sharedSecret": webdav.shared_secret}
    if webdav.permissions is not None:
        details["permissions"] = [one.value for one in Permission if one in webdav.permissions]
    if webdav.requirements:
        details["requirements"] = sorted(webdav.requirements)
    if webdav.access_types != {REMOTE}:
        details["accessTypes"] = sorted(webdav.access_types)
    if webdav.size is not None:
        details["size"] = webdav.size
    return {"name": "multi", "webdav": details}


def _access(protocol: ProtocolMembers) -> WebDav | None:
    """The webdav object, else the options; None when there are other protocols only."""
    if protocol.webdav is not None:
        return _webdav(protocol.webdav)
    if protocol.name == "webdav":
        secret = (protocol.options or {}).get("sharedSecret")
        if not isinstance(secret, str) or not _usable_secret(secret):
            raise _fault("protocol.options.sharedSecret", "a share by WebDAV needs a secret")
        return WebDav("", secret)
    # What remains are protocols that we do not know; a share without any is no share.
    if protocol.name in {None, "multi"} and not protocol.model_extra:
        raise _fault("protocol", "names no protocol")
    return None


def _webdav(wire: WebDavMembers) -> WebDav:
    return WebDav(
        uri=wire.uri,
        shared_secret=wire.shared_secret,
        permissions=None if wire.permissions is None else _permissions(wire.permissions),
        requirements=frozenset(_SYNONYMS.get(name, name) for name in wire.requirements or ()),
        access_types=frozenset((REMOTE,) if wire.access_types is None else wire.access_types),
        size=wire.size if type(wire.size) is int and wire.size >= 0 else None,
    )


def _permissions(names: list[str]) -> frozenset[Permission]:
    """Those we know; a permission that we do not know grants nothing."""
    return frozenset(permission for permission in Permission if permission.value in names)


def _usable_secret(secret: str) -> bool:
    return 0 < len(secret) <= LONGEST_SECRET and not json.has_control(secret)


def _fault(name: str, message: str) -> Malformed:
    return Malformed("the share is not valid", fields=((name, message),))


def _faults(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Which members are wrong and why, without their values: some are secrets."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple((".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults[:20])
