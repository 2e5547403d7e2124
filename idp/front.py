"""The front of the application: what machines ask for, without pages and management operations.

It answers discovery, keys and tokens as soon as it is made, which is why nothing here imports what
only people and administrators see. `idp.app` puts that behind it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.clients import view as clients
from idp.directory.tenants import service as tenants
from idp.oauth.endpoints.gateway import GatewayVerify
from idp.oauth.server import MACHINE_ENDPOINTS
from idp.oauth.wsgi import Endpoints, MachineDoor
from idp.platform import connections, logs
from idp.platform.at_once import NeedsThreadError
from idp.platform.db import db
from idp.platform.fetch import Fetcher
from idp.platform.files import templates_dir
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from idp.platform.signing import signer
from idp.platform.tables import load_models
from idp.platform.throttle import Throttle
from idp.platform.web import forms, health
from idp.platform.web.requests import MAX_BODY, Entrance
from idp.platform.web.routing import Route
from idp.platform.web.visit import AT_ONCE_KEY, WSGI, Body, Environ, Start
from idp.publishing.files import limits
from idp.publishing.gateway.access import Gatekeeper

THREADS = 8
"""Requests that one worker process answers at a time; the connection pool follows."""

EXTENSION = "idp.behind"


class Behind:
    """What lies behind the front; whoever asks for it waits until it is there."""

    def __init__(self, inner: WSGI) -> None:
        self._inner = inner
        self.wanted = threading.Event()
        self.ready = threading.Event()

    def __call__(self, environ: Environ, start_response: Start) -> Body:
        """Answer one request."""
        if not self.ready.is_set():
            self.wanted.set()
            if AT_ONCE_KEY in environ:
                raise NeedsThreadError
            self.ready.wait()
        return self._inner(environ, start_response)


def create_front(settings: Settings) -> Flask:
    """Make the application with its front alone; nothing here touches the database."""
    app = Flask("idp", template_folder=str(templates_dir()), static_folder="static")
    app.url_rule_class = Route
    for step in (setup_logs, setup_config, setup_runtime, setup_health, setup_doors):
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


def setup_health(app: Flask, _settings: Settings) -> None:
    """Name what must answer before the server counts as ready."""
    app.extensions[health.EXTENSION] = health.Health(
        {"database": _database_answers, "keys": signer.is_ready}
    )


def setup_doors(app: Flask, _settings: Settings) -> None:
    """Put the machine endpoints in front of Flask."""
    entrance = Entrance(app.extensions["idp"], tenants.find_issuer, limits.UPLOADS)
    verify = GatewayVerify(Gatekeeper())
    endpoints: Endpoints = {**MACHINE_ENDPOINTS, "/gateway/verify": (("GET",), verify)}
    behind = app.extensions[EXTENSION] = Behind(app.wsgi_app)
    door = MachineDoor(behind, entrance, endpoints, clients.cors_origins)
    app.wsgi_app = door  # type: ignore[method-assign]


def _database_answers(session: Session) -> bool:
    return bool(session.scalar(text("SELECT 1")))


def _database_url(settings: Settings) -> str:
    """Give the address with a SQLite path made absolute: Flask-SQLAlchemy would move it."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        url = url.set(database=str(Path(str(url.database)).absolute()))
    return url.render_as_string(hide_password=False)


def _engine_options(settings: Settings) -> dict[str, Any]:
    # Statements with their values would end up in logged traces.
    options: dict[str, Any] = {"hide_parameters": True}
    if not settings.database.startswith("sqlite"):
        # One connection per thread and a few for those that open a second session. A connection
        # that died is found out by the request that uses it, which answers 503, not by a question
        # before every one.
        options |= {"pool_size": THREADS + 2, "max_overflow": 4, "pool_timeout": 10}
        options["connect_args"] = connections.arguments(
            settings.database, prepare=settings.database_prepare
        )
    return options
