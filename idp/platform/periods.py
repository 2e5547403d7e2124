"""How callers write the bounds of a period: ISO 8601, a moment or a day by itself.

One rule for commands and operations: without a zone it is UTC, a day is one of the zone that was
sent, and a day that ends something is part of it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta


def start(text: str, *, whole_day: bool = False) -> datetime:
    """Return the first moment; `whole_day`: of a moment, that of its day. ValueError if none."""
    return _utc(_day(text) if whole_day or _is_day(text) else _moment(text))


def end(text: str, *, whole_day: bool = False) -> datetime:
    """Return the moment before which a period ends; a day is part of it. ValueError if none."""
    if not whole_day and not _is_day(text):
        return _utc(_moment(text))
    try:
        return _utc(_day(text) + timedelta(days=1))
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _day(text: str) -> datetime:
    """Return the midnight that a day begins with, in its own zone."""
    moment = _moment(text)
    return datetime.combine(moment.date(), time(), moment.tzinfo)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        message = "beyond all dates"
        raise ValueError(message) from None
