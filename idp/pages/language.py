"""The language of a page: Chinese or English."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import flask_babel
from flask import Flask, g, has_request_context, request
from werkzeug.wrappers import Response

COOKIE = "lang"
YEAR = 365 * 86_400
HANDLE = "request"
"""Name of the query parameter that holds the handle of a page's authorization request."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language in which every page is available."""

    code: str
    tag: str
    """BCP 47, for the `lang` attribute."""
    name: str


LANGUAGES = {
    "zh": Language("zh", "zh-Hans", "中文"),
    "en": Language("en", "en", "English"),
}
DEFAULT = "en"


def select() -> str:
    """Choose the language of a request.

    The order is `ui_locales` of the authorization request, the visitor's earlier choice, the
    languages of the browser. A choice made during this request precedes all of them.
    """
    if not has_request_context():
        return DEFAULT
    chosen, _, during = request.cookies.get(COOKIE, "").partition(".")
    if chosen not in LANGUAGES:
        chosen = ""
    if chosen and during and during == _mark(request.args.get(HANDLE, "")):
        return chosen
    requested: str | None = g.get("ui_locale")
    return requested or chosen or _of_browser() or DEFAULT


def setup(app: Flask) -> None:
    """Translate templates by the catalogue of a request, which is looked up once."""
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined] # of its extension
        gettext=lambda text: _catalogue().ugettext(text),
        ngettext=lambda one, many, number: _catalogue().ungettext(one, many, number),
        newstyle=True,
    )


def _catalogue() -> Any:
    found = g.get("catalogue")
    if found is None:
        found = g.catalogue = flask_babel.get_translations()
    return found


def prefer(ui_locales: Iterable[str]) -> None:
    """Use the first language of `ui_locales` that pages have (OpenID Connect Core 3.1.2.1)."""
    g.ui_locale = next((code for tag in ui_locales if (code := _known(tag))), None)
    flask_babel.refresh()
    g.pop("catalogue", None)


def current() -> Language:
    """Return the language of the current request."""
    locale = flask_babel.get_locale()
    return LANGUAGES.get(locale.language if locale else DEFAULT, LANGUAGES[DEFAULT])


def remember(response: Response, code: str, *, handle: str, secure: bool) -> None:
    """Store a choice in the browser, with the request during which it was made."""
    mark = _mark(handle)
    response.set_cookie(
        COOKIE,
        f"{code}.{mark}" if mark else code,
        max_age=YEAR,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def _mark(handle: str) -> str:
    """Return a short hash of a handle, which is too sensitive for a cookie of a year."""
    return hashlib.sha256(handle.encode()).hexdigest()[:12] if handle else ""


def _known(tag: str) -> str | None:
    code = tag.replace("_", "-").partition("-")[0].lower()
    return code if code in LANGUAGES else None


def _of_browser() -> str | None:
    return next((code for tag in request.accept_languages.values() if (code := _known(tag))), None)
