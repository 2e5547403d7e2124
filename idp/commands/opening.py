"""The settings and the database session of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from idp import runtime as runtimes
from idp.config import Settings
from idp.doctor import configuration
from idp.platform import logs, revisions
from idp.platform.runtime import RequestContext, Runtime
from idp.platform.signing import service as signing


def load_settings() -> Settings:
    """Read the settings, and warn of variables that look like settings but are not."""
    settings = read_settings()
    names = configuration.names(settings)
    if names.state != "ok":
        click.echo(f"Warning: {names.sentence}", err=True)
    return settings


def read_settings() -> Settings:
    """Read the settings; with a development secret the environment need not be set.

    A data folder contains a secret only where the installation was set up for `development`: a
    command run there later means the same installation. Serving still needs the setting.
    """
    settings = Settings()
    is_told = "environment" in settings.model_fields_set or bool(settings.secret_key)
    if not is_told and settings.local_secret.is_file():
        return Settings(environment="development")
    return settings


@contextmanager
def open_runtime(settings: Settings | None = None) -> Iterator[Runtime]:
    """Create the runtime of a command, and close its connections at the end."""
    settings = settings or load_settings()
    logs.configure(settings)
    runtime = runtimes.create(settings)
    try:
        yield runtime
    finally:
        runtime.engine.dispose()


@contextmanager
def open_session(*, with_keys: bool = True) -> Iterator[Session]:
    """Open a session on a database that is set up; uncommitted changes are rolled back.

    `with_keys` refuses root secrets that belong to another database.
    """
    settings = load_settings()
    settings.check_secret()  # an unusable secret is refused before any file is created
    revisions.check(settings.database)
    with open_runtime(settings) as runtime, runtime.sessions() as session:
        session.info["context"] = RequestContext(request_id="command")
        if with_keys:
            signing.check_readable(session, runtime.keyring)
        yield session
