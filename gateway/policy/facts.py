"""What a decision is about (facts), and what it may come to (outcome, limits)."""

from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import NamedTuple

from gateway.model import Authority


class Action(StrEnum):
    """What is to be done with another server."""

    DISCOVER = "discover"  # we ask it anything at all, keys included
    INVITE = "invite"  # an invite is accepted, here or there
    SHARE_OUT = "share-out"  # a local user shares with somebody there
    SHARE_IN = "share-in"  # somebody there shares with a local user
    TOKEN = "token"  # noqa: S105 - it exchanges the secret of a share for an access token
    ACCESS = "access"  # it opens what we share
    TRANSFER = "transfer"  # a local user opens what it shares
    NOTIFICATION = "notification"  # word about a share, either way
    REQUEST = "request"  # somebody asks for a share


REVIEWED = frozenset({Action.SHARE_IN, Action.SHARE_OUT})
"""What is kept and held for the operator where policy says quarantine; all else is refused then."""

FOLLOWS: dict[Action, frozenset[Action]] = {
    Action.SHARE_OUT: frozenset({Action.TOKEN, Action.ACCESS, Action.NOTIFICATION}),
    Action.SHARE_IN: frozenset({Action.TRANSFER, Action.NOTIFICATION}),
    Action.REQUEST: frozenset({Action.NOTIFICATION}),
    Action.INVITE: frozenset({Action.NOTIFICATION}),
}
"""What a permission for one action carries with it, since it could not be used otherwise. Every
permission carries discover with it."""


HELD = frozenset({Action.SHARE_IN, Action.SHARE_OUT, Action.INVITE, Action.REQUEST})
"""What quarantine stops: what is new. What was allowed before goes on, and only a deny ends it."""


class Outcome(IntEnum):
    """What a rule comes to; the greater is the stricter."""

    ALLOW = 0
    QUARANTINE = 1
    DENY = 2

    @property
    def word(self) -> str:
        """As in the rules."""
        return self.name.lower()


class Facts(NamedTuple):
    """What is known when a decision is due; a tuple, since it is completed for each decision.

    `address` is the caller's network address. None and "" mean not known. In `settled` facts
    nothing more is to come: what is not known then was not proven. Before that, a look at the
    policy only refuses what no further fact can save. `at` is the second of the decision.
    """

    action: Action
    provider: Authority
    address: str = ""
    user: str = ""
    groups: frozenset[str] = frozenset()
    path: str | None = None
    resource_type: str = ""
    permissions: frozenset[str] | None = None
    protocols: frozenset[str] | None = None
    size: int | None = None
    signed: str | None = None
    invited: bool | None = None
    mfa: bool | None = None
    capabilities: frozenset[str] | None = None
    pinned: bool | None = None
    exchanges: bool | None = None
    at: int = 0
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What an allowed thing is allowed within; None and False are no limit."""

    read_only: bool = False
    max_expiration_seconds: int | None = None
    max_size: int | None = None
    rate_per_minute: int | None = None
    must_exchange: bool = False
    must_be_signed: bool = False
    must_be_invited: bool = False

    def __bool__(self) -> bool:
        return self != NO_LIMITS

    def with_(self, other: "Limits") -> "Limits":
        """Both together: the stricter of each."""
        if other is NO_LIMITS:
            return self
        if self is NO_LIMITS:
            return other
        return Limits(
            self.read_only or other.read_only,
            _least(self.max_expiration_seconds, other.max_expiration_seconds),
            _least(self.max_size, other.max_size),
            _least(self.rate_per_minute, other.rate_per_minute),
            self.must_exchange or other.must_exchange,
            self.must_be_signed or other.must_be_signed,
            self.must_be_invited or other.must_be_invited,
        )

    def described(self) -> dict[str, int | bool]:
        """Those that are set, by name."""
        return {
            one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)
        }

    def expiration(self, wanted: int | None, since: int) -> int | None:
        """When a share may end at the latest that began at `since` and asks for `wanted`."""
        if self.max_expiration_seconds is None:
            return wanted
        return _least(wanted, since + self.max_expiration_seconds)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says, by which rule, and why in words for the operator.

    `kind` is deny, quarantine, allow, default or limit (an allowed thing that breaks a limit);
    bounded, so it can be a metric's label. `lacks` names the limit: signed, invited, exchange or
    size. `told` is what the other side may read.
    """

    outcome: Outcome
    kind: str
    rule: str
    reason: str
    limits: Limits = field(default=NO_LIMITS)
    lacks: str = ""
    told: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may go on at once."""
        return self.outcome is Outcome.ALLOW


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
