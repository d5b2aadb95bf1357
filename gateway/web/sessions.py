"""Who sits at the browser: the session behind a cookie, or whom a proxy in front names.

A visitor carries one random token in a cookie, whether logged in or not. It is the key of the
session, kept as a hash, and what the CSRF token of every form is derived from. Logging in makes a
new one, so a token planted before is worth nothing after.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from sqlalchemy import Connection
from yarl import URL

from gateway.config import Config
from gateway.logs import STRONG
from gateway.model import LoginMethod, Session, User
from gateway.store import sessions
from gateway.store.state import State
from gateway.web.named import Named

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_TOUCH_SECONDS = 60
_LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page. `user` None: nobody that we know; `session` None: no session of ours.

    `csrf` goes into every form.
    """

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    user: User | None = None
    session: Session | None = None


class Sessions:
    """The visitors of the pages."""

    def __init__(
        self, settings: Config, state: State, clock: Callable[[], int], names: Named | None
    ) -> None:
        """`names` reads who it is where a proxy in front says so."""
        public = settings.public
        self._state = state
        self._clock = clock
        self._names = names
        self._mfa = settings.login.mfa
        self._idle_seconds = settings.login.idle_minutes * 60
        self._lifetime_seconds = settings.login.lifetime_hours * 3600
        origin = URL(public.origin)
        self._secure = origin.scheme == "https"
        self._path = settings.pages_path or "/"
        self._port = origin.port
        self._cookie = self._named("session")

    def _named(self, name: str) -> str:
        """A cookie's name. __Host- keeps other hosts from planting one; ports share cookies."""
        if not self._secure:
            return f"ocm-{name}-{self._port}"
        return f"{'__Host-' if self._path == '/' else '__Secure-'}ocm-{name}"

    async def visitor(self, request: web.BaseRequest) -> Visitor:
        """Who asks."""
        visitor = await self._visitor(request)
        STRONG.set(visitor.user.strong if visitor.user else None)
        return visitor

    async def _visitor(self, request: web.BaseRequest) -> Visitor:
        token = request.cookies.get(self._cookie, "")
        if not _TOKEN.fullmatch(token):
            return self._somebody(request, _new_token())
        if self._names:
            return self._somebody(request, token)
        session = await self._find(token)
        if session is None:
            return self._somebody(request, token)
        user = User(session.user, session.display_name, strong=session.strong)
        return Visitor(token, self._csrf(token), user, session)

    def _somebody(self, request: web.BaseRequest, token: str) -> Visitor:
        user = self._names.user(request) if self._names else None
        return Visitor(token, self._csrf(token), user)

    async def _find(self, token: str) -> Session | None:
        session_id = self._state.vault.fingerprint(token)
        session = await self._state.database.read(partial(sessions.find, session_id=session_id))
        now = self._clock()
        if session is None or not self._holds(session, now):
            return None
        if now - session.seen_at >= _TOUCH_SECONDS:
            touch = partial(sessions.touch, session_id=session_id, seen_at=now)
            await self._state.database.write(touch, on_disk=False)
        return session

    def _holds(self, session: Session, now: int) -> bool:
        return now < session.expires_at and now - session.seen_at < self._idle_seconds

    def _csrf(self, token: str) -> str:
        return self._state.vault.fingerprint(f"csrf {token}")

    async def begin(
        self,
        request: web.BaseRequest,
        before: Visitor,
        user: User,
        method: LoginMethod,
        *,
        acr: str = "",
        amr: tuple[str, ...] = (),
    ) -> Visitor:
        """Log somebody in under a new token; the session before ends."""
        token, now = _new_token(), self._clock()
        session = Session(
            id=self._state.vault.fingerprint(token),
            user=user.name,
            display_name=user.display_name,
            method=method,
            created_at=now,
            seen_at=now,
            expires_at=now + self._lifetime_seconds,
            strong=acr in self._mfa.acr or bool(set(amr) & set(self._mfa.amr)),
            acr=acr,
            amr=amr,
            agent=_printed(request.headers.get("User-Agent", ""))[:_LONGEST_AGENT],
        )

        def record(connection: Connection) -> None:
            if before.session:
                sessions.end(connection, before.session.id)
            sessions.add(connection, session)

        await self._state.database.write(record)
        named = User(user.name, user.display_name, user.email, session.strong)
        return Visitor(token, self._csrf(token), named, session)

    async def all(self, user: User) -> list[Session]:
        """Where a user is logged in."""
        found = await self._state.database.read(partial(sessions.of_user, user=user.name))
        return [session for session in found if self._holds(session, self._clock())]

    async def end(self, session: Session) -> None:
        """Log one browser out."""
        await self._state.database.write(partial(sessions.end, session_id=session.id))

    async def end_all(self, user: User) -> int:
        """Log a user out everywhere; how many sessions there were."""
        return await self._state.database.write(partial(sessions.end_all, user=user.name))

    def knows(self, request: web.BaseRequest, visitor: Visitor) -> bool:
        """Whether the browser has this token already."""
        return request.cookies.get(self._cookie, "") == visitor.token

    def remember(self, response: web.StreamResponse, visitor: Visitor) -> None:
        """Give the browser its token."""
        response.set_cookie(
            self._cookie,
            visitor.token,
            path=self._path,
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )

    def forget(self, response: web.StreamResponse) -> None:
        """Take the token away."""
        response.del_cookie(
            self._cookie, path=self._path, secure=self._secure, httponly=True, samesite="Lax"
        )

    def lend(
        self, response: web.StreamResponse, name: str, value: str, seconds: int | None
    ) -> None:
        """Give the browser another small cookie; an empty value takes it away."""
        response.set_cookie(
            self._named(name),
            value,
            path=self._path,
            secure=self._secure,
            httponly=True,
            samesite="Lax",
            max_age=seconds if value else 0,
        )

    def lent(self, request: web.BaseRequest, name: str) -> str:
        """The value of such a cookie; the browser may have made it up."""
        return request.cookies.get(self._named(name), "")


def _printed(text: str) -> str:
    """A header's text; bytes that are not UTF-8 became surrogates, which no database keeps."""
    return text.encode(errors="replace").decode()


def _new_token() -> str:
    return secrets.token_urlsafe(32)
