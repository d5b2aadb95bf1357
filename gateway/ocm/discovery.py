"""The discovery document (draft 03, 5.3): what a server is, and what it can do and wants.

Capabilities say what a server can do, criteria what it demands of those who send to it. Their
spellings differ between the drafts and deployed servers: the properties here take them all, and
of each criterion we emit both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard
from urllib.parse import urljoin

from gateway.errors import Malformed
from gateway.ocm import json, urls

API_VERSION = "1.3.0"
WEBDAV_ROOT = "/remote/dav/ocm/"

EXCHANGE_TOKEN = frozenset({"exchange-token", "token-exchange"})  # section 8 says the second
HTTP_SIG = frozenset({"http-sig"})
# Older texts wrote some capabilities as paths.
NOTIFICATIONS = frozenset({"notifications", "/notifications"})
ENFORCE_MFA = frozenset({"enforce-mfa", "mfa-capable", "/mfa-capable"})

WANTS_SIGNATURES = frozenset({"http-request-signatures", "http-signatures", "must-use-http-sig"})
WANTS_EXCHANGE = frozenset({"token-exchange", "exchange-token", "must-exchange-token"})
WANTS_INVITE = frozenset({"invite", "must-invite"})

_BOTH_SPELLINGS = (
    (WANTS_SIGNATURES, ("http-request-signatures", "must-use-http-sig")),
    (WANTS_EXCHANGE, ("token-exchange", "must-exchange-token")),
    (WANTS_INVITE, ("invite", "must-invite")),
)
_MOST_BYTES = 1 << 18
_MOST_ENTRIES = 100
_LONGEST_PEM = 8192
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")


@dataclass(frozen=True, slots=True)
class OfferedResourceType:
    """One entry of resourceTypes. The values in `protocols` may be any JSON."""

    name: str
    share_types: tuple[str, ...]
    protocols: Mapping[str, object] = field(hash=False)


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """The key of draft-cavage, which servers before RFC 9421 publish as `publicKey`."""

    key_id: str
    pem: str


RESOURCE_TYPES = tuple(
    # file first: some receivers take entry 0, whatever the share is of.
    OfferedResourceType(name, ("user",), {"webdav": WEBDAV_ROOT})
    for name in ("file", "folder")
)
"""What this gateway offers."""

_WEBDAV = frozenset({"webdav", "webdav-receive"})  # who only receives may name the second alone


@dataclass(frozen=True, slots=True)
class Discovery:
    """A discovery document, theirs or ours.

    `end_point`, `token_end_point`, `jwks_uri` and `invite_accept_dialog` are absolute URLs, the
    last three "" when not published. `asked_at` is the origin it came from. `old_list` says that
    the list stands under `shareTypes`, as in OCM 1.0.
    """

    end_point: str
    enabled: bool = True
    api_version: str = API_VERSION
    provider: str = ""
    resource_types: tuple[OfferedResourceType, ...] = RESOURCE_TYPES
    capabilities: frozenset[str] = frozenset()
    criteria: frozenset[str] = frozenset()
    token_end_point: str = ""
    jwks_uri: str = ""
    invite_accept_dialog: str = ""
    asked_at: str = ""
    old_list: bool = False
    public_key: PublishedKey | None = None

    def api(self, name: str) -> str:
        """The URL of one part of the API, such as shares or notifications."""
        return f"{self.end_point.rstrip('/')}/{name}"

    def offers(self, resource_type: str, share_type: str) -> bool:
        """Whether such Shares can be sent there by WebDAV; who takes files takes folders."""
        names = {resource_type, "file"} if resource_type == "folder" else {resource_type}
        return any(
            offered.name in names
            and share_type in offered.share_types
            and not _WEBDAV.isdisjoint(offered.protocols)
            for offered in self.resource_types
        )

    @property
    def exchanges_tokens(self) -> bool:
        """Takes part in the Code Flow: the capability and an endpoint, never one alone."""
        return bool(self.capabilities & EXCHANGE_TOKEN and self.token_end_point)

    @property
    def signs(self) -> bool:
        """Signs requests and publishes its keys."""
        return bool(self.capabilities & HTTP_SIG)

    @property
    def takes_notifications(self) -> bool:
        """Has a notifications endpoint."""
        return bool(self.capabilities & NOTIFICATIONS)

    @property
    def enforces_mfa(self) -> bool:
        """Keeps a must-use-mfa requirement."""
        return bool(self.capabilities & ENFORCE_MFA)

    @property
    def wants_signatures(self) -> bool:
        """Refuses unsigned requests."""
        return bool(self.criteria & WANTS_SIGNATURES)

    @property
    def wants_exchange(self) -> bool:
        """Refuses Shares that do not require the Code Flow."""
        return bool(self.criteria & WANTS_EXCHANGE)

    @property
    def wants_invite(self) -> bool:
        """Refuses Shares between people who have not exchanged an invite."""
        return bool(self.criteria & WANTS_INVITE)


def parse(data: bytes, asked_at: str) -> Discovery:
    """Read the document of the server at the origin `asked_at` (scheme://authority).

    Raises Malformed without a usable endPoint and resourceTypes. Other members are optional, and
    left out when they are not what they should be; unknown ones are ignored.
    """
    members = json.load_object(data, _MOST_BYTES)
    enabled = members.get("enabled", True)
    if not isinstance(enabled, bool):
        raise Malformed("enabled is not a boolean", fields=(("enabled", "must be a boolean"),))
    old_list = "resourceTypes" not in members and "shareTypes" in members
    offered = _entries(members.get("shareTypes" if old_list else "resourceTypes"))
    return Discovery(
        end_point=_end_point(members.get("endPoint")),
        enabled=enabled,
        api_version=_text(members.get("apiVersion")) or "1.0",
        provider=_text(members.get("provider")),
        resource_types=tuple(
            _offered(entry) for entry in offered[:_MOST_ENTRIES] if _usable(entry)
        ),
        capabilities=frozenset(_texts(members.get("capabilities"))),
        criteria=frozenset(_texts(members.get("criteria"))),
        # A diagram of draft 03 writes tokenEndpoint.
        token_end_point=_url(members.get("tokenEndPoint", members.get("tokenEndpoint"))),
        jwks_uri=_url(members.get("jwksUri")),
        invite_accept_dialog=_dialog(members.get("inviteAcceptDialog"), asked_at),
        asked_at=asked_at,
        old_list=old_list,
        public_key=_public_key(members.get("publicKey")),
    )


def encode(discovery: Discovery) -> dict[str, object]:
    """The document as JSON to serve; exchange-token only together with its endpoint (5.3)."""
    exchanging = bool(discovery.token_end_point and discovery.capabilities & EXCHANGE_TOKEN)
    capabilities = discovery.capabilities - EXCHANGE_TOKEN
    members: dict[str, object] = {
        "enabled": discovery.enabled,
        "apiVersion": discovery.api_version,
        "endPoint": discovery.end_point,
        "resourceTypes": [
            {
                "name": offered.name,
                "shareTypes": list(offered.share_types),
                "protocols": dict(offered.protocols),
            }
            for offered in discovery.resource_types
        ],
        "capabilities": sorted(capabilities | ({"exchange-token"} if exchanging else set())),
        "criteria": _both_spellings(discovery.criteria),
    }
    optional = {
        "provider": discovery.provider,
        "tokenEndPoint": discovery.token_end_point if exchanging else "",
        "jwksUri": discovery.jwks_uri,
        "inviteAcceptDialog": discovery.invite_accept_dialog,
    }
    if discovery.public_key:
        key = discovery.public_key
        members["publicKey"] = {"keyId": key.key_id, "publicKeyPem": key.pem}
    return members | {name: value for name, value in optional.items() if value}


def webdav_path(discovery: Discovery, resource_type: str) -> str | None:
    """The path below which that server serves Shares, with a slash at both ends.

    None when it offers no WebDAV. Section 8 takes entry 0; failing that the entry of the Share's
    type or of files, failing that any.
    """
    entries = discovery.resource_types
    named = [entry for entry in entries if entry.name in {resource_type, "file"}]
    named.sort(key=lambda entry: entry.name != resource_type)
    paths = (_webdav(entry) for entry in (*entries[:1], *named, *entries))
    return next((path for path in paths if path is not None), None)


def _webdav(offered: OfferedResourceType) -> str | None:
    path = offered.protocols.get("webdav")
    if not isinstance(path, str) or not _PATH.fullmatch(path) or "://" in path:
        return None
    segments = [segment for segment in path.split("/") if segment]
    if any(segment.lower().replace("%2e", ".") in {".", ".."} for segment in segments):
        return None
    return f"/{'/'.join(segments)}/" if segments else "/"


def _both_spellings(criteria: frozenset[str]) -> list[str]:
    emitted = set(criteria)
    for synonyms, spellings in _BOTH_SPELLINGS:
        if criteria & synonyms:
            emitted = emitted - synonyms | set(spellings)
    return sorted(emitted)


def _entries(listed: object) -> list[object]:
    """The entries of resourceTypes; older Seafiles write an object, of one entry or by name."""
    if isinstance(listed, dict) and isinstance(listed.get("protocols"), dict):
        return [listed]
    if isinstance(listed, dict) and listed:
        return [{"name": name} | entry for name, entry in listed.items() if isinstance(entry, dict)]
    if not isinstance(listed, list):
        raise Malformed(
            "resourceTypes is not an array", fields=(("resourceTypes", "must be an array"),)
        )
    return listed


def _usable(entry: object) -> TypeGuard[dict[str, object]]:
    return (
        isinstance(entry, dict)
        and bool(_text(entry.get("name")))
        and isinstance(entry.get("protocols"), dict)
    )


def _offered(entry: dict[str, object]) -> OfferedResourceType:
    protocols = entry["protocols"]
    assert isinstance(protocols, dict)
    # Entries of OCM 1.0 name no share types; there were only users then.
    share_types = _texts(entry["shareTypes"]) if "shareTypes" in entry else ["user"]
    return OfferedResourceType(_text(entry["name"]), tuple(share_types), protocols)


def _public_key(value: object) -> PublishedKey | None:
    """None for the bare PEM that michielbdejong/ocm-stub publishes, and for anything else."""
    found = value if isinstance(value, dict) else {}
    key_id, pem = _text(found.get("keyId")), found.get("publicKeyPem")
    short = isinstance(pem, str) and len(pem) <= _LONGEST_PEM
    return PublishedKey(key_id, str(pem)) if key_id and pem and short else None


def _end_point(value: object) -> str:
    try:
        return urls.absolute(_text(value))
    except Malformed as error:
        raise Malformed(
            "endPoint is not an absolute URL", fields=(("endPoint", "must be an absolute URL"),)
        ) from error


def _url(value: object) -> str:
    try:
        return urls.absolute(_text(value))
    except Malformed:
        return ""


def _dialog(value: object, asked_at: str) -> str:
    """A path on the origin, or an absolute URL of the same server: nobody is sent elsewhere."""
    text = _text(value)
    try:
        url = urls.absolute(urljoin(f"{asked_at}/", text), with_query=True)
        same = urls.authority_of(url) == urls.authority_of(asked_at)
    except (Malformed, ValueError):
        return ""
    return url if text and same else ""


def _text(value: object) -> str:
    short = isinstance(value, str) and len(value) <= urls.LONGEST and not json.has_control(value)
    return str(value) if short else ""


def _texts(value: object) -> list[str]:
    entries = value[:_MOST_ENTRIES] if isinstance(value, list) else []
    return [entry for entry in map(_text, entries) if entry]
