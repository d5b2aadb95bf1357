"""Measure, print the table, and write docs/performance.md."""

import argparse
import pstats
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from bench import machine, report
from bench.field import Field, opened, python
from bench.ours import ROOT
from bench.programs import Unusable
from bench.rounds import Row, Work
from bench.works import WORKS

_LONGEST_SECONDS = 25 * 60
_FEWEST_ROUNDS = 5
_PROFILED = 3


def main() -> int:
    names = {work.name: work for work in WORKS}
    options = _options(names)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("bench: it took too long"))
    signal.alarm(_LONGEST_SECONDS)
    try:
        if options.profile:
            _profile(names[options.profile], options)
            return 0
        chosen = [work for work in WORKS if not options.names or work.name in options.names]
        return _measure(chosen, options)
    except Unusable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _options(names: Collection[str]) -> argparse.Namespace:
    listed = ", ".join(names)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"all works, or some of: {listed}")
    parser.add_argument("--rounds", type=int, default=7, help="how often; below 5 does not count")
    parser.add_argument("--quick", action="store_true", help="see that it runs; does not count")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout's gateway")
    parser.add_argument("--profile", metavar="NAME", help="where the gateway's time goes in a work")
    options = parser.parse_args()
    unknown = [*options.names, *([options.profile] if options.profile else [])]
    if unknown := [name for name in unknown if name not in names]:
        parser.error(f"there is no {', '.join(unknown)}; there are {listed}")
    options.tree = options.tree.resolve()
    return options


def _measure(works: Sequence[Work], options: argparse.Namespace) -> int:
    """All works, even after one that failed; what does not count is printed and forgotten."""
    rounds = 2 if options.quick else options.rounds
    counts = not options.quick and rounds >= _FEWEST_ROUNDS and options.tree == ROOT
    print(f"The gateway runs on {machine.python_version(python())}.")
    missed, failed = [], []
    with opened(rounds, quick=options.quick, tree=options.tree) as field:
        for work in works:
            try:
                rows = _rows(work, field)
            except Unusable as error:
                failed.append(work.name)
                print(f"  FAILED: {error}\n{field.gateway.said()}", flush=True)
                continue
            missed += [] if all(row.met for row in rows) else [work.name]
            if counts:
                report.keep(work, rows, rounds)
    if missed:
        print(f"Missed: {', '.join(missed)}. Where the time goes: python -m bench --profile NAME")
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    if counts:
        report.write(WORKS)
    print("Written: docs/performance.md" if counts else "This does not count: nothing is written.")
    return 1 if failed else 0


def _rows(work: Work, field: Field) -> list[Row]:
    """A work's rows, printed as soon as they are there."""
    started = time.monotonic()
    print(f"{work.name} ...", flush=True)
    rows = work.rows(field)
    for row in rows:
        print(report.line(row))
    print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    return rows


def _profile(work: Work, options: argparse.Namespace) -> None:
    """A work a few times, with the gateway under cProfile.

    That slows Python down and the kernel not, so the shares mislead a little; the time that uvloop
    and the kernel take stands with the Python function that called them.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profile"
        with opened(1, quick=options.quick, tree=options.tree, profile=file) as field:
            for _ in range(_PROFILED):
                work.once(field, field.gateway)
        pstats.Stats(str(file)).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    sys.exit(main())
