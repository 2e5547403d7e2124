"""The list of users, as it is shown and as it is exported."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from flask import request
from flask_babel import gettext, ngettext
from sqlalchemy import Select
from werkzeug.wrappers import Response

from idp.directory.actor import Actor
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.directory.users.models import User
from idp.pages.console import layout, lists, screens, workspaces
from idp.pages.console.users import lines, person
from idp.pages.console.users.pages import READ, WRITE
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import Problem
from idp.platform.web.views import database


def page(workspace: Workspace, problem: Problem | None = None) -> Response:
    """Render the list, with what was refused if something was."""
    session = database()
    listing = _read(workspace)
    actor = workspaces.acting(session, workspace, READ)
    query = people.members_query(actor).where(*lines.conditions(workspace, listing))
    found = lists.fetch(session, query, listing, User.id)
    return layout.page(
        workspace,
        "users/index.html",
        screen=screens.USERS,
        status=problem.status if problem else 200,
        page=found,
        beginnings=lines.beginnings_of(session, workspace, listing.text),
        lines=lines.of(session, workspace, found.rows),
        states=lines.STATES,
        roles=listing.filters["role"].choices if "role" in listing.filters else {},
        may_write=workspace.may(WRITE),
        may_assign=workspace.may(Scope.US_ROLE_BIND),
        query=request.query_string.decode(),
        narrowed=listing.address().partition("?")[2],
        notice=_notice() if problem is None else None,
        refused=person.explained(problem),
        write=WRITE,
    )


def exported(workspace: Workspace, ids: Collection[int], limit: int) -> Sequence[User]:
    """Return the users of the list that were picked, or all that search and filters leave."""
    session = database()
    listing = _read(workspace)
    actor = workspaces.acting(session, workspace, READ)
    query = people.members_query(actor).where(*lines.conditions(workspace, listing))
    if ids:
        query = query.where(User.id.in_(ids))
    return session.scalars(query.order_by(User.id).limit(limit)).all()


def query(workspace: Workspace, actor: Actor) -> Select[User]:
    """Return the query of the users that search and filters leave."""
    return people.members_query(actor).where(*lines.conditions(workspace, _read(workspace)))


def _read(workspace: Workspace) -> lists.Listing:
    listing = lists.read(lines.SORTS, lines.filters(database(), workspace))
    return replace(listing, path=workspace.url("users.index"))


def _notice() -> str | None:
    """Return what was done, as the address says it."""
    number = request.args.get("n", "1")
    if not number.isdecimal():
        return None
    return _notices(min(int(number[:9]), 10**6)).get(request.args.get("notice", ""))


def _notices(num: int) -> dict[str, str]:
    return {
        "assigned": ngettext(
            "%(num)s user has the role now.", "%(num)s users have the role now.", num
        ),
        "deleted": gettext("The account was deleted."),
        "disabled": ngettext("%(num)s user was disabled.", "%(num)s users were disabled.", num),
        "imported": ngettext("%(num)s user was imported.", "%(num)s users were imported.", num),
        "left": gettext("The user was removed from the organisation."),
    }
