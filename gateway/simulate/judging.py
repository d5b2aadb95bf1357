"""Which Shares a server refuses. A row of the table names rules from here, each with a status.

A rule is a question about a Share Creation Notification; yes refuses it. Rules are asked in the
order of the row, so that each may rely on those before it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from gateway.simulate.quirks import Peer

_PROTOCOLS = {"name", "options", "webdav", "webapp"}
_REQUIREMENTS = {"must-exchange-token"}
_PERMISSIONS = {"read", "write", "share"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may know beside the Share. `signer` is "" for an unsigned one."""

    peer: Peer
    users: Collection[str]
    contacts: Collection[str]
    signer: str = ""
    earlier: Mapping[str, Any] | None = None  # a Share of that providerId that is known already


def judge(share: Mapping[str, Any], facts: Facts) -> tuple[int, str] | None:
    """The status and the reason of a refusal, None for a Share that is taken."""
    for rule, status in facts.peer.refuses:
        if RULES[rule](share, facts):
            return status, f"{facts.peer.name} refuses this share: {rule}"
    return None


def secret_of(share: Mapping[str, Any]) -> str:
    """The shared secret, in whichever arm of the protocol it is."""
    for arm in ("webdav", "options"):
        found = _arm(share, arm).get("sharedSecret")
        if isinstance(found, str) and found:
            return found
    return ""


def requirements_of(share: Mapping[str, Any]) -> set[str]:
    """What its webdav object demands."""
    return set(_arm(share, "webdav").get("requirements") or ())


def recipient_of(share: Mapping[str, Any]) -> str:
    """The user that shareWith names, without the server and its scheme."""
    return split_address(str(share["shareWith"]))[0]


def split_address(address: str) -> tuple[str, str]:
    """Identifier and host[:port]; schemes, paths and slashes at the end do not count."""
    for scheme in ("https://", "http://"):
        identifier, found, host = address.rpartition(f"@{scheme}")
        if found:
            return identifier, host.split("/")[0].lower()
    identifier, _, host = address.rpartition("@")
    return identifier, host.split("/")[0].lower()


def loopback(host: str) -> bool:
    """Whether host[:port] is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _arm(share: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = _protocol(share).get(name)
    return found if isinstance(found, Mapping) else {}


def _protocol(share: Mapping[str, Any]) -> Mapping[str, Any]:
    found = share.get("protocol")
    return found if isinstance(found, Mapping) else {}


def _missing(share: Mapping[str, Any], facts: Facts) -> bool:
    empty = any(share.get(name) in (None, "") for name in facts.peer.needs)
    return empty or "@" not in str(share["owner"])


def _another_servers(share: Mapping[str, Any], facts: Facts) -> bool:
    claimed = {split_address(str(share[name]))[1] for name in ("owner", "sender") if name in share}
    return bool(facts.signer) and claimed != {facts.signer}


def _http_beyond_loopback(share: Mapping[str, Any], _: Facts) -> bool:
    # The real server takes https alone; on loopback there is none.
    uri = urlsplit(str(_arm(share, "webdav").get("uri")))
    return uri.scheme != "https" and not loopback(uri.netloc)


def _no_contact(share: Mapping[str, Any], facts: Facts) -> bool:
    return str(share["sender"]) not in facts.contacts


def _more_than_read(share: Mapping[str, Any], _: Facts) -> bool:
    return list(_arm(share, "webdav").get("permissions") or ()) != ["read"]


def _unknown_permission(share: Mapping[str, Any], _: Facts) -> bool:
    return not set(_arm(share, "webdav").get("permissions") or ()) <= _PERMISSIONS


def _scheme_in_an_address(share: Mapping[str, Any], _: Facts) -> bool:
    return any("://" in str(share[name]) for name in ("shareWith", "owner", "sender"))


def _changed(share: Mapping[str, Any], facts: Facts) -> bool:
    return facts.earlier is not None and facts.earlier != share


RULES: Mapping[str, Callable[[Mapping[str, Any], Facts], bool]] = {
    "missing": _missing,
    "a number": lambda share, _: isinstance(share["providerId"], int),
    "not a user": lambda share, _: share["shareType"] != "user",
    "a folder": lambda share, _: share["resourceType"] != "file",
    "multi": lambda share, _: _protocol(share).get("name") == "multi",
    "options": lambda share, _: "options" in _protocol(share),
    "options filled": lambda share, _: bool(_protocol(share).get("options")),
    "unknown protocol": lambda share, _: not set(_protocol(share)) <= _PROTOCOLS,
    "no webdav": lambda share, _: not _arm(share, "webdav"),
    "no secret": lambda share, _: not secret_of(share),
    "no secret in options": lambda share, _: not _arm(share, "options").get("sharedSecret"),
    "no permissions in options": lambda share, _: not _arm(share, "options").get("permissions"),
    "relative uri": lambda share, _: "://" not in str(_arm(share, "webdav").get("uri")),
    "http beyond loopback": _http_beyond_loopback,
    "more than read": _more_than_read,
    "unknown permission": _unknown_permission,
    "unknown requirement": lambda share, _: bool(requirements_of(share) - _REQUIREMENTS),
    "mfa": lambda share, _: "must-use-mfa" in requirements_of(share),
    "no exchange": lambda share, _: "must-exchange-token" not in requirements_of(share),
    "a slash in the name": lambda share, _: "/" in str(share["name"]),
    "scheme in an address": _scheme_in_an_address,
    "no scheme in shareWith": lambda share, _: "@http" not in str(share["shareWith"]),
    "another server's": _another_servers,
    "no contact": _no_contact,
    "unknown user": lambda share, facts: recipient_of(share) not in facts.users,
    "changed": _changed,
}
