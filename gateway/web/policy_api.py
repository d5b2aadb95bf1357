"""What the operator's pages about policy do, as JSON for scripts, on the management listener."""

import json
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from gateway.policy import overview, rehearsing
from gateway.policy.cases import read_cases
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.explaining import decision
from gateway.policy.language import MOST_BYTES
from gateway.policy.ledger import Ledger
from gateway.policy.lists import Lists
from gateway.policy.live import Live
from gateway.web import records
from gateway.web.operations import Call, Operation, Taken

_MOST_EXAMPLES = 100
_BYTES = 64 * 1024
_TEXT_BYTES = 2 * MOST_BYTES
"""A text as JSON has it, with what is escaped."""


class WhatIf(Taken):
    """What is known of a case, as `policy test` has it: `action`, `server`, `user`, ..."""

    facts: dict[str, Any]


class Cases(Taken):
    """Cases, each with what to `expect`, as `policy test` has them."""

    cases: list[dict[str, Any]] = Field(min_length=1, max_length=200)


class NewList(Taken):
    """A list as a file has it."""

    format: Literal["csv", "json"] = "json"
    text: str = Field(max_length=MOST_BYTES)


class SeenList(NewList):
    """A list that was looked at: `seen` is what its preview said, `note` is for the history."""

    seen: str = Field(min_length=1, max_length=100)
    note: str = Field(default="", max_length=500)


class Rollback(Taken):
    """Which list is to hold again, and which one held when one looked."""

    number: int = Field(ge=0, le=1 << 31)
    holding: int = Field(ge=0, le=1 << 31)


def policy(
    keeper: Doorkeeper, live: Live, ledger: Ledger, lists: Lists, clock: Callable[[], int]
) -> tuple[Operation, ...]:
    """The operations about policy."""

    async def show(_: Call) -> object:
        return overview.described(await overview.overview(keeper, live, ledger, clock()))

    async def shadow(_: Call) -> object:
        found = overview.shadow(await overview.overview(keeper, live, ledger, clock()))
        latest = await ledger.latest(shadowed=True, most=_MOST_EXAMPLES)
        return found | {"examples": [decision(one) for one in latest]}

    async def what_if(call: Call) -> object:
        return rehearsing.what_if(keeper, call.body.facts)

    async def test(call: Call) -> object:
        cases = read_cases(json.dumps(call.body.cases))
        found = rehearsing.tried(keeper, keeper.in_force.policy, cases)
        return {"cases": found, "failed": sum(not one["met"] for one in found)}

    async def held(_: Call) -> object:
        found = await lists.latest()
        return records.version(found) | {"document": json.loads(found.document)}

    async def history(_: Call) -> object:
        return [records.version(one) for one in await lists.history()]

    async def preview(call: Call) -> object:
        return records.preview(await lists.preview(call.body.text, f"list.{call.body.format}"))

    async def apply(call: Call) -> object:
        body: SeenList = call.body
        name = f"list.{body.format}"
        done = await lists.apply(body.text, name, by=call.name, note=body.note, seen=body.seen)
        return records.version(done)

    async def roll_back(call: Call) -> object:
        body: Rollback = call.body
        done = await lists.roll_back(body.number, by=call.name, holding=body.holding)
        return records.version(done)

    def posts(path: str, name: str, summary: str, do: Any, takes: type[Taken]) -> Operation:
        most = _TEXT_BYTES if issubclass(takes, NewList) else _BYTES
        return Operation("POST", path, name, summary, do, takes, most_bytes=most)

    return (
        Operation("GET", "/policy", "showPolicy", "The rules in force.", show),
        Operation("GET", "/policy/shadow", "showShadow", "What a rehearsal would change.", shadow),
        posts("/policy/what-if", "whatIf", "What would be decided, and why.", what_if, WhatIf),
        posts("/policy/test", "testPolicy", "Try cases of your own.", test, Cases),
        Operation("GET", "/policy/list", "showList", "The list that holds.", held),
        Operation("GET", "/policy/lists", "listLists", "Every list there was.", history, many=True),
        posts("/policy/preview", "previewList", "What a list changes.", preview, NewList),
        posts("/policy/list", "applyList", "Let a list hold that was seen.", apply, SeenList),
        posts("/policy/rollback", "rollBack", "Let an earlier list hold.", roll_back, Rollback),
    )
