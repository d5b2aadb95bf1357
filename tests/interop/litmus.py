"""litmus, the WebDAV protocol's own test suite, and how to compare two runs of it.

A storage fails some of its tests by itself, so what a gateway in front of it must be is: the same
or better, test by test.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tests.interop.doors import run
from tests.servers import require

SUITES = ("basic", "copymove", "props", "locks", "http")

_LINE = re.compile(r" ?(\d+)\. (\w+)\.* ((?:pass|FAIL|SKIPPED|WARNING).*)")
_WARNED = re.compile(r" +\.+ pass \(with \d+ warnings?\)")


class Verdict(IntEnum):
    """The better, the higher. A test that is skipped would mostly have failed."""

    FAILED = 0
    WARNED = 1
    PASSED = 2


@dataclass(frozen=True)
class Result:
    """What litmus said of one test."""

    suite: str
    number: int
    name: str
    verdict: Verdict
    line: str


def parse(suite: str, output: str) -> list[Result]:
    """The results in litmus's output for one suite, by test.

    A test is announced and then judged on a line of its own; one that warns is judged by the line
    after its warnings.
    """
    found: dict[int, Result] = {}
    number = -1
    for line in output.splitlines():
        if match := _LINE.fullmatch(line.rstrip()):
            number = int(match[1])
            said = match[3]
            found[number] = Result(suite, number, match[2], _verdict(said), line.strip())
        elif _WARNED.fullmatch(line) and number in found:
            before = found[number]
            found[number] = Result(suite, number, before.name, Verdict.WARNED, before.line)
    return list(found.values())


def _verdict(said: str) -> Verdict:
    # A warning comes first and what follows may still fail; until then it has failed.
    return Verdict.PASSED if said == "pass" else Verdict.FAILED


async def litmus(url: str, username: str, password: str, folder: Path) -> list[Result]:
    """All suites against `url`, in a new folder of the caller's: litmus leaves its own behind."""
    program = require("litmus")
    results: list[Result] = []
    for suite in SUITES:
        done = await run(
            program, "-k", "--", f"{url}/", username, password, cwd=folder, TESTS=suite
        )
        judged = parse(suite, done.output)
        assert judged, f"litmus did not run {suite}: {done.output}"
        results += judged
    return results


def worse(direct: list[Result], through: list[Result]) -> Iterator[str]:
    """Both lines of every test that did worse through the gateway, or that was not run there."""
    other = {(result.suite, result.number): result for result in through}
    for result in direct:
        found = other.get((result.suite, result.number))
        if found is None or found.verdict < result.verdict:
            line = found.line if found else "was not run"
            yield f"{result.suite} {result.line}\n  through the gateway: {line}"
