"""Publishing in two steps: a request is checked, its result is shown, then it is carried out."""

from __future__ import annotations

import orjson
from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func
from werkzeug.wrappers import Response

from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.pages import language
from idp.pages.console import layout, lists, screens
from idp.pages.console.gate import check, go
from idp.pages.console.gateway.forms import PublishForm, ReviseForm, SourceForm
from idp.pages.console.gateway.pages import get_api, pages, raise_missing, reason, refuse
from idp.pages.console.lists import Sort
from idp.pages.console.workspaces import Workspace
from idp.pages.form import Form
from idp.platform.errors import Problem
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database
from idp.publishing.gateway import breaking, products
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.service import Note, PublishRequest, Source
from idp.publishing.gateway.state import Published

NAME = func.lower(ApiResource.name, type_=String)
SORTS = {"name": Sort(_("API resource"), NAME)}
PERMISSIONS = {
    "publish": Scope.APIRESOURCE_PUBLISH,
    "revise": Scope.APIRESOURCE_PUBLISHREVISION,
}
"""What the actions of drafts need."""


@pages.get("/new", permission=Scope.APIRESOURCE_PUBLISH)
def choose(workspace: Workspace) -> Response:
    """List the APIs that are not published."""
    listing = lists.read(SORTS)
    query = gateway.select_unpublished(workspace.actor)
    if listing.text:
        query = query.where(lists.matches(listing.text, ApiResource.name, ApiResource.display_name))
    return layout.page(
        workspace,
        "gateway/new.html",
        screen=screens.GATEWAY,
        crumbs=[layout.Crumb(gettext("Publish an API"))],
        page=lists.fetch(database(), query, listing, ApiResource.id),
    )


@pages.get("/<int:row_id>/publish", permission=Scope.APIRESOURCE_PUBLISH)
def start(workspace: Workspace, row_id: int) -> Response:
    """Ask for a description and settings, filled in with those of the last time."""
    api = get_api(workspace, row_id)
    state = gateway.find(database(), row_id)
    return _show_publish(workspace, api, PublishForm(data=_values(api, state)))


@pages.post("/<int:row_id>/publish", permission=Scope.APIRESOURCE_PUBLISH)
def check_publication(workspace: Workspace, row_id: int) -> Response:
    """Check what would be published; nothing is carried out."""
    api, form = get_api(workspace, row_id), PublishForm()
    content = PublishRequest(
        aid=form.aid.data or str(row_id),
        name=form.name.data or None,
        description=form.description.data or None,
        suffix=form.suffix.data or None,
        product_ids=form.products,
        authorization_server_id=form.authorization_server_id.data or None,
        scope=form.scope.data or None,
        openid=form.openid.data or None,
        policy=form.policy.data or None,
    )
    return _check(workspace, api, form, content)


@pages.get("/<int:row_id>/versions/<aid>/revise", permission=Scope.APIRESOURCE_PUBLISHREVISION)
def start_revision(workspace: Workspace, row_id: int, aid: str) -> Response:
    """Ask for the description of a further revision."""
    api = get_api(workspace, row_id)
    state = gateway.find(database(), row_id)
    version = state.find(aid) if state else None
    source = version.newest.source_url if version else ""
    form = ReviseForm(data={"swagger_url": "" if source.startswith("file:") else source})
    return _show_revise(workspace, api, aid, form)


@pages.post("/<int:row_id>/versions/<aid>/revise", permission=Scope.APIRESOURCE_PUBLISHREVISION)
def check_revision(workspace: Workspace, row_id: int, aid: str) -> Response:
    """Check the description of a further revision; nothing is carried out."""
    api, form = get_api(workspace, row_id), ReviseForm()
    return _check(workspace, api, form, Note(aid, form.note.data or ""))


@pages.get("/<int:row_id>/drafts/<int:draft_id>", permission=Scope.APIRESOURCE_VERSIONS)
def show_draft(workspace: Workspace, row_id: int, draft_id: int) -> Response:
    """Show the result of a check."""
    return _show_draft(workspace, row_id, draft_id)


@pages.post("/<int:row_id>/drafts/<int:draft_id>", permission=Scope.APIRESOURCE_VERSIONS)
def carry_out(workspace: Workspace, row_id: int, draft_id: int) -> Response:
    """Carry out what was checked, once."""
    api, session = get_api(workspace, row_id), database()
    draft = gateway.get_draft(session, workspace.actor, api, draft_id)
    check(workspace, PERMISSIONS[draft.action])
    try:
        plan = gateway.carry_out_draft(session, workspace.actor, api, draft_id)
        gateway.carry_out(session, plan)
    except Problem as problem:
        raise_missing(problem)
        session.rollback()
        return _show_draft(workspace, row_id, draft_id, problem)
    return go(workspace, "gateway.show", row_id=row_id)


def _check(
    workspace: Workspace, api: ApiResource, form: SourceForm, content: PublishRequest | Note
) -> Response:
    row_id = api.id
    if not form.validate():
        return _again(workspace, api, form, content, 400)
    try:
        draft = gateway.check_draft(database(), workspace.actor, api, content, _source(form))
    except Problem as problem:
        raise_missing(problem)
        database().rollback()
        refuse(form, problem)
        return _again(workspace, get_api(workspace, row_id), form, content, problem.status)
    draft_id = draft.id
    database().commit()
    return go(workspace, "gateway.show_draft", row_id=row_id, draft_id=draft_id)


def _source(form: SourceForm) -> Source:
    """Return the file that was sent, else the address."""
    sent = request.files.get(form.file.name)
    if sent is None or not sent.filename:
        return Source((form.swagger_url.data or "").strip())
    return Source(content=sent.stream.read(), unverified_name=sent.filename)


def _again(
    workspace: Workspace, api: ApiResource, form: Form, content: PublishRequest | Note, status: int
) -> Response:
    if isinstance(form, PublishForm):
        return _show_publish(workspace, api, form, status)
    return _show_revise(workspace, api, content.aid, form, status)


def _values(api: ApiResource, state: Published | None) -> dict[str, object]:
    """Return what the form begins with: the last request, or the API as it is."""
    if state is None:
        return {"aid": str(api.id), "name": api.display_name, "description": api.description}
    values: dict[str, object] = orjson.loads(state.configuration)
    return values


def _show_publish(
    workspace: Workspace, api: ApiResource, form: PublishForm, status: int = 200
) -> Response:
    tenant_id = api.tenant_id or PLATFORM_TENANT_ID
    kind = gateway.kind(database())
    if kind != "azure":
        _offer_rows(api, form, tenant_id)
    return layout.page(
        workspace,
        "gateway/publish.html",
        screen=screens.GATEWAY,
        crumbs=_crumbs(workspace, api, gettext("Publish")),
        status=status,
        api=api,
        form=form,
        kind=kind,
        upstreams=products.list_upstreams(database(), tenant_id),
    )


def _offer_rows(api: ApiResource, form: PublishForm, tenant_id: int) -> None:
    """Fill in what may be chosen; a value that is not offered stays, and is refused by name."""
    rows = products.list_products(database(), tenant_id)
    form.product_ids.choices = [(row.pid, row.name) for row in rows]
    servers = [(row.sid, row.name) for row in products.list_servers(database(), tenant_id)]
    none = ("", gettext("None"))
    form.authorization_server_id.choices = [none, *servers]
    form.openid.choices = [none, *servers]
    form.scope.choices = [none, *((scope.name, scope.name) for scope in api.scopes)]


def _show_revise(
    workspace: Workspace, api: ApiResource, aid: str, form: Form, status: int = 200
) -> Response:
    try:
        _state, version = gateway.get_version(database(), api.id, aid)
    except Problem as problem:
        raise_missing(problem)
        raise
    return layout.page(
        workspace,
        "gateway/revise.html",
        screen=screens.GATEWAY,
        crumbs=_crumbs(workspace, api, gettext("New revision")),
        status=status,
        api=api,
        version=version,
        form=form,
    )


def _show_draft(
    workspace: Workspace, row_id: int, draft_id: int, failure: Problem | None = None
) -> Response:
    api = get_api(workspace, row_id)
    preview = None
    try:
        preview = gateway.preview_draft(database(), workspace.actor, api, draft_id)
    except Problem as problem:
        raise_missing(problem)
        failure = failure or problem
    code = language.current().code
    entries = preview.breaking if preview else ()
    return layout.page(
        workspace,
        "gateway/draft.html",
        screen=screens.GATEWAY,
        crumbs=_crumbs(workspace, api, gettext("Result of the check")),
        status=failure.status if failure else 200,
        api=api,
        preview=preview,
        changes=[breaking.in_words(entry, code) for entry in entries],
        failure=None if failure is None else reason(failure),
        draft_id=draft_id,
    )


def _crumbs(workspace: Workspace, api: ApiResource, title: str) -> list[layout.Crumb]:
    href = workspace.url("gateway.show", row_id=api.id)
    return [layout.Crumb(api.display_name or api.name, href), layout.Crumb(title)]
