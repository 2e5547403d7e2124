"""What an administrator looks at first: figures by day, and what the installation needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.platform import clock, runtime
from idp.platform.audit import figures
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.signing import service as signing
from idp.platform.signing.models import SigningKey

ENOUGH_ADMINISTRATORS = 2
COUNTED = {
    "sign_ins": Tag.SIGN_IN,
    "sign_in_refusals": Tag.SIGN_IN_REFUSED,
    "tokens_by_code": Tag.TOKEN_ISSUED,
    "tokens_by_refresh": Tag.TOKEN_REFRESHED,
    "new_users": Tag.USER_CREATED,
}
TO_DO = ("mail", "https", "second_administrator")
"""What every installation needs."""


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on a day (UTC)."""

    day: date
    sign_ins: int
    sign_in_refusals: int
    tokens_by_code: int
    tokens_by_refresh: int
    new_users: int


@dataclass(frozen=True, slots=True)
class Hour:
    """What happened in an hour."""

    at: datetime
    """When it began."""
    sign_ins: int
    sign_in_refusals: int
    tokens_by_code: int
    tokens_by_refresh: int
    new_users: int


@dataclass(frozen=True, slots=True)
class LastHours:
    """The last 24 hours, the oldest first, and the day before them as one."""

    day_before: Hour
    hours: Sequence[Hour]
    is_cut: bool
    """Whether there were more events than are counted, so that the first hours lack some."""


@dataclass(frozen=True, slots=True)
class Installation:
    """How the installation is."""

    messages_waiting: int
    messages_failed: int
    active_keys: Sequence[SigningKey]
    to_do: Sequence[str]
    """What a new installation still lacks, of `TO_DO`."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Figures by day, the oldest first, and at the platform how the installation is."""

    days: Sequence[Day]
    counted_at: datetime | None
    installation: Installation | None


def read(session: Session, actor: Actor, days: int) -> Overview:
    """Return the figures of the actor's tenant, and at the platform of all tenants."""
    today = clock.now().date()
    first = today - timedelta(days=days - 1)
    tenant_id = None if actor.reaches_all else actor.tenant_id
    found = figures.read(session, first, today, tenant_id=tenant_id)
    listed = [first + timedelta(days=number) for number in range(days)]
    return Overview(
        [Day(day, **_counts(found.days.get(day, {}))) for day in listed],
        found.counted_at,
        _installation(session) if actor.reaches_all else None,
    )


def read_hours(session: Session, actor: Actor) -> LastHours:
    """Return what happened in the actor's tenant, at the platform in all, by the hour."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    first = now - 23 * figures.HOUR
    tenant_id = None if actor.reaches_all else actor.tenant_id
    found = figures.read_hours(session, first, tenant_id=tenant_id)
    hours = [
        Hour(first + number * figures.HOUR, **_counts(found.hours.get(number, {})))
        for number in range(24)
    ]
    before = found.hours.get(figures.DAY_BEFORE, {})
    return LastHours(Hour(first - figures.DAY, **_counts(before)), hours, found.is_cut)


def _counts(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: counted.get(tag, 0) for name, tag in COUNTED.items()}


def _installation(session: Session) -> Installation:
    waiting, failed = jobs.count_open(session)
    keys = signing.list_page(session, status="active")
    return Installation(waiting, failed, keys, _to_do(session))


def _to_do(session: Session) -> list[str]:
    settings = runtime.of(session).settings
    missing = {
        "mail": not settings.smtp_url,
        "https": not settings.secure,
        "second_administrator": not permissions.has_administrators(session, ENOUGH_ADMINISTRATORS),
    }
    return [name for name in TO_DO if missing[name]]
