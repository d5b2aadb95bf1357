"""One verdict of a large policy: a thousand rules, and lists of ten thousand servers."""

import time

from bench.field import Field
from bench.programs import Program
from bench.rounds import Row, Work, spread
from gateway.ocm.address import authority
from gateway.policy.facts import Action, Facts, Outcome
from gateway.policy.language import Source, build, read_data
from gateway.policy.rules import Policy, judge

_GOAL = 20
_RULES = 1000
_DOMAINS = 10_000
_TIMES = 10_000


def large_policy() -> Policy:
    """Every server of the list has rules of its own, beside the list and some that mean all."""
    servers = [f"cloud{number}.example{number % 97}.org" for number in range(_DOMAINS)]
    rules = [
        {
            "id": f"r{number}",
            "who": "@listed" if number % 100 == 0 else servers[number],
            "action": "share-in",
            "signed": "rfc9421",
            "user": f"user{number}",
            "then": "allow",
            "limits": {"read_only": True},
        }
        for number in range(_RULES)
    ]
    data = {"allow": servers, "sets": {"listed": servers}, "rules": rules}
    return build(Outcome.DENY, [Source("policy", read_data(data, "policy"))])


def seconds_each(policy: Policy, times: int) -> float:
    """Seconds a verdict, over servers that are listed and some that are not."""
    facts = [
        Facts(
            Action.SHARE_IN,
            authority(f"cloud{number}.example{number % 97}.org"),
            user=f"user{number}",
            signed="rfc9421",
            settled=True,
        )
        for number in range(0, _DOMAINS + 1000, 11)
    ]
    began = time.process_time()
    for number in range(times):
        judge(facts[number % len(facts)], policy)
    return (time.process_time() - began) / times


def measure(field: Field, _: Program) -> float:
    """Seconds of CPU a verdict; no gateway runs for it."""
    return seconds_each(large_policy(), 1000 if field.quick else _TIMES)


def rows(field: Field) -> list[Row]:
    policy = large_policy()
    times = 1000 if field.quick else _TIMES
    figures = [seconds_each(policy, times) * 1e6 for _ in range(field.rounds)]
    return [
        Row("Policy: 1,000 rules, 10,000 servers", "us of CPU a verdict", _GOAL, spread(figures))
    ]


WORK = Work("policy", rows, measure)
