"""What server and worker check before they start."""

from __future__ import annotations

from collections.abc import Iterable

import click

from idp.config import Settings, SettingsError
from idp.doctor.at_start import BEFORE_START, IN_DATABASE
from idp.doctor.result import Result


def check(settings: Settings) -> None:
    """Refuse to start where a check fails, in one sentence; warn of the rest."""
    settings.check_secret()
    before = {name: run(settings) for name, run in BEFORE_START.items()}
    _warn(before.values())
    if before["database"].state != "failed":  # it may become available later
        found = [run(settings) for run in IN_DATABASE.values()]
        for result in found:
            if result.state == "failed":
                raise click.ClickException(result.sentence)
        _warn(found)
    make_data_dir(settings)  # not earlier: the folder may be the wrong one


def make_data_dir(settings: Settings) -> None:
    """Create the data folder; failing to is an error only if the database is in it."""
    try:
        if not settings.make_data_dir():
            folder = settings.data_dir.absolute()
            click.echo(f"Warning: other users can read {folder}: see `idp doctor`.", err=True)
    except SettingsError as problem:
        if not settings.database_url:
            raise
        click.echo(f"Warning: {problem}.", err=True)


def _warn(results: Iterable[Result]) -> None:
    for result in results:
        if result.state != "ok":
            click.echo(f"Warning: {result.sentence}", err=True)
