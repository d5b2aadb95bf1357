"""Who did or wanted what; what policy decided, and why."""

import json
from functools import partial
from urllib.parse import urlencode

from aiohttp import web

from gateway.errors import NotFound
from gateway.model import Authority, Decision
from gateway.ocm.address import authority
from gateway.policy.explaining import decision
from gateway.policy.ledger import Ledger
from gateway.policy.verifying import verify
from gateway.store import audit
from gateway.store.audit import Wanted
from gateway.store.state import State
from gateway.web.audits import FILTERS, search
from gateway.web.languages import N_
from gateway.web.pages.frame import Frame, OperatorPage, unknown
from gateway.web.pages.listing import turn_in

OUTCOMES = {
    "allow": N_("allowed"),
    "deny": N_("refused"),
    "quarantine": N_("held for review"),
    "done": N_("done"),
}
_MOST_ENTRIES = 20


def trail(frame: Frame, state: State) -> tuple[OperatorPage, ...]:
    """/audit: the trail, filtered; its chain is verified there."""

    async def get_audit(request: web.Request) -> web.Response:
        wanted = {name: request.query.get(name, "").strip() for name in FILTERS}
        chosen = {name: text for name, text in wanted.items() if text}
        found = await search(state.database, request.query)
        return await frame.page(
            request,
            "audit",
            "/audit",
            wanted=wanted,
            found=found,
            outcomes=OUTCOMES,
            newest=urlencode(chosen),
            older=urlencode(chosen | {"before": str(found.before)}),
            first="before" not in request.query,
        )

    async def post_audit(request: web.Request) -> web.Response:
        form = await frame.form(request)
        if form.text("do") != "verify":
            raise unknown()
        found = await verify(state.database, state.vault)
        if found.damaged is None:
            said = form.gettext("The chain holds: %(entries)s entries, %(first)s to %(last)s.")
            sound = {"entries": found.entries, "first": found.first, "last": found.last}
            return frame.redirect("/audit", said % sound)
        said = form.gettext("The chain does not hold: entry %(number)s %(fault)s.")
        told = {"number": found.damaged, "fault": form.told(found.fault)}
        return frame.redirect("/audit", said % told, kind="failed")

    return (OperatorPage("/audit", get_audit, post_audit),)


def decisions(frame: Frame, state: State, ledger: Ledger) -> tuple[OperatorPage, ...]:
    """/decisions: the latest; /decisions/{id}: why, with the whole chain and what came of it."""

    async def get_decisions(request: web.Request) -> web.Response:
        server = request.query.get("server", "").strip()
        provider: Authority | None = authority(server) if server else None
        part = await ledger.part(turn_in(request.query), provider=provider)
        return await frame.page(request, "decisions", "/decisions", part=part, server=server)

    async def get_decision(request: web.Request) -> web.Response:
        decision_id = request.match_info["id"]
        query = partial(audit.entries, wanted=Wanted(decision=decision_id), most=_MOST_ENTRIES)
        entries = await state.database.read(query)
        try:
            found: Decision | None = await ledger.by_id(decision_id)
        except NotFound:
            if not entries:
                raise
            found = None
        return await frame.page(
            request,
            "decision",
            "/decisions",
            id=decision_id,
            one=found,
            steps=json.loads(found.chain) if found else [],
            whole=json.dumps(decision(found), indent=2, ensure_ascii=False) if found else "",
            entries=entries,
        )

    return (
        OperatorPage("/decisions", get_decisions),
        OperatorPage("/decisions/{id}", get_decision),
    )
