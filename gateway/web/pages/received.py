"""What others have shared: answer it, open it, leave it."""

from aiohttp import web

from gateway.errors import GatewayError, Malformed, NotFound
from gateway.model import ReceivedShare, ReceivedState
from gateway.sharing.files import Files, Place
from gateway.sharing.receiving import Receiving
from gateway.sharing.visiting import Visiting
from gateway.web.bodies import Bodies
from gateway.web.languages import N_
from gateway.web.pages.files import Tree
from gateway.web.pages.listing import CARDS, cut
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View


def received(
    pages: Pages,
    receiving: Receiving,
    visiting: Visiting,
    files: Files,
    bodies: Bodies,
    upload_bytes: int | None,
    tree: str,
) -> Routes:
    """/received: the list; /received/open and below: one share. `tree` is the WebDAV address of
    everything that was accepted."""

    async def get_received(view: View) -> web.StreamResponse:
        everything = await receiving.inbox(view.user.name)
        shown = [one for one in everything if not one.hidden]
        return view.render(
            "received.html",
            new=[one for one in shown if one.state is ReceivedState.PENDING],
            most=CARDS,
            mine=cut(
                [one for one in shown if one.taken],
                view.query("page"),
                view.query("q"),
                lambda one: f"{one.folder} {one.sender_display_name} {one.sender}",
            ),
            q=view.query("q"),
            hidden=[one for one in everything if one.hidden][:CARDS],
            tree=tree,
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
        return view.render("received_share.html", one=share, tree=tree)

    async def find(view: View, path: tuple[str, ...]) -> Place:
        share = await _accepted(view)
        return await files.received(view.user, share.folder, path)

    async def _accepted(view: View) -> ReceivedShare:
        wanted = view.query("share") or view.field("share")
        for share in await visiting.tree(view.user):
            if share.id == wanted:
                return share
        raise NotFound("there is no such share among those you accepted")

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
