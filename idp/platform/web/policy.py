"""The content security policy of pages: nothing but our own files, and what a page asks for."""

from __future__ import annotations

import re

from flask import Flask, Response, g, request

from idp.platform.secrets import random_token

_OWN = {
    "default-src": ("'none'",),
    "base-uri": ("'none'",),
    "connect-src": ("'self'",),
    "font-src": ("'self'",),
    "frame-ancestors": ("'none'",),
    "img-src": ("'self'", "data:"),
    "script-src": ("'self'",),
    "style-src": ("'self'",),
}
# `form-action` is absent on purpose: Chromium applies it to the redirects after a POST as well. The
# last of them leads to the client, and the client may send the browser on to another origin.

_SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://[A-Za-z0-9.:\[\]_-]+)?|'self'|'none'")

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+")


def setup(app: Flask) -> None:
    """Send the policy with every page."""
    app.add_template_global(nonce, "csp_nonce")
    app.after_request(_add)


def nonce() -> str:
    """Return the nonce that inline scripts and styles of this page carry."""
    if "csp_nonce" not in g:
        g.csp_nonce = random_token(16)
    value: str = g.csp_nonce
    return value


def allow(directive: str, *sources: str) -> None:
    """Allow this page a source beyond our own files, such as `img-src` a client's logo."""
    for source in sources:
        if not _SOURCE.fullmatch(source):
            message = f"not a source: {source!r}"
            raise ValueError(message)
    allowed = g.setdefault("csp_allowed", {})
    allowed[directive] = (*allowed.get(directive, ()), *sources)


def allow_framing(*origins: str) -> None:
    """Allow pages of these origins to show this page in a frame; none named: of any origin.

    `X-Frame-Options` knows no list, so the answer goes without it (CSP 3 6.4.2.2).
    """
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        message = f"not origins: {origins!r}"
        raise ValueError(message)
    g.csp_framing = origins or ("*",)


def header() -> str:
    """Write the policy of the page under way."""
    directives = {**_OWN, **{name: _OWN.get(name, ("'self'",)) for name in _allowed()}}
    for name, sources in _allowed().items():
        directives[name] = (*directives[name], *sources)
    if "csp_framing" in g:
        directives["frame-ancestors"] = g.csp_framing
    if "csp_nonce" in g:
        for name in ("script-src", "style-src"):
            directives[name] = (*directives[name], f"'nonce-{g.csp_nonce}'")
    return "; ".join(
        f"{name} {' '.join(dict.fromkeys(sources))}" for name, sources in directives.items()
    )


def _allowed() -> dict[str, tuple[str, ...]]:
    allowed: dict[str, tuple[str, ...]] = g.get("csp_allowed", {})
    return allowed


def _add(response: Response) -> Response:
    if response.mimetype == "text/html" and request.endpoint != "static":
        response.headers.setdefault("Content-Security-Policy", header())
        response.headers.setdefault("Cache-Control", "no-store")
    return response
