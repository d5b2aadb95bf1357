"""What one has shared: where each share stands, and what can be done about it."""

from datetime import UTC, datetime

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.model import AccessKind, SentState
from gateway.sharing.accesses import Accesses
from gateway.sharing.changing import CHANGEABLE
from gateway.sharing.links import Links
from gateway.sharing.outbox import Outbox
from gateway.sharing.sending import Sending
from gateway.store.parts import Turn
from gateway.web.languages import N_
from gateway.web.pages.dates import date_of
from gateway.web.pages.listing import search_of, turn_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View

STATES = {
    SentState.PENDING: N_("on its way"),
    SentState.SENT: N_("offered, not answered yet"),
    SentState.ACCEPTED: N_("accepted"),
    SentState.DECLINED: N_("declined"),
    SentState.REFUSED: N_("not delivered"),
    SentState.REVOKED: N_("withdrawn"),
    SentState.EXPIRED: N_("expired"),
    SentState.HELD: N_("waits for approval"),
}
_NOW = tuple(state for state in SentState if state.lasts)
_PAST = tuple(state for state in SentState if not state.lasts)
_MOST_PAST = 100

KINDS = {
    AccessKind.LOOK: N_("looked at it"),
    AccessKind.READ: N_("read"),
    AccessKind.WRITE: N_("changed"),
}


def sent(
    pages: Pages, sending: Sending, outbox: Outbox, accesses: Accesses, links: Links
) -> Routes:
    """/sent: the list, and /sent/share: one share."""

    async def get_sent(view: View) -> web.StreamResponse:
        name, wanted = view.user.name, search_of(view)
        now = await sending.part(turn_of(view), name, states=_NOW, search=wanted)
        past = await sending.part(Turn(1, _MOST_PAST), name, states=_PAST)
        latest = await accesses.latest([one.provider_id for one in now.items])
        return view.render("sent.html", now=now, past=past, states=STATES, latest=latest, q=wanted)

    async def shown(view: View, provider_id: str, link: str = "") -> web.StreamResponse:
        one = await sending.by_id(provider_id, owner=view.user.name)
        waiting = await outbox.about(one.provider_id)
        return view.render(
            "sent_share.html",
            one=one,
            states=STATES,
            waiting=waiting,
            changeable=one.state in CHANGEABLE,
            today=datetime.now(UTC).date().isoformat(),
            until=date_of(one.expiration_at),
            accesses=await accesses.of(one.provider_id),
            kinds=KINDS,
            linkable=links.on and one.state.opens,
            linked=links.on and await links.has(one.provider_id),
            link=link,
            visits=await links.visits(one.provider_id) if links.on else [],
        )

    async def get_share(view: View) -> web.StreamResponse:
        return await shown(view, view.query("id"))

    async def post_share(view: View) -> web.StreamResponse:
        one = await sending.by_id(view.field("id"), owner=view.user.name)
        try:
            match view.field("do"):
                case "revoke":
                    await sending.revoke(one.provider_id, owner=view.user.name)
                    view.say(view.gettext("The share was withdrawn. Nobody gets in any more."))
                case "link":
                    link = await links.switch_on(one.provider_id)
                    return await shown(view, one.provider_id, link)
                case "unlink":
                    await links.switch_off(one.provider_id)
                    view.say(view.gettext("The link opens nothing any more."))
                case "retry":
                    if await outbox.retry_about(one.provider_id):
                        view.say(view.gettext("It was tried again and failed."), "failed")
                    else:
                        view.say(view.gettext("It arrived."))
                case _:
                    raise Malformed("the form does not say what to do")
        except GatewayError as error:
            view.say(view.told(error), "failed")
        return view.redirect(f"/sent/share?id={one.provider_id}")

    return pages.routes(
        Page("/sent", "page.sent", get=get_sent, menu=N_("Shared by me")),
        Page("/sent/share", "page.sent.share", get=get_share, post=post_share),
    )
