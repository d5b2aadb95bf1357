"""Whom one knows at other servers."""

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.ocm.jscontact import MOST_BYTES
from gateway.sharing.contacts import Contacts, Taken
from gateway.web.languages import N_
from gateway.web.pages.listing import search_of, turn_of
from gateway.web.requests import json_response
from gateway.web.routes import Routes
from gateway.web.uploads import upload_of
from gateway.web.views import Page, Pages, View


def contacts(pages: Pages, book: Contacts) -> Routes:
    """/contacts: the address book, and carrying it over as JSContact cards (RFC 9553)."""

    async def get_contacts(view: View) -> web.StreamResponse:
        wanted = search_of(view)
        part = await book.part(turn_of(view), view.user.name, wanted)
        return view.render("contacts.html", part=part, q=wanted)

    async def post_contact(view: View) -> web.StreamResponse:
        name, one = view.user.name, view.field("id")
        try:
            match view.field("do"):
                case "add":
                    made = await book.add(name, view.field("address"), name=view.field("label"))
                    view.say(view.gettext("%(who)s is a contact now.") % {"who": made.shown_as})
                case "rename":
                    made = await book.rename(one, view.field("label"), user=name)
                    view.say(view.gettext("Called %(who)s from now on.") % {"who": made.shown_as})
                case "trust":
                    made = await book.trust(one, True, user=name)
                    told = view.gettext("What %(who)s shares is accepted without asking.")
                    view.say(told % {"who": made.shown_as})
                case "distrust":
                    made = await book.trust(one, False, user=name)
                    told = view.gettext("You are asked before what %(who)s shares is accepted.")
                    view.say(told % {"who": made.shown_as})
                case "remove":
                    made = await book.remove(one, user=name, tell=bool(view.field("tell")))
                    view.say(view.gettext("%(who)s was removed.") % {"who": made.shown_as})
                case _:
                    raise Malformed("the form does not say what to do")
        except GatewayError as error:
            view.say(view.told(error), "failed")
        return view.redirect("/contacts")

    async def get_cards(view: View) -> web.StreamResponse:
        response = json_response(await book.export(view.user.name))
        response.headers["Content-Disposition"] = 'attachment; filename="contacts.json"'
        return response

    async def post_cards(view: View) -> web.StreamResponse:
        async with upload_of(view.request, MOST_BYTES) as upload:
            view.take_in(upload.fields)
            trust = bool(view.field("trust"))
            try:
                cards = b"".join([piece async for piece in upload.content])
                _tell(view, await book.take_in(view.user.name, cards, keep_trust=trust))
            except GatewayError as error:
                view.say(view.told(error), "failed")
        return view.redirect("/contacts")

    return pages.routes(
        Page(
            "/contacts", "page.contacts", get=get_contacts, post=post_contact, menu=N_("Contacts")
        ),
        Page("/contacts/cards", "page.cards", get=get_cards, post=post_cards, uploads=True),
    )


def _tell(view: View, taken: Taken) -> None:
    come, left = len(taken.contacts), len(taken.left_out)
    told = view.ngettext(
        "%(num)s contact is in your book.", "%(num)s contacts are in your book.", come
    )
    view.say(told % {"num": come})
    if left:
        told = view.ngettext(
            "%(num)s was left out: it is of this server, or no address for sharing.",
            "%(num)s were left out: they are of this server, or no addresses for sharing.",
            left,
        )
        view.say(told % {"num": left}, "failed")
