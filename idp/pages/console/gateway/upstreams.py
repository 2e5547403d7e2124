"""Addresses that calls may go to: at the platform, which allows them for each organisation."""

from __future__ import annotations

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.tenants import service as tenants
from idp.pages.console import layout, lists, screens
from idp.pages.console.gate import go
from idp.pages.console.gateway.forms import UpstreamForm
from idp.pages.console.gateway.pages import READ, WRITE, pages, refuse, tabs
from idp.pages.console.lists import Sort
from idp.pages.console.screens import Where
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import Problem
from idp.platform.web.views import database
from idp.publishing.gateway import products
from idp.publishing.gateway.models import Upstream

SORTS = {
    "tenant": Sort(_("Organisation"), Upstream.tenant_id),
    "url": Sort(_("Address"), Upstream.url),
}


@pages.get("/upstreams", permission=READ, where=Where.PLATFORM)
def list_upstreams(workspace: Workspace) -> Response:
    """List the addresses of all organisations."""
    return _show(workspace, UpstreamForm(formdata=None))


@pages.post("/upstreams", permission=WRITE, recent=True, where=Where.PLATFORM)
def allow_upstream(workspace: Workspace) -> Response:
    """Allow an address and what is below it."""
    form = UpstreamForm()
    if not form.validate():
        return _show(workspace, form, 400)
    try:
        products.allow_upstream(database(), form.tenant.data or 0, (form.url.data or "").strip())
    except Problem as problem:
        database().rollback()
        refuse(form, problem)
        return _show(workspace, form, problem.status)
    database().commit()
    return go(workspace, "gateway.list_upstreams")


@pages.get("/upstreams/<int:row_id>/remove", permission=WRITE, recent=True, where=Where.PLATFORM)
def ask_to_forbid(workspace: Workspace, row_id: int) -> Response:
    """Show which publications close without an address."""
    row = products.get_upstream(database(), row_id)
    return layout.page(
        workspace,
        "gateway/forbid.html",
        screen=screens.GATEWAY,
        crumbs=[
            layout.Crumb(gettext("Upstreams"), workspace.url("gateway.list_upstreams")),
            layout.Crumb(gettext("Remove")),
        ],
        upstream=row,
        owner=tenants.names(database(), {row.tenant_id}).get(row.tenant_id),
        closed=products.closed_without(database(), row),
    )


@pages.post("/upstreams/<int:row_id>/remove", permission=WRITE, recent=True, where=Where.PLATFORM)
def forbid(workspace: Workspace, row_id: int) -> Response:
    """Remove an address; what is published there can no longer be called."""
    row = products.get_upstream(database(), row_id)
    products.forbid_upstream(database(), row.tenant_id, row.url)
    database().commit()
    return go(workspace, "gateway.list_upstreams")


def _show(workspace: Workspace, form: UpstreamForm, status: int = 200) -> Response:
    listing = lists.read(SORTS, path=workspace.url("gateway.list_upstreams"))
    query = products.select_upstreams()
    if listing.text:
        query = query.where(lists.matches(listing.text, Upstream.url))
    page = lists.fetch(database(), query, listing, Upstream.id)
    return layout.page(
        workspace,
        "gateway/upstreams.html",
        screen=screens.GATEWAY,
        crumbs=[layout.Crumb(gettext("Upstreams"))],
        tabs=tabs(workspace, "list_upstreams"),
        status=status,
        page=page,
        owners=tenants.names(database(), {row.tenant_id for row in page.rows}),
        form=form,
        may_write=workspace.may(WRITE),
        write=WRITE,
    )
