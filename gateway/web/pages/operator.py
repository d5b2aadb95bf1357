"""The operator's pages on the management listener: how it does, which servers, what was refused and
why, what waits, what was done."""

import json
from functools import partial

from aiohttp import web

from gateway import __version__, settings
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.policy.explaining import decision
from gateway.policy.ledger import Ledger
from gateway.policy.live import Live
from gateway.providers.registry import Registry
from gateway.providers.ring import Ring
from gateway.settings import Reading, Setting
from gateway.store import audit, outbox
from gateway.store.audit import Wanted
from gateway.store.state import State
from gateway.web.pages.frame import Frame

_MOST = 50


class OperatorPages:
    """The pages; `ADDRESSES` says where each is on the management listener."""

    def __init__(
        self,
        frame: Frame,
        config: Config,
        reading: Reading,
        state: State,
        registry: Registry,
        ring: Ring,
        live: Live,
        ledger: Ledger,
    ) -> None:
        self._frame = frame
        self._config = config
        self._reading = reading
        self._state = state
        self._registry = registry
        self._ring = ring
        self._live = live
        self._ledger = ledger

    async def get_overview(self, request: web.Request) -> web.Response:
        """State, policy, and what needs a look."""
        waiting, dead = await self._state.database.read(outbox.depth)
        refused = [one for one in await self._ledger.latest(most=_MOST) if one.outcome != "allow"]
        servers = await self._registry.all()
        return await self._frame.page(
            request,
            "overview",
            "/",
            version=__version__,
            waiting=waiting,
            dead=dead,
            refused=refused[:10],
            servers=servers,
            failing=[one for one in servers if one.failures],
            trouble=self._live.trouble,
            reading=self._reading,
        )

    async def get_servers(self, request: web.Request) -> web.Response:
        """The registry."""
        return await self._frame.page(
            request, "servers", "/servers", servers=await self._registry.all()
        )

    async def get_server(self, request: web.Request) -> web.Response:
        """One server with its keys."""
        wanted = request.match_info["server"]
        found = next((one for one in await self._registry.all() if one.authority == wanted), None)
        if found is None:
            return await self._frame.lost(request, "/servers")
        keys = await self._registry.keys_of(found.authority)
        decisions = await self._ledger.latest(provider=found.authority, most=10)
        return await self._frame.page(
            request, "server", "/servers", one=found, keys=keys, decisions=decisions
        )

    async def get_decisions(self, request: web.Request) -> web.Response:
        """What policy decided lately."""
        latest = await self._ledger.latest(most=_MOST)
        return await self._frame.page(request, "decisions", "/decisions", decisions=latest)

    async def get_decision(self, request: web.Request) -> web.Response:
        """Why: one decision with its whole chain."""
        try:
            found = await self._ledger.by_id(request.match_info["id"])
        except GatewayError:
            return await self._frame.lost(request, "/decisions")
        steps = [
            (str(step.get("step", "")), [(k, _said(v)) for k, v in step.items() if k != "step"])
            for step in json.loads(found.chain)
        ]
        said = json.dumps(decision(found), indent=2, ensure_ascii=False)
        return await self._frame.page(
            request, "decision", "/decisions", one=found, steps=steps, whole=said
        )

    async def get_outbox(self, request: web.Request) -> web.Response:
        """What other servers have yet to be told."""
        entries = await self._state.database.read(outbox.all_entries)
        return await self._frame.page(request, "outbox", "/outbox", entries=entries)

    async def get_audit(self, request: web.Request) -> web.Response:
        """The newest entries of the audit trail."""
        newest = await self._state.database.read(
            partial(audit.entries, wanted=Wanted(), most=_MOST, newest_first=True)
        )
        return await self._frame.page(request, "audit", "/audit", entries=newest)

    async def get_keys(self, request: web.Request) -> web.Response:
        """Our own keys."""
        return await self._frame.page(
            request, "keys", "/keys", active=self._ring.active, keys=self._ring.published
        )

    async def get_configuration(self, request: web.Request) -> web.Response:
        """Every setting with where it comes from; secrets hidden."""
        whole = "all" in request.query
        found = [one for one in settings.every(self._config) if whole or not one.default]
        sections: dict[str, list[tuple[str, str, Setting]]] = {}
        for one in found:
            section, _, name = one.name.partition(".")
            sections.setdefault(section, []).append((name, settings.text(one.value), one))
        return await self._frame.page(
            request,
            "configuration",
            "/configuration",
            sections=sections,
            whole=whole,
            reading=self._reading,
            file=self._config.file,
        )


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


ADDRESSES = (
    ("/", OperatorPages.get_overview),
    ("/servers", OperatorPages.get_servers),
    ("/servers/{server}", OperatorPages.get_server),
    ("/decisions", OperatorPages.get_decisions),
    ("/decisions/{id}", OperatorPages.get_decision),
    ("/outbox", OperatorPages.get_outbox),
    ("/audit", OperatorPages.get_audit),
    ("/keys", OperatorPages.get_keys),
    ("/configuration", OperatorPages.get_configuration),
)
