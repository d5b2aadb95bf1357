"""Our own keys: where each stands, and how one follows another without anybody noticing."""

from collections.abc import Callable

from aiohttp import web

from gateway.model import KeyState
from gateway.providers.ring import ALGORITHMS, OwnKey, Ring
from gateway.sharing.operating import Operating
from gateway.web.languages import N_
from gateway.web.pages.frame import Frame, OperatorPage, unknown

STATES = {
    KeyState.STAGED: N_("staged: published, signs nothing yet"),
    KeyState.ACTIVE: N_("active: signs"),
    KeyState.OVERLAPPING: N_("overlapping: published, signs no more"),
    KeyState.RETIRED: N_("retired: published no more"),
    KeyState.COMPROMISED: N_("compromised: nothing that it signed holds"),
}
_BELIEVED_SECONDS = 3600
"""How long other servers commonly believe a key set."""


def keys(
    frame: Frame, ring: Ring, operating: Operating, clock: Callable[[], int]
) -> tuple[OperatorPage, ...]:
    """/keys: each with its state; stage, activate and retire."""

    def fresh(one: OwnKey) -> bool:
        staged = one.state is KeyState.STAGED and not one.cavage
        return staged and clock() - one.changed_at < _BELIEVED_SECONDS

    async def get_keys(request: web.Request) -> web.Response:
        return await frame.page(
            request,
            "keys",
            "/keys",
            keys=[(one, one.key.verification_key().thumbprint) for one in ring.keys],
            states=STATES,
            algorithms=tuple(ALGORITHMS),
            fresh={one.key.kid for one in ring.keys if fresh(one)},
        )

    async def post_keys(request: web.Request) -> web.Response:
        form = await frame.form(request)
        form.expect_sure()
        kid = form.text("kid")
        match form.text("do"):
            case "stage":
                kid = (await operating.stage(form.text("algorithm"), by=form.who)).key.kid
                said = form.gettext("%(key)s is staged.")
            case "activate":
                await operating.activate(kid, by=form.who)
                said = form.gettext("%(key)s signs from now on.")
            case "retire":
                compromised = form.text("compromised") == "yes"
                await operating.retire(kid, by=form.who, compromised=compromised)
                said = form.gettext("%(key)s is retired.")
            case _:
                raise unknown()
        return frame.redirect("/keys", said % {"key": kid})

    return (OperatorPage("/keys", get_keys, post_keys),)
