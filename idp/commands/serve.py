"""`idp serve`: the production server, the outbox worker, and the metrics listener."""

from __future__ import annotations

import sys

import click

from idp.commands import starting
from idp.commands.command import Command
from idp.config import Settings, SettingsError
from idp.platform import metrics
from idp.server import process
from idp.server.listeners import InUseError


@click.command("serve", cls=Command, example="idp serve --listen 127.0.0.1:8000 --workers 4")
@click.option("--listen", default="127.0.0.1:8000", show_default=True, help="HOST:PORT.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Number of worker processes.",
)
@click.option("--no-worker", is_flag=True, help="Do not run an outbox worker.")
@click.option(
    "--overlap",
    is_flag=True,
    help="Share address and database with the server that this one takes over from.",
)
@click.option(process.TAKES_OVER_FROM, type=int, hidden=True)
def serve(
    listen: str, workers: int, takes_over_from: int | None, *, no_worker: bool, overlap: bool
) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    settings = Settings()
    check(settings, workers)
    host, port = _address(listen, "--listen")
    starting.check(settings)
    try:
        code = process.run(
            settings,
            host,
            port,
            workers=workers,
            worker_beside=not no_worker,
            overlap=overlap,
            takes_over_from=takes_over_from,
        )
    except InUseError as error:
        raise click.ClickException(f"{error}.") from None
    sys.exit(code)


def check(settings: Settings, workers: int) -> None:
    """Refuse settings that do not allow serving; the message says what to set."""
    settings.check_secret()
    if workers > 1 and settings.database.startswith("sqlite"):
        message = (
            "SQLite supports only one worker: set IDP_DATABASE_URL to postgresql+psycopg://… "
            "or leave --workers at 1"
        )
        raise SettingsError(message)
    if workers > 1 and not settings.redis_url:
        message = (
            "several workers need shared counters: set IDP_REDIS_URL to a Redis or Valkey, "
            "or leave --workers at 1"
        )
        raise SettingsError(message)
    if settings.metrics_listen:
        _address(settings.metrics_listen, "IDP_METRICS_LISTEN")


def _address(text: str, name: str) -> tuple[str, int]:
    try:
        return metrics.parse_address(text)
    except ValueError as error:
        message = f"{name}: {error}"
        raise SettingsError(message) from None
