"""Points in time: how long ago they were, with the exact one as a hint."""

from __future__ import annotations

from datetime import datetime

from flask_babel import format_datetime, format_timedelta
from markupsafe import Markup

from idp.platform import clock


def time(at: datetime | None, never: str = "—") -> Markup:
    """Write a point in time as an element that a script keeps up to date and puts in local time."""
    if at is None:
        return Markup('<span class="quiet">{}</span>').format(never)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{format_datetime(at, 'medium')} UTC", ago(at)
    )


def ago(at: datetime) -> str:
    """Write how long ago, or how far ahead, a point in time is."""
    text: str = format_timedelta(at - clock.now(), granularity="second", add_direction=True)
    return text


def days(at: datetime) -> int:
    """Return how many whole days have passed since a point in time."""
    return (clock.now() - at).days
