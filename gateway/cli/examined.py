"""How findings are printed, and which exit code they make: for check, doctor, federation check."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from gateway.cli.console import DONE, REFUSED, TRY_AGAIN
from gateway.probes.finding import Finding, Result, first_failure

_SIGNS = {Result.OK: "ok", Result.WARNING: "warn", Result.FAILED: "FAIL", Result.SKIPPED: "-"}
_DECIDED = frozenset({"keys", "policy", "signature", "clock"})
"""What trying again does not mend."""


def lines(findings: Iterable[Finding]) -> list[str]:
    """A table for people: the advice stands below what needs it."""
    found = list(findings)
    width = max((len(one.check) for one in found), default=0)
    told = []
    for one in found:
        told.append(f"{_SIGNS[one.result]:<5} {one.check:<{width}}  {one.message}")
        if one.advice:
            told.append(f"{'':<5} {'':<{width}}  -> {one.advice}")
    return told


def described(findings: Iterable[Finding]) -> dict[str, Any]:
    """As JSON; `failedAt` is where it breaks."""
    found = list(findings)
    broken = first_failure(found)
    return {
        "ok": broken is None,
        "failedAt": broken.check if broken else None,
        "findings": [asdict(one) for one in found],
    }


def code(findings: Iterable[Finding]) -> int:
    """The exit code: 4 for a no, 6 for what may pass."""
    broken = first_failure(findings)
    if broken is None:
        return DONE
    return REFUSED if broken.check in _DECIDED else TRY_AGAIN
