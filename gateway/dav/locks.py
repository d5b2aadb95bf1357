"""Lock tokens, kept apart by scope.

The storage sees one user, so whoever knows a token can use it (RFC 4918 6.4 relies on the user).
What leaves the house is therefore the token and a proof of the scope that it was given to:

    urn:ocmgw:<HMAC of scope and token>:<token, percent-encoded>

and nothing else is accepted back. The proof survives a restart; which locks of a listing are a
scope's own is only remembered, and learnt again when the scope shows a token.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections import OrderedDict
from urllib.parse import quote, unquote

from gateway.dav.conditions import Condition

NEVER = "urn:uuid:00000000-0000-0000-0000-000000000000"
"""A state token that matches nothing."""
NO_LOCK = "DAV:no-lock"

_PREFIX = "urn:ocmgw:"
_PROOF_LENGTH = 22


class LockSeal:
    """Seals and opens lock tokens. `remembered` bounds how many are known to be someone's own."""

    def __init__(self, key: bytes, *, remembered: int = 10_000) -> None:
        self._key = key
        self._remembered = remembered
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def seal(self, scope: str, token: str) -> str:
        """The token as that scope may see it; from now on it is one of its own."""
        self._learn(scope, token)
        return f"{_PREFIX}{self._proof(scope, token)}:{quote(token, safe='')}"

    def open(self, scope: str, sealed: str) -> str | None:
        """The storage's token, or None unless it was sealed for that scope."""
        if not (sealed.startswith(_PREFIX) and sealed.isascii()):
            return None
        proof, _, encoded = sealed[len(_PREFIX) :].partition(":")
        token = unquote(encoded)
        if not hmac.compare_digest(proof.encode(), self._proof(scope, token).encode()):
            return None
        self._learn(scope, token)
        return token

    def knows(self, scope: str, token: str) -> bool:
        """Whether that scope is known to hold this lock."""
        return (scope, token) in self._known

    def opened(self, scope: str, condition: Condition) -> Condition:
        """The condition for the storage; a token that is not the scope's matches nothing."""
        if not condition.token or condition.token == NO_LOCK:
            return condition
        token = self.open(scope, condition.token) or NEVER
        return Condition(token=token, negated=condition.negated)

    def _proof(self, scope: str, token: str) -> str:
        code = hmac.digest(self._key, f"{scope}\0{token}".encode(), hashlib.sha256)
        return urlsafe_b64encode(code).decode()[:_PROOF_LENGTH]

    def _learn(self, scope: str, token: str) -> None:
        self._known[scope, token] = None
        self._known.move_to_end((scope, token))
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
