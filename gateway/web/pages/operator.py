"""The operator's front page: how this gateway does and what needs a look; and its configuration."""

from aiohttp import web

from gateway import __version__, settings
from gateway.config import Config
from gateway.policy.ledger import Ledger
from gateway.policy.live import Live
from gateway.providers.registry import Registry
from gateway.settings import Reading, Setting
from gateway.sharing.reviewing import Reviewing
from gateway.store import outbox
from gateway.store.parts import Turn
from gateway.store.state import State
from gateway.web.pages.frame import Frame, OperatorPage

_MOST = 50
_COUNT = Turn(1, 1)
_FAILING = Turn(1, 20)


def overview(
    frame: Frame,
    state: State,
    registry: Registry,
    live: Live,
    ledger: Ledger,
    reviewing: Reviewing,
    reading: Reading,
) -> tuple[OperatorPage, ...]:
    """/: state, policy, and what needs a look."""

    async def get_overview(request: web.Request) -> web.Response:
        waiting, dead = await state.database.read(outbox.depth)
        refused = [one for one in await ledger.latest(most=_MOST) if one.outcome != "allow"]
        incoming, outgoing = await reviewing.incoming(_COUNT), await reviewing.outgoing(_COUNT)
        return await frame.page(
            request,
            "overview",
            "/",
            version=__version__,
            waiting=waiting,
            dead=dead,
            held=incoming.found + outgoing.found,
            refused=refused[:10],
            known=(await registry.part(_COUNT)).found,
            failing=await registry.part(_FAILING, failing=True),
            trouble=live.trouble,
            reading=reading,
        )

    return (OperatorPage("/", get_overview),)


def configuration(frame: Frame, config: Config, reading: Reading) -> tuple[OperatorPage, ...]:
    """/configuration: every setting with where it comes from; secrets hidden."""

    async def get_configuration(request: web.Request) -> web.Response:
        whole = "all" in request.query
        found = [one for one in settings.every(config) if whole or not one.default]
        sections: dict[str, list[tuple[str, str, Setting]]] = {}
        for one in found:
            section, _, name = one.name.partition(".")
            sections.setdefault(section, []).append((name, settings.text(one.value), one))
        return await frame.page(
            request,
            "configuration",
            "/configuration",
            sections=sections,
            whole=whole,
            reading=reading,
            file=config.file,
        )

    return (OperatorPage("/configuration", get_configuration),)
