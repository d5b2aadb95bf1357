"""What the operator's pages share: how they look, who is there, their forms, what goes wrong.

A form is sent by an operator who is logged in, from a page of ours, with the token that it was made
with; `form` sees to all of it. One that says `once` is good for one act: sent again, it leads to
its page. A page that acts leads on with 303 to one that shows, which says what was done.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from gateway.config import Config, Misconfigured
from gateway.errors import Conflict, GatewayError, Malformed, TooLarge, Unavailable
from gateway.sharing.ours import Ours
from gateway.store import replays
from gateway.store.state import State
from gateway.web import shown
from gateway.web.languages import CATALOGUES, N_, Languages
from gateway.web.middleware import headers_of
from gateway.web.operators import Operators
from gateway.web.static import Static
from gateway.web.views import (
    FROM_COOKIE,
    HEADINGS,
    OTHERWISE,
    SECURITY,
    TEMPLATES,
    TO_COOKIE,
)

MOST_FORM_BYTES = 10 << 20
"""A form may bring a list of servers, encoded."""
_READ_SECONDS = 30
_FORM_SECONDS = 86_400
_SAID_SECONDS = 300
_MARK = web.RequestKey("form", str)
_MENU = (
    ("/", N_("Overview")),
    ("/servers", N_("Servers")),
    ("/policy", N_("Policy")),
    ("/review", N_("Held shares")),
    ("/decisions", N_("Decisions")),
    ("/outbox", N_("Outbox")),
    ("/audit", N_("Audit")),
    ("/keys", N_("Keys")),
    ("/configuration", N_("Configuration")),
)


PageFunction = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class OperatorPage:
    """One page: its path, which may have {parts}, and its functions."""

    path: str
    get: PageFunction
    post: PageFunction | None = None


class Repeated(Conflict):
    """A form was sent before."""


def unknown() -> Malformed:
    """For a form that does not say what to do, or something that its page does not do."""
    return Malformed("the form does not say what to do")


@dataclass(frozen=True, slots=True)
class Form:
    """What an operator sent; `gettext` is for what they are told, `told` for a message in it."""

    who: str
    fields: Mapping[str, object] = field(repr=False)
    gettext: Callable[[str], str] = field(default=str, repr=False)
    told: Callable[[str], str] = field(default=str, repr=False)

    def expect_sure(self) -> None:
        """Malformed unless it says that somebody is sure."""
        if self.text("sure") != "yes":
            raise Malformed("nothing was done: please confirm that you are sure")

    def text(self, name: str) -> str:
        """A field without blanks around it, empty when it is not there."""
        value = self.fields.get(name)
        return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""

    def file(self, name: str) -> tuple[str, bytes]:
        """A file's name and content; both empty when none was chosen."""
        value = self.fields.get(name)
        if not isinstance(value, web.FileField):
            return "", b""
        return value.filename, value.file.read()


class Frame:
    """The frame of every page."""

    def __init__(
        self,
        settings: Config,
        ours: Ours,
        operators: Operators,
        state: State,
        clock: Callable[[], int],
    ) -> None:
        own = settings.pages.languages_folder
        self._languages = Languages((CATALOGUES, *((own,) if own else ())), settings.pages.language)
        self._operators = operators
        self._ours = ours
        self._state = state
        self._clock = clock
        # Ports share cookies.
        self._cookie = f"ocm-said-{settings.management.listen.rpartition(':')[2]}"
        self._static = Static("")
        self._environments = {code: self._environment(code) for code, _ in self._languages.names}

    async def page(
        self, request: web.Request, name: str, here: str, /, *, status: int = 200, **values: object
    ) -> web.Response:
        """A page from its template; `here` is its place in the menu. Raises Unauthorized."""
        said = self._said(request)
        who = await self._operators.find(request)
        response = self._page(request, who, name, here, status, {"said": said, **values})
        if said:
            response.del_cookie(self._cookie, path="/", httponly=True, samesite="Strict")
        return response

    def redirect(self, path: str, said: str = "", *, kind: str = "done") -> web.Response:
        """On to another page, after a form; that one tells what is `said`: done or failed."""
        response = web.Response(status=303, headers={"Location": path})
        if said:
            sealed = self._state.vault.seal(json.dumps([kind, said[:500]]), self._cookie)
            response.set_cookie(
                self._cookie,
                sealed.translate(TO_COOKIE),
                path="/",
                httponly=True,
                samesite="Strict",
                max_age=_SAID_SECONDS,
            )
        return response

    def _said(self, request: web.Request) -> list[tuple[str, str]]:
        """What the page before has said; nothing for what is not ours."""
        sealed = request.cookies.get(self._cookie, "")
        try:
            kind, text = json.loads(
                self._state.vault.open(sealed.translate(FROM_COOKIE), self._cookie)
            )
        except (Unavailable, ValueError):
            return []
        return [(str(kind), str(text))]

    async def answer(self, request: web.Request, do: PageFunction) -> web.Response:
        """What a page answers. What goes wrong is a page; its form may be sent again then."""
        try:
            return await do(request)
        except Repeated:
            said = self._gettext(request)("That was sent already. This is what became of it.")
            return self.redirect(request.path, said)
        except GatewayError as error:
            if _MARK in request:
                await self._state.database.write(partial(replays.forget, signature=request[_MARK]))
            return self.failure(request, error)

    async def log_in(self, request: web.Request) -> web.Response:
        """Have the browser ask who it is, then go back to where one was."""
        await self._operators.log_in(request)
        there = request.query.get("next", "/")
        return self.redirect(there if there in dict(_MENU) else "/")

    async def form(self, request: web.Request) -> Form:
        """What an operator sent. Raises Refused, Unauthorized, Malformed, TooLarge and Repeated."""
        who = await self._operators.expect(request)
        try:
            async with asyncio.timeout(_READ_SECONDS):
                told = partial(self._languages.told, self._language(request))
                form = Form(who, await request.post(), self._gettext(request), told)
        except web.HTTPRequestEntityTooLarge as error:
            raise TooLarge(f"a request may have {MOST_FORM_BYTES} bytes") from error
        except (ValueError, LookupError, AssertionError, TimeoutError) as error:
            raise Malformed("this is not a form", detail=str(error)[:200]) from error
        self._operators.expect_own_form(request, form.text("csrf"))
        if once := form.text("once"):
            await self._expect_first(request, once)
        return form

    async def _expect_first(self, request: web.Request, once: str) -> None:
        mark = self._state.vault.fingerprint(f"form {once}")
        until = self._clock() + _FORM_SECONDS
        add = partial(replays.add, signature=mark, expires_at=until)
        if not await self._state.database.write(add):
            raise Repeated("this form was sent already")
        request[_MARK] = mark

    def _gettext(self, request: web.Request) -> Callable[[str], str]:
        return self._languages.catalogue(self._language(request)).ugettext

    def _language(self, request: web.Request) -> str:
        return self._languages.choose("", request.headers.get("Accept-Language", ""))

    def failure(self, request: web.Request, error: GatewayError) -> web.Response:
        """An error as a page, with what an operator may know of it."""
        values = {
            "error": error,
            "faults": error.faults if isinstance(error, Misconfigured) else [],
            "heading": HEADINGS.get(error.status, OTHERWISE),
            "to": request.path if request.method == "POST" else "/",
            "said": [],
        }
        at = request.path
        here = max((path for path, _ in _MENU if f"{at}/".startswith(f"{path}/")), default="/")
        response = self._page(request, "", "failed", here, error.status, values)
        headers_of(error, response)
        return response

    def _page(
        self,
        request: web.Request,
        who: str,
        name: str,
        here: str,
        status: int,
        values: Mapping[str, object],
    ) -> web.Response:
        code = self._language(request)
        frame = {
            "here": here,
            "who": who.removeprefix("operator "),
            "acting": self._operators.named,
            "csrf": self._operators.csrf(request) if who else "",
            "back": quote(here, safe="/"),
        }
        made = self._environments[code].get_template(f"operator/{name}.html")
        text = made.render({**frame, **values})
        return web.Response(status=status, text=text, content_type="text/html", headers=SECURITY)

    def _environment(self, code: str) -> Environment:
        made = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(default=True),
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        install = getattr(made, "install_gettext_translations")  # noqa: B009 - the extension's
        install(self._languages.catalogue(code), newstyle=True)
        made.globals |= {
            "ours": self._ours,
            "pages": _MENU,
            "language": code,
            "url": str,
            "static": self._static.address,
            "once": partial(secrets.token_urlsafe, 18),
            "told": partial(self._languages.told, code),
        }
        made.filters |= shown.filters(code) | {"told": made.globals["told"]}
        return made
