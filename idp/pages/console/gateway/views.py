"""Publications: the list, and a page for each with versions, revisions and releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.pages import language
from idp.pages.console import layout, lists, repeats, screens, trail
from idp.pages.console.gate import Hit, go
from idp.pages.console.gateway import products, publishing, upstreams
from idp.pages.console.gateway.forms import OnlineForm, ReleaseForm, VersionForm
from idp.pages.console.gateway.pages import READ, get_api, raise_missing, reason, refuse, tabs
from idp.pages.console.gateway.pages import pages as pages
from idp.pages.console.lists import Sort
from idp.pages.console.workspaces import Workspace
from idp.pages.form import Form
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Problem
from idp.platform.web.views import database
from idp.publishing import apis
from idp.publishing.gateway import breaking
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.models import Publication
from idp.publishing.gateway.service import Plan
from idp.publishing.gateway.state import Difference, Published

PARTS = (products, publishing, upstreams)
"""Modules that add pages to this screen."""
SORTS = {
    "suffix": Sort(_("Suffix"), Publication.suffix_key),
    "published": Sort(_("Published"), Publication.published_at),
}
EVENTS = (Tag.PUBLICATION_CHANGED,)
ONLINE = "/<int:row_id>/versions/<aid>/revisions/<int:number>/online"


@pages.get()
def index(workspace: Workspace) -> Response:
    """List publications."""
    listing = lists.read(SORTS)
    query = gateway.select_publications(workspace.actor)
    if listing.text:
        query = query.where(lists.matches(listing.text, Publication.suffix, Publication.name))
    page = lists.fetch(database(), query, listing, Publication.id)
    found = apis.by_ids(database(), [row.api_resource_id for row in page.rows])
    owners = {api.tenant_id for api in found.values() if api.tenant_id is not None}
    return layout.page(
        workspace,
        "gateway/index.html",
        screen=screens.GATEWAY,
        tabs=tabs(workspace, "index"),
        page=page,
        apis=found,
        owners=tenants.names(database(), owners),
        may_publish=workspace.may(Scope.APIRESOURCE_PUBLISH),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find publications by suffix or name."""
    query = gateway.select_publications(workspace.actor).where(
        lists.matches(text, Publication.suffix, Publication.name)
    )
    rows = database().scalars(query.order_by(Publication.suffix_key).limit(5)).all()
    return [
        Hit(
            row.name or row.suffix,
            f"/{row.suffix}",
            workspace.url("gateway.show", row_id=row.api_resource_id),
        )
        for row in rows
    ]


@pages.get("/<int:row_id>")
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a publication, or that there is none yet."""
    return _show(workspace, get_api(workspace, row_id))


@pages.get("/<int:row_id>/compare")
def compare(workspace: Workspace, row_id: int) -> Response:
    """Show a publication with how the gateway differs from it."""
    api = get_api(workspace, row_id)
    state = gateway.find(database(), row_id)
    if state is None:
        raise NotFound
    try:
        found = gateway.compare(database(), state)
    except Problem as problem:
        return _show(workspace, get_api(workspace, row_id), failure=problem)
    return _show(workspace, get_api(workspace, api.id), compared=(found,))


@pages.get("/differences", permission=READ, where=screens.Where.PLATFORM)
def show_differences(workspace: Workspace) -> Response:
    """Compare all publications with the gateway."""
    failure, found = None, None
    try:
        found = gateway.compare_all(database())
    except Problem as problem:
        failure = problem
    return layout.page(
        workspace,
        "gateway/differences.html",
        screen=screens.GATEWAY,
        crumbs=[layout.Crumb(gettext("Differences"))],
        tabs=tabs(workspace, "show_differences"),
        kind=gateway.kind(database()),
        found=found,
        failure=None if failure is None else reason(failure),
    )


@pages.get(ONLINE, permission=Scope.APIRESOURCE_SETONLINEVERSION)
def ask_online(workspace: Workspace, row_id: int, aid: str, number: int) -> Response:
    """Show what breaks for callers when a revision goes online."""
    return _show_switch(workspace, row_id, f"{aid};rev={number}", OnlineForm())


@pages.post(ONLINE, permission=Scope.APIRESOURCE_SETONLINEVERSION)
def put_online(workspace: Workspace, row_id: int, aid: str, number: int) -> Response:
    """Put a revision online, if what was shown of it still holds."""
    api, form = get_api(workspace, row_id), OnlineForm()
    revision_id = f"{aid};rev={number}"
    if not form.validate():
        form.refuse(gettext("This form is not complete. Open it again."))
        return _show_switch(workspace, row_id, revision_id, form, 400)
    try:
        plan = gateway.go_online(
            database(), workspace.actor, api, revision_id, stamp=form.seen.data
        )
        gateway.carry_out(database(), plan)
    except Problem as problem:
        raise_missing(problem)
        database().rollback()
        form.refuse(reason(problem))
        return _show_switch(workspace, row_id, revision_id, form, problem.status)
    return go(workspace, "gateway.show", row_id=row_id)


@pages.post("/<int:row_id>/versions", permission=Scope.APIRESOURCE_PUBLISHVERSION)
def add_version(workspace: Workspace, row_id: int) -> Response:
    """Make a version of a revision."""
    api, form = get_api(workspace, row_id), VersionForm()
    source, name = form.revision_id.data or "", form.api_version_name.data or ""
    return _change(
        workspace,
        api,
        {"version_form": form},
        lambda: gateway.add_version(database(), workspace.actor, api, source, name),
    )


@pages.post("/<int:row_id>/releases", permission=Scope.APIRESOURCE_POSTRELEASE)
def add_release(workspace: Workspace, row_id: int) -> Response:
    """Add a note about a revision."""
    api, form = get_api(workspace, row_id), ReleaseForm()
    revision, notes = form.revision.data or "", form.notes.data or ""
    return _change(
        workspace,
        api,
        {"release_form": form},
        lambda: gateway.add_release(database(), workspace.actor, api, revision, notes),
    )


@pages.post("/<int:row_id>/releases/<name>/remove", permission=Scope.APIRESOURCE_DELETERELEASE)
def remove_release(workspace: Workspace, row_id: int, name: str) -> Response:
    """Remove a release note; what is online stays."""
    api = get_api(workspace, row_id)
    return _change(
        workspace,
        api,
        {},
        lambda: gateway.remove_release(database(), workspace.actor, api, name),
    )


def _change(
    workspace: Workspace,
    api: ApiResource,
    forms: Mapping[str, Form],
    make_plan: Callable[[], Plan],
) -> Response:
    """Carry a plan out, or show the publication with the form that was sent."""
    row_id = api.id
    if not all(form.validate() for form in forms.values()):
        return _show(workspace, api, forms=forms, status=400)
    sending = repeats.begin(workspace)
    if isinstance(sending, Response):
        return sending
    response = sending.keep(go(workspace, "gateway.show", row_id=row_id))
    try:
        gateway.carry_out(database(), make_plan())
    except Problem as problem:
        database().rollback()
        sending.release()
        raise_missing(problem)
        for form in forms.values():
            refuse(form, problem)
        failure = None if forms else problem
        api = get_api(workspace, row_id)
        return _show(workspace, api, forms=forms, failure=failure, status=problem.status)
    return response


def _show(
    workspace: Workspace,
    api: ApiResource,
    *,
    forms: Mapping[str, Form] | None = None,
    compared: tuple[list[Difference] | None] | None = None,
    failure: Problem | None = None,
    status: int = 200,
) -> Response:
    session = database()
    state = gateway.find(session, api.id)
    stored: dict[str, Any] = {
        "version_form": VersionForm(formdata=None),
        "release_form": ReleaseForm(formdata=None),
        **dict(forms or {}),
    }
    live = [] if state is None else gateway.live(session, [state])[0].versions
    _offer_revisions(state, stored)
    return layout.page(
        workspace,
        "gateway/show.html",
        screen=screens.GATEWAY,
        crumbs=[layout.Crumb(api.display_name or api.name)],
        status=status,
        api=api,
        state=state,
        open_ids={version.aid for version in live},
        compared=compared,
        failure=None if failure is None else reason(failure),
        kind=gateway.kind(session),
        changes=changes,
        events=[] if state is None else trail.of(session, f"publication:{state.suffix}", EVENTS),
        may={
            "publish": workspace.may(Scope.APIRESOURCE_PUBLISH),
            "revise": workspace.may(Scope.APIRESOURCE_PUBLISHREVISION),
            "add_version": workspace.may(Scope.APIRESOURCE_PUBLISHVERSION),
            "go_online": workspace.may(Scope.APIRESOURCE_SETONLINEVERSION),
            "add_release": workspace.may(Scope.APIRESOURCE_POSTRELEASE),
            "remove_release": workspace.may(Scope.APIRESOURCE_DELETERELEASE),
        },
        **stored,
    )


def _offer_revisions(state: Published | None, forms: Mapping[str, Any]) -> None:
    """Fill the choices of revisions in, each by version and number."""
    original = gettext("Original version")
    choices = [
        (
            f"{version.aid};rev={revision.number}",
            f"{version.name or original} · {revision.number}",
        )
        for version in (state.versions if state else ())
        for revision in reversed(version.revisions)
    ]
    forms["version_form"].revision_id.choices = choices
    forms["release_form"].revision.choices = choices


def _show_switch(
    workspace: Workspace, row_id: int, revision_id: str, form: OnlineForm, status: int = 200
) -> Response:
    api = get_api(workspace, row_id)
    try:
        found = gateway.switch(database(), api, revision_id)
    except Problem as problem:
        raise_missing(problem)
        raise
    form.seen.data = found.state.stamp
    return layout.page(
        workspace,
        "gateway/online.html",
        screen=screens.GATEWAY,
        crumbs=[
            layout.Crumb(
                api.display_name or api.name, workspace.url("gateway.show", row_id=row_id)
            ),
            layout.Crumb(gettext("Put online")),
        ],
        status=status,
        api=api,
        found=found,
        changes=changes(found.breaking),
        form=form,
    )


def changes(entries: Sequence[str]) -> list[tuple[str, str]]:
    """Return breaking changes in the visitor's language: what has changed, and where."""
    return [breaking.in_words(entry, language.current().code) for entry in entries]
