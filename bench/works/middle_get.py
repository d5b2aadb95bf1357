"""GET of 300 KiB and of 1 MiB: too much for one read, too little to be worth a splice."""

from bench import load
from bench.field import Field
from bench.programs import Program
from bench.rounds import Row, Work, alternate, behind, cpu_of, ratio

_SIZES = (("300 KiB", "300k", 16, 1.6), ("1 MiB", "1m", 8, 1.2))


def measure(field: Field, program: Program, name: str = "300k", connections: int = 16) -> float:
    """Seconds of CPU a request."""
    done: list[int] = []

    def work() -> None:
        path, seconds = field.path(name), field.seconds(3)
        done.append(
            load.wrk(program.port, path, field.headers, connections=connections, seconds=seconds)
        )

    return cpu_of(program, work) / done[0]


def rows(field: Field) -> list[Row]:
    found = []
    for size, name, connections, goal in _SIZES:

        def one(field: Field, program: Program, name: str = name, many: int = connections) -> float:
            return measure(field, program, name, many)

        figures = alternate(field, (field.gateway, field.nginx), one)
        measured = ratio(figures, "gateway", "nginx")
        work = f"GET of {size}, {connections} connections"
        found.append(Row(work, "x nginx", goal, measured, behind(figures, 1e6, "us a request")))
    return found


WORK = Work("middle-get", rows, measure)
