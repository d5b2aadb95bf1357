"""The one dialog in which something is shared: with whom, what they may, for how long."""

from datetime import UTC, datetime

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.model import Permission, SentState, ShareType
from gateway.sharing.contacts import Contacts
from gateway.sharing.files import Files
from gateway.sharing.recipients import Recipients
from gateway.sharing.sending import Offer, Sending
from gateway.web.pages.dates import end_of_day
from gateway.web.pages.listing import OFFERED, path_of, query_of
from gateway.web.pages.sent import STATES
from gateway.web.requests import json_response
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View

_FIELDS = ("with", "group", "rights", "until", "note", "more", "mfa", "exchange")
_RIGHTS = {
    "view": frozenset({Permission.READ}),
    "edit": frozenset({Permission.READ, Permission.WRITE}),
}


def share(
    pages: Pages, files: Files, sending: Sending, contacts: Contacts, recipients: Recipients
) -> Routes:
    """/share: the dialog for one file or folder, and who has it already."""

    async def dialog(view: View, status: int = 200, **more: object) -> web.StreamResponse:
        path = path_of(view.query("path") or view.field("path"))
        item = await files.look(files.own(view.user, path))
        values = {
            "path": path,
            "query_of": query_of,
            "item": item,
            "contacts": (await contacts.part(OFFERED, view.user.name)).items,
            "shared": await sending.of(view.user.name, path),
            "states": STATES,
            "today": datetime.now(UTC).date().isoformat(),
            "seen": None,
            "problem": "",
            "entered": dict.fromkeys(_FIELDS, "") | {"with": view.query("with")},
        }
        return view.render("share.html", status, **(values | more))

    async def get_share(view: View) -> web.StreamResponse:
        return await dialog(view)

    async def post_share(view: View) -> web.StreamResponse:
        entered = {name: view.field(name) for name in _FIELDS}
        if view.field("do") == "check":
            seen = await recipients.look(view.user.name, entered["with"])
            return await dialog(view, seen=seen, entered=entered)
        try:
            made = await sending.create_share(_offer(view))
        except GatewayError as error:
            return await again(view, entered, max(error.status, 400), error.message)
        if made.state is SentState.REFUSED:
            return await again(view, entered, 422, made.reason)
        said = {
            SentState.SENT: view.gettext("%(who)s has been offered %(what)s."),
            SentState.HELD: view.gettext("%(what)s waits for the operator of this server."),
        }.get(
            made.state,
            view.gettext("%(who)s will be offered %(what)s as soon as their server answers."),
        )
        view.say(said % {"who": made.share_with, "what": made.name})
        return view.redirect(f"/sent/share?id={made.provider_id}")

    async def again(
        view: View, entered: dict[str, str], status: int, problem: str
    ) -> web.StreamResponse:
        """The form comes back as it was filled in, with the reason."""
        seen = None
        if entered["mfa"] or entered["exchange"] or entered["group"]:
            seen = await recipients.look(view.user.name, entered["with"])
        return await dialog(view, status, problem=problem, entered=entered, seen=seen)

    async def get_check(view: View) -> web.StreamResponse:
        seen = await recipients.look(view.user.name, view.query("with"))
        text = view.fragment("recipient.html", seen=seen, entered=dict.fromkeys(_FIELDS, ""))
        return json_response({"ok": not seen.problem, "html": text})

    return pages.routes(
        Page("/share", "page.share", get=get_share, post=post_share),
        Page("/share/check", "page.share.check", get=get_check),
    )


def _offer(view: View) -> Offer:
    rights = rights_of(view)
    if not view.field("with"):
        raise Malformed("say with whom to share")
    return Offer(
        user=view.user.name,
        path="/".join(path_of(view.field("path"))),
        share_with=view.field("with"),
        permissions=rights,
        expiration_at=end_of_day(view.field("until")),
        description=view.field("note")[:2000],
        # Without the demand the exchange is used all the same, where their server can do it.
        must_exchange_token=True if view.field("exchange") else None,
        must_use_mfa=bool(view.field("mfa")),
        share_type=ShareType.GROUP if view.field("group") else ShareType.USER,
    )


def rights_of(view: View) -> frozenset[Permission]:
    """What they may, as the form says. Malformed when it does not."""
    rights = _RIGHTS.get(view.field("rights"))
    if rights is None:
        raise Malformed("say what they may do")
    return rights | ({Permission.SHARE} if view.field("more") else set())
