"""What an administrator sees first: figures by day, what needs somebody, how the service is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

from flask import request
from werkzeug.wrappers import Response

from idp.directory import overview
from idp.directory.overview import Overview
from idp.pages.console import layout, screens, times
from idp.pages.console.audit import lines
from idp.pages.console.audit.lines import Line
from idp.pages.console.gate import Pages
from idp.pages.console.health import condition
from idp.pages.console.overview import attention, figures
from idp.pages.console.overview.figures import Span
from idp.pages.console.workspaces import Workspace
from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.translation import N_
from idp.platform.web.views import database

PERIODS = (1, 7, 30)
"""Days that are shown at once; as many before are compared with them."""
USUAL = 7
HOURLY = 1
"""The period that is shown by the hour."""
RECENT = 8
"""Events that are shown."""

pages = Pages(screens.OVERVIEW)


@dataclass(frozen=True, slots=True)
class Course:
    """Days or hours, the oldest first; those before the last ones are compared with them."""

    rows: Sequence[Span]
    shown: int
    since: date
    """The day from which on the events are listed."""
    zone: ZoneInfo
    is_cut: bool = False


@pages.get()
def index(workspace: Workspace) -> Response:
    """Show figures by day, and at the platform how the installation is."""
    shown = _period()
    found = overview.read(database(), workspace.confined_actor, 2 * shown)
    course = _by_hour(workspace) if shown == HOURLY else _by_day(found, shown)
    rows = course.rows[-course.shown :]
    return layout.page(
        workspace,
        "overview/index.html",
        screen=screens.OVERVIEW,
        periods=PERIODS,
        shown=shown,
        hourly=HOURLY,
        as_table=request.args.get("as") == "table",
        rows=rows,
        course=course,
        hour=partial(times.of_hour, zone=course.zone),
        events=partial(_events, workspace, course.since),
        counted_at=found.counted_at,
        figures=figures.of(course.rows, course.shown),
        chart=figures.chart(course.rows, course.shown, course.zone),
        meters=figures.meters(rows),
        condition=found.installation and condition.read(database(), found.counted_at),
        attention=[*attention.items(database(), workspace, found.installation)],
        installation=found.installation,
        steps=found.installation and attention.steps(workspace, found.installation),
        recent=_recent(workspace),
    )


def _by_day(found: Overview, shown: int) -> Course:
    return Course(found.days, shown, found.days[-shown].day, times.zone(None))


def _by_hour(workspace: Workspace) -> Course:
    found = overview.read_hours(database(), workspace.confined_actor)
    zone = times.zone(workspace.visitor.user.zoneinfo)
    since = found.hours[0].at.astimezone(zone).date()
    rows = [found.day_before, *found.hours]
    return Course(rows, len(found.hours), since, zone, is_cut=found.is_cut)


def _recent(workspace: Workspace) -> list[Line] | None:
    """Return the last events, as the audit log shows them; None: the person may not see it."""
    if not workspace.may(screens.AUDIT.permission):
        return None
    found = audit.search(database(), Filters(tenant_id=workspace.tenant_id), limit=RECENT)
    return lines.of(database(), workspace, found)


def _events(workspace: Workspace, since: date, tag: Tag) -> str | None:
    """Return the address of the events that were counted; None where the person sees none."""
    return workspace.link("audit", tag=str(tag), since=since.isoformat())


def _period() -> int:
    asked = request.args.getlist("days") or [str(USUAL)]
    if len(asked) > 1 or asked[0] not in {str(days) for days in PERIODS}:
        raise BadRequest.at("days", N_("Unknown value of a filter") + ": days")
    return int(asked[0])
