"""Consent: what an application may know and do, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import Blueprint, make_response, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.resources.snapshot import ApiScopeView, IdentityView
from idp.oauth import pending
from idp.pages import language
from idp.pages.pending import Asking, current_asking, resume
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("consent", __name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A scope as the page shows it."""

    name: str
    title: str
    description: str
    is_fixed: bool = False
    """Nothing works without it: allowed or refused with all the rest."""
    is_emphasized: bool = False


@blueprint.get("/consent")
def show() -> Response:
    """Show what the application asks for."""
    asking = current_asking()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: asking.handle})
    response = make_response(
        render_template(
            "pages/consent/consent.html",
            client=asking.client,
            user=visitor.user,
            lines=_asked(asking),
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/consent")
def decide() -> Response:
    """Take the answer; allowing nothing is refusing."""
    asking = current_asking()
    visitor = current_visitor()
    if visitor is None:
        return ask_to_sign_in(**{language.HANDLE: asking.handle})
    scopes: list[str] = []
    if request.form.get("answer") == "allow":
        scopes = allowed(_asked(asking), request.form.getlist("scope"))
    remember = asking.client.allow_remember_consent and "remember" in request.form
    pending.decide_consent(
        database(), current_issuer(), asking.handle, visitor.browser, scopes, remember=remember
    )
    database().commit()
    return resume(asking)


def describe(
    scopes: Iterable[str],
    identity_scopes: Mapping[str, IdentityView],
    api_scopes: Mapping[str, ApiScopeView],
) -> list[Line]:
    """Put scopes into words: about the person first, then the rights at APIs."""
    wanted = list(dict.fromkeys(scopes))
    identity = [_identity_line(identity_scopes[name]) for name in wanted if name in identity_scopes]
    rights = [_right_line(api_scopes[name]) for name in wanted if name in api_scopes]
    lines = identity + rights
    if "offline_access" in wanted:
        lines.append(
            Line(
                "offline_access",
                _("Offline access"),
                _("Keep this access while you are not using the application"),
            )
        )
    return lines


def _asked(asking: Asking) -> list[Line]:
    client = asking.client
    return describe(asking.scopes, client.identity_scopes, client.api_scopes)


def allowed(lines: Iterable[Line], ticked: Iterable[str]) -> list[str]:
    """Keep what was ticked and what is fixed; what was not asked for is nobody's to allow."""
    chosen = set(ticked)
    return [line.name for line in lines if line.is_fixed or line.name in chosen]


def _identity_line(view: IdentityView) -> Line:
    title, description = _standard().get(view.name, (view.name, ""))
    if view.display_name != view.name:
        # The operator's words, in the visitor's language where they are the seeded ones.
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
    """Put the scopes of OpenID Connect Core 5.4 into words, in the visitor's language."""
    return {
        "openid": (_("Sign you in"), _("Your account ID")),
        "profile": (_("Your profile"), _("Name, picture, language and similar")),
        "email": (_("Your e-mail address"), _("The address, and whether it was verified")),
        "phone": (_("Your phone number"), _("The number, and whether it was verified")),
        "address": (_("Your postal address"), ""),
    }
