"""The application factory: an ordered list of setup steps, and the only place that wires wings."""

from __future__ import annotations

import importlib
import importlib.util
from datetime import timedelta
from typing import Any

from flask import Flask
from flask_babel import Babel
from sqlalchemy import make_url

from idp.config import Settings
from idp.pages import language
from idp.platform.db import db
from idp.platform.files import templates_dir
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from idp.platform.throttle import Throttle
from idp.platform.web import csrf, policy
from idp.platform.web import pages as error_pages

MODELS = (
    "idp.platform.audit.models",
    "idp.platform.jobs.models",
    "idp.platform.onetime.models",
    "idp.platform.sessions.models",
    "idp.platform.signing.models",
    "idp.directory.tenants.models",
    "idp.directory.roles.models",
    "idp.directory.users.models",
    "idp.directory.resources.models",
    "idp.directory.clients.models",
    "idp.oauth.models",
)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; nothing here touches the database."""
    settings = settings or Settings()
    app = Flask("idp", template_folder=str(templates_dir()), static_folder="static")
    for step in (setup_config, setup_database, setup_web, setup_blueprints, setup_doors):
        step(app, settings)
    return app


def setup_config(app: Flask, settings: Settings) -> None:
    """Set what Flask and its extensions read."""
    keyring = Keyring(settings.secret_keys)
    app.extensions["idp.keyring"] = keyring
    app.config.update(
        SECRET_KEY=keyring.key("csrf"),
        SECRET_KEY_FALLBACKS=[keyring.key("csrf", root) for root in keyring.roots()[1:]],
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
        PERMANENT_SESSION_LIFETIME=timedelta(days=1),
        MAX_CONTENT_LENGTH=1024 * 1024,
        MAX_FORM_PARTS=1000,
        SQLALCHEMY_DATABASE_URI=_database_url(settings),
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
        WTF_CSRF_TIME_LIMIT=None,
    )


def setup_database(app: Flask, settings: Settings) -> None:
    """Open the engine (no connection yet) and gather what the process holds."""
    for module in MODELS:
        importlib.import_module(module)
    fetcher: Any = None
    if importlib.util.find_spec("idp.platform.fetch"):
        fetcher = importlib.import_module("idp.platform.fetch").Fetcher(settings.fetch_allow)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    app.extensions["idp"] = Runtime(
        settings=settings,
        engine=engine,
        keyring=app.extensions["idp.keyring"],
        throttle=Throttle(settings.redis_url),
        fetcher=fetcher,
    )


def setup_web(app: Flask, _settings: Settings) -> None:
    """Install language, forms, headers and errors."""
    Babel(app, locale_selector=language.select)
    csrf.setup(app)
    policy.setup(app)
    error_pages.setup(app)


def setup_blueprints(app: Flask, _settings: Settings) -> None:
    """Register what answers through Flask."""
    pages = importlib.import_module("idp.pages")
    for blueprint in getattr(pages, "blueprints", list)():
        app.register_blueprint(blueprint)
    if importlib.util.find_spec("idp.oauth.blueprint"):
        protocol = importlib.import_module("idp.oauth.blueprint").blueprint
        csrf.exempt(app, protocol)
        app.register_blueprint(protocol)


def setup_doors(app: Flask, _settings: Settings) -> None:
    """Put the machine endpoints in front of Flask."""
    from idp.oauth.wsgi import MachineDoor
    from idp.platform.web.requests import Entrance

    endpoints: Any = {}
    origins: Any = lambda _session: frozenset()  # noqa: E731
    if importlib.util.find_spec("idp.oauth.server"):
        endpoints = importlib.import_module("idp.oauth.server").MACHINE_ENDPOINTS
    if importlib.util.find_spec("idp.directory.clients.view"):
        origins = importlib.import_module("idp.directory.clients.view").cors_origins
    find_issuer: Any = lambda _session, _host: None  # noqa: E731
    if importlib.util.find_spec("idp.directory.tenants.service"):
        find_issuer = importlib.import_module("idp.directory.tenants.service").find_issuer
    entrance = Entrance(app.extensions["idp"], find_issuer)
    app.wsgi_app = MachineDoor(app.wsgi_app, entrance, endpoints, origins)  # type: ignore[method-assign]


def _database_url(settings: Settings) -> str:
    """Give the address with a SQLite path made absolute: Flask would move it elsewhere."""
    from pathlib import Path

    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        path = Path(str(url.database)).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        url = url.set(database=str(path))
    return url.render_as_string(hide_password=False)


def _engine_options(settings: Settings) -> dict[str, Any]:
    if settings.database.startswith("sqlite"):
        return {}
    return {"pool_size": 10, "max_overflow": 2, "pool_timeout": 10}
