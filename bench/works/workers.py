"""Two workers beside one, on the same core: what the company costs, and who gets the requests.

Two cores shared with the load cannot show that two workers do more, only that each request costs
hardly more with them. The counting is the workers' own: each has its metrics in a file.
"""

import json
from collections import Counter
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from bench.field import Field
from bench.programs import Program, Unusable
from bench.rounds import Row, Work, alternate, behind, ratio, spread
from bench.works import small_get

_GOAL = 1.2
_SHARE_GOAL = 60.0
_TWO = "two workers"


def rows(field: Field) -> list[Row]:
    busiest: list[float] = []

    def one(field: Field, program: Program) -> float:
        before = _answered(program)
        cpu = small_get.measure(field, program)
        new = _answered(program) - before
        if program.name == _TWO:
            busiest.append(100 * max(new.values()) / new.total())
        return cpu

    with (
        field.installation.serving("one worker") as alone,
        field.installation.serving(_TWO, workers=2) as both,
    ):
        figures = alternate(field, (alone, both), one)
    text = behind(figures, 1e6, "us a request")
    cost = ratio(figures, _TWO, "one worker")
    return [
        Row("Two workers against one, GET of 1 KiB", "x one worker", _GOAL, cost, text),
        Row(
            "Two workers, share of the busier one",
            "% of the requests",
            _SHARE_GOAL,
            spread(busiest[1:]),
        ),
    ]


def _answered(program: Program) -> Counter[int]:
    """How many requests each worker has counted, by process."""
    counts: Counter[int] = Counter()
    for pid in program.pids[1:]:
        for file in _metrics_folder(pid).glob(f"counter_{pid}.db"):
            read = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
            for key, value, *_ in read:
                if json.loads(key)[1] == "ocm_http_requests_total":
                    counts[pid] += int(value)
    return counts


def _metrics_folder(pid: int) -> Path:
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"PROMETHEUS_MULTIPROC_DIR":
            return Path(value.decode())
    raise Unusable("a worker has no folder for its metrics")


WORK = Work("workers", rows, small_get.measure)
