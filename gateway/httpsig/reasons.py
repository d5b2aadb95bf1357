"""Why a signature does not hold: a fixed few, so that they can label a metric."""

from enum import StrEnum

from gateway.errors import BadSignature


class Reason(StrEnum):
    """What is wrong with a signature, or with the one who made it."""

    MALFORMED = "malformed"
    COVERAGE = "coverage"
    CREATED = "created"
    EXPIRED = "expired"
    DIGEST = "digest"
    UNKNOWN_KEY = "unknown_key"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    REPLAY = "replay"
    WRONG_SERVER = "wrong_server"
    NO_KEYS = "no_keys"
    WEAKER = "weaker"  # it has proven itself with more before
    CHANGED_KEY = "changed_key"  # another key than before, which the operator does not take


def bad(reason: Reason, message: str, detail: str = "") -> BadSignature:
    """The error for that reason, to be raised."""
    return BadSignature(message, reason=reason, detail=detail)
