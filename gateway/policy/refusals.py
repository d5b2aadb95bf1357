"""How many refusals become entries in the audit trail: a flood of them must not fill the disk.

Anyone can be refused, as often as they like and under as many names. So the first refusal of a kind
(what was wanted, which server or user, why) is entered at once, those that follow within the hour
are counted, and the count is entered when the hour is over. So many kinds an hour are told apart;
all further ones are counted together. At most twice that many entries and one come of an hour.

Each process counts for itself. The log and the decisions (`policy decisions`) have more, for less
long.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from gateway.model import Authority, Decision, Deed
from gateway.ocm.address import Address
from gateway.policy.facts import REVIEWED, Action, Outcome

_ASKED_BY_OURS = frozenset({Action.INVITE, Action.SHARE_OUT, Action.TRANSFER})

HOUR_SECONDS = 3600


@dataclass(slots=True)
class _Count:
    """Refusals of one kind after the first, and the latest of them."""

    latest: Deed
    more: int = 0


class Refusals:
    """The refusals of the running hour."""

    def __init__(self, most_an_hour: int) -> None:
        self._most = most_an_hour
        self._until = 0
        self._kinds: dict[Hashable, _Count] = {}
        self._rest: _Count | None = None

    def refused(self, kind: Hashable, deed: Deed) -> list[Deed]:
        """What is to be entered now that something was refused."""
        entries = self.over(deed.at)
        if not self._kinds and self._rest is None:
            self._until = deed.at + HOUR_SECONDS
        known = self._kinds.get(kind)
        if known is not None:
            known.latest, known.more = deed, known.more + 1
        elif len(self._kinds) < self._most:
            self._kinds[kind] = _Count(deed)
            entries.append(deed)
        elif self._rest is None:
            self._rest = _Count(deed, 1)
        else:
            self._rest.latest, self._rest.more = deed, self._rest.more + 1
        return entries

    def over(self, now: int | None = None) -> list[Deed]:
        """The counts that are to be entered, if the hour is over by `now`; None ends it."""
        if now is not None and now < self._until:
            return []
        counted = [
            replace(count.latest, reason=f"{count.more} more of these: {count.latest.reason}")
            for count in self._kinds.values()
            if count.more
        ]
        if self._rest is not None:
            rest = self._rest.latest
            counted.append(
                Deed(
                    at=rest.at,
                    what="refusals",
                    outcome=rest.outcome,
                    decision=rest.decision,
                    reason=f"{self._rest.more} more of other kinds; the latest: {rest.what}",
                )
            )
        self._kinds.clear()
        self._rest = None
        return counted


def refusal(decision: Decision, ours: Authority) -> Deed | None:
    """A decision as a refusal to be entered.

    None for what was allowed, and for a share that is held for review: its entry, which says so, is
    written with the share.
    """
    held = decision.outcome == Outcome.QUARANTINE.word and decision.action in REVIEWED
    if held or decision.outcome == Outcome.ALLOW.word:
        return None
    user = str(Address(decision.user, ours)) if decision.user else ""
    who, whom = (user, "") if decision.action in _ASKED_BY_OURS else ("", user)
    return Deed(
        at=decision.at,
        what=f"policy.{decision.action}",
        outcome=decision.outcome,
        decision=decision.id,
        who=who,
        whom=whom,
        provider=decision.provider,
        reason=f"{decision.rule}: {decision.reason}",
    )
