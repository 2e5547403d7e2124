"""Points in time: how long ago they were, with the exact one as a hint."""

from __future__ import annotations

from datetime import datetime

from flask_babel import format_datetime, format_timedelta

from idp.platform import clock


def exact(at: datetime) -> str:
    """Write a point in time to the second."""
    return f"{format_datetime(at, 'medium')} UTC"


def ago(at: datetime) -> str:
    """Write how long ago, or how far ahead, a point in time is."""
    text: str = format_timedelta(at - clock.now(), granularity="second", add_direction=True)
    return text


def days(at: datetime) -> int:
    """Return how many whole days have passed since a point in time."""
    return (clock.now() - at).days
