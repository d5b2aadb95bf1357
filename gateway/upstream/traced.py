"""A way to the storage whose requests are spans, from the first byte sent to the last one read.

Apart from `pool.py`, so that without telemetry nothing of it is on the way to the storage.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from multidict import CIMultiDict

from gateway.telemetry import Kind, Spans
from gateway.upstream.origin import split
from gateway.upstream.reply import Reply
from gateway.upstream.way import Way


class Traced:
    """A Way over another one: a span for each request within a trace."""

    def __init__(self, way: Way, spans: Spans) -> None:
        self._way = way
        self._spans = spans

    async def close(self) -> None:
        """Close the other one."""
        await self._way.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | CIMultiDict[str] | None = None,
        **options: Any,
    ) -> AsyncIterator[Reply]:
        """As `Pool.request`; the span's mark goes to the storage in place of the caller's."""
        facts = {"http.request.method": method, "server.address": split(url)[0].authority}
        async with AsyncExitStack() as stack:
            span = stack.enter_context(self._spans.span(method, Kind.CLIENT, facts))
            with span.leading():
                sent = CIMultiDict(headers or {})
                if span.trace:
                    sent.popall("traceparent", None)
                asking = self._way.request(method, url, headers=sent, **options)
                reply = await stack.enter_async_context(asking)
            span.tell({"http.response.status_code": reply.status})
            yield reply
