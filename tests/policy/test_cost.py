"""A decision stays cheap however long the lists are; the benchmark has the figures."""

import pytest

from bench.works.policy import DENIED, LISTED, UNKNOWN, explaining, large_policy, seconds_each

MOST_SECONDS = 100e-6
"""Five times the goal: a machine that runs other tests is slow, a walk over the rules is slower."""


@pytest.fixture(scope="module")
def keeper():
    return large_policy()


@pytest.mark.parametrize("servers", [LISTED, DENIED, UNKNOWN])
def test_a_verdict_does_not_walk_over_a_thousand_rules(keeper, servers):
    assert min(seconds_each(keeper.weigh, servers, 1000) for _ in range(3)) < MOST_SECONDS


@pytest.mark.parametrize("servers", [LISTED, DENIED, UNKNOWN])
def test_what_is_written_down_of_it_does_not_walk_over_the_lists(keeper, servers):
    decide = explaining(keeper)
    assert min(seconds_each(decide, servers, 100) for _ in range(3)) < 20 * MOST_SECONDS
