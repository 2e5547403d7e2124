"""Events as pages show them: what happened in words, who did it, what it was done to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from idp.directory.clients.models import Client
from idp.directory.roles.models import Role
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.pages.console import event_names, times
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.models import AuditEvent
from idp.platform.integers import INT64_MAX

KINDS = {
    "api": _("API resource"),
    "application": _("Application"),
    "bundle": _("Bundle"),
    "client": _("Client"),
    "grant": _("Grant"),
    "identity-resource": _("Identity resource"),
    "key": _("Signing key"),
    "privilege": _("Privilege"),
    "role": _("Role"),
    "session": _("Session"),
    "tenant": _("Organisation"),
    "user": _("Person"),
}
"""What a target is, by the part before the colon."""
LONGEST = 120
"""Letters of a name or a value in a list."""


@dataclass(frozen=True, slots=True)
class Line:
    """An event in the list."""

    event: AuditEvent
    title: str
    icon: tuple[str, str]
    day: str
    time: str
    who: str
    """A name, where the visitor may know it."""
    target: str
    """The name of what it was done to, else its id."""
    kind: str
    """What that is."""
    href: str | None
    """The page of what it was done to."""
    tenant: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A field that was changed."""

    field: str
    before: Sequence[str]
    after: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of what events are about, by kind and id."""

    people: Mapping[int, str]
    things: Mapping[str, str]
    pages: Mapping[str, str]
    tenants: Mapping[int, str]


def of(session: Session, workspace: Workspace, events: Sequence[AuditEvent]) -> list[Line]:
    """Describe events: five queries, however many there are."""
    names = _names(session, workspace, events)
    zone = times.zone(workspace.visitor.user.zoneinfo)
    return [_line(event, names, zone) for event in events]


def changes(event: AuditEvent) -> list[Change]:
    """Return what a change left and what was there before."""
    found = (event.details or {}).get("changes")
    return [
        Change(
            str(entry.get("field", "")),
            _texts(entry.get("removed", entry.get("before"))),
            _texts(entry.get("added", entry.get("after"))),
        )
        for entry in (found if isinstance(found, list) else ())
        if isinstance(entry, dict)
    ]


def facts(event: AuditEvent) -> list[tuple[str, str]]:
    """Return the details of an event that are no change of a field."""
    return [
        (name, ", ".join(_texts(value)))
        for name, value in (event.details or {}).items()
        if name != "changes"
    ]


def _line(event: AuditEvent, names: _Names, zone: ZoneInfo) -> Line:
    kind, _colon, key = (event.target or "").partition(":")
    target = names.things.get(event.target or "")
    if kind == "user":
        target = names.people.get(_id(key))
    return Line(
        event,
        event_names.in_words(event.tag),
        event_names.icon(event.tag),
        times.day(event.at, zone),
        times.of_day(event.at, zone),
        _who(event, names),
        (target or key or event.target or "")[:LONGEST],
        str(KINDS.get(kind, kind)),
        names.pages.get(event.target or ""),
        names.tenants.get(event.tenant_id or 0),
    )


def _who(event: AuditEvent, names: _Names) -> str:
    if event.user_id is not None:
        return names.people.get(event.user_id) or str(gettext("Account %(id)s", id=event.user_id))
    if event.client_id is not None:
        return event.client_id
    return str(gettext("Not signed in") if event.tag.startswith("user:") else gettext("System"))


def _names(session: Session, workspace: Workspace, events: Sequence[AuditEvent]) -> _Names:
    keys: dict[str, set[str]] = {}
    for event in events:
        kind, _colon, key = (event.target or "").partition(":")
        keys.setdefault(kind, set()).add(key)
    people = {event.user_id for event in events if event.user_id is not None}
    people |= {_id(key) for key in keys.get("user", ())}
    organisations = {event.tenant_id for event in events if event.tenant_id is not None}
    organisations |= {_id(key) for key in keys.get("tenant", ())}
    if workspace.tenant is not None:
        organisations &= {workspace.tenant.id}
    named = tenants.names(session, organisations)
    things = {f"tenant:{id}": name for id, name in named.items()}
    pages: dict[str, str] = {}
    for target, name, href in (
        *_roles(session, workspace, keys.get("role", ())),
        *_clients(session, workspace, keys.get("client", ())),
    ):
        things[target] = name
        if href is not None:
            pages[target] = href
    return _Names(_people(session, workspace, people), things, pages, named)


def _people(session: Session, workspace: Workspace, ids: Iterable[int]) -> dict[int, str]:
    """Return the names of people whom the visitor may know: in a tenant its members."""
    known = set(ids)
    if workspace.tenant is not None:
        members = select(Membership.user_id).where(
            Membership.tenant_id == workspace.tenant.id, Membership.user_id.in_(known)
        )
        known = set(session.scalars(members))
    return users.names_of(session, known)


def _roles(
    session: Session, workspace: Workspace, keys: Iterable[str]
) -> list[tuple[str, str, str | None]]:
    query = select(Role.id, Role.name).where(Role.id.in_([_id(key) for key in keys]))
    if workspace.tenant is not None:
        query = query.where(or_(Role.tenant_id.is_(None), Role.tenant_id == workspace.tenant.id))
    return [(f"role:{id}", name, None) for id, name in session.execute(query)]


def _clients(
    session: Session, workspace: Workspace, keys: Iterable[str]
) -> list[tuple[str, str, str | None]]:
    query = select(Client.id, Client.client_id, Client.client_name)
    query = query.where(Client.client_id.in_(list(keys)))
    if workspace.tenant is not None:
        query = query.where(Client.tenant_id == workspace.tenant.id)
    may_open = workspace.may(Scope.CLIENT_DETAIL)
    return [
        (
            f"client:{client_id}",
            name or client_id,
            workspace.url("clients.show", row_id=id) if may_open else None,
        )
        for id, client_id, name in session.execute(query)
    ]


def _id(key: str) -> int:
    """Read an id of a target; what is none becomes 0."""
    is_id = key.isascii() and key.isdigit() and len(key) < 20  # noqa: PLR2004 - digits
    return min(int(key), INT64_MAX) if is_id else 0


def _texts(value: Any) -> list[str]:
    """Write a value of the details, one text for each of several."""
    if value is None:
        return []
    if isinstance(value, list):
        return [text for entry in value for text in _texts(entry)]
    if isinstance(value, dict):
        return [f"{name}: {', '.join(_texts(entry))}" for name, entry in value.items()]
    if isinstance(value, bool):
        return [gettext("yes") if value else gettext("no")]
    return [str(value)]
