"""What an administrator looks at first: figures by day, and what the installation needs."""

from __future__ import annotations

from collections.abc import Sequence
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
        [_day(day, found) for day in listed],
        found.counted_at,
        _installation(session) if actor.reaches_all else None,
    )


def _day(day: date, found: figures.Figures) -> Day:
    counted = found.days.get(day, {})
    return Day(
        day,
        sign_ins=counted.get(Tag.SIGN_IN, 0),
        sign_in_refusals=counted.get(Tag.SIGN_IN_REFUSED, 0),
        tokens_by_code=counted.get(Tag.TOKEN_ISSUED, 0),
        tokens_by_refresh=counted.get(Tag.TOKEN_REFRESHED, 0),
        new_users=counted.get(Tag.USER_CREATED, 0),
    )


def _installation(session: Session) -> Installation:
    waiting, failed = jobs.count_open(session)
    keys = signing.list_page(session, status="active")
    return Installation(waiting, failed, keys, _to_do(session))


def _to_do(session: Session) -> list[str]:
    settings = runtime.of(session).settings
    missing = {
        "mail": not settings.smtp_url,
        "https": not settings.secure,
        "second_administrator": (permissions.count_administrators(session) < ENOUGH_ADMINISTRATORS),
    }
    return [name for name in TO_DO if missing[name]]
