"""What the operator's pages do, as JSON for scripts: below /api/v1 of the management listener.

Whoever reaches that listener may look; who acts is an operator (`operators.py`).
"""

from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from pydantic import Field

from gateway import settings
from gateway.config import Config
from gateway.model import Standing
from gateway.ocm.address import authority
from gateway.policy.explaining import decision
from gateway.policy.ledger import Ledger
from gateway.policy.streaming import members
from gateway.policy.verifying import verify
from gateway.probes.trials import Trials
from gateway.providers import importing
from gateway.providers.directories import Directories
from gateway.providers.registry import Registry
from gateway.providers.ring import Ring
from gateway.settings import Reading
from gateway.sharing.operating import Operating
from gateway.sharing.outbox import Outbox
from gateway.sharing.reviewing import Reviewing
from gateway.store.state import State
from gateway.web import records
from gateway.web.audits import search
from gateway.web.operations import Call, Operation, Taken, fault, turn_of


class NewServer(Taken):
    """A server to add as approved; `pins` are the thumbprints (RFC 7638) of its only keys."""

    server: str = Field(max_length=1024)
    comment: str = Field(default="", max_length=2000)
    pins: list[str] = Field(default=[], max_length=20)


class Judgement(Taken):
    """A note for the operators."""

    comment: str | None = Field(default=None, max_length=2000)


class Pin(Taken):
    """The thumbprint of a key; left out, the only one the server has."""

    thumbprint: str = Field(default="", max_length=100)


class Unpin(Taken):
    """The thumbprint of a key."""

    thumbprint: str = Field(max_length=100)


class Import(Taken):
    """A list of servers as text, in the form `peers import` takes; `apply` false only looks."""

    text: str = Field(max_length=importing.MOST_BYTES)
    format: Literal["csv", "json"]
    apply: bool = False


class NewKey(Taken):
    """What the key is to be."""

    algorithm: Literal["ed25519", "es256", "rsa"] = "ed25519"


class Key(Taken):
    """A key of ours."""

    kid: str = Field(max_length=500)


class RetiredKey(Key):
    """A key of ours that ends; `compromised` ends what it signed, too."""

    compromised: bool = False


def managing(
    state: State,
    registry: Registry,
    ring: Ring,
    ledger: Ledger,
    operating: Operating,
    outbox: Outbox,
    reviewing: Reviewing,
    trials: Trials,
    directories: Directories,
    config: Config,
    reading: Reading,
) -> tuple[Operation, ...]:
    """What the operator's pages do, but those about policy."""
    return (
        *_servers(registry, ledger, operating, trials),
        *_import(state, operating),
        *_directories(directories),
        *_configuration(config, reading),
        *_review(reviewing),
        *_outbox(outbox, operating),
        *_audit(state, ledger),
        *_keys(ring, operating),
    )


def _servers(
    registry: Registry, ledger: Ledger, operating: Operating, trials: Trials
) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        found = await registry.part(turn_of(call), call.query.get("q", ""))
        return found.made(records.server)

    async def one(call: Call) -> object:
        provider = authority(call.path["server"])
        found = await registry.by_authority(provider)
        keys = await registry.keys_of(provider)
        decisions = await ledger.latest(provider=provider, most=10)
        trial = await trials.last(provider)
        return records.server(found) | {
            "keys": [records.server_key(key) for key in keys],
            "decisions": [decision(one) for one in decisions],
            "test": trial and records.trial(trial),
        }

    async def add(call: Call) -> object:
        body: NewServer = call.body
        provider = authority(body.server)
        added = await operating.add(
            provider, by=call.name, comment=body.comment, pins=tuple(body.pins)
        )
        return records.server(added)

    def judge(standing: Standing) -> Any:
        async def do(call: Call) -> object:
            judged = await operating.decide(
                authority(call.path["server"]), standing, by=call.name, comment=call.body.comment
            )
            return records.server(judged)

        return do

    async def pin(call: Call) -> object:
        provider = authority(call.path["server"])
        return records.server(await operating.pin(provider, call.body.thumbprint, by=call.name))

    async def unpin(call: Call) -> object:
        provider = authority(call.path["server"])
        return records.server(await operating.unpin(provider, call.body.thumbprint, by=call.name))

    async def reset(call: Call) -> object:
        return records.server(await operating.reset(authority(call.path["server"]), by=call.name))

    async def remove(call: Call) -> object:
        provider = authority(call.path["server"])
        await operating.remove(provider, by=call.name)
        return {"authority": provider, "removed": True}

    async def test(call: Call) -> object:
        provider = authority(call.path["server"])
        return records.trial(await trials.now(provider, by=call.name))

    at = "/servers/{server}"
    return (
        Operation(
            "GET",
            "/servers",
            "listServers",
            "The servers that are known, by name.",
            every,
            many=True,
            parts=("page", "size", "q"),
        ),
        Operation(
            "POST", "/servers", "addServer", "Add one as approved.", add, NewServer, status=201
        ),
        Operation("GET", at, "showServer", "One server: keys, health, decisions, test.", one),
        Operation("DELETE", at, "removeServer", "Forget it altogether.", remove),
        Operation("POST", f"{at}/test", "testServer", "Try what works with it now.", test),
        Operation(
            "POST",
            f"{at}/approve",
            "approveServer",
            "Approve it.",
            judge(Standing.APPROVED),
            Judgement,
        ),
        Operation(
            "POST", f"{at}/block", "blockServer", "Block it.", judge(Standing.BLOCKED), Judgement
        ),
        Operation("POST", f"{at}/pin", "pinServer", "Take no key but that one.", pin, Pin),
        Operation("POST", f"{at}/unpin", "unpinServer", "Pin that key no more.", unpin, Unpin),
        Operation("POST", f"{at}/reset", "resetServer", "Forget what it has proven.", reset),
    )


def _import(state: State, operating: Operating) -> tuple[Operation, ...]:
    async def take_in(call: Call) -> object:
        body: Import = call.body
        entries = importing.read(body.text, f"servers.{body.format}")
        if body.apply:
            done = await operating.take_in(entries, by=call.name)
        else:
            done = await state.database.read(partial(importing.compare, entries=entries))
        return records.imported(done, applied=body.apply)

    return (
        Operation(
            "POST",
            "/imported-servers",
            "importServers",
            "Add, approve and block the servers of a list, all or none.",
            take_in,
            Import,
            most_bytes=2 * importing.MOST_BYTES,
        ),
    )


def _directories(directories: Directories) -> tuple[Operation, ...]:
    async def every(_: Call) -> object:
        return [records.directory_(one) for one in await directories.states()]

    async def refresh(call: Call) -> object:
        [state] = await directories.refresh(call.path["id"])
        return records.directory_(state)

    at = "/directories"
    return (
        Operation(
            "GET",
            at,
            "listDirectories",
            "The Directory Services and their servers.",
            every,
            many=True,
        ),
        Operation(
            "POST", f"{at}/{{id}}/refresh", "refreshDirectory", "Fetch its list now.", refresh
        ),
    )


def _configuration(config: Config, reading: Reading) -> tuple[Operation, ...]:
    async def show(_: Call) -> object:
        return {
            "file": str(config.file) if config.file else None,
            "settings": [asdict(one) for one in settings.every(config)],
            "faults": list(reading.faults),
            "waiting": list(reading.waiting),
        }

    return (
        Operation(
            "GET",
            "/configuration",
            "showConfiguration",
            "Every setting with where it comes from; secrets are hidden.",
            show,
        ),
    )


def _review(reviewing: Reviewing) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        way = call.query["way"]
        if way not in ("in", "out"):
            raise fault("way", "is in or out")
        held = reviewing.incoming if way == "in" else reviewing.outgoing
        return (await held(turn_of(call))).made(records.either)

    async def one(call: Call) -> object:
        share = await reviewing.by_id(call.path["id"])
        trail = await reviewing.trail(call.path["id"])
        return records.either(share) | {"trail": [members(entry) for entry in trail]}

    async def release(call: Call) -> object:
        return records.either(await reviewing.release(call.path["id"], by=call.name))

    async def refuse(call: Call) -> object:
        return records.either(await reviewing.refuse(call.path["id"], by=call.name))

    return (
        Operation(
            "GET",
            "/review",
            "listHeld",
            "The shares that are held for review, the newest first: those that came in or go out.",
            every,
            asks=("way",),
            many=True,
            parts=("page", "size"),
        ),
        Operation("GET", "/review/{id}", "showHeld", "One share, and why it is held.", one),
        Operation("POST", "/review/{id}/release", "releaseHeld", "Let it in, or go.", release),
        Operation("POST", "/review/{id}/refuse", "refuseHeld", "Turn it away.", refuse),
    )


def _outbox(outbox: Outbox, operating: Operating) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        found = await outbox.part(turn_of(call), call.query.get("q", ""))
        return found.made(records.errand)

    async def one(call: Call) -> object:
        return records.errand(await outbox.by_id(call.path["id"]))

    async def retry(call: Call) -> object:
        left = await operating.retry(call.path["id"], by=call.name)
        return {"done": left is None, "errand": left and records.errand(left)}

    async def drop(call: Call) -> object:
        return records.errand(await operating.drop(call.path["id"], by=call.name))

    at = "/outbox/{id}"
    return (
        Operation(
            "GET",
            "/outbox",
            "listErrands",
            "What was given up, and what waits.",
            every,
            many=True,
            parts=("page", "size", "q"),
        ),
        Operation("GET", at, "showErrand", "One errand.", one),
        Operation("POST", f"{at}/retry", "retryErrand", "Try it now.", retry),
        Operation("DELETE", at, "dropErrand", "Forget it for good.", drop),
    )


def _audit(state: State, ledger: Ledger) -> tuple[Operation, ...]:
    async def every(call: Call) -> object:
        found = await search(state.database, call.query)
        return {"entries": [members(one) for one in found.entries], "before": found.before}

    async def check(_: Call) -> object:
        return records.verification(await verify(state.database, state.vault))

    async def latest(call: Call) -> object:
        server = call.query.get("server")
        provider = authority(server) if server else None
        return (await ledger.part(turn_of(call), provider=provider)).made(decision)

    async def why(call: Call) -> object:
        return decision(await ledger.by_id(call.path["id"]))

    return (
        Operation(
            "GET",
            "/audit",
            "listEntries",
            "The newest entries of the trail, fifty at once; `before` is where older ones begin.",
            every,
            may_ask=("who", "whom", "what", "outcome", "decision", "server", "about", "before"),
        ),
        Operation("POST", "/audit/verify", "verifyTrail", "Walk the whole chain.", check),
        Operation(
            "GET",
            "/decisions",
            "listDecisions",
            "What policy decided lately, the newest first.",
            latest,
            may_ask=("server",),
            many=True,
            parts=("page", "size"),
        ),
        Operation("GET", "/decisions/{id}", "explainDecision", "Why it was decided so.", why),
    )


def _keys(ring: Ring, operating: Operating) -> tuple[Operation, ...]:
    async def every(_: Call) -> object:
        return [records.own_key(one) for one in ring.keys]

    async def stage(call: Call) -> object:
        return records.own_key(await operating.stage(call.body.algorithm, by=call.name))

    async def activate(call: Call) -> object:
        return records.own_key(await operating.activate(call.body.kid, by=call.name))

    async def retire(call: Call) -> object:
        body: RetiredKey = call.body
        return records.own_key(
            await operating.retire(body.kid, by=call.name, compromised=body.compromised)
        )

    return (
        Operation("GET", "/keys", "listKeys", "The keys of this server.", every, many=True),
        Operation("POST", "/keys", "stageKey", "Make and publish one.", stage, NewKey, status=201),
        Operation("POST", "/keys/activate", "activateKey", "Sign with it.", activate, Key),
        Operation("POST", "/keys/retire", "retireKey", "Publish it no more.", retire, RetiredKey),
    )
