"""What other servers have yet to be told, and what was given up."""

from aiohttp import web

from gateway.model import Errand
from gateway.sharing.operating import Operating
from gateway.sharing.outbox import Outbox
from gateway.web.languages import N_
from gateway.web.pages.frame import Frame, OperatorPage, unknown
from gateway.web.pages.listing import search_in, turn_in

ERRANDS = {
    Errand.SHARE: N_("A new share"),
    Errand.SHARE_ACCEPTED: N_("A share was accepted"),
    Errand.SHARE_DECLINED: N_("A share was declined"),
    Errand.SHARE_UNSHARED: N_("A share was withdrawn"),
    Errand.SHARE_CHANGE_PERMISSION: N_("A share has other terms"),
    Errand.USER_REMOVED: N_("A contact was removed"),
    Errand.REQUEST: N_("A request to share"),
}


def outbox(frame: Frame, box: Outbox, operating: Operating) -> tuple[OperatorPage, ...]:
    """/outbox: errands, those that were given up first."""

    async def get_outbox(request: web.Request) -> web.Response:
        q = search_in(request.query)
        part = await box.part(turn_in(request.query), q)
        _, dead = await box.depth()
        return await frame.page(
            request, "outbox", "/outbox", part=part, q=q, dead=dead, errands=ERRANDS
        )

    async def post_outbox(request: web.Request) -> web.Response:
        form = await frame.form(request)
        match form.text("do"):
            case "retry":
                left = await operating.retry(form.text("id"), by=form.who)
                if left is not None:
                    said = form.gettext("It failed again: %(reason)s")
                    return frame.redirect(
                        "/outbox", said % {"reason": form.told(left.last_error)}, kind="failed"
                    )
                said = form.gettext("Delivered.")
            case "drop":
                form.expect_sure()
                await operating.drop(form.text("id"), by=form.who)
                said = form.gettext("The errand is forgotten.")
            case _:
                raise unknown()
        return frame.redirect("/outbox", said)

    return (OperatorPage("/outbox", get_outbox, post_outbox),)
