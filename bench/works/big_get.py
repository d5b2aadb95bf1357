"""GET of 1 GiB, one client that takes it as fast as it comes."""

from bench import load
from bench.field import GIB, Field
from bench.programs import Program
from bench.rounds import Row, Work, alternate, behind, cpu_of, ratio

_GOALS = (("nginx", 0.95), ("HAProxy", 1.0))


def measure(field: Field, program: Program) -> float:
    """Seconds of CPU a GiB."""
    path, size = field.path("big"), field.big
    cpu = cpu_of(program, lambda: load.download(program.port, path, field.headers, size))
    return cpu * GIB / size


def rows(field: Field) -> list[Row]:
    figures = alternate(field, (field.gateway, field.nginx, field.haproxy), measure)
    text = behind(figures, 1, "s a GiB")
    return [
        Row("GET of 1 GiB", f"x {rival}", goal, ratio(figures, "gateway", rival), text)
        for rival, goal in _GOALS
    ]


WORK = Work("big-get", rows, measure)
