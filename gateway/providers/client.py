"""Requests to other OCM Servers, each signed as that server can verify.

One scheme for a request, for both use the field Signature: RFC 9421 for a server that has
`http-sig` or demands signatures, draft-cavage for one that publishes a key for it, none for others,
which ignore it. A server that was ever sent or has ever sent a signed message is always signed to.
Token requests are signed in any case (draft 03, 14.3).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gateway import metrics
from gateway.errors import GatewayError
from gateway.httpsig import cavage
from gateway.httpsig.message import Message, sign
from gateway.model import Authority, Scheme
from gateway.providers.discovery import Discoveries
from gateway.providers.registry import Registry
from gateway.providers.ring import Ring
from gateway.transport import Answer, Guarded

_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    retry_after_seconds: int | None = None


class ProviderClient:
    """Posts to other servers, each request signed afresh, redirects not followed."""

    def __init__(
        self,
        guarded: Guarded,
        discoveries: Discoveries,
        registry: Registry,
        ring: Ring,
        clock: Callable[[], int],
        *,
        provider_seconds: float,
    ) -> None:
        self._guarded = guarded
        self._discoveries = discoveries
        self._registry = registry
        self._ring = ring
        self._clock = clock
        self._provider_seconds = provider_seconds

    async def post(
        self,
        provider: Authority,
        url: str,
        body: bytes,
        *,
        content_type: str,
        purpose: str,
        status_alone: bool = False,
    ) -> Reply:
        """Post `body` to an address of that server; whatever it answers is a Reply.

        `purpose` is a metric's label. `status_alone` takes a 2xx whose body is too long or breaks
        off for one without a body. Raises ProviderFailed, ProviderTimeout, ProviderRefused, and
        Refused where policy says no.
        """
        scheme = await self._scheme(provider, always=purpose == "token")
        message = self._signed(
            Message("POST", url, (("Content-Type", content_type),), body), scheme
        )
        headers = dict(message.headers) | {"Accept": "application/json"}
        metrics.signed.labels(scheme=scheme.value).inc()
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
                    await _body(answer, status_alone=status_alone),
                    int(retry_after) if retry_after.isdigit() else None,
                )
        except GatewayError:
            metrics.provider_requests.labels(purpose=purpose, result="failed").inc()
            raise
        result = "ok" if reply.status < 300 else "refused"
        metrics.provider_requests.labels(purpose=purpose, result=result).inc()
        if scheme is not Scheme.NONE:
            self._registry.signed_to(provider, scheme)
        return reply

    async def _scheme(self, provider: Authority, *, always: bool) -> Scheme:
        """The one scheme of a request to that server."""
        document = self._discoveries.at_hand(provider)
        if document is None or document.signs or document.wants_signatures:
            return Scheme.RFC9421
        if document.public_key and self._ring.cavage:
            return Scheme.CAVAGE
        owed = await self._registry.owed(provider)
        if owed is Scheme.CAVAGE and self._ring.cavage:
            return owed
        return Scheme.RFC9421 if always or owed is not Scheme.NONE else Scheme.NONE

    def _signed(self, message: Message, scheme: Scheme) -> Message:
        if scheme is Scheme.NONE:
            return message
        if scheme is Scheme.CAVAGE and (key := self._ring.cavage):
            return cavage.sign(message, key, self._clock())
        # A nonce makes every signature another, so that a retry is never taken for a replay.
        nonce = secrets.token_urlsafe(12)
        return sign(message, self._ring.active, self._clock(), nonce=nonce)


async def _body(answer: Answer, *, status_alone: bool) -> bytes:
    try:
        return await answer.read(_ANSWER_BYTES)
    except GatewayError:
        if status_alone and 200 <= answer.status < 300:
            return b""
        raise
