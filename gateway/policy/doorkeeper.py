"""The policy in force: judges, counts and refuses."""

from gateway import config, metrics
from gateway.errors import Refused
from gateway.model import Authority
from gateway.ocm.address import authority
from gateway.policy.rules import Rules, Verdict, compile_rules, judge

_MANY = 10_000


class Doorkeeper:
    """Asked before anything is sent to a server or taken from one."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._verdicts: dict[Authority, Verdict] = {}

    def judge(self, provider: Authority) -> Verdict:
        """The verdict on a server, without counting it."""
        verdict = self._verdicts.get(provider)
        if verdict is None:
            verdict = judge(provider, self._rules)
            if len(self._verdicts) >= _MANY:
                self._verdicts.clear()
            self._verdicts[provider] = verdict
        return verdict

    def admit_provider(self, provider: Authority) -> None:
        """Return if we federate with that server, raise Refused if not."""
        verdict = self.judge(provider)
        metrics.count_verdict(verdict.allowed, verdict.rule)
        if not verdict.allowed:
            raise Refused("this server does not federate with yours", detail=verdict.reason)


def from_config(policy: config.Policy) -> Doorkeeper:
    """The policy as configured, every entry in its canonical spelling."""
    return Doorkeeper(
        compile_rules(
            policy.default,
            [_canonical(entry) for entry in policy.allow],
            [_canonical(entry) for entry in policy.deny],
        )
    )


def _canonical(entry: str) -> str:
    star, _, name = entry.rpartition("*.")
    return ("*." if entry.startswith("*.") else star) + authority(name)
