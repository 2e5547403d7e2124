"""Consent: what an application may read and do, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import Blueprint, make_response, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.resources.snapshot import ApiScopeView, IdentityView
from idp.oauth import pending
from idp.pages import brand, language, logos
from idp.pages.pending import (
    Authorization,
    current_authorization,
    request_query_of,
    resume,
)
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform.errors import BadRequest, NotFound, Unavailable
from idp.platform.web import csrf
from idp.platform.web.views import current_issuer, current_runtime, database

blueprint = Blueprint("consent", __name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A scope as the page shows it."""

    name: str
    title: str
    description: str
    is_fixed: bool = False
    """Required: it is allowed or refused together with all others."""
    is_emphasized: bool = False


@blueprint.get("/consent")
def show() -> Response:
    """Show the requested scopes."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    csrf.keep_typed(("scope", "remember"))
    brand.show_tenant(authorization.client.tenant_id or visitor.browser.tenant_id)
    response = make_response(
        render_template(
            "pages/consent/consent.html",
            client=authorization.client,
            site=authorization.site,
            is_of_device=authorization.is_of_device,
            is_here=authorization.site is None and not authorization.is_of_device,
            issuer_name=current_issuer().name,
            client_picture=_logo_address(authorization),
            tenant=pending.find_tenant(database(), current_issuer(), authorization.handle, visitor),
            user=visitor.user,
            lines=_requested_lines(authorization),
            request_query=request_query_of(authorization),
            typed=csrf.typed(),
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _logo_address(authorization: Authorization) -> str | None:
    """Return where our copy of the picture of a stranger is; None where it names none."""
    client = authorization.client
    if not client.is_stranger or client.logo_uri is None:
        return None
    return url_for("consent.logo", **request_query_of(authorization))


@blueprint.get("/consent/logo")
def logo() -> Response:
    """Serve a picture that an application names, fetched and drawn again: see `logos`."""
    client = current_authorization().client
    if not client.is_stranger or client.logo_uri is None:
        raise NotFound
    try:
        content = current_runtime().documents.get(client.logo_uri, logos.WANTED)
    except (Unavailable, BadRequest):
        raise NotFound from None
    response = make_response(content)
    response.headers.update(logos.HEADERS)
    return response


@blueprint.post("/consent")
def decide() -> Response:
    """Record the decision; allowing no scope is a refusal."""
    authorization = current_authorization()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: authorization.handle})
    scopes: list[str] = []
    if request.form.get("answer") == "allow":
        scopes = allowed(_requested_lines(authorization), request.form.getlist("scope"))
    remember = authorization.client.allow_remember_consent and "remember" in request.form
    pending.decide_consent(
        database(),
        current_issuer(),
        authorization.handle,
        visitor.browser,
        scopes,
        remember=remember,
    )
    database().commit()
    return resume(authorization)


def describe(
    scopes: Iterable[str],
    identity_scopes: Mapping[str, IdentityView],
    api_scopes: Mapping[str, ApiScopeView],
) -> list[Line]:
    """Describe scopes in words: claims about the person first, then rights at APIs."""
    requested = list(dict.fromkeys(scopes))
    identity = [
        _identity_line(identity_scopes[name]) for name in requested if name in identity_scopes
    ]
    rights = [_right_line(api_scopes[name]) for name in requested if name in api_scopes]
    lines = identity + rights
    if "offline_access" in requested:
        lines.append(
            Line(
                "offline_access",
                _("Offline access"),
                _("Keep this access while you are not using the application"),
            )
        )
    return lines


def _requested_lines(authorization: Authorization) -> list[Line]:
    client = authorization.client
    return describe(authorization.scopes, client.identity_scopes, client.api_scopes)


def allowed(lines: Iterable[Line], ticked: Iterable[str]) -> list[str]:
    """Return the requested scopes that were ticked or are required; ignore all others."""
    chosen = set(ticked)
    return [line.name for line in lines if line.is_fixed or line.name in chosen]


def _identity_line(view: IdentityView) -> Line:
    title, description = _standard().get(view.name, (view.name, ""))
    if view.display_name != view.name:
        # An operator's text; seeded ones are in the catalogue.
        title = _(view.display_name)
    return Line(
        view.name,
        title,
        _(view.description) if view.description else description,
        is_fixed=view.required or view.name == "openid",
        is_emphasized=view.emphasize,
    )


def _right_line(view: ApiScopeView) -> Line:
    return Line(
        view.name,
        view.display_name,
        view.description or "",
        is_fixed=view.required,
        is_emphasized=view.emphasize,
    )


def _standard() -> dict[str, tuple[str, str]]:
    """Return titles and descriptions of the scopes of OpenID Connect Core 5.4."""
    return {
        "openid": (_("Sign you in"), _("Your account ID")),
        "profile": (_("Your profile"), _("Name, picture, language and similar")),
        "email": (_("Your e-mail address"), _("The address, and whether it was verified")),
        "phone": (_("Your phone number"), _("The number, and whether it was verified")),
        "address": (_("Your postal address"), ""),
    }
