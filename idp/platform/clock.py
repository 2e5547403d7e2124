"""The one place that reads the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_set: ContextVar[datetime | None] = ContextVar("clock", default=None)


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return _set.get() or datetime.now(UTC)


def timestamp() -> int:
    """Return the current time in whole seconds since the epoch (RFC 7519 NumericDate)."""
    return int(now().timestamp())


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Set the time for the code inside, on this thread; only the demo's history is made so."""
    token = _set.set(moment)
    try:
        yield
    finally:
        _set.reset(token)
