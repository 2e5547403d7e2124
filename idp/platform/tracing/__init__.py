"""Traces of requests and jobs (OpenTelemetry), where `IDP_OTLP_URL` is set.

Nothing here imports OpenTelemetry, which is an extra. On a thread the span under way is found in a
context variable; on the event loop it is held by the request's storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from idp.config import Settings, SettingsError

if TYPE_CHECKING:
    from idp.platform.tracing.exporting import Tracer

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
LONGEST_TRACEPARENT = 55

Attributes = Mapping[str, str | int]


class Span(Protocol):
    """A step of a trace that has begun."""

    @property
    def traceparent(self) -> str:
        """The name of the step for those who go on with the trace (W3C Trace Context 3.2)."""

    @property
    def trace_id(self) -> str:
        """The id of the trace."""

    def child(self, name: str, attributes: Attributes | None = None, *, kind: str = "") -> Span:
        """Begin a step of this one; `kind` is `client` for what asks another server."""

    def end(
        self, attributes: Attributes | None = None, *, name: str = "", has_failed: bool = False
    ) -> None:
        """End the step."""


_under_way: ContextVar[Span | None] = ContextVar("idp_span", default=None)


def create(settings: Settings, role: str) -> Tracer | None:
    """Return what begins traces; None: none are wanted.

    Its thread starts here, so this must not be called before a worker is forked.
    """
    if not settings.otlp_url or role not in {"serve", "worker"}:
        return None
    try:
        from idp.platform.tracing.exporting import Tracer  # noqa: PLC0415 - needs an extra
    except ImportError:
        message = "IDP_OTLP_URL needs the extra `otel`: pip install 'idp[otel]'"
        raise SettingsError(message) from None
    return Tracer(settings.otlp_url, settings.trace_ratio, role)


def read_traceparent(text: str | None) -> tuple[int, int, int] | None:
    """Read a trace id, a span id and flags (W3C Trace Context 3.2); None: there are none."""
    found = _TRACEPARENT.fullmatch(text or "")
    if found is None or text is None or text.startswith("ff"):
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return (trace_id, span_id, flags) if trace_id and span_id else None


def under_way() -> Span | None:
    """Return the span that this thread works on."""
    return _under_way.get()


def traceparent() -> str | None:
    """Return the name of the span that this thread works on, for work that is left to others."""
    span = _under_way.get()
    return None if span is None else span.traceparent


@contextmanager
def using(span: Span | None) -> Iterator[None]:
    """Make a span the one that this thread works on; it is ended by whoever began it."""
    token = _under_way.set(span)
    try:
        yield
    finally:
        _under_way.reset(token)


@contextmanager
def step(name: str, attributes: Attributes | None = None, *, kind: str = "") -> Iterator[None]:
    """Trace what is done inside, where this thread works on a span."""
    parent = _under_way.get()
    if parent is None:
        yield
        return
    span = parent.child(name, attributes, kind=kind)
    has_failed = True
    try:
        with using(span):
            yield
        has_failed = False
    finally:
        span.end(has_failed=has_failed)
