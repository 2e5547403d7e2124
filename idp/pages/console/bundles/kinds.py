"""Types of tenants: the list, a page for each with what uses it, and the end of one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.directory.bundles import service as bundles
from idp.directory.bundles import types
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.scopes import Scope
from idp.directory.tenants.models import Tenant
from idp.pages.console import conflicts, deletion, layout, lists, refusals, screens, trail
from idp.pages.console.bundles.forms import NewTypeForm, TypeNameForm
from idp.pages.console.bundles.roles import pages as pages
from idp.pages.console.conflicts import Conflict
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import go
from idp.pages.console.lists import Sort
from idp.pages.console.workspaces import Workspace
from idp.platform import stamps
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Outdated, Problem
from idp.platform.web.views import database

READ, WRITE = Scope.ADMIN_TENANTTYPES_READ, Scope.ADMIN_TENANTTYPES_WRITE
SORTS = {"name": Sort(_("Type"), func.lower(TenantType.name, type_=String))}
EVENTS = (Tag.TENANT_TYPE_CHANGED, Tag.TENANT_TYPE_CREATED)
MOST_TENANTS = 25


@pages.get("/types", permission=READ)
def list_types(workspace: Workspace) -> Response:
    """List types of tenants."""
    return _show_list(workspace, NewTypeForm(formdata=None))


@pages.post("/types", permission=WRITE)
def create_type(workspace: Workspace) -> Response:
    """Create a type of tenants."""
    form = NewTypeForm()
    if not form.validate():
        return _show_list(workspace, form, 400)
    code, name = (form.code.data or "").strip(), (form.name.data or "").strip()
    try:
        types.create(database(), code, name)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"code": "code", "name": "name"})
        return _show_list(workspace, form, problem.status)
    database().commit()
    return go(workspace, "bundles.list_types")


@pages.get("/types/<int:row_id>", permission=READ)
def show_type(workspace: Workspace, row_id: int) -> Response:
    """Show a type of tenants."""
    return _show(workspace, _get(row_id))


@pages.post("/types/<int:row_id>", permission=WRITE)
def rename_type(workspace: Workspace, row_id: int) -> Response:
    """Change the name of a type of tenants."""
    kind, form = _get(row_id), TypeNameForm()
    if not form.validate():
        return _show(workspace, kind, form, status=400)

    def unchanged(stored: TenantType) -> None:
        stamps.check(stored.name, form.stamp.data or "")

    try:
        types.rename(database(), kind.code, (form.name.data or "").strip(), unchanged)
    except Problem as problem:
        database().rollback()
        return _refuse_name(workspace, _get(row_id), form, problem)
    database().commit()
    return go(workspace, "bundles.show_type", row_id=row_id)


@pages.get("/types/<int:row_id>/delete", permission=WRITE, recent=True)
def ask_to_delete_type(workspace: Workspace, row_id: int) -> Response:
    """Show what has a type."""
    return deletion.ask(workspace, screens.BUNDLES, _deletion(workspace, row_id))


@pages.post("/types/<int:row_id>/delete", permission=WRITE, recent=True)
def delete_type(workspace: Workspace, row_id: int) -> Response:
    """Delete a type that no tenant and no bundle has."""
    delete = partial(types.delete, database(), _get(row_id).code, lambda _stored: None)
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(workspace, screens.BUNDLES, describe, delete, "bundles.list_types")


def _get(row_id: int) -> TenantType:
    kind = types.find_by_id(database(), row_id)
    if kind is None:
        raise NotFound
    return kind


def _counts(
    session: Session, codes: Collection[str]
) -> tuple[dict[str | None, int], dict[str, int]]:
    """Return how many tenants and how many bundles each of several types has."""
    tenants = (
        select(Tenant.type_code, func.count())
        .where(Tenant.type_code.in_(codes))
        .group_by(Tenant.type_code)
    )
    made_for = (
        select(Bundle.tenant_type_code, func.count())
        .where(Bundle.tenant_type_code.in_(codes))
        .group_by(Bundle.tenant_type_code)
    )
    return dict(session.execute(tenants).all()), dict(session.execute(made_for).all())


def _show_list(workspace: Workspace, form: NewTypeForm, status: int = 200) -> Response:
    session = database()
    listing = lists.read(SORTS, path=workspace.url("bundles.list_types"))
    query = select(TenantType)
    if listing.text:
        query = query.where(lists.matches(listing.text, TenantType.name, TenantType.code))
    page = lists.fetch(session, query, listing, TenantType.id)
    tenants, made_for = _counts(session, [row.code for row in page.rows])
    return layout.page(
        workspace,
        "bundles/types.html",
        screen=screens.BUNDLES,
        crumbs=[layout.Crumb(gettext("Types"))],
        status=status,
        page=page,
        form=form,
        tenants=tenants,
        bundles=made_for,
        may_write=workspace.may(WRITE),
        write=WRITE,
    )


def _show(
    workspace: Workspace,
    kind: TenantType,
    form: TypeNameForm | None = None,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session = database()
    if form is None:
        form = TypeNameForm(formdata=None, data={"name": kind.name, "stamp": kind.name})
    tenants, _bundles = _counts(session, [kind.code])
    made_for: Sequence[Bundle] = ()
    if workspace.may(Scope.US_BUNDLE_LIST):
        of_type = select(Bundle).where(Bundle.tenant_type_code == kind.code)
        query = of_type.order_by(Bundle.name, Bundle.id).limit(MOST_TENANTS)
        made_for = session.scalars(query).all()
    return layout.page(
        workspace,
        "bundles/type.html",
        screen=screens.BUNDLES,
        crumbs=_crumbs(workspace, kind.name),
        status=status,
        kind=kind,
        form=form,
        conflict=conflict,
        bundles=made_for,
        tenants=bundles.tenants_with(session, Tenant.type_code == kind.code, limit=MOST_TENANTS),
        used_by=tenants.get(kind.code, 0),
        events=trail.of(session, f"tenant-type:{kind.code}", EVENTS),
        may_write=workspace.may(WRITE),
        may_list_bundles=workspace.may(Scope.US_BUNDLE_LIST),
        may_open_bundle=workspace.may(Scope.US_BUNDLE_INFO),
        may_see_tenants=workspace.may(Scope.TENANT_GET),
        may_open_tenant=workspace.may(Scope.TENANT_DETAIL),
        write=WRITE,
    )


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    kind = _get(row_id)
    tenants, made_for = _counts(database(), [kind.code])
    used_by, count = tenants.get(kind.code, 0), made_for.get(kind.code, 0)
    return Deletion(
        gettext("Delete the type %(name)s?", name=kind.name),
        kind.name,
        _crumbs(workspace, gettext("Delete")),
        [
            (used_by, ngettext("organisation has it", "organisations have it", used_by)),
            (count, ngettext("bundle is made for it", "bundles are made for it", count)),
        ],
        workspace.url("bundles.show_type", row_id=row_id),
        (used_by or count) and _("A type that organisations or bundles have cannot be deleted."),
    )


def _crumbs(workspace: Workspace, last: str) -> list[layout.Crumb]:
    href = workspace.url("bundles.list_types")
    return [layout.Crumb(gettext("Types"), href), layout.Crumb(last)]


def _refuse_name(
    workspace: Workspace, kind: TenantType, form: TypeNameForm, problem: Problem
) -> Response:
    if not isinstance(problem, Outdated):
        refusals.add(form, problem, {"name": "name"})
        return _show(workspace, kind, form, status=problem.status)
    fields = [(form.name.label.text, kind.name, form.name.data or "")]
    target = f"tenant-type:{kind.code}"
    found = conflicts.of(database(), target, (Tag.TENANT_TYPE_CHANGED,), fields)
    form.stamp.data = kind.name
    return _show(workspace, kind, form, conflict=found, status=409)
