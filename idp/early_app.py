"""The front of the application: what machines ask for, without pages and management operations.

It answers discovery, keys and tokens as soon as it is made, which is why nothing here imports what
only people and administrators see. `idp.app` puts that behind it.
"""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from idp import runtime
from idp.config import Settings
from idp.directory.api_names import WELL_KNOWN
from idp.directory.factors.passkeys import RELATED_ORIGINS
from idp.directory.tenants import service as tenants
from idp.oauth.declarations import EXTENSION as SERVER
from idp.oauth.declarations import Endpoint, Readers
from idp.oauth.endpoints.gateway import GatewayVerify
from idp.oauth.endpoints.protected_resource import ProtectedResource
from idp.oauth.machine_door import MachineDoor
from idp.oauth.server import offer
from idp.platform import connections, logs, revisions
from idp.platform.db import Base
from idp.platform.files import templates_dir
from idp.platform.runtime import Runtime
from idp.platform.signing import signer
from idp.platform.web import forms, health
from idp.platform.web.requests import HOSTLESS, MAX_BODY, Entrance, Traits
from idp.platform.web.routing import Route
from idp.platform.web.traced_requests import TracedEntrance
from idp.platform.web.visit import WSGI, Body, Environ, Start
from idp.publishing.files import limits
from idp.publishing.gateway.access import Gatekeeper, is_published

EXTENSION = "idp.behind"


class _Database(SQLAlchemy):
    """Flask-SQLAlchemy on the engine of the application's runtime."""

    def _make_engine(
        self,
        bind_key: str | None,  # noqa: ARG002 - there is one engine, and it exists
        options: dict[str, Any],  # noqa: ARG002
        app: Flask,
    ) -> Engine:
        held: Runtime = app.extensions["idp"]
        return held.engine


db = _Database(metadata=Base.metadata)


class RestOfApp:
    """What lies behind the front; requests for it wait until it is there."""

    def __init__(self, inner: WSGI) -> None:
        self._inner = inner
        self.needed = threading.Event()
        self.ready = threading.Event()

    def __call__(self, environ: Environ, start_response: Start) -> Body:
        """Answer one request."""
        if not self.ready.is_set():
            self.needed.set()
            self.ready.wait()
        return self._inner(environ, start_response)


def create_front(settings: Settings) -> Flask:
    """Make the application with its front alone; nothing here touches the database."""
    app = Flask("idp", template_folder=str(templates_dir()), static_folder="static")
    app.url_rule_class = Route
    for step in (setup_logs, setup_runtime, setup_config, setup_health, setup_doors):
        step(app, settings)
    return app


def setup_logs(_app: Flask, settings: Settings) -> None:
    """Configure every logger of the process."""
    logs.configure(settings)


def setup_runtime(app: Flask, settings: Settings) -> None:
    """Gather what the process holds for its whole life."""
    app.extensions["idp"] = runtime.create(
        settings, role="serve", seconds=connections.THREAD_SECONDS
    )


def setup_config(app: Flask, settings: Settings) -> None:
    """Set what Flask and its extensions read."""
    held: Runtime = app.extensions["idp"]
    keyring = held.keyring
    app.config.update(
        SECRET_KEY=keyring.key("csrf"),
        SECRET_KEY_FALLBACKS=[keyring.key("csrf", root) for root in keyring.roots()[1:]],
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
        SEND_FILE_MAX_AGE_DEFAULT=86_400,
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_PARTS=forms.MAX_FIELDS,
        SQLALCHEMY_DATABASE_URI=held.engine.url,
        # A form is good for as long as the cookie that it is tied to.
        WTF_CSRF_TIME_LIMIT=None,
    )
    db.init_app(app)


def setup_health(app: Flask, _settings: Settings) -> None:
    """Name what must answer before the server counts as ready."""
    app.extensions[health.EXTENSION] = health.Health(
        {"database": _database_answers, "schema": _schema_fits, "keys": signer.is_ready}
    )


def setup_doors(app: Flask, _settings: Settings) -> None:
    """Put the endpoints of the protocol in front of Flask."""
    verify = Endpoint("/gateway/verify", ("GET",), GatewayVerify(Gatekeeper()), needs_host=False)
    metadata = Endpoint(
        WELL_KNOWN,
        ("GET",),
        ProtectedResource(is_published),
        readers=Readers.ANYBODY,
        has_paths_below=True,
    )
    server = app.extensions[SERVER] = offer(verify, metadata)
    endpoints = server.endpoints.values()
    traits = Traits(
        hostless=HOSTLESS | {one.path for one in endpoints if not one.needs_host},
        canonical=frozenset(one.path for one in endpoints if one.is_canonical),
        at_any_host=tuple(one.path for one in endpoints if one.has_paths_below),
        everywhere=frozenset({RELATED_ORIGINS}),
        uploads=limits.UPLOADS,
        files=limits.FILES,
    )
    held: Runtime = app.extensions["idp"]
    kind = Entrance if held.tracer is None else TracedEntrance
    entrance = kind(held, tenants.find_issuer, traits)
    behind = app.extensions[EXTENSION] = RestOfApp(app.wsgi_app)
    app.wsgi_app = MachineDoor(behind, entrance, server)  # type: ignore[method-assign]


def _database_answers(session: Session) -> bool:
    return bool(session.scalar(text("SELECT 1")))


def _schema_fits(session: Session) -> bool:
    return revisions.standing_of(session.connection()) in revisions.USABLE
