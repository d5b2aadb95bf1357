"""Rounds, and what is made of them.

A round measures every program once, in turns A..Z and Z..A, so that whatever else the machine
does falls on all of them. A ratio is taken within a round; what counts is the median of the rounds.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.field import Field
from bench.programs import Program

Measure = Callable[[Field, Program], float]
Figures = dict[str, list[float]]

_SETTLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, with the lowest and the highest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_figure(self.median)} [{_figure(self.low)}-{_figure(self.high)}]"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what was measured, what it should be at most, and the figures behind.

    `unit` follows the figure: "x nginx", "us of CPU an entry".
    """

    work: str
    unit: str
    goal: float
    measured: Spread
    behind: str = ""

    @property
    def met(self) -> bool:
        return self.measured.median <= self.goal

    @property
    def verdict(self) -> str:
        return "met" if self.met else "missed"


@dataclass(frozen=True, slots=True)
class Work:
    """Something to measure: `rows` does all of it, `once` a single measurement (for a profile)."""

    name: str
    rows: Callable[[Field], list[Row]]
    once: Callable[[Field, Program], object] = field(repr=False)


def alternate(field_: Field, programs: Sequence[Program], measure: Measure) -> Figures:
    """Every round's figure of every program, after a first one that does not count."""
    figures: Figures = {program.name: [] for program in programs}
    for program in programs:
        measure(field_, program)
    for number in range(field_.rounds):
        for program in programs if number % 2 == 0 else reversed(programs):
            figures[program.name].append(measure(field_, program))
    return figures


def cpu_of(program: Program, work: Callable[[], object]) -> float:
    """The seconds of CPU that a program used for some work."""
    before = program.cpu()
    work()
    time.sleep(_SETTLE_SECONDS)  # for what it does after its last byte
    return program.cpu() - before


def spread(figures: Sequence[float]) -> Spread:
    """The median and the ends."""
    return Spread(statistics.median(figures), min(figures), max(figures))


def ratio(figures: Figures, one: str, other: str) -> Spread:
    """One program's figures over another's, round by round."""
    rounds = zip(figures[one], figures[other], strict=True)
    return spread([mine / theirs for mine, theirs in rounds])


def behind(figures: Figures, scale: float, unit: str) -> str:
    """The medians of all programs, in a unit that reads well."""
    medians = (f"{name} {_figure(spread(all_).median * scale)}" for name, all_ in figures.items())
    return f"{', '.join(medians)} {unit}"


def _figure(number: float) -> str:
    """Three digits, as far as they mean something."""
    return (
        f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
    )
