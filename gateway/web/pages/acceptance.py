"""The dialog to accept an invite in (inviteAcceptDialog; draft 03, 5.3), for who is logged in.

Loading it does nothing: no server is asked, nothing is kept. Accepting and declining are posts.
"""

from aiohttp import web

from gateway.errors import GatewayError
from gateway.ocm.invites import Invite, read_invite
from gateway.sharing.accepting import Accepting
from gateway.sharing.ours import ACCEPT_PATH, Ours
from gateway.sharing.parties import Parties
from gateway.sharing.wayf import Wayf
from gateway.web.pages.invites import accept
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def acceptance(
    pages: Pages, ours: Ours, accepting: Accepting, parties: Parties, wayf: Wayf
) -> Routes:
    """/accept-invite?token=...&providerDomain=..."""

    async def get_dialog(view: View) -> web.StreamResponse:
        invite = read_invite(view.query("token"), view.query("providerDomain"))
        return await dialog(view, invite, 200)

    async def dialog(view: View, invite: Invite, status: int) -> web.Response:
        found = await parties.find(view.user.name)
        return view.render(
            "acceptance.html",
            status,
            invite=invite,
            standing=wayf.standing_of(invite.provider),
            address=ours.address(view.user.name),
            email=found.email if found else "",
            accept_path=ACCEPT_PATH,
        )

    async def post_dialog(view: View) -> web.StreamResponse:
        invite = read_invite(view.field("token"), view.field("providerDomain"))
        if view.field("do") != "accept":
            view.say(view.gettext("The invite was declined. Nobody was told."))
            return view.redirect("/")
        try:
            return await accept(view, accepting, invite)
        except GatewayError as error:
            view.say(view.told(error), "failed")
            return await dialog(view, invite, error.status)

    return pages.routes(Page(ACCEPT_PATH, "page.acceptance", get=get_dialog, post=post_dialog))
