"""Addresses that browsers, password managers and crawlers look for on every site."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, jsonify, redirect
from werkzeug.wrappers import Response as AnyResponse

from idp.directory.factors.passkeys import RELATED_ORIGINS
from idp.pages.account.views import PASSWORD
from idp.pages.language import LANGUAGES
from idp.platform import clock
from idp.platform.errors import NotFound
from idp.platform.web import static
from idp.platform.web.views import current_issuer, current_runtime

SECURITY = "/.well-known/security.txt"
VALID = timedelta(days=90)
"""RFC 9116 2.5.5: less than a year, so that nobody relies on what is out of date."""

blueprint = Blueprint("wellknown", __name__)


@blueprint.get("/.well-known/change-password")
def change_password() -> AnyResponse:
    """Redirect password managers to the form (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(PASSWORD, 303)


@blueprint.get(SECURITY)
def security() -> Response:
    """Return where weaknesses are reported (RFC 9116), if the operator has set a contact."""
    contact = current_runtime().settings.security_contact
    if not contact:
        raise NotFound
    expires = (clock.now() + VALID).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = (
        f"Contact: {contact}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(sorted(LANGUAGES))}",
        f"Canonical: {current_issuer().url}{SECURITY}",
    )
    return _text(lines)


@blueprint.get(RELATED_ORIGINS)
def related_origins() -> Response:
    """Return the origin that may use passkeys bound to this host (Web Authentication 5.11).

    It is asked at every host of an issuer: passkeys stay bound to an earlier one.
    """
    issuer = current_issuer()
    if issuer.passkey_host is None:
        raise NotFound
    return jsonify({"origins": [issuer.url]})


@blueprint.get("/robots.txt")
def robots() -> Response:
    """Keep crawlers away: each visit of an authorization request would be stored."""
    return _text(("User-agent: *", "Disallow: /"))


@blueprint.get(
    "/<any('favicon.ico', 'apple-touch-icon.png', 'apple-touch-icon-precomposed.png'):name>"
)
def icon(name: str) -> Response:
    """Serve the icons that are looked for without a link."""
    return static.send(name.replace("-precomposed", ""))


def _text(lines: tuple[str, ...]) -> Response:
    response = Response("".join(f"{line}\n" for line in lines), mimetype="text/plain")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
