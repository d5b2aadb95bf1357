"""GET of 1 KiB at 500 requests a second: between two requests everybody sleeps and wakes up."""

from collections import defaultdict

from bench import load
from bench.field import Field
from bench.programs import Program
from bench.rounds import Row, Work, alternate, behind, cpu_of, ratio, spread

_GOAL = 2.0
_RATE = 500
_CONNECTIONS = 32


def measure(
    field: Field, program: Program, latencies: dict[str, list[list[float]]] | None = None
) -> float:
    """Seconds of CPU a request."""
    raw = load.request("GET", program.port, field.path("1k"), field.headers)
    found: list[float] = []

    def work() -> None:
        seconds = field.seconds(5)
        found.extend(
            load.paced(program.port, raw, rate=_RATE, seconds=seconds, connections=_CONNECTIONS)
        )

    cpu = cpu_of(program, work) / _RATE / field.seconds(5)
    if latencies is not None:
        latencies[program.name].append(found)
    return cpu


def rows(field: Field) -> list[Row]:
    latencies: dict[str, list[list[float]]] = defaultdict(list)

    def one(field: Field, program: Program) -> float:
        return measure(field, program, latencies)

    figures = alternate(field, (field.gateway, field.nginx), one)
    waits = ", ".join(
        f"{name} p50 {_at(runs, 0.5):.2f} p99 {_at(runs, 0.99):.2f} ms"
        for name, runs in latencies.items()
    )
    text = f"{behind(figures, 1e6, 'us a request')}; {waits}"
    return [
        Row(
            "GET of 1 KiB, 500 a second", "x nginx", _GOAL, ratio(figures, "gateway", "nginx"), text
        )
    ]


def _at(runs: list[list[float]], part: float) -> float:
    """The median over the runs of a quantile, in milliseconds."""
    return spread([run[int(len(run) * part)] for run in runs[1:]]).median * 1000


WORK = Work("paced-get", rows, measure)
