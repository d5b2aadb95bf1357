"""What a page is made of. This is how one writes a page:

    def notes(pages: Pages, noting: Noting) -> Routes:
        async def get_notes(view: View) -> web.StreamResponse:
            return view.render("notes.html", notes=await noting.all(view.user.name))

        async def post_note(view: View) -> web.StreamResponse:
            await noting.add(view.user.name, view.field("text"))
            view.say(view.gettext("The note was kept."))
            return view.redirect("/notes")

        return pages.routes(
            Page("/notes", "page.notes", get=get_notes, post=post_note, menu=N_("Notes")),
        )

`app.py` adds its routes to the others. The template extends `base.html`, which has the blocks
`title` and `main`; a form is `<form method="post">{{ csrf_field() }} ...`. In templates there are
`user`, `view`, `url("/notes")`, `static("style.css")`, `_`, and the filters `when` (a time),
`bytes` (a size).

A page needs somebody who is logged in unless it is `public`; others are sent to the log-in and come
back. A post was checked for CSRF and its fields are parsed before the page sees it. What a page
raises becomes a page with the error's status. Paths are matched whole; what varies goes in the
query (`view.query("id")`). A redirect after a post never leaves this server: browsers hold
`form-action 'self'` against that; use a link.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import web
from babel.support import NullTranslations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from gateway.config import Config
from gateway.errors import GatewayError, Malformed, NeedsMfa, NotFound, Refused, Unavailable
from gateway.model import User
from gateway.rates import Rates
from gateway.sharing.ours import Ours
from gateway.store.vault import Vault
from gateway.web import shown
from gateway.web.languages import N_, languages
from gateway.web.middleware import Manner, visit_of
from gateway.web.requests import expect_own_site, read_body
from gateway.web.routes import Handler, Route, Routes
from gateway.web.sessions import Sessions, Visitor
from gateway.web.static import Static

TEMPLATES = Path(__file__).parent / "templates"
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # With no-referrer a browser would say `Origin: null` of our own forms.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Language, Cookie",
}
_FORM = "application/x-www-form-urlencoded"
_MOST_BYTES = 64 * 1024
_MOST_FIELDS = 500
_READ_SECONDS = 30
HEADINGS = {
    400: N_("That cannot be understood"),
    401: N_("Please log in"),
    403: N_("That is not allowed"),
    404: N_("There is nothing here"),
    409: N_("That is so already"),
    429: N_("Too many requests"),
    501: N_("This server does not do that"),
    502: N_("Another server did not answer as it should"),
    503: N_("This does not work now"),
    504: N_("Another server took too long"),
}
OTHERWISE = N_("That did not work")
"""What an error is called on a page, by its status."""
_LANGUAGE_SECONDS = 365 * 86_400
TO_COOKIE = str.maketrans("+/=", "-_.")
FROM_COOKIE = str.maketrans("-_.", "+/=")
"""What is sealed, in the letters that a cookie may have."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its path below the pages, its name in the metrics, and its functions.

    `public`: nobody has to be logged in. `menu`: its name in the menu of those who are; `badge`
    counts what waits there for a user of that name. `uploads`: its form brings a file, so the page
    reads the body by itself (`uploads.upload_of`) and calls `View.take_in` before it acts.
    """

    path: str
    name: str
    get: "PageFunction | None" = None
    post: "PageFunction | None" = None
    public: bool = False
    menu: str = ""
    badge: Callable[[str], Awaitable[int]] | None = None
    uploads: bool = False


@dataclass(slots=True, eq=False)
class View:
    """One visit to one page."""

    request: web.BaseRequest
    visitor: Visitor
    language: str
    here: str
    pages: "Pages" = field(repr=False)
    said: list[tuple[str, str]] = field(default_factory=list)
    form: dict[str, list[str]] = field(default_factory=dict, repr=False)
    badges: dict[str, int] = field(default_factory=dict)
    asks: bool = False

    @property
    def user(self) -> User:
        """Who is logged in; only for pages that are not public."""
        if self.visitor.user is None:
            raise Refused("you are not logged in")
        return self.visitor.user

    def csrf_field(self) -> Markup:
        """The field that every form needs; the browser is given the token that it goes with."""
        self.asks = True
        return Markup('<input type="hidden" name="csrf" value="{}">').format(self.visitor.csrf)

    @property
    def back(self) -> str:
        """The address of this page, to come back to."""
        return self.request.raw_path if self.request.method != "POST" else self.pages.url(self.here)

    @property
    def found(self) -> User | None:
        """Who is logged in, if anybody."""
        return self.visitor.user

    def field(self, name: str) -> str:
        """A field of the form without blanks around it, empty when it is not there."""
        return next(iter(self.form.get(name, [])), "").strip()

    def query(self, name: str) -> str:
        """A parameter of the address, empty when it is not there."""
        return self.request.query.get(name, "")

    def expect_own_form(self) -> None:
        """Refused unless the form carries this visitor's CSRF token."""
        if not hmac.compare_digest(self.field("csrf").encode(), self.visitor.csrf.encode()):
            raise Refused("this form is too old; go back, load the page again and repeat it")

    def take_in(self, fields: Mapping[str, str]) -> None:
        """The fields of a form that brings a file. Refused unless they are this visitor's own."""
        self.form |= {name: [value] for name, value in fields.items()}
        self.expect_own_form()

    def gettext(self, text: str) -> str:
        """A text in the language of the visitor; `view.gettext("...") % {...}` fills it."""
        return self.pages.catalogue(self.language).ugettext(text)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """A text that depends on a number."""
        return self.pages.catalogue(self.language).ungettext(one, many, number)

    def told(self, error: GatewayError) -> str:
        """What an error says, in the language of the visitor."""
        return self.pages.languages.told(self.language, error.message)

    def say(self, text: str, kind: str = "done") -> None:
        """Show a message once, on this page or the one that follows; kind is done or failed."""
        self.said.append((kind, text[:500]))

    def render(self, template: str, status: int = 200, **values: object) -> web.Response:
        """The page as the template makes it."""
        return self.pages.render(self, template, status, values)

    def fragment(self, template: str, **values: object) -> str:
        """A piece of a page, for a script of ours to put into it."""
        return self.pages.fragment(self, template, values)

    def redirect(self, path: str) -> web.Response:
        """To another of our pages (303), with what was said."""
        return web.Response(status=303, headers={"Location": self.pages.url(path)})


PageFunction = Callable[[View], Awaitable[web.StreamResponse]]


class Pages:
    """Everything that pages share."""

    def __init__(
        self, settings: Config, ours: Ours, vault: Vault, sessions: Sessions, rates: Rates
    ) -> None:
        self._prefix = settings.pages_path
        self._origin = ours.origin
        self._vault = vault
        self._rates = rates
        self.sessions = sessions
        self._static = Static(self._prefix)
        self.languages = languages(settings.pages)
        self.steps_up = False
        self._menu: list[Page] = []
        self._environments = {
            code: self._environment(ours, code) for code, _ in self.languages.names
        }

    def catalogue(self, code: str) -> NullTranslations:
        """The catalogue of a language."""
        return self.languages.catalogue(code)

    def url(self, path: str) -> str:
        """The address of a page; paths begin with a slash."""
        return self._prefix + path

    def static_routes(self) -> Routes:
        """The style sheets and scripts."""
        return self._static.routes()

    def routes(self, *pages: Page) -> Routes:
        """The routes of some pages."""
        self._menu += [page for page in pages if page.menu]
        return {self.url(page.path).rstrip("/") or "/": self._route(page) for page in pages}

    async def lost(self, request: web.BaseRequest) -> web.StreamResponse:
        """Somebody in a browser came to an address that is nobody's."""
        visit_of(request).manner = Manner.PAGE

        async def nothing(_: View) -> web.StreamResponse:
            raise NotFound("there is nothing here")

        return await self._handler(Page("/", "page.lost", public=True), nothing)(request)

    def _route(self, page: Page) -> Route:
        functions = {"GET": page.get, "POST": page.post}
        return Route(
            page.name,
            {method: self._handler(page, do) for method, do in functions.items() if do},
            Manner.PAGE,
        )

    def _handler(self, page: Page, do: PageFunction) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            view = self._open(request, page)
            visit_of(request).page = partial(self.failure, view)
            view.visitor = await self.sessions.visitor(request)
            if view.found:
                self._rates.count("user", view.found.name)
                view.badges = await self._count(view.found.name)
            view.said = self._told(request)
            heard = bool(view.said)
            if request.method == "POST":
                expect_own_site(request, self._origin)
                if not page.uploads:
                    await self._take_form(view)
            if view.found is None and not page.public:
                return view.redirect(f"/login?next={quote(view.back, safe='')}")
            response = await do(view)
            self._finish(view, response, heard=heard)
            return response

        return handle

    async def _count(self, name: str) -> dict[str, int]:
        """How many things wait for a user, by the path of the page in the menu."""
        return {page.path: await page.badge(name) for page in self._menu if page.badge}

    def _open(self, request: web.BaseRequest, page: Page) -> View:
        chosen = self.sessions.lent(request, "language")
        language = self.languages.choose(chosen, request.headers.get("Accept-Language", ""))
        return View(request, Visitor("", ""), language, page.path, self)

    async def _take_form(self, view: View) -> None:
        """The fields of a post with its token (OWASP)."""
        request = view.request
        if request.content_type != _FORM:
            raise Malformed("this is not a form")
        body = await read_body(request, _MOST_BYTES, _READ_SECONDS)
        try:
            pairs = parse_qsl(
                body.decode("ascii"), True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except (UnicodeDecodeError, ValueError) as error:
            raise Malformed("this is not a form", detail=str(error)) from error
        for name, value in pairs:
            view.form.setdefault(name, []).append(value.replace("\r\n", "\n"))
        view.expect_own_form()

    def render(
        self, view: View, template: str, status: int, values: dict[str, object]
    ) -> web.Response:
        """A page as its template makes it."""
        text = self.fragment(view, template, values)
        view.said.clear()
        return web.Response(status=status, text=text, content_type="text/html")

    def fragment(self, view: View, template: str, values: dict[str, object]) -> str:
        """What a template makes of the visit and the values."""
        made = self._environments[view.language].get_template(template)
        ours = {
            "view": view,
            "user": view.found,
            "menu": self._menu,
            "csrf_field": view.csrf_field,
        }
        return made.render(ours | values)

    def _finish(self, view: View, response: web.StreamResponse, *, heard: bool) -> None:
        if response.prepared:
            return
        for name, value in SECURITY.items():
            response.headers.setdefault(name, value)
        if view.asks and not self.sessions.knows(view.request, view.visitor):
            self.sessions.remember(response, view.visitor)
        if view.said or heard:
            said = self._vault.seal(json.dumps(view.said), "said") if view.said else ""
            self.sessions.lend(response, "said", said.translate(TO_COOKIE), 300)

    def _told(self, request: web.BaseRequest) -> list[tuple[str, str]]:
        """What the page before has said; nothing for what is not ours."""
        sealed = self.sessions.lent(request, "said")
        try:
            said = json.loads(self._vault.open(sealed.translate(FROM_COOKIE), "said"))
            return [(str(kind), str(text)) for kind, text in said]
        except (Unavailable, ValueError):
            return []

    def speaks(self, code: str) -> bool:
        """Whether there are pages in that language."""
        return code in dict(self.languages.names)

    def choose_language(self, code: str, response: web.Response) -> web.Response:
        """Remember the language somebody chose."""
        if self.speaks(code):
            self.sessions.lend(response, "language", code, _LANGUAGE_SECONDS)
        return response

    def failure(self, view: View, error: GatewayError) -> web.Response:
        """An error as a page."""
        values = {
            "error": error,
            "step_up": self.steps_up and isinstance(error, NeedsMfa),
            "heading": view.gettext(HEADINGS.get(error.status, OTHERWISE)),
            "request_id": visit_of(view.request).id,
        }
        response = self.render(view, "error.html", error.status, values)
        self._finish(view, response, heard=False)
        return response

    def _environment(self, ours: Ours, code: str) -> Environment:
        made = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(default=True),
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        catalogue: Any = self.languages.catalogue(code)
        install: Any = getattr(made, "install_gettext_translations")  # noqa: B009 - the extension's
        install(catalogue, newstyle=True)
        made.globals |= {
            "ours": ours,
            "url": self.url,
            "static": self._static.address,
            "languages": self.languages.names,
            "told": partial(self.languages.told, code),
        }
        made.filters |= shown.filters(code)
        return made
