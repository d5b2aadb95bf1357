"""Our storage: where each user's files lie in it, and with which credentials we go there."""

from functools import lru_cache
from pathlib import Path

from cachetools import LRUCache

from gateway import config
from gateway.dav import backend
from gateway.dav.backend import Stat
from gateway.dav.client import Send
from gateway.dav.target import Profile, Target, check_name
from gateway.errors import Malformed, NotFound, Unavailable
from gateway.sharing.credentials import basic
from gateway.upstream.way import Way

Segments = tuple[str, ...]


class Storage:
    """The one storage behind this gateway."""

    def __init__(self, settings: config.Storage, way: Way, origin: str) -> None:
        self._settings = settings
        self.way = way
        self._origin = origin
        self._secrets = _Secrets()
        self._profile = Profile(**dict(settings.quirks))
        self._template = tuple(part for part in settings.path.split("/") if part)

    @property
    def send(self) -> Send:
        """How requests get there."""
        return self.way.request

    def home(self, user: str) -> Segments:
        """Where a user's files begin. NotFound for a name that cannot be part of a path."""
        return _home(self._template, user)

    def authorization(self, user: str) -> str:
        """The Authorization header that opens that user's files; empty for an open storage.

        Files are read each time, since what they hold may change. Raises NotFound for a user
        without credentials, Unavailable when a file cannot be read.
        """
        credentials = self._settings.credentials
        match credentials.kind:
            case config.CredentialKind.BASIC:
                password = credentials.password or self._secrets.read(credentials.password_file)
                return basic(credentials.username, password)
            case config.CredentialKind.BEARER_FILE:
                return f"Bearer {self._secrets.read(credentials.token_file)}"
            case config.CredentialKind.PER_USER:
                return self._own(user)
        return ""

    def _own(self, user: str) -> str:
        self.home(user)  # a name that is no path segment names no file either
        folder = self._settings.credentials.folder
        file = folder / user if folder else None
        if file is None or user.startswith(".") or not file.is_file():
            raise NotFound("this user has no credentials for the storage")
        secret = self._secrets.read(file)
        return secret if secret.startswith("Bearer ") else basic(user, secret)

    def target(
        self,
        user: str,
        resource: Segments,
        rel: Segments,
        *,
        mount: Segments,
        scope: str,
        label: str,
        single_file: bool = False,
        writable: bool = False,
        reshare: bool = False,
    ) -> Target:
        """Where a request for a user's resource, or something below it, goes."""
        return Target(
            base=self._settings.url,
            root=self.home(user) + resource,
            rel=rel,
            mount=mount,
            origin=self._origin,
            authorization=self.authorization(user),
            scope=scope,
            single_file=single_file,
            writable=writable,
            reshare=reshare,
            label=label,
            profile=self._profile,
        )

    async def stat(self, user: str, resource: Segments) -> Stat:
        """What a user has at a path. Raises BackendFailed and its kin."""
        target = self.target(user, resource, (), mount=(), scope="", label="")
        return await backend.stat(self.send, target)

    async def opens(self, user: str, authorization: str) -> bool:
        """Whether the storage lets these credentials into the user's files."""
        return await backend.probe_login(
            self.send, self._settings.url, self.home(user), authorization
        )

    async def healthy(self) -> bool:
        """Whether the storage answers at all."""
        try:
            authorization = self.authorization("")
        except NotFound:
            authorization = ""
        return await backend.healthy(self.send, self._settings.url, authorization)


@lru_cache(4096)
def _home(template: Segments, user: str) -> Segments:
    if not user:  # else a script with an empty variable shares what is everybody's
        raise NotFound("there is no such user")
    try:
        check_name(user)
    except Malformed as error:
        raise NotFound("there is no such user", detail=error.message) from error
    return tuple(part.replace("{user}", user) for part in template)


class _Secrets:
    """What is written in files that may change: read again when they did."""

    def __init__(self) -> None:
        self._seen: LRUCache[Path, tuple[tuple[int, int, int], str]] = LRUCache(10_000)

    def read(self, file: Path | None) -> str:
        """The text of a file. Raises Unavailable when it cannot be read."""
        if file is None:
            raise Unavailable("the storage's credentials are not configured")
        try:
            found = file.stat()
            mark = (found.st_mtime_ns, found.st_size, found.st_ino)
            known = self._seen.get(file)
            if known is None or known[0] != mark:
                known = mark, file.read_text(encoding="utf-8").strip()
                self._seen[file] = known
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(
                "the storage's credentials cannot be read", detail=str(error), retry_after=30
            ) from error
        return known[1]
