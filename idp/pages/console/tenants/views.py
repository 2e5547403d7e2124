"""Tenants: the list, a page for each with its hosts and bundle, and the end of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func, or_, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import TenantType
from idp.directory.scopes import Scope
from idp.directory.tenants import clearing, founding, hosts
from idp.directory.tenants import management as tenants
from idp.directory.tenants import service as directory
from idp.directory.tenants.founding import Founding
from idp.directory.tenants.management import HostRow, TenantSpec
from idp.directory.tenants.models import Membership, Tenant, TenantHost, TenantStatus
from idp.directory.users import service as users
from idp.oauth import grant_state
from idp.pages import messages
from idp.pages.console import conflicts, layout, lists, refusals, repeats, screens, trail
from idp.pages.console.conflicts import Conflict
from idp.pages.console.gate import Hit, Pages, check, go
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.tenants.forms import BundleForm, NewTenantForm, StateForm, TenantForm
from idp.pages.console.typed_name import TypedNameForm
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.db import count_up_to
from idp.platform.errors import BadRequest, NotFound, Problem
from idp.platform.errors import Conflict as Refused
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_
from idp.platform.web.views import database

SORTS = {
    "name": Sort(_("Organisation"), func.lower(Tenant.name, type_=String)),
    "created": Sort(_("Created"), Tenant.created_at),
}
STATES = {
    "enabled": (TenantStatus.ENABLED, _("Enabled")),
    "disabled": (TenantStatus.DISABLED, _("Disabled")),
    "created": (TenantStatus.CREATED, _("Not enabled yet")),
}
FILTERS = {"state": Filter(_("State"), {name: title for name, (_value, title) in STATES.items()})}
EVENTS = (
    Tag.TENANT_BUNDLE_SET,
    Tag.TENANT_CHANGED,
    Tag.TENANT_CREATED,
)
CLAIMANT = "tenant:{}"
FIELDS = {
    name: name
    for name in ("name", "hosts", "issuer_host", "theme", "cache_seconds", "administrator")
}
"""Fields of the forms, which have the names of the service."""
USES = {
    "members": _("members besides administrators"),
    "clients": _("clients"),
    "apiResources": _("API resources"),
    "identityResources": _("identity resources"),
    "applications": _("applications"),
    "tenants": _("organisations that sign in at its hosts"),
}

pages = Pages(screens.TENANTS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List tenants."""
    listing = lists.read(SORTS, FILTERS)
    query = tenants.list_query(database(), workspace.actor, Scope.TENANT_GET)
    query = query.where(Tenant.id != PLATFORM_TENANT_ID)
    if listing.text:
        by_host = Tenant.hosts.any(TenantHost.host.icontains(listing.text, autoescape=True))
        query = query.where(or_(lists.matches(listing.text, Tenant.name), by_host))
    if "state" in listing.chosen:
        query = query.where(Tenant.status == STATES[listing.chosen["state"]][0])
    page = lists.fetch(database(), query, listing, Tenant.id)
    return layout.page(
        workspace,
        "tenants/index.html",
        screen=screens.TENANTS,
        page=page,
        members=count_up_to(
            database(),
            Membership.tenant_id,
            [row.id for row in page.rows],
            lists.MOST_COUNTED + 1,
        ),
        most=lists.MOST_COUNTED,
        states=dict(STATES.values()),
        may_open=workspace.may(Scope.TENANT_DETAIL),
        may_create=workspace.may(Scope.TENANT_POST),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find tenants by name."""
    if not workspace.may(Scope.TENANT_DETAIL):
        return []
    query = tenants.list_query(database(), workspace.actor, Scope.TENANT_DETAIL)
    query = query.where(Tenant.id != PLATFORM_TENANT_ID, lists.matches(text, Tenant.name))
    rows = database().scalars(query.order_by(Tenant.name, Tenant.id).limit(5)).all()
    return [
        Hit(row.name, str(row.id), workspace.url("tenants.show", row_id=row.id)) for row in rows
    ]


@pages.get("/new", permission=Scope.TENANT_POST)
def start(workspace: Workspace) -> Response:
    """Ask for the values of a new tenant."""
    return _show_new(workspace, NewTenantForm())


@pages.post("/new", permission=Scope.TENANT_POST)
def create(workspace: Workspace) -> Response:
    """Create a tenant."""
    form = NewTenantForm()
    form.type_code.choices = _types(database(), workspace)
    if not form.validate():
        return _show_new(workspace, form, 400)
    sending = repeats.begin(workspace)
    if isinstance(sending, Response):
        return sending
    try:
        tenant = _create(workspace, form)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, FIELDS)
        return _show_new(workspace, form, problem.status)
    response = sending.keep(go(workspace, "tenants.show", row_id=tenant.id))
    database().commit()
    return response


@pages.get("/<int:row_id>", permission=Scope.TENANT_DETAIL)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a tenant."""
    return _show(workspace, _get(workspace, Scope.TENANT_DETAIL, row_id))


@pages.post("/<int:row_id>", permission=Scope.TENANT_PUT)
def change(workspace: Workspace, row_id: int) -> Response:
    """Change the settings of a tenant."""
    tenant = _get(workspace, Scope.TENANT_PUT, row_id)
    form = TenantForm()
    if not form.validate():
        return _show(workspace, tenant, form, status=400)
    try:
        _replace(workspace, tenant, form)
    except Problem as problem:
        database().rollback()
        return _refuse_change(workspace, row_id, form, problem)
    database().commit()
    return go(workspace, "tenants.show", row_id=row_id)


@pages.post("/<int:row_id>/hosts", permission=Scope.TENANT_DETAIL)
def check_hosts(workspace: Workspace, row_id: int) -> Response:
    """Look up in the DNS which hosts the tenant has proven to control."""
    tenant = _get(workspace, Scope.TENANT_DETAIL, row_id)
    names = [row.host for row in tenant.hosts][: hosts.MOST_AT_ONCE]
    failure = None
    try:
        proven = hosts.prove(database(), CLAIMANT.format(row_id), workspace.visitor.user.id, names)
    except Problem as problem:
        database().rollback()
        proven, failure = None, messages.reasons(problem)[0]
    tenant = _get(workspace, Scope.TENANT_DETAIL, row_id)
    return _show(workspace, tenant, proven=proven, failure=failure)


@pages.get("/<int:row_id>/state", permission=Scope.TENANT_PUT, recent=True)
def ask_for_state(workspace: Workspace, row_id: int) -> Response:
    """Show what ends when a tenant is disabled, or begins when it is enabled."""
    return _show_state(workspace, _get(workspace, Scope.TENANT_PUT, row_id))


@pages.post("/<int:row_id>/state", permission=Scope.TENANT_PUT, recent=True)
def set_state(workspace: Workspace, row_id: int) -> Response:
    """Enable a tenant that is not enabled, or disable one that is."""
    tenant = _get(workspace, Scope.TENANT_PUT, row_id)
    form = StateForm()
    if not form.validate():
        return _show_state(workspace, tenant, gettext("This page has expired."), 400)
    status = TenantStatus.DISABLED if tenant.is_enabled else TenantStatus.ENABLED
    spec = _spec(tenant, status=status, stamp=form.stamp.data)
    try:
        tenants.replace(database(), workspace.actor, Scope.TENANT_PUT, row_id, spec)
    except Problem as problem:
        database().rollback()
        tenant = _get(workspace, Scope.TENANT_PUT, row_id)
        return _show_state(workspace, tenant, messages.reasons(problem)[0], problem.status)
    database().commit()
    return go(workspace, "tenants.show", row_id=row_id)


@pages.post("/<int:row_id>/bundle", permission=Scope.US_TENANT_SWITCHBUNDLE, recent=True)
def set_bundle(workspace: Workspace, row_id: int) -> Response:
    """Set the first bundle of a tenant, or replace it by another one."""
    tenant = _get(workspace, Scope.TENANT_DETAIL, row_id)
    form = BundleForm()
    form.bundle.choices = _bundles(database(), tenant)
    if not form.validate():
        return _show(workspace, tenant, bundling=form, status=400)
    if tenant.bundle_code is None:
        check(workspace, Scope.US_TENANT_INITBUNDLE)
    try:
        bundle = bundles.get(database(), form.bundle.data, lock=True)
        apply = applying.switch if tenant.bundle_code else applying.initialise
        apply(database(), row_id, bundle)
    except Problem as problem:
        database().rollback()
        form.refuse(messages.reasons(problem)[0], "bundle")
        tenant = _get(workspace, Scope.TENANT_DETAIL, row_id)
        return _show(workspace, tenant, bundling=form, status=problem.status)
    database().commit()
    return go(workspace, "tenants.show", row_id=row_id)


@pages.get("/<int:row_id>/delete", permission=Scope.TENANT_DELETE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show what a tenant still holds; one that has more than members cannot be deleted."""
    tenant = _get(workspace, Scope.TENANT_DELETE, row_id)
    return _show_delete(workspace, tenant, TypedNameForm())


@pages.post("/<int:row_id>/delete", permission=Scope.TENANT_DELETE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete a disabled tenant that is empty but for members; the worker removes many of them."""
    tenant = _get(workspace, Scope.TENANT_DELETE, row_id)
    form = TypedNameForm()
    if tenant.is_enabled:
        form.refuse(gettext("Disable the organisation first."))
        return _show_delete(workspace, tenant, form, 409)
    if not form.names(tenant.name):
        return _show_delete(workspace, tenant, form, 400)
    try:
        is_done = clearing.request(database(), workspace.actor, Scope.TENANT_DELETE, row_id)
    except Problem as problem:
        database().rollback()
        form.refuse(messages.translate(problem.detail))
        tenant = _get(workspace, Scope.TENANT_DELETE, row_id)
        return _show_delete(workspace, tenant, form, problem.status)
    database().commit()
    if is_done:
        return go(workspace, "tenants.index")
    return go(workspace, "tenants.ask_to_delete", row_id=row_id)


def _get(workspace: Workspace, code: Scope, row_id: int) -> Tenant:
    """Return a tenant in reach; the platform itself is none of the organisations."""
    if row_id == PLATFORM_TENANT_ID:
        raise NotFound
    return tenants.get(database(), workspace.actor, code, row_id)


def _create(workspace: Workspace, form: NewTenantForm) -> Tenant:
    """Create a tenant: of a type, with an account as its administrator, or an empty one."""
    session, actor = database(), workspace.actor
    rows = [HostRow(host) for host in form.host_names]
    if not form.type_code.data:
        spec = TenantSpec(
            name=form.name.data or "",
            status=TenantStatus.ENABLED,
            theme=None,
            issuer_host=None,
            cache_seconds=60,
            hosts=rows,
        )
        proven = tenants.prove_hosts(session, actor, spec)
        return tenants.create(session, actor, spec, proven)
    if rows and not actor.is_platform_admin:
        raise BadRequest.at("hosts", N_("Hosts can be added when the organisation is there."))
    if not (form.administrator.data or "").strip():
        raise BadRequest.at("administrator", N_("An organisation of a type has an administrator."))
    tenant = founding.create_for_account(
        session,
        Founding(
            name=form.name.data or "",
            tenant_type_code=form.type_code.data,
            bundle_code=None,
            username=(form.administrator.data or "").strip(),
            mobile=None,
        ),
    )
    if rows:
        directory.set_hosts(session, tenant, [row.host for row in rows])
    return tenant


def _replace(workspace: Workspace, tenant: Tenant, form: TenantForm) -> None:
    session, actor, code = database(), workspace.actor, Scope.TENANT_PUT
    ids = {row.host: row.id for row in tenant.hosts}
    spec = TenantSpec(
        name=form.name.data or "",
        status=tenant.status,
        theme=form.theme.data or None,
        issuer_host=form.issuer_host.data or None,
        cache_seconds=form.cache_seconds.data or 0,
        hosts=[HostRow(host, ids.get(host, 0)) for host in form.host_names],
        concurrency_stamp=form.stamp.data,
    )
    row_id = tenant.id
    proven = tenants.prove_hosts(session, actor, spec, code=code, tenant_id=row_id)
    tenants.replace(session, actor, code, row_id, spec, proven)


def _spec(tenant: Tenant, *, status: int, stamp: str | None) -> TenantSpec:
    """Return a tenant as it is, with another state."""
    return TenantSpec(
        name=tenant.name,
        status=status,
        theme=tenant.theme,
        issuer_host=tenant.issuer_host,
        cache_seconds=tenant.cache_seconds,
        concurrency_stamp=stamp,
    )


def _form_of(tenant: Tenant) -> TenantForm:
    return TenantForm(
        formdata=None,
        data={
            "name": tenant.name,
            "hosts": "\n".join(row.host for row in tenant.hosts),
            "issuer_host": tenant.issuer_host,
            "theme": tenant.theme,
            "cache_seconds": tenant.cache_seconds,
            "stamp": tenant.concurrency_stamp,
        },
    )


def _show(
    workspace: Workspace,
    tenant: Tenant,
    form: TenantForm | None = None,
    *,
    bundling: BundleForm | None = None,
    proven: frozenset[str] | None = None,
    failure: str | None = None,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session = database()
    if bundling is None:
        bundling = BundleForm(formdata=None, data={"bundle": tenant.bundle_code})
        bundling.bundle.choices = _bundles(session, tenant)
    administrators = [row.user_id for row in tenant.administrators]
    return layout.page(
        workspace,
        "tenants/show.html",
        screen=screens.TENANTS,
        crumbs=[layout.Crumb(tenant.name)],
        status=status,
        tenant=tenant,
        state=dict(STATES.values())[TenantStatus(tenant.status)],
        form=form or _form_of(tenant),
        bundling=bundling,
        conflict=conflict,
        failure=failure,
        proven=proven,
        proofs=[
            (row.host, hosts.challenge(session, CLAIMANT.format(tenant.id), row.host))
            for row in tenant.hosts
        ],
        administrators=users.names_of(session, administrators),
        members=directory.count_members(session, [tenant.id])[tenant.id],
        uses=_uses(session, tenant),
        bundle=bundles.of_tenant(session, tenant.id),
        events=trail.of(session, f"tenant:{tenant.id}", EVENTS),
        may={
            "change": workspace.may(Scope.TENANT_PUT),
            "delete": workspace.may(Scope.TENANT_DELETE),
            "bundle": workspace.may(Scope.US_TENANT_SWITCHBUNDLE),
        },
    )


def _show_new(workspace: Workspace, form: NewTenantForm, status: int = 200) -> Response:
    form.type_code.choices = _types(database(), workspace)
    return layout.page(
        workspace,
        "tenants/new.html",
        screen=screens.TENANTS,
        crumbs=[layout.Crumb(gettext("New organisation"))],
        status=status,
        form=form,
    )


def _show_state(
    workspace: Workspace, tenant: Tenant, refusal: str | None = None, status: int = 200
) -> Response:
    session = database()
    grants = grant_state.count_of_tenant(session, tenant.id)
    members = directory.count_members(session, [tenant.id])[tenant.id]
    clients = tenants.count_uses(session, tenant)["clients"]
    return layout.page(
        workspace,
        "tenants/state.html",
        screen=screens.TENANTS,
        crumbs=_crumbs(workspace, tenant, gettext("State")),
        status=status,
        tenant=tenant,
        refusal=refusal,
        counts=[
            (members, ngettext("member", "members", members)),
            (grants, ngettext("live grant", "live grants", grants)),
            (clients, ngettext("client of its own", "clients of its own", clients)),
        ],
    )


def _show_delete(
    workspace: Workspace, tenant: Tenant, form: TypedNameForm, status: int = 200
) -> Response:
    uses = tenants.count_uses(database(), tenant)
    members = uses.pop("members")
    return layout.page(
        workspace,
        "tenants/delete.html",
        screen=screens.TENANTS,
        crumbs=_crumbs(workspace, tenant, gettext("Delete")),
        status=status,
        tenant=tenant,
        form=form,
        uses=[(count, USES[name]) for name, count in uses.items() if count],
        members=members,
        clearance=clearing.find(database(), tenant.id),
        counts=[
            *([(members, USES["members"])] if members else []),
            (len(tenant.hosts), ngettext("host", "hosts", len(tenant.hosts))),
            (
                len(tenant.administrators),
                ngettext("administrator", "administrators", len(tenant.administrators)),
            ),
        ],
    )


def _crumbs(workspace: Workspace, tenant: Tenant, last: str) -> list[layout.Crumb]:
    href = workspace.url("tenants.show", row_id=tenant.id)
    return [layout.Crumb(tenant.name, href), layout.Crumb(last)]


def _uses(session: Session, tenant: Tenant) -> list[tuple[int, Any]]:
    counts = tenants.count_uses(session, tenant)
    return [(count, USES[name]) for name, count in counts.items() if count]


def _types(session: Session, workspace: Workspace) -> list[tuple[str, str]]:
    """Return the types that a new tenant may have; the first is none."""
    choices = [("", gettext("None: without a bundle, with yourself as administrator"))]
    if workspace.may(Scope.US_TENANT_CREATELINKED):
        rows = session.scalars(select(TenantType).order_by(TenantType.name).limit(100))
        choices += [(row.code, row.name) for row in rows]
    return choices


def _bundles(session: Session, tenant: Tenant) -> list[tuple[str, str]]:
    """Return the bundles that a tenant may get."""
    if not tenant.type_code:
        return []
    found = bundles.list_to_switch_to(session, tenant.type_code)
    initial = bundles.find_initial(session, tenant.type_code)
    return [(row.code, row.name) for row in (*([initial] if initial else []), *found)]


def _refuse_change(
    workspace: Workspace, row_id: int, form: TenantForm, problem: Problem
) -> Response:
    tenant = _get(workspace, Scope.TENANT_PUT, row_id)
    if not isinstance(problem, Refused) or "concurrency_stamp" not in problem.fields:
        refusals.add(form, problem, FIELDS)
        return _show(workspace, tenant, form, status=problem.status)
    stored = _form_of(tenant)
    names = ("name", "hosts", "issuer_host", "theme", "cache_seconds")
    fields = conflicts.compared(stored, form, names)
    target = f"tenant:{row_id}"
    found = conflicts.of(database(), target, (Tag.TENANT_CHANGED,), fields)
    form.stamp.data = tenant.concurrency_stamp
    return _show(workspace, tenant, form, conflict=found, status=409)
