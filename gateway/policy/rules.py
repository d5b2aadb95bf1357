"""The rules: facts in, a verdict with its reason out.

Every rule whose conditions hold counts, so their order means nothing. Deny beats quarantine beats
allow, and the limits of all that allow add up. Where no rule counts, the default does, which the
operator has to write down. Layers: a local rule that allows or quarantines sets aside what the
central ones allow or quarantine; a deny wins wherever it stands.

A condition about something that is not known yet is "perhaps". A deny needs certainty; an allow is
kept as long as it is possible. So a look at the policy before a signature was checked refuses only
those whom nothing could save, and the same rules decide again when everything is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.policy.conditions import Condition, Fit, plain, proofs
from gateway.policy.facts import HELD, NO_LIMITS, Action, Facts, Limits, Outcome, Verdict
from gateway.policy.index import Index, build
from gateway.policy.rule import Rule


@dataclass(frozen=True, slots=True)
class Compiled:
    """One rule, its conditions as functions, and whom it means."""

    rule: Rule
    plain: tuple[Condition, ...]
    proofs: tuple[Condition, ...]
    reach: frozenset[Action]

    def fit(self, facts: Facts) -> Fit:
        """Whether the rule counts, given that it means the server."""
        action = facts.action
        if action not in self.reach:
            return Fit.NO
        found = Fit.YES
        for _, holds in self.plain:
            one = holds(facts)
            if one < found:
                if one is Fit.NO:
                    return one
                found = one
        if action not in self.rule.actions:
            return found  # what a permission carries is not proven anew
        for _, holds in self.proofs:
            one = holds(facts)
            if one < found:
                if one is Fit.NO:
                    return one
                found = one
        return found


@dataclass(frozen=True, slots=True)
class Policy:
    """All the rules, ready to judge; made by `compile_policy`.

    `timed`: some depend on the time. `by_address`: some depend on the caller's address. `by_mfa`:
    some depend on how a local user logged in.
    """

    default: Outcome
    rules: tuple[Compiled, ...]
    index: Index
    timed: bool
    by_address: bool
    by_mfa: bool

    def candidates(self, facts: Facts) -> set[int]:
        """The numbers of the rules that mean a server; exceptions are not looked at here."""
        return self.index.candidates(facts)


def compile_policy(default: Outcome, rules: Iterable[Rule]) -> Policy:
    """The rules, ready to judge."""
    compiled = tuple(
        Compiled(rule, tuple(plain(rule)), tuple(proofs(rule)), rule.reach) for rule in rules
    )
    return Policy(
        default,
        compiled,
        build([one.rule for one in compiled]),
        timed=any(one.rule.hours for one in compiled),
        by_address=any(
            names.networks for one in compiled for names in one.rule.who + one.rule.but_not
        ),
        by_mfa=any(one.rule.mfa is not None for one in compiled),
    )


def judge(facts: Facts, policy: Policy) -> Verdict:
    """What the policy says of these facts."""
    address = facts.address
    counting: list[Rule] = []
    held: list[Rule] = []
    denying: Rule | None = None
    for number in policy.index.likely(facts):
        one = policy.rules[number]
        fit = one.fit(facts)
        rule = one.rule
        if fit is Fit.NO or (rule.but_not and rule.covers(facts.provider, address) is None):
            continue
        if rule.outcome is Outcome.DENY:
            if fit is Fit.YES and (denying is None or rule.id < denying.id):
                denying = rule
        elif (
            rule.outcome is Outcome.ALLOW
            or facts.action not in rule.actions
            or facts.action not in HELD
        ):
            counting.append(rule)
        elif fit is Fit.YES:
            held.append(rule)
        elif not facts.settled:
            counting.append(rule)
    if denying is not None:
        return _verdict(Outcome.DENY, denying, facts)
    if len({rule.layer for rule in counting + held}) > 1:
        layer = min(rule.layer for rule in counting + held)
        held = [rule for rule in held if rule.layer == layer]
        counting = [rule for rule in counting if rule.layer == layer]
    if held:
        return _verdict(Outcome.QUARANTINE, min(held, key=_by_id), facts)
    if not counting:
        return _by_default(facts, policy)
    limits = NO_LIMITS
    for rule in counting:
        limits = limits.with_(rule.limits)
    return _within(_verdict(Outcome.ALLOW, min(counting, key=_by_id), facts, limits), facts)


def in_order(policy: Policy) -> list[Compiled]:
    """The rules in the order in which they win: of those that count, the first decides."""

    def precedence(one: Compiled) -> tuple[int, int, str]:
        rule = one.rule
        layer = -1 if rule.outcome is Outcome.DENY else rule.layer
        return layer, -rule.outcome, rule.id

    return sorted(policy.rules, key=precedence)


_VERBS = {
    Outcome.ALLOW: "allowed",
    Outcome.QUARANTINE: "held for review",
    Outcome.DENY: "denied",
}


def _verdict(outcome: Outcome, rule: Rule, facts: Facts, limits: Limits = NO_LIMITS) -> Verdict:
    entry = rule.covers(facts.provider, facts.address) or "?"
    reason = f"{facts.provider} is {_VERBS[outcome]} by {rule.id} ({entry})"
    if rule.comment:
        reason += f": {rule.comment}"
    return Verdict(outcome, outcome.word, rule.id, reason, limits, told=rule.public_comment)


def _by_default(facts: Facts, policy: Policy) -> Verdict:
    reason = (
        f"no rule speaks of {facts.action.value} with {facts.provider}, "
        f"and the default is {policy.default.word}"
    )
    return Verdict(policy.default, "default", "default", reason)


def _within(verdict: Verdict, facts: Facts) -> Verdict:
    """The verdict, unless a limit that nothing can lift any more turns it."""
    lacks = lacking(verdict.limits, facts) if verdict.limits is not NO_LIMITS else ""
    if not lacks:
        return verdict
    words = _LACKS[lacks]
    return Verdict(
        Outcome.DENY,
        "limit",
        verdict.rule,
        f"{verdict.reason}, but only if {words}",
        verdict.limits,
        lacks,
        verdict.told or f"this server asks that {words}",
    )


_LACKS = {
    "signed": "requests are signed",
    "invited": "an invite was accepted before",
    "exchange": "the share requires must-exchange-token",
    "size": "the resource is not larger than allowed",
}


def lacking(limits: Limits, facts: Facts) -> str:
    """The limit that these facts break; "" for none. `size` counts as soon as it is known."""
    if limits.max_size is not None and (facts.size or 0) > limits.max_size:
        return "size"
    if not facts.settled:
        return ""
    if limits.must_be_signed and facts.signed in (None, "none"):
        return "signed"
    sharing = facts.action in (Action.SHARE_IN, Action.SHARE_OUT)
    if limits.must_be_invited and sharing and not facts.invited:
        return "invited"
    if limits.must_exchange and facts.action is Action.SHARE_IN and not facts.exchanges:
        return "exchange"
    return ""


def _by_id(rule: Rule) -> str:
    return rule.id
