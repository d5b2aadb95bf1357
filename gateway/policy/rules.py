"""The rules: facts in, a verdict with its reason out.

Deny wins. What is named nowhere gets the default, which the operator has to write down. An empty
allow list allows nobody when the default is deny.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.model import Authority


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a server may federate with us, by which rule, and why in words.

    `rule` is one of deny, allow, default; bounded, so it can be a metric's label.
    """

    allowed: bool
    rule: Literal["deny", "allow", "default"]
    reason: str


@dataclass(frozen=True, slots=True)
class DomainList:
    """Domains by name and by suffix.

    An entry `host` stands for that host on every port, `host:port` for one port, `*.suffix` for
    every host below the suffix and not for the suffix itself.
    """

    exact: frozenset[str]
    suffixes: tuple[str, ...]

    def find(self, provider: Authority) -> str | None:
        """The entry that covers a server, if one does."""
        host = _host(provider)
        for name in (provider, host):
            if name in self.exact:
                return name
        return next((f"*{suffix}" for suffix in self.suffixes if host.endswith(suffix)), None)


@dataclass(frozen=True, slots=True)
class Rules:
    """The whole policy."""

    default: Literal["allow", "deny"]
    allow: DomainList
    deny: DomainList


def compile_rules(
    default: Literal["allow", "deny"], allow: Iterable[str], deny: Iterable[str]
) -> Rules:
    """Rules from entries in canonical spelling."""
    return Rules(default, domain_list(allow), domain_list(deny))


def judge(provider: Authority, rules: Rules) -> Verdict:
    """Whether we federate with a server."""
    if entry := rules.deny.find(provider):
        return Verdict(False, "deny", f"{provider} is denied by {entry}")
    if entry := rules.allow.find(provider):
        return Verdict(True, "allow", f"{provider} is allowed by {entry}")
    allowed = rules.default == "allow"
    return Verdict(
        allowed, "default", f"{provider} is on no list and the default is {rules.default}"
    )


def domain_list(entries: Iterable[str]) -> DomainList:
    """A list from entries in canonical spelling."""
    entries = tuple(entries)
    return DomainList(
        exact=frozenset(entry for entry in entries if not entry.startswith("*.")),
        suffixes=tuple(entry[1:] for entry in entries if entry.startswith("*.")),
    )


def _host(provider: Authority) -> str:
    host, colon, port = provider.rpartition(":")
    return host if colon and port.isdigit() else provider
