"""The one place that reads the time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)


def timestamp() -> int:
    """Return the current time in whole seconds since the epoch (RFC 7519 NumericDate)."""
    return int(now().timestamp())
