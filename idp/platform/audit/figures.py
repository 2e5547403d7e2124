"""Events of a day by kind and tenant: counted by the worker, read without looking at events.

A day is counted again and again until a while after its end, each time by ranges of the index over
tag and time. What was counted is kept longer than the events.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from idp.platform import clock
from idp.platform.audit.models import AuditEvent, DailyFigure
from idp.platform.audit.tags import Tag
from idp.platform.db import insert
from idp.platform.runtime import Runtime

COUNTED = (
    Tag.SIGN_IN,
    Tag.SIGN_IN_REFUSED,
    Tag.TOKEN_ISSUED,
    Tag.TOKEN_REFRESHED,
    Tag.USER_CREATED,
)
ALL_TENANTS = 0
DAYS_BACK = 90
"""How far a new installation of this looks back."""
LATE = timedelta(minutes=15)
"""Events are written by transactions that began before: later than this none comes any more."""
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
DAY_BEFORE = -1
MOST_BY_THE_HOUR = 50_000


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted: for each day the events of each tag, and when the last day was counted."""

    days: Mapping[date, Mapping[str, int]]
    counted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hours:
    """Events of each tag by the number of the hour, and under `DAY_BEFORE` of the day before."""

    hours: Mapping[int, Mapping[str, int]]
    is_cut: bool
    """Whether there were more events than are counted."""


def count_due(process: Runtime, stop: threading.Event) -> None:
    """Count each day that is not over, or was not counted since; the newest first."""
    for day in _due(process):
        if stop.is_set():
            return
        with process.sessions() as session:
            count_day(session, day)
            session.commit()


def count_day(session: Session, day: date) -> None:
    """Count the events of a day; counting it twice at once comes to the same."""
    moment = clock.now()
    totals: defaultdict[tuple[int, str], int] = defaultdict(int)
    for tenant_id, tag, count in _events(session, day):
        totals[ALL_TENANTS, tag] += count
        if tenant_id is not None:
            totals[tenant_id, tag] += count
    totals[ALL_TENANTS, ""] = 0
    rows = [
        {"day": day, "tenant_id": tenant_id, "tag": tag, "count": count, "counted_at": moment}
        for (tenant_id, tag), count in sorted(totals.items())
    ]
    statement = insert(session, DailyFigure)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "day", "tag"],
            set_={
                "count": statement.excluded.count,
                "counted_at": statement.excluded.counted_at,
            },
            # What is as it was is not written again, but for the row that says when.
            where=or_(DailyFigure.count != statement.excluded.count, DailyFigure.tag == ""),
        ),
        rows,
    )


def read(session: Session, first: date, last: date, *, tenant_id: int | None = None) -> Figures:
    """Return the figures of some days, of one tenant or of all: two queries, whatever was done."""
    query = select(DailyFigure.day, DailyFigure.tag, DailyFigure.count).where(
        DailyFigure.tenant_id == (ALL_TENANTS if tenant_id is None else tenant_id),
        DailyFigure.day.between(first, last),
        DailyFigure.tag != "",
    )
    found: dict[date, dict[str, int]] = {}
    for day, tag, count in session.execute(query):
        found.setdefault(day, {})[tag] = count
    counted_at = session.scalar(
        select(func.max(DailyFigure.counted_at)).where(
            _marks(), DailyFigure.day.between(first, last)
        )
    )
    return Figures(found, counted_at)


def read_hours(session: Session, first: datetime, *, tenant_id: int | None = None) -> Hours:
    """Count the events of a day by the hour, and those of the day before: one statement.

    Nobody counts hours beforehand. So that a page does not read the whole audit log, the newest
    `MOST_BY_THE_HOUR` events of each tag are counted; where there are more, the oldest hours lack
    some.
    """
    within = [] if tenant_id is None else [AuditEvent.tenant_id == tenant_id]
    parts = []
    for tag in COUNTED:
        newest = (
            select(AuditEvent.at)
            .where(AuditEvent.tag == tag, AuditEvent.at >= first - DAY, *within)
            .order_by(AuditEvent.at.desc())
            .limit(MOST_BY_THE_HOUR)
            .subquery()
        )
        hour = case(
            *((newest.c.at >= first + number * HOUR, number) for number in reversed(range(24))),
            else_=DAY_BEFORE,
        )
        parts.append(select(literal(str(tag)), hour, func.count()).group_by(hour))
    found: dict[int, dict[str, int]] = {}
    totals: defaultdict[str, int] = defaultdict(int)
    for tag, number, count in session.execute(union_all(*parts)):
        found.setdefault(number, {})[tag] = count
        totals[tag] += count
    return Hours(found, is_cut=max(totals.values(), default=0) >= MOST_BY_THE_HOUR)


def last_counted_at(session: Session) -> datetime | None:
    """Return when figures were last counted, which a worker does every few minutes."""
    query = select(DailyFigure.counted_at).where(_marks()).order_by(DailyFigure.day.desc())
    return session.scalar(query.limit(1))


def _due(process: Runtime) -> list[date]:
    today = clock.now().date()
    with process.sessions() as session:
        known = {
            row.day: row.counted_at
            for row in session.execute(
                select(DailyFigure.day, DailyFigure.counted_at).where(
                    _marks(), DailyFigure.day >= today - DAYS_BACK * DAY
                )
            )
        }
    days = [today - number * DAY for number in range(DAYS_BACK)]
    return [day for day in days if day not in known or known[day] < _begin(day + DAY) + LATE]


def _marks() -> ColumnElement[bool]:
    """Return in SQL which rows say that a day was counted."""
    return and_(DailyFigure.tenant_id == ALL_TENANTS, DailyFigure.tag == "")


def _events(session: Session, day: date) -> Collection[tuple[int | None, str, int]]:
    query = (
        select(AuditEvent.tenant_id, AuditEvent.tag, func.count())
        .where(
            AuditEvent.tag.in_(COUNTED),
            AuditEvent.at >= _begin(day),
            AuditEvent.at < _begin(day + DAY),
        )
        .group_by(AuditEvent.tenant_id, AuditEvent.tag)
    )
    return [(tenant_id, tag, count) for tenant_id, tag, count in session.execute(query)]


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
