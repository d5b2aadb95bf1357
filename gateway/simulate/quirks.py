"""What one deployed OCM Server does differently from another: the columns of the table.

A row (`peers.py`) is a `Peer`; its defaults are draft 03 to the letter. The simulation shares no
code with the gateway's roles, so that the two are a second opinion of each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Form(Enum):
    """How a server writes `protocol` in the Shares that it sends."""

    OPTIONS = "options"  # {"name": "webdav", "options": {"sharedSecret"}}
    RELATIVE = "relative"  # {"name": "multi", "webdav": {"uri": "<id>", ...}}
    ABSOLUTE = "absolute"  # the same with an absolute uri


class Identifiers(Enum):
    """How a server names its users to others."""

    PLAIN = "plain"  # einstein@host
    ENCODED = "encoded"  # base64url of einstein@host, @host
    OPAQUE = "opaque"  # <uuid>@<identity provider>@host


class Opens(Enum):
    """How a server reaches what it was given."""

    ROOT_BASIC = "Basic secret: at the WebDAV root"
    ROOT_TOKEN = "token at the WebDAV root, else Basic secret:"  # noqa: S105 - a way, no secret
    URI_SECRET = "Bearer secret at the absolute uri"  # noqa: S105
    URI_TOKEN = "token at the uri, where the share demands it"  # noqa: S105


class Signs(Enum):
    """The signature scheme of a server."""

    NOT = "not"
    CAVAGE = "draft-cavage"
    RFC9421 = "RFC 9421"


class Proof(Enum):
    """What makes a server believe a notification."""

    SECRET = "secret"  # noqa: S105
    GRANTEE = "grantee"
    SIGNER = "signer"
    NOTHING = "nothing"  # it answers, and does nothing


BOTH = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class Peer:
    """One row. Paths are on its own origin; statuses are what the real server answers."""

    name: str
    title: str = "draft-ietf-ocm-open-cloud-mesh-03"
    user_agent: str = "draft-03"

    # Discovery: what it serves, and what it asks of others.
    documents: tuple[str, ...] = ("/.well-known/ocm", "/ocm-provider")
    moved: tuple[str, ...] = ()  # answered 301 to the first document
    asks: tuple[str, ...] = ("/.well-known/ocm", "/ocm-provider")
    api_version: str = "1.3.0"
    api_version_for_nextcloud: str = ""
    takes_versions: tuple[str, ...] = ()  # prefixes of the apiVersions it deals with; () all
    end_point: str = "/ocm"
    list_name: str = "resourceTypes"
    resource_types: tuple[str, ...] = ("file", "folder")
    webdav: str = "/webdav/shares/"
    more_protocols: Mapping[str, object] = field(default_factory=dict)
    capabilities: tuple[str, ...] = (
        "exchange-token",
        "http-sig",
        "invites",
        "notifications",
        "protocol-object",
        "webdav-uri",
    )
    criteria: tuple[str, ...] = ()
    token: str = "/ocm/token"  # noqa: S105 - a path
    jwks: str = "/.well-known/jwks.json"
    names_jwks: bool = False  # as jwksUri in the document
    public_key: bool = False  # RSA, as publicKey in the document
    invite_dialog: str = ""
    strict_reading: bool = False  # refuses documents that break a rule of its own
    string_protocols: bool = False  # cannot read objects in `protocols`
    exact_type: bool = False  # wants the Share's own resource type in the other's document
    first_type: bool = False  # reads resourceTypes[0], whatever it is
    login_pages: str = ""  # below this path, 200 and HTML for whatever it does not know

    # The Shares it sends.
    form: Form = Form.RELATIVE
    identifiers: Identifiers = Identifiers.PLAIN
    schemed_owner: bool = False  # einstein@http://host
    schemed_recipient: bool = False
    sender_as: tuple[str, ...] = ("sender",)
    display_names: bool = True
    folders_as_files: bool = False
    numbered: bool = False  # providerId counts up; else a UUID
    number_ids: bool = False  # and is a JSON number
    options_permissions: str = ""  # what it writes there in the form of options
    odd_secrets: bool = False  # with + / and =
    grants: tuple[str, ...] = ("read", "write")
    demands_exchange: bool = True
    taken_by: frozenset[int] = BOTH  # the statuses that mean success to it
    wants_object: bool = False  # and the answer has to be a JSON object
    ocs: str = ""  # where it turns when that failed, and where it takes the same

    # The Shares it takes: the rules of `judging.py` that refuse one, with the status.
    needs: tuple[str, ...] = (
        "shareWith",
        "name",
        "providerId",
        "owner",
        "sender",
        "shareType",
        "resourceType",
        "protocol",
    )
    refuses: tuple[tuple[str, int], ...] = (
        ("missing", 400),
        ("a number", 400),
        ("not a user", 501),
        ("no webdav", 501),
        ("no secret", 400),
        ("unknown requirement", 501),
        ("unknown user", 400),
    )
    answers: tuple[int, object] = (201, {"recipientDisplayName": "Albert Einstein"})
    plain_answers: bool = False  # text/plain, though it is JSON
    exchanges_inside: bool = False  # before it answers the POST
    looks_inside: bool = False  # PROPFINDs before it answers the POST
    keeps_late: bool = False  # as sender it knows its Share only after we have answered

    # Access.
    bad_code: tuple[int, str] = (400, "invalid_grant")
    grant_types: tuple[str, ...] = ("authorization_code",)
    one_token: bool = False  # a new token ends the one before, and the bare secret
    opens: Opens = Opens.URI_TOKEN
    depthless: bool = False  # PROPFIND without Depth
    password: str = ""  # what it sends behind the secret
    looks_first: bool = True  # PROPFIND before GET
    writes: bool = True
    serves_writes: bool = True
    serves_secret: bool = False  # its WebDAV takes the bare secret, beside or without tokens

    # Notifications.
    tells: tuple[str, ...] = ("SHARE_ACCEPTED", "SHARE_DECLINED", "SHARE_UNSHARED")
    tells_secret: bool = False
    tells_grantee: bool = False
    misspells: bool = False  # messgage
    hears: tuple[str, ...] = ("SHARE_ACCEPTED", "SHARE_DECLINED", "SHARE_UNSHARED")
    hears_other: int = 501
    believes: Proof = Proof.SIGNER
    disbelieves: int = 403
    heard: tuple[int, object] = (201, {})
    told_by: frozenset[int] = frozenset(range(200, 300))
    forgets_on: frozenset[int] = frozenset()  # the WebDAV statuses that make it drop a share

    # Invites and signatures.
    invites: bool = True
    invite_errors: tuple[int, int] = (400, 409)  # unknown token, used token
    accepted_by: frozenset[int] = frozenset({200})
    signs: Signs = Signs.RFC9421
    key: str = "ed25519"
    key_id: str = "{authority}#key1"
    covers_date: bool = True
    names_algorithm: bool = True
    wants_signature: int = 0  # the status for an unsigned request; 0: does not mind
    pins: bool = False  # unsigned is refused once a server has signed
    bad_signature: int = 401

    def __post_init__(self) -> None:
        """A token endpoint and the capability go together (draft 03, 5.3)."""
        assert bool(self.token) == ("exchange-token" in self.capabilities), self.name
