"""Logging in and out: by the password that the source of users knows, at an OpenID provider, or by
a proxy in front that names the user."""

from aiohttp import web

from gateway import metrics
from gateway.config import Config
from gateway.errors import NotFound, Refused, TooMany
from gateway.logs import event
from gateway.model import LoginMethod, User
from gateway.rates import Rates
from gateway.sharing.credentials import basic
from gateway.sharing.news import Newsroom
from gateway.sharing.parties import Parties
from gateway.web.middleware import visit_of
from gateway.web.oidc import ATTEMPT_SECONDS, Oidc
from gateway.web.requests import from_own_site
from gateway.web.routes import Routes
from gateway.web.trail import Trail
from gateway.web.views import FROM_COOKIE, TO_COOKIE, Page, Pages, View

_LONGEST = 1024


def own_path(text: str) -> str:
    """A place of ours to go on to: `text` where it is a path on this server, else the front page.

    Browsers read `//host`, and `/` followed by a backslash, as another server, and drop control
    characters first.
    """
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if plain and len(text) <= _LONGEST * 2 and "\\" not in text else "/"


class Login:
    """The pages for logging in and out."""

    def __init__(
        self,
        settings: Config,
        pages: Pages,
        parties: Parties,
        rates: Rates,
        trail: Trail,
        newsroom: Newsroom,
        oidc: Oidc | None,
    ) -> None:
        self._trail = trail
        self._newsroom = newsroom
        self._pages = pages
        self._sessions = pages.sessions
        self._parties = parties
        self._rates = rates
        self._oidc = oidc
        pages.steps_up = oidc is not None and settings.proves_mfa
        self._by_password = settings.login.password and parties.header is None

    def routes(self) -> Routes:
        """Log in, log out, log out everywhere, and where one is logged in."""
        return self._pages.routes(
            Page("/login", "page.login", get=self.get_login, post=self.post_login, public=True),
            Page("/login/oidc", "page.login", get=self.get_oidc, public=True),
            Page("/login/oidc/back", "page.login", get=self.get_back, public=True),
            Page("/logout", "page.logout", post=self.post_logout, public=True),
            Page("/language", "page.language", get=self.get_language, public=True),
            Page("/sessions", "page.sessions", get=self.get_sessions, post=self.post_sessions),
        )

    async def get_login(self, view: View) -> web.StreamResponse:
        """The form, or onwards for somebody who is logged in."""
        if view.found:
            return self._onwards(view, view.query("next"))
        return self._form(view, view.query("next"), 200)

    async def post_login(self, view: View) -> web.StreamResponse:
        """Try a name and a password. What is wrong with them is not said."""
        name, password = view.field("name"), next(iter(view.form.get("password", [])), "")
        if not self._by_password:
            return self._form(view, view.field("next"), 404)
        address, network = visit_of(view.request).address, visit_of(view.request).network
        tried = (("login", network), ("name", name))
        try:
            await self._rates.check(*tried)
        except TooMany as error:
            view.say(view.gettext("Too many attempts; try again in a minute."), "failed")
            response = self._form(view, view.field("next"), error.status)
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        usable = ":" not in name and len(name) + len(password) <= _LONGEST
        user = await self._parties.login(basic(name, password)) if usable else None
        if user is None:
            await self._rates.guessed(*tried)
            event("login.failed", level="warning", address=address)
            metrics.logins.labels(LoginMethod.PASSWORD.value, "refused").inc()
            self._trail.refused(name, f"wrong password, {address}")
            view.say(view.gettext("Name or password is wrong."), "failed")
            return self._form(view, view.field("next"), 401)
        view.visitor = await self._sessions.begin(
            view.request, view.visitor, user, LoginMethod.PASSWORD
        )
        await self._newsroom.meet(user.name, view.language)
        event("login", user=user.name, method=LoginMethod.PASSWORD)
        metrics.logins.labels(LoginMethod.PASSWORD.value, "ok").inc()
        self._trail.came(user.name, LoginMethod.PASSWORD)
        response = self._onwards(view, view.field("next"))
        self._sessions.remember(response, view.visitor)
        return response

    async def get_oidc(self, view: View) -> web.StreamResponse:
        """Off to the OpenID provider; `step` asks for several factors."""
        if self._oidc is None:
            raise NotFound("there is nothing here")
        after = own_path(view.query("next"))
        place, sealed = await self._oidc.start(after, step_up=bool(view.query("step")))
        response = web.Response(status=302, headers={"Location": place})
        self._sessions.lend(response, "oidc", sealed.translate(TO_COOKIE), ATTEMPT_SECONDS)
        return response

    async def get_back(self, view: View) -> web.StreamResponse:
        """Back from the OpenID provider, with a code or an error."""
        if self._oidc is None:
            raise NotFound("there is nothing here")
        sealed = self._sessions.lent(view.request, "oidc").translate(FROM_COOKIE)
        attempt = self._oidc.attempt(sealed, view.query("state"))
        if not view.query("code"):
            view.say(view.gettext("You were not logged in."), "failed")
            return self._form(view, attempt.after, 401)
        proven = await self._oidc.finish(attempt, view.query("code"))
        user = await self._parties.find(proven.name)
        if user is None:
            self._trail.refused(proven.name, "no account here")
            metrics.logins.labels(LoginMethod.OIDC.value, "refused").inc()
            raise Refused("you have no account here")
        view.visitor = await self._sessions.begin(
            view.request,
            view.visitor,
            User(user.name, user.display_name or proven.display_name, user.email),
            LoginMethod.OIDC,
            acr=proven.acr,
            amr=proven.amr,
        )
        await self._newsroom.meet(user.name, view.language)
        event("login", user=user.name, method=LoginMethod.OIDC)
        metrics.logins.labels(LoginMethod.OIDC.value, "ok").inc()
        self._trail.came(user.name, LoginMethod.OIDC)
        response = self._onwards(view, attempt.after)
        self._sessions.remember(response, view.visitor)
        self._sessions.lend(response, "oidc", "", None)
        return response

    async def post_logout(self, view: View) -> web.StreamResponse:
        """Log this browser out, or every one of this user."""
        if view.found and view.field("everywhere"):
            await self._sessions.end_all(view.found)
            self._trail.left(view.found.name, "everywhere")
        elif view.visitor.session:
            await self._sessions.end(view.visitor.session)
            self._trail.left(view.visitor.session.user)
        view.say(view.gettext("You are logged out."))
        response = view.redirect("/login")
        self._sessions.forget(response)
        return response

    async def get_sessions(self, view: View) -> web.StreamResponse:
        """Where one is logged in."""
        return view.render("sessions.html", sessions=await self._sessions.all(view.user))

    async def post_sessions(self, view: View) -> web.StreamResponse:
        """End one of one's own sessions."""
        for session in await self._sessions.all(view.user):
            if session.id == view.field("session"):
                await self._sessions.end(session)
                self._trail.left(view.user.name, "another browser")
                view.say(view.gettext("That browser is logged out."))
        return view.redirect("/sessions")

    async def get_language(self, view: View) -> web.StreamResponse:
        """Choose a language: of the pages, and of what somebody who is logged in is told."""
        response, code = self._onwards(view, view.query("next")), view.query("to")
        if not self._pages.speaks(code):
            return response
        if view.found and from_own_site(view.request):
            await self._newsroom.wish(view.found.name, language=code)
        return self._pages.choose_language(code, response)

    def _form(self, view: View, after: str, status: int) -> web.Response:
        return view.render(
            "login.html",
            status,
            after=own_path(after),
            name=view.field("name"),
            by_password=self._by_password,
            oidc=self._oidc,
            by_proxy=self._parties.header is not None,
        )

    def _onwards(self, view: View, after: str) -> web.Response:
        path = own_path(after)
        if path == "/":
            return view.redirect("/")
        return web.Response(status=303, headers={"Location": path})
