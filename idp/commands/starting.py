"""What server and worker look at before they start."""

from __future__ import annotations

from collections.abc import Iterable

import click

from idp.config import Settings, SettingsError
from idp.doctor.checks import BEFORE_START, CHECKS, IN_DATABASE
from idp.doctor.result import Result


def check(settings: Settings) -> None:
    """Refuse in one sentence what makes no sense to start with; warn of the rest."""
    settings.check_secret()
    before = {name: CHECKS[name](settings) for name in BEFORE_START}
    _warn(before.values())
    if before["database"].state != "failed":  # else it may come later; now it cannot be asked
        found = [CHECKS[name](settings) for name in IN_DATABASE]
        for result in found:
            if result.state == "failed":
                raise click.ClickException(result.sentence)
        _warn(found)
    make_data_dir(settings)  # not before: the folder may be the wrong one


def make_data_dir(settings: Settings) -> None:
    """Make the data folder; only a database that lies in it makes it necessary."""
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
