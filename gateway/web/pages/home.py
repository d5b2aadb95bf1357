"""The front page: what this server is, for someone who typed its name into a browser."""

import aiohttp_jinja2
from aiohttp import web

from gateway.sharing.ours import Ours
from gateway.web.routes import Route

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def home(ours: Ours) -> Route:
    """The route of the front page."""

    async def get_home(request: web.Request) -> web.Response:
        response = aiohttp_jinja2.render_template("home.html", request, {"ours": ours})
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    return Route("page.home", {"GET": get_home})
