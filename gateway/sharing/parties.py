"""Local users: who somebody is, and whether somebody exists. One source answers both."""

import hmac
import secrets

from cachetools import TTLCache

from gateway import config
from gateway.errors import BackendFailed, NotFound
from gateway.model import User
from gateway.sharing.credentials import basic, basic_pair, proves
from gateway.sharing.storage import Storage

_REMEMBERED_SECONDS = 60
_CHECKED_SECONDS = 600


class Parties:
    """The local users of one source: the storage's login, a trusted header, or a list."""

    def __init__(self, settings: config.Users, storage: Storage, *, per_user: bool) -> None:
        """`per_user` says that each user has a storage root, so the storage knows who exists."""
        self._settings = settings
        self._storage = storage
        self._per_user = per_user
        self._listed = {user.name: user for user in settings.list}
        # Keyed by a hash under a key that lives as long as this process: no password is kept.
        self._hash_key = secrets.token_bytes(32)
        self._logged_in: TTLCache[bytes, User] = TTLCache(5000, _REMEMBERED_SECONDS)
        self._checks_passwords: TTLCache[str, bool] = TTLCache(1000, _CHECKED_SECONDS)

    @property
    def header(self) -> str | None:
        """The header that names the user, where a proxy in front sets it."""
        by_header = self._settings.source is config.UserSource.HEADER
        return self._settings.header if by_header else None

    async def find(self, name: str) -> User | None:
        """The local user of that name, to the letter, or None.

        Raises BackendFailed and its kin when the storage has to be asked and does not answer.
        """
        if listed := self._listed.get(name):
            return User(listed.name, listed.display_name, listed.email)
        if self._settings.source is config.UserSource.LIST or not self._per_user:
            return None
        try:
            stat = await self._storage.stat(name, ())
        except NotFound:
            return None
        return User(name) if stat.exists and stat.collection else None

    async def login(self, authorization: str) -> User | None:
        """The user whose Basic credentials these are, or None (RFC 7617)."""
        remembered = self._hash(authorization)
        if user := self._logged_in.get(remembered):
            return user
        name, password = basic_pair(authorization)
        if not name or not password:
            return None
        match self._settings.source:
            case config.UserSource.LIST:
                user = self._login_from_list(name, password)
            case config.UserSource.STORAGE:
                user = await self._login_at_storage(name, password)
            case config.UserSource.HEADER:
                user = None
        if user:
            self._logged_in[remembered] = user
        return user

    def knows(self, authorization: str) -> bool:
        """Whether these credentials were right a moment ago, so that nobody is asked."""
        return self._hash(authorization) in self._logged_in

    def _hash(self, authorization: str) -> bytes:
        given = authorization.encode(errors="surrogateescape")
        return hmac.digest(self._hash_key, given, "sha256")

    def _login_from_list(self, name: str, password: str) -> User | None:
        listed = self._listed.get(name)
        written = (listed.password, listed.password_file) if listed else ("", None)
        if not proves(password, *written):
            return None
        return User(listed.name, listed.display_name, listed.email) if listed else None

    async def _login_at_storage(self, name: str, password: str) -> User | None:
        try:
            if not await self._storage.opens(name, basic(name, password)):
                return None
            await self._expect_passwords_checked(name)
        except NotFound:
            return None
        return User(name)

    async def _expect_passwords_checked(self, name: str) -> None:
        """A storage that lets everybody in must not make everybody a user here."""
        if name not in self._checks_passwords:
            wrong = basic(name, secrets.token_urlsafe(24))
            self._checks_passwords[name] = not await self._storage.opens(name, wrong)
        if not self._checks_passwords[name]:
            raise BackendFailed("the storage takes any password, so it cannot tell who you are")
