"""Acts on all users that search and filters leave, in steps."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import request
from flask_babel import gettext
from sqlalchemy import Select
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.directory.users.models import User
from idp.pages.console import screens, steps, workspaces
from idp.pages.console.users import acts, listing
from idp.pages.console.users.pages import READ, WRITE, pages
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import BadRequest
from idp.platform.translation import N_
from idp.platform.web.views import database


@pages.get("/all/disable", permission=WRITE)
def ask_disabling(workspace: Workspace) -> Response:
    """Show how many users would be disabled."""
    return _ask(workspace, WRITE)


@pages.post("/all/disable", permission=WRITE)
def disable_step(workspace: Workspace) -> Response:
    """Disable the next users of the list; who cannot be disabled is left out with the reason."""
    session, actor = database(), workspaces.acting(database(), workspace, WRITE)

    return _step(
        workspace,
        WRITE,
        partial(people.disable, session, actor),
        partial(people.disable_together, session, actor),
    )


@pages.get("/all/assign", permission=Scope.US_ROLE_BIND)
def ask_assigning(workspace: Workspace) -> Response:
    """Show how many users would get a role, and ask which."""
    return _ask(workspace, Scope.US_ROLE_BIND)


@pages.post("/all/assign", permission=Scope.US_ROLE_BIND)
def assign_step(workspace: Workspace) -> Response:
    """Assign a role to the next users of the list."""
    role_ids = acts.ids("role")
    if len(role_ids) != 1:
        raise BadRequest.at("role", N_("Choose a role."))
    if not role_ids <= {role.id for role in people.roles_in(database(), workspace.tenant_id)}:
        raise BadRequest.at("role", N_("There is no such role."))

    def assign(user_id: int) -> None:
        acts.assign(database(), workspace, user_id, added=role_ids, removed=())

    return _step(workspace, Scope.US_ROLE_BIND, assign, role=str(*role_ids))


def _ask(workspace: Workspace, permission: Scope) -> Response:
    progress = steps.begin(database(), _query(workspace, permission), User.id)
    choices = None
    if permission is Scope.US_ROLE_BIND:
        roles = people.roles_in(database(), workspace.tenant_id)
        choices = {str(role.id): role.name for role in roles}
    return _page(workspace, permission, progress, choices=choices, is_asked=True)


def _step(workspace: Workspace, permission: Scope, *acts: Any, **form: str) -> Response:
    query = _query(workspace, permission)
    progress = steps.carry_out(database(), query, User.id, steps.read(), *acts)
    database().commit()
    return _page(workspace, permission, progress, form=form)


def _page(
    workspace: Workspace, permission: Scope, progress: steps.Progress, **options: Any
) -> Response:
    query = request.query_string.decode()
    address = workspace.url("users.index")
    title, text = gettext("Disable users"), gettext("Their sessions and tokens end.")
    if permission is Scope.US_ROLE_BIND:
        title = gettext("Assign a role")
        text = gettext("Users who have the role already keep it.")
    back = f"{address}?{query}" if query else address
    wording = steps.Wording(title, text, back)
    options["names"] = _names(workspace, progress)
    return steps.page(workspace, screens.USERS, progress, wording, **options)


def _names(workspace: Workspace, progress: steps.Progress) -> dict[int, str]:
    """Return the user names of those who were left out; the ids come from a form."""
    if not progress.skipped:
        return {}
    actor = workspaces.acting(database(), workspace, READ)
    found = people.members_query(actor).where(User.id.in_(progress.skipped_ids))
    return {user.id: user.username for user in database().scalars(found)}


def _query(workspace: Workspace, permission: Scope) -> Select[User]:
    return listing.query(workspace, workspaces.acting(database(), workspace, permission))
