"""What a storage's status means to the client.

A receiver believes what it is told: some delete a received share on 401, or on 404 at its root.
401 is therefore only ever about the client's own token, and is made elsewhere.
"""

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes, urlsplit

from gateway.errors import BackendFailed, BackendUnavailable, CredentialRefused

REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_PAUSE_SECONDS = 600

_CREDENTIAL = frozenset({401, 407, 511})
_LATER = frozenset({408, 425, 429, 503})
_TOLD = {
    400: "the storage does not understand the request",
    403: "the storage does not allow that",
    404: "there is no such file or folder",
    405: "that cannot be done to this file or folder",
    409: "the folder it belongs into does not exist, or it conflicts with what is there",
    412: "a condition does not hold",
    413: "the storage does not take that much",
    414: "the name is too long for the storage",
    415: "the storage does not take this kind of body",
    416: "the file does not have that range",
    422: "the storage cannot do that",
    423: "it is locked",
    424: "something that it depends on failed",
    431: "the headers are too long for the storage",
    500: "the storage failed",
    501: "the storage cannot do that",
    507: "the storage is full",
}


def told(status: int, headers: Mapping[str, str]) -> str:
    """The words for a status of the storage that the client is told.

    Raises CredentialRefused, BackendUnavailable or BackendFailed for those that are between the
    gateway and its storage.
    """
    if status in _TOLD:
        return _TOLD[status]
    if status in _CREDENTIAL:
        raise CredentialRefused(
            "the storage does not take the gateway's credential", detail=f"status {status}"
        )
    if status in _LATER:
        raise BackendUnavailable(
            "the storage is busy", detail=f"status {status}", retry_after=_pause(headers)
        )
    if status in REDIRECTS:
        raise _sent_away(status, headers.get("Location", ""))
    raise BackendFailed("the storage answered unexpectedly", detail=f"status {status}")


def _sent_away(status: int, location: str) -> CredentialRefused | BackendFailed:
    """A redirect that nobody follows. Only its server is told: the rest may be a key."""
    try:
        server = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        server = ""
    where = f"status {status}, to {server or 'another page'}"
    if status in (302, 303):
        return CredentialRefused(
            "the storage sends to another page", detail=f"{where}, perhaps to log in"
        )
    return BackendFailed("the storage answered unexpectedly", detail=where)


def _pause(headers: Mapping[str, str]) -> int:
    value = headers.get("Retry-After", "")
    seconds = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 30
    return max(1, min(seconds, LONGEST_PAUSE_SECONDS))


def leads_to_slash(status: int, headers: Mapping[str, str], url: str) -> bool:
    """Whether that is a redirect to the same path with a slash behind it.

    WsgiDAV leaves out what stands before its own root, so the end of the path will do.
    """
    try:
        path = urlsplit(headers.get("Location", "")).path if status in REDIRECTS else ""
    except ValueError:
        return False
    here = urlsplit(url).path
    if not path.endswith("/") or here.endswith("/"):
        return False
    names = _names(path)
    return bool(names) and _names(here)[-len(names) :] == names


def _names(path: str) -> list[bytes]:
    return [unquote_to_bytes(piece) for piece in path.split("/") if piece]
