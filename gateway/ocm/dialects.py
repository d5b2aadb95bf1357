"""How deployed OCM Servers differ: the one table, and which row a server belongs to.

The drafts describe one protocol; what is in production speaks a dozen dialects of it. Everything
that depends on the other side's software is a column of this table, so that no other file asks for
a product. A row is found from the discovery document (`recognise`), named by the operator
(`by_name`), and corrected by what a server refused (`forms` are tried in order).

To add a server: a `Dialect` below, a line in `_RECOGNISED`, a row in docs/ocm.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.ocm.discovery import Discovery, webdav_path

ANY_SUCCESS = frozenset(range(200, 300))
OTHER_FORM = frozenset({400, 501})
"""What a server answers to a form of share that it does not know. It has kept nothing then."""


class Form(StrEnum):
    """How a Share is announced (draft 03, 6.1 protocol)."""

    RELATIVE = "relative"  # name multi, webdav.uri below the published path
    ABSOLUTE = "absolute"  # name multi, webdav.uri a URL
    OPTIONS = "options"  # name webdav, the secret in options (1.0): opens the root without an id
    OCS = "ocs"  # the form-encoded share of servers before OCM, at /ocs/v2.php/cloud/shares


class Scheme(StrEnum):
    """How a server signs, and what it verifies."""

    RFC9421 = "rfc9421"
    CAVAGE = "cavage"
    NONE = "none"


class Spelling(StrEnum):
    """How addresses are written to a server."""

    PLAIN = "plain"  # user@host[:port]
    HTTP_SCHEME = "http-scheme"  # ours with its scheme where that is http: none means https there
    SCHEME = "scheme"  # also shareWith: user@https://host


class Notice(StrEnum):
    """What a notification to a server carries beside type and providerId."""

    NONE = "none"  # it takes no notifications, or ignores them
    PLAIN = "plain"  # nothing: the signature is the proof (draft 03, 7.1)
    LEGACY = "legacy"  # notification.sharedSecret, the only proof that it knows
    GRANTEE = "grantee"  # notification.grantee finds the share; it knows what a sender may say


class Approach(StrEnum):
    """How a received Share is reached at the server that sent it."""

    EXCHANGED = "exchanged"  # at webdav.uri, with a token got for the secret
    BEARER = "bearer"  # at webdav.uri, with the secret as bearer token
    BASIC = "basic"  # at webdav.uri, with the secret as Basic user name
    ROOT_EXCHANGED = "root-exchanged"  # the three at the WebDAV root, without an id
    ROOT_BEARER = "root-bearer"
    ROOT_BASIC = "root-basic"


SHOWS_SECRET = frozenset(Approach) - {Approach.EXCHANGED, Approach.ROOT_EXCHANGED}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One row.

    forms: how to announce a Share, the first one first; a later one after 400 or 501 only.
    at_root: comes to the WebDAV root without an id, whatever webdav.uri says.
    claims_files: knows resourceType file alone, also for folders.
    exchanges: takes part in the Code Flow when its document says so.
    share_success: the statuses that mean that it has the Share.
    notifies: whether it tells what becomes of Shares; one that does not is asked now and then.
    told_changes: whether it is told by SHARE_CHANGE_PERMISSION that a Share has other terms.
    approaches: how its Shares are reached when they came with a webdav object.
    """

    name: str
    title: str
    forms: tuple[Form, ...] = (Form.RELATIVE,)
    scheme: Scheme = Scheme.NONE
    spelling: Spelling = Spelling.PLAIN
    notice: Notice = Notice.PLAIN
    at_root: bool = False
    claims_files: bool = False
    exchanges: bool = True
    share_success: frozenset[int] = ANY_SUCCESS
    notifies: bool = True
    told_changes: bool = False
    approaches: tuple[Approach, ...] = (Approach.EXCHANGED, Approach.BEARER)


OPENCLOUDMESH_GO = Dialect(
    "opencloudmesh-go", "opencloudmesh-go", scheme=Scheme.RFC9421,
    approaches=(Approach.EXCHANGED, Approach.BEARER),
)  # fmt: skip
NEXTCLOUD_30 = Dialect(
    "nextcloud-30", "Nextcloud up to 30", (Form.OPTIONS, Form.OCS),
    spelling=Spelling.HTTP_SCHEME, notice=Notice.LEGACY, at_root=True, claims_files=True,
    exchanges=False, share_success=frozenset({201}), approaches=(Approach.ROOT_BASIC,),
)  # fmt: skip
NEXTCLOUD_34 = Dialect(
    "nextcloud-34", "Nextcloud 31 to 34", (Form.OPTIONS, Form.OCS), Scheme.CAVAGE,
    Spelling.HTTP_SCHEME, Notice.LEGACY, at_root=True, claims_files=True, exchanges=False,
    share_success=frozenset({201}), approaches=(Approach.ROOT_BASIC,),
)  # fmt: skip
NEXTCLOUD_35 = Dialect(
    "nextcloud-35", "Nextcloud 35", (Form.RELATIVE, Form.OPTIONS), Scheme.RFC9421,
    Spelling.HTTP_SCHEME, Notice.LEGACY, at_root=True, claims_files=True,
    share_success=frozenset({201}),
    approaches=(Approach.EXCHANGED, Approach.ROOT_EXCHANGED, Approach.ROOT_BASIC),
)  # fmt: skip
OWNCLOUD_10 = Dialect(
    "owncloud-10", "ownCloud 10", (Form.OPTIONS, Form.OCS),
    spelling=Spelling.HTTP_SCHEME, notice=Notice.LEGACY, at_root=True, claims_files=True,
    # Whatever it does not know is answered with 200 and a login page.
    exchanges=False, share_success=frozenset({201}), approaches=(Approach.ROOT_BASIC,),
)  # fmt: skip
OCIS = Dialect(
    "ocis", "ownCloud Infinite Scale", (Form.ABSOLUTE,), notice=Notice.GRANTEE, exchanges=False,
    told_changes=True, approaches=(Approach.BEARER,),
)  # fmt: skip
OPENCLOUD = Dialect(
    "opencloud", "OpenCloud", (Form.ABSOLUTE,), notice=Notice.NONE, exchanges=False,
    notifies=False, approaches=(Approach.BEARER,),
)  # fmt: skip
REVA = Dialect(
    "reva", "Reva, CERNBox", (Form.ABSOLUTE, Form.RELATIVE), notice=Notice.NONE, notifies=False,
    approaches=(Approach.EXCHANGED, Approach.BEARER, Approach.ROOT_BASIC),
)  # fmt: skip
SEAFILE = Dialect(
    "seafile", "Seafile", (Form.OPTIONS,), spelling=Spelling.SCHEME, notice=Notice.LEGACY,
    at_root=True, claims_files=True, exchanges=False, share_success=frozenset({201}),
    approaches=(Approach.ROOT_BASIC,),
)  # fmt: skip
OCM_1_0 = Dialect(
    "ocm-1.0", "another server of OCM 1.0", (Form.OPTIONS, Form.RELATIVE),
    notice=Notice.LEGACY, at_root=True, exchanges=False,
    approaches=(Approach.BEARER, Approach.BASIC, Approach.ROOT_BASIC),
)  # fmt: skip
VAGUE = Dialect(
    "vague", "a server that says little of itself", (Form.RELATIVE, Form.ABSOLUTE),
    approaches=(Approach.EXCHANGED, Approach.BEARER, Approach.BASIC),
)  # fmt: skip
# The drafts leave the types of notifications open; this gateway is in one of these rows itself.
DRAFT_03 = Dialect("draft-03", "draft 03", scheme=Scheme.RFC9421, told_changes=True)
DRAFT_05 = Dialect("draft-05", "draft 05, API 1.4", scheme=Scheme.RFC9421, told_changes=True)

DIALECTS = (
    OPENCLOUDMESH_GO, NEXTCLOUD_30, NEXTCLOUD_34, NEXTCLOUD_35, OWNCLOUD_10, OCIS, OPENCLOUD, REVA,
    SEAFILE, DRAFT_03, DRAFT_05, OCM_1_0, VAGUE,
)  # fmt: skip
"""Every row."""

_BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
NAMES = tuple(_BY_NAME)

_OF_LATER_DRAFTS = frozenset({"must-use-http-sig", "must-exchange-token", "must-invite"})
_SPEAKING = frozenset(
    {"protocol-object", "webdav-uri", "exchange-token", "token-exchange", "http-sig"}
)
"""Capabilities that tell a server of the newer form of shares."""


def by_name(name: str) -> Dialect:
    """The row of that name. Raises KeyError."""
    return _BY_NAME[name]


def recognise(document: Discovery) -> Dialect:
    """The row that a discovery document speaks for. Never fails: some rows are for the rest."""
    return next(dialect for dialect, fits in _RECOGNISED if fits(document))


def forms(dialect: Dialect, document: Discovery) -> tuple[Form, ...]:
    """The forms to try, in order; a server of the drafts may say which it wants (API 1.4)."""
    wanted = next(
        (
            received.get("uri")
            for entry in document.resource_types
            if isinstance(received := entry.protocols.get("webdav-receive"), dict)
        ),
        None,
    )
    if wanted == "absolute" and dialect.forms[0] is Form.RELATIVE:
        return (Form.ABSOLUTE, *(form for form in dialect.forms if form is not Form.ABSOLUTE))
    return dialect.forms


def takes_notices(dialect: Dialect, document: Discovery) -> bool:
    """Whether to send that server notifications: by its word, or because its software does."""
    if dialect.notice is Notice.NONE:
        return False
    return document.takes_notifications or dialect.notice in (Notice.LEGACY, Notice.GRANTEE)


def _root(document: Discovery) -> str:
    return webdav_path(document, "file") or ""


def _reva_family(document: Discovery) -> bool:
    return _root(document) in ("/remote.php/dav/ocm/", "/dav/ocm/")


def _nextcloud(document: Discovery) -> bool:
    return _root(document).endswith("/public.php/webdav/")


def _named_receive(document: Discovery) -> bool:
    return any("webdav-receive" in entry.protocols for entry in document.resource_types)


def _first_generation(document: Discovery) -> bool:
    return document.api_version.startswith("1.0") and not document.capabilities & _SPEAKING


def _later(document: Discovery) -> bool:
    major, _, rest = document.api_version.partition(".")
    minor = rest.partition(".")[0]
    newer = major == "1" and minor.isdigit() and int(minor) >= 4
    return newer or _named_receive(document) or bool(document.criteria & _OF_LATER_DRAFTS)


_RECOGNISED: tuple[tuple[Dialect, Callable[[Discovery], bool]], ...] = (
    (SEAFILE, lambda found: "/ocm-via-webdav" in found.end_point or _root(found) == "/seafdav/"),
    (OWNCLOUD_10, lambda found: found.old_list or "federatedfilesharing" in found.end_point),
    (NEXTCLOUD_35, lambda found: _nextcloud(found) and (found.signs or found.exchanges_tokens)),
    # A Nextcloud says what it can do since it signs.
    (NEXTCLOUD_34, lambda found: _nextcloud(found) and bool(found.capabilities)),
    (NEXTCLOUD_30, _nextcloud),
    (OCIS, lambda found: _reva_family(found) and "/invite-accepted" in found.capabilities),
    (OPENCLOUD, lambda found: _reva_family(found) and "webdav-uri" in found.capabilities),
    (REVA, _reva_family),
    (OPENCLOUDMESH_GO, lambda found: _root(found) == "/webdav/ocm/" and _named_receive(found)),
    (OCM_1_0, _first_generation),
    (DRAFT_05, lambda found: _later(found) and bool(found.capabilities & _SPEAKING)),
    (DRAFT_03, lambda found: bool(found.capabilities & _SPEAKING)),
    (VAGUE, lambda _: True),
)
"""From the particular to the general; the first that fits counts. apiVersion is no mark of a
product: some servers give another one to each asker."""
