"""Identity resources: the list, a page for each with its claims and clients, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func
from werkzeug.wrappers import Response

from idp.directory.clients import management as clients
from idp.directory.resources import rules
from idp.directory.resources import service as resources
from idp.directory.resources.content import ClaimRow, IdentitySpec
from idp.directory.resources.models import IdentityResource
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.pages.console import conflicts, deletion, layout, lists, refusals, screens, trail
from idp.pages.console.apis import usage
from idp.pages.console.conflicts import Conflict
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import Hit, Pages, go
from idp.pages.console.identities.forms import IdentityForm, NewIdentityForm
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import Problem
from idp.platform.web.views import database

NAME = func.lower(IdentityResource.name, type_=String)
SORTS = {"name": Sort(_("Identity resource"), NAME)}
FILTERS = {
    "state": Filter(_("State"), {"enabled": _("Enabled"), "disabled": _("Disabled")}),
}
EVENTS = (Tag.IDENTITY_RESOURCE_CHANGED, Tag.IDENTITY_RESOURCE_CREATED)
TEXTS = ("display_name", "description")
SWITCHES = ("enabled", "required", "emphasize", "show_in_discovery_document")
FIELDS = {name: name for name in ("name", "enabled")} | {"user_claims": "claims"}
"""Fields of the forms by the names that the service has for them."""
MOST_CLIENTS = 25
"""Clients that a page names."""

pages = Pages(screens.IDENTITIES)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List identity resources."""
    listing = lists.read(SORTS, FILTERS)
    query = resources.select_identities()
    if listing.text:
        columns = (IdentityResource.name, IdentityResource.display_name)
        query = query.where(lists.matches(listing.text, *columns))
    if "state" in listing.chosen:
        query = query.where(IdentityResource.enabled.is_(listing.chosen["state"] == "enabled"))
    page = lists.fetch(database(), query, listing, IdentityResource.id)
    owners = {row.tenant_id for row in page.rows if row.tenant_id is not None}
    return layout.page(
        workspace,
        "identities/index.html",
        screen=screens.IDENTITIES,
        page=page,
        standard=rules.STANDARD_IDENTITIES,
        owners=tenants.names(database(), owners),
        clients=usage.clients_of(database(), [row.name for row in page.rows]),
        may_open=workspace.may(Scope.IDENTITYRESOURCE_DETAIL),
        may_create=workspace.may(Scope.IDENTITYRESOURCE_POST),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find identity resources by name."""
    if not workspace.may(Scope.IDENTITYRESOURCE_DETAIL):
        return []
    query = resources.select_identities().where(
        lists.matches(text, IdentityResource.name, IdentityResource.display_name)
    )
    rows = database().scalars(query.order_by(NAME, IdentityResource.id).limit(5)).all()
    return [
        Hit(row.display_name or row.name, row.name, workspace.url("identities.show", row_id=row.id))
        for row in rows
    ]


@pages.get("/new", permission=Scope.IDENTITYRESOURCE_POST)
def start(workspace: Workspace) -> Response:
    """Ask for the values of a new identity resource."""
    data = {"enabled": True, "show_in_discovery_document": True}
    return _show_new(workspace, NewIdentityForm(data=data))


@pages.post("/new", permission=Scope.IDENTITYRESOURCE_POST)
def create(workspace: Workspace) -> Response:
    """Create an identity resource."""
    form = NewIdentityForm()
    if not form.validate():
        return _show_new(workspace, form, 400)
    spec = _spec(form, (form.name.data or "").strip(), claims=map(ClaimRow, form.claim_names))
    try:
        resource = resources.add_identity(database(), spec)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, FIELDS)
        return _show_new(workspace, form, problem.status)
    database().commit()
    if workspace.may(Scope.IDENTITYRESOURCE_DETAIL):
        return go(workspace, "identities.show", row_id=resource.id)
    return go(workspace, "identities.index")


@pages.get("/<int:row_id>", permission=Scope.IDENTITYRESOURCE_DETAIL)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show an identity resource."""
    return _show(workspace, resources.get_identity(database(), row_id))


@pages.post("/<int:row_id>", permission=Scope.IDENTITYRESOURCE_PUT)
def change(workspace: Workspace, row_id: int) -> Response:
    """Change an identity resource."""
    resource = resources.get_identity(database(), row_id)
    form = IdentityForm()
    if not form.validate():
        return _show(workspace, resource, form, status=400)
    ids = {claim.type: claim.id for claim in resource.user_claims}
    claims = [ClaimRow(name, ids.get(name, 0)) for name in form.claim_names]
    spec = _spec(form, resource.name, claims=claims, id=row_id, stamp=form.stamp.data)
    try:
        resources.replace_identity(database(), spec)
    except Problem as problem:
        database().rollback()
        return _refuse_change(workspace, row_id, form, problem)
    database().commit()
    return go(workspace, "identities.show", row_id=row_id)


@pages.get("/<int:row_id>/delete", permission=Scope.IDENTITYRESOURCE_DELETE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show what uses an identity resource."""
    return deletion.ask(workspace, screens.IDENTITIES, _deletion(workspace, row_id))


@pages.post("/<int:row_id>/delete", permission=Scope.IDENTITYRESOURCE_DELETE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete an identity resource that no client uses."""
    delete_identity = partial(resources.delete_identity, database(), row_id)
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(
        workspace, screens.IDENTITIES, describe, delete_identity, "identities.index"
    )


def _spec(
    form: IdentityForm,
    name: str,
    *,
    claims: Iterable[ClaimRow],
    id: int = 0,
    stamp: str | None = None,
) -> IdentitySpec:
    return IdentitySpec(
        name=name,
        display_name=form.display_name.data or None,
        description=form.description.data or None,
        user_claims=[*claims],
        id=id,
        concurrency_stamp=stamp,
        **{switch: bool(form[switch].data) for switch in SWITCHES},
    )


def _form_of(resource: IdentityResource) -> IdentityForm:
    values = {name: getattr(resource, name) for name in (*TEXTS, *SWITCHES)}
    claims = "\n".join(claim.type for claim in resource.user_claims)
    stamp = resource.concurrency_stamp
    return IdentityForm(formdata=None, data={**values, "claims": claims, "stamp": stamp})


def _show(
    workspace: Workspace,
    resource: IdentityResource,
    form: IdentityForm | None = None,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session, name = database(), resource.name
    users: list[tuple[int, str, str]] = []
    if workspace.may(Scope.CLIENT_GET):
        users = clients.with_scope(session, workspace.actor, name, limit=MOST_CLIENTS)
    return layout.page(
        workspace,
        "identities/show.html",
        screen=screens.IDENTITIES,
        crumbs=[layout.Crumb(resource.display_name or name)],
        status=status,
        resource=resource,
        form=form or _form_of(resource),
        conflict=conflict,
        is_standard=name in rules.STANDARD_IDENTITIES,
        is_built_in=name == rules.BUILT_IN_IDENTITY,
        used_by=usage.clients_of(session, [name])[name],
        clients=users,
        events=trail.of(session, f"identity-resource:{name}", EVENTS),
        may_change=workspace.may(Scope.IDENTITYRESOURCE_PUT),
        may_delete=workspace.may(Scope.IDENTITYRESOURCE_DELETE),
        may_open_client=workspace.may(Scope.CLIENT_DETAIL),
    )


def _show_new(workspace: Workspace, form: NewIdentityForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "identities/new.html",
        screen=screens.IDENTITIES,
        crumbs=[layout.Crumb(gettext("New identity resource"))],
        status=status,
        form=form,
    )


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    resource = resources.get_identity(database(), row_id)
    used_by = usage.clients_of(database(), [resource.name])[resource.name]
    claims = len(resource.user_claims)
    title = resource.display_name or resource.name
    href = workspace.url("identities.show", row_id=row_id)
    return Deletion(
        gettext("Delete the identity resource %(name)s?", name=resource.name),
        resource.name,
        [layout.Crumb(title, href), layout.Crumb(gettext("Delete"))],
        [
            (used_by, ngettext("client may ask for it", "clients may ask for it", used_by)),
            (claims, ngettext("claim", "claims", claims)),
        ],
        href,
        used_by and _("An identity resource that clients use cannot be deleted."),
        _("Remove it from the scopes of the clients first."),
    )


def _refuse_change(
    workspace: Workspace, row_id: int, form: IdentityForm, problem: Problem
) -> Response:
    resource = resources.get_identity(database(), row_id)
    if "concurrency_stamp" not in problem.fields:
        refusals.add(form, problem, FIELDS)
        return _show(workspace, resource, form, status=problem.status)
    stored = _form_of(resource)
    fields = conflicts.compared(stored, form, (*TEXTS, "claims", *SWITCHES))
    target = f"identity-resource:{resource.name}"
    found = conflicts.of(database(), target, (Tag.IDENTITY_RESOURCE_CHANGED,), fields)
    form.stamp.data = resource.concurrency_stamp
    return _show(workspace, resource, form, conflict=found, status=409)
