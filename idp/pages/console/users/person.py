"""What the page of a user shows, for each of its tabs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.account import factor_administration, live_access, sessions
from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.devices import service as devices
from idp.directory.devices.service import KnownDevice
from idp.directory.permissions import Origin
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.directory.users.management import MemberView
from idp.directory.users.models import User
from idp.oauth import consents
from idp.oauth.models import Grant
from idp.pages import agents, messages
from idp.pages.console import as_code, layout, once, screens, trail, workspaces
from idp.pages.console.as_code import Tab
from idp.pages.console.users import lines
from idp.pages.console.users.pages import READ, WRITE
from idp.pages.console.workspaces import Workspace
from idp.pages.messages import retry_message
from idp.platform.audit import service as audit
from idp.platform.errors import Busy, Conflict, Forbidden, NotFound, Problem, TooManyRequests
from idp.platform.sessions.models import BrowserSession
from idp.platform.translation import N_
from idp.platform.web.views import database

FEW = 6
"""Permissions on the overview."""
MOST_EVENTS = 50
ENROLMENT_CODE = "enrolment_code"
"""What a new enrolment code is kept under until the tab shows it."""

TABS = {
    "show": _("Overview"),
    "roles": _("Roles"),
    "held": _("Permissions"),
    "live": _("Live sessions"),
    "allowed": _("Consents"),
    "factors": _("Second factors"),
    "activity": _("Activity"),
}
TAB_PERMISSIONS = {
    "live": Scope.ADMIN_SESSIONS_READ,
    "allowed": Scope.ADMIN_SESSIONS_READ,
    "factors": Scope.ADMIN_FACTORS_READ,
}
"""Permissions of tabs that not everybody sees who sees the screen."""
NOTICES = {
    "added": _("The account was created. A link to choose a password was sent."),
    "allowed": _("The access of the application was removed."),
    "changed": _("The profile was changed."),
    "code": _("An enrolment code was made."),
    "device": _("The device was removed."),
    "disabled": _("The account was disabled. All sessions and tokens have ended."),
    "enabled": _("The account was enabled."),
    "ended": _("The session was ended."),
    "factor": _("The second factor was removed."),
    "factors": _("The second factors were removed. All sessions and tokens have ended."),
    "joined": _("The user was added to the organisation."),
    "left": _("The user was removed from the organisation."),
    "link": _("A link to choose a new password was sent."),
    "password": _("The account was created."),
    "roles": _("The roles were changed."),
    "signed_out": _("The user was signed out everywhere."),
    "unlocked": _("The lock was ended."),
}


@dataclass(frozen=True, slots=True)
class Held:
    """A permission that a person holds, and all the places that it comes from."""

    code: str
    api: str | None
    origins: Sequence[Origin]


@dataclass(frozen=True, slots=True)
class Live:
    """A live session."""

    row: BrowserSession
    browser: str | None
    system: str | None
    clients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Known:
    """A device that a user signed in with."""

    row: KnownDevice
    browser: str | None
    system: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """A user as every tab shows them."""

    user: User
    state: str
    is_oneself: bool
    is_managed: bool
    """Whether the visitor could lock the account, as far as the person is concerned."""
    is_editable: bool
    """Whether the visitor could change the profile, as far as the person is concerned."""
    memberships: Sequence[MemberView]


def read(workspace: Workspace, user_id: int) -> Person:
    """Return a user of the workspace; NotFound for one that is not in it."""
    session = database()
    actor = workspaces.acting(session, workspace, READ)
    user = people.get_member(session, actor, user_id)
    return Person(
        user,
        lines.state_of(user),
        user.id == workspace.actor.user_id,
        may_manage(session, workspaces.acting(session, workspace, WRITE), user.id),
        is_in_reach(session, workspace.actor, user.id),
        people.memberships(session, user.id, tenant_id=workspace.tenant_id),
    )


def read_deletable(workspace: Workspace, user_id: int) -> User:
    """Return a user who may be deleted: at the platform alone, and disabled before."""
    if workspace.tenant is not None:
        raise NotFound
    user = people.get(database(), workspace.actor, user_id)
    if not user.is_disabled:
        raise Conflict(N_("Disable the account first."))
    return user


def may_manage(session: Session, actor: Actor, user_id: int) -> bool:
    """Return whether a person's account is in reach of the actor, to be locked or signed out."""
    try:
        people.get_managed(session, actor, user_id)
    except (NotFound, Forbidden):
        return False
    return True


def is_in_reach(session: Session, actor: Actor, user_id: int) -> bool:
    """Return whether the actor may change a person's profile."""
    try:
        people.get(session, actor, user_id)
    except NotFound:
        return False
    return True


def held_by(session: Session, workspace: Workspace, user: User) -> list[Held]:
    """List the effective permissions of a user with their origins.

    Those of the platform only for visitors who manage the users of all tenants.
    """
    actor = workspaces.acting(session, workspace, READ)
    platform = workspace.issuer.is_platform and actor.permitted == "platform"
    grouped: dict[tuple[str, str | None], list[Origin]] = {}
    for origin in permissions.origins(session, user.id, workspace.tenant_id, platform=platform):
        grouped.setdefault((origin.code, origin.api), []).append(origin)
    return [Held(code, api, origins) for (code, api), origins in grouped.items()]


def live_sessions(session: Session, workspace: Workspace, user: User) -> list[Live] | None:
    """List the live sessions of a user, the last used first; None: the visitor may not see them."""
    if not workspace.may(Scope.ADMIN_SESSIONS_READ):
        return None
    actor = workspaces.acting(session, workspace, Scope.ADMIN_SESSIONS_READ)
    if not may_manage(session, actor, user.id):
        return None
    rows = sessions.list_live(session, user)
    clients = live_access.clients_of(session, [row.id for row in rows])
    rows.sort(key=lambda row: (row.last_seen_at, row.id), reverse=True)
    return [Live(row, *agents.describe(row.user_agent), clients.get(row.id, ())) for row in rows]


def known_devices(session: Session, workspace: Workspace, user: User) -> list[Known] | None:
    """List the devices of a user, the last used first; None: the visitor may not see them."""
    if not workspace.may(Scope.ADMIN_SESSIONS_READ):
        return None
    actor = workspaces.acting(session, workspace, Scope.ADMIN_SESSIONS_READ)
    if not may_manage(session, actor, user.id):
        return None
    found = devices.list_for(session, user)
    found.sort(key=lambda row: (row.last_used_at, row.id), reverse=True)
    return [Known(row, *agents.describe(row.user_agent)) for row in found]


def count_grants(session: Session, workspace: Workspace, user: User) -> int:
    """Return how many live grants of a user end with the account, as far as the visitor sees."""
    actor = workspaces.acting(session, workspace, READ)
    found = live_access.grants_query(actor).where(Grant.user_id == user.id)
    return live_access.count(session, found)


def page(
    workspace: Workspace, user_id: int, tab: str = "show", problem: Problem | None = None
) -> Response:
    """Render a tab of a user, with what was refused if something was."""
    session = database()
    person = read(workspace, user_id)
    tabs = {"show": _overview, "held": _held, "live": _live, "allowed": _allowed}
    others = {"roles": _roles, "factors": _factors, "activity": _activity}
    contents = {**tabs, **others}[tab](session, workspace, person)
    answer = frame(
        workspace,
        person,
        tab,
        status=problem.status if problem else 200,
        notice=NOTICES.get(request.args.get("notice", "")) if problem is None else None,
        refused=explained(problem),
        password=once.take(workspace, f"user:{person.user.id}") if problem is None else None,
        **contents,
    )
    return with_retry(answer, problem)


def frame(workspace: Workspace, person: Person, tab: str, **contents: Any) -> Response:
    """Render a template of the screen under the head of a user."""
    return layout.page(
        workspace,
        f"users/{tab}.html",
        screen=screens.USERS,
        crumbs=[layout.Crumb(person.user.full_name)],
        person=person,
        tab=tab,
        tabs=TABS,
        tab_permissions=TAB_PERMISSIONS,
        states=lines.STATES,
        scopes=Scope,
        **contents,
    )


def with_retry(answer: Response, problem: Problem | None) -> Response:
    """Add when to try again, where that is why something was refused."""
    if isinstance(problem, TooManyRequests | Busy):
        answer.headers["Retry-After"] = str(problem.retry_after)
    return answer


def explained(problem: Problem | None) -> list[str]:
    """Return why something was refused, in the visitor's language."""
    if isinstance(problem, TooManyRequests | Busy):
        return [retry_message(problem)]
    if problem is None:
        return []
    return [messages.translate(problem.detail)]


def _overview(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    held = held_by(session, workspace, person.user)
    issuer_id = lines.issuer_of(workspace)
    last = audit.last_sign_ins(session, [person.user.id], tenant_id=issuer_id)
    return {
        "held": held[:FEW],
        "held_count": len(held),
        "origin_count": len({origin[2:] for each in held for origin in each.origins}),
        "live": live_sessions(session, workspace, person.user),
        "grant_count": count_grants(session, workspace, person.user),
        "last_sign_in": last.get(person.user.id),
        "code": as_code.of(*_as_code(workspace, person.user)),
    }


def _as_code(workspace: Workspace, user: User) -> list[Tab]:
    """Write the same things as a command and as a request."""
    tenant_id = workspace.actor.tenant_id
    address = f"{workspace.issuer.url}/admin/v1/tenants/{tenant_id}/users/{user.id}"
    request_text = f"curl {address} \\\n  -H 'Authorization: Bearer TOKEN'"
    return [
        Tab("command", "idp", f"idp user show --json -- {shlex.quote(user.username)}"),
        Tab("request", "curl", request_text),
    ]


def _held(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    return {"held": held_by(session, workspace, person.user)}


def _live(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    return {
        "live": live_sessions(session, workspace, person.user),
        "devices": known_devices(session, workspace, person.user),
    }


def _allowed(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    if not workspace.may(Scope.ADMIN_SESSIONS_READ):
        return {"consents": None}
    found = consents.list_consents(session, person.user.id, tenant_id=workspace.tenant_id)
    return {"consents": found}


def _roles(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    held = people.roles_held(session, person.user.id, workspace.tenant_id)
    return {
        "roles": people.roles_in(session, workspace.tenant_id),
        "held_ids": [role.id for role in held],
    }


def _factors(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    if not workspace.may(Scope.ADMIN_FACTORS_READ):
        return {"found": None}
    actor = workspaces.acting(session, workspace, Scope.ADMIN_FACTORS_READ)
    try:
        found = factor_administration.show(session, actor, person.user.id)
    except (NotFound, Forbidden):
        return {"found": None}
    code = once.take(workspace, f"user:{person.user.id}", field=ENROLMENT_CODE)
    return {"found": found, "enrolment_code": code}


def _activity(session: Session, workspace: Workspace, person: Person) -> dict[str, Any]:
    events = trail.of_person(session, person.user.id, workspace.tenant_id, limit=MOST_EVENTS)
    return {"events": events}
