"""Files as people handle them in a page: list, read, write, fold up into an archive.

The same for one's own storage and for what was received: a Place is where a path leads and how one
gets there, and all goes through `dav.proxy`, as if a WebDAV client had asked.
"""

import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import RawIOBase
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.dav import backend, properties, proxy
from gateway.dav.client import Send, collect
from gateway.dav.documents import encode_propfind
from gateway.dav.locks import LockSeal
from gateway.dav.message import DavAnswer, DavRequest
from gateway.dav.target import Target, check_name, encode_path
from gateway.errors import (
    BackendFailed,
    Conflict,
    CredentialRefused,
    GatewayError,
    Malformed,
    NotFound,
    Refused,
    TooLarge,
)
from gateway.model import User
from gateway.sharing.storage import Storage
from gateway.sharing.visiting import Visiting, Way

_LONGEST_LISTING = 48 << 20
_MOST_ENTRIES = 50_000
_DEEPEST_ARCHIVE = 64
_MOST_ARCHIVED = 100_000
_ASKED = encode_propfind(
    (properties.RESOURCETYPE, properties.LENGTH, properties.MODIFIED, properties.TYPE)
)

Segments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """Something in a folder. Size in bytes, `modified_at` in seconds; None where unknown."""

    name: str
    folder: bool
    size: int | None = None
    modified_at: int | None = None
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: its Target, and the way there. `path` is below the storage or share."""

    path: Segments
    target: Target
    send: Send

    @property
    def writable(self) -> bool:
        """Whether something may be changed here."""
        return self.target.writable


class Files:
    """What a person does with files, in the own storage and in received shares."""

    def __init__(self, storage: Storage, visiting: Visiting, seal: LockSeal) -> None:
        self._storage = storage
        self._visiting = visiting
        self._seal = seal

    def own(self, user: User, path: Segments) -> Place:
        """A place in the user's own storage. NotFound for a user without one."""
        target = self._storage.target(
            user.name, (), path, mount=(), scope=f"pages:{user.name}", label="", writable=True
        )
        return Place(path, target, self._storage.send)

    async def received(self, user: User, folder: str, path: Segments) -> Place:
        """A place in a share that the user accepted. Raises what `Visiting.open` does.

        It is looked at here, so that a worn credential is replaced before anything is sent.
        """
        way: Way | None = await self._visiting.open(user, folder, path)
        while way:
            place = Place(path, way.target, way.send)
            try:
                async with self._ask("PROPFIND", place, depth="0"):
                    await self._visiting.saw(way, 207)
                return place
            except CredentialRefused as error:
                worn, refused = way, error
                way = await self._visiting.another(way)
            except NotFound:
                await self._visiting.saw(way, 404)
                raise
        await self._visiting.saw(worn, 401)
        raise refused

    async def _find(self, place: Place, *, depth: str) -> tuple[Item, list[Item]]:
        async with self._ask("PROPFIND", place, depth=depth) as answer:
            try:
                body = await _body(answer, _LONGEST_LISTING)
            except TooLarge:
                raise BackendFailed("the folder is too large to be listed here") from None
        own = encode_path(place.target.mount + place.target.rel)
        return _parse(body, own, place.path[-1] if place.path else place.target.label)

    async def list(self, place: Place) -> tuple[Item, list[Item]]:
        """What is at a place, and, of a folder, what is in it: folders first, then by name.

        Raises NotFound, BackendFailed for a broken answer or too large a folder, and what the
        storage or the other server fails with.
        """
        here, inside = await self._find(place, depth="1")
        inside.sort(key=lambda item: (not item.folder, item.name.casefold(), item.name))
        return here, inside

    async def look(self, place: Place) -> Item:
        """What is at a place. Raises what `list` does."""
        here, _ = await self._find(place, depth="0")
        return here

    @asynccontextmanager
    async def read(
        self, place: Place, *, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> AsyncIterator[DavAnswer]:
        """The content of a file; `headers` may hold Range and conditions of the client."""
        async with self._ask(method, place, headers=headers, passing=(304, 412, 416)) as answer:
            yield answer

    async def write(
        self, place: Place, content: AsyncIterator[bytes], length: int | None, *, new: bool
    ) -> None:
        """Put a file there; `new` raises Conflict where there is one already."""
        headers = {"If-None-Match": "*"} if new else {}
        async with self._ask("PUT", place, headers=headers, body=content, length=length):
            pass

    async def make_folder(self, place: Place) -> None:
        """Make a folder. Raises Conflict where something is already."""
        async with self._ask("MKCOL", place):
            pass

    async def delete(self, place: Place) -> None:
        """Delete a file, or a folder with everything in it."""
        async with self._ask("DELETE", place):
            pass

    async def rename(self, place: Place, name: str) -> None:
        """Give what is there another name in its folder. Raises Conflict where it is taken."""
        check_name(name)
        if not place.path or not name:
            raise Malformed("the top folder cannot be renamed")
        goal = place.target.origin + encode_path(
            place.target.mount + place.target.rel[:-1] + (name,)
        )
        async with self._ask("MOVE", place, headers={"Destination": goal, "Overwrite": "F"}):
            pass

    async def archive(self, place: Place) -> AsyncIterator[bytes]:
        """A folder with everything in it as a ZIP archive, made while it is sent.

        Files are stored, not compressed: most are compressed already. What cannot be read when its
        turn comes ends the archive with an error, so that no part is taken for the whole.
        """
        sink = _Sink()
        count = 0
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            pending: list[Segments] = [()]
            while pending:
                below = pending.pop()
                _, items = await self.list(below_of(place, below))
                for item in items:
                    count += 1
                    if count > _MOST_ARCHIVED or len(below) > _DEEPEST_ARCHIVE:
                        raise TooLarge("the folder is too large for an archive")
                    rel = (*below, item.name)
                    info = zipfile.ZipInfo("/".join(rel) + ("/" if item.folder else ""))
                    info.external_attr = (0o40755 << 16 | 0x10) if item.folder else 0o100644 << 16
                    if item.folder:
                        archive.writestr(info, b"")
                        pending.append(rel)
                    else:
                        async for _ in self._pack(archive, info, below_of(place, rel)):
                            yield sink.taken()
                    yield sink.taken()
        yield sink.taken()

    async def _pack(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Place
    ) -> AsyncIterator[None]:
        async with self.read(place) as answer:
            with archive.open(info, "w", force_zip64=True) as packed:
                async for chunk in _chunks(answer):
                    packed.write(chunk)
                    yield

    @asynccontextmanager
    async def _ask(
        self,
        method: str,
        place: Place,
        *,
        depth: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
        length: int | None = None,
        passing: tuple[int, ...] = (),
    ) -> AsyncIterator[DavAnswer]:
        sent: CIMultiDict[str] = CIMultiDict(headers or {})
        if depth is not None:
            sent["Depth"] = depth
            sent["Content-Type"] = "application/xml; charset=utf-8"
            body, length = _once(_ASKED), len(_ASKED)
        request = DavRequest(method, CIMultiDictProxy(sent), body, length)
        async with proxy.forward(request, place.target, place.send, self._seal) as answer:
            if answer.status >= 300 and answer.status not in passing:
                raise _refusal(answer.status)
            yield answer


def below_of(place: Place, rel: Segments) -> Place:
    """A place below another."""
    target = replace(place.target, rel=place.target.rel + rel)
    return Place(place.path + rel, target, place.send)


def _refusal(status: int) -> GatewayError:
    match status:
        case 404 | 410:
            return NotFound("there is no such file or folder")
        case 405 | 409 | 412:
            return Conflict("something of that name is there already, or its folder is not")
        case 403 | 401:
            return Refused("the storage does not allow that")
        case 423:
            return Conflict("somebody else has locked it just now")
        case 413:
            return TooLarge("the storage does not take files of that size")
        case 507:
            return BackendFailed("the storage has no room left")
    return BackendFailed("the storage did not do it", detail=f"status {status}")


class _Sink(RawIOBase):
    """Where the archive is written to, and taken from in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Keep it until it is taken."""
        before = len(self._held)
        self._held += data
        return len(self._held) - before

    def taken(self) -> bytes:
        """What has come since the last time."""
        data = bytes(self._held)
        self._held.clear()
        return data


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _chunks(answer: DavAnswer) -> AsyncIterator[bytes]:
    if isinstance(answer.body, bytes):
        yield answer.body
    else:
        async for chunk in answer.body:
            yield chunk


async def _body(answer: DavAnswer, limit: int) -> bytes:
    return await collect(_chunks(answer), limit)


def _parse(body: bytes, own: str, label: str) -> tuple[Item, list[Item]]:
    here = Item(label, folder=True)
    inside: list[Item] = []
    for response in backend.parse_multistatus(body):
        href = (response.findtext("{DAV:}href") or "").rstrip("/")
        if href == own:
            here = _item(label, response)
        elif len(inside) < _MOST_ENTRIES:
            inside.append(_item(unquote(href.rpartition("/")[2]), response))
        else:
            raise BackendFailed("the folder is too large to be listed here")
    return here, inside


def _item(name: str, response: Element) -> Item:
    texts, folder = backend.facts_of(response)
    stat = backend.stat_of(texts, collection=folder)
    kind = "" if folder else texts.get("{DAV:}getcontenttype", "")
    return Item(name, folder, stat.size, stat.modified_at, kind)
