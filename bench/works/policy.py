"""Decisions of a large policy: a thousand rules, and lists of ten thousand servers."""

import json
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from bench.field import Field
from bench.programs import Program
from bench.rounds import Row, Work, spread
from gateway.ocm.address import authority
from gateway.policy.doorkeeper import Doorkeeper, InForce
from gateway.policy.explaining import chain
from gateway.policy.facts import Action, Facts, Outcome
from gateway.policy.language import Source, build, read_data

_GOAL = 20
_EXPLAINED_GOAL = 500
_UNIT = "us of CPU a verdict"
_RULES = 1000
_DOMAINS = 10_000
_DENIED = 1000
_TIMES = 10_000

LISTED = range(0, _DOMAINS, 11)
DENIED = range(_DOMAINS, _DOMAINS + _DENIED)
UNKNOWN = range(_DOMAINS + _DENIED, _DOMAINS + 2 * _DENIED)


def _server(number: int) -> str:
    return f"cloud{number}.example{number % 97}.org"


def large_policy() -> Doorkeeper:
    """A tenth of the servers have rules of their own, beside the lists; some rules mean a list."""
    servers = [_server(number) for number in range(_DOMAINS)]
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
    denied = [_server(number) for number in DENIED]
    data = {"allow": servers, "deny": denied, "sets": {"listed": servers}, "rules": rules}
    policy = build(Outcome.DENY, [Source("policy", read_data(data, "policy"))])
    return Doorkeeper(InForce(policy), clock=lambda: int(time.time()))


def _facts(servers: Sequence[int]) -> list[Facts]:
    return [
        Facts(
            Action.SHARE_IN,
            authority(_server(number)),
            user=f"user{number}",
            signed="rfc9421",
            settled=True,
        )
        for number in servers
    ]


def seconds_each(decide: Callable[[Facts], object], servers: Sequence[int], times: int) -> float:
    """Seconds of CPU for each of many decisions about these servers."""
    facts = list(islice(cycle(_facts(servers)), times))
    began = time.process_time()
    for one in facts:
        decide(one)
    return (time.process_time() - began) / times


def explaining(keeper: Doorkeeper) -> Callable[[Facts], object]:
    """A decision with what is written down of it, as for each message."""
    policy = keeper.in_force.policy

    def decide(facts: Facts) -> object:
        facts = keeper.completed(facts)
        return json.dumps(chain(facts, policy, keeper.weigh(facts)))

    return decide


def measure(field: Field, _: Program) -> float:
    """Seconds of CPU a verdict; no gateway runs for it."""
    return seconds_each(large_policy().weigh, LISTED, 1000 if field.quick else _TIMES)


def rows(field: Field) -> list[Row]:
    keeper = large_policy()
    times = 1000 if field.quick else _TIMES

    def row(what: str, decide: Callable[[Facts], object], servers: Sequence[int], goal: int) -> Row:
        figures = [seconds_each(decide, servers, times) * 1e6 for _ in range(field.rounds)]
        return Row(f"Policy: 1,000 rules, 10,000 servers; {what}", _UNIT, goal, spread(figures))

    return [
        row("a listed one", keeper.weigh, LISTED, _GOAL),
        row("a denied one", keeper.weigh, DENIED, _GOAL),
        row("an unknown one", keeper.weigh, UNKNOWN, _GOAL),
        row("explained", explaining(keeper), LISTED, _EXPLAINED_GOAL),
    ]


WORK = Work("policy", rows, measure)
