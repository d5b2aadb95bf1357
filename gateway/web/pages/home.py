"""The front page: what this server is, for someone who typed its name into a browser."""

from aiohttp import web

from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def home(pages: Pages) -> Routes:
    """The front page."""

    async def get_home(view: View) -> web.StreamResponse:
        return view.render("home.html")

    return pages.routes(Page("/", "page.home", get=get_home, public=True))
