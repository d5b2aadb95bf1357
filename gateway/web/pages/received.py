"""What others have shared: answer it, open it, leave it."""

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.model import ReceivedState
from gateway.providers.registry import Registry
from gateway.sharing.contacts import Contacts
from gateway.sharing.files import Files, Place
from gateway.sharing.receiving import Receiving
from gateway.sharing.visiting import Visiting
from gateway.web.bodies import Bodies
from gateway.web.languages import N_
from gateway.web.pages.files import Tree
from gateway.web.pages.listing import FIRST, search_of, turn_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View

_NEW = (ReceivedState.PENDING,)
_TAKEN = tuple(state for state in ReceivedState if state.taken)


def received(
    pages: Pages,
    receiving: Receiving,
    visiting: Visiting,
    files: Files,
    bodies: Bodies,
    upload_bytes: int | None,
    tree: str,
    contacts: Contacts,
    registry: Registry,
) -> Routes:
    """/received: the list; /received/open and below: one share. `tree` is the WebDAV address of
    everything that was accepted."""

    async def get_received(view: View) -> web.StreamResponse:
        name, wanted = view.user.name, search_of(view)
        new = await receiving.part(FIRST, name, states=_NEW, hidden=False)
        mine = await receiving.part(turn_of(view), name, states=_TAKEN, hidden=False, search=wanted)
        hidden = await receiving.part(FIRST, name, hidden=True)
        known = await contacts.known_as(name, {one.sender for one in new.items})
        return view.render(
            "received.html", new=new, mine=mine, q=wanted, hidden=hidden, tree=tree, known=known
        )

    async def post_received(view: View) -> web.StreamResponse:
        name, one = view.user.name, view.field("id")
        try:
            match view.field("do"):
                case "accept":
                    share = await receiving.accept(one, recipient=name)
                    view.say(
                        view.gettext("%(name)s is among what was shared with you now.")
                        % {"name": share.folder}
                    )
                case "decline":
                    await receiving.decline(one, recipient=name)
                    view.say(view.gettext("You declined it."))
                case "leave":
                    await receiving.decline(one, recipient=name)
                    view.say(view.gettext("You left it. Its owner is told."))
                case "hide":
                    await receiving.hide(one, hidden=True, recipient=name)
                    view.say(view.gettext("It is hidden below now. Nobody was told."))
                case "unhide":
                    await receiving.hide(one, hidden=False, recipient=name)
                    view.say(view.gettext("It is in the list again."))
                case _:
                    raise Malformed("the form does not say what to do")
        except GatewayError as error:
            view.say(view.told(error), "failed")
        return view.redirect("/received")

    async def get_share(view: View) -> web.StreamResponse:
        share = await receiving.by_id(view.query("id"), recipient=view.user.name)
        return view.render(
            "received_share.html",
            one=share,
            tree=tree,
            known=await contacts.known_as(view.user.name, {share.sender}),
            server=await registry.find(share.sending_server),
        )

    async def find(view: View, path: tuple[str, ...]) -> Place:
        share = await visiting.by_id(view.user, view.query("share") or view.field("share"))
        return await files.received(view.user, share.folder, path)

    return pages.routes(
        Page(
            "/received",
            "page.received",
            get=get_received,
            post=post_received,
            menu=N_("Shared with me"),
        ),
        Page("/received/share", "page.received.share", get=get_share),
        *Tree(files, bodies, upload_bytes, "/received/open", find, visiting.admits).pages(
            "page.opened"
        ),
    )
