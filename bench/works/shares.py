"""POST /ocm/shares: the signature checked, the share on disk before it is acknowledged."""

from bench import load
from bench.field import Field
from bench.ours import USER
from bench.programs import Program
from bench.rounds import Row, Work, alternate, cpu_of, spread

_GOAL = 3.0
_TIMES = 200


def measure(field: Field, program: Program) -> float:
    """Seconds of CPU a share."""
    times = 50 if field.quick else _TIMES
    raw = [field.peer.new_share(field.installation.origin, USER) for _ in range(times)]
    return cpu_of(program, lambda: load.each(program.port, raw, 201)) / times


def rows(field: Field) -> list[Row]:
    figures = alternate(field, (field.gateway,), measure)
    measured = spread([figure * 1e3 for figure in figures["gateway"]])
    return [Row("POST /shares, signed, stored durably", "ms of CPU", _GOAL, measured)]


WORK = Work("shares", rows, measure)
