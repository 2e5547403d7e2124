"""Roles: the matrix of what they permit, a page for each, and the people who have it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flask import request
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.claims import registry
from idp.directory.policies import management as policies
from idp.directory.roles import effects, tenant_roles
from idp.directory.roles import management as roles
from idp.directory.roles.management import RoleSpec
from idp.directory.roles.models import Role, UserRole
from idp.directory.scopes import Scope
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.pages import messages
from idp.pages.console import conflicts, deletion, layout, lists, refusals, screens, trail
from idp.pages.console.conflicts import Conflict
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import Hit, Pages, go, is_recent, redirect_to_sign_in
from idp.pages.console.policy.forms import RolePolicyForm
from idp.pages.console.roles import matrix as matrices
from idp.pages.console.roles.forms import (
    MOST_NAMES,
    AssignForm,
    NewRoleForm,
    RoleNameForm,
    Ticks,
    read_ticks,
)
from idp.pages.console.roles.matrix import Matrix
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, NotFound, Problem
from idp.platform.errors import Conflict as Refused
from idp.platform.web.views import database

MOST_PEOPLE = 50
"""People of a role that its page lists."""
EVENTS = (Tag.ROLE_CHANGED, Tag.ROLE_CREATED, Tag.ROLE_POLICY_CHANGED)
TICK = "tick"

pages = Pages(screens.ROLES)


@pages.get()
def index(workspace: Workspace) -> Response:
    """Show what roles permit."""
    return _show_matrix(workspace, matrices.read(database(), workspace, request.path))


@pages.post("", permission=Scope.ROLE_PUT)
def change(workspace: Workspace) -> Response:
    """Show what ticks would change, or save them."""
    if not _may_change_now(workspace):
        return redirect_to_sign_in()
    ticks = read_ticks()
    matrix = matrices.read(database(), workspace, request.path, ticks)
    stale = [role for role in matrix.roles if _is_stale(role, ticks)]
    if stale:
        return _show_matrix(workspace, matrix, conflict=_conflict(stale[0], matrix), status=409)
    if request.form.get("act") != "save":
        return _show_matrix(workspace, matrix)
    try:
        _save(workspace, matrix, ticks)
    except Problem as problem:
        database().rollback()
        matrix = matrices.read(database(), workspace, request.path, ticks)
        return _show_matrix(
            workspace, matrix, refusal=messages.reasons(problem)[0], status=problem.status
        )
    database().commit()
    return go(workspace, "roles.index", **request.args)


@pages.get("/change", permission=Scope.ROLE_PUT, recent=True)
def start_change(workspace: Workspace) -> Response:
    """Show the matrix after a recent sign-in, which changes of roles of the platform need."""
    return go(workspace, "roles.index", **request.args)


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find roles by name or code."""
    if not workspace.may(Scope.ROLE_DETAIL):
        return []
    found = matrices.list_query(workspace).where(lists.matches(text, Role.name, Role.code))
    rows = database().scalars(found.order_by(None).order_by(Role.name, Role.id).limit(5)).all()
    return [Hit(row.name, row.code, workspace.url("roles.show", row_id=row.id)) for row in rows]


@pages.get("/new", permission=Scope.ROLE_POST)
def start(workspace: Workspace) -> Response:
    """Ask for the name and the code of a new role."""
    return _show_new(workspace, NewRoleForm())


@pages.post("/new", permission=Scope.ROLE_POST)
def create(workspace: Workspace) -> Response:
    """Create a role without privileges."""
    if not _may_change_now(workspace):
        return redirect_to_sign_in()
    form = NewRoleForm()
    if not form.validate():
        return _show_new(workspace, form, 400)
    spec = RoleSpec(code=(form.code.data or "").strip(), name=form.name.data, claims=())
    try:
        role = roles.create(database(), workspace.actor, spec, reserved_claims=registry.RESERVED)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"code": "code", "name": "name"})
        return _show_new(workspace, form, problem.status)
    database().commit()
    if workspace.may(Scope.ROLE_DETAIL):
        return go(workspace, "roles.show", row_id=role.id)
    return go(workspace, "roles.index", q=role.code)


@pages.get("/<int:row_id>", permission=Scope.ROLE_DETAIL)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a role, who has it and what it permits."""
    role = matrices.get(database(), workspace, row_id)
    form = RoleNameForm(data={"name": role.name, "stamp": role.concurrency_stamp})
    return _show_role(workspace, role, form)


@pages.post("/<int:row_id>", permission=Scope.ROLE_PUT)
def rename(workspace: Workspace, row_id: int) -> Response:
    """Change the name of a role."""
    if not _may_change_now(workspace):
        return redirect_to_sign_in()
    role = matrices.get(database(), workspace, row_id)
    form = RoleNameForm()
    if not form.validate():
        return _show_role(workspace, role, form, status=400)
    spec = RoleSpec(code=role.code, name=form.name.data, concurrency_stamp=form.stamp.data)
    try:
        roles.replace(database(), workspace.actor, role.id, spec, reserved_claims=registry.RESERVED)
    except Problem as problem:
        database().rollback()
        return _refuse_name(workspace, row_id, form, problem)
    database().commit()
    return go(workspace, "roles.show", row_id=row_id)


@pages.post("/<int:row_id>/policy", permission=Scope.ADMIN_POLICY_WRITE, recent=True)
def save_policy(workspace: Workspace, row_id: int) -> Response:
    """Save what is required of those who have a role."""
    role = matrices.get(database(), workspace, row_id)
    form = RolePolicyForm()
    if form.policy_stamp.data is None:
        raise BadRequest
    if not form.validate():
        return _show_role(workspace, role, policy_form=form, status=400)
    try:
        policies.replace_of_role(
            database(),
            workspace.confined_actor,
            row_id,
            form.to_spec(),
            stamp=form.policy_stamp.data,
        )
    except Problem as problem:
        database().rollback()
        role = matrices.get(database(), workspace, row_id)
        if isinstance(problem, Refused):
            form.policy_stamp.data = None
        refusals.refuse(form, problem)
        return _show_role(workspace, role, policy_form=form, status=problem.status)
    database().commit()
    return go(workspace, "roles.show", row_id=row_id)


@pages.post("/<int:row_id>/people", permission=Scope.US_ROLE_BIND)
def assign(workspace: Workspace, row_id: int) -> Response:
    """Assign a role to several people at once: all of them, or nobody."""
    role = matrices.get(database(), workspace, row_id)
    form = AssignForm()
    if workspace.tenant is None or role.tenant_id is None:
        raise NotFound
    if not form.validate() or len(form.usernames) > MOST_NAMES:
        if not form.people.errors:
            form.refuse(_("At most %(n)s people at once.", n=MOST_NAMES), "people")
        return _show_role(workspace, role, assigning=form, status=400)
    for username in sorted(form.usernames):
        try:
            tenant_roles.bind(database(), workspace.actor, username, [role.code])
        except Problem as problem:
            database().rollback()
            form.refuse(f"{username[:100]}: {messages.reasons(problem)[0]}", "people")
            role = matrices.get(database(), workspace, row_id)
            return _show_role(workspace, role, assigning=form, status=problem.status)
    database().commit()
    return go(workspace, "roles.show", row_id=row_id)


@pages.get("/<int:row_id>/delete", permission=Scope.ROLE_DELETE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show what is deleted with a role."""
    return deletion.ask(workspace, screens.ROLES, _deletion(workspace, row_id))


@pages.post("/<int:row_id>/delete", permission=Scope.ROLE_DELETE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete a role that nobody has."""
    delete_role = partial(roles.delete, database(), workspace.actor, row_id)
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(workspace, screens.ROLES, describe, delete_role, "roles.index")


def _may_change_now(workspace: Workspace) -> bool:
    """Return whether the sign-in is young enough: roles of the platform are sensitive."""
    return workspace.tenant is not None or is_recent(workspace.visitor)


def _is_stale(role: Role, ticks: Ticks) -> bool:
    return role.id in ticks.stamps and ticks.stamps[role.id] != role.concurrency_stamp


def _save(workspace: Workspace, matrix: Matrix, ticks: Ticks) -> None:
    changed = matrices.changes(matrix)
    for role in sorted(matrix.roles, key=lambda role: role.id):
        if any(of.id == role.id for _change, of, _privilege in changed):
            roles.set_privileges(
                database(),
                workspace.actor,
                role.id,
                sorted(matrices.codes_after(role, changed)),
                field=TICK,
                concurrency_stamp=ticks.stamps[role.id],
            )


def _conflict(role: Role, matrix: Matrix) -> Conflict:
    stored = ", ".join(sorted(privilege.code for privilege in role.privileges))
    desired = ", ".join(sorted(matrices.codes_after(role, matrices.changes(matrix))))
    return conflicts.of(
        database(), f"role:{role.id}", (Tag.ROLE_CHANGED,), [(role.name, stored, desired)]
    )


def _show_matrix(
    workspace: Workspace,
    matrix: Matrix,
    *,
    conflict: Conflict | None = None,
    refusal: str | None = None,
    status: int = 200,
) -> Response:
    changed = matrices.changes(matrix)
    counted = None
    if changed:
        counted = effects.of(
            database(),
            [entry[0] for entry in changed],
            tenant_id=workspace.tenant_id,
            platform=workspace.issuer.is_platform,
        )
    return layout.page(
        workspace,
        "roles/index.html",
        screen=screens.ROLES,
        status=status,
        matrix=matrix,
        most=lists.MOST_COUNTED,
        changed=[] if counted is None else list(zip(changed, counted.each, strict=True)),
        touched=counted,
        conflict=conflict,
        refusal=refusal,
        may_open=workspace.may(Scope.ROLE_DETAIL),
        may_create=workspace.may(Scope.ROLE_POST),
        may_change_now=matrix.may_change and _may_change_now(workspace),
        query=matrix.query,
        privileges=",".join(str(row.privilege.id) for row in matrix.rows),
    )


def _show_new(workspace: Workspace, form: NewRoleForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "roles/new.html",
        screen=screens.ROLES,
        crumbs=[layout.Crumb(_("New role"))],
        status=status,
        form=form,
    )


def _show_role(
    workspace: Workspace,
    role: Role,
    form: RoleNameForm | None = None,
    *,
    assigning: AssignForm | None = None,
    policy_form: RolePolicyForm | None = None,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    if form is None:
        form = RoleNameForm(
            formdata=None, data={"name": role.name, "stamp": role.concurrency_stamp}
        )
    people = _people(database(), workspace, role)
    return layout.page(
        workspace,
        "roles/show.html",
        screen=screens.ROLES,
        crumbs=[layout.Crumb(role.name)],
        status=status,
        role=role,
        form=form,
        assigning=assigning or AssignForm(formdata=None),
        conflict=conflict,
        people=people,
        holders=effects.holders(database(), [role.id])[role.id],
        events=trail.of(database(), f"role:{role.id}", EVENTS),
        policy_form=_policy_form(workspace, role, policy_form),
        may_change_policy=workspace.may(Scope.ADMIN_POLICY_WRITE),
        policy_permission=Scope.ADMIN_POLICY_WRITE,
        may_rename=workspace.may(Scope.ROLE_PUT),
        may_delete=workspace.may(Scope.ROLE_DELETE),
        may_assign=workspace.may(Scope.US_ROLE_BIND)
        and workspace.tenant is not None
        and role.tenant_id is not None,
    )


def _policy_form(
    workspace: Workspace, role: Role, form: RolePolicyForm | None
) -> RolePolicyForm | None:
    """Return the form of a role's policy; None: it cannot be seen here."""
    if not workspace.may(Scope.ADMIN_POLICY_READ) or role.tenant_id != workspace.tenant_id:
        return None
    row = policies.get_of_role(database(), workspace.confined_actor, role.id).row
    if form is None:
        values = {"second_factor": row.second_factor or "", "level": row.level or ""}
        form = RolePolicyForm(formdata=None, data=values)
    form.policy_stamp.data = form.policy_stamp.data or row.concurrency_stamp
    return form


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    role = matrices.get(database(), workspace, row_id)
    holders = effects.holders(database(), [role.id])[role.id]
    privileges, claims = len(role.privileges), len(role.claims)
    href = workspace.url("roles.show", row_id=row_id)
    return Deletion(
        _("Delete the role %(name)s?", name=role.name),
        role.name,
        [layout.Crumb(role.name, href), layout.Crumb(_("Delete"))],
        [
            (holders, ngettext("person has this role", "people have this role", holders)),
            (privileges, ngettext("permission", "permissions", privileges)),
            (claims, ngettext("claim", "claims", claims)),
        ],
        href,
        holders and _("Remove this role from everybody first."),
        _("A role that somebody has cannot be deleted."),
    )


def _people(session: Session, workspace: Workspace, role: Role) -> Sequence[User]:
    """List people who have a role, by user name; in a tenant its members alone."""
    query = (
        select(User)
        .join(UserRole, UserRole.user_id == User.id)
        .where(UserRole.role_id == role.id, User.deleted_at.is_(None))
        .order_by(User.username_key)
        .limit(MOST_PEOPLE)
    )
    if workspace.tenant is not None:
        query = query.join(Membership, Membership.user_id == User.id).where(
            Membership.tenant_id == workspace.tenant.id
        )
    return session.scalars(query).all()


def _refuse_name(
    workspace: Workspace, row_id: int, form: RoleNameForm, problem: Problem
) -> Response:
    role = matrices.get(database(), workspace, row_id)
    if not isinstance(problem, Refused):
        refusals.add(form, problem, {"name": "name"})
        return _show_role(workspace, role, form, status=problem.status)
    found = conflicts.of(
        database(),
        f"role:{role.id}",
        (Tag.ROLE_CHANGED,),
        [(_("Role name"), role.name, form.name.data or "")],
    )
    form.stamp.data = role.concurrency_stamp
    return _show_role(workspace, role, form, conflict=found, status=409)
