"""Token exchange: the signature checked, the replay remembered on disk, a token signed."""

from bench import load
from bench.field import Field
from bench.programs import Program
from bench.rounds import Row, Work, alternate, cpu_of, spread

_GOAL = 1.2
_TIMES = 300


def measure(field: Field, program: Program) -> float:
    """Seconds of CPU an exchange."""
    times = 50 if field.quick else _TIMES
    origin = field.installation.origin
    raw = [field.peer.token_request(origin, field.secret) for _ in range(times)]
    return cpu_of(program, lambda: load.each(program.port, raw, 200)) / times


def rows(field: Field) -> list[Row]:
    figures = alternate(field, (field.gateway,), measure)
    measured = spread([figure * 1e3 for figure in figures["gateway"]])
    return [Row("Token exchange, signed", "ms of CPU", _GOAL, measured)]


WORK = Work("tokens", rows, measure)
