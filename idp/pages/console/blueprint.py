"""The console as one blueprint, with one of its own for every screen."""

from __future__ import annotations

from flask import Blueprint

from idp.pages.console import home
from idp.pages.console.apis import views as apis
from idp.pages.console.audit import views as audit
from idp.pages.console.branding import views as branding
from idp.pages.console.bundles import kinds as bundles  # with what it adds to the views
from idp.pages.console.clients import screen as clients
from idp.pages.console.explain import views as explain
from idp.pages.console.files import views as files
from idp.pages.console.gate import for_workspace
from idp.pages.console.gateway import views as gateway
from idp.pages.console.health import views as health
from idp.pages.console.identities import views as identities
from idp.pages.console.jobs import views as jobs
from idp.pages.console.keys import views as keys
from idp.pages.console.menus import views as menus
from idp.pages.console.messages import views as messages
from idp.pages.console.overview import views as overview
from idp.pages.console.policy import screen as policy
from idp.pages.console.roles import views as roles
from idp.pages.console.sdks import views as sdks
from idp.pages.console.sessions import views as sessions
from idp.pages.console.settings import views as settings
from idp.pages.console.tenants import views as tenants
from idp.pages.console.users import views as users

PAGES = (
    overview.pages,
    users.pages,
    sessions.pages,
    roles.pages,
    clients.pages,
    menus.pages,
    apis.pages,
    identities.pages,
    gateway.pages,
    sdks.pages,
    tenants.pages,
    bundles.pages,
    branding.pages,
    policy.pages,
    audit.pages,
    explain.pages,
    messages.pages,
    jobs.pages,
    health.pages,
    keys.pages,
    settings.pages,
    files.pages,
)
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
