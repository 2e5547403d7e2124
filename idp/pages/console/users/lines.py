"""Users as lists show them: state, roles, last sign-in; and the filters of the list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _
from sqlalchemy import ColumnElement, func, not_, or_, select
from sqlalchemy.orm import Session

from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Tenant
from idp.directory.users import management as people
from idp.directory.users import names, searches
from idp.directory.users.models import SORT_NAME, User
from idp.directory.users.standing import is_active
from idp.directory.users.visibility import is_member
from idp.pages.console import lists
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database

MOST_CHOICES = 50
"""Roles or organisations that a filter offers."""
RECENTLY, LONG_AGO = timedelta(days=30), timedelta(days=90)

_WILD = re.compile(r"[/%_]")
"""What LIKE would take for something else, and the sign before it."""

SORTS = {
    "name": Sort(_("Name"), SORT_NAME),
    "username": Sort(_("User name"), User.username_key),
    "created": Sort(_("Created"), User.created_at),
}
STATES = {"active": _("Active"), "disabled": _("Disabled"), "locked": _("Locked")}
SIGN_INS = {
    "recent": _("In the last 30 days"),
    "old": _("Not in the last 90 days"),
    "never": _("Never"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A user in the list."""

    user: User
    roles: Sequence[Role]
    last_sign_in: datetime | None
    state: str


def of(session: Session, workspace: Workspace, users: Sequence[User]) -> list[Line]:
    """Describe users: two queries, however many there are."""
    ids = [user.id for user in users]
    roles = people.roles_of(session, ids, workspace.tenant_id)
    last = audit.last_sign_ins(session, ids, tenant_id=issuer_of(workspace))
    return [Line(user, roles.get(user.id, ()), last.get(user.id), state_of(user)) for user in users]


def state_of(user: User) -> str:
    """Return the key of a state in `STATES`."""
    if user.is_disabled:
        return "disabled"
    return "locked" if user.is_locked else "active"


def issuer_of(workspace: Workspace) -> int | None:
    """Return at which issuer sign-ins are shown: where the tenant signs in; None: at any."""
    return None if workspace.tenant is None else workspace.tenant.issuer_tenant_id


def filters(session: Session, workspace: Workspace) -> dict[str, Filter]:
    """Return the filters of the list, with the roles of the workspace."""
    role_id = Role.tenant_id.is_not_distinct_from(workspace.tenant_id)
    roles = select(Role.id, Role.name).where(role_id).order_by(Role.name, Role.id)
    found = {
        "state": Filter(_("State"), STATES),
        "role": Filter(_("Role"), _choices(session, roles)),
        "sign_in": Filter(_("Last sign-in"), SIGN_INS),
    }
    if workspace.tenant is None:
        tenants = select(Tenant.id, Tenant.name).where(Tenant.id != PLATFORM_TENANT_ID)
        tenants = tenants.order_by(Tenant.name, Tenant.id)
        found["tenant"] = Filter(_("Organisation"), _choices(session, tenants))
    return {name: each for name, each in found.items() if each.choices}


def conditions(workspace: Workspace, listing: lists.Listing) -> list[ColumnElement[bool]]:
    """Return in SQL what search and filters leave."""
    chosen = listing.chosen
    found = [matches(database(), workspace, listing.text)] if listing.text else []
    if "state" in chosen:
        found.append(_in_state(chosen["state"]))
    if "role" in chosen:
        holds = select(UserRole.user_id).where(UserRole.role_id == int(chosen["role"]))
        found.append(User.id.in_(holds))
    if "sign_in" in chosen:
        found.append(_signed_in(workspace, chosen["sign_in"]))
    if "tenant" in chosen:
        found.append(is_member(int(chosen["tenant"])))
    return found


def beginnings_of(session: Session, workspace: Workspace, text: str) -> int | None:
    """Return among how many people a search finds beginnings alone; None: it finds all."""
    is_narrow = bool(text) and searches.are_many(session, workspace.tenant_id)
    return searches.MOST_SEARCHED if is_narrow else None


def matches(session: Session, workspace: Workspace, text: str) -> ColumnElement[bool]:
    """Return in SQL who has a text in a name or address, or as their id.

    Among many people those whose names and addresses begin with it: an index finds them.
    """
    is_id = text.isascii() and text.isdigit() and int(text) <= INT64_MAX
    by_id = [User.id == int(text)] if is_id else []
    if searches.are_many(session, workspace.tenant_id):
        return or_(*_begin_with(text), *by_id)
    by_key = (
        column.contains(names.key(text), autoescape=True)
        for column in (User.username_key, User.email_key)
    )
    by_name = lists.matches(
        text, User.display_name, User.given_name, User.family_name, User.nick_name, User.mobile
    )
    return or_(*by_key, by_name, *by_id)


def _begin_with(text: str) -> list[ColumnElement[bool]]:
    """Return in SQL whose user name, e-mail address, number or shown name begins with a text."""
    # The database lowers the text as it lowers names, which for SQLite means ASCII alone.
    typed = _WILD.sub(r"/\g<0>", text)
    return [*searches.beginning(text), SORT_NAME.like(func.lower(f"{typed}%"), escape="/")]


def _choices(session: Session, query: Any) -> dict[str, str]:
    rows = session.execute(query.limit(MOST_CHOICES))
    return {str(row_id): name for row_id, name in rows}


def _in_state(state: str) -> ColumnElement[bool]:
    now = clock.now()
    if state == "active":
        return is_active(now)
    if state == "disabled":
        return User.is_disabled.is_(True)
    return User.lockout_end > now


def _signed_in(workspace: Workspace, when: str) -> ColumnElement[bool]:
    issuer_id, now = issuer_of(workspace), clock.now()
    if when == "recent":
        return audit.has_signed_in(User.id, now - RECENTLY, tenant_id=issuer_id)
    since = None if when == "never" else now - LONG_AGO
    return not_(audit.has_signed_in(User.id, since, tenant_id=issuer_id))
