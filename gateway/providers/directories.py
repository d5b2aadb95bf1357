"""Directory Services (draft 03, 18): the servers of federations, as their operators publish them.

Fetched in the background, by one process of several. A list counts when it is signed by a key that
was pinned offline; a list that is refused, or does not come, leaves the last good one in place,
also over a restart. What is kept is verified again when it is loaded, so that a key taken out of
the configuration opens nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from yarl import URL

from gateway import config, metrics
from gateway.errors import BadSignature, GatewayError, Malformed, NotFound, ProviderFailed
from gateway.logs import event
from gateway.model import Authority
from gateway.ocm import directory, json
from gateway.ocm.directory import Directory, DirectoryServer
from gateway.store import directories
from gateway.store.database import Database
from gateway.transport import Guarded, server_of

_LOOK_SECONDS = 20
"""How long another process's refresh may go unseen."""
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """A Directory Service and what is known of it; `error` is what the last try failed at."""

    name: str
    url: str
    signed: bool
    federation: str
    servers: tuple[DirectoryServer, ...]
    fetched_at: int | None
    tried_at: int | None
    error: str


@dataclass(frozen=True, slots=True)
class _Service:
    """One Directory Service as configured, its keys read."""

    name: str
    url: str
    keys: tuple[str | dict[str, object], ...]
    unsigned: bool

    def read(self, document: bytes) -> Directory:
        """The list in a document; Malformed, BadSignature."""
        if self.unsigned:
            return directory.parse_unsigned(document)
        return directory.parse_directory(document, self.keys)


class Directories:
    """The lists of all configured Directory Services."""

    def __init__(
        self,
        settings: config.Directories,
        guarded: Guarded,
        database: Database,
        clock: Callable[[], int],
    ) -> None:
        """`guarded` admits every host: a directory need not be one we federate with.

        Raises Malformed for keys that cannot be used.
        """
        self._services = {one.name: _service(one) for one in settings.services}
        self._pause_seconds = settings.refresh_minutes * 60
        self._guarded = guarded
        self._database = database
        self._clock = clock
        self._lists: dict[str, tuple[int, Directory]] = {}

    async def work(self) -> None:
        """Keep the lists fresh, until cancelled."""
        while self._services:
            try:
                await self.load()
                for service in self._services.values():
                    if await self._due(service, self._pause_seconds):
                        await self._refresh(service)
            except GatewayError as error:
                event("directory.stalled", level="error", error=error.explanation)
            await asyncio.sleep(_LOOK_SECONDS)

    async def load(self) -> None:
        """Take up what was kept, by this process or another."""
        for service in self._services.values():
            fetched_at = await self._database.read(partial(directories.fetched, name=service.name))
            held = self._lists.get(service.name)
            if fetched_at is not None and (held is None or held[0] != fetched_at):
                await self._load(service)

    async def _load(self, service: _Service) -> None:
        kept = await self._database.read(partial(directories.find, name=service.name))
        if kept is None or kept.fetched_at is None or kept.url != service.url:
            return
        try:
            self._lists[service.name] = kept.fetched_at, service.read(kept.document.encode())
        except (Malformed, BadSignature) as error:
            self._lists.pop(service.name, None)
            event(
                "directory.unusable",
                level="warning",
                directory=service.name,
                error=error.explanation,
            )

    async def refresh(self, name: str | None = None) -> list[DirectoryState]:
        """Fetch one list, or all, now; how they stand then. NotFound for an unknown name."""
        if name is not None and name not in self._services:
            raise NotFound(f"there is no directory {name}")
        await self.load()
        for service in self._services.values():
            if name in (None, service.name):
                await self._due(service, 0)
                await self._refresh(service)
        return [one for one in await self.states() if name in (None, one.name)]

    async def states(self) -> list[DirectoryState]:
        """Every directory as it stands."""
        await self.load()
        return [await self._state(service) for service in self._services.values()]

    async def _state(self, service: _Service) -> DirectoryState:
        kept = await self._database.read(partial(directories.find, name=service.name))
        found = self._lists.get(service.name)
        return DirectoryState(
            name=service.name,
            url=service.url,
            signed=not service.unsigned,
            federation=found[1].federation if found else "",
            servers=self._usable(found[1]) if found else (),
            fetched_at=found[0] if found else None,
            tried_at=kept.tried_at if kept else None,
            error=kept.error if kept else "",
        )

    def servers(self) -> list[DirectoryServer]:
        """The union of all lists, each server once, in the order of the configuration."""
        union: dict[Authority, DirectoryServer] = {}
        for name in self._services:
            for server in self._members(name):
                union.setdefault(server.authority, server)
        return list(union.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Of the directories that are configured."""
        return tuple(self._services)

    def marks(self) -> tuple[tuple[str, int], ...]:
        """Another value after each list that was taken up."""
        return tuple((name, fetched_at) for name, (fetched_at, _) in self._lists.items())

    def authorities(self, name: str) -> frozenset[Authority]:
        """The servers of one directory; none while nothing is known of it."""
        return frozenset(server.authority for server in self._members(name))

    def _members(self, name: str) -> tuple[DirectoryServer, ...]:
        found = self._lists.get(name)
        return self._usable(found[1]) if found else ()

    def _usable(self, found: Directory) -> tuple[DirectoryServer, ...]:
        """Plain http is for testing alone (draft 03, 18)."""
        return tuple(
            server
            for server in found.servers
            if URL(server.url, encoded=True).scheme in self._guarded.schemes(server.authority)
        )

    async def _due(self, service: _Service, pause_seconds: int) -> bool:
        claim = partial(
            directories.claim,
            name=service.name,
            url=service.url,
            now=self._clock(),
            pause_seconds=pause_seconds,
        )
        return await self._database.write(claim)

    async def _refresh(self, service: _Service) -> None:
        try:
            document = await self._fetch(service)
            found = service.read(document)
        except GatewayError as error:
            refused = isinstance(error, Malformed | BadSignature)
            result = "refused" if refused else "failed"
            metrics.directory_refreshes.labels(directory=service.name, result=result).inc()
            event(
                f"directory.{result}",
                level="warning",
                directory=service.name,
                error=error.explanation,
            )
            await self._database.write(
                partial(directories.fail, name=service.name, error=error.explanation)
            )
            return
        now = self._clock()
        await self._database.write(
            partial(directories.keep, name=service.name, document=document.decode(), now=now)
        )
        self._lists[service.name] = now, found
        metrics.directory_refreshes.labels(directory=service.name, result="ok").inc()
        event("directory.refreshed", directory=service.name, servers=len(found.servers))

    async def _fetch(self, service: _Service) -> bytes:
        """An anonymous GET; redirects are not followed."""
        async with self._guarded.request(
            server_of(service.url),
            "GET",
            service.url,
            headers={"Accept": "application/jose+json, application/jose, application/json"},
            total_seconds=_SECONDS,
        ) as answer:
            if answer.status != 200:
                raise ProviderFailed(f"the directory answered {answer.status}")
            document = await answer.read(directory.MOST_BYTES)
        try:
            document.decode()
        except UnicodeDecodeError as error:
            raise Malformed("the directory is not text") from error
        return document


def _service(settings: config.DirectoryService) -> _Service:
    keys = tuple(read_key(file) for file in settings.key_files)
    for key in keys:
        directory.pin(key)
    return _Service(settings.name, settings.url, keys, settings.unsigned)


def read_key(file: Path) -> str | dict[str, object]:
    """A key as PEM text or as a JWK. Raises Malformed when the file cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"the key {file} cannot be read", detail=str(error)) from error
    return json.load_object(text.encode()) if text.lstrip().startswith("{") else text
