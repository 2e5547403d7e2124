"""Spans of OpenTelemetry, sent to a collector by OTLP over HTTP."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from idp import __version__
from idp.platform.tracing import Attributes, read_traceparent

PATH = "/v1/traces"
SECONDS = 5
_KINDS = {
    "": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
}


class Tracer:
    """Begins traces, and sends what has ended from a thread of its own."""

    def __init__(self, url: str, ratio: float, role: str) -> None:
        # A collector that is away would be reported twice a minute; its own log says more.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        about = {"service.name": "idp", "service.version": __version__, "idp.role": role}
        sampler = ParentBased(TraceIdRatioBased(ratio))
        self._provider = TracerProvider(
            sampler=sampler, resource=Resource(about), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=_endpoint(url), timeout=SECONDS))
        )
        self._tracer = self._provider.get_tracer("idp", __version__)

    def begin(
        self,
        name: str,
        traceparent: str | None,
        attributes: Attributes | None = None,
        *,
        kind: str = "server",
    ) -> Traced:
        """Begin a span below the one that is named, or a trace of its own."""
        return Traced(self._tracer, _start(self._tracer, name, traceparent, attributes, kind))

    def close(self) -> None:
        """Send what has ended, for some seconds at most."""
        self._provider.shutdown()


class Traced:
    """A span that has begun."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def traceparent(self) -> str:
        """The name of the span for those who go on with the trace."""
        context = self._span.get_span_context()
        span_id, flags = format_span_id(context.span_id), context.trace_flags
        return f"00-{self.trace_id}-{span_id}-{flags:02x}"

    @property
    def trace_id(self) -> str:
        """The id of the trace."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def child(self, name: str, attributes: Attributes | None = None, *, kind: str = "") -> Traced:
        """Begin a step of this one."""
        span = self._tracer.start_span(
            name,
            set_span_in_context(self._span),
            kind=_KINDS[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        return Traced(self._tracer, span)

    def end(
        self, attributes: Attributes | None = None, *, name: str = "", has_failed: bool = False
    ) -> None:
        """End the step; of a failure only that it happened is told, for its text may be secret."""
        if name:
            self._span.update_name(name)
        for key, value in (attributes or {}).items():
            self._span.set_attribute(key, value)
        if has_failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _start(
    tracer: trace.Tracer,
    name: str,
    traceparent: str | None,
    attributes: Attributes | None,
    kind: str,
) -> trace.Span:
    given = read_traceparent(traceparent)
    # An empty context, so that nothing of the surroundings becomes a parent.
    context = trace.set_span_in_context(trace.INVALID_SPAN)
    if given is not None:
        trace_id, span_id, flags = given
        parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & 1))
        context = set_span_in_context(NonRecordingSpan(parent))
    return tracer.start_span(
        name,
        context,
        kind=_KINDS[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )


def _endpoint(url: str) -> str:
    """Return where traces are sent: the address as it is if it has a path."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH
