"""The console as one blueprint, with one of its own for every screen."""

from __future__ import annotations

from flask import Blueprint

from idp.pages.console import home
from idp.pages.console.branding import views as branding
from idp.pages.console.clients import views as clients
from idp.pages.console.gate import for_workspace

PAGES = (clients.pages, branding.pages)
"""The pages of every screen of the table."""


def blueprint() -> Blueprint:
    """Make the routes of the console."""
    console = Blueprint("console", __name__, url_prefix="/console")
    console.register_blueprint(home.blueprint)
    search = for_workspace(home.search_view(PAGES))
    console.add_url_rule("/t/<int:tenant_id>/search", "search", search)
    console.add_url_rule("/platform/search", "search", search, defaults={"tenant_id": None})
    for pages in PAGES:
        console.register_blueprint(pages.blueprint)
    return console
