"""PUT of 1 GiB, over the file that the last one left."""

from bench import load
from bench.field import GIB, Field
from bench.programs import Program
from bench.rounds import Row, Work, alternate, behind, cpu_of, ratio

_GOALS = (("nginx", 0.75), ("HAProxy", 1.1))


def measure(field: Field, program: Program) -> float:
    """Seconds of CPU a GiB."""
    path = field.path("incoming/big")
    cpu = cpu_of(program, lambda: load.upload(program.port, path, field.headers, field.big_file))
    return cpu * GIB / field.big


def rows(field: Field) -> list[Row]:
    figures = alternate(field, (field.gateway, field.nginx, field.haproxy), measure)
    text = behind(figures, 1, "s a GiB")
    return [
        Row("PUT of 1 GiB", f"x {rival}", goal, ratio(figures, "gateway", rival), text)
        for rival, goal in _GOALS
    ]


WORK = Work("big-put", rows, measure)
