"""The policy in force as its operator sees it: each rule as it is written, how often it decided,
and what is odd about it.

What is counted are the decisions that are kept (`policy.decisions`): of every process, and over
restarts. A message is a decision; so is a refusal, where those of a server that asks for the same
again within a minute are one. Looks that allow, and requests to a share that is open, are none.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.policy.doorkeeper import Doorkeeper, InForce
from gateway.policy.language import Source, written
from gateway.policy.ledger import Ledger
from gateway.policy.lint import MOST_RULES, Oddity, lint
from gateway.policy.live import Live
from gateway.policy.rule import Rule
from gateway.policy.rules import in_order
from gateway.store.decisions import Decided, Tally
from gateway.store.policies import KeptBundle


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """One rule: what it asks as it is written, how often it decided, what is odd about it."""

    rule: Rule
    asks: Mapping[str, Any]
    decided: Decided
    odd: tuple[Oddity, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The policy. `odd` are findings that are about no rule; None, where there are too many rules
    to look for any."""

    in_force: InForce
    rules: tuple[RuleSeen, ...]
    otherwise: Decided
    odd: tuple[Oddity, ...] | None
    sources: tuple[str, ...]
    bundle: KeptBundle | None
    faults: tuple[str, ...]
    tally: Tally = field(repr=False)


async def overview(keeper: Doorkeeper, live: Live, ledger: Ledger, now: int) -> Overview:
    """The policy in force."""
    in_force, documents, tally = keeper.in_force, await live.sources(), await ledger.tally()
    odd = await asyncio.to_thread(findings, in_force, documents, now)
    asks = written(documents)
    rules = tuple(
        RuleSeen(
            one.rule,
            asks.get(one.rule.id, {}),
            tally.of(one.rule.id),
            tuple(found for found in odd or () if found.about == one.rule.id),
        )
        for one in in_order(in_force.policy)
    )
    ids = {one.rule.id for one in rules}
    rest = None if odd is None else tuple(found for found in odd if found.about not in ids)
    return Overview(
        in_force,
        rules,
        tally.of("default"),
        rest,
        tuple(one.name for one in documents),
        await live.bundle(),
        live.trouble,
        tally,
    )


def findings(in_force: InForce, documents: tuple[Source, ...], now: int) -> list[Oddity] | None:
    """What is odd; None where there are too many rules to compare each with each in passing."""
    if len(in_force.policy.rules) > MOST_RULES:
        return None
    return lint(in_force.policy, documents, now)


def described(found: Overview) -> dict[str, Any]:
    """The policy as JSON: the same by command and on the management listener."""
    tally = found.tally
    return {
        "version": found.in_force.version,
        "default": found.in_force.policy.default.word,
        "sources": list(found.sources),
        "rules": [_rule(one) for one in found.rules],
        "decidedByDefault": _decided(found.otherwise),
        "decisions": {"kept": tally.kept, "since": tally.since},
        "findings": None if found.odd is None else [one.described() for one in found.odd],
        "bundle": (
            {"version": found.bundle.version, "fetchedAt": found.bundle.fetched_at}
            if found.bundle
            else None
        ),
        "shadow": found.in_force.shadow is not None,
        "faults": list(found.faults),
    }


def shadow(found: Overview) -> dict[str, Any]:
    """What the rehearsed policy would change, as JSON."""
    return {
        "runs": found.in_force.shadow is not None,
        "decisions": {"kept": found.tally.kept, "since": found.tally.since},
        "changes": [
            {"outcome": one.outcome, "shadow": one.shadow, "times": one.times}
            for one in found.tally.shadowed
        ],
    }


def _rule(one: RuleSeen) -> dict[str, Any]:
    rule = one.rule
    return {
        "id": rule.id,
        "then": rule.outcome.word,
        "layer": "central" if rule.layer else "local",
        "asks": dict(one.asks),
        "limits": rule.limits.described(),
        "comment": rule.comment,
        "publicComment": rule.public_comment,
        "findings": [odd.described() for odd in one.odd],
    } | _decided(one.decided)


def _decided(decided: Decided) -> dict[str, Any]:
    return {"decided": decided.times, "lastAt": decided.last_at}
