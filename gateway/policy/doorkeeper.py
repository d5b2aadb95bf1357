"""The policy in force: decides, counts, writes down and refuses.

One way for everybody: facts in, a ruling out. Looks at a server alone, and at a share that is open
already, are remembered until the policy changes, so that the data plane pays a look-up.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway import metrics
from gateway.errors import GatewayError, Refused, TooMany, Unsigned
from gateway.logs import ADDRESS, REQUEST, STRONG, event
from gateway.model import Authority, Decision, Standing
from gateway.policy.explaining import chain
from gateway.policy.facts import REVIEWED, Action, Facts, Limits, Outcome, Verdict
from gateway.policy.ledger import Ledger
from gateway.policy.rules import Policy, judge
from gateway.providers.registry import Registry

_Key = tuple[Authority, Action, str, str]
"""Server, action, share if any, what of the caller matters."""

_MANY = 2000
_SAME_SECONDS = 60
"""How long one refusal of a server, asked about again and again, keeps its id."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules that hold, and those that are rehearsed. `version` names their text."""

    policy: Policy
    version: str = ""
    groups: Mapping[str, frozenset[str]] | None = None
    shadow: Policy | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided, under which id; "" for what is not written down."""

    id: str
    verdict: Verdict

    @property
    def limits(self) -> Limits:
        """Within which it is allowed."""
        return self.verdict.limits

    @property
    def held(self) -> bool:
        """Whether it waits for the operator."""
        return self.verdict.outcome is Outcome.QUARANTINE


class Doorkeeper:
    """Asked before anything is sent to a server or taken from one."""

    def __init__(
        self,
        in_force: InForce,
        registry: Registry | None = None,
        ledger: Ledger | None = None,
        clock: Callable[[], int] = lambda: 0,
        counted: Callable[[int, str], None] = lambda *_: None,
    ) -> None:
        """The registry knows whom the operator has blocked, the ledger keeps what was decided.

        `counted` counts one of so many a minute, of whom; it raises TooMany for one too many.
        """
        self._in_force = in_force
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._counted = counted
        self._known: dict[_Key, Verdict] = {}
        self._refused: dict[_Key, tuple[str, int]] = {}

    @property
    def in_force(self) -> InForce:
        """What holds now."""
        return self._in_force

    def adopt(self, in_force: InForce) -> None:
        """From now on these rules hold, all of them at once."""
        self._in_force = in_force
        self.forget()

    def forget(self) -> None:
        """Decide everything anew: the rules, or what the operator says of a server, changed."""
        self._known.clear()
        self._refused.clear()

    def judge(self, provider: Authority, action: Action = Action.DISCOVER) -> Verdict:
        """The verdict on a server as far as nothing else is known; not counted or written down."""
        return self.weigh(Facts(action, provider))

    def weigh(self, facts: Facts) -> Verdict:
        """What would be decided of these facts; not counted or written down."""
        return self._blocked(facts.provider) or judge(self.completed(facts), self._in_force.policy)

    def completed(self, facts: Facts) -> Facts:
        """The facts with what is known besides: the caller, how the user logged in and their
        groups, the time."""
        groups = self._in_force.groups or {}
        return facts._replace(
            address=facts.address or ADDRESS.get(),
            groups=facts.groups | groups.get(facts.user, frozenset()),
            mfa=STRONG.get() if facts.mfa is None else facts.mfa,
            at=facts.at or self._clock(),
        )

    def admit_provider(
        self, provider: Authority, action: Action = Action.DISCOVER, *, counts: bool = False
    ) -> None:
        """Return unless nothing that may yet become known could allow this with that server.

        Raises Refused. Asked first, before anything is fetched. `counts`: it is the only question
        about this message, which so counts towards the rate of its server; then TooMany too.
        """
        key = (provider, action, "", self._caller())
        self._admit_known(key, Facts(action, provider), counts=counts)

    def admit_share(
        self,
        provider: Authority,
        action: Action,
        share: str,
        facts: Callable[[], Facts],
        *,
        counts: bool = True,
    ) -> Limits:
        """The limits within which a share may be used; Refused when it may not be, or no more.

        `share` names it and what may change of its facts. Asked for every WebDAV request. What
        runs already does not count towards a rate.
        """
        key = (provider, action, share, self._caller())
        verdict = self._known.get(key)
        blocked = self._registry is not None and (
            self._registry.standing(provider) is Standing.BLOCKED
        )
        if verdict is None or blocked or not verdict.allowed or verdict.limits.rate_per_minute:
            return self._admit_known(key, facts(), counts=counts)
        if counts:
            metrics.count_verdict("allow", verdict.kind)
        return verdict.limits

    def decide(self, facts: Facts) -> Ruling:
        """Decide, count and write down. Raises nothing."""
        facts = self.completed(facts)
        verdict = self.weigh(facts)
        metrics.count_verdict(verdict.outcome.word, verdict.kind)
        return Ruling(self._write_down(facts, verdict), verdict)

    def admit(self, facts: Facts) -> Ruling:
        """As `decide`; raises Refused, Unsigned or TooMany for what is not allowed at once.

        A share that is offered to us may be held for review; so that is left to the caller.
        """
        [ruling] = self.admit_any([facts])
        assert ruling is not None
        return ruling

    def admit_any(self, several: Sequence[Facts]) -> list[Ruling | None]:
        """As `admit`, for the recipients of one message; None for each who may not have it.

        Raises as for the first where nobody may. The message counts once, however many it is for.
        """
        rulings = [self.decide(facts) for facts in several]
        admitted = [
            ruling if ruling.verdict.allowed or _holds(ruling.verdict, facts) else None
            for facts, ruling in zip(several, rulings, strict=True)
        ]
        first = next((ruling for ruling in admitted if ruling), None)
        if first is None:
            raise refusal(rulings[0])
        self._count_rate(several[0].provider, first.verdict, first.id)
        return admitted

    def _admit_known(self, key: _Key, facts: Facts, *, counts: bool) -> Limits:
        verdict = None if self._in_force.policy.timed else self._known.get(key)
        if verdict is None or self._blocked(facts.provider):
            facts = self.completed(facts)
            verdict = self.weigh(facts)
            if len(self._known) >= _MANY:
                self._known.clear()
            self._known[key] = verdict
            self._compare(facts, verdict)
        metrics.count_verdict(verdict.outcome.word, verdict.kind)
        if not verdict.allowed and not _holds(verdict, facts):
            raise refusal(Ruling(self._once(key, facts, verdict), verdict))
        if counts:
            self._count_rate(facts.provider, verdict, "")
        return verdict.limits

    def _once(self, key: _Key, facts: Facts, verdict: Verdict) -> str:
        """The id of a refusal; the same for a while, so that a stranger cannot fill the ledger."""
        now = self._clock()
        known, until = self._refused.get(key, ("", 0))
        if known and now < until:
            return known
        if len(self._refused) >= _MANY:
            self._refused.clear()
        decision_id = self._write_down(self.completed(facts), verdict)
        self._refused[key] = decision_id, now + _SAME_SECONDS
        return decision_id

    def _write_down(self, facts: Facts, verdict: Verdict) -> str:
        decision_id = secrets.token_hex(8)
        shadow = self._compare(facts, verdict)
        event(
            "policy.decided",
            level="debug" if verdict.allowed else "info",
            decision=decision_id,
            action=facts.action.value,
            provider=facts.provider,
            outcome=verdict.outcome.word,
            rule=verdict.rule,
            reason=verdict.reason,
        )
        if self._ledger:
            steps = chain(facts, self._in_force.policy, verdict)
            self._ledger.write(
                Decision(
                    id=decision_id,
                    at=facts.at,
                    action=facts.action.value,
                    provider=facts.provider,
                    user=facts.user,
                    outcome=verdict.outcome.word,
                    rule=verdict.rule,
                    reason=verdict.reason,
                    shadow=shadow,
                    policy=self._in_force.version,
                    request=REQUEST.get(),
                    chain=json.dumps(steps),
                )
            )
        return decision_id

    def _compare(self, facts: Facts, verdict: Verdict) -> str:
        """What the rehearsed policy would have done, where that is something else."""
        if self._in_force.shadow is None or verdict.kind == "blocked":
            return ""
        rehearsed = judge(facts, self._in_force.shadow)
        if (rehearsed.outcome, rehearsed.limits) == (verdict.outcome, verdict.limits):
            return ""
        metrics.policy_shadow.labels(verdict.outcome.word, rehearsed.outcome.word).inc()
        return f"{rehearsed.outcome.word} by {rehearsed.rule}"

    def _blocked(self, provider: Authority) -> Verdict | None:
        if self._registry is None or self._registry.standing(provider) is not Standing.BLOCKED:
            return None
        return Verdict(Outcome.DENY, "blocked", "blocked", f"{provider} is blocked")

    def _caller(self) -> str:
        """The caller's address, and how a local user logged in, where the rules ask for it."""
        policy = self._in_force.policy
        caller = ADDRESS.get() if policy.by_address else ""
        return f"{caller} {STRONG.get()}" if policy.by_mfa else caller

    def _count_rate(self, provider: Authority, verdict: Verdict, decision_id: str) -> None:
        most = verdict.limits.rate_per_minute
        if most is None:
            return
        try:
            self._counted(most, f"{provider} {verdict.rule}")
        except TooMany as error:
            said = TooMany(
                f"the policy of this server allows {most} of these a minute",
                retry_after=error.retry_after,
            )
            said.decision = decision_id
            raise said from None


def refusal(ruling: Ruling) -> GatewayError:
    """What somebody hears whom the policy does not let through: the id, and no inner detail."""
    verdict = ruling.verdict
    error: GatewayError
    if verdict.lacks == "signed":
        error = Unsigned(verdict.told, detail=verdict.reason)
    elif verdict.told:
        error = Refused(verdict.told, detail=verdict.reason)
    elif verdict.outcome is Outcome.QUARANTINE:
        error = Refused("this waits for the operator's approval", detail=verdict.reason)
    else:
        error = Refused("this server does not federate with yours", detail=verdict.reason)
    error.decision = ruling.id
    return error


def _holds(verdict: Verdict, facts: Facts) -> bool:
    """Whether it is a share, either way, that is kept and held for review."""
    return verdict.outcome is Outcome.QUARANTINE and facts.action in REVIEWED
