"""Statements of the database as steps of a trace: their text, and never their values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from idp.platform import tracing
from idp.platform.tracing import Span

LONGEST = 2000


def begin(parent: Span, text: str) -> Span:
    """Begin the step of a statement."""
    words = " ".join(text.split())[:LONGEST]
    about = {"db.query.text": words}
    return parent.child(words.partition(" ")[0], about, kind="client")


def watch(engine: Engine) -> None:
    """Trace the statements of threads that work on a span."""

    @event.listens_for(engine, "before_cursor_execute")
    def start(
        _connection: Any, _cursor: Any, text: str, _values: Any, context: Any, _: Any
    ) -> None:
        parent = tracing.under_way()
        if parent is not None:
            context.idp_span = begin(parent, text)

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, _text: str, _values: Any, context: Any, _: Any) -> None:
        finish(context, has_failed=False)

    @event.listens_for(engine, "handle_error")
    def fail(failure: ExceptionContext) -> None:
        finish(failure.execution_context, has_failed=True)

    def finish(context: Any, *, has_failed: bool) -> None:
        span: Span | None = getattr(context, "idp_span", None)
        if span is not None:
            context.idp_span = None
            span.end(has_failed=has_failed)
