"""Branding: one page with a form, a preview in both schemes, and the pictures."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response as FlaskResponse
from flask import request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp import colours
from idp.directory.branding import rules, snapshot
from idp.directory.branding.models import Branding
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.pages.console import as_code, conflicts, layout, refusals, screens, trail
from idp.pages.console.branding.forms import (
    FIELDS,
    PICTURES,
    BrandingForm,
    data_of,
    picture_of,
)
from idp.pages.console.gate import Pages, go
from idp.pages.console.workspaces import Workspace
from idp.pages.language import current as current_language
from idp.pages.messages import reasons, retry_message, translate
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, TooManyRequests
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database
from idp.publishing import branding
from idp.publishing.files.service import Infected

EVENTS = (Tag.BRANDING_CHANGED,)
WRITE = Scope.ADMIN_BRANDING_WRITE
NOTICES = ("saved",)

pages = Pages(screens.BRANDING)


@pages.get()
def index(workspace: Workspace) -> Response:
    """Show the branding of the organisation, or of the platform."""
    row = _get(workspace)
    return _page(workspace, row, BrandingForm(formdata=None, data=data_of(row)))


@pages.post(permission=WRITE)
def save(workspace: Workspace) -> Response:
    """Save all values but the pictures."""
    form = BrandingForm()
    if form.stamp.data is None:
        raise BadRequest
    row = _get(workspace)
    try:
        branding.replace(
            database(),
            workspace.confined_actor,
            _tenant_id(workspace),
            form.to_spec(row),
            stamp=form.stamp.data,
        )
    except Conflict:
        database().rollback()
        return _conflict_page(workspace, form)
    except BadRequest as problem:
        database().rollback()
        refusals.add(form, problem, FIELDS)
        return _page(workspace, _get(workspace), form, status=400)
    database().commit()
    return go(workspace, "branding.index", notice="saved")


@pages.post("/preview", permission=Scope.ADMIN_BRANDING_READ)
def preview(workspace: Workspace) -> Response:
    """Show the page with what was typed, and save nothing."""
    form = BrandingForm()
    row = _get(workspace)
    try:
        rules.checked(form.to_spec(row))
    except BadRequest as problem:
        refusals.add(form, problem, FIELDS)
        return _page(workspace, row, form, status=400)
    return _page(workspace, row, form, is_draft=True)


@pages.get("/preview.css")
def preview_colours(workspace: Workspace) -> Response:
    """Serve the colours of a preview."""
    del workspace
    accent, on_dark = request.args.get("accent", ""), request.args.get("on_dark") or None
    if not colours.is_colour(accent) or not (on_dark is None or colours.is_colour(on_dark)):
        raise BadRequest
    content = colours.stylesheet(accent, on_dark, selector=".preview[data-bs-theme]")
    response = FlaskResponse(content, mimetype="text/css")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@pages.post("/picture", permission=WRITE)
def upload(workspace: Workspace) -> Response:
    """Store the logo or the icon."""
    kind = picture_of(request.form.get("kind", ""))
    sent = request.files.get("file")
    if kind is None:
        raise BadRequest
    if sent is None or not sent.filename:
        return _picture_page(workspace, kind, _("Choose a picture."), 400)
    tenant_id = _tenant_id(workspace)
    try:
        with branding.new_picture(
            database(), workspace.confined_actor, tenant_id, kind, sent.stream, sent.filename
        ):
            database().commit()
    except TooManyRequests as wait:
        return _picture_page(workspace, kind, retry_message(wait), 429)
    except BadRequest as problem:
        database().rollback()
        is_known = isinstance(problem, Infected)
        message = reasons(problem)[0] if is_known else translate(branding.NO_PICTURE)
        return _picture_page(workspace, kind, message, 400)
    return go(workspace, "branding.index", notice="saved")


@pages.post("/picture/remove", permission=WRITE)
def remove(workspace: Workspace) -> Response:
    """Remove the logo or the icon."""
    kind = picture_of(request.form.get("kind", ""))
    if kind is None:
        raise BadRequest
    branding.remove_picture(database(), workspace.confined_actor, _tenant_id(workspace), kind)
    database().commit()
    return go(workspace, "branding.index", notice="saved")


def _tenant_id(workspace: Workspace) -> int:
    return workspace.tenant_id or PLATFORM_TENANT_ID


def _get(workspace: Workspace) -> Branding:
    return branding.get(database(), workspace.confined_actor, _tenant_id(workspace))


def _conflict_page(workspace: Workspace, form: BrandingForm) -> Response:
    """Show both values; the next save is based on what is stored now."""
    row = _get(workspace)
    target = f"tenant:{_tenant_id(workspace)}"
    found = conflicts.of(database(), target, EVENTS, form.rows(row))
    form.stamp.data = row.concurrency_stamp
    return _page(workspace, row, form, status=409, conflict=found)


def _picture_page(workspace: Workspace, kind: str, message: str, status: int) -> Response:
    row = _get(workspace)
    form = BrandingForm(formdata=None, data=data_of(row))
    return _page(workspace, row, form, status=status, mistakes={kind: message})


def _page(
    workspace: Workspace,
    row: Branding,
    form: BrandingForm,
    *,
    status: int = 200,
    is_draft: bool = False,
    **context: Any,
) -> Response:
    tenant = tenants.get(database(), _tenant_id(workspace))
    is_shown = is_draft or not form.mistakes
    data = form.data if is_shown else data_of(row)
    notice = request.args.get("notice")
    return layout.page(
        workspace,
        "branding/index.html",
        screen=screens.BRANDING,
        status=status,
        form=form,
        row=row,
        tenant=tenant,
        shown=data,
        is_draft=is_draft,
        welcome=data[f"text_{current_language().code}_sign_in"],
        preview_sheet=_preview_sheet(workspace, tenant, data),
        pictures=PICTURES,
        notice=notice if notice in NOTICES else None,
        may_write=workspace.may(WRITE),
        write=WRITE,
        code=as_code.of(as_code.Tab("curl", "curl", _curl(workspace))),
        events=trail.of(database(), f"tenant:{tenant.id}", EVENTS),
        **{"mistakes": {}, "conflict": None, **context},
    )


def _preview_sheet(workspace: Workspace, tenant: Tenant, data: dict[str, str]) -> str | None:
    """Return the address of the colours of the preview; None: those of the product."""
    accent = (data["accent"] or snapshot.default_accent(database(), tenant) or "").strip().lower()
    on_dark = (data["accent_dark"] or "").strip().lower()
    if not colours.is_colour(accent) or not (not on_dark or colours.is_colour(on_dark)):
        return None
    query = urlencode({"accent": accent, "on_dark": on_dark})
    return f"{workspace.url('branding.preview_colours')}?{query}"


def _curl(workspace: Workspace) -> str:
    address = f"{workspace.issuer.url}/admin/v1/tenants/{_tenant_id(workspace)}/branding"
    return f'curl -H "Authorization: Bearer $TOKEN" \\\n  {address}'
