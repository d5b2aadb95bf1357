"""Giving a share other terms; its form stands on the page of the share."""

from aiohttp import web

from gateway.errors import GatewayError
from gateway.model import SentShare
from gateway.sharing.changing import Change, Changed, Changing
from gateway.sharing.sending import Sending
from gateway.web.pages.dates import date_of, end_of_day
from gateway.web.pages.share import rights_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def change(pages: Pages, changing: Changing, sending: Sending) -> Routes:
    """/sent/change: what the form of a share posts."""

    async def post_change(view: View) -> web.StreamResponse:
        one = await sending.by_id(view.field("id"), owner=view.user.name)
        try:
            made = await changing.change(one.provider_id, _wanted(view, one), owner=view.user.name)
            _tell(view, one, made)
        except GatewayError as error:
            view.say(view.told(error), "failed")
        return view.redirect(f"/sent/share?id={one.provider_id}")

    return pages.routes(Page("/sent/change", "page.sent.change", post=post_change))


def _wanted(view: View, share: SentShare) -> Change:
    rights, until = rights_of(view), view.field("until")
    if until == date_of(share.expiration_at):  # else the end would move to that of its day
        return Change(rights)
    return Change(rights, end_of_day(until), endless=not until)


def _tell(view: View, before: SentShare, made: Changed) -> None:
    after = made.share
    if (after.permissions, after.expiration_at) == (before.permissions, before.expiration_at):
        view.say(view.gettext("Nothing was changed."))
        return
    said = [view.gettext("The share was changed. It holds at once.")]
    if not made.told:
        said.append(view.gettext("Their server is not told; it sees it when they come."))
    if before.expiration_at and (after.expiration_at or before.expiration_at + 1) > (
        before.expiration_at
    ):
        said.append(view.gettext("Their server may still end it at the time that it was told."))
    view.say(" ".join(said))
