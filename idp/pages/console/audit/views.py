"""The audit log: the list, an event beside it or by itself, and a file of what was searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.pages.console import layout, lists, screens, times
from idp.pages.console.audit import lines, searching
from idp.pages.console.audit.lines import Line
from idp.pages.console.audit.searching import Search
from idp.pages.console.gate import Pages
from idp.pages.console.workspaces import Workspace
from idp.platform import clock
from idp.platform.audit import exporting
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_
from idp.platform.web.views import current_runtime, database

MOST_EXPORTED = 50_000
"""Events of one file: a server may hold the whole answer until it is sent."""
EXPORTS_PER_MINUTE = 10
FORMATS = {
    "csv": ("text/csv", exporting.as_csv),
    "jsonl": ("application/x-ndjson", exporting.as_json_lines),
}

Shown = dict[str, Any]
"""What a template shows of an event."""

pages = Pages(screens.AUDIT)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List events, the newest first, with one of them beside the list."""
    search = searching.read(workspace, request.path)
    filters = searching.filters_of(database(), workspace, search)
    found = audit.search(database(), filters, limit=lists.ROWS + 1, before=search.after)
    rows = found[: lists.ROWS]
    shown = lines.of(database(), workspace, rows)
    following = lists.encode_cursor(rows[-1].at, rows[-1].id) if len(found) > len(rows) else None
    return layout.page(
        workspace,
        "audit/index.html",
        screen=screens.AUDIT,
        search=search,
        days=[(day, [*of_day]) for day, of_day in groupby(shown, lambda line: line.day)],
        next=None if following is None else search.address(after=following),
        chosen=_beside(workspace, search, shown),
        zone=times.zone(workspace.visitor.user.zoneinfo).key,
        export=workspace.url("audit.export") + search.query,
    )


@pages.get("/<int:row_id>")
def show(workspace: Workspace, row_id: int) -> Response:
    """Show an event by itself."""
    event = _get(workspace, row_id)
    (line,) = lines.of(database(), workspace, [event])
    return layout.page(
        workspace,
        "audit/show.html",
        screen=screens.AUDIT,
        crumbs=[layout.Crumb(line.title)],
        **_details(workspace, line),
    )


@pages.post("/export", permission=Scope.ADMIN_AUDIT_READ)
def export(workspace: Workspace) -> Response:
    """Write the events of a search to a file, the newest first; that is an event itself."""
    written = request.form.get("format", "csv")
    if written not in FORMATS:
        raise BadRequest.at("format", N_("Unknown format of a file."))
    search = searching.read(workspace, request.path)
    filters = searching.filters_of(database(), workspace, search)
    if filters.until is None:
        filters = replace(filters, until=clock.now())
    person = f"console {workspace.visitor.user.id}"
    current_runtime().throttle.hit("audit export", person, EXPORTS_PER_MINUTE, 60)
    last = audit.position_after(database(), filters, MOST_EXPORTED, None)
    audit.record(
        database(),
        Tag.AUDIT_EXPORTED,
        tenant_id=workspace.actor.tenant_id,
        details={"searched": {"q": search.text, **search.chosen}},
    )
    database().commit()
    media, write = FORMATS[written]
    events = exporting.read(current_runtime(), filters, before=None, last=last)
    response = Response(write(events), content_type=f"{media}; charset=utf-8")
    name = f"audit-{clock.now():%Y-%m-%d}.{written}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _get(workspace: Workspace, event_id: int) -> AuditEvent:
    """Return an event of the workspace; the platform has all of them."""
    found = audit.find(database(), min(event_id, INT64_MAX), tenant_id=workspace.tenant_id)
    if found is None:
        raise NotFound
    return found


def _beside(workspace: Workspace, search: Search, shown: Sequence[Line]) -> Shown | None:
    """Return the event that the address names, with its neighbours in the list."""
    if search.event_id is None:
        return None
    place = next((n for n, line in enumerate(shown) if line.event.id == search.event_id), None)
    if place is None:
        (line,) = lines.of(database(), workspace, [_get(workspace, search.event_id)])
        return _details(workspace, line)
    newer, older = shown[max(place - 1, 0) : place], shown[place + 1 : place + 2]
    return {
        **_details(workspace, shown[place]),
        "newer": search.beside(newer[0].event.id) if newer else None,
        "older": search.beside(older[0].event.id) if older else None,
    }


def _details(workspace: Workspace, line: Line) -> Shown:
    """Return what is shown of an event."""
    return {
        "line": line,
        "at": times.full(line.event.at, times.zone(workspace.visitor.user.zoneinfo)),
        "changes": lines.changes(line.event),
        "facts": lines.facts(line.event),
        "command": _command(line.event),
    }


def _command(event: AuditEvent) -> str:
    """Return the command that lists events of the same kind."""
    text = f"idp audit list --tag {event.tag}"
    return text if event.tenant_id is None else f"{text} --tenant {event.tenant_id}"
