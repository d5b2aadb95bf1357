"""Listings of folders that exist only here: the tree of received shares and what is above it."""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate

from gateway.dav import properties
from gateway.dav.documents import EVERYTHING, Asked, Requested, element, empty_element
from gateway.dav.message import DECLARATION
from gateway.dav.target import encode_path


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource. path: public decoded segments. Size in bytes, `modified_at` in seconds.

    permissions: the letters of oc:permissions. None and empty mean that it has none.
    """

    path: tuple[str, ...]
    collection: bool = True
    displayname: str = ""
    size: int | None = None
    modified_at: int | None = None
    etag: str = ""
    permissions: str = "G"


def multistatus(entries: Iterable[Entry], requested: Requested = EVERYTHING) -> bytes:
    """A 207 body with these entries; the first is what was asked for (RFC 4918 13)."""
    responses = "".join(_response(entry, requested) for entry in entries)
    text = f'<d:multistatus xmlns:d="DAV:">{responses}</d:multistatus>'
    return DECLARATION + text.encode()


def _response(entry: Entry, requested: Requested) -> str:
    known = _properties(entry)
    if requested.asked is Asked.NAMED:
        missing = tuple(name for name in requested.names if name not in known)
        known = {name: text for name, text in known.items() if name in requested.names}
    else:
        missing = ()
    if requested.asked is Asked.NAMES:
        known = {name: empty_element(name) for name in known}
    href = encode_path(entry.path) + ("/" if entry.collection or not entry.path else "")
    found = _propstat("200 OK", known.values(), always=not missing)
    absent = _propstat("404 Not Found", map(empty_element, missing))
    return f"<d:response><d:href>{href}</d:href>{found}{absent}</d:response>"


def _propstat(status: str, elements: Iterable[str], *, always: bool = False) -> str:
    inner = "".join(elements)
    if not inner and not always:
        return ""
    return (
        f"<d:propstat><d:prop>{inner}</d:prop><d:status>HTTP/1.1 {status}</d:status></d:propstat>"
    )


def _properties(entry: Entry) -> dict[str, str]:
    """Every property that the entry has, as elements."""
    texts = {
        properties.DISPLAYNAME: entry.displayname or (entry.path[-1] if entry.path else ""),
        properties.ETAG: entry.etag,
        properties.PERMISSIONS: entry.permissions,
        properties.OCS_PERMISSIONS: str(properties.number(entry.permissions)),
        properties.OCM_PERMISSIONS: properties.words(entry.permissions),
    }
    if entry.modified_at is not None:
        texts[properties.MODIFIED] = formatdate(entry.modified_at, usegmt=True)
    if entry.size is not None:
        texts[properties.SIZE] = str(entry.size)
        if not entry.collection:
            texts[properties.LENGTH] = str(entry.size)
    kind = "<d:collection/>" if entry.collection else ""
    found = {properties.RESOURCETYPE: f"<d:resourcetype>{kind}</d:resourcetype>"}
    return found | {name: element(name, text) for name, text in texts.items() if text}
