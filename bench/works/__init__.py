"""What is measured, one file for each work, in the order of the table."""

from bench.rounds import Work
from bench.works import (
    big_get,
    big_put,
    memory,
    middle_get,
    overload,
    paced_get,
    policy,
    propfind,
    shares,
    small_get,
    tokens,
    workers,
)

WORKS: tuple[Work, ...] = (
    small_get.WORK,
    paced_get.WORK,
    middle_get.WORK,
    big_get.WORK,
    big_put.WORK,
    propfind.WORK,
    tokens.WORK,
    policy.WORK,
    shares.WORK,
    memory.WORK,
    workers.WORK,
    overload.WORK,
)
