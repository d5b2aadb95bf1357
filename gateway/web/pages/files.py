"""One's own files: look, upload, rename, delete, and share."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from gateway.errors import Conflict, GatewayError, Malformed, ProviderTimeout
from gateway.policy.running import MayGoOn
from gateway.sharing.files import Files, Item, Place, below_of
from gateway.web.bodies import Bodies
from gateway.web.languages import N_
from gateway.web.pages.content import send_archive, send_file, shown_as
from gateway.web.pages.listing import crumbs, part_of, path_of, query_of, search_of
from gateway.web.routes import Routes
from gateway.web.uploads import upload_of
from gateway.web.views import Page, Pages, View

LISTING_SECONDS = 15
"""How long a page waits for the listing of another server."""

Segments = tuple[str, ...]


def files(pages: Pages, store: Files, bodies: Bodies, upload_bytes: int | None) -> Routes:
    """The pages below /files."""

    async def own(view: View, path: Segments) -> Place:
        return store.own(view.user, path)

    tree = Tree(store, bodies, upload_bytes, "/files", own)
    return pages.routes(*tree.pages("page.files", N_("Files")))


@dataclass(frozen=True, slots=True)
class Tree:
    """The pages of a tree: a folder or file, its content, an archive of it, uploads into it.

    `at` is their path. `find` says where a path leads for the visitor. The parameter `share`, where
    an address has one, goes along; `admits` says of a share whether what runs may go on.
    """

    store: Files
    bodies: Bodies
    upload_bytes: int | None
    at: str
    find: Callable[[View, Segments], Awaitable[Place]]
    admits: MayGoOn | None = None

    @property
    def remote(self) -> bool:
        """Whether another server holds the files."""
        return self.admits is not None

    def pages(self, name: str, menu: str = "") -> tuple[Page, ...]:
        """The pages, with their name in the metrics."""
        return (
            Page(self.at, name, get=self.get_place, post=self.post_change, menu=menu),
            Page(f"{self.at}/content", f"{name}.content", get=self.get_content),
            Page(f"{self.at}/archive", f"{name}.archive", get=self.get_archive),
            Page(f"{self.at}/upload", f"{name}.upload", post=self.post_upload, uploads=True),
        )

    async def get_place(self, view: View) -> web.StreamResponse:
        """A folder, in parts if it is long, or a file."""
        path = path_of(view.query("path"))
        try:
            async with asyncio.timeout(LISTING_SECONDS if self.remote else None):
                place = await self.find(view, path)
                item, items = await self.store.list(place)
        except TimeoutError as error:
            raise ProviderTimeout("the other server took too long") from error
        if not item.folder:
            shown = shown_as(item.name, item.content_type)
            return self._show(view, "file.html", place, item, shown=shown)
        part = part_of(view, items)
        return self._show(view, "folder.html", place, item, part=part, q=search_of(view))

    async def post_change(self, view: View) -> web.StreamResponse:
        """Make a folder, rename or delete."""
        path = path_of(view.field("path"))
        place = await self.find(view, path)
        try:
            path = await self._change(view, place, view.field("do"), view.field("name"))
        except (Conflict, Malformed) as error:
            view.say(view.told(error), "failed")
        return view.redirect(self._here(view, path))

    async def get_content(self, view: View) -> web.StreamResponse:
        """A file, to be saved, or with `show` looked at in place."""
        path = path_of(view.query("path"))
        place = await self.find(view, path)
        kind = ""
        if view.query("show"):
            item = await self.store.look(place)
            kind = shown_as(item.name, item.content_type)
        with self._watched(view, place):
            return await send_file(view, self.store, place, self.bodies, content_type=kind)

    async def get_archive(self, view: View) -> web.StreamResponse:
        """A folder as an archive."""
        path = path_of(view.query("path"))
        place = await self.find(view, path)
        name = path[-1] if path else place.target.label or "files"
        with self._watched(view, place):
            return await send_archive(view, self.store, place, self.bodies, name)

    async def post_upload(self, view: View) -> web.StreamResponse:
        """A file from the browser into a folder."""
        async with upload_of(view.request, self.upload_bytes) as upload:
            view.take_in(upload.fields)
            path = path_of(view.field("path"))
            name = upload.name.replace("\\", "/").rpartition("/")[2]
            try:
                place = below_of(await self.find(view, path), _name(name))
                new = not view.field("replace")
                with self._watched(view, place):
                    await self.store.write(place, upload.content, None, new=new)
                view.say(view.gettext("%(name)s was uploaded.") % {"name": name})
            except GatewayError as error:
                view.say(f"{name}: {view.told(error)}", "failed")
        return view.redirect(self._here(view, path))

    def _watched(self, view: View, place: Place) -> AbstractContextManager[None]:
        """A transfer of a received share ends when its server is denied meanwhile."""
        if self.admits is None:
            return nullcontext()
        return self.bodies.of_share(view.request, place.target.scope, self.admits)

    async def _change(self, view: View, place: Place, what: str, name: str) -> Segments:
        """Do it; the path to show afterwards."""
        match what:
            case "folder":
                await self.store.make_folder(below_of(place, _name(name)))
                view.say(view.gettext("The folder %(name)s was made.") % {"name": name})
                return place.path
            case "rename":
                await self.store.rename(place, *_name(name))
                view.say(view.gettext("It is called %(name)s now.") % {"name": name})
            case "delete" if place.path:
                await self.store.delete(place)
                view.say(view.gettext("%(name)s was deleted.") % {"name": place.path[-1]})
            case _:
                raise Malformed("the form does not say what to do")
        return place.path[:-1]

    def _here(self, view: View, path: Segments) -> str:
        share = quote(view.query("share") or view.field("share"), safe="")
        begin = f"{self.at}?share={share}&" if share else f"{self.at}?"
        return f"{begin}path={query_of(path)}"

    def _show(
        self, view: View, template: str, place: Place, item: Item, **more: object
    ) -> web.Response:
        own = self.at == "/files"
        values: dict[str, object] = {
            "at": self.at,
            "share": view.query("share"),
            "path": place.path,
            "crumbs": crumbs(place.path),
            "top": view.gettext("Files") if own else place.target.label,
            "query_of": query_of,
            "writable": place.writable,
            "own": own,
            "item": item,
        }
        return view.render(template, 200, **values, **more)


def _name(text: str) -> tuple[str]:
    """The name of something in a folder. Raises Malformed."""
    path = path_of(text)
    if len(path) != 1 or path[0] != text:
        raise Malformed("a name is needed, without a slash")
    return (path[0],)
