"""Where an authorized WebDAV request may go.

A door (`web/webdav.py`) authorizes and answers with a Target; `dav.proxy` forwards to it and
knows nothing of shares, users or tokens. Paths are tuples of decoded segments: nothing textual
from a client reaches a storage.
"""

import re
from collections.abc import Container
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import Malformed

LONGEST_TARGET = 8 * 1024
LONGEST_NAME = 255
"""Bytes of one decoded segment; more than any common file system takes."""
DEEPEST_PATH = 255

_ASIDE = re.compile(r"\.ocm-[0-9a-f]{24}\.part")
_TARGET = re.compile(r"[\x21\x22\x24-\x7e]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f/\ud800-\udfff\ufffe\uffff]")
_SEPARATOR = re.compile(rb"[/\\]")
_ABSOLUTE = re.compile(r"(https?)://([^/?@]+)(/.*)?", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Profile:
    """How the storage at the other end differs from a plain class 2 WebDAV server (webdav quirks).

    atomic_put: an aborted upload leaves the old file in place, so no temporary name is needed.
    conditional_put: If-Match and If-None-Match are honoured on PUT and DELETE.
    chunked_put: takes an upload of unknown length.
    raw_hrefs: hrefs are not percent-encoded.
    fold_case, fold_unicode: names that differ only so are the same file.
    windows_names: backslash, colon, trailing dots and device names mean something else.
    locks: LOCK and UNLOCK work (WebDAV class 2).
    etag_propagates: a folder's ETag changes with everything below it (Nextcloud, ownCloud, EOS).
    exact_destination: a Destination may have names with an escaped semicolon, question mark or
        number sign. WsgiDAV cuts them there and overwrites what has the shorter name.
    """

    atomic_put: bool = False
    conditional_put: bool = False
    chunked_put: bool = True
    raw_hrefs: bool = False
    fold_case: bool = False
    fold_unicode: bool = False
    windows_names: bool = False
    locks: bool = True
    etag_propagates: bool = False
    exact_destination: bool = False


REMOTE = Profile(atomic_put=True, conditional_put=True, exact_destination=True)
"""Another OCM Server, which answers for its own storage."""


@dataclass(frozen=True, slots=True)
class Target:
    """One resource at one storage, and what may be done with it.

    base: URL of the storage without a trailing slash, its path percent-encoded.
    root: what the door opens to, as decoded segments below `base`.
    rel: what is asked for, as decoded segments below `root`.
    mount: the public path that the client sees for `root`, as decoded segments.
    origin: the gateway's public origin (scheme://authority), for Destination and Location.
    authorization: the value of the Authorization header for the storage.
    scope: whose locks and names these are; lock tokens are bound to it.
    single_file: `root` is one file, not a collection.
    writable, reshare: what the share grants beyond reading.
    label: what `root` is called where a display name is asked for.
    trusted: True for our own storage, False for another OCM Server.
    freshness: when not empty, the ETag of a `root` collection also depends on it. Receivers look at
    that ETag alone to learn of changes, and a plain storage does not carry changes up to it.
    lists_unasked: PROPFIND without Depth means 1, as Seafile means it, not infinity.
    """

    base: str
    root: tuple[str, ...]
    rel: tuple[str, ...]
    mount: tuple[str, ...]
    origin: str
    authorization: str = field(repr=False)
    scope: str
    single_file: bool = False
    writable: bool = False
    reshare: bool = False
    label: str = ""
    trusted: bool = True
    profile: Profile = Profile()
    freshness: str = ""
    lists_unasked: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """What is asked for, as segments below `base`. One file has nothing below it."""
        return self.root if self.single_file else self.root + self.rel

    @property
    def url(self) -> str:
        """The URL at the storage, without a trailing slash."""
        return self.base + encode_path(self.path)

    @property
    def public_path(self) -> str:
        """The path at the gateway, without a trailing slash."""
        return encode_path(self.mount + self.rel)


def encode_path(segments: tuple[str, ...]) -> str:
    """Segments as an absolute path, every byte outside the unreserved ones as upper-case %XX.

    RFC 3986 2.3; `+`, `;` and the like are encoded too, since storages and clients disagree on
    what they mean. No segments give the empty string.
    """
    return "".join([_encoded(segment) for segment in segments])


@lru_cache(8192)
def _encoded(segment: str) -> str:
    return "/" + quote(segment, safe="")


@dataclass(frozen=True, slots=True)
class RequestPath:
    """A request target, taken apart: decoded segments, whether it ended in a slash, the query."""

    segments: tuple[str, ...]
    slash: bool
    query: str


def parse_target(raw: str, authorities: Container[str] = ()) -> RequestPath:
    """The request target exactly as received, as decoded segments (RFC 9112 3.2, RFC 3986 2.1).

    Origin-form, or absolute-form at one of our `authorities` (as `authority_of` spells them).
    Doubled slashes collapse. Dot segments, in whatever spelling, are refused and not resolved:
    storages disagree on what they mean. Raises Malformed, with 414 for what is too long.
    """
    if len(raw) > LONGEST_TARGET:
        raise too_long("the address is too long")
    if not _TARGET.fullmatch(raw):
        raise Malformed("the address contains bytes that belong escaped")
    if not raw.startswith("/"):
        authority, raw = split_url(raw)
        if authority not in authorities:
            raise Malformed("the address is not of this server")
    path, _, query = raw.partition("?")
    segments = tuple(decode_segment(piece) for piece in path.split("/") if piece)
    if len(segments) > DEEPEST_PATH:
        raise too_long("the address has too many segments")
    return RequestPath(segments, path.endswith("/"), query)


def aside(chance: bytes) -> str:
    """The name of an upload that has not arrived yet, from 12 random bytes.

    Nobody sees or opens it through the gateway; sync clients pass over `.part`, too.
    """
    return f".ocm-{chance.hex()}.part"


def is_aside(name: str) -> bool:
    """Whether `aside` made that name."""
    return name.startswith(".ocm-") and _ASIDE.fullmatch(name) is not None


def split_url(url: str) -> tuple[str, str]:
    """The authority, spelled as `authority_of` does, and the rest of an http or https URL.

    Raises Malformed for anything else, user information included.
    """
    match = _ABSOLUTE.fullmatch(url)
    if match is None:
        raise Malformed("the address is neither a path nor an http URL")
    scheme, authority, rest = match.groups()
    return authority_of(scheme, authority), rest or "/"


def authority_of(scheme: str, authority: str) -> str:
    """host[:port] in lower case, without the scheme's default port."""
    return authority.lower().removesuffix(_DEFAULT_PORT[scheme.lower()])


def decode_segment(text: str) -> str:
    """One path segment, percent-decoded once. Raises Malformed for what no storage should see."""
    if _PLAIN.fullmatch(text) and len(text) <= LONGEST_NAME:
        return text
    if _BAD_ESCAPE.search(text):
        raise Malformed("the address has a percent sign without two hexadecimal digits")
    data = unquote_to_bytes(text)
    if len(data) > LONGEST_NAME:
        raise too_long("a name in the address is too long")
    try:
        name = data.decode()
    except UnicodeDecodeError:
        raise Malformed("a name in the address is not UTF-8") from None
    check_name(name)
    return name


def check_name(name: str) -> None:
    """Raise Malformed unless this decoded segment names something inside its folder.

    A second decoding must not climb either: some storages decode twice, some take a backslash for
    a slash, some cut a name at its first semicolon.
    """
    if _UNSPEAKABLE.search(name):
        raise Malformed("a name in the address contains a slash or a control character")
    data = name.encode()
    for _ in range(4):
        if b"\0" in data or any(_climbs(part) for part in _SEPARATOR.split(data)):
            raise Malformed("the address contains dot segments")
        data, before = unquote_to_bytes(data), data
        if data == before:
            return
    raise Malformed("a name in the address is encoded many times over")


def _climbs(part: bytes) -> bool:
    return part.partition(b";")[0] in (b".", b"..")


def too_long(message: str) -> Malformed:
    """Malformed, with 414 URI Too Long (RFC 9110 15.5.15)."""
    fault = Malformed(message)
    fault.status = 414
    return fault
