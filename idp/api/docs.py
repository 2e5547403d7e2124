"""The documents about our APIs, and the page on which people read and try them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from flask import Blueprint, Response, render_template, request
from flask_babel import get_locale

from idp.api import openapi
from idp.api.admin.dialect import admin
from idp.api.admin.document import AdminWording
from idp.api.center.dialect import center
from idp.api.center.document import CenterWording
from idp.api.dialect import Dialect
from idp.api.openapi import Wording
from idp.api.texts import LANGUAGES, Language
from idp.api.userservice.dialect import userservice
from idp.api.userservice.document import UserServiceWording, described
from idp.directory.product import DOCS_CLIENT_ID, DOCS_REDIRECT_PATH
from idp.platform.errors import BadRequest, NotFound
from idp.platform.web.views import current_issuer

CONTRACTS: Mapping[str, tuple[Callable[[], Dialect], Wording]] = {
    center.name: (lambda: center, CenterWording()),
    userservice.name: (described, UserServiceWording()),
    admin.name: (lambda: admin, AdminWording()),
}
"""Name of each document, with its operations and texts."""

LANGUAGE_NAMES: Mapping[Language, str] = {"en": "English", "zh": "中文"}

blueprint = Blueprint("docs", __name__)


def document(
    name: str, issuer_url: str, language: Language = "en", *, indented: bool = False
) -> bytes:
    """Return a document as an issuer serves it."""
    return openapi.fill_in(_encoded(name, language, indented=indented), issuer_url)


@cache
def _encoded(name: str, language: Language, *, indented: bool) -> bytes:
    operations, wording = CONTRACTS[name]
    return openapi.encode(openapi.build(operations(), wording, language), indented=indented)


@blueprint.get("/openapi/<name>.json")
def serve(name: str) -> Response:
    """Serve a document in English, or in the language of `lang`; only a release changes it."""
    if name not in CONTRACTS:
        raise NotFound
    response = Response(
        document(name, current_issuer().url, requested_language() or "en"),
        content_type="application/json",
        headers={"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"},
    )
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def page() -> str:
    """Show a document, for reading and trying.

    `contract` in the query selects it, `lang` the language, by default the visitor's.
    """
    chosen = request.args.get("contract", "")
    if chosen not in CONTRACTS:
        chosen = next(iter(CONTRACTS))
    language = requested_language() or visitors_language()
    return render_template(
        "api/docs.html",
        titles={name: wording.title.of(language) for name, (_, wording) in CONTRACTS.items()},
        chosen=chosen,
        language=language,
        languages=LANGUAGE_NAMES,
        client_id=DOCS_CLIENT_ID,
    )


def requested_language() -> Language | None:
    """Return the language that the query names; None: it names none."""
    code = request.args.get("lang")
    if code is None:
        return None
    for language in LANGUAGES:
        if code == language:
            return language
    raise BadRequest.at("lang", f"Must be one of: {', '.join(LANGUAGES)}.")


def visitors_language() -> Language:
    """Return the language of the pages, which the visitor or the browser chose."""
    locale = get_locale()
    return "zh" if locale is not None and locale.language == "zh" else "en"


@blueprint.get(DOCS_REDIRECT_PATH)
def redirect_back() -> str:
    """Pass the code on to the page that requested it."""
    return render_template("api/redirect.html")
