"""What somebody wants to be told of."""

from aiohttp import web

from gateway.sharing.news import Newsroom
from gateway.web.languages import N_
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def settings(pages: Pages, newsroom: Newsroom) -> Routes:
    """/settings: mail about shares, or none."""

    async def get_settings(view: View) -> web.StreamResponse:
        user = view.user.name
        return view.render(
            "settings.html",
            by_mail=await newsroom.wants_mail(user),
            address=await newsroom.address(user),
        )

    async def post_settings(view: View) -> web.StreamResponse:
        await newsroom.wish(view.user.name, by_mail=bool(view.field("mail")))
        view.say(view.gettext("It is kept."))
        return view.redirect("/settings")

    return pages.routes(
        Page(
            "/settings",
            "page.settings",
            get=get_settings,
            post=post_settings,
            menu=N_("Settings"),
        )
    )
