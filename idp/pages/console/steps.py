"""Acts on many rows, carried out in steps that a person can watch and stop.

Nothing is kept between the steps: each form says how far the work is, and is checked like any
other. A step that is sent twice repeats what has no effect the second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import request
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.pages.console import layout
from idp.pages.console.lists import MOST_COUNTED
from idp.pages.console.screens import Screen
from idp.pages.console.workspaces import Workspace
from idp.pages.messages import translate
from idp.platform.errors import BadRequest, Conflict, Forbidden, NotFound, Problem, Unprocessable
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_

ROWS = 50
"""Rows of a step."""
MANY = 100
"""From more rows than this on, an act is carried out in steps."""
REFUSALS = (BadRequest, Conflict, Forbidden, NotFound, Unprocessable)
LONGEST_SKIPPED = 20_000
MOST_REASONS = 20
MOST_IDS = 10


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows that were left out for one reason."""

    reason: str
    count: int
    ids: tuple[int, ...]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What the page of an act says, and where it leads back to."""

    title: str
    text: str
    back: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is."""

    total: int
    """One more than `MOST_COUNTED` when there are more."""
    until: int
    """The last row when it began; those that came later are not touched."""
    after: int = 0
    done: int = 0
    skipped: tuple[Skipped, ...] = ()
    is_over: bool = False
    is_stopped: bool = False

    @property
    def seen(self) -> int:
        """How many rows were worked on or left out."""
        return self.done + sum(each.count for each in self.skipped)

    @property
    def is_uncounted(self) -> bool:
        """Whether there are more rows than are counted."""
        return self.total > MOST_COUNTED

    @property
    def skipped_ids(self) -> list[int]:
        """The rows that were left out, as far as they are noted."""
        return [row_id for each in self.skipped for row_id in each.ids]

    @property
    def fields(self) -> Mapping[str, object]:
        """What the form of the next step carries."""
        left_out = [[each.reason, each.count, each.ids] for each in self.skipped]
        return {
            "total": self.total,
            "until": self.until,
            "after": self.after,
            "done": self.done,
            "skipped": json.dumps(left_out, ensure_ascii=False),
        }


def begin(session: Session, found: Select[Any], key: Any) -> Progress:
    """Count the rows of a query, up to a limit, and note the last row of the table."""
    rows = found.with_only_columns(key).order_by(None).limit(MOST_COUNTED + 1).subquery()
    total = session.scalar(select(func.count()).select_from(rows)) or 0
    return Progress(total, session.scalar(select(func.max(key))) or 0)


def read() -> Progress:
    """Read how far the work is from the form; BadRequest for what no page of ours has sent."""
    total, until, after, done = map(_number, ("total", "until", "after", "done"))
    return Progress(total, until, after, done, _skipped())


def carry_out(
    session: Session,
    found: Select[Any],
    key: Any,
    progress: Progress,
    act: Callable[[int], object],
    act_together: Callable[[Collection[int]], Collection[int]] = lambda _row_ids: (),
) -> Progress:
    """Do the next step: what one row refuses is noted, and the others go on.

    `act_together` does what it can with few statements, and returns the rows that are done.
    """
    if request.form.get("act") == "stop":
        return replace(progress, is_over=True, is_stopped=True)
    rows = session.scalars(
        found.with_only_columns(key)
        .where(key > progress.after, key <= progress.until)
        .order_by(None)
        .order_by(key)
        .limit(ROWS)
    ).all()
    together = act_together(rows)
    progress = replace(progress, done=progress.done + len(together))
    for row_id in (each for each in rows if each not in together):
        try:
            with session.begin_nested():
                act(row_id)
        except REFUSALS as problem:
            progress = _leave_out(progress, row_id, problem)
        else:
            progress = replace(progress, done=progress.done + 1)
    return replace(progress, after=max(rows, default=progress.after), is_over=len(rows) < ROWS)


def page(
    workspace: Workspace,
    screen: Screen,
    progress: Progress,
    wording: Wording,
    *,
    form: Mapping[str, str] | None = None,
    choices: Mapping[str, Any] | None = None,
    names: Mapping[int, str] | None = None,
    is_asked: bool = False,
) -> Response:
    """Render what is about to begin, what is under way, or what came of it.

    `names` are what rows that were left out are called, where the visitor may see them.
    """
    reasons = [(translate(each.reason), each) for each in progress.skipped]
    return layout.page(
        workspace,
        "steps.html",
        screen=screen,
        crumbs=[layout.Crumb(wording.title)],
        wording=wording,
        progress=progress,
        most=MOST_COUNTED,
        reasons=reasons,
        form=form or {},
        choices=choices,
        names=names or {},
        is_asked=is_asked,
    )


def _leave_out(progress: Progress, row_id: int, problem: Problem) -> Progress:
    """Count a row among those of its reason; past the most reasons, among the last one."""
    kept = {each.reason: each for each in progress.skipped}
    reason = problem.detail[:500]
    if reason not in kept and len(kept) >= MOST_REASONS:
        reason = next(reversed(kept))
    known = kept.get(reason, Skipped(reason, 0, ()))
    ids = (*known.ids, row_id) if len(known.ids) < MOST_IDS else known.ids
    kept[reason] = Skipped(reason, known.count + 1, ids)
    return replace(progress, skipped=tuple(kept.values()))


def _number(name: str) -> int:
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(INT64_MAX))):
        raise BadRequest.at(name, N_("This form was not accepted"))
    return min(int(text), INT64_MAX)


def _skipped() -> tuple[Skipped, ...]:
    """Read what was left out so far."""
    text = request.form.get("skipped", "[]")
    try:
        if len(text) > LONGEST_SKIPPED:
            raise ValueError  # noqa: TRY301 - refused as anything else that is none of ours
        found = tuple(
            Skipped(
                str(reason)[:500], _plain(count), tuple(_plain(each) for each in ids)[:MOST_IDS]
            )
            for reason, count, ids in json.loads(text)[:MOST_REASONS]
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadRequest.at("skipped", N_("This form was not accepted")) from None
    return found


def _plain(value: object) -> int:
    if type(value) is not int or not 0 <= value <= INT64_MAX:
        raise ValueError
    return value
