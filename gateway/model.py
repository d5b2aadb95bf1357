"""The records the gateway keeps, and the words they are made of.

The wire has its own types in `ocm/`; a role turns one into the other in one visible line.
Times are integer seconds since the epoch and end in `_at`; durations end in `_seconds`.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NewType

Authority = NewType("Authority", str)
"""host or host:port in its one canonical spelling, made by `ocm.address.authority` alone."""


class Permission(StrEnum):
    """What a Share grants (draft 03, 6.1 webdav.permissions)."""

    READ = "read"
    WRITE = "write"
    SHARE = "share"


class ResourceType(StrEnum):
    """What a Share is of (draft 03, 6.1)."""

    FILE = "file"
    FOLDER = "folder"


class ShareType(StrEnum):
    """Whom a Share is with (draft 03, 6.1); federations are not supported."""

    USER = "user"
    GROUP = "group"


class DialectName(StrEnum):
    """The rows of the table of dialects (`ocm/dialects.py`)."""

    OPENCLOUDMESH_GO = "opencloudmesh-go"
    NEXTCLOUD_30 = "nextcloud-30"
    NEXTCLOUD_34 = "nextcloud-34"
    NEXTCLOUD_35 = "nextcloud-35"
    OWNCLOUD_10 = "owncloud-10"
    OCIS = "ocis"
    OPENCLOUD = "opencloud"
    REVA = "reva"
    SEAFILE = "seafile"
    DRAFT_03 = "draft-03"
    DRAFT_05 = "draft-05"
    OCM_1_0 = "ocm-1.0"
    VAGUE = "vague"


class SentState(StrEnum):
    """Where a Share that we send stands."""

    PENDING = "pending"  # recorded; the Receiving Server has not taken it yet
    SENT = "sent"  # the Receiving Server took it; its user has not answered
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REFUSED = "refused"  # the Receiving Server said no, or was given up on
    REVOKED = "revoked"  # by our user
    EXPIRED = "expired"  # over, and swept
    HELD = "held"  # policy wants the operator to look first; nobody was told of it

    @property
    def opens(self) -> bool:
        """Whether a Share in this state gives access to its Resource."""
        return self in (SentState.PENDING, SentState.SENT, SentState.ACCEPTED)

    @property
    def lasts(self) -> bool:
        """Whether it has not ended: it opens something, or may yet."""
        return self.opens or self is SentState.HELD


DEAD_AFTER_LOOKS = 10
"""So often in a row a share is not found at its server before it is taken for gone for good."""


class ReceivedState(StrEnum):
    """Where a Share that we received stands."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    UNAVAILABLE = "unavailable"  # accepted, and its server does not have it now
    DECLINED = "declined"
    UNSHARED = "unshared"  # by the other side
    EXPIRED = "expired"  # over, and swept
    QUARANTINED = "quarantined"  # held for the operator; its recipient does not see it yet

    @property
    def taken(self) -> bool:
        """Whether the local user has accepted it, be it available just now or not."""
        return self in (ReceivedState.ACCEPTED, ReceivedState.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class SentShare:
    """A Share of a local Resource with a Party at another server. We are the Sending Server.

    `provider_id` is also the id in its WebDAV address. `resource` is the path of the Resource
    below its owner's storage root, as decoded segments. Expiration None means never;
    `must_exchange_token` None means that it is settled at delivery, by what the Receiving Server
    can. `form` is the one in which it was announced, "" before; it is not announced in another
    one afterwards. `at_root` says that the Receiving Server comes to the WebDAV root, without the
    id. `ended_at` is when a sweep found that it had ended. `granted_by` is the id of the Share that
    it was passed on from, "" for none; it opens `within` that one.
    """

    provider_id: str
    resource: tuple[str, ...]
    resource_type: ResourceType
    owner: str
    share_with: str
    receiving_server: Authority
    permissions: frozenset[Permission]
    must_exchange_token: bool | None
    shared_secret: str = field(repr=False)
    created_at: int
    expiration_at: int | None = None
    size: int | None = None
    description: str = ""
    state: SentState = SentState.PENDING
    reason: str = ""
    form: str = ""
    at_root: bool = False
    must_use_mfa: bool = False
    share_type: ShareType = ShareType.USER
    ended_at: int | None = None
    granted_by: str = ""

    @property
    def name(self) -> str:
        """What the Resource is called; the storage root has the owner's name."""
        return self.resource[-1] if self.resource else self.owner

    def opens_at(self, now: int) -> bool:
        """Whether this Share gives access at that second."""
        return self.state.opens and (self.expiration_at is None or now < self.expiration_at)

    def within(self, granting: "SentShare | None") -> "SentShare":
        """It, but with no more and for no longer than what it was passed on from, as that stands
        now; one that is gone grants nothing."""
        if granting is None:
            return replace(self, state=SentState.EXPIRED)
        ends = [end for end in (self.expiration_at, granting.expiration_at) if end is not None]
        return replace(
            self,
            state=self.state if granting.state.opens else granting.state,
            permissions=self.permissions & (granting.permissions - {Permission.SHARE}),
            expiration_at=min(ends, default=None),
        )


class AccessKind(StrEnum):
    """What somebody did with a Share that we send."""

    LOOK = "look"  # listed it, or asked what it is
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class AccessLine:
    """One line of the log of a SentShare: the same thing done `times` from `first_at` to `last_at`.

    `provider` is the server that the Share was made for; only it has the credential. `path` lies
    below the Share, "" for the Share itself and where nobody kept it. `bytes` is what was read or
    written.
    """

    share: str
    provider: Authority
    kind: AccessKind
    path: str
    first_at: int
    last_at: int
    times: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReceivedShare:
    """A Share from another server with a local user. We are the Receiving Server.

    `id` is ours; (`sending_server`, `provider_id`) is theirs. One with a `group` is kept once for
    each member, who answers it alone; else `group` is "". `folder` is its name in the user's WebDAV
    tree. `uri` is as the sender wrote it, absolute or relative; "" in the form of 1.0. `checked_at`
    is when its server was last asked for it unasked for; 0 asks again. `hidden` is the recipient's
    own affair: it is out of sight, and all else is as before. `misses` counts the looks in a row
    that did not find it; `ended_at` is when a sweep found that it had ended.
    """

    id: str
    sending_server: Authority
    provider_id: str
    recipient: str
    owner: str
    sender: str
    name: str
    folder: str
    resource_type: ResourceType
    uri: str
    permissions: frozenset[Permission]
    must_exchange_token: bool
    shared_secret: str = field(repr=False)
    received_at: int
    expiration_at: int | None = None
    size: int | None = None
    description: str = ""
    sender_display_name: str = ""
    owner_display_name: str = ""
    state: ReceivedState = ReceivedState.PENDING
    checked_at: int | None = None
    must_use_mfa: bool = False
    hidden: bool = False
    group: str = ""
    misses: int = 0
    ended_at: int | None = None

    @property
    def dead(self) -> bool:
        """Whether its server has so often not had it that it will hardly come back."""
        return self.state is ReceivedState.UNAVAILABLE and self.misses >= DEAD_AFTER_LOOKS

    @property
    def share_with(self) -> str:
        """Whom the Sending Server shared with: the group, or the one user."""
        return self.group or self.recipient

    @property
    def taken(self) -> bool:
        """Whether the local user has accepted it, be it available just now or not."""
        return self.state.taken

    @property
    def kind_unknown(self) -> bool:
        """Whether it may be a folder that its server called a file, and nobody has looked yet."""
        return self.resource_type is ResourceType.FILE and self.checked_at is None

    def opens_at(self, now: int) -> bool:
        """Whether the local user may open this Share at that second."""
        return self.taken and self.live_at(now)

    def live_at(self, now: int) -> bool:
        """Whether it has not expired at that second."""
        return self.expiration_at is None or now < self.expiration_at


@dataclass(frozen=True, slots=True)
class Lesson:
    """What we learnt of how a server is spoken to, by what it took and what it refused.

    `dialect` is its row in the table of dialects, `form` how it took a Share, `approach` how its
    own Shares are reached; the last two "" while the row was right.
    """

    provider: Authority
    dialect: str
    form: str
    approach: str
    learnt_at: int


class NewsKind(StrEnum):
    """What happened to somebody here."""

    SHARE_RECEIVED = "share-received"
    SHARE_ACCEPTED = "share-accepted"
    SHARE_DECLINED = "share-declined"
    INVITE_ACCEPTED = "invite-accepted"
    REQUEST_RECEIVED = "request-received"


class NewsWay(StrEnum):
    """How people are told."""

    MAIL = "mail"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class News:
    """Something that `user` is still to be told, in one way.

    `who` did it, an OCM Address, or is to have what is asked for; `what` is the name of the
    Resource, "" for an invite; `about` is the id of the share, invite or request.
    """

    id: str
    way: NewsWay
    kind: NewsKind
    user: str
    who: str
    what: str
    about: str
    at: int
    next_attempt_at: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Wishes:
    """How somebody wants to be told: by mail or not, and in which language, "" if they never
    said."""

    by_mail: bool = True
    language: str = ""


class Errand(StrEnum):
    """What the outbox carries to another server."""

    SHARE = "SHARE"  # the Share Creation Notification of a SentShare
    SHARE_ACCEPTED = "SHARE_ACCEPTED"
    SHARE_DECLINED = "SHARE_DECLINED"
    SHARE_UNSHARED = "SHARE_UNSHARED"
    SHARE_CHANGE_PERMISSION = "SHARE_CHANGE_PERMISSION"  # a SentShare has other terms
    USER_REMOVED = "USER_REMOVED"
    REQUEST = "REQUEST"  # a SentRequest


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One errand to one server: which, about which share, when to try next, what went wrong.

    `share` is the `provider_id` of a SentShare (SHARE, SHARE_UNSHARED, SHARE_CHANGE_PERMISSION) or
    the `id` of a ReceivedShare (SHARE_ACCEPTED, SHARE_DECLINED), of a Contact (USER_REMOVED) or of
    a SentRequest (REQUEST).
    """

    id: str
    errand: Errand
    share: str
    provider: Authority
    created_at: int
    next_attempt_at: int
    attempts: int = 0
    last_error: str = ""
    dead: bool = False


class RequestState(StrEnum):
    """Where a request for a Share stands."""

    OPEN = "open"
    AGREED = "agreed"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody at another server asks a local user to share a Resource.

    `share_with` is the OCM Address that is to have it, `provider` the server that asks. `about` is
    the id of a SentShare that names the Resource, or grants passing it on; "" for none. `share` is
    the id of the SentShare that came of it.
    """

    id: str
    owner: str
    share_with: str
    provider: Authority
    resource: tuple[str, ...]
    about: str
    created_at: int
    state: RequestState = RequestState.OPEN
    decided_at: int | None = None
    share: str = ""


class SentRequestState(StrEnum):
    """Where a request stands that we sent. Whether it is agreed to, no message tells."""

    PENDING = "pending"  # the other server has not taken it yet
    SENT = "sent"
    REFUSED = "refused"  # the other server said no, or was given up on


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A local user asks somebody at another server to share a Resource.

    `owner` is the OCM Address that is asked, `share` the identifier or URL of the Resource.
    """

    id: str
    user: str
    owner: str
    provider: Authority
    share: str
    created_at: int
    state: SentRequestState = SentRequestState.PENDING
    reason: str = ""


class InviteState(StrEnum):
    """Where an Invite of a local user stands; one that is open may still have expired."""

    OPEN = "open"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class SentInvite:
    """An Invite of a local user. We are the Invite Sender OCM Server (draft 03, 19.3).

    `token` is "" once nobody can accept it any more: then only its hash is kept. `accepted_by` is
    the OCM Address of the Invite Receiver, `email` where the Invite Message was mailed to, `note`
    what the sender wants to remember.
    """

    id: str
    sender: str
    token: str = field(repr=False)
    created_at: int
    expiration_at: int | None = None
    note: str = ""
    email: str = ""
    state: InviteState = InviteState.OPEN
    accepted_at: int | None = None
    accepted_by: str = ""
    mailed_at: int | None = None

    def open_at(self, now: int) -> bool:
        """Whether it may be accepted at that second."""
        fresh = self.expiration_at is None or now < self.expiration_at
        return self.state is InviteState.OPEN and fresh


class ContactSource(StrEnum):
    """How an OCM Address came into an address book (draft 03, 13.4)."""

    INVITE = "invite"
    SHARE = "share"
    DIRECT_ENTRY = "direct entry"


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody at another server in the address book of a local user (draft 03, 19.2).

    `user_id` is their identifier at `provider`; `label` is what our user calls them. What comes
    from a `trusted` contact is accepted without asking. `removed_at` is set while the other side
    has yet to be told that our user removed them.
    """

    id: str
    user: str
    user_id: str
    provider: Authority
    name: str
    email: str
    source: ContactSource
    added_at: int
    label: str = ""
    trusted: bool = False
    removed_at: int | None = None

    @property
    def address(self) -> str:
        """Their OCM Address."""
        return f"{self.user_id}@{self.provider}"

    @property
    def shown_as(self) -> str:
        """What our user reads."""
        return self.label or self.name or self.user_id


class Scheme(StrEnum):
    """How a server signs; the later, the more it proves."""

    NONE = "none"
    CAVAGE = "cavage"  # draft-cavage-http-signatures, RSA
    RFC9421 = "rfc9421"

    @property
    def rank(self) -> int:
        """For comparing: none is 0."""
        return list(Scheme).index(self)


class Standing(StrEnum):
    """What the operator decided about a server, beside policy."""

    KNOWN = "known"  # nothing: policy alone judges
    PENDING = "pending"  # waits to be approved
    APPROVED = "approved"
    BLOCKED = "blocked"


class ProviderSource(StrEnum):
    """How we came to know a server."""

    CONFIGURED = "configured"  # the operator added it
    INVITE = "invite"
    SHARE = "share"  # it shared with somebody here
    DIRECT = "direct"  # somebody here named it
    DIRECTORY = "directory"
    SEEN = "seen"  # it proved itself otherwise


class KeyState(StrEnum):
    """Where a key of ours stands in its life."""

    STAGED = "staged"  # published, so that others know it before it signs
    ACTIVE = "active"  # signs
    OVERLAPPING = "overlapping"  # published, signs no more
    RETIRED = "retired"  # not published; access tokens that it signed hold until they expire
    COMPROMISED = "compromised"  # nothing that it signed holds any more

    @property
    def published(self) -> bool:
        """Whether others are to verify with it."""
        return self in (KeyState.STAGED, KeyState.ACTIVE, KeyState.OVERLAPPING)


class KeyStanding(StrEnum):
    """What a key that a server signed with is worth."""

    TRUSTED = "trusted"  # on first use, or as trust.changed_key says
    PINNED = "pinned"  # by the operator; then no other key of the server counts
    QUARANTINED = "quarantined"  # another than before: waits for the operator
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A public key that a server has signed with. `thumbprint` as in RFC 7638."""

    provider: Authority
    thumbprint: str
    kid: str
    algorithm: str
    standing: KeyStanding
    first_seen_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class Provider:
    """Another OCM Server in our registry.

    `scheme` is the strongest it has proven itself with, and the least we still take; `our_scheme`
    the strongest that we signed with towards it. `failures` counts those in a row; until
    `paused_until` it is not asked. Times are 0 for never.
    """

    authority: Authority
    standing: Standing
    source: ProviderSource
    first_seen_at: int
    last_seen_at: int = 0
    scheme: Scheme = Scheme.NONE
    our_scheme: Scheme = Scheme.NONE
    dialect: str = ""
    api_version: str = ""
    capabilities: tuple[str, ...] = ()
    comment: str = ""
    failures: int = 0
    failing_since_at: int = 0
    paused_until: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A local user, as the source of users names it. `email` is "" where nobody knows it.

    `strong` says that the log-in behind this request proved more than one factor.
    """

    name: str
    display_name: str = ""
    email: str = ""
    strong: bool = False

    @property
    def shown_as(self) -> str:
        """What other people read."""
        return self.display_name or self.name


class LoginMethod(StrEnum):
    """How somebody proved who they are."""

    PASSWORD = "password"  # noqa: S105 - a word, no secret
    HEADER = "header"
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is logged in. `id` is the keyed hash of the token in its cookie.

    `strong` says that the login proved more than one factor, by what `acr` and `amr` said.
    """

    id: str
    user: str
    display_name: str
    method: LoginMethod
    created_at: int
    seen_at: int
    expires_at: int
    strong: bool = False
    acr: str = ""
    amr: tuple[str, ...] = ()
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy decided, and why.

    `shadow` is what the rehearsed policy would have done, "" for the same; `policy` names the text
    of the rules that held; `request` is the id of the request that asked; `chain` is the whole
    explanation as JSON.
    """

    id: str
    at: int
    action: str
    provider: Authority
    user: str
    outcome: str
    rule: str
    reason: str
    shadow: str
    policy: str
    request: str
    chain: str


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that the audit trail keeps: who did or wanted what, and what came of it.

    `what` is a name such as `sent.created`; `outcome` is done, allow or deny. `who` and `whom` are
    OCM Addresses, and with `reason` may be erased later; `provider` is the other server; `about` is
    the id of the share or invite; `decision` is an id that the one who was refused is told, too.
    """

    at: int
    what: str
    outcome: str
    decision: str
    who: str = ""
    whom: str = ""
    provider: str = ""
    about: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A deed in its place in the chain; `erased` names the fields that were forgotten."""

    position: int
    deed: Deed
    hash: str
    erased: tuple[str, ...] = ()
