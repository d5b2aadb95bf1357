"""The conditions of a rule, as functions of the facts.

What is not known yet is "perhaps"; in settled facts, what is not known was not proven.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from fnmatch import fnmatchcase
from re import Pattern

from gateway.policy.facts import Facts
from gateway.policy.rule import Rule


class Fit(IntEnum):
    """Whether a condition holds."""

    NO = 0
    PERHAPS = 1
    YES = 2


Condition = tuple[str, Callable[[Facts], Fit]]
"""What it is about, and whether it holds."""


def plain(rule: Rule) -> Iterator[Condition]:
    """What a rule asks of who and what a share is for: known as long as the share is."""
    if rule.users is not None:
        yield "user", _users(rule.users)
    if (groups := rule.groups) is not None:
        yield "group", lambda facts: _set(facts, bool(groups & facts.groups), facts.user)
    if (paths := rule.paths) is not None:
        yield "path", _paths(paths)
    if (types := rule.resource_types) is not None:
        yield "type", lambda facts: _set(facts, facts.resource_type in types, facts.resource_type)
    if rule.permissions is not None:
        yield "permissions", _any_of(rule.permissions, lambda facts: facts.permissions)
    if rule.protocols is not None:
        yield "protocol", _any_of(rule.protocols, lambda facts: facts.protocols)
    if (hours := rule.hours) is not None:
        yield "time", lambda facts: Fit.YES if hours.holds(facts.at) else Fit.NO


def proofs(rule: Rule) -> Iterator[Condition]:
    """What a rule asks to be shown when something new begins."""
    if (over := rule.size_over) is not None:
        yield "size", _size(lambda size: size > over)
    if (under := rule.size_under) is not None:
        yield "size", _size(lambda size: size < under)
    if (signed := rule.signed) is not None:
        yield "signed", lambda f: _proven(f, f.signed, (f.signed or "none") in signed)
    for name, wanted in (("invited", rule.invited), ("mfa", rule.mfa), ("pinned", rule.pinned)):
        if wanted is not None:
            yield name, _flag(name, wanted)
    if (wanted_of := rule.capabilities) is not None:
        yield (
            "capability",
            lambda f: _proven(f, f.capabilities, wanted_of <= (f.capabilities or frozenset())),
        )


def _set(facts: Facts, holds: bool, known: object) -> Fit:
    if holds:
        return Fit.YES
    return Fit.NO if known or facts.settled else Fit.PERHAPS


def _proven(facts: Facts, known: object, holds: bool) -> Fit:
    """For what has to be proven: not known in the end is not proven."""
    if known is None and not facts.settled:
        return Fit.PERHAPS
    return Fit.YES if holds else Fit.NO


def _flag(name: str, wanted: bool) -> Callable[[Facts], Fit]:
    def holds(facts: Facts) -> Fit:
        known = getattr(facts, name)
        return _proven(facts, known, bool(known) == wanted)

    return holds


def _users(users: tuple[str, ...]) -> Callable[[Facts], Fit]:
    exact = frozenset(users)

    def holds(facts: Facts) -> Fit:
        user = facts.user
        return _set(
            facts,
            user in exact or (any(fnmatchcase(user, one) for one in users) and bool(user)),
            user,
        )

    return holds


def _paths(paths: tuple[Pattern[str], ...]) -> Callable[[Facts], Fit]:
    def holds(facts: Facts) -> Fit:
        if facts.path is None:
            return Fit.NO if facts.settled else Fit.PERHAPS
        return Fit.YES if any(one.fullmatch(facts.path) for one in paths) else Fit.NO

    return holds


def _any_of(
    wanted: frozenset[str], known: Callable[[Facts], frozenset[str] | None]
) -> Callable[[Facts], Fit]:
    def holds(facts: Facts) -> Fit:
        found = known(facts)
        if found is None:
            return Fit.NO if facts.settled else Fit.PERHAPS
        return Fit.YES if wanted & found else Fit.NO

    return holds


def _size(fits: Callable[[int], bool]) -> Callable[[Facts], Fit]:
    def holds(facts: Facts) -> Fit:
        if facts.size is None:
            return Fit.NO if facts.settled else Fit.PERHAPS
        return Fit.YES if fits(facts.size) else Fit.NO

    return holds
