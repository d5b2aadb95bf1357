"""Requests for a share: what others ask of one, and what one asks of others."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.model import (
    Contact,
    OutboxEntry,
    Permission,
    ReceivedShare,
    Request,
    RequestState,
    SentRequest,
    SentRequestState,
)
from gateway.sharing.asking import Asking, came
from gateway.sharing.contacts import Contacts
from gateway.sharing.outbox import Outbox
from gateway.sharing.receiving import Receiving
from gateway.sharing.requests import Bounds, Requests
from gateway.store.parts import Part
from gateway.web.languages import N_
from gateway.web.pages.dates import date_of, end_of_day
from gateway.web.pages.listing import FIRST, OFFERED, query_of, turn_of
from gateway.web.pages.share import rights_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View

STATES = {
    RequestState.OPEN: N_("open"),
    RequestState.AGREED: N_("shared"),
    RequestState.DECLINED: N_("declined"),
}
SENT_STATES = {
    SentRequestState.PENDING: N_("on its way"),
    SentRequestState.SENT: N_("asked"),
    SentRequestState.REFUSED: N_("refused"),
}
_PAST = tuple(state for state in RequestState if state is not RequestState.OPEN)
_MOST_CAME = 500
_FIELDS = ("id", "rights", "until", "more", "owner", "share")
_BLANK = dict.fromkeys(_FIELDS, "")


@dataclass(frozen=True, slots=True)
class _Asked:
    """An open request as its owner reads it; `until` is the latest date, "" for any."""

    request: Request
    contact: Contact | None
    bounds: Bounds
    until: str


@dataclass(frozen=True, slots=True)
class _Mine:
    """What somebody asked others for: whether it is still on its way, and what came of it."""

    request: SentRequest
    waiting: list[OutboxEntry]
    came: list[ReceivedShare]


def requests(
    pages: Pages,
    inbox: Requests,
    asking: Asking,
    receiving: Receiving,
    contacts: Contacts,
    outbox: Outbox,
) -> Routes:
    """/requests: the inbox, and what one asked for; /requests/ask: asking."""

    async def asked(view: View) -> Part[_Asked]:
        part = await inbox.part(turn_of(view), view.user.name, states=(RequestState.OPEN,))
        known = await contacts.known_as(view.user.name, {one.share_with for one in part.items})
        bounds = await inbox.bounds(part.items)

        def make(one: Request) -> _Asked:
            until = date_of(bounds[one.id].expiration_at)
            return _Asked(one, known.get(one.share_with), bounds[one.id], until)

        return part.made(make)

    async def mine(user: str) -> list[_Mine]:
        requests = (await asking.part(FIRST, user)).items
        sent = [one for one in requests if one.state is SentRequestState.SENT]
        pending = {one.id for one in requests if one.state is SentRequestState.PENDING}
        waiting = await outbox.about_all(pending)
        first = min((one.created_at for one in sent), default=0)
        shares = await receiving.since(user, {one.owner for one in sent}, first, most=_MOST_CAME)
        return [_Mine(one, waiting.get(one.id, []), came(one, shares)) for one in requests]

    async def shown(view: View, status: int = 200, **more: object) -> web.StreamResponse:
        name = view.user.name
        values = {
            "now": await asked(view),
            "past": await inbox.part(FIRST, name, states=_PAST),
            "mine": await mine(name),
            "contacts": (await contacts.part(OFFERED, name)).items,
            "states": STATES,
            "sent_states": SENT_STATES,
            "query_of": query_of,
            "today": datetime.now(UTC).date().isoformat(),
            "write": Permission.WRITE,
            "share": Permission.SHARE,
            "problem": "",
            "entered": _BLANK,
            "blank": _BLANK,
        }
        return view.render("requests.html", status, **(values | more))

    async def again(view: View, error: GatewayError) -> web.StreamResponse:
        """The forms as they were filled in, with the reason."""
        entered = {name: view.field(name) for name in _FIELDS}
        return await shown(view, max(error.status, 400), problem=error.message, entered=entered)

    async def get_requests(view: View) -> web.StreamResponse:
        return await shown(view)

    async def post_request(view: View) -> web.StreamResponse:
        one = view.field("id")
        try:
            match view.field("do"):
                case "agree":
                    done = await _agree(view, inbox)
                    view.say(view.gettext("You agreed. This is the share."))
                    return view.redirect(f"/sent/share?id={done.share}")
                case "decline":
                    await inbox.decline(one, owner=view.user.name)
                    view.say(view.gettext("You declined. Nobody is told."))
                case _:
                    raise Malformed("the form does not say what to do")
        except GatewayError as error:
            return await again(view, error)
        return view.redirect("/requests")

    async def post_ask(view: View) -> web.StreamResponse:
        try:
            if view.field("do") == "retry":
                made = await asking.by_id(view.field("id"), user=view.user.name)
                await outbox.retry_about(made.id)
                made = await asking.by_id(made.id)
            else:
                made = await asking.send(view.user.name, view.field("owner"), view.field("share"))
        except GatewayError as error:
            return await again(view, error)
        _tell(view, made)
        return view.redirect("/requests")

    return pages.routes(
        Page(
            "/requests",
            "page.requests",
            get=get_requests,
            post=post_request,
            menu=N_("Requests"),
            badge=inbox.open_to,
        ),
        Page("/requests/ask", "page.requests.ask", post=post_ask),
    )


async def _agree(view: View, inbox: Requests) -> Request:
    return await inbox.agree(
        view.field("id"),
        owner=view.user.name,
        permissions=rights_of(view),
        expiration_at=end_of_day(view.field("until")),
    )


def _tell(view: View, made: SentRequest) -> None:
    said = {
        SentRequestState.SENT: view.gettext("%(who)s was asked. It is theirs to share."),
        SentRequestState.PENDING: view.gettext(
            "%(who)s will be asked as soon as their server answers."
        ),
        SentRequestState.REFUSED: view.gettext("The server of %(who)s refused the request."),
    }
    kind = "failed" if made.state is SentRequestState.REFUSED else "done"
    view.say(said[made.state] % {"who": made.owner}, kind)
