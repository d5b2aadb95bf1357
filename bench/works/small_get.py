"""GET of 1 KiB with ten header fields, 32 connections, as many as go."""

from bench import load
from bench.field import Field
from bench.programs import Program
from bench.rounds import Row, Work, alternate, behind, cpu_of, ratio

CONNECTIONS = 32
_GOAL = 1.5


def measure(field: Field, program: Program) -> float:
    """Seconds of CPU a request."""
    done: list[int] = []

    def work() -> None:
        path, seconds = field.path("1k"), field.seconds(3)
        done.append(
            load.wrk(program.port, path, field.headers, connections=CONNECTIONS, seconds=seconds)
        )

    return cpu_of(program, work) / done[0]


def rows(field: Field) -> list[Row]:
    figures = alternate(field, (field.gateway, field.nginx, field.haproxy), measure)
    measured = ratio(figures, "gateway", "nginx")
    figures_behind = behind(figures, 1e6, "us a request")
    return [
        Row("GET of 1 KiB, 32 connections, saturated", "x nginx", _GOAL, measured, figures_behind)
    ]


WORK = Work("small-get", rows, measure)
