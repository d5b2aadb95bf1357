"""One rule: whom it means, what it asks, what it comes to."""

from dataclasses import dataclass
from re import Pattern

from gateway.model import Authority
from gateway.policy.facts import FOLLOWS, NO_LIMITS, Action, Limits, Outcome
from gateway.policy.names import Names


@dataclass(frozen=True, slots=True)
class Hours:
    """When a rule holds, in UTC: between two moments, on some days, in some hours.

    `days` are 0 (Monday) to 6; `from_minute` to `to_minute` of a day, over midnight if the first
    is the later.
    """

    after: int | None = None
    before: int | None = None
    days: frozenset[int] | None = None
    from_minute: int = 0
    to_minute: int = 0

    def holds(self, at: int) -> bool:
        """Whether that second is within."""
        if (self.after is not None and at < self.after) or (
            self.before is not None and at >= self.before
        ):
            return False
        if self.days is not None and (at // 86_400 + 3) % 7 not in self.days:
            return False
        if self.from_minute == self.to_minute:
            return True
        minute = at // 60 % 1440
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `who` are lists of names, any of which may cover the server; None in a condition
    means that the rule does not ask."""

    id: str
    outcome: Outcome
    who: tuple[Names, ...]
    but_not: tuple[Names, ...] = ()
    actions: frozenset[Action] = frozenset(Action)
    users: tuple[str, ...] | None = None
    groups: frozenset[str] | None = None
    paths: tuple[Pattern[str], ...] | None = None
    resource_types: frozenset[str] | None = None
    permissions: frozenset[str] | None = None
    protocols: frozenset[str] | None = None
    size_over: int | None = None
    size_under: int | None = None
    signed: frozenset[str] | None = None
    invited: bool | None = None
    mfa: bool | None = None
    capabilities: frozenset[str] | None = None
    pinned: bool | None = None
    hours: Hours | None = None
    limits: Limits = NO_LIMITS
    layer: int = 0
    comment: str = ""
    public_comment: str = ""

    @property
    def reach(self) -> frozenset[Action]:
        """The actions it speaks of, and those that a permission carries with it."""
        if self.outcome is Outcome.DENY:
            return self.actions
        carried = (FOLLOWS.get(action, frozenset()) for action in self.actions)
        return self.actions.union({Action.DISCOVER}, *carried)

    def covers(self, provider: Authority, address: str = "") -> str | None:
        """The entry by which the rule means a server; None when it does not."""
        for names in self.who:
            if found := names.find(provider, address):
                break
        else:
            return None
        for names in self.but_not:
            if names.find(provider, address):
                return None
        return found
