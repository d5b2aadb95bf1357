"""The policy in force: judges, counts and refuses."""

from gateway import config, metrics
from gateway.errors import Refused
from gateway.model import Authority
from gateway.ocm.address import authority
from gateway.policy.rules import Rules, Verdict, compile_rules, judge
from gateway.providers.registry import Registry

_MANY = 10_000


class Doorkeeper:
    """Asked before anything is sent to a server or taken from one."""

    def __init__(self, rules: Rules, registry: Registry | None = None) -> None:
        """The registry knows whom the operator has blocked."""
        self._rules = rules
        self._registry = registry
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
        if self._registry:
            self._registry.admit(provider)
        verdict = self.judge(provider)
        metrics.count_verdict(verdict.allowed, verdict.rule)
        if not verdict.allowed:
            raise Refused("this server does not federate with yours", detail=verdict.reason)


def from_config(policy: config.Policy, registry: Registry | None = None) -> Doorkeeper:
    """The policy as configured, every entry in its canonical spelling."""
    return Doorkeeper(
        compile_rules(
            policy.default,
            [canonical(entry) for entry in policy.allow],
            [canonical(entry) for entry in policy.deny],
        ),
        registry,
    )


def canonical(entry: str) -> str:
    """An entry of a list of domains in its canonical spelling."""
    star, _, name = entry.rpartition("*.")
    return ("*." if entry.startswith("*.") else star) + authority(name)
