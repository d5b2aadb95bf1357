"""The front page: what this server is, for someone who typed its name into a browser."""

from aiohttp import web
from jinja2 import Environment

from gateway.sharing.ours import Ours
from gateway.web.routes import Route

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def home(ours: Ours, templates: Environment) -> Route:
    """The route of the front page."""
    page = templates.get_template("home.html").render(ours=ours)

    async def get_home(_: web.BaseRequest) -> web.Response:
        headers = {"Content-Security-Policy": _POLICY}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return Route("page.home", {"GET": get_home})
