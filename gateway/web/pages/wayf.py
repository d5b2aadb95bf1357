"""The WAYF Page (draft 03, 4.4.3): where somebody who was invited says at which server they are.

It is shown to those who have the token of an open invite, so that nobody else makes us ask around.
Nobody is sent to an address but the inviteAcceptDialog that a server itself publishes.
"""

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.model import SentInvite
from gateway.rates import Rates
from gateway.sharing.inviting import Inviting
from gateway.sharing.ours import WAYF_PATH, Ours
from gateway.sharing.wayf import Place, Reach, Wayf
from gateway.web.middleware import visit_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View

_PATIENCE_SECONDS = 1.5
_ONE_SECONDS = 10.0
_COOKIE = "wayf"
_YEAR_SECONDS = 365 * 86_400


class WayfPages:
    """The page with the servers, and the way to the one that was chosen."""

    def __init__(
        self, pages: Pages, ours: Ours, wayf: Wayf, inviting: Inviting, rates: Rates
    ) -> None:
        self._pages = pages
        self._ours = ours
        self._wayf = wayf
        self._inviting = inviting
        self._rates = rates

    def routes(self) -> Routes:
        """The list, and the way on."""
        return self._pages.routes(
            Page(WAYF_PATH, "page.wayf", get=self.get_wayf, public=True),
            Page(f"{WAYF_PATH}/go", "page.wayf", get=self.get_go, public=True),
        )

    async def get_wayf(self, view: View) -> web.StreamResponse:
        """The servers; with `server`, the one that was typed."""
        invite = await self._invite(view)
        typed = view.query("server").strip()
        if not typed:
            return await self._list(view, invite)
        try:
            place = await self._wayf.place(typed, _ONE_SECONDS)
        except GatewayError as error:
            view.say(view.told(error), "failed")
            return await self._list(view, invite, status=error.status)
        return await self._way(view, invite, place)

    async def get_go(self, view: View) -> web.StreamResponse:
        """On to the server that was chosen, which is remembered."""
        invite = await self._invite(view)
        place = await self._wayf.place(view.query("server"), _ONE_SECONDS)
        if place.reach is Reach.DIALOG:
            way = place.accepts_at(invite.token, self._ours.authority)
            response = web.Response(status=303, headers={"Location": way})
        else:
            response = await self._way(view, invite, place)
        if place.reach in (Reach.DIALOG, Reach.STRING):
            self._pages.sessions.lend(response, _COOKIE, place.authority, _YEAR_SECONDS)
        return response

    async def _invite(self, view: View) -> SentInvite:
        self._rates.count("wayf", visit_of(view.request).network)
        token = view.query("token").strip()
        if not token:
            raise Malformed("the link is not complete: it names no invite")
        return await self._wayf.invite_of(token)

    async def _list(self, view: View, invite: SentInvite, status: int = 200) -> web.Response:
        places = await self._wayf.places(_PATIENCE_SECONDS)
        last = await self._last(view)
        return view.render(
            "wayf.html",
            status,
            inviter=await self._wayf.inviter_of(invite),
            invite=invite,
            places=[place for place in places if last is None or place.authority != last.authority],
            last=last,
            asked=any(place.reach is Reach.ASKED for place in places),
            free_text=self._wayf.free_text,
            typed=view.query("server"),
            string=self._inviting.string_of(invite),
            wayf_path=WAYF_PATH,
        )

    async def _last(self, view: View) -> Place | None:
        """The server that was chosen last time; the cookie may say anything."""
        chosen = self._pages.sessions.lent(view.request, _COOKIE)
        if not chosen:
            return None
        try:
            return await self._wayf.place(chosen, _PATIENCE_SECONDS)
        except GatewayError:
            return None

    async def _way(self, view: View, invite: SentInvite, place: Place) -> web.Response:
        """One server: the link to its dialog, or the invite string for it."""
        if place.reach not in (Reach.DIALOG, Reach.STRING):
            view.say(
                view.gettext("%(server)s does not answer as a cloud of this kind.")
                % {"server": place.authority},
                "failed",
            )
            return await self._list(view, invite)
        return view.render(
            "wayf_place.html",
            place=place,
            invite=invite,
            inviter=await self._wayf.inviter_of(invite),
            string=self._inviting.string_of(invite),
            wayf_path=WAYF_PATH,
        )
