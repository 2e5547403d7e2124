"""Choosing: which account to go on with, and for which tenant."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.tenants import service as tenants
from idp.oauth import pending
from idp.pages import language
from idp.pages.pending import Asking, current_asking, resume
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform.errors import BadRequest
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("choose", __name__)


@blueprint.get("/choose")
def show_accounts() -> Response:
    """Ask whether to go on as the person who is signed in, or as somebody else."""
    asking = current_asking()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: asking.handle})
    return _page("pages/choose/account.html", asking, user=visitor.user)


@blueprint.post("/choose")
def choose_account() -> Response:
    """Go on as the person who is signed in, or to the sign-in page for somebody else."""
    asking = current_asking()
    visitor = current_visitor()
    if visitor is None or request.form.get("account") != "current":
        return ask_to_sign_in(**{language.HANDLE: asking.handle})
    pending.choose_account(database(), current_issuer(), asking.handle, visitor.browser)
    database().commit()
    return resume(asking)


@blueprint.get("/choose-tenant")
def show_tenants() -> Response:
    """Ask which of the organisations that the person belongs to this sign-in is for."""
    asking = current_asking()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: asking.handle})
    return _page(
        "pages/choose/tenant.html",
        asking,
        user=visitor.user,
        tenants=tenants.memberships(database(), visitor.user.id, current_issuer()),
    )


@blueprint.post("/choose-tenant")
def choose_tenant() -> Response:
    """Take the organisation; one that the person does not belong to is refused."""
    asking = current_asking()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: asking.handle})
    tenant_id = request.form.get("tenant", type=int)
    own = tenants.memberships(database(), visitor.user.id, current_issuer())
    if tenant_id is None or tenant_id not in {tenant.id for tenant in own}:
        raise BadRequest(_("Please choose one of your organisations."))
    pending.choose_tenant(database(), current_issuer(), asking.handle, visitor.browser, tenant_id)
    database().commit()
    return resume(asking)


def _page(template: str, asking: Asking, **context: object) -> Response:
    page = render_template(template, client=asking.client, handle=asking.handle, **context)
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response
