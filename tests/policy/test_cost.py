"""A verdict stays cheap however long the lists are; the benchmark has the figure."""

from bench.works.policy import large_policy, seconds_each

MOST_SECONDS = 100e-6
"""Five times the goal: a machine that runs other tests is slow, a walk over the rules is slower."""


def test_a_verdict_does_not_walk_over_a_thousand_rules():
    assert min(seconds_each(large_policy(), 1000) for _ in range(3)) < MOST_SECONDS
