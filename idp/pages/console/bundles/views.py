"""Bundles: the list, a wizard, a page for each with its limits, and the end of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func, select
from werkzeug.wrappers import Response

from idp.directory.bundles import effects
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.bundles.service import BundleSpec
from idp.directory.scopes import Scope
from idp.directory.tenants.models import Tenant
from idp.pages.console import conflicts, deletion, layout, lists, refusals, screens, trail
from idp.pages.console.bundles import contents
from idp.pages.console.bundles.forms import BundleForm, NewBundleForm
from idp.pages.console.conflicts import Conflict
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import Hit, Pages, go
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Outdated, Problem
from idp.platform.web.views import database

NAME = func.lower(Bundle.name, type_=String)
SORTS = {
    "name": Sort(_("Bundle"), NAME),
    "type": Sort(_("Type"), func.lower(Bundle.tenant_type_code, type_=String)),
}
FILTERS = {"initial": Filter(_("Initial"), {"yes": _("Initial only")})}
EVENTS = (Tag.BUNDLE_CHANGED, Tag.BUNDLE_CREATED)
LIMITS = ("number_of_app", "number_of_concurrent", "number_of_invocation")
VALUES = ("name", "comment", "initialize", *LIMITS)
FIELDS = {name: name for name in (*VALUES, "code", "tenant_type_code")} | {"ability": "contents"}
"""Fields of the forms, which have the names of the service."""
EMPTY = '{"roles": [], "adminRoleCodes": []}'
MOST_TYPES = 100
MOST_TENANTS = 25
"""Tenants that a page names."""

pages = Pages(screens.BUNDLES)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List bundles."""
    session, listing = database(), lists.read(SORTS, FILTERS)
    query = select(Bundle)
    if listing.text:
        columns = (Bundle.name, Bundle.code, Bundle.tenant_type_code)
        query = query.where(lists.matches(listing.text, *columns))
    if "initial" in listing.chosen:
        query = query.where(Bundle.initialize.is_(True))
    page = lists.fetch(session, query, listing, Bundle.id)
    return layout.page(
        workspace,
        "bundles/index.html",
        screen=screens.BUNDLES,
        page=page,
        abilities={row.id: contents.of(row) for row in page.rows},
        tenants=effects.count_tenants(session, [row.code for row in page.rows]),
        may_open=workspace.may(Scope.US_BUNDLE_INFO),
        may_create=workspace.may(Scope.US_BUNDLE_CREATE),
        may_see_types=workspace.may(Scope.ADMIN_TENANTTYPES_READ),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find bundles by name or code."""
    if not workspace.may(Scope.US_BUNDLE_INFO):
        return []
    query = select(Bundle).where(lists.matches(text, Bundle.name, Bundle.code))
    rows = database().scalars(query.order_by(NAME, Bundle.id).limit(5)).all()
    return [Hit(row.name, row.code, workspace.url("bundles.show", row_id=row.id)) for row in rows]


@pages.get("/new", permission=Scope.US_BUNDLE_CREATE)
def start(workspace: Workspace) -> Response:
    """Ask for the type first, and then for the values of a new bundle."""
    code = lists.one_value("type")
    if code is None:
        found = database().scalars(
            select(TenantType).order_by(TenantType.name, TenantType.id).limit(MOST_TYPES)
        )
        return layout.page(
            workspace,
            "bundles/choose_type.html",
            screen=screens.BUNDLES,
            crumbs=[layout.Crumb(gettext("New bundle"))],
            types=found.all(),
        )
    given = "" if code == "-" else code
    return _show_new(workspace, NewBundleForm(data={"tenant_type_code": given}))


@pages.post("/new", permission=Scope.US_BUNDLE_CREATE)
def create(workspace: Workspace) -> Response:
    """Create a bundle, and its type where that is new."""
    form = NewBundleForm()
    form.contents.choices = _sources()
    if not form.validate():
        return _show_new(workspace, form, 400)
    source = bundles.find(database(), form.contents.data) if form.contents.data else None
    spec = BundleSpec(
        code=(form.code.data or "").strip(),
        tenant_type_code=(form.tenant_type_code.data or "").strip(),
        ability=EMPTY if source is None else source.ability,
        **_values(form),
    )
    try:
        bundle = bundles.create(database(), workspace.actor, spec)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, FIELDS)
        return _show_new(workspace, form, problem.status)
    database().commit()
    if workspace.may(Scope.US_BUNDLE_INFO):
        return go(workspace, "bundles.show", row_id=bundle.id)
    return go(workspace, "bundles.index")


@pages.get("/<int:row_id>", permission=Scope.US_BUNDLE_INFO)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a bundle."""
    return _show(workspace, get(row_id))


@pages.post("/<int:row_id>", permission=Scope.US_BUNDLE_UPDATE)
def change(workspace: Workspace, row_id: int) -> Response:
    """Change the name and the limits of a bundle."""
    bundle, form = get(row_id), BundleForm()
    if not form.validate():
        return _show(workspace, bundle, form, status=400)
    spec = replace(bundles.spec_of(bundle), **_values(form))
    try:
        bundles.update(database(), workspace.actor, row_id, spec, stamp=form.stamp.data)
    except Problem as problem:
        database().rollback()
        return _refuse_change(workspace, row_id, form, problem)
    database().commit()
    return go(workspace, "bundles.show", row_id=row_id)


@pages.get("/<int:row_id>/delete", permission=Scope.ADMIN_BUNDLES_WRITE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show which tenants have a bundle."""
    return deletion.ask(workspace, screens.BUNDLES, _deletion(workspace, row_id))


@pages.post("/<int:row_id>/delete", permission=Scope.ADMIN_BUNDLES_WRITE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete a bundle that no tenant has."""
    delete_bundle = partial(bundles.delete, database(), row_id)
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(workspace, screens.BUNDLES, describe, delete_bundle, "bundles.index")


def get(row_id: int) -> Bundle:
    """Return a bundle by its id."""
    bundle = bundles.find_by_id(database(), row_id)
    if bundle is None:
        raise NotFound
    return bundle


def crumbs(workspace: Workspace, bundle: Bundle, last: Any) -> list[layout.Crumb]:
    """Return the way to a page of a bundle."""
    href = workspace.url("bundles.show", row_id=bundle.id)
    return [layout.Crumb(bundle.name, href), layout.Crumb(last)]


def _values(form: BundleForm) -> dict[str, Any]:
    texts = {"name": (form.name.data or "").strip(), "comment": form.comment.data or None}
    limits = {name: form[name].data for name in LIMITS}
    return {**texts, **limits, "initialize": bool(form.initialize.data)}


def _form_of(bundle: Bundle) -> BundleForm:
    values = {name: getattr(bundle, name) for name in VALUES}
    return BundleForm(formdata=None, data={**values, "stamp": bundles.stamp_of(bundle)})


def _sources() -> list[tuple[str, Any]]:
    """Return the bundles whose roles a new one can start with; the first choice is none."""
    query = select(Bundle.code, Bundle.name).order_by(Bundle.name, Bundle.id).limit(MOST_TYPES)
    rows = database().execute(query)
    return [("", _("None: empty")), *((code, f"{name} ({code})") for code, name in rows)]


def _show(
    workspace: Workspace,
    bundle: Bundle,
    form: BundleForm | None = None,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session = database()
    kind = session.scalar(select(TenantType).where(TenantType.code == bundle.tenant_type_code))
    return layout.page(
        workspace,
        "bundles/show.html",
        screen=screens.BUNDLES,
        crumbs=[layout.Crumb(bundle.name)],
        status=status,
        bundle=bundle,
        contents=contents.of(bundle),
        kind=kind,
        form=form or _form_of(bundle),
        conflict=conflict,
        tenants=bundles.tenants_with(
            session, Tenant.bundle_code == bundle.code, limit=MOST_TENANTS
        ),
        used_by=effects.count_tenants(session, [bundle.code])[bundle.code],
        events=trail.of(session, f"bundle:{bundle.id}", EVENTS),
        may_change=workspace.may(Scope.US_BUNDLE_UPDATE),
        may_delete=workspace.may(Scope.ADMIN_BUNDLES_WRITE),
        may_open_tenant=workspace.may(Scope.TENANT_DETAIL),
        may_see_types=workspace.may(Scope.ADMIN_TENANTTYPES_READ),
        may_see_tenants=workspace.may(Scope.TENANT_GET),
    )


def _show_new(workspace: Workspace, form: NewBundleForm, status: int = 200) -> Response:
    form.contents.choices = _sources()
    code = form.tenant_type_code.data or ""
    return layout.page(
        workspace,
        "bundles/new.html",
        screen=screens.BUNDLES,
        crumbs=[
            layout.Crumb(gettext("New bundle"), workspace.url("bundles.start")),
            layout.Crumb(gettext("Details")),
        ],
        status=status,
        form=form,
        has_initial=bool(code) and bundles.find_initial(database(), code) is not None,
    )


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    session, bundle = database(), get(row_id)
    used_by = effects.count_tenants(session, [bundle.code])[bundle.code]
    roles = len(contents.of(bundle).roles)
    having = Tenant.bundle_code == bundle.code
    named = bundles.tenants_with(session, having, limit=bundles.MOST_NAMED)
    names = ", ".join(tenant.name for tenant in named)
    return Deletion(
        gettext("Delete the bundle %(name)s?", name=bundle.name),
        bundle.name,
        crumbs(workspace, bundle, gettext("Delete")),
        [
            (used_by, ngettext("organisation has it", "organisations have it", used_by)),
            (roles, ngettext("role in it", "roles in it", roles)),
        ],
        workspace.url("bundles.show", row_id=row_id),
        names
        and gettext("A bundle that organisations have cannot be deleted: %(names)s", names=names),
        _("Assign another one to them first."),
    )


def _refuse_change(
    workspace: Workspace, row_id: int, form: BundleForm, problem: Problem
) -> Response:
    bundle = get(row_id)
    if not isinstance(problem, Outdated):
        refusals.add(form, problem, FIELDS)
        return _show(workspace, bundle, form, status=problem.status)
    stored = _form_of(bundle)
    fields = [(stored[name].label.text, *_pair(stored, form, name)) for name in VALUES]
    found = conflicts.of(database(), f"bundle:{row_id}", (Tag.BUNDLE_CHANGED,), fields)
    form.stamp.data = stored.stamp.data
    return _show(workspace, bundle, form, conflict=found, status=409)


def _pair(stored: BundleForm, form: BundleForm, name: str) -> tuple[str, str]:
    values = (stored[name].data, form[name].data)
    theirs, yours = ("" if value is None else str(value) for value in values)
    return theirs, yours
