"""Policies and facts as the tests write them."""

from gateway.model import Authority
from gateway.ocm.address import authority
from gateway.policy.facts import Action, Facts, Outcome
from gateway.policy.language import LOCAL, Source, build, read_text

SETS = frozenset({"groups", "permissions", "protocols", "capabilities"})


def policy(text, default="deny", *, layer=LOCAL, central="", directories=None):
    """The policy of a text in YAML, and of a central one."""
    sources = [Source("policy", read_text(text, "policy"), layer)]
    if central:
        sources.append(Source("bundle", read_text(central, "bundle"), 1))
    return build(Outcome[default.upper()], sources, directories or {})


def facts(action, host, *, settled=True, **known):
    """Facts, everything known unless said otherwise."""
    for name in SETS & known.keys():
        known[name] = frozenset(known[name])
    return Facts(Action(action), Authority(authority(host)), settled=settled, **known)
