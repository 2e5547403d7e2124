"""The application factory: an ordered list of setup steps, and the only place that wires wings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask_babel import Babel
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from idp import api, pages, publishing
from idp.api import docs
from idp.config import Settings
from idp.directory.clients import view as clients
from idp.directory.roles import service as roles
from idp.directory.tenants import service as tenants
from idp.oauth import blueprint as protocol_pages
from idp.oauth import tokens
from idp.oauth.endpoints.gateway import GatewayVerify
from idp.oauth.server import MACHINE_ENDPOINTS
from idp.oauth.wsgi import Endpoints, MachineDoor
from idp.pages import language
from idp.platform import logs
from idp.platform.db import db
from idp.platform.fetch import Fetcher
from idp.platform.files import templates_dir
from idp.platform.jobs import registry
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from idp.platform.signing import signer
from idp.platform.tables import load_models
from idp.platform.throttle import Throttle
from idp.platform.web import csrf, forms, health, policy, principal
from idp.platform.web import pages as error_pages
from idp.platform.web.requests import MAX_BODY, Entrance
from idp.publishing.codegen import build as sdk_build
from idp.publishing.codegen import descriptions, repositories
from idp.publishing.codegen import jobs as sdk_jobs
from idp.publishing.gateway import announcements
from idp.publishing.gateway.access import Gatekeeper
from idp.publishing.gateway.jobs import JOBS as GATEWAY_JOBS
from idp.publishing.subscribers import mails

THREADS = 8
"""Requests that one worker process answers at a time; the connection pool follows."""


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; nothing here touches the database."""
    settings = settings or Settings()
    app = Flask("idp", template_folder=str(templates_dir()), static_folder="static")
    for step in (
        setup_logs,
        setup_config,
        setup_runtime,
        setup_pages,
        setup_gate,
        setup_health,
        setup_blueprints,
        setup_jobs,
        setup_publishing,
        setup_doors,
    ):
        step(app, settings)
    return app


def setup_logs(_app: Flask, settings: Settings) -> None:
    """Configure every logger of the process."""
    logs.setup(settings.log_level, readable=settings.environment == "development")


def setup_config(app: Flask, settings: Settings) -> None:
    """Set what Flask and its extensions read."""
    keyring = app.extensions["idp.keyring"] = Keyring(settings.secret_keys)
    app.config.update(
        SECRET_KEY=keyring.key("csrf"),
        SECRET_KEY_FALLBACKS=[keyring.key("csrf", root) for root in keyring.roots()[1:]],
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
        SEND_FILE_MAX_AGE_DEFAULT=86_400,
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_PARTS=forms.MAX_FIELDS,
        SQLALCHEMY_DATABASE_URI=_database_url(settings),
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
        # A form is good for as long as the cookie that it is tied to.
        WTF_CSRF_TIME_LIMIT=None,
    )


def setup_runtime(app: Flask, settings: Settings) -> None:
    """Gather what the process holds for its whole life; the engine opens no connection yet."""
    load_models()
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    app.extensions["idp"] = Runtime(
        settings=settings,
        engine=engine,
        keyring=app.extensions["idp.keyring"],
        throttle=Throttle(settings.redis_url),
        fetcher=Fetcher(settings.fetch_allow),
    )


def setup_pages(app: Flask, _settings: Settings) -> None:
    """Install languages, form tokens, content policy and errors."""
    Babel(app, locale_selector=language.select)
    csrf.setup(app)
    policy.setup(app)
    error_pages.setup(app)


def setup_gate(app: Flask, _settings: Settings) -> None:
    """Tell the gate of management operations who reads tokens and who knows permissions."""
    app.extensions[principal.EXTENSION] = principal.Gate(
        authenticate=tokens.authenticate_bearer,
        has_permission=roles.has_permission,
        permitting_tenants=roles.permitting_tenants,
    )


def setup_health(app: Flask, _settings: Settings) -> None:
    """Name what must answer before the server counts as ready."""
    app.extensions[health.EXTENSION] = health.Health(
        {"database": _database_answers, "keys": lambda session: bool(signer.algorithms(session))}
    )


def setup_blueprints(app: Flask, _settings: Settings) -> None:
    """Register what answers through Flask."""
    app.register_blueprint(health.blueprint)
    for blueprint in (*pages.blueprints(), *publishing.blueprints()):
        app.register_blueprint(blueprint)
    for blueprint in pages.exempt():
        # Who asks there is nobody yet, or shows a proof of its own; a cookie counts for nothing.
        csrf.exempt(app, blueprint)
        app.register_blueprint(blueprint)
    # Other sites post there; the request is stored and asked about on a page of ours.
    csrf.exempt(app, protocol_pages.blueprint)
    app.register_blueprint(protocol_pages.blueprint)
    for blueprint in api.blueprints():
        # Who calls there shows a token; a cookie counts for nothing.
        csrf.exempt(app, blueprint)
        app.register_blueprint(blueprint)


def setup_jobs(_app: Flask, _settings: Settings) -> None:
    """Name the jobs that the wings above leave to the worker."""
    registry.JOBS.update(pages.JOBS)
    registry.JOBS.update(publishing.JOBS)
    registry.JOBS.update(GATEWAY_JOBS)


def setup_publishing(_app: Flask, _settings: Settings) -> None:
    """Hand down what surrounds an API: SDKs, its repository, and our own descriptions."""
    registry.JOBS[sdk_jobs.JOB] = sdk_build.run
    registry.JOBS[repositories.DOCS_JOB] = repositories.push_published_docs
    registry.JOBS[repositories.LABELS_JOB] = repositories.label_published
    announcements.LISTENERS.update(
        {
            mails.JOB: "notify",
            repositories.DOCS_JOB: sdk_jobs.LANE,
            repositories.LABELS_JOB: sdk_jobs.LANE,
        }
    )
    descriptions.OWN.update(
        {f"/openapi/{name}.json": partial(docs.document, name) for name in docs.CONTRACTS}
    )


def setup_doors(app: Flask, _settings: Settings) -> None:
    """Put the machine endpoints in front of Flask."""
    entrance = Entrance(app.extensions["idp"], tenants.find_issuer, api.upload_limits())
    verify = GatewayVerify(Gatekeeper())
    endpoints: Endpoints = {**MACHINE_ENDPOINTS, "/gateway/verify": (("GET",), verify)}
    door = MachineDoor(app.wsgi_app, entrance, endpoints, clients.cors_origins)
    app.wsgi_app = door  # type: ignore[method-assign]


def _database_answers(session: Session) -> bool:
    return bool(session.scalar(text("SELECT 1")))


def _database_url(settings: Settings) -> str:
    """Give the address with a SQLite path made absolute: Flask-SQLAlchemy would move it."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        path = Path(str(url.database)).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        url = url.set(database=str(path))
    return url.render_as_string(hide_password=False)


def _engine_options(settings: Settings) -> dict[str, Any]:
    # Statements with their values would end up in logged traces.
    options: dict[str, Any] = {"hide_parameters": True}
    if not settings.database.startswith("sqlite"):
        # One connection per thread and a few for those that open a second session. A connection
        # that died is found out by the request that uses it, which answers 503, not by a question
        # before every one.
        options |= {"pool_size": THREADS + 2, "max_overflow": 4, "pool_timeout": 10}
    return options
