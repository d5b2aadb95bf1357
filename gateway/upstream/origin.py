"""URLs of the storage, taken apart without a change to their bytes (RFC 3986 3)."""

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import BackendFailed

_AUTHORITY = re.compile(
    r"(?P<host>\[(?P<literal>[0-9A-Fa-f:.]+)\]|[A-Za-z0-9._~-]+)(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect to, and how it is named in Host: without a default port."""

    scheme: str
    host: str
    port: int
    authority: str


def split(url: str) -> tuple[Origin, str]:
    """The origin and the request target of an http or https URL.

    Raises BackendFailed for user information, a fragment, or what is no such URL.
    """
    scheme, mark, rest = url.partition("://")
    authority, slash, target = rest.partition("/")
    if not mark or "?" in authority or "#" in rest:
        raise _unusable("neither http nor https")
    return _origin(scheme.lower(), authority), slash + target if slash else "/"


@lru_cache(maxsize=256)
def _origin(scheme: str, authority: str) -> Origin:
    match = _AUTHORITY.fullmatch(authority)
    default = _DEFAULT_PORTS.get(scheme)
    if match is None or default is None:
        raise _unusable("a bad scheme or host")
    port = int(match["port"] or default)
    if not 0 < port < 65536:
        raise _unusable(f"port {port}")
    host = match["host"].lower()
    named = host if port == default else f"{host}:{port}"
    return Origin(scheme, match["literal"] or host, port, named)


def _unusable(what: str) -> BackendFailed:
    return BackendFailed("the storage has no usable address", detail=what)
