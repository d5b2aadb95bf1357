"""Signed requests to other OCM Servers."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gateway import metrics
from gateway.errors import GatewayError
from gateway.httpsig.message import Message, sign
from gateway.model import Authority
from gateway.providers.ring import Ring
from gateway.transport import Guarded

_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    retry_after_seconds: int | None = None


class ProviderClient:
    """Posts to other servers, each request signed afresh (RFC 9421), redirects not followed."""

    def __init__(
        self, guarded: Guarded, ring: Ring, clock: Callable[[], int], *, provider_seconds: float
    ) -> None:
        self._guarded = guarded
        self._ring = ring
        self._clock = clock
        self._provider_seconds = provider_seconds

    async def post(
        self, provider: Authority, url: str, body: bytes, *, content_type: str, purpose: str
    ) -> Reply:
        """Post `body` to an address of that server; whatever it answers is a Reply.

        `purpose` is a metric's label. Raises ProviderFailed, ProviderTimeout, ProviderRefused, and
        Refused where policy says no.
        """
        # A nonce makes every signature another, so that a retry is never taken for a replay.
        message = sign(
            Message("POST", url, (("Content-Type", content_type),), body),
            self._ring.active,
            self._clock(),
            nonce=secrets.token_urlsafe(12),
        )
        headers = dict(message.headers) | {"Accept": "application/json"}
        try:
            async with self._guarded.request(
                provider,
                "POST",
                url,
                headers=headers,
                body=body,
                total_seconds=self._provider_seconds,
            ) as answer:
                retry_after = answer.headers.get("Retry-After", "")
                reply = Reply(
                    answer.status,
                    await answer.read(_ANSWER_BYTES),
                    int(retry_after) if retry_after.isdigit() else None,
                )
        except GatewayError:
            metrics.provider_requests.labels(purpose=purpose, result="failed").inc()
            raise
        result = "ok" if reply.status < 300 else "refused"
        metrics.provider_requests.labels(purpose=purpose, result=result).inc()
        return reply
