"""Why: the chain that led to a verdict, for the operator. Nothing of it is for other servers."""

import json
from collections.abc import Iterable

from gateway.model import Decision
from gateway.policy.conditions import Fit
from gateway.policy.facts import Facts, Outcome, Verdict
from gateway.policy.rules import Compiled, Policy

_MOST_RULES = 50
_MOST_NEAR = 5
_WORDS = {Fit.NO: "no", Fit.PERHAPS: "not known yet", Fit.YES: "yes"}

Chain = list[dict[str, object]]
"""Steps in the order of the decision, each with `step` and `said`; as JSON has them."""


def facts_of(facts: Facts) -> dict[str, object]:
    """What was known, by name; what was not is left out."""
    found: dict[str, object] = {}
    for name, value in facts._asdict().items():
        if value is None or value in ("", frozenset()):
            continue
        found[name] = sorted(value) if isinstance(value, frozenset) else value
    return found


def chain(facts: Facts, policy: Policy, verdict: Verdict) -> Chain:
    """The whole chain: who asked for what, which rules mean the server and why they count or not,
    what came of it, and which rules nearly counted."""
    steps: Chain = [
        {"step": "provider", "said": facts.provider},
        {"step": "address", "said": facts.address or "not known"},
        {"step": "signature", "said": _signature(facts)},
        {"step": "facts", "said": facts_of(facts)},
    ]
    numbers = sorted(policy.candidates(facts))
    tried = [_tried(policy.rules[number], facts) for number in numbers[:_MOST_RULES]]
    steps.append({"step": "rules", "tried": tried, "left": max(0, len(numbers) - _MOST_RULES)})
    if near := near_misses(facts, policy):
        steps.append({"step": "near", "said": near})
    steps.append(
        {
            "step": "verdict",
            "said": verdict.outcome.word,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "limits": verdict.limits.described(),
        }
    )
    return steps


def decision(found: Decision) -> dict[str, object]:
    """A decision with its whole chain, as JSON: the same by command and on the management port."""
    return {
        "id": found.id,
        "at": found.at,
        "action": found.action,
        "provider": found.provider,
        "user": found.user,
        "outcome": found.outcome,
        "rule": found.rule,
        "reason": found.reason,
        "shadow": found.shadow,
        "policy": found.policy,
        "request": found.request,
        "chain": json.loads(found.chain),
    }


def near_misses(facts: Facts, policy: Policy) -> list[dict[str, str]]:
    """Rules that would have counted but for one thing: a condition, or the way a name is spelled.

    Those that would have changed the most come first.
    """
    meant = policy.candidates(facts)
    found: list[tuple[int, str, str]] = []
    for number in meant | policy.index.nearly(facts.provider):
        one = policy.rules[number]
        missed = _one_condition(one, facts) if number in meant else _spelling(one, facts)
        if missed:
            found.append((one.rule.outcome, one.rule.id, missed))
    return [{"rule": rule, "but": missed} for _, rule, missed in sorted(found)[:_MOST_NEAR]]


def _spelling(one: Compiled, facts: Facts) -> str | None:
    if facts.action not in one.reach:
        return None
    return next(filter(None, (names.near(facts.provider) for names in one.rule.who)), None)


def _one_condition(one: Compiled, facts: Facts) -> str | None:
    rule = one.rule
    misses = [name for name, fit in _conditions(one, facts) if fit is Fit.NO]
    if facts.action not in one.reach:
        misses.append(f"action: it speaks of {', '.join(sorted(rule.actions))}")
    if rule.but_not and rule.covers(facts.provider, facts.address) is None:
        misses.append("except: the server is one of its exceptions")
    return misses[0] if len(misses) == 1 else None


def _tried(one: Compiled, facts: Facts) -> dict[str, object]:
    rule = one.rule
    entry = rule.covers(facts.provider, facts.address)
    fit = one.fit(facts) if entry else Fit.NO
    return {
        "rule": rule.id,
        "then": rule.outcome.word,
        "layer": "central" if rule.layer else "local",
        "who": entry or "an exception",
        "counts": _WORDS[fit] if rule.outcome is not Outcome.DENY else _certain(fit),
        "conditions": {
            name: _WORDS[fit] for name, fit in (*_action(one, facts), *_conditions(one, facts))
        },
        "comment": rule.comment,
    }


def _certain(fit: Fit) -> str:
    """A deny counts for sure or not at all."""
    return "yes" if fit is Fit.YES else "no"


def _action(one: Compiled, facts: Facts) -> Iterable[tuple[str, Fit]]:
    if facts.action not in one.reach:
        yield "action", Fit.NO


def _conditions(one: Compiled, facts: Facts) -> list[tuple[str, Fit]]:
    asked = one.plain + (one.proofs if facts.action in one.rule.actions else ())
    return [(name, holds(facts)) for name, holds in asked]


def _signature(facts: Facts) -> str:
    if facts.signed is None:
        return "none" if facts.settled else "not looked at yet"
    return "none" if facts.signed == "none" else f"{facts.signed}, of {facts.provider}"
