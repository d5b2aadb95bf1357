"""From an address at the storage to the address at the gateway.

Storages spell hrefs in every way the grammar leaves open (and XrdHttp in one that it does not), so
decoded segments are compared, never strings. What lies outside the Target's root has no address
here.
"""

import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes, urlsplit

from gateway.dav.target import Profile, Target, check_name, decode_segment, encode_path, split_url
from gateway.errors import Malformed

Segments = tuple[str, ...]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_MORE = re.compile(r"[/#?\s]")
"""What makes the rest of an address more than one name."""


def fold(segments: Segments, profile: Profile) -> Segments:
    """The segments as the storage compares them."""
    if profile.fold_unicode:
        segments = tuple(unicodedata.normalize("NFC", segment) for segment in segments)
    if profile.fold_case:
        segments = tuple(segment.casefold() for segment in segments)
    return segments


class Hrefs:
    """The addresses of one Target. Remembers the last folder seen, since its entries follow."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.base)
        self._target = target
        self._authority = split_url(target.base)[0]
        # What an operator wrote as the base is theirs to answer for, so it is only decoded.
        self._base = tuple(
            unquote_to_bytes(piece).decode() for piece in parts.path.split("/") if piece
        )
        self._prefix = fold(self._base + target.root, target.profile)
        self._folder = ""
        self._folder_rel: Segments = ()
        self._parents: tuple[Segments, str] = ((), encode_path(target.mount))

    def rel(self, href: str) -> Segments | None:
        """The segments below the Target's root, or None for what is outside or unspeakable."""
        if self._folder and href.startswith(self._folder):
            name = href[len(self._folder) :].removesuffix("/")
            if _PLAIN.fullmatch(name):
                return (*self._folder_rel, name)
            if name and not _MORE.search(name):
                return self._beside(name)
        rel = self._slow_rel(href)
        if (
            rel is not None
            and href.endswith("/")
            and not (self._folder or self._target.single_file)
        ):
            self._folder, self._folder_rel = href, rel
        return rel

    def _beside(self, piece: str) -> Segments | None:
        """As `_slow_rel`, for one name in the folder seen last."""
        try:
            return (*self._folder_rel, self._name(piece))
        except Malformed:
            return None

    def same(self, one: Segments, other: Segments) -> bool:
        """Whether the storage takes them for the same path."""
        return fold(one, self._target.profile) == fold(other, self._target.profile)

    def public(self, rel: Segments, *, slash: bool) -> str:
        """The absolute path at the gateway; one file keeps the spelling it was asked for by."""
        if self._target.single_file:
            return self._target.public_path
        if not rel:
            path = encode_path(self._target.mount)
        else:
            if self._parents[0] != rel[:-1]:
                self._parents = (rel[:-1], encode_path(self._target.mount + rel[:-1]))
            path = f"{self._parents[1]}/{quote(rel[-1], safe='')}"
        return path + "/" if slash else path

    def _slow_rel(self, href: str) -> Segments | None:
        try:
            segments = self._segments(href.strip())
        except Malformed:
            return None
        start = len(self._prefix)
        if segments is None or fold(segments[:start], self._target.profile) != self._prefix:
            return None
        rel = segments[start:]
        return None if rel and self._target.single_file else rel

    def _segments(self, href: str) -> Segments | None:
        if _SCHEME.match(href):
            authority, href = split_url(href)
            if not self._target.trusted and authority != self._authority:
                return None
        if not self._target.profile.raw_hrefs:
            href = href.partition("#")[0].partition("?")[0]
        # A leading // is a path here, never an authority: rclone 1.75 writes //dav/x.
        pieces = [piece for piece in href.split("/") if piece]
        names = tuple(self._name(piece) for piece in pieces)
        if href.startswith("/"):
            return names
        # sabre's are relative to its base, those of the RFC to the request.
        return (
            self._base + (() if self._target.trusted else self._parent()) + names if names else None
        )

    def _parent(self) -> Segments:
        return self._target.path[:-1]

    def _name(self, piece: str) -> str:
        if self._target.profile.raw_hrefs:
            check_name(piece)
            return piece
        name = decode_segment(piece)
        if not self._target.trusted and "\\" in name:
            raise Malformed("a backslash in a name from another server")
        return name
