"""What other servers have yet to be told, and what was given up."""

from aiohttp import web

from gateway.sharing.operating import Operating
from gateway.sharing.outbox import Outbox
from gateway.web.pages.frame import Frame, OperatorPage, unknown
from gateway.web.pages.listing import search_in, turn_in


def outbox(frame: Frame, box: Outbox, operating: Operating) -> tuple[OperatorPage, ...]:
    """/outbox: errands, those that were given up first."""

    async def get_outbox(request: web.Request) -> web.Response:
        q = search_in(request.query)
        part = await box.part(turn_in(request.query), q)
        _, dead = await box.depth()
        return await frame.page(request, "outbox", "/outbox", part=part, q=q, dead=dead)

    async def post_outbox(request: web.Request) -> web.Response:
        form = await frame.form(request)
        match form.text("do"):
            case "retry":
                left = await operating.retry(form.text("id"), by=form.who)
                if left is not None:
                    said = form.gettext("It failed again: %(reason)s")
                    return frame.redirect(
                        "/outbox", said % {"reason": left.last_error}, kind="failed"
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
