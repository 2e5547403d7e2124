"""Keys on a time line: which one signed when, how long it verifies, what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.pages.console import times
from idp.platform import clock
from idp.platform.signing.algorithms import ALGORITHMS
from idp.platform.signing.models import SigningKey

WIDTH, LEFT, TOP, ROW = 940, 80, 38, 64
LONGEST_PAST = timedelta(days=150)
SHORTEST_PAST = timedelta(days=30)
MOST_THIN = 3
"""Lines below the bars of a row: of the last keys."""
SHORT = 8
"""Letters of an id by which people tell keys apart."""
ROOM = 70
"""Width from which on a bar has room for an id."""
KINDS = {"next": "next", "active": "a", "retired": "old"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A time in which a key signs."""

    kind: str
    x: float
    y: float
    width: float
    text: str
    """Empty: there is no room for one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A time in which a key verifies."""

    kind: str
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """An algorithm."""

    alg: str
    y: float
    bars: Sequence[Bar]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Rows of keys over months."""

    height: int
    months: Sequence[tuple[float, str]]
    rows: Sequence[Row]
    today: float


@dataclass(frozen=True, slots=True)
class _Scale:
    """The time that is shown, and the width that it has."""

    begin: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        """Return where a point in time is, within what is shown."""
        moment = min(max(moment, self.begin), self.end)
        part = (moment - self.begin) / (self.end - self.begin)
        return round(LEFT + (WIDTH - LEFT) * part, 1)


def of(keys: Sequence[SigningKey], rotation: timedelta) -> TimeLine:
    """Draw keys that are published; `rotation` is how long each signs."""
    now = clock.now()
    first = min((key.activated_at or key.created_at for key in keys), default=now)
    begin = max(min(first, now - SHORTEST_PAST), now - LONGEST_PAST)
    scale = _Scale(begin, now + rotation + timedelta(days=45))
    names = [alg for alg in ALGORITHMS if any(key.alg == alg for key in keys)]
    rows = [
        _row(alg, TOP + ROW * index, [key for key in keys if key.alg == alg], scale, rotation)
        for index, alg in enumerate(names)
    ]
    height = TOP + ROW * len(names) + 14
    return TimeLine(height, [*_months(scale)], rows, scale.at(now))


def _row(alg: str, y: float, keys: Sequence[SigningKey], scale: _Scale, rotation: timedelta) -> Row:
    keys = sorted(keys, key=lambda key: key.id)
    active = next((key for key in keys if key.status == "active"), None)
    due = clock.now() if active is None else _signs_from(active) + rotation
    due = max(due, clock.now())
    bars, lines = [], []
    for key in keys:
        begin, end = _signing(key, due, rotation)
        x, width = scale.at(begin), scale.at(end) - scale.at(begin)
        if width > 0:
            text = key.kid[:SHORT] if width >= ROOM else ""
            bars.append(Bar(KINDS[key.status], x, y, round(max(width - 2, 1), 1), text))
    for index, key in enumerate(keys[-MOST_THIN:]):
        x = scale.at(key.created_at)
        width = scale.at(key.publish_until or scale.end) - x
        kind = "pub-old" if key.status == "retired" else "pub"
        lines.append(Line(kind, x, y + 30 + 5 * index, round(max(width, 1), 1)))
    return Row(alg, y, bars, lines)


def _signing(key: SigningKey, due: datetime, rotation: timedelta) -> tuple[datetime, datetime]:
    """Return from when until when a key signs; `due` is when the active one is replaced."""
    if key.status == "next":
        return due, due + rotation
    if key.status == "active":
        return _signs_from(key), due
    return _signs_from(key), key.retired_at or _signs_from(key)


def _signs_from(key: SigningKey) -> datetime:
    return key.activated_at or key.created_at


def _months(scale: _Scale) -> Iterator[tuple[float, str]]:
    moment = scale.begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while moment < scale.end:
        if moment >= scale.begin:
            yield scale.at(moment), times.month(moment)
        moment = (moment + timedelta(days=32)).replace(day=1)
