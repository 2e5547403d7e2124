"""What server and worker look at before they start."""

from __future__ import annotations

import click

from idp.config import Settings, SettingsError
from idp.doctor.checks import CHECKS, REFUSING, WARNING


def check(settings: Settings) -> None:
    """Refuse in one sentence what makes no sense to start with; warn of the rest."""
    settings.check_secret()
    make_data_dir(settings)
    warnings = {name: CHECKS[name](settings) for name in WARNING}
    for found in warnings.values():
        if found.state != "ok":
            click.echo(f"Warning: {found.sentence}", err=True)
    if warnings["database"].state == "failed":
        return  # it may come later; nothing can be asked of it now
    for name in REFUSING:
        found = CHECKS[name](settings)
        if found.state == "failed":
            raise click.ClickException(found.sentence)
        if found.state != "ok":
            click.echo(f"Warning: {found.sentence}", err=True)


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
