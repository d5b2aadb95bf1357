"""Refusals in the audit trail: each kind is told, and no flood of them fills the disk."""

from dataclasses import replace

import pytest

from gateway.model import Deed
from gateway.policy.refusals import HOUR_SECONDS, Refusals

DEED = Deed(1000, "policy.share-in", "deny", "d0", provider="evil.example", reason="listed")


def refuse(refusals, *, kind="listed", at=1000, **changes):
    return refusals.refused(kind, replace(DEED, at=at, **changes))


def test_the_first_of_a_kind_is_entered_and_the_next_ones_are_counted():
    refusals = Refusals(10)
    assert refuse(refusals) == [DEED]
    assert refuse(refusals, decision="d1") == refuse(refusals, decision="d2") == []
    assert refuse(refusals, kind="another") == [DEED]
    assert refusals.over(1000 + HOUR_SECONDS - 1) == []
    [count] = refusals.over(1000 + HOUR_SECONDS)
    assert count == replace(DEED, decision="d2", reason="2 more of these: listed")


def test_after_the_hour_a_kind_is_new_again():
    refusals = Refusals(10)
    refuse(refusals)
    refuse(refusals)
    late = 1000 + HOUR_SECONDS
    count, first = refuse(refusals, at=late)
    assert count.reason.startswith("1 more")
    assert first == replace(DEED, at=late)
    assert refuse(refusals, at=late + 1) == []


def test_a_quiet_hour_leaves_nothing_to_tell():
    refusals = Refusals(10)
    refuse(refusals)
    assert refusals.over(1000 + HOUR_SECONDS) == refusals.over() == []


@pytest.mark.parametrize("most", [1, 7])
def test_a_flood_under_ever_new_names_makes_a_bounded_number_of_entries(most):
    refusals = Refusals(most)
    entries = [one for n in range(5000) for one in refuse(refusals, kind=n % 2500)]
    assert len(entries) == most
    counted = refusals.over()
    assert len(counted) == most + 1
    assert counted[-1].reason == f"{5000 - 2 * most} more of other kinds; the latest: {DEED.what}"
    assert sum(int(one.reason.split()[0]) for one in counted) == 5000 - most
