"""Points in time: how long ago they were, with the exact one as a hint."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask_babel import format_date, format_datetime, format_timedelta, get_locale

from idp.directory.users.profile import time_zones
from idp.platform import clock


def exact(at: datetime) -> str:
    """Write a point in time to the second."""
    return f"{format_datetime(at, 'medium')} UTC"


def ago(at: datetime) -> str:
    """Write how long ago, or how far ahead, a point in time is."""
    text: str = format_timedelta(at - clock.now(), granularity="second", add_direction=True)
    return text


def short_day(day: date) -> str:
    """Write the day of a month and the month."""
    return _by_skeleton(day, "MMMd")


def month(day: date) -> str:
    """Write a month, in January with its year."""
    return _by_skeleton(day, "yMMM" if day.month == 1 else "MMM")


def days(at: datetime) -> int:
    """Return how many whole days have passed since a point in time."""
    return (clock.now() - at).days


def _by_skeleton(day: date, skeleton: str) -> str:
    """Write parts of a date in the order of the visitor's language."""
    text: str = format_date(day, get_locale().datetime_skeletons[skeleton].pattern)
    return text


def zone(name: str | None) -> ZoneInfo:
    """Return the zone that a person chose in their profile, else UTC."""
    return ZoneInfo(name if name in time_zones() else "UTC")


def day(at: datetime, zone: ZoneInfo) -> str:
    """Write the day of a point in time."""
    text: str = format_date(at.astimezone(zone).date(), "full")
    return text


def of_day(at: datetime, zone: ZoneInfo) -> str:
    """Write the time of day, to the second."""
    return f"{at.astimezone(zone):%H:%M:%S}"


def of_hour(at: datetime, zone: ZoneInfo) -> str:
    """Write the time of day at which an hour begins."""
    return f"{at.astimezone(zone):%H:%M}"


def full(at: datetime, zone: ZoneInfo) -> str:
    """Write day, time and offset of a point in time."""
    return f"{day(at, zone)} {at.astimezone(zone):%H:%M:%S %z}"
