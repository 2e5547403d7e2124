"""What server and worker look at before they start."""

from __future__ import annotations

import click

from idp.config import Settings, SettingsError
from idp.doctor.checks import CHECKS, REFUSING, WARNING


def check(settings: Settings) -> None:
    """Refuse in one sentence what makes no sense to start with; warn of the rest."""
    settings.check_secret()
    make_data_dir(settings)
    for name in (*WARNING, *REFUSING):
        result = CHECKS[name](settings)
        if name in REFUSING and result.state == "failed":
            raise click.ClickException(result.sentence)
        if result.state != "ok":
            click.echo(f"Warning: {result.sentence}", err=True)


def make_data_dir(settings: Settings) -> None:
    """Make the data folder; only a database that lies in it makes it necessary."""
    try:
        if not settings.make_data_dir():
            folder = settings.data_dir.absolute()
            click.echo(f"Warning: other users may look into {folder}: see `idp doctor`.", err=True)
    except SettingsError as problem:
        if not settings.database_url:
            raise
        click.echo(f"Warning: {problem}.", err=True)
