"""What a probe found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a probe came out. SKIPPED: something before it failed, or there is nothing to probe."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was probed: `check` is its short name, stable for scripts; `advice` is what
    the operator can do about it, "" when nothing needs doing."""

    check: str
    result: Result
    message: str
    advice: str = ""


class Broken(Exception):
    """A probe failed, and what builds on it cannot be probed."""

    def __init__(self, check: str, message: str, advice: str) -> None:
        super().__init__(message)
        self.finding = Finding(check, Result.FAILED, message, advice)


def ok(check: str, message: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Result.OK, message)


def warning(check: str, message: str, advice: str) -> Finding:
    """It works, and not as it should."""
    return Finding(check, Result.WARNING, message, advice)


def failed(check: str, message: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, Result.FAILED, message, advice)


def skipped(check: str, why: str) -> Finding:
    """It was not probed."""
    return Finding(check, Result.SKIPPED, why)


def first_failure(findings: Iterable[Finding]) -> Finding | None:
    """Where it breaks."""
    return next((one for one in findings if one.result is Result.FAILED), None)
