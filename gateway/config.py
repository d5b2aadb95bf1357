"""The configuration: one YAML file, checked once, all faults reported together.

Every setting stands with a comment in `config/gateway.yaml`, and the environment wins over the
file (`environment.py`). Secrets come as files (`*_file`) or inline for trials; relative paths are
relative to the configuration file.
"""

import base64
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from yarl import URL

from gateway import addresses
from gateway import environment as environment_
from gateway.environment import Laid
from gateway.errors import GatewayError
from gateway.model import DialectName

_BETWEEN = "; "
"""Between the contradictions of one configuration, which pydantic reports as one fault."""


class Misconfigured(GatewayError):
    """The configuration cannot be used; `faults` says everything that is wrong with it."""

    code = "MISCONFIGURED"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Section(BaseModel):
    """A part of the configuration: immutable, and unknown names are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _absolute(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("folder")
    return (base / path) if base else path


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("is not host:port")
    return value


def _web_url(value: str) -> str:
    url = URL(value, encoded=True)
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("is not an http(s) URL")
    if url.raw_user or url.raw_password or url.raw_query_string or url.raw_fragment:
        raise ValueError("carries a user, query or fragment")
    return value.rstrip("/")


def _origin(value: str) -> str:
    value = _web_url(value)
    if URL(value, encoded=True).raw_path not in ("", "/"):
        raise ValueError("has a path; an origin is scheme://host[:port]")
    return value.lower()


def _document_url(value: str) -> str:
    url = URL(value, encoded=True)
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("is not an http(s) URL")
    if url.raw_user or url.raw_password or url.raw_fragment:
        raise ValueError("carries a user or a fragment")
    return value


def _public_path(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value) or {"..", "."} & set(value.split("/")):
        raise ValueError("is not a path like /remote/dav")
    return value


def _host(value: str) -> str:
    """host or host:port, as an OCM Address may end in."""
    label = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
    name, six = rf"(?P<name>{label}(\.{label})*)\.?", r"\[(?P<six>[0-9A-Fa-f:.]+)\]"
    found = re.fullmatch(rf"(?:{name}|{six})(:(?P<port>\d{{1,5}}))?", value)
    if not found or not 0 < int(found["port"] or 1) <= 65535:
        raise ValueError(f"{value!r} is not a host or host:port")
    numeric = found["six"] or (found["name"].rpartition(".")[2].isdigit() and found["name"])
    if numeric:
        ipaddress.ip_address(numeric)
    return value


_FINER_NAME = re.compile(
    r"everyone|@\S+|dir:\S+|all-below:\S+|[0-9A-Fa-f:.]+/\d+|(?=.*[A-Za-z])(?!\*\.)[^:/]*[*?][^:/]*"
)
"""Names of servers that `policy/names.py` reads: sets, directories, networks, patterns."""


def _domain_pattern(value: str) -> str:
    if _FINER_NAME.fullmatch(value):
        return value
    if value.startswith("*."):
        if ":" in value:
            raise ValueError(f"{value!r} has a port; a suffix stands for every port")
        _host(value[2:])
        return value
    return _host(value)


def _data_server(value: str) -> str:
    """host, host:port, *.suffix or *.suffix:port, perhaps behind http:// or https://."""
    _host(re.sub(r"^https?://", "", value).removeprefix("*."))
    return value


def _network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(value), strict=False)


def _routed_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    network = _network(value)
    if not addresses.admits_route(network):
        raise ValueError(
            "holds addresses that no route may lead to: link-local ones, groups, a cloud's metadata"
        )
    return network


FilePath = Annotated[Path, AfterValidator(_absolute)]
Listen = Annotated[str, AfterValidator(_listen)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
PublicPath = Annotated[str, AfterValidator(_public_path)]
DomainPattern = Annotated[str, AfterValidator(_domain_pattern)]
Host = Annotated[str, AfterValidator(_host)]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(_network, str | None)
]
RoutedNetwork = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(_routed_network, str)
]


class Paths(Section):
    """Where the gateway's own addresses lie below the public origin."""

    ocm: PublicPath = "/ocm"
    shares: PublicPath = "/remote/dav/ocm"
    received: PublicPath = "/remote/dav/received"
    pages: PublicPath | None = None

    @model_validator(mode="after")
    def _apart(self) -> "Paths":
        paths = (self.ocm, self.shares, self.received, self.pages)
        values = [f"{path}/" for path in paths if path]
        for one in values:
            if any(other.startswith(one) for other in values if other is not one):
                raise ValueError("the paths must not lie within one another")
        return self


class Public(Section):
    """How the world sees this server."""

    origin: Annotated[str, AfterValidator(_origin)]
    listen: Listen = "127.0.0.1:8080"
    workers: int = Field(default=1, ge=1, le=64)
    fast_lane: bool = True
    zero_copy: bool = True
    provider: str = Field(default="OCM gateway", max_length=200)
    trusted_proxies: tuple[Network, ...] = ()
    paths: Paths = Paths()


class Operator(Section):
    """Somebody who may act on the management listener."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")
    password: str = Field(default="", repr=False)
    password_file: FilePath | None = None


class Management(Section):
    """The listener for probes, metrics and the operator's pages, never for the world."""

    listen: Listen = "127.0.0.1:8081"
    operators: tuple[Operator, ...] = ()

    @field_validator("operators")
    @classmethod
    def _with_passwords(cls, operators: tuple[Operator, ...]) -> tuple[Operator, ...]:
        names = [one.name for one in operators]
        if len(names) != len(set(names)):
            raise ValueError("a name stands twice")
        for one in operators:
            if bool(one.password) == bool(one.password_file):
                raise ValueError(f"{one.name} needs a password_file (or password)")
        return operators


_POSTGRES = ("postgresql", "postgres")


class State(Section):
    """Where the database and the key that encrypts its secrets live."""

    folder: FilePath = Field(default=Path("state"), validate_default=True)
    database: str = Field(default="gateway.sqlite", repr=False)
    database_password_file: FilePath | None = None
    connections: int = Field(default=10, ge=1, le=1000)
    key_file: FilePath | None = None

    @field_validator("database")
    @classmethod
    def _place(cls, value: str) -> str:
        scheme, there, rest = value.partition("://")
        if there and (scheme not in _POSTGRES or not rest):
            raise ValueError("is neither a file name nor a URL like postgresql://user@host/name")
        return value

    @property
    def shared(self) -> bool:
        """Whether the database is a PostgreSQL server, which replicas may share."""
        return self.database.startswith(tuple(f"{scheme}://" for scheme in _POSTGRES))

    @property
    def database_file(self) -> Path:
        """The SQLite file."""
        return self.folder / self.database

    @property
    def key_path(self) -> Path:
        """The key file."""
        return self.key_file or self.folder / "secret.key"


class CredentialKind(StrEnum):
    """How the gateway logs in to the storage."""

    BASIC = "basic"
    BEARER_FILE = "bearer_file"
    PER_USER = "per_user"
    NONE = "none"


class Credentials(Section):
    """The internal credentials that replace a caller's."""

    kind: CredentialKind = CredentialKind.NONE
    username: str = ""
    password: str = Field(default="", repr=False)
    password_file: FilePath | None = None
    token_file: FilePath | None = None
    folder: FilePath | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Credentials":
        needed = {
            CredentialKind.BASIC: bool(self.username and (self.password or self.password_file)),
            CredentialKind.BEARER_FILE: bool(self.token_file),
            CredentialKind.PER_USER: bool(self.folder),
            CredentialKind.NONE: True,
        }
        if not needed[self.kind]:
            wanted = {
                CredentialKind.BASIC: "username and password_file (or password)",
                CredentialKind.BEARER_FILE: "token_file",
                CredentialKind.PER_USER: "folder",
            }[self.kind]
            raise ValueError(f"kind {self.kind.value} needs {wanted}")
        return self

    @field_validator("password_file", "token_file", "folder")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.exists():
            raise ValueError(f"{path} does not exist")
        return path


class Quirks(Section):
    """How the storage differs from a plain class 2 WebDAV server."""

    atomic_put: bool = False
    conditional_put: bool = False
    chunked_put: bool = True
    exact_destination: bool = False
    etag_propagates: bool = False
    raw_hrefs: bool = False
    fold_case: bool = False
    fold_unicode: bool = False
    windows_names: bool = False
    locks: bool = True


class Redirects(Section):
    """Data servers to which the storage sends requests on."""

    hosts: tuple[Annotated[str, AfterValidator(_data_server)], ...] = ()
    credentials: bool = False


class Storage(Section):
    """The WebDAV storage behind the gateway."""

    url: WebUrl
    path: str = "/{user}"
    pass_through: bool = False
    credentials: Credentials = Credentials()
    redirects: Redirects = Redirects()
    quirks: Quirks = Quirks()

    @field_validator("path")
    @classmethod
    def _template(cls, value: str) -> str:
        segments = [part for part in value.split("/") if part]
        if not value.startswith("/") or any(part in (".", "..") for part in segments):
            raise ValueError("is not an absolute path template such as /home/{user}")
        if "{" in value.replace("{user}", "") or "}" in value.replace("{user}", ""):
            raise ValueError("may hold {user} and nothing else in braces")
        return value

    @property
    def per_user(self) -> bool:
        """Whether each user has a storage root of their own."""
        return "{user}" in self.path


class UserSource(StrEnum):
    """Who says who is a local user."""

    STORAGE = "storage"
    HEADER = "header"
    LIST = "list"


_Name = Annotated[str, Field(min_length=1, max_length=255)]


class ListedUser(Section):
    """One user of the configuration's own list."""

    name: str = Field(min_length=1, max_length=255)
    display_name: str = ""
    email: str = Field(default="", max_length=320)
    password: str = Field(default="", repr=False)
    password_file: FilePath | None = None


class Users(Section):
    """Where local users come from."""

    source: UserSource = UserSource.STORAGE
    header: str = "X-Remote-User"
    groups: dict[_Name, tuple[_Name, ...]] = {}
    list: tuple[ListedUser, ...] = ()

    @model_validator(mode="after")
    def _one_of_a_name(self) -> "Users":
        names = [user.name for user in self.list]
        if len(names) != len(set(names)):
            raise ValueError("a name stands twice in the list")
        if self.source is UserSource.LIST and not names:
            raise ValueError("source list needs a list of users")
        return self

    @model_validator(mode="after")
    def _members_in_groups(self) -> "Users":
        listed = {user.name for user in self.list}
        for group, members in self.groups.items():
            if not members or len(members) != len(set(members)):
                raise ValueError(f"the group {group} has no member, or one twice")
            strange = sorted(set(members) - listed)
            if self.source is UserSource.LIST and strange:
                raise ValueError(f"the group {group} has members not listed: {', '.join(strange)}")
        return self


class Mfa(Section):
    """What proves that somebody logged in with more than one factor."""

    acr: tuple[str, ...] = ()
    amr: tuple[str, ...] = ("mfa",)
    header: str = ""
    header_values: tuple[str, ...] = ("true",)


class Oidc(Section):
    """An OpenID provider at which people log in."""

    issuer: WebUrl | None = None
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)
    client_secret_file: FilePath | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    user_claim: str = "preferred_username"
    display_name_claim: str = "name"
    label: str = ""
    private: bool = False

    @model_validator(mode="after")
    def _complete(self) -> "Oidc":
        if self.issuer and not self.client_id:
            raise ValueError("an issuer needs a client_id")
        return self


class Login(Section):
    """How people log in to the pages, and how long that holds."""

    password: bool = True
    idle_minutes: int = Field(default=120, ge=1)
    lifetime_hours: int = Field(default=24, ge=1)
    mfa: Mfa = Mfa()
    oidc: Oidc = Oidc()


class Pages(Section):
    """The pages for people."""

    languages_folder: FilePath | None = None
    language: str = "en"


class SignatureProfile(StrEnum):
    """Which signatures are good enough."""

    STRICT = "strict"
    COMPATIBLE = "compatible"


class Signatures(Section):
    """HTTP Message Signatures of other servers."""

    required: bool = True
    profile: SignatureProfile = SignatureProfile.COMPATIBLE
    cavage: bool = True
    max_age_seconds: int = Field(default=300, ge=5, le=3600)
    skew_seconds: int = Field(default=60, ge=0, le=600)


class ChangedKey(StrEnum):
    """What becomes of a server that signs with another key than before."""

    ACCEPT = "accept"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"


class Trust(Section):
    """What the registry of other servers demands, beside policy."""

    changed_key: ChangedKey = ChangedKey.ACCEPT
    approval: bool = False


class Breaker(Section):
    """When a server that does not answer is left alone."""

    failures: int = Field(default=5, ge=1)
    first_pause_seconds: int = Field(default=10, ge=1)
    longest_pause_seconds: int = Field(default=600, ge=1)


class Sharing(Section):
    """What we offer, and what our users may do."""

    send: bool = True
    receive: bool = True
    require_exchange: bool = False
    require_invite: bool = False
    legacy_access: bool | Literal["auto"] = "auto"
    requests: bool = True
    public_links: bool = False
    public_link_most: int = Field(default=50, ge=1)
    mfa_trusted: tuple[DomainPattern, ...] = ()
    max_expiration_days: int | None = Field(default=None, ge=1)
    keep_ended_days: int | None = Field(default=90, ge=1)
    access_log_lines: int = Field(default=100, ge=0, le=10_000)


class Invites(Section):
    """The Invite Flow."""

    enabled: bool = True
    lifetime_days: int | None = Field(default=30, ge=1)
    most_open: int = Field(default=100, ge=1)
    wayf: bool = True
    wayf_free_text: bool = True


class KnownServer(Section):
    """How a server, or all below a suffix, is spoken to, where the operator knows better."""

    server: DomainPattern
    dialect: DialectName | None = None
    legacy_access: bool | None = None
    unsigned: bool = False
    unsigned_exchange: bool = False


class News(Section):
    """How people are told what happened: by mail where there is a mail server, and by a webhook."""

    mail: bool = True
    address: str = Field(default="", pattern=r"^([^@\s<>]*\{user\}[^@\s<>]*@[^@\s<>]+|\{user\})?$")
    webhook: WebUrl | None = None
    webhook_private: bool = False
    webhook_secret_file: FilePath | None = None
    give_up_hours: int = Field(default=24, ge=1, le=720)

    @model_validator(mode="after")
    def _complete(self) -> "News":
        file = self.webhook_secret_file
        if file is None:
            return self
        if not file.exists():
            raise ValueError(f"{file} does not exist")
        try:
            base64.b64decode(
                file.read_text(encoding="utf-8").strip().removeprefix("whsec_"), validate=True
            )
        except ValueError as error:
            raise ValueError(f"{file} does not hold base64") from error
        return self


class Dialects(Section):
    """Older servers: what is published for them, and who they are."""

    status_php: bool = False
    ocs_provider: bool = False
    webdav_receive: bool = False
    probe_minutes: int = Field(default=60, ge=1)
    servers: tuple[KnownServer, ...] = ()


class MailSecurity(StrEnum):
    """How the connection to the mail server is protected."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Mail(Section):
    """The SMTP server by which invites are mailed; none without a host."""

    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: MailSecurity = MailSecurity.STARTTLS
    username: str = ""
    password_file: FilePath | None = None
    sender: str = Field(default="", pattern=r"^([^@\s<>]+@[^@\s<>]+)?$")
    seconds: int = Field(default=20, ge=1, le=120)

    @model_validator(mode="after")
    def _complete(self) -> "Mail":
        if self.host and not self.sender:
            raise ValueError("host needs sender, the address that mail is from")
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and password_file go together")
        if self.password_file and not self.password_file.exists():
            raise ValueError(f"{self.password_file} does not exist")
        if self.username and self.security is MailSecurity.NONE and not _is_here(self.host):
            raise ValueError("security none would send the password in the clear")
        return self


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


class DirectoryService(Section):
    """One Directory Service: where its list is, and whose signature on it counts."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    url: Annotated[str, AfterValidator(_document_url)]
    key_files: tuple[FilePath, ...] = ()
    unsigned: bool = False

    @model_validator(mode="after")
    def _signed_or_not(self) -> "DirectoryService":
        if self.unsigned == bool(self.key_files):
            raise ValueError(
                "needs key_files with the keys that its operator gave you, or unsigned: true"
            )
        missing = [str(file) for file in self.key_files if not file.exists()]
        if missing:
            raise ValueError(f"{', '.join(missing)} does not exist")
        return self


class Directories(Section):
    """The Directory Services whose servers our users are offered."""

    refresh_minutes: int = Field(default=60, ge=1)
    services: tuple[DirectoryService, ...] = ()

    @model_validator(mode="after")
    def _one_of_a_name(self) -> "Directories":
        names = [service.name for service in self.services]
        if len(names) != len(set(names)):
            raise ValueError("two directories have the same name")
        return self


class Keys(Section):
    """Our own signing keys: where they come from, and when they are replaced.

    Of each kind (Ed25519 or P-256, and RSA for older servers) the first of `files` signs, and the
    others are published. Without files the keys are made here, and after `rotate_days` replaced by
    themselves; a replaced one stays published for `overlap_days`.
    """

    files: tuple[FilePath, ...] = Field(default=(), max_length=10)
    rotate_days: int | None = Field(default=None, ge=2, le=3650)
    overlap_days: int = Field(default=7, ge=1, le=365)

    @model_validator(mode="after")
    def _one_source(self) -> "Keys":
        if self.files and self.rotate_days:
            raise ValueError("rotate_days is for keys that are made here, not for files")
        return self


class Tokens(Section):
    """Access tokens that we issue."""

    lifetime_seconds: int = Field(default=300, ge=1, le=86400)


class Decisions(Section):
    """How long it can be explained what policy decided."""

    keep: int = Field(default=10_000, ge=100, le=1_000_000)
    days: int = Field(default=30, ge=1)


class Bundle(Section):
    """A policy that is made elsewhere, for many gateways."""

    url: WebUrl | None = None
    key_file: FilePath | None = None
    poll_seconds: int = Field(default=60, ge=1, le=86_400)
    stale_hours: int = Field(default=24, ge=1)

    @model_validator(mode="after")
    def _pinned(self) -> "Bundle":
        if self.url and self.key_file is None:
            raise ValueError("url needs key_file: a bundle is believed for its signature only")
        return self


class Policy(Section):
    """Who may federate. Deny wins; an empty allow list allows nobody under `default: deny`.

    What `sets`, `groups`, `rules` and the `files` mean is said in `policy/language.py`, which
    checks them when they are taken in.
    """

    default: Literal["allow", "deny"]
    allow: tuple[DomainPattern, ...] = ()
    deny: tuple[DomainPattern, ...] = ()
    sets: dict[str, tuple[str, ...]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    rules: tuple[dict[str, Any], ...] = ()
    files: tuple[FilePath, ...] = ()
    shadow: FilePath | None = None
    bundle: Bundle = Bundle()
    decisions: Decisions = Decisions()


class Limits(Section):
    """How much of anything we take."""

    ocm_body_bytes: int = Field(default=64 * 1024, ge=1024, le=1024 * 1024)
    upload_bytes: int | None = Field(default=None, ge=1)
    ocm_requests_per_minute: int = Field(default=120, ge=1)
    provider_requests_per_minute: int = Field(default=300, ge=1)
    user_requests_per_minute: int = Field(default=600, ge=1)
    wayf_requests_per_minute: int = Field(default=60, ge=1)
    link_requests_per_minute: int = Field(default=10, ge=1)
    failed_logins_per_minute: int = Field(default=20, ge=1)
    wrong_secrets_per_minute: int = Field(default=60, ge=1)
    ocm_at_once: int = Field(default=200, ge=1)
    webdav_at_once: int = Field(default=500, ge=1)
    pages_at_once: int = Field(default=200, ge=1)
    transfers_at_once: int = Field(default=1000, ge=1)
    storage_idle_seconds: int = Field(default=120, ge=1)
    provider_seconds: int = Field(default=20, ge=1)


class Discovery(Section):
    """How long what other servers publish (discovery documents, keys) is believed."""

    cache_seconds: int = Field(default=60, ge=0, le=86400)
    failure_seconds: int = Field(default=5, ge=0, le=3600)


class Outbox(Section):
    """How long we try to deliver."""

    first_retry_seconds: int = Field(default=5, ge=1)
    longest_pause_seconds: int = Field(default=3600, ge=1)
    give_up_hours: int = Field(default=72, ge=1)


class Audit(Section):
    """The audit trail."""

    enabled: bool = True
    retention_days: int | None = Field(default=None, ge=1)
    refusals_per_hour: int = Field(default=300, ge=1, le=100_000)
    stream: Literal["stdout"] | WebUrl | None = None
    stream_private: bool = False
    stream_token_file: FilePath | None = None

    @model_validator(mode="after")
    def _token_exists(self) -> "Audit":
        if self.stream_token_file and not self.stream_token_file.exists():
            raise ValueError(f"{self.stream_token_file} does not exist")
        return self


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Telemetry(Section):
    """Spans for OpenTelemetry, sent as OTLP over HTTP; none without an endpoint."""

    endpoint: Annotated[str, AfterValidator(_document_url)] | None = None
    service: str = Field(default="ocm-gateway", min_length=1, max_length=200)
    sample: float = Field(default=1.0, ge=0, le=1)
    token_file: FilePath | None = None

    @model_validator(mode="after")
    def _possible(self) -> "Telemetry":
        if self.endpoint and find_spec("opentelemetry") is None:
            raise ValueError("endpoint needs the extra: pip install 'ocm-gateway[otel]'")
        if self.token_file and not self.token_file.exists():
            raise ValueError(f"{self.token_file} does not exist")
        return self


class Route(Section):
    """A server that may be reached at private addresses: those of one network, on one port."""

    host: Host
    network: RoutedNetwork
    port: int = Field(default=443, ge=1, le=65535)

    @model_validator(mode="after")
    def _bare(self) -> "Route":
        if re.search(r":\d+$", self.host):
            raise ValueError("the port of a route stands apart")
        return self


class Outbound(Section):
    """Where the gateway may connect to, beside the public internet."""

    routes: tuple[Route, ...] = ()


class Testing(Section):
    """What no production server may have."""

    hosts: tuple[Host, ...] = ()
    rate_limits: bool = True
    token_lifetime_seconds: int | None = Field(default=None, ge=1)


class Config(Section):
    """The whole configuration."""

    public: Public
    storage: Storage
    policy: Policy
    management: Management = Management()
    state: State = State()
    users: Users = Users()
    login: Login = Login()
    pages: Pages = Pages()
    signatures: Signatures = Signatures()
    keys: Keys = Keys()
    trust: Trust = Trust()
    breaker: Breaker = Breaker()
    sharing: Sharing = Sharing()
    invites: Invites = Invites()
    directories: Directories = Directories()
    mail: Mail = Mail()
    news: News = News()
    dialects: Dialects = Dialects()
    tokens: Tokens = Tokens()
    limits: Limits = Limits()
    discovery: Discovery = Discovery()
    outbox: Outbox = Outbox()
    outbound: Outbound = Outbound()
    audit: Audit = Audit()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()
    testing: Testing = Testing()
    _file: Path | None = PrivateAttr(default=None)
    _variables: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)
    _files: tuple[Path, ...] = PrivateAttr(default=())

    @property
    def variables(self) -> Mapping[tuple[str, ...], str]:
        """Which settings the environment gave, and by which variable."""
        return self._variables

    @property
    def value_files(self) -> tuple[Path, ...]:
        """The files that the environment named for their content (`..._FILE`)."""
        return self._files

    @property
    def file(self) -> Path | None:
        """The file it was read from, if from one."""
        return self._file

    @property
    def proves_mfa(self) -> bool:
        """Whether a log-in here can prove more than one factor."""
        mfa = self.login.mfa
        by_proxy = self.users.source is UserSource.HEADER and mfa.header and mfa.header_values
        return bool(by_proxy or (self.login.oidc.issuer and (mfa.acr or mfa.amr)))

    @property
    def pages_path(self) -> str:
        """The path before every page, "" for the root."""
        return self.public.paths.pages or ("/gateway" if self.storage.pass_through else "")

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        faults = list(_contradictions(self))
        if faults:
            raise ValueError(_BETWEEN.join(faults))
        return self


def _contradictions(config: Config) -> Iterator[str]:
    origin = URL(config.public.origin, encoded=True)
    host = origin.raw_host or ""
    if origin.scheme == "http" and not {host, f"{host}:{origin.port}"} & set(config.testing.hosts):
        yield f"public.origin is plain http, and {host} is not named in testing.hosts"
    if config.users.source is UserSource.HEADER and not config.public.trusted_proxies:
        yield "users.source header needs public.trusted_proxies: anyone could send that header"
    if config.users.source is UserSource.STORAGE and not config.storage.per_user:
        yield "users.source storage needs {user} in storage.path, to tell whether a user exists"
    if config.sharing.require_invite and not config.invites.enabled:
        yield "sharing.require_invite needs invites.enabled: nobody could become a contact"
    yield from _login_contradictions(config)
    yield from _news_contradictions(config)
    per_user = config.storage.credentials.kind is CredentialKind.PER_USER
    if config.users.source is UserSource.HEADER and not (
        config.storage.per_user or per_user or config.users.list
    ):
        yield "users.source header cannot tell who exists: use {user} in storage.path or users.list"


def _login_contradictions(config: Config) -> Iterator[str]:
    issuer = URL(config.login.oidc.issuer or "https://none.invalid", encoded=True)
    host = issuer.raw_host or ""
    if issuer.scheme == "http" and not {host, f"{host}:{issuer.port}"} & set(config.testing.hosts):
        yield f"login.oidc.issuer is plain http, and {host} is not named in testing.hosts"
    if config.login.mfa.header and not config.public.trusted_proxies:
        yield "login.mfa.header needs public.trusted_proxies: anyone could send that header"


def _news_contradictions(config: Config) -> Iterator[str]:
    url = URL(config.news.webhook or "https://none.invalid", encoded=True)
    host = url.raw_host or ""
    if url.scheme == "http" and not {host, f"{host}:{url.port}"} & set(config.testing.hosts):
        yield f"news.webhook is plain http, and {host} is not named in testing.hosts"


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration of a file and, over it, of the environment; None is for no file.

    Raises Misconfigured with all faults at once. `environment` is for tests: it is the process's.
    """
    data = _of_file(path) if path else {}
    laid = environment_.lay_over(data, os.environ if environment is None else environment, Config)
    folder = path.resolve().parent if path else Path.cwd()
    try:
        found = parse(laid.data, folder=folder)
    except Misconfigured as error:
        raise Misconfigured([*laid.faults, *(_by(laid, one) for one in error.faults)]) from error
    if laid.faults:
        raise Misconfigured(list(laid.faults))
    # The path as it was given: a ConfigMap is changed by turning a link.
    found._file = path.absolute() if path else None  # noqa: SLF001 - pydantic's way
    found._variables, found._files = laid.variables, laid.files  # noqa: SLF001
    return found


def _of_file(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured([f"{path} cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured([f"{path} is not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(data, dict):
        raise Misconfigured([f"{path} is not a mapping of settings"])
    return data


def _by(laid: Laid, fault: str) -> str:
    """The fault, with the variable that it came by."""
    name = fault.partition(":")[0]
    variable = next(
        (
            variable
            for setting, variable in laid.variables.items()
            if f"{name}.".startswith(f"{'.'.join(setting)}.")
        ),
        None,
    )
    return f"{fault} (from {variable})" if variable else fault


def parse(data: dict[str, Any], *, folder: Path | None = None) -> Config:
    """The configuration of a mapping; relative paths are taken from `folder`."""
    try:
        return Config.model_validate({"state": {}, **data}, context={"folder": folder})
    except ValidationError as error:
        faults = [fault for item in error.errors() for fault in _fault(item)]
        raise Misconfigured(faults) from error


def _fault(item: Any) -> list[str]:
    name = ".".join(str(part) for part in item["loc"])
    text = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        text = "there is no such setting"
    elif item["type"] == "missing":
        text = "is missing"
    return [f"{name}: {text}"] if name else text.split(_BETWEEN)


def warnings(config: Config) -> list[str]:
    """What works, and should not be so in production."""
    found = []
    if config.testing.hosts:
        found.append(
            "testing.hosts allows plain http and private addresses for "
            + ", ".join(config.testing.hosts)
        )
    if not config.testing.rate_limits:
        found.append("testing.rate_limits is off: nothing slows down a guesser")
    if not config.signatures.required:
        found.append("signatures.required is off: unsigned servers are believed")
    found += [
        f"dialects.servers takes token requests of {known.server} without a signature"
        for known in config.dialects.servers
        if known.unsigned_exchange
    ]
    if config.policy.default == "allow":
        found.append("policy.default is allow: every server that is not denied may federate")
    if config.storage.credentials.password:
        found.append("storage.credentials.password stands in the file; use password_file")
    if config.state.shared and URL(config.state.database, encoded=True).raw_password:
        found.append("state.database holds a password; use database_password_file")
    endpoint = config.telemetry.endpoint or ""
    if config.telemetry.token_file and endpoint.startswith("http://") and not _local(endpoint):
        found.append("telemetry.endpoint is plain http to another machine, and shows the token")
    if config.storage.url.startswith("http://") and not _local(config.storage.url):
        found.append("storage.url is plain http to another machine")
    return found


def _local(url: str) -> bool:
    host = URL(url, encoded=True).raw_host or ""
    return host in ("localhost", "::1") or host.startswith("127.")
