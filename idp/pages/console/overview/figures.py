"""Figures of some days beside those of as many days before, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask_babel import format_decimal, format_percent
from flask_babel import gettext as _

from idp.directory.overview import Day, Hour
from idp.pages.console import charts, times
from idp.pages.console.charts import Chart
from idp.platform.audit.tags import Tag

Span = Day | Hour
FEWEST_COLUMNS = 14
MOST_LABELS = 15
ALARMING = 10
"""Refusals in a day, from which on twice as many as the day before are shown in red."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the days shown, with its course and what it is compared with."""

    title: str
    number: str
    points: str
    note: str
    mood: str
    """`good`, `bad`, or nothing."""
    tag: Tag | None = None
    """Events that were counted; None: of several kinds."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A part of a whole."""

    title: str
    number: int
    width: int
    """Of 150."""
    tag: Tag


def of(days: Sequence[Span], shown: int) -> list[Figure]:
    """Return the figures of the last days or hours, compared with as many before."""
    return [
        _figure(_("Sign-ins"), days, shown, lambda day: day.sign_ins, Tag.SIGN_IN),
        _refusals(days, shown),
        _figure(_("Tokens issued"), days, shown, _tokens_of),
        _figure(_("New people"), days, shown, lambda day: day.new_users, Tag.USER_CREATED),
    ]


def chart(days: Sequence[Span], shown: int, zone: ZoneInfo) -> Chart:
    """Draw accepted and refused sign-ins by day or hour."""
    rows = days[-max(shown, FEWEST_COLUMNS) :]
    every = -(-len(rows) // MOST_LABELS)
    labels = [
        _label(row, zone, is_last=left == 0, is_first=left + every >= len(rows))
        if left % every == 0
        else None
        for left, row in zip(range(len(rows) - 1, -1, -1), rows, strict=True)
    ]
    return charts.columns([(row.sign_ins, row.sign_in_refusals) for row in rows], labels)


def meters(days: Sequence[Span]) -> list[Meter]:
    """Return the tokens of people by grant."""
    by_code = sum(day.tokens_by_code for day in days)
    by_refresh = sum(day.tokens_by_refresh for day in days)
    whole = by_code + by_refresh or 1
    return [
        Meter(_("Authorization code"), by_code, 150 * by_code // whole, Tag.TOKEN_ISSUED),
        Meter(_("Refresh token"), by_refresh, 150 * by_refresh // whole, Tag.TOKEN_REFRESHED),
    ]


def _figure(
    title: str,
    days: Sequence[Span],
    shown: int,
    of_day: Callable[[Span], int],
    tag: Tag | None = None,
) -> Figure:
    figures = [of_day(day) for day in days]
    now, before = sum(figures[-shown:]), sum(figures[:-shown])
    return Figure(
        title,
        format_decimal(now),
        charts.spark(figures[-shown:]),
        _change(now, before),
        "good" if now > before > 0 else "",
        tag,
    )


def _refusals(days: Sequence[Span], shown: int) -> Figure:
    figures = [day.sign_in_refusals for day in days]
    yesterday, today = figures[-2:]
    note = _(
        "%(today)s today, %(yesterday)s yesterday",
        today=format_decimal(today),
        yesterday=format_decimal(yesterday),
    )
    if isinstance(days[-1], Hour):
        yesterday, today = sum(figures[:-shown]), sum(figures[-shown:])
        note = _change(today, yesterday)
    return Figure(
        _("Refused sign-ins"),
        format_decimal(sum(figures[-shown:])),
        charts.spark(figures[-shown:]),
        note,
        "bad" if today >= ALARMING and today > 2 * yesterday else "",
        Tag.SIGN_IN_REFUSED,
    )


def _change(now: int, before: int) -> str:
    if not before:
        return ""
    change: str = format_percent(now / before - 1, format="+#,##0.0 %;-#,##0.0 %")
    return change


def _tokens_of(day: Span) -> int:
    return day.tokens_by_code + day.tokens_by_refresh


def _label(row: Span, zone: ZoneInfo, *, is_last: bool, is_first: bool) -> str:
    if isinstance(row, Hour):
        return str(_("now")) if is_last else times.of_hour(row.at, zone)
    day = row.day
    if is_last:
        return str(_("today"))
    return times.short_day(day) if is_first or day.day == 1 else str(day.day)
