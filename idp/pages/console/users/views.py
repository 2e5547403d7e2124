"""Users: the list, a page for each with its tabs, and new ones."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext
from werkzeug.wrappers import Response

from idp.account import administration
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.users import accounts
from idp.directory.users import management as people
from idp.directory.users.models import SORT_NAME, User
from idp.pages.console import layout, once, screens, workspaces
from idp.pages.console.gate import Hit, check, go
from idp.pages.console.users import acts, bulk, editing, files, lines, listing, person
from idp.pages.console.users.forms import FIELDS, DeleteForm, ExistingUserForm, NewUserForm
from idp.pages.console.users.pages import READ, WRITE, pages
from idp.pages.console.workspaces import Workspace
from idp.pages.language import current as current_language
from idp.pages.messages import translate
from idp.platform.errors import Problem
from idp.platform.web.views import database

__all__ = ["MODULES", "pages"]

MODULES = (acts, bulk, editing, files)
"""Importing a module declares its addresses."""


@pages.get()
def index(workspace: Workspace) -> Response:
    """List users."""
    return listing.page(workspace)


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find users by a name, an address or their id."""
    actor = workspaces.acting(database(), workspace, READ)
    found = people.members_query(actor).where(lines.matches(database(), workspace, text))
    rows = database().scalars(found.order_by(SORT_NAME, User.id).limit(5)).all()
    return [
        Hit(row.full_name, row.username, workspace.url("users.show", row_id=row.id)) for row in rows
    ]


@pages.get("/<int:row_id>")
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a user."""
    return person.page(workspace, row_id, "show")


@pages.get("/<int:row_id>/roles")
def roles(workspace: Workspace, row_id: int) -> Response:
    """Show the roles of a user, to be ticked."""
    return person.page(workspace, row_id, "roles")


@pages.get("/<int:row_id>/permissions")
def held(workspace: Workspace, row_id: int) -> Response:
    """Show the effective permissions of a user, with their origins."""
    return person.page(workspace, row_id, "held")


@pages.get("/<int:row_id>/sessions", permission=Scope.ADMIN_SESSIONS_READ)
def live(workspace: Workspace, row_id: int) -> Response:
    """Show the live sessions of a user."""
    return person.page(workspace, row_id, "live")


@pages.get("/<int:row_id>/consents", permission=Scope.ADMIN_SESSIONS_READ)
def allowed(workspace: Workspace, row_id: int) -> Response:
    """Show which applications have access to the account of a user."""
    return person.page(workspace, row_id, "allowed")


@pages.get("/<int:row_id>/activity")
def activity(workspace: Workspace, row_id: int) -> Response:
    """Show what a user did and what was done to them."""
    return person.page(workspace, row_id, "activity")


@pages.get("/new", permission=WRITE)
def new(workspace: Workspace) -> Response:
    """Show the form for a new account."""
    return _new_page(workspace, NewUserForm(formdata=None), ExistingUserForm(formdata=None))


@pages.post("/new", permission=WRITE)
def add(workspace: Workspace) -> Response:
    """Create an account, with a password that is shown once or a link by e-mail."""
    form, session = NewUserForm(), database()
    if not form.validate():
        return _new_page(workspace, form, ExistingUserForm(formdata=None), 400)
    actor = workspaces.acting(session, workspace, WRITE)
    by_link = form.way.data == "link"
    try:
        if form.roles.data:
            check(workspace, Scope.US_ROLE_BIND)
        added = administration.add(
            session, actor, form.person(), by_link=by_link, locale=current_language().code
        )
    except acts.REFUSALS as problem:
        session.rollback()
        _refuse(form, problem)
        return _new_page(workspace, form, ExistingUserForm(formdata=None), problem.status)
    session.commit()
    if added.password is not None:
        once.keep(workspace, f"user:{added.user.id}", added.password)
    notice = "added" if by_link else "password"
    return go(workspace, "users.show", row_id=added.user.id, notice=notice)


@pages.post("/existing", permission=Scope.US_ACCOUNT_BINDTENANT)
def add_existing(workspace: Workspace) -> Response:
    """Add someone to the organisation who has an account already."""
    form, session, actor = ExistingUserForm(), database(), workspace.actor
    if not form.validate():
        return _new_page(workspace, NewUserForm(formdata=None), form, 400)
    everybody = actor.is_platform_admin
    try:
        user = accounts.find_to_bind(
            session, form.existing.data or "", actor.tenant_id, everybody=everybody
        )
    except acts.REFUSALS as problem:
        session.rollback()
        form.refuse(person.explained(problem)[0], "existing")
        return _new_page(workspace, NewUserForm(formdata=None), form, problem.status)
    session.commit()  # the look-up is recorded, whether there is somebody or not
    if user is None:
        message = gettext("No account with this user name can be added here.")
        form.refuse(message, "existing")
        return _new_page(workspace, NewUserForm(formdata=None), form, 422)
    tenants.add_member(session, actor.tenant_id, user.id, is_bound=True)
    session.commit()
    return go(workspace, "users.show", row_id=user.id, notice="joined")


@pages.get("/<int:row_id>/delete", permission=Scope.USER_DELETE, recent=True)
def show_delete(workspace: Workspace, row_id: int) -> Response:
    """Ask for the user name before an account is deleted."""
    return _delete_page(workspace, row_id, DeleteForm(formdata=None))


@pages.post("/<int:row_id>/delete", permission=Scope.USER_DELETE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete an account for ever."""
    form, session = DeleteForm(), database()
    user = person.read_deletable(workspace, row_id)
    if (form.typed.data or "").strip() != user.username:
        form.refuse(gettext("This is not the user name."), "typed")
        return _delete_page(workspace, row_id, form, 400)
    try:
        administration.delete(session, workspace.actor, row_id)
    except acts.REFUSALS as problem:
        session.rollback()
        return person.page(workspace, row_id, "show", problem)
    session.commit()
    return go(workspace, "users.index", notice="deleted")


def _new_page(
    workspace: Workspace, form: NewUserForm, existing: ExistingUserForm, status: int = 200
) -> Response:
    """Render the forms; `existing` is shown in organisations."""
    return layout.page(
        workspace,
        "users/new.html",
        screen=screens.USERS,
        crumbs=[layout.Crumb(gettext("New user"))],
        status=status,
        form=form,
        existing=existing,
        roles=people.roles_in(database(), workspace.tenant_id),
        may_assign=workspace.may(Scope.US_ROLE_BIND),
        may_bind=workspace.may(Scope.US_ACCOUNT_BINDTENANT),
        role_scope=Scope.US_ROLE_BIND,
    )


def _delete_page(
    workspace: Workspace, user_id: int, form: DeleteForm, status: int = 200
) -> Response:
    user = person.read_deletable(workspace, user_id)
    return layout.page(
        workspace,
        "users/delete.html",
        screen=screens.USERS,
        crumbs=[layout.Crumb(user.full_name)],
        status=status,
        form=form,
        user=user,
        live=person.live_sessions(database(), workspace, user) or (),
        grant_count=person.count_grants(database(), workspace, user),
        memberships=people.memberships(database(), user.id),
    )


def _refuse(form: NewUserForm, problem: Problem) -> None:
    """Show a refusal beside the fields that it names, or above the form."""
    named = {FIELDS.get(field, field): texts for field, texts in problem.fields.items()}
    for field in named.keys() & form.data.keys():
        for text in named[field]:
            form.refuse(translate(text), field)
    if not named.keys() & form.data.keys():
        form.refuse(person.explained(problem)[0])
