"""What somebody wants to be told of."""

from aiohttp import web

from gateway.errors import Malformed
from gateway.sharing.news import Newsroom
from gateway.web.languages import N_
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def settings(pages: Pages, newsroom: Newsroom) -> Routes:
    """/settings: mail about shares, or none, and the language."""

    async def get_settings(view: View) -> web.StreamResponse:
        user = view.user.name
        return view.render(
            "settings.html",
            wishes=await newsroom.wishes(user),
            address=await newsroom.address(user),
        )

    async def post_settings(view: View) -> web.StreamResponse:
        language = view.field("language")
        try:
            await newsroom.wish(
                view.user.name, by_mail=bool(view.field("mail")), language=language or None
            )
        except Malformed as error:
            view.say(view.told(error), "failed")
            return view.redirect("/settings")
        view.say(view.gettext("It is kept."))
        return pages.choose_language(language, view.redirect("/settings"))

    return pages.routes(
        Page(
            "/settings",
            "page.settings",
            get=get_settings,
            post=post_settings,
            menu=N_("Settings"),
        )
    )
