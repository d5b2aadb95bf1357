"""What is odd about a policy though it can be used: rules that never count, or say nothing new.

Careful rather than clever: a rule is only named when it surely is as said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.model import Authority
from gateway.policy.facts import Outcome
from gateway.policy.language import Source
from gateway.policy.names import Names, endings
from gateway.policy.rule import Rule
from gateway.policy.rules import Policy

MOST_RULES = 500
"""With more, comparing each with each takes seconds: a command has them, a page has not."""
_ANY_OF = ("users", "groups", "resource_types", "permissions", "protocols", "signed")
_SAME = ("paths", "size_over", "size_under", "invited", "mfa", "capabilities", "pinned", "hours")


@dataclass(frozen=True, slots=True)
class Oddity:
    """`kind` is shadowed, contradictory or unused; `about` is the id of a rule or a set."""

    kind: str
    about: str
    said: str

    def described(self) -> dict[str, str]:
        """As JSON."""
        return {"kind": self.kind, "about": self.about, "said": self.said}


def lint(policy: Policy, sources: Iterable[Source], now: int) -> list[Oddity]:
    """Everything odd, rules first."""
    rules = [one.rule for one in policy.rules]
    found = [odd for rule in rules if (odd := _odd(rule, rules, now))]
    return [*found, *_sets(tuple(sources))]


def _odd(rule: Rule, rules: Sequence[Rule], now: int) -> Oddity | None:
    if rule.hours and rule.hours.before is not None and rule.hours.before <= now:
        return Oddity("unused", rule.id, "its time is over")
    if not any(_names_anybody(names) for names in rule.who):
        return Oddity("unused", rule.id, "it means nobody: its lists are empty")
    for other in rules:
        if other is rule or not _wider(other, rule):
            continue
        if other.outcome is Outcome.DENY and rule.outcome is not Outcome.DENY:
            if _wider(rule, other):
                return Oddity("contradictory", rule.id, f"{other.id} denies exactly the same")
            return Oddity("shadowed", rule.id, f"{other.id} denies all that it speaks of")
        same = other.outcome is rule.outcome and other.limits == rule.limits
        twins = same and _wider(rule, other)
        if same and other.layer == rule.layer and (not twins or other.id < rule.id):
            return Oddity("unused", rule.id, f"{other.id} says the same, or more")
    return None


def _wider(wide: Rule, narrow: Rule) -> bool:
    """Whether a rule surely holds wherever another does."""
    return (
        narrow.actions <= wide.actions
        and (not wide.but_not or wide.but_not == narrow.but_not)
        and all(_holds_all(wide, narrow, name) for name in _ANY_OF)
        and all(getattr(wide, name) in (None, getattr(narrow, name)) for name in _SAME)
        and all(_covered(names, wide.who) for names in narrow.who)
    )


def _holds_all(wide: Rule, narrow: Rule, name: str) -> bool:
    asked, given = getattr(wide, name), getattr(narrow, name)
    return asked is None or (given is not None and set(given) <= set(asked))


def _covered(names: Names, by: Sequence[Names]) -> bool:
    if any(names == one or one.everyone for one in by):
        return True
    if names.everyone or names.globs or names.networks:
        return False
    exact = all(any(one.find(Authority(name)) for one in by) for name in names.exact)
    wide = {ending for one in by for ending in one.suffixes}
    return exact and all({name, *endings(name)} & wide for name in names.suffixes)


def _names_anybody(names: Names) -> bool:
    if names.title.startswith("the directory "):  # it may come yet
        return True
    return bool(names.everyone or names.exact or names.suffixes or names.globs or names.networks)


def _sets(sources: Sequence[Source]) -> Iterable[Oddity]:
    used: set[str] = set()
    for source in sources:
        document = source.document
        used.update(document.allow, document.deny)
        for rule in document.rules:
            used.update(rule.who, rule.but_not or ())
    for source in sources:
        for name in source.document.sets:
            if f"@{name}" not in used:
                yield Oddity("unused", f"@{name}", "no rule names this set")
