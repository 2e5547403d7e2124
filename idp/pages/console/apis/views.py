"""API resources: the list, a page for each with scopes, secrets and privileges, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func
from werkzeug.wrappers import Response

from idp.directory import api_names
from idp.directory.product import RESERVED_PREFIX
from idp.directory.resources import service as resources
from idp.directory.resources.content import ApiSpec, ScopeRow, SecretRow
from idp.directory.resources.models import ApiResource
from idp.directory.resources.service import NewScope
from idp.directory.roles import catalogue
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.pages.console import (
    conflicts,
    deletion,
    layout,
    lists,
    once,
    refusals,
    repeats,
    screens,
    trail,
)
from idp.pages.console.apis import usage
from idp.pages.console.apis.forms import (
    ApiForm,
    NewApiForm,
    PrivilegeForm,
    ScopeForm,
    SecretForm,
)
from idp.pages.console.conflicts import Conflict
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import Hit, Pages, go
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.pages.form import Form
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Problem
from idp.platform.web.views import database

NAME = func.lower(ApiResource.name, type_=String)
SORTS = {"name": Sort(_("API resource"), NAME)}
FILTERS = {
    "state": Filter(_("State"), {"enabled": _("Enabled"), "disabled": _("Disabled")}),
}
EVENTS = (Tag.API_RESOURCE_CHANGED, Tag.API_RESOURCE_CREATED)

pages = Pages(screens.APIS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List API resources."""
    listing = lists.read(SORTS, FILTERS)
    query = resources.select_apis(workspace.actor, load=["scopes"])
    if listing.text:
        columns = (ApiResource.name, ApiResource.display_name)
        query = query.where(lists.matches(listing.text, *columns))
    if "state" in listing.chosen:
        query = query.where(ApiResource.enabled.is_(listing.chosen["state"] == "enabled"))
    page = lists.fetch(database(), query, listing, ApiResource.id)
    owners = {row.tenant_id for row in page.rows if row.tenant_id is not None}
    return layout.page(
        workspace,
        "apis/index.html",
        screen=screens.APIS,
        page=page,
        owners=tenants.names(database(), owners),
        privileges=usage.privileges_of(database(), [row.id for row in page.rows]),
        may_open=workspace.may(Scope.APIRESOURCE_DETAIL),
        may_create=workspace.may(Scope.APIRESOURCE_POST),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find API resources by name."""
    if not workspace.may(Scope.APIRESOURCE_DETAIL):
        return []
    query = resources.select_apis(workspace.actor).where(
        lists.matches(text, ApiResource.name, ApiResource.display_name)
    )
    rows = database().scalars(query.order_by(NAME, ApiResource.id).limit(5)).all()
    return [
        Hit(row.display_name or row.name, row.name, workspace.url("apis.show", row_id=row.id))
        for row in rows
    ]


@pages.get("/new", permission=Scope.APIRESOURCE_POST)
def start(workspace: Workspace) -> Response:
    """Ask for the values of a new API."""
    return _show_new(workspace, NewApiForm())


@pages.post("/new", permission=Scope.APIRESOURCE_POST)
def create(workspace: Workspace) -> Response:
    """Register an API with its first scopes."""
    form = NewApiForm()
    if not form.validate():
        return _show_new(workspace, form, 400)
    spec = ApiSpec(
        name=(form.name.data or "").strip(),
        display_name=form.display_name.data or None,
        description=form.description.data or None,
        scopes=[ScopeRow(name) for name in form.scope_names],
    )
    try:
        api = resources.add_api(database(), workspace.actor, spec)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"name": "name", "scopes": "scopes"})
        return _show_new(workspace, form, problem.status)
    database().commit()
    if workspace.may(Scope.APIRESOURCE_DETAIL):
        return go(workspace, "apis.show", row_id=api.id)
    return go(workspace, "apis.index")


@pages.get("/<int:row_id>", permission=Scope.APIRESOURCE_DETAIL)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show an API."""
    return _show(workspace, row_id)


@pages.post("/<int:row_id>", permission=Scope.APIRESOURCE_PUT)
def change(workspace: Workspace, row_id: int) -> Response:
    """Change the settings of an API."""
    api = resources.get_api(database(), workspace.actor, row_id)
    form = ApiForm()
    if not form.validate():
        return _show(workspace, row_id, {"form": form}, status=400)
    spec = resources.spec_of(
        api,
        form.stamp.data,
        enabled=bool(form.enabled.data),
        display_name=form.display_name.data or None,
        description=form.description.data or None,
        default_scopes=form.default_scope_names,
        open_to_strangers=bool(form.open_to_strangers.data),
    )
    try:
        resources.replace_api(database(), workspace.actor, spec)
    except Problem as problem:
        database().rollback()
        return _refuse_change(workspace, row_id, form, problem)
    database().commit()
    return go(workspace, "apis.show", row_id=row_id)


@pages.post("/<int:row_id>/scopes", permission=Scope.APIRESOURCE_PUT)
def add_scope(workspace: Workspace, row_id: int) -> Response:
    """Add a scope to an API."""
    api = resources.get_api(database(), workspace.actor, row_id)
    form = ScopeForm()
    if not form.validate():
        return _show(workspace, row_id, {"scope_form": form}, status=400)
    scope = NewScope((form.scope.data or "").strip(), form.title.data or None)
    try:
        resources.add_scope(database(), api, scope)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"name": "scope", "scope": "scope"})
        return _show(workspace, row_id, {"scope_form": form}, status=problem.status)
    database().commit()
    return go(workspace, "apis.show", row_id=row_id)


@pages.post("/<int:row_id>/privileges", permission=Scope.ADMIN_PRIVILEGES_WRITE)
def add_privilege(workspace: Workspace, row_id: int) -> Response:
    """Create a privilege of an API; at the platform, as the operation."""
    if workspace.tenant is not None:
        raise NotFound
    api = resources.get_api(database(), workspace.actor, row_id)
    form = PrivilegeForm()
    if not form.validate():
        return _show(workspace, row_id, {"privilege_form": form}, status=400)
    code, title = (form.code.data or "").strip(), (form.title.data or "").strip()
    try:
        catalogue.create_privilege(database(), code, title, api_resource_id=api.id)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"code": "code"})
        return _show(workspace, row_id, {"privilege_form": form}, status=problem.status)
    database().commit()
    return go(workspace, "apis.show", row_id=row_id)


@pages.post("/<int:row_id>/secrets", permission=Scope.APIRESOURCE_PUT, recent=True)
def add_secret(workspace: Workspace, row_id: int) -> Response:
    """Generate a secret for introspection, which the next page shows once."""
    api = resources.get_api(database(), workspace.actor, row_id)
    form = SecretForm()
    if not form.validate():
        return _show(workspace, row_id, {"secret_form": form}, status=400)
    sending = repeats.begin(workspace)
    if isinstance(sending, Response):
        return sending
    secret = resources.add_secret(database(), api, description=form.purpose.data or None)
    response = go(workspace, "apis.show", row_id=row_id)
    sending.keep(response, _target(row_id), secret)
    database().commit()
    once.keep(workspace, _target(row_id), secret)
    return response


@pages.post(
    "/<int:row_id>/secrets/<int:secret_id>/remove", permission=Scope.APIRESOURCE_PUT, recent=True
)
def remove_secret(workspace: Workspace, row_id: int, secret_id: int) -> Response:
    """Remove a secret, which then no longer opens the introspection endpoint."""
    api = resources.get_api(database(), workspace.actor, row_id)
    if secret_id not in {row.id for row in api.secrets}:
        raise NotFound
    kept = [
        SecretRow(None, row.description, row.expires_at, row.id)
        for row in api.secrets
        if row.id != secret_id
    ]
    spec = resources.spec_of(api, api.concurrency_stamp, secrets=kept)
    resources.replace_api(database(), workspace.actor, spec)
    database().commit()
    return go(workspace, "apis.show", row_id=row_id)


@pages.get("/<int:row_id>/delete", permission=Scope.APIRESOURCE_DELETE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show what an API still holds."""
    return deletion.ask(workspace, screens.APIS, _deletion(workspace, row_id))


@pages.post("/<int:row_id>/delete", permission=Scope.APIRESOURCE_DELETE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete an API that nothing uses."""
    delete_api = partial(resources.delete_api, database(), workspace.actor, row_id)
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(workspace, screens.APIS, describe, delete_api, "apis.index")


def _target(row_id: int) -> str:
    return f"api:{row_id}"


def _show(
    workspace: Workspace,
    row_id: int,
    forms: Mapping[str, Form] | None = None,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    """Show an API with forms, of which those that were sent hold what was typed."""
    session = database()
    api = resources.get_api(session, workspace.actor, row_id)
    stored: dict[str, Form] = {
        "form": ApiForm(
            formdata=None,
            data={
                "display_name": api.display_name,
                "description": api.description,
                "enabled": api.enabled,
                "default_scopes": "\n".join(api.default_scopes or ()),
                "open_to_strangers": api.open_to_strangers,
                "stamp": api.concurrency_stamp,
            },
        ),
        "scope_form": ScopeForm(formdata=None),
        "privilege_form": PrivilegeForm(formdata=None),
        "secret_form": SecretForm(formdata=None),
    }
    return layout.page(
        workspace,
        "apis/show.html",
        screen=screens.APIS,
        crumbs=[layout.Crumb(api.display_name or api.name)],
        status=status,
        api=api,
        metadata_url=api_names.metadata_url(api.name),
        is_built_in=api.name.startswith(RESERVED_PREFIX),
        secret=once.take(workspace, _target(row_id)),
        conflict=conflict,
        clients=usage.clients_of(session, [scope.name for scope in api.scopes]),
        privileges=usage.privileges(session, api.id),
        owned=usage.privileges_of(session, [api.id])[api.id],
        events=trail.of(session, f"api:{api.name}", EVENTS),
        may_change=workspace.may(Scope.APIRESOURCE_PUT),
        may_delete=workspace.may(Scope.APIRESOURCE_DELETE),
        may_see_roles=workspace.may(Scope.ROLE_GET),
        may_add_privilege=workspace.tenant is None and workspace.may(Scope.ADMIN_PRIVILEGES_WRITE),
        **stored | dict(forms or {}),
    )


def _show_new(workspace: Workspace, form: NewApiForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "apis/new.html",
        screen=screens.APIS,
        crumbs=[layout.Crumb(gettext("New API"))],
        status=status,
        form=form,
    )


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    api = resources.get_api(database(), workspace.actor, row_id)
    clients = sum(usage.clients_of(database(), [scope.name for scope in api.scopes]).values())
    privileges = usage.privileges_of(database(), [api.id])[api.id]
    scopes, secrets = len(api.scopes), len(api.secrets)
    href = workspace.url("apis.show", row_id=row_id)
    is_used = clients or privileges
    return Deletion(
        gettext("Delete the API %(name)s?", name=api.name),
        api.name,
        [layout.Crumb(api.display_name or api.name, href), layout.Crumb(gettext("Delete"))],
        [
            (scopes, ngettext("scope", "scopes", scopes)),
            (secrets, ngettext("secret", "secrets", secrets)),
            (clients, ngettext("use of a scope by a client", "uses of scopes by clients", clients)),
            (privileges, ngettext("privilege", "privileges", privileges)),
        ],
        href,
        is_used and _("An API that clients or privileges use cannot be deleted."),
        _("Remove its scopes from the clients first."),
    )


def _refuse_change(workspace: Workspace, row_id: int, form: ApiForm, problem: Problem) -> Response:
    if "concurrency_stamp" not in problem.fields:
        names = ("enabled", "default_scopes", "open_to_strangers")
        refusals.add(form, problem, {name: name for name in names})
        return _show(workspace, row_id, {"form": form}, status=problem.status)
    api = resources.get_api(database(), workspace.actor, row_id)
    fields = [
        (form[name].label.text, str(getattr(api, name) or ""), str(form[name].data or ""))
        for name in ("display_name", "description", "enabled", "open_to_strangers")
    ]
    stored, typed = " ".join(api.default_scopes or ()), " ".join(form.default_scope_names)
    fields.append((form.default_scopes.label.text, stored, typed))
    found = conflicts.of(database(), f"api:{api.name}", (Tag.API_RESOURCE_CHANGED,), fields)
    form.stamp.data = api.concurrency_stamp
    return _show(workspace, row_id, {"form": form}, conflict=found, status=409)
