"""Choosing an account and a tenant for a request."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import organisations
from idp.oauth import pending
from idp.oauth.visitor import Visitor
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
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    if request.form.get("account") != "current":
        return ask_to_sign_in(**{language.HANDLE: authorization.handle, "account": "other"})
    pending.choose_account(database(), current_issuer(), authorization.handle, visitor.browser)
    database().commit()
    return resume(authorization)


@blueprint.get("/choose-tenant")
def show_tenants() -> Response:
    """Ask for which of the person's organisations this sign-in is, unless only one is offered."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    offered = organisations.list_offered(database(), visitor.user.id, current_issuer())
    only = organisations.find_only(offered)
    if only is not None:
        return _choose(authorization, visitor, only.id)
    return _page("pages/choose/tenant.html", authorization, user=visitor.user, tenants=offered)


@blueprint.post("/choose-tenant")
def choose_tenant() -> Response:
    """Set the organisation; refuse one that the person does not belong to."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    tenant_id = request.form.get("tenant", type=int)
    offered = organisations.list_offered(database(), visitor.user.id, current_issuer())
    if tenant_id is None or tenant_id not in {tenant.id for tenant in offered}:
        raise BadRequest(_("Please choose one of your organisations."))
    return _choose(authorization, visitor, tenant_id)


def _choose(authorization: Authorization, visitor: Visitor, tenant_id: int) -> Response:
    """Set the organisation and continue the request."""
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
