"""This server, as others see it: one public origin, and what is switched on."""

from collections.abc import Iterable
from dataclasses import dataclass

from yarl import URL

from gateway import config
from gateway.httpsig.signing import SigningKey
from gateway.model import Authority, ShareType
from gateway.ocm.address import Address, authority
from gateway.ocm.discovery import Discovery, OfferedResourceType, PublishedKey
from gateway.policy.names import Names, parse_names
from gateway.sharing.groups import Groups
from gateway.transport import authority_of

JWKS_PATH = "/.well-known/jwks.json"
WAYF_PATH = "/wayf"
ACCEPT_PATH = "/accept-invite"
"""Two pages that others are told of, below `Config.pages_path`."""
_NOBODY = Names()
_NO_GROUPS = Groups()


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own name and addresses. Nothing here ever comes from a request.

    `shares` and `received` are path segments of the two WebDAV doors. `wayf` is the URL of the WAYF
    Page, `accept_dialog` the path of the dialog that accepts invites, "" when they are off.
    """

    authority: Authority
    origin: str
    provider: str
    ocm_path: str
    shares: tuple[str, ...]
    received: tuple[str, ...]
    sends: bool
    receives: bool
    wants_signatures: bool
    wants_exchange: bool
    invites: bool
    wayf: str
    accept_dialog: str
    wants_invite: bool
    has_allowlist: bool
    has_denylist: bool
    longest_share_seconds: int | None
    webdav_receive: bool = False
    takes_requests: bool = False
    honours_mfa: bool = False
    mfa_trusted: Names = _NOBODY
    groups: Groups = _NO_GROUPS

    @property
    def end_point(self) -> str:
        """Where the OCM API is."""
        return self.origin + self.ocm_path

    @property
    def token_end_point(self) -> str:
        """Where secrets are exchanged for tokens."""
        return f"{self.end_point}/token"

    def address(self, user: str) -> Address:
        """The OCM Address of a local user."""
        return Address(user, self.authority)


def from_config(settings: config.Config) -> Ours:
    """This server as configured."""
    public = settings.public
    return Ours(
        authority=authority(authority_of(URL(public.origin))),
        origin=public.origin,
        provider=public.provider,
        ocm_path=public.paths.ocm,
        shares=_segments(public.paths.shares),
        received=_segments(public.paths.received),
        sends=settings.sharing.send,
        receives=settings.sharing.receive,
        wants_signatures=settings.signatures.required,
        wants_exchange=settings.sharing.require_exchange,
        invites=settings.invites.enabled,
        wayf=f"{public.origin}{settings.pages_path}{WAYF_PATH}" if _has_wayf(settings) else "",
        accept_dialog=f"{settings.pages_path}{ACCEPT_PATH}" if settings.invites.enabled else "",
        wants_invite=settings.sharing.require_invite,
        has_allowlist=settings.policy.default == "deny",
        has_denylist=bool(settings.policy.deny),
        longest_share_seconds=(settings.sharing.max_expiration_days or 0) * 86_400 or None,
        webdav_receive=settings.dialects.webdav_receive,
        takes_requests=settings.sharing.requests and settings.sharing.send,
        honours_mfa=settings.proves_mfa,
        mfa_trusted=_names(settings.sharing.mfa_trusted),
        groups=Groups(settings.users.groups),
    )


def describe(ours: Ours, cavage: SigningKey | None = None) -> Discovery:
    """Our discovery document, derived from what is switched on (draft 03, 5.3).

    `cavage` is the key that servers before RFC 9421 find in it.
    """
    criteria = {
        "http-request-signatures": ours.wants_signatures,
        "token-exchange": ours.wants_exchange,
        "invite": ours.wants_invite,
        "allowlist": ours.has_allowlist,
        "denylist": ours.has_denylist,
    }
    return Discovery(
        enabled=ours.sends or ours.receives,
        end_point=ours.end_point,
        provider=ours.provider,
        resource_types=tuple(
            # file first: some receivers take entry 0, whatever the share is of.
            OfferedResourceType(name, _share_types(ours), _protocols(ours))
            for name in ("file", "folder")
        ),
        capabilities=frozenset(
            {"exchange-token", "http-sig", "notifications", "protocol-object", "webdav-uri"}
            | ({"invites"} if ours.invites else set())
            | ({"invite-wayf"} if ours.wayf else set())
            | ({"enforce-mfa"} if ours.honours_mfa and ours.receives else set())
        ),
        criteria=frozenset(name for name, wanted in criteria.items() if wanted),
        token_end_point=ours.token_end_point,
        jwks_uri=f"{ours.origin}{JWKS_PATH}",
        # A path, as 5.3 says; who wants a URL resolves it on this very server (C-17).
        invite_accept_dialog=ours.accept_dialog,
        public_key=PublishedKey(cavage.kid, cavage.public_pem()) if cavage else None,
    )


def _share_types(ours: Ours) -> tuple[str, ...]:
    return tuple(one.value for one in ShareType if one is ShareType.USER or ours.groups)


def _protocols(ours: Ours) -> dict[str, object]:
    """What entry of resourceTypes offers; the object of API 1.4 only where that is wanted."""
    webdav = {"webdav": f"/{'/'.join(ours.shares)}/"}
    return webdav | ({"webdav-receive": {"uri": "relative"}} if ours.webdav_receive else {})


def _has_wayf(settings: config.Config) -> bool:
    return settings.invites.enabled and settings.invites.wayf


def _names(entries: Iterable[str]) -> Names:
    try:
        return parse_names(entries)
    except ValueError as error:
        raise config.Misconfigured([f"sharing.mfa_trusted: {error}"]) from error


def _segments(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
