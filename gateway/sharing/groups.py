"""Groups of local users, as configured (draft 03, 6.1: shareType group).

A Share with a group is one Share for its server and one for each member here, who accepts,
declines and leaves it alone. Its server hears of it as of one: SHARE_ACCEPTED when a member accepts
it and no other has, for from then on it is in use; SHARE_DECLINED when no member is left who might
still want it. Whoever leaves the group loses the share at once, whatever its record says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.model import ReceivedShare, ReceivedState

_WANTED = (
    ReceivedState.PENDING,
    ReceivedState.ACCEPTED,
    ReceivedState.UNAVAILABLE,
    ReceivedState.QUARANTINED,
)


@dataclass(frozen=True, slots=True)
class Groups:
    """Group name -> the names of its members."""

    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.members)

    def reaches(self, share: ReceivedShare) -> bool:
        """Whether the share is for its recipient: their own, or that of a group they are in."""
        return not share.group or share.recipient in self.members.get(share.group, ())

    def of(self, user: str) -> tuple[str, ...]:
        """The groups that somebody is in."""
        return tuple(name for name, members in self.members.items() if user in members)

    def speaks_for_all(
        self, share: ReceivedShare, everyone: Iterable[ReceivedShare], state: ReceivedState
    ) -> bool:
        """Whether its server is to hear that a recipient put `share` into `state`.

        `everyone` is the share of all who have it, in the same transaction.
        """
        others = [one for one in everyone if one.id != share.id and self.reaches(one)]
        if state is ReceivedState.ACCEPTED:
            return not any(one.taken for one in others)
        return not any(one.state in _WANTED for one in others)
