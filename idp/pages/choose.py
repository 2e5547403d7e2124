"""Choosing an account and a tenant for a request."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.tenants import service as tenants
from idp.oauth import pending
from idp.pages import language
from idp.pages.pending import Authorization, current_authorization, resume
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform.errors import BadRequest
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("choose", __name__)


@blueprint.get("/choose")
def show_accounts() -> Response:
    """Ask whether to continue as the person who is signed in, or as someone else."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    return _page("pages/choose/account.html", authorization, user=visitor.user)


@blueprint.post("/choose")
def choose_account() -> Response:
    """Continue as the person who is signed in, or redirect to the sign-in page."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None or request.form.get("account") != "current":
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    pending.choose_account(database(), current_issuer(), authorization.handle, visitor.browser)
    database().commit()
    return resume(authorization)


@blueprint.get("/choose-tenant")
def show_tenants() -> Response:
    """Ask for which of the person's organisations this sign-in is."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    return _page(
        "pages/choose/tenant.html",
        authorization,
        user=visitor.user,
        tenants=tenants.memberships(database(), visitor.user.id, current_issuer()),
    )


@blueprint.post("/choose-tenant")
def choose_tenant() -> Response:
    """Set the organisation; refuse one that the person does not belong to."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    tenant_id = request.form.get("tenant", type=int)
    own = tenants.memberships(database(), visitor.user.id, current_issuer())
    if tenant_id is None or tenant_id not in {tenant.id for tenant in own}:
        raise BadRequest(_("Please choose one of your organisations."))
    pending.choose_tenant(
        database(), current_issuer(), authorization.handle, visitor.browser, tenant_id
    )
    database().commit()
    return resume(authorization)


def _page(template: str, authorization: Authorization, **context: object) -> Response:
    page = render_template(
        template, client=authorization.client, handle=authorization.handle, **context
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response
