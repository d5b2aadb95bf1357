"""Whom a proxy in front names, and whether it says that they proved more than one factor."""

from aiohttp import web

from gateway.config import Config, UserSource
from gateway.model import User
from gateway.ocm.json import encodable
from gateway.web.middleware import within


class Named:
    """Reads the headers of `users.header` and `login.mfa.header`, from trusted proxies alone."""

    def __init__(self, settings: Config) -> None:
        self._header = settings.users.header
        self._trusted = settings.public.trusted_proxies
        self._mfa = settings.login.mfa

    def user(self, request: web.BaseRequest) -> User | None:
        """Who it is, or None."""
        name = request.headers.get(self._header, "")
        if not name or not encodable(name) or not within(request.remote or "", self._trusted):
            return None
        said = request.headers.get(self._mfa.header, "") if self._mfa.header else ""
        return User(name, strong=bool(said) and said in self._mfa.header_values)


def from_config(settings: Config) -> Named | None:
    """None where no proxy names the users."""
    return Named(settings) if settings.users.source is UserSource.HEADER else None
