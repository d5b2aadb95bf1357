"""What the operator's pages share: how they look, who is there, their forms, what goes wrong.

A form is sent by an operator who is logged in, from a page of ours, with the token that it was made
with; `form` sees to all of it. A page that acts leads on with 303 to one that shows.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from gateway.config import Config, Misconfigured
from gateway.errors import GatewayError, Malformed, TooLarge
from gateway.sharing.ours import Ours
from gateway.web import shown
from gateway.web.languages import CATALOGUES, N_, Languages
from gateway.web.middleware import headers_of
from gateway.web.operators import Operators
from gateway.web.static import Static
from gateway.web.views import HEADINGS, OTHERWISE, SECURITY, TEMPLATES

MOST_FORM_BYTES = 10 << 20
"""A form may bring a list of servers, encoded."""
_READ_SECONDS = 30
_MENU = (
    ("/", N_("Overview")),
    ("/servers", N_("Servers")),
    ("/policy", N_("Policy")),
    ("/decisions", N_("Decisions")),
    ("/outbox", N_("Outbox")),
    ("/audit", N_("Audit")),
    ("/keys", N_("Keys")),
    ("/configuration", N_("Configuration")),
)


@dataclass(frozen=True, slots=True)
class Form:
    """What an operator sent."""

    who: str
    fields: Mapping[str, object] = field(repr=False)

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

    def __init__(self, settings: Config, ours: Ours, operators: Operators) -> None:
        own = settings.pages.languages_folder
        self._languages = Languages((CATALOGUES, *((own,) if own else ())), settings.pages.language)
        self._operators = operators
        self._ours = ours
        self._static = Static("")
        self._environments = {code: self._environment(code) for code, _ in self._languages.names}

    async def page(
        self, request: web.Request, name: str, here: str, /, *, status: int = 200, **values: object
    ) -> web.Response:
        """A page from its template; `here` is its place in the menu. Raises Unauthorized."""
        who = await self._operators.find(request)
        return self._page(request, who, name, here, status, values)

    async def lost(self, request: web.Request, here: str) -> web.Response:
        """There is no such thing; `here` leads back."""
        return await self.page(request, "lost", here, status=404)

    def redirect(self, path: str) -> web.Response:
        """On to another page, after a form."""
        return web.Response(status=303, headers={"Location": path})

    async def log_in(self, request: web.Request) -> web.Response:
        """Have the browser ask who it is, then go back to where one was."""
        await self._operators.log_in(request)
        there = request.query.get("next", "/")
        return self.redirect(there if there in dict(_MENU) else "/")

    async def form(self, request: web.Request) -> Form:
        """What an operator sent. Raises Refused, Unauthorized, Malformed and TooLarge."""
        who = await self._operators.expect(request)
        try:
            async with asyncio.timeout(_READ_SECONDS):
                form = Form(who, await request.post())
        except web.HTTPRequestEntityTooLarge as error:
            raise TooLarge(f"a request may have {MOST_FORM_BYTES} bytes") from error
        except (ValueError, LookupError, AssertionError, TimeoutError) as error:
            raise Malformed("this is not a form", detail=str(error)[:200]) from error
        self._operators.expect_own_form(request, form.text("csrf"))
        return form

    def failure(self, request: web.Request, error: GatewayError) -> web.Response:
        """An error as a page, with what an operator may know of it."""
        values = {
            "error": error,
            "faults": error.faults if isinstance(error, Misconfigured) else [],
            "heading": HEADINGS.get(error.status, OTHERWISE),
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
        code = self._languages.choose("", request.headers.get("Accept-Language", ""))
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
            "told": partial(self._languages.told, code),
        }
        made.filters |= shown.filters(code)
        return made
