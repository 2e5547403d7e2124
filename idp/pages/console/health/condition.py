"""How the service is: database, keys, counters, worker, messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from sqlalchemy.orm import Session

from idp import __version__
from idp.platform import clock
from idp.platform.jobs import service as jobs
from idp.platform.web import health

OVERDUE_SECONDS = 300
"""How long a message may be due before somebody should look at the worker."""
COUNTED_EVERY = timedelta(minutes=15)
"""Three times as long as the worker takes to count again."""

TITLES: dict[str, Any] = {
    "database": lazy_gettext("Database"),
    "schema": lazy_gettext("Database schema"),
    "keys": lazy_gettext("Signing keys"),
    "redis": lazy_gettext("Shared counters"),
}
MOODS = ("good", "warn", "bad")


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the service."""

    title: str
    text: str
    mood: str
    """`good`, `warn` (it goes on without), `bad` (it does not)."""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """All parts, and the worst of them."""

    lines: Sequence[Line]

    @property
    def mood(self) -> str:
        """The worst of all parts."""
        return max((line.mood for line in self.lines), key=MOODS.index, default="good")


def read(session: Session, counted_at: datetime | None) -> Condition:
    """Look at every part; `counted_at` is when the worker last counted the figures by day."""
    return Condition(
        [
            *_up_or_down(health.needed(), "bad"),
            *_up_or_down(health.shared(), "warn"),
            _worker(session, counted_at),
            _messages(session),
            Line(_("Version"), __version__, "good"),
        ]
    )


def _up_or_down(states: Mapping[str, str], mood: str) -> Iterator[Line]:
    for name, state in states.items():
        title = str(TITLES.get(name, name))
        if state == "up":
            yield Line(title, _("up"), "good")
        else:
            yield Line(title, _("down"), mood, _("`idp doctor` says what is wrong."))


def _worker(session: Session, counted_at: datetime | None) -> Line:
    title = _("Worker")
    advice = _("Start `idp worker`, or `idp serve` without --no-worker.")
    overdue = jobs.oldest_seconds(session)
    if overdue > OVERDUE_SECONDS:
        minutes = int(overdue // 60)
        text = ngettext(
            "a message is overdue by %(num)s minute",
            "a message is overdue by %(num)s minutes",
            minutes,
        )
        return Line(title, text, "warn", advice)
    if counted_at is None or counted_at < clock.now() - COUNTED_EVERY:
        return Line(title, _("not seen lately"), "warn", advice)
    return Line(title, _("working"), "good")


def _messages(session: Session) -> Line:
    waiting, failed = jobs.count_open(session)
    text = _("%(waiting)s waiting, %(failed)s failed", waiting=waiting, failed=failed)
    return Line(_("Messages"), text, "warn" if failed else "good")
