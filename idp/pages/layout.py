"""The layout of every page: brand, languages, addresses of style sheets."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from flask import Blueprint, current_app, redirect, request
from flask import Response as FlaskResponse
from flask_babel import format_date, format_time
from markupsafe import Markup
from werkzeug.wrappers import Response

from idp.pages import brand, error_pages, language, messages, return_path, theme
from idp.platform.db import end
from idp.platform.errors import NotFound
from idp.platform.web import csrf, policy
from idp.platform.web.views import current_issuer, current_runtime, database
from idp.publishing.files.limits import FILES

YEAR = 365 * 86_400

blueprint = Blueprint("layout", __name__)


def first_letter(name: str) -> str:
    """Return the letter shown in place of a picture."""
    return name.strip()[:1].upper() or "?"


def static_url(name: str) -> str:
    """Return the address of a static file; it changes with the content."""
    return _static_address(str(current_app.static_folder), current_app.static_url_path or "", name)


@cache
def _static_address(folder: str, path: str, name: str) -> str:
    return f"{path}/{quote(name)}?v={_content_hash(folder, name)}"


@cache
def _content_hash(folder: str, name: str) -> str:
    return hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()[:12]


def file_address(name: str | None) -> str | None:
    """Return where a stored file is served, for a page of ours."""
    if not name:
        return None
    return f"{current_runtime().settings.files_public_url}{FILES}{name}"


def file_picture(name: str | None) -> str | None:
    """Return the address of a stored picture, allowed on this page; None if there is none."""
    return picture(file_address(name))


def picture(uri: str | None) -> str | None:
    """Allow this page to load a picture and return its address; None if there is none."""
    if uri is not None and uri.startswith(FILES):
        return uri
    parts = urlsplit(uri or "")
    if uri is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    try:
        policy.allow("img-src", f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        return None
    return uri


def moment(at: datetime) -> Markup:
    """Format a point in time in UTC; a script puts it into the visitor's time zone."""
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"),
        f"{format_date(at, 'full')} {format_time(at, 'medium')} UTC",
        f"{format_date(at, 'medium')} {format_time(at, 'short')} UTC",
    )


@blueprint.app_context_processor
def _layout() -> dict[str, Any]:
    shown = brand.current()
    csrf.typed()
    here = request.full_path.rstrip("?")
    back = return_path.parse(here) or return_path.parse(request.path) or "/account"
    return {
        "answered_form": _answered_form(),
        "brand": shown,
        "brand_logo": file_address(shown.logo) or shown.logo_uri,
        "file_picture": file_picture,
        "theme": theme.address(shown),
        "first_letter": first_letter,
        "heading": error_pages.heading,
        "link": error_pages.web_address,
        "moment": moment,
        "picture": picture,
        "translate": messages.translate,
        "static_url": static_url,
        "next_links": error_pages.next_links,
        "language": language.current(),
        "languages": [
            {"choice": choice, "href": f"/language/{choice.code}?{urlencode({'return_to': back})}"}
            for choice in language.LANGUAGES.values()
        ],
    }


def _answered_form() -> str | None:
    """Return the page whose form is answered, which a reload opens again; None: it is no form."""
    if request.method != "POST" or request.path == error_pages.AUTHORIZE:
        return None
    router = current_app.create_url_adapter(request)
    if router is not None and router.test(request.path, method="GET"):
        return request.full_path.rstrip("?")
    return error_pages.page_of_form()


@blueprint.after_app_request
def _end_transaction(response: FlaskResponse) -> FlaskResponse:
    """End the transaction before the page is sent: on SQLite it would block all writers."""
    end(database())
    return response


@blueprint.after_app_request
def _keep_files(response: FlaskResponse) -> FlaskResponse:
    """Allow caches to keep a file whose address contains its hash."""
    if request.endpoint == "static" and response.status_code == HTTPStatus.OK:
        name = str((request.view_args or {}).get("filename"))
        if request.args.get("v") == _content_hash(str(current_app.static_folder), name):
            response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response


@blueprint.get("/language/<code>")
def choose_language(code: str) -> Response:
    """Remember the visitor's language and redirect to the page."""
    if code not in language.LANGUAGES:
        raise NotFound
    back = return_path.parse(request.args.get("return_to")) or "/account"
    handle = parse_qs(urlsplit(back).query).get(language.HANDLE, [""])[0]
    response = redirect(back, 303)
    language.remember(response, code, handle=handle, secure=current_issuer().is_secure)
    return response
