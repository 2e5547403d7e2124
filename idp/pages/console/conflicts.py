"""Two people changed the same thing: what each of them wants, and who was first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from idp.pages.console import trail
from idp.pages.form import Form


@dataclass(frozen=True, slots=True)
class Line:
    """A field that differs."""

    title: Any
    theirs: str
    yours: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a form would overwrite."""

    who: str | None
    at: datetime | None
    lines: Sequence[Line]


def of(
    session: Session,
    target: str,
    tags: Collection[str],
    fields: Iterable[tuple[Any, str, str]],
) -> Conflict:
    """Compare a form with what is stored: (title, stored value, value of the form) of each field.

    Who was first is read from the audit log, by the tags of changes.
    """
    events = trail.of(session, target, tags, limit=1)
    lines = [Line(title, theirs, yours) for title, theirs, yours in fields if theirs != yours]
    if not events:
        return Conflict(None, None, lines)
    return Conflict(events[0].who, events[0].at, lines)


def compared(stored: Form, form: Form, names: Iterable[str]) -> list[tuple[Any, str, str]]:
    """Return title, stored value and value of the form, for fields that two forms have."""
    return [
        (stored[name].label.text, str(stored[name].data or ""), str(form[name].data or ""))
        for name in names
    ]
