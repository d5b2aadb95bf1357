"""Where an authorized WebDAV request may go.

A door (`web/webdav.py`) authorizes and answers with a Target; `dav.proxy` forwards to it and
knows nothing of shares, users or tokens. Paths are tuples of decoded segments: nothing textual
from a client reaches a storage.
"""

from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Profile:
    """How the storage at the other end differs from a plain class 2 WebDAV server (webdav quirks).

    atomic_put: an aborted upload leaves the old file in place, so no temporary name is needed.
    conditional_put: If-Match and If-None-Match are honoured on PUT and DELETE.
    chunked_put: takes an upload of unknown length.
    raw_hrefs: hrefs are not percent-encoded.
    fold_case, fold_unicode: names that differ only so are the same file.
    windows_names: backslash, colon, trailing dots and device names mean something else.
    """

    atomic_put: bool = False
    conditional_put: bool = False
    chunked_put: bool = True
    raw_hrefs: bool = False
    fold_case: bool = False
    fold_unicode: bool = False
    windows_names: bool = False


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

    @property
    def url(self) -> str:
        """The URL at the storage, without a trailing slash."""
        return self.base + encode_path(self.root + self.rel)

    @property
    def public_path(self) -> str:
        """The path at the gateway, without a trailing slash."""
        return encode_path(self.mount + self.rel)


def encode_path(segments: tuple[str, ...]) -> str:
    """Segments as an absolute path, every byte outside the unreserved ones as upper-case %XX.

    RFC 3986 2.3; `+`, `;` and the like are encoded too, since storages and clients disagree on
    what they mean. No segments give the empty string.
    """
    return "".join("/" + quote(segment, safe="") for segment in segments)
