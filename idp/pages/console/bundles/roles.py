"""The roles of a bundle: the privileges of each, and the difference before they are saved."""

from __future__ import annotations

from dataclasses import replace

from flask import request
from flask_babel import gettext
from werkzeug.wrappers import Response

from idp.directory.bundles import effects
from idp.directory.bundles import service as bundles
from idp.directory.bundles.ability import Ability, AbilityRole
from idp.directory.bundles.models import Bundle
from idp.directory.scopes import Scope
from idp.pages import messages
from idp.pages.console import conflicts, layout, refusals, screens
from idp.pages.console.bundles import contents, views
from idp.pages.console.bundles.contents import Sheet
from idp.pages.console.bundles.forms import NewRoleForm, RoleForm, StampForm, Ticks, read_ticks
from idp.pages.console.bundles.views import pages as pages
from idp.pages.console.conflicts import Conflict
from idp.pages.console.gate import go
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import Conflict as Refused
from idp.platform.errors import Outdated, Problem
from idp.platform.translation import N_
from idp.platform.web.views import database


@pages.get("/<int:row_id>/roles/new", permission=Scope.US_BUNDLE_UPDATE)
def start_role(workspace: Workspace, row_id: int) -> Response:
    """Ask for the code and the name of a new role."""
    bundle = views.get(row_id)
    form = NewRoleForm(data={"stamp": bundles.stamp_of(bundle)})
    return _show_new(workspace, bundle, form)


@pages.post("/<int:row_id>/roles/new", permission=Scope.US_BUNDLE_UPDATE)
def create_role(workspace: Workspace, row_id: int) -> Response:
    """Add a role without privileges to a bundle."""
    bundle, form = views.get(row_id), NewRoleForm()
    if not form.validate():
        return _show_new(workspace, bundle, form, 400)
    code, stored = (form.code.data or "").strip(), contents.of(bundle)
    role = AbilityRole(code, (form.name.data or "").strip(), ())
    try:
        if any(one.code.lower() == code.lower() for one in stored.roles):
            raise Refused.at("ability", N_("Role codes must be unique."))
        desired = contents.with_role(stored, role, is_admin=bool(form.is_admin.data))
        _save(workspace, bundle, desired, form.stamp.data)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"ability": "code"})
        return _show_new(workspace, views.get(row_id), form, problem.status)
    database().commit()
    if workspace.may(Scope.US_BUNDLE_INFO):
        return go(workspace, "bundles.show_role", row_id=row_id, code=code)
    return go(workspace, "bundles.index")


@pages.get("/<int:row_id>/roles/<code>", permission=Scope.US_BUNDLE_INFO)
def show_role(workspace: Workspace, row_id: int, code: str) -> Response:
    """Show a role of a bundle with its privileges."""
    return _show(workspace, views.get(row_id), code)


@pages.post("/<int:row_id>/roles/<code>", permission=Scope.US_BUNDLE_UPDATE)
def change_role(workspace: Workspace, row_id: int, code: str) -> Response:
    """Show what ticks would change, or save them."""
    bundle, form, ticks = views.get(row_id), RoleForm(), read_ticks()
    if not form.validate():
        return _show(workspace, bundle, code, form, ticks, status=400)
    if form.stamp.data != bundles.stamp_of(bundle):
        return _refuse_stale(workspace, bundle, code, form, ticks)
    if request.form.get("act") != "save":
        return _show(workspace, bundle, code, form, ticks)
    role = contents.role_of(contents.of(bundle), code)
    sheet = contents.read(database(), workspace, role, request.path, ticks)
    try:
        _save(workspace, bundle, _desired(bundle, role, form, sheet), form.stamp.data)
    except Outdated:
        database().rollback()
        return _refuse_stale(workspace, views.get(row_id), code, form, ticks)
    except Problem as problem:
        database().rollback()
        form.refuse(messages.reasons(problem)[0])
        return _show(workspace, views.get(row_id), code, form, ticks, status=problem.status)
    database().commit()
    return go(workspace, "bundles.show_role", row_id=row_id, code=code, **request.args)


@pages.get("/<int:row_id>/roles/<code>/remove", permission=Scope.US_BUNDLE_UPDATE)
def ask_to_remove_role(workspace: Workspace, row_id: int, code: str) -> Response:
    """Show what a bundle no longer contains without one of its roles."""
    return _show_remove(workspace, views.get(row_id), code)


@pages.post("/<int:row_id>/roles/<code>/remove", permission=Scope.US_BUNDLE_UPDATE)
def remove_role(workspace: Workspace, row_id: int, code: str) -> Response:
    """Remove a role from a bundle; tenants keep the role that they got."""
    bundle, form = views.get(row_id), StampForm()
    contents.role_of(contents.of(bundle), code)
    try:
        desired = contents.without_role(contents.of(bundle), code)
        _save(workspace, bundle, desired, form.stamp.data or "")
    except Problem as problem:
        database().rollback()
        refusal = messages.reasons(problem)[0]
        return _show_remove(workspace, views.get(row_id), code, refusal, problem.status)
    database().commit()
    return go(workspace, "bundles.show", row_id=row_id)


def _save(workspace: Workspace, bundle: Bundle, desired: Ability, stamp: str | None) -> None:
    spec = replace(bundles.spec_of(bundle), ability=contents.written(desired))
    bundles.update(database(), workspace.actor, bundle.id, spec, stamp=stamp or "")


def _desired(bundle: Bundle, role: AbilityRole, form: RoleForm, sheet: Sheet) -> Ability:
    """Return what the bundle would contain with what the form says of a role."""
    changed = contents.ticked(replace(role, name=(form.name.data or "").strip()), sheet)
    return contents.with_role(contents.of(bundle), changed, is_admin=bool(form.is_admin.data))


def _show(
    workspace: Workspace,
    bundle: Bundle,
    code: str,
    form: RoleForm | None = None,
    ticks: Ticks | None = None,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session, stored = database(), contents.of(bundle)
    role = contents.role_of(stored, code)
    is_admin = code in stored.admin_role_codes
    if form is None:
        data = {"name": role.name, "is_admin": is_admin, "stamp": bundles.stamp_of(bundle)}
        form = RoleForm(formdata=None, data=data)
    sheet = contents.read(session, workspace, role, request.path, ticks)
    desired = _desired(bundle, role, form, sheet)
    changed = [row for row in sheet.rows if row.is_ticked is not row.is_stored]
    others = (form.name.data != role.name) + (bool(form.is_admin.data) is not is_admin)
    return layout.page(
        workspace,
        "bundles/role.html",
        screen=screens.BUNDLES,
        crumbs=views.crumbs(workspace, bundle, role.name),
        status=status,
        bundle=bundle,
        role=role,
        form=form,
        sheet=sheet,
        privileges=",".join(str(row.privilege.id) for row in sheet.rows),
        changed=changed,
        others=others,
        effects=effects.of(session, bundle, desired.privilege_codes) if changed else None,
        used_by=effects.count_tenants(session, [bundle.code])[bundle.code],
        conflict=conflict,
        may_change=workspace.may(Scope.US_BUNDLE_UPDATE),
        query=f"?{text}" if (text := request.query_string.decode("ascii", "replace")) else "",
    )


def _show_new(
    workspace: Workspace, bundle: Bundle, form: NewRoleForm, status: int = 200
) -> Response:
    return layout.page(
        workspace,
        "bundles/new_role.html",
        screen=screens.BUNDLES,
        crumbs=views.crumbs(workspace, bundle, gettext("New role")),
        status=status,
        bundle=bundle,
        form=form,
    )


def _show_remove(
    workspace: Workspace, bundle: Bundle, code: str, refusal: str | None = None, status: int = 200
) -> Response:
    stored = contents.of(bundle)
    role = contents.role_of(stored, code)
    after = contents.without_role(stored, code).privilege_codes
    return layout.page(
        workspace,
        "bundles/remove_role.html",
        screen=screens.BUNDLES,
        crumbs=views.crumbs(workspace, bundle, gettext("Remove")),
        status=status,
        bundle=bundle,
        role=role,
        stamp=bundles.stamp_of(bundle),
        effects=effects.of(database(), bundle, after),
        refusal=refusal,
    )


def _refuse_stale(
    workspace: Workspace, bundle: Bundle, code: str, form: RoleForm, ticks: Ticks
) -> Response:
    role = contents.role_of(contents.of(bundle), code)
    sheet = contents.read(database(), workspace, role, request.path, ticks)
    desired = contents.ticked(role, sheet)
    stored, wanted = (", ".join(sorted(one.privilege_codes)) for one in (role, desired))
    fields = [
        (form.name.label.text, role.name, form.name.data or ""),
        (gettext("Privileges"), stored, wanted),
    ]
    found = conflicts.of(database(), f"bundle:{bundle.id}", (Tag.BUNDLE_CHANGED,), fields)
    form.stamp.data = bundles.stamp_of(bundle)
    return _show(workspace, bundle, code, form, ticks, conflict=found, status=409)
