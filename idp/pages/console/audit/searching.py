"""What the address asks of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import request
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session

from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.pages.console import event_names, lists, times
from idp.pages.console.lists import Filter
from idp.pages.console.workspaces import Workspace
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters, Position
from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_

YEARS = range(1971, 9999)
NOBODY = -1
"""Id that no person has: a name that is not known finds nothing."""
PERIODS = {"today": 0, "week": 7, "month": 30}
"""Whole days before today."""
CHOICES: Mapping[str, Filter] = {
    "period": Filter(
        _("Time"), {"today": _("Today"), "week": _("Last 7 days"), "month": _("Last 30 days")}
    ),
    "what": Filter(_("What"), event_names.SUBJECTS),
}
LONGEST = {"person": 256, "client": 200, "target": 300, "tag": 100, "since": 10, "until": 10}
"""What is typed, or comes with a link, and its most letters."""
TITLES = {
    "person": _("Who"),
    "client": _("Client"),
    "target": _("On"),
    "tag": _("Event"),
    "since": _("From"),
    "until": _("Until"),
    "tenant": _("Organisation"),
}
FOLLOW = "follow"


@dataclass(frozen=True, slots=True)
class Search:
    """Filters of the address, as the list shows them and as the audit log takes them."""

    path: str
    text: str
    chosen: Mapping[str, str]
    filters: Mapping[str, Filter]
    after: Position | None
    event_id: int | None
    """The event that is shown beside the list."""

    def address(self, **changes: str | None) -> str:
        """Return the address with other values; None leaves one out, and the list starts anew."""
        values: dict[str, str | None] = {"q": self.text or None, **self.chosen, **changes}
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return f"{self.path}?{query}" if query else self.path

    def beside(self, event_id: int | None) -> str:
        """Return the address of the same page of the list with an event beside it, or with none."""
        return self.address(
            after=None if self.after is None else lists.encode_cursor(*self.after),
            event=None if event_id is None else str(event_id),
        )

    @property
    def kept(self) -> dict[str, str]:
        """What a new search keeps of the address."""
        return dict(self.chosen)

    @property
    def is_narrowed(self) -> bool:
        """Whether events may be missing because of a search or a filter."""
        return bool(self.text or set(self.chosen) - {FOLLOW})

    @property
    def is_followed(self) -> bool:
        """Whether new events are shown as they happen."""
        return FOLLOW in self.chosen and self.after is None and self.event_id is None

    @property
    def query(self) -> str:
        """The filters as the part of an address."""
        return self.address().removeprefix(self.path)


def read(workspace: Workspace, path: str) -> Search:
    """Read the address; only the platform searches by organisation."""
    longest = LONGEST | ({"tenant": 19} if workspace.tenant is None else {})
    chosen = {name: value for name in CHOICES if (value := lists.choice(name, CHOICES[name]))}
    chosen |= {name: value for name in longest if (value := _short(name, longest[name]))}
    if request.args.get(FOLLOW):
        chosen[FOLLOW] = "1"
    shown = {
        name: Filter(TITLES[name], {value: _shown(name, value)})
        for name, value in chosen.items()
        if name in TITLES
    }
    follow = Filter(_("New events"), {"1": _("Follow")})
    after = lists.one_value("after")
    return Search(
        path,
        _short("q", lists.LONGEST_SEARCH) or "",
        chosen,
        {**CHOICES, **shown, FOLLOW: follow},
        None if after is None else Position(*lists.decode_cursor(after, AuditEvent.at)),
        _number(lists.one_value("event")),
    )


def filters_of(session: Session, workspace: Workspace, search: Search) -> Filters:
    """Return what to search: the events of the tenant that is shown, at the platform all."""
    zone = times.zone(workspace.visitor.user.zoneinfo)
    since, until = _bounds(search.chosen, zone)
    tenant_id = _number(search.chosen.get("tenant"))
    tags, target, request_id = _sought(search.text)
    subject = search.chosen.get("what")
    if subject is not None:
        of_subject = event_names.tags_of(subject)
        tags = of_subject if tags is None else tags & of_subject
    return Filters(
        tag=search.chosen.get("tag"),
        tags=tags,
        user_id=_person(session, workspace, search.chosen.get("person")),
        client_id=search.chosen.get("client"),
        tenant_id=tenant_id if workspace.tenant is None else workspace.tenant_id,
        target=search.chosen.get("target", target),
        request_id=request_id,
        since=since,
        until=until,
    )


def _sought(text: str) -> tuple[frozenset[str] | None, str | None, str | None]:
    """Return what a typed text means: events of that name, a target, or the id of a request."""
    if not text:
        return None, None, None
    tags = event_names.named(text)
    if tags:
        return tags, None, None
    return (None, text, None) if ":" in text else (None, None, text)


def _bounds(chosen: Mapping[str, str], zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    since = _midnight("since", chosen.get("since"), zone)
    until = _midnight("until", chosen.get("until"), zone, timedelta(days=1))
    if "period" in chosen:
        today = datetime.combine(clock.now().astimezone(zone).date(), time(), zone)
        begin = today - timedelta(days=PERIODS[chosen["period"]])
        since = begin if since is None else max(since, begin)
    return since, until


def _midnight(
    name: str, text: str | None, zone: ZoneInfo, later: timedelta = timedelta()
) -> datetime | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in YEARS:
        raise BadRequest.at(name, N_("A day is written as year, month and day: 2026-12-31."))
    return datetime.combine(day + later, time(), zone)


def _person(session: Session, workspace: Workspace, text: str | None) -> int | None:
    """Return the id of a person, who is named by it or, in a tenant a member, by the user name."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return _number(text)
    user = users.find_by_username(session, text)
    if user is None:
        return NOBODY
    if workspace.tenant is not None and not tenants.find_member(
        session, workspace.tenant.id, user.id
    ):
        return NOBODY
    return user.id


def _short(name: str, longest: int) -> str | None:
    text = (lists.one_value(name) or "").strip()
    if len(text) > longest:
        raise BadRequest.at(name, N_("The search text is too long."))
    if not text.isprintable():
        raise BadRequest.at(name, N_("The search text must have printable characters only."))
    return text or None


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - digits
        return NOBODY
    return min(int(text), INT64_MAX)


def _shown(name: str, value: str) -> str:
    return event_names.in_words(value) if name == "tag" else value
