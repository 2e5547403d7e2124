"""How a command reaches the installation: its settings, and a database session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.config import Settings
from idp.platform import schema
from idp.platform.runtime import RequestContext, Runtime


def load_settings() -> Settings:
    """Read the settings; beside a development secret the environment need not be named.

    A data folder holds a secret of its own only where somebody asked for `development`: a command
    typed there later means the same installation. Serving still needs to be told.
    """
    settings = Settings()
    if "environment" not in settings.model_fields_set and not settings.secret_key:
        local = settings.data_dir / "secret_key"
        if local.is_file():
            return Settings(environment="development")
    return settings


@contextmanager
def open_runtime(settings: Settings | None = None) -> Iterator[Runtime]:
    """Build the application, and let go of its connections at the end."""
    runtime: Runtime = create_app(settings or load_settings()).extensions["idp"]
    try:
        yield runtime
    finally:
        runtime.engine.dispose()


@contextmanager
def open_session() -> Iterator[Session]:
    """Open a session on a database that is set up; what is not committed is rolled back."""
    settings = load_settings()
    _ = settings.secret_keys  # an unusable secret is better met before any file is made
    if schema.current(settings.database) != schema.head():
        raise click.ClickException("The database is not set up for this release: run `idp setup`.")
    with open_runtime(settings) as runtime, runtime.sessions() as session:
        session.info["context"] = RequestContext(request_id="command")
        yield session
