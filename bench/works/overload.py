"""Three times what it can bear: token exchanges in an open loop, far more than there is CPU for.

First as many as go (closed loop, few connections) tell what it can bear. Then three times that rate
comes in, whatever the answers take; what is accepted must be answered soon, the rest sent away.
"""

from dataclasses import dataclass

from bench import load
from bench.field import Field
from bench.programs import Program, Unusable
from bench.rounds import Row, Work, spread

_GOAL = 1.0
_TIMES = 3
_WARM = 400
_CONNECTIONS = 1200


@dataclass(frozen=True, slots=True)
class Storm:
    """What became of it: seconds of those accepted, counted from when each was sent."""

    bearable: float
    accepted: list[float]
    shed: list[float]
    seconds: float

    @property
    def p99(self) -> float:
        return self.accepted[int(len(self.accepted) * 0.99)]


def storm(field: Field, program: Program) -> Storm:
    origin = field.installation.origin

    def requests(count: int) -> list[bytes]:
        return [field.peer.token_request(origin, field.secret) for _ in range(count)]

    warm = requests(100 if field.quick else _WARM)
    bearable = len(warm) / load.seconds_of(lambda: load.each(program.port, warm, 200))
    rate = round(bearable * _TIMES)
    seconds = field.seconds(5)
    found = load.flood(program.port, requests(rate * seconds), rate=rate, connections=_CONNECTIONS)
    accepted = sorted(took for status, took in found if status == 200)
    shed = sorted(took for status, took in found if status == 503)
    if len(accepted) + len(shed) != len(found) or not accepted:
        raise Unusable("an answer was neither 200 nor 503")
    return Storm(bearable, accepted, shed, seconds)


def measure(field: Field, program: Program) -> float:
    return storm(field, program).p99


def rows(field: Field) -> list[Row]:
    storms = [storm(field, field.gateway) for _ in range(field.rounds)]
    half = sorted(storms, key=lambda one: one.p99)[len(storms) // 2]
    text = (
        f"bears {half.bearable:.0f} a second; of {half.bearable * _TIMES:.0f} a second "
        f"{len(half.accepted) / half.seconds:.0f} were accepted, the others got 503, "
        f"half of them within {half.shed[len(half.shed) // 2] * 1000:.0f} ms"
        if half.shed
        else "nothing was shed"
    )
    measured = spread([one.p99 for one in storms])
    return [Row("Token exchange at three times the load", "s to the p99", _GOAL, measured, text)]


WORK = Work("overload", rows, measure)
