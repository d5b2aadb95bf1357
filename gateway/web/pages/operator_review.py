"""Shares that policy holds until the operator has looked at them."""

from aiohttp import web

from gateway.errors import NotFound
from gateway.model import AuditEntry, Decision, ReceivedShare, ReceivedState, SentState
from gateway.policy.ledger import Ledger
from gateway.sharing.reviewing import Reviewing
from gateway.web.pages.frame import Frame, OperatorPage, unknown
from gateway.web.pages.listing import turn_in

_HELD = (ReceivedState.QUARANTINED, SentState.HELD)


def review(frame: Frame, reviewing: Reviewing, ledger: Ledger) -> tuple[OperatorPage, ...]:
    """/review: what is held; /review/{id}: one share, why it is, and what came of it."""

    async def get_review(request: web.Request) -> web.Response:
        return await frame.page(
            request,
            "review",
            "/review",
            received=await reviewing.incoming(turn_in(request.query, "in")),
            sent=await reviewing.outgoing(turn_in(request.query, "out")),
        )

    async def get_share(request: web.Request) -> web.Response:
        share = await reviewing.by_id(request.match_info["id"])
        trail = await reviewing.trail(request.match_info["id"])
        return await frame.page(
            request,
            "review_share",
            "/review",
            one=share,
            comes=isinstance(share, ReceivedShare),
            held=share.state in _HELD,
            why=await _why(trail, ledger),
            trail=trail,
        )

    async def post_share(request: web.Request) -> web.Response:
        form = await frame.form(request)
        share_id = request.match_info["id"]
        match form.text("do"):
            case "release":
                await reviewing.release(share_id, by=form.who)
                said = form.gettext("The share is released.")
            case "refuse":
                form.expect_sure()
                await reviewing.refuse(share_id, by=form.who)
                said = form.gettext("The share is turned away.")
            case _:
                raise unknown()
        return frame.redirect(f"/review/{share_id}", said)

    return (
        OperatorPage("/review", get_review),
        OperatorPage("/review/{id}", get_share, post_share),
    )


async def _why(trail: list[AuditEntry], ledger: Ledger) -> Decision | None:
    """The decision by which the share is held, while it is kept."""
    for entry in trail:
        if entry.deed.outcome == "quarantine":
            try:
                return await ledger.by_id(entry.deed.decision)
            except NotFound:
                continue
    return None
