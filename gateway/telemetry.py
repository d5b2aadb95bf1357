"""Spans for OpenTelemetry: what a request led to, and how long each part of it took.

Off unless `telemetry.endpoint` is set; then nothing of OpenTelemetry is imported, and on the way of
a request nobody asks for a span: the parts are put together without. The library is an extra,
`ocm-gateway[otel]`.

A trace is carried by `logs.TRACE` and nothing else. A span begins below what stands there; while it
leads, its own mark stands there, for the log and for what goes out. A request of ours outside of
any trace, such as whether the storage is well, makes no span.

A thread of the library sends spans in batches, from a queue of bounded length. Where nobody takes
them they are dropped; no request waits for that or fails with it.
"""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from gateway import __version__
from gateway.errors import GatewayError, Unavailable
from gateway.logs import TRACE, event

QUEUE = 2048
"""The most spans that wait to be sent."""
_BATCH = 512
_PAUSE_MILLISECONDS = 2000
_SEND_SECONDS = 5
_CLOSE_SECONDS = 3.0
_TOLD_SECONDS = 60
_LONGEST = 300

Facts = Mapping[str, str | int]


class Kind(Enum):
    """What a span is about: a request to us, one of ours, or work of our own."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where spans go (OTLP over HTTP), under which name, and which share of new traces is kept."""

    endpoint: str
    service: str
    sample: float
    token: str = field(default="", repr=False)


class Span(Protocol):
    """Something that takes a while. `trace` is its mark, a `traceparent`."""

    trace: str

    def tell(self, facts: Facts, *, name: str = "") -> None:
        """What is known of it by now. Never a secret, a path, or who somebody is."""

    def fail(self, kind: str) -> None:
        """It went wrong; `kind` is a code."""

    def leading(self) -> AbstractContextManager[None]:
        """What begins in this block belongs below it."""


class Spans(Protocol):
    """Makes spans; `on` says whether anybody wants them."""

    on: bool

    def span(
        self, name: str, kind: Kind, facts: Facts, *, trace: str | None = None
    ) -> AbstractContextManager[Span]:
        """A span as long as the block; `trace` is what it is below, else what stands in TRACE."""

    async def close(self) -> None:
        """Send what waits, as far as that goes in a moment."""


class _NoSpan:
    trace = ""

    def tell(self, facts: Facts, *, name: str = "") -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    def leading(self) -> AbstractContextManager[None]:
        return nullcontext()


class _Off:
    on = False

    def span(
        self,
        name: str,  # noqa: ARG002
        kind: Kind,  # noqa: ARG002
        facts: Facts,  # noqa: ARG002
        *,
        trace: str | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        return _NONE

    async def close(self) -> None:
        pass


_NONE: AbstractContextManager[Span] = nullcontext(_NoSpan())
OFF: Spans = _Off()
"""No telemetry."""


class _OtelSpan:
    def __init__(self, span: Any) -> None:
        self._span = span
        mark = span.get_span_context()
        self.trace = f"00-{mark.trace_id:032x}-{mark.span_id:016x}-{mark.trace_flags:02x}"

    def tell(self, facts: Facts, *, name: str = "") -> None:
        self._span.set_attributes(facts)
        if name:
            self._span.update_name(name)

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", kind)

    @contextmanager
    def leading(self) -> Iterator[None]:
        before = TRACE.get()
        TRACE.set(self.trace)
        try:
            yield
        finally:
            TRACE.set(before)


def opened(wanted: Wanted | None) -> Spans:
    """What makes spans as wanted. Raises Unavailable where the library is not installed."""
    return OFF if wanted is None else _Otel(wanted)


class _Otel:
    on = True

    def __init__(self, wanted: Wanted) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

            exporter = _exporter(wanted)
        except ImportError as error:
            raise Unavailable("telemetry needs the extra ocm-gateway[otel]") from error
        logger = logging.getLogger("opentelemetry")
        logger.handlers, logger.propagate = [_Told()], False
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(wanted.sample)),
            resource=Resource.create(
                {"service.name": wanted.service, "service.version": __version__}
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=QUEUE,
                max_export_batch_size=_BATCH,
                schedule_delay_millis=_PAUSE_MILLISECONDS,
            )
        )
        self._tracer = self._provider.get_tracer("ocm-gateway", __version__)

    @contextmanager
    def span(
        self, name: str, kind: Kind, facts: Facts, *, trace: str | None = None
    ) -> Iterator[Span]:
        above = TRACE.get() if trace is None else trace
        if kind is Kind.CLIENT and not above:
            yield _NoSpan()
            return
        span = self._begun(name, kind, facts, above)
        found = _OtelSpan(span)
        try:
            yield found
        except GatewayError as error:
            found.fail(error.code)
            raise
        except BaseException as error:
            found.fail(type(error).__name__)
            raise
        finally:
            span.end()

    def _begun(self, name: str, kind: Kind, facts: Facts, above: str) -> Any:
        from opentelemetry import trace
        from opentelemetry.context import Context

        context = Context()
        if above:
            _, trace_id, span_id, flags = above.split("-")
            mark = trace.SpanContext(
                int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16) & 1)
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(mark), context)
        return self._tracer.start_span(
            name, context, trace.SpanKind[kind.value], attributes=facts, record_exception=False
        )

    async def close(self) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop did not wait so long
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut, daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await done.wait()


def _exporter(wanted: Wanted) -> Any:
    import requests
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    session = requests.Session()
    session.trust_env = False  # no proxies, no .netrc: as everywhere in the gateway
    session.max_redirects = 0
    return OTLPSpanExporter(
        endpoint=wanted.endpoint,
        certificate_file=ssl.get_default_verify_paths().cafile,
        headers={"Authorization": f"Bearer {wanted.token}"} if wanted.token else {},
        timeout=_SEND_SECONDS,
        compression=Compression.Gzip,
        session=session,
    )


class _Told(logging.Handler):
    """The library's complaints, as events of ours, and not one for each batch."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one, and then nothing for a while."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _TOLD_SECONDS
        said = " ".join(record.getMessage().split())[:_LONGEST]
        event("telemetry.stalled", level="warning", error=said)
