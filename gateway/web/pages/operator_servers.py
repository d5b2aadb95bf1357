"""The servers that this one knows: how they do, what they have proven, what to do about them."""

from collections.abc import Callable

from aiohttp import web

from gateway.errors import Malformed
from gateway.model import Authority, KeyStanding, ProviderSource, Standing
from gateway.ocm.address import authority
from gateway.policy.ledger import Ledger
from gateway.probes.finding import Result
from gateway.probes.trials import Trials
from gateway.providers.registry import Registry
from gateway.sharing.operating import Operating
from gateway.web.languages import N_
from gateway.web.pages.frame import Form, Frame, OperatorPage, unknown
from gateway.web.pages.listing import search_in, turn_in

KEY_STANDINGS = {
    KeyStanding.TRUSTED: N_("trusted"),
    KeyStanding.PINNED: N_("pinned"),
    KeyStanding.QUARANTINED: N_("waits for approval"),
    KeyStanding.REFUSED: N_("refused"),
}
SOURCES = {
    ProviderSource.CONFIGURED: N_("the operator, who added it"),
    ProviderSource.INVITE: N_("an invite"),
    ProviderSource.SHARE: N_("what it shared with somebody here"),
    ProviderSource.DIRECT: N_("somebody here, who named it"),
    ProviderSource.DIRECTORY: N_("a Directory Service"),
    ProviderSource.SEEN: N_("what it has proven"),
}
RESULTS = {
    Result.OK: N_("good"),
    Result.WARNING: N_("has a flaw"),
    Result.FAILED: N_("failed"),
    Result.SKIPPED: N_("left out"),
}
_LONGEST_COMMENT = 2000
_LOOK_SECONDS = "2"


def servers(
    frame: Frame,
    registry: Registry,
    ledger: Ledger,
    operating: Operating,
    trials: Trials,
    clock: Callable[[], int],
) -> tuple[OperatorPage, ...]:
    """/servers: the list; /servers/{server}: one of them, what is done about it, its test."""

    async def get_servers(request: web.Request) -> web.Response:
        q = search_in(request.query)
        part = await registry.part(turn_in(request.query), q)
        return await frame.page(request, "servers", "/servers", part=part, q=q, now=clock())

    async def post_servers(request: web.Request) -> web.Response:
        form = await frame.form(request)
        if form.text("do") != "add":
            raise unknown()
        provider = authority(form.text("server"))
        await operating.add(provider, by=form.who, comment=_comment(form))
        told = {"server": provider}
        return frame.redirect(
            f"/servers/{provider}", form.gettext("%(server)s is approved.") % told
        )

    async def get_server(request: web.Request) -> web.Response:
        found = await registry.by_authority(authority(request.match_info["server"]))
        trial, now = await trials.last(found.authority), clock()
        runs = trial is not None and trial.runs(now)
        response = await frame.page(
            request,
            "server",
            "/servers",
            one=found,
            keys=await registry.keys_of(found.authority),
            decisions=await ledger.latest(provider=found.authority, most=10),
            trial=trial,
            runs=runs,
            now=now,
            key_standings=KEY_STANDINGS,
            sources=SOURCES,
            results=RESULTS,
        )
        if runs:
            response.headers["Refresh"] = _LOOK_SECONDS
        return response

    async def post_server(request: web.Request) -> web.Response:
        form = await frame.form(request)
        found = await registry.by_authority(authority(request.match_info["server"]))
        return await _do(frame, operating, trials, form, found.authority)

    return (
        OperatorPage("/servers", get_servers, post_servers),
        OperatorPage("/servers/{server}", get_server, post_server),
    )


async def _do(
    frame: Frame, operating: Operating, trials: Trials, form: Form, provider: Authority
) -> web.Response:
    told = {"server": provider}
    to, by = f"/servers/{provider}", form.who
    match form.text("do"):
        case "test":
            await trials.begin(provider, by=by)
            return frame.redirect(to)
        case "approve":
            await operating.decide(provider, Standing.APPROVED, by=by, comment=_comment(form))
            said = form.gettext("%(server)s is approved.")
        case "block":
            form.expect_sure()
            await operating.decide(provider, Standing.BLOCKED, by=by, comment=_comment(form))
            said = form.gettext("%(server)s is blocked.")
        case "pin":
            await operating.pin(provider, form.text("key"), by=by)
            said = form.gettext("The key is pinned: no other is taken.")
        case "unpin":
            await operating.unpin(provider, form.text("key"), by=by)
            said = form.gettext("The key is one like others again.")
        case "reset":
            form.expect_sure()
            await operating.reset(provider, by=by)
            said = form.gettext("%(server)s begins anew.")
        case "remove":
            form.expect_sure()
            await operating.remove(provider, by=by)
            said, to = form.gettext("%(server)s is forgotten."), "/servers"
        case _:
            raise unknown()
    return frame.redirect(to, said % told)


def _comment(form: Form) -> str:
    comment = form.text("comment")
    if len(comment) > _LONGEST_COMMENT:
        raise Malformed("a field of the form is too long")
    return comment
