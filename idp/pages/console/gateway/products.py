"""Products and their subscriptions: at the platform, which decides who may call what."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func
from werkzeug.wrappers import Response

from idp.directory.clients.models import Client
from idp.directory.tenants import service as tenants
from idp.pages.console import conflicts, layout, lists, screens, trail
from idp.pages.console.conflicts import Conflict
from idp.pages.console.gate import go
from idp.pages.console.gateway.forms import NewProductForm, ProductForm, SubscribeForm
from idp.pages.console.gateway.pages import READ, WRITE, pages, raise_missing, reason, refuse, tabs
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.screens import Where
from idp.pages.console.typed_name import TypedNameForm
from idp.pages.console.workspaces import Workspace
from idp.pages.form import Form
from idp.platform import stamps
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Outdated, Problem
from idp.platform.web.views import database
from idp.publishing.gateway import products
from idp.publishing.gateway.models import Product, ProductSubscription
from idp.publishing.gateway.products import NewProduct

SORTS = {
    "name": Sort(_("Product"), func.lower(Product.name, type_=String)),
}
FILTERS = {
    "state": Filter(_("State"), {"published": _("Published"), "hidden": _("Hidden")}),
}
CLIENT_SORTS = {
    "client": Sort(_("Client"), Client.client_id),
    "created": Sort(_("Since"), ProductSubscription.created_at),
}
CLIENT_FILTERS = {
    "state": Filter(_("State"), {"active": _("Active"), "suspended": _("Suspended")}),
}
EVENTS = (Tag.GATEWAY_CHANGED,)


@pages.get("/products", permission=READ, where=Where.PLATFORM)
def list_products(workspace: Workspace) -> Response:
    """List products."""
    listing = lists.read(SORTS, FILTERS)
    query = products.select_products()
    if listing.text:
        query = query.where(lists.matches(listing.text, Product.name, Product.pid))
    if "state" in listing.chosen:
        query = query.where(Product.is_published.is_(listing.chosen["state"] == "published"))
    page = lists.fetch(database(), query, listing, Product.id)
    owners = {row.tenant_id for row in page.rows if row.tenant_id is not None}
    return layout.page(
        workspace,
        "gateway/products.html",
        screen=screens.GATEWAY,
        crumbs=[layout.Crumb(gettext("Products"))],
        tabs=tabs(workspace, "list_products"),
        page=page,
        counts=products.subscriptions_of(database(), [row.id for row in page.rows]),
        owners=tenants.names(database(), owners),
        may_write=workspace.may(WRITE),
        write=WRITE,
    )


@pages.get("/products/new", permission=WRITE, where=Where.PLATFORM)
def new_product(workspace: Workspace) -> Response:
    """Ask for the values of a product."""
    return _show_new(workspace, NewProductForm())


@pages.post("/products/new", permission=WRITE, where=Where.PLATFORM)
def create_product(workspace: Workspace) -> Response:
    """Add a product."""
    form = NewProductForm()
    if not form.validate():
        return _show_new(workspace, form, 400)
    new = NewProduct(pid=form.pid.data or "", tenant_id=form.tenant.data, **_values(form))
    try:
        products.add_product(database(), new)
    except Problem as problem:
        database().rollback()
        refuse(form, problem)
        return _show_new(workspace, form, problem.status)
    database().commit()
    return go(workspace, "gateway.show_product", pid=new.pid)


@pages.get("/products/<pid>", permission=READ, where=Where.PLATFORM)
def show_product(workspace: Workspace, pid: str) -> Response:
    """Show a product with the clients that have subscribed."""
    return _show(workspace, pid)


@pages.post("/products/<pid>", permission=WRITE, where=Where.PLATFORM)
def change_product(workspace: Workspace, pid: str) -> Response:
    """Change what a product asks of clients."""
    products.get_product(database(), pid)
    form = ProductForm()
    if not form.validate():
        return _show(workspace, pid, form=form, status=400)
    try:
        products.change_product(
            database(),
            pid,
            _values(form),
            lambda row: stamps.check(products.stamp_of(row), form.stamp.data),
        )
    except Problem as problem:
        database().rollback()
        return _refuse_change(workspace, pid, form, problem)
    database().commit()
    return go(workspace, "gateway.show_product", pid=pid)


@pages.post("/products/<pid>/subscribe", permission=WRITE, where=Where.PLATFORM)
def subscribe(workspace: Workspace, pid: str) -> Response:
    """Approve a client: it may use the product from now on."""
    products.get_product(database(), pid)
    form = SubscribeForm()
    if not form.validate():
        return _show(workspace, pid, subscribe_form=form, status=400)
    try:
        products.subscribe(database(), pid, (form.client.data or "").strip())
    except Problem as problem:
        database().rollback()
        refuse(form, problem)
        return _show(workspace, pid, subscribe_form=form, status=problem.status)
    database().commit()
    return go(workspace, "gateway.show_product", pid=pid)


@pages.post("/products/<pid>/suspend", permission=WRITE, where=Where.PLATFORM)
def suspend(workspace: Workspace, pid: str) -> Response:
    """Suspend a subscription; its calls are refused at once."""
    products.suspend(database(), pid, _client(pid))
    database().commit()
    return go(workspace, "gateway.show_product", pid=pid)


@pages.post("/products/<pid>/resume", permission=WRITE, where=Where.PLATFORM)
def resume(workspace: Workspace, pid: str) -> Response:
    """End the suspension of a subscription."""
    products.suspend(database(), pid, _client(pid), ends=True)
    database().commit()
    return go(workspace, "gateway.show_product", pid=pid)


@pages.post("/products/<pid>/unsubscribe", permission=WRITE, where=Where.PLATFORM)
def unsubscribe(workspace: Workspace, pid: str) -> Response:
    """End a subscription."""
    products.unsubscribe(database(), pid, _client(pid))
    database().commit()
    return go(workspace, "gateway.show_product", pid=pid)


@pages.get("/products/<pid>/remove", permission=WRITE, recent=True, where=Where.PLATFORM)
def ask_to_remove_product(workspace: Workspace, pid: str) -> Response:
    """Show what ends with a product."""
    return _show_removal(workspace, pid, TypedNameForm())


@pages.post("/products/<pid>/remove", permission=WRITE, recent=True, where=Where.PLATFORM)
def remove_product(workspace: Workspace, pid: str) -> Response:
    """Remove a product that no version lists, after its id was typed."""
    products.get_product(database(), pid)
    form = TypedNameForm()
    if not form.names(pid):
        return _show_removal(workspace, pid, form, 400)
    try:
        products.remove_product(database(), pid)
    except Problem as problem:
        raise_missing(problem)
        database().rollback()
        form.refuse(reason(problem))
        return _show_removal(workspace, pid, form, problem.status)
    database().commit()
    return go(workspace, "gateway.list_products")


def _client(pid: str) -> str:
    """Return the client that a form names; without one there is no subscription."""
    products.get_product(database(), pid)
    form = SubscribeForm()
    if not form.validate():
        raise NotFound
    return form.client.data or ""


def _values(form: ProductForm) -> dict[str, Any]:
    """Return the values of a product; an empty text is none."""
    texts = {name: form[name].data or None for name in ("description", "terms", "scope")}
    return {
        "name": form.name.data or "",
        **texts,
        "subscription_required": bool(form.subscription_required.data),
        "subscriptions_limit": form.subscriptions_limit.data,
        "is_published": bool(form.is_published.data),
    }


def _show_new(workspace: Workspace, form: NewProductForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "gateway/new_product.html",
        screen=screens.GATEWAY,
        crumbs=[_list_crumb(workspace), layout.Crumb(gettext("New product"))],
        status=status,
        form=form,
    )


def _form_of(row: Product) -> ProductForm:
    return ProductForm(formdata=None, obj=row, data={"stamp": products.stamp_of(row)})


def _refuse_change(workspace: Workspace, pid: str, form: ProductForm, problem: Problem) -> Response:
    if not isinstance(problem, Outdated):
        refuse(form, problem)
        return _show(workspace, pid, form=form, status=problem.status)
    stored = _form_of(products.get_product(database(), pid))
    fields = conflicts.compared(stored, form, sorted(products.CHANGEABLE))
    found = conflicts.of(database(), f"product:{pid}", EVENTS, fields)
    form.stamp.data = stored.stamp.data
    return _show(workspace, pid, form=form, conflict=found, status=409)


def _show(
    workspace: Workspace,
    pid: str,
    *,
    form: Form | None = None,
    subscribe_form: Form | None = None,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session = database()
    row = products.get_product(session, pid)
    address = workspace.url("gateway.show_product", pid=pid)
    listing = lists.read(CLIENT_SORTS, CLIENT_FILTERS, path=address)
    query = products.select_subscriptions(row)
    if listing.text:
        query = query.where(lists.matches(listing.text, Client.client_id, Client.client_name))
    if "state" in listing.chosen:
        is_suspended = listing.chosen["state"] == "suspended"
        query = query.where(ProductSubscription.is_suspended.is_(is_suspended))
    page = lists.fetch(session, query, listing, ProductSubscription.id)
    owners = set() if row.tenant_id is None else {row.tenant_id}
    return layout.page(
        workspace,
        "gateway/product.html",
        screen=screens.GATEWAY,
        crumbs=[_list_crumb(workspace), layout.Crumb(row.name)],
        status=status,
        product=row,
        page=page,
        clients=products.clients_of(session, page.rows),
        versions=products.versions_in(session, pid),
        owner=tenants.names(session, owners).get(row.tenant_id or 0),
        form=form or _form_of(row),
        conflict=conflict,
        subscribe_form=subscribe_form or SubscribeForm(formdata=None),
        events=trail.of(session, f"product:{pid}", EVENTS),
        may_write=workspace.may(WRITE),
        write=WRITE,
    )


def _show_removal(
    workspace: Workspace, pid: str, form: TypedNameForm, status: int = 200
) -> Response:
    row = products.get_product(database(), pid)
    count = products.subscriptions_of(database(), [row.id])[row.id]
    href = workspace.url("gateway.show_product", pid=pid)
    return layout.page(
        workspace,
        "gateway/remove_product.html",
        screen=screens.GATEWAY,
        crumbs=[
            _list_crumb(workspace),
            layout.Crumb(row.name, href),
            layout.Crumb(gettext("Remove")),
        ],
        status=status,
        product=row,
        versions=products.versions_in(database(), pid),
        form=form,
        counts=[(count, ngettext("subscription", "subscriptions", count))],
        href=href,
    )


def _list_crumb(workspace: Workspace) -> layout.Crumb:
    return layout.Crumb(gettext("Products"), workspace.url("gateway.list_products"))
