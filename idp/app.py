"""The application factory: an ordered list of setup steps, and the only place that wires wings."""

from __future__ import annotations

from functools import partial

from flask import Flask
from flask_babel import Babel

from idp import api
from idp.api import docs
from idp.config import Settings
from idp.directory import permissions
from idp.early_app import EXTENSION, create_front
from idp.oauth import browser_door, management_bearer
from idp.pages import blueprints as pages
from idp.pages import language, visitor
from idp.platform.web import csrf, health, policy, principal, static
from idp.platform.web import pages as error_pages
from idp.publishing import blueprints as publishing
from idp.publishing.descriptions import fetching


def create_app(settings: Settings | None = None) -> Flask:
    """Build the whole application; nothing here touches the database."""
    settings = settings or Settings()
    app = create_front(settings)
    finish(app, settings)
    return app


def finish(app: Flask, settings: Settings) -> None:
    """Put pages and operations behind the front, which may be answering already."""
    for step in (
        setup_pages,
        setup_gate,
        setup_blueprints,
        setup_descriptions,
    ):
        step(app, settings)
    app.extensions[EXTENSION].ready.set()


def setup_pages(app: Flask, _settings: Settings) -> None:
    """Install languages, form tokens, content policy and errors."""
    Babel(app, locale_selector=language.select)
    language.setup(app)
    static.setup(app)
    policy.setup(app)  # comes first, so that it sees the pages of the others last
    # Before the forms: what they refuse before the view is logged with its route as well.
    error_pages.setup(app)
    csrf.setup(app, visitor.current_user_id)


def setup_gate(app: Flask, _settings: Settings) -> None:
    """Set how the gate of management operations reads tokens and looks up permissions."""
    app.extensions[principal.EXTENSION] = principal.Gate(
        authenticate=management_bearer.authenticate_bearer,
        has_permission=permissions.has_permission,
        permitting_tenants=permissions.permitting_tenants,
        lacks_level=management_bearer.lacks_level,
    )


def setup_blueprints(app: Flask, _settings: Settings) -> None:
    """Register what answers through Flask."""
    app.register_blueprint(health.blueprint)
    for blueprint in (*pages.blueprints(), *publishing.blueprints()):
        app.register_blueprint(blueprint)
    for blueprint in pages.exempt():
        # Requests there come before sign-in, or carry a proof of their own; cookies are ignored.
        csrf.exempt(app, blueprint)
        app.register_blueprint(blueprint)
    # Other sites post there; the request is stored and asked about on a page of ours.
    csrf.exempt(app, browser_door.blueprint)
    app.register_blueprint(browser_door.blueprint)
    for blueprint in api.blueprints():
        # Requests there carry an access token; cookies are ignored.
        csrf.exempt(app, blueprint)
        app.register_blueprint(blueprint)


def setup_descriptions(app: Flask, _settings: Settings) -> None:
    """Make the descriptions of our own APIs available to code generation without HTTP."""
    app.extensions[fetching.EXTENSION] = {
        f"/openapi/{name}.json": partial(docs.document, name) for name in docs.CONTRACTS
    }
