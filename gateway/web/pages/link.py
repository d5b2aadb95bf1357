"""The page of a public link (draft 03, 4.2 and 4.3): what is shared, and a field for an address."""

from aiohttp import web

from gateway.errors import Malformed
from gateway.rates import Rates
from gateway.sharing.links import LINK_PATH, Links
from gateway.web.middleware import visit_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def link(pages: Pages, links: Links, rates: Rates) -> Routes:
    """The page for strangers who have a link."""

    async def show(view: View, token: str, status: int = 200, **more: object) -> web.Response:
        share = await links.share_of(token)
        return view.render(
            "link.html",
            status,
            share=share,
            owner=await links.owner_of(share),
            token=token,
            **({"typed": "", "asked": ""} | more),
        )

    async def get_link(view: View) -> web.StreamResponse:
        rates.count("wayf", visit_of(view.request).network)
        return await show(view, view.query("token"))

    async def post_link(view: View) -> web.StreamResponse:
        rates.count("link", visit_of(view.request).network)
        token, address = view.field("token"), view.field("address")
        try:
            await links.ask(token, address)
        except Malformed as error:
            view.say(view.told(error), "failed")
            return await show(view, token, error.status, typed=address)
        return await show(view, token, asked=address)

    return pages.routes(Page(LINK_PATH, "page.link", get=get_link, post=post_link, public=True))
