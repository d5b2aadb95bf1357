"""What would be decided, and why: the same for the command, the page and the API. Nothing is
counted or written down."""

from collections.abc import Mapping
from typing import Any

from gateway.policy import explaining
from gateway.policy.cases import Case, read_facts
from gateway.policy.doorkeeper import Doorkeeper
from gateway.policy.facts import Verdict
from gateway.policy.rules import Policy, judge


def what_if(keeper: Doorkeeper, given: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on facts as they are written, with the whole chain. Raises Malformed."""
    facts = keeper.completed(read_facts(dict(given)))
    verdict = keeper.weigh(facts)
    shadow = keeper.in_force.shadow
    return described(verdict) | {
        "told": verdict.told,
        "shadow": judge(facts, shadow).outcome.word if shadow else "",
        "chain": explaining.chain(facts, keeper.in_force.policy, verdict),
    }


def tried(keeper: Doorkeeper, policy: Policy, cases: list[Case]) -> list[dict[str, Any]]:
    """What each of the operator's own cases comes to by a policy, and whether that was expected."""
    found = []
    for number, case in enumerate(cases, 1):
        verdict = judge(keeper.completed(case.facts), policy)
        met = {"case": number, "met": case.met(verdict), "expected": case.expect}
        found.append(met | described(verdict))
    return found


def described(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON."""
    return {
        "outcome": verdict.outcome.word,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "limits": verdict.limits.described(),
    }
