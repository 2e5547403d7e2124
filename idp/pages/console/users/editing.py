"""The form with the profile of a user."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.directory.users import editing, profile, visibility
from idp.directory.users.models import User
from idp.pages.console import conflicts, refusals
from idp.pages.console.conflicts import Conflict
from idp.pages.console.gate import check, go
from idp.pages.console.users import acts, person
from idp.pages.console.users.forms import CLAIMS, IDENTITY, ProfileForm
from idp.pages.console.users.pages import READ, pages
from idp.pages.console.users.person import Person
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Problem
from idp.platform.web.views import database

FIELDS = {name: name for name in (*CLAIMS, *IDENTITY)}


@pages.get("/<int:row_id>/edit", permission=Scope.USER_PUT)
def edit(workspace: Workspace, row_id: int) -> Response:
    """Show the profile of a user, to be changed."""
    found = _read(workspace, row_id)
    return _page(workspace, found, _form_of(found.user))


@pages.post("/<int:row_id>/edit", permission=Scope.USER_PUT)
def change(workspace: Workspace, row_id: int) -> Response:
    """Change the profile of a user."""
    found, form = _read(workspace, row_id), ProfileForm()
    if not form.validate():
        return _page(workspace, found, form, status=400)
    try:
        editing.change(database(), workspace.actor, row_id, form.edit(found.user))
    except acts.REFUSALS as problem:
        database().rollback()
        return _refuse(workspace, row_id, form, problem)
    database().commit()
    return go(workspace, "users.show", row_id=row_id, notice="changed")


def _read(workspace: Workspace, row_id: int) -> Person:
    """Return a user of the workspace whose profile is in reach of the visitor."""
    check(workspace, READ)
    found = person.read(workspace, row_id)
    if not found.is_editable:
        raise NotFound
    return found


def _form_of(user: User) -> ProfileForm:
    shown = profile.shown(user)
    values: dict[str, Any] = {name: shown.get(name, "") for name in CLAIMS}
    values |= {name: getattr(user, name) for name in IDENTITY}
    return ProfileForm(formdata=None, data={**values, "stamp": user.concurrency_stamp})


def _page(
    workspace: Workspace,
    found: Person,
    form: ProfileForm,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    may_identify = visibility.may_change_identity(database(), workspace.actor, found.user)
    return person.frame(
        workspace,
        found,
        "edit",
        status=status,
        form=form,
        conflict=conflict,
        may_identify=may_identify,
        notice=None,
        refused=(),
        password=None,
    )


def _refuse(workspace: Workspace, row_id: int, form: ProfileForm, problem: Problem) -> Response:
    found = _read(workspace, row_id)
    if "concurrency_stamp" not in problem.fields:
        refusals.add(form, problem, FIELDS)
        return _page(workspace, found, form, status=problem.status)
    stored = _form_of(found.user)
    sent = [name for name in (*CLAIMS, *IDENTITY) if form[name].raw_data]
    differing = conflicts.compared(stored, form, sent)
    target = f"user:{row_id}"
    conflict = conflicts.of(database(), target, (Tag.USER_CHANGED,), differing)
    form.stamp.data = found.user.concurrency_stamp
    return _page(workspace, found, form, conflict=conflict, status=409)
