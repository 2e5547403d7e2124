"""`idp doctor`: problems of an installation, and what to do about them."""

from __future__ import annotations

import sys
from collections.abc import Collection

import click
from pydantic import ValidationError

from idp.commands import failures, opening, output
from idp.commands.command import Command
from idp.config import SettingsError
from idp.doctor import examination
from idp.doctor.checks import CHECKS, OF_DATABASE, OUTSIDE
from idp.doctor.result import Result, failed

FAILED = 1
WARNINGS = 10


@click.command(
    cls=Command, example='idp doctor --json\nidp doctor --only database --only "signing keys"'
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    type=click.Choice([*CHECKS, *OUTSIDE]),
    help="Run this check alone.",
)
@click.option("--outside", is_flag=True, help="Also ask the DNS about mail from your sender.")
@output.json_option
def doctor(*, only: tuple[str, ...], outside: bool, as_json: bool) -> None:
    """Check the installation and report what to do.

    Exit code 1 when a check failed, 10 when one warns.
    """
    results = examine(only, outside=outside)
    if as_json:
        rows = [
            {"check": name, "state": found.state, "seen": found.seen, "todo": found.todo}
            for name, found in results.items()
        ]
        output.show_rows(rows, as_json=True)
    else:
        for name, found in results.items():
            print(output.text(f"{found.state:<8} {name:<16} {found.sentence}"))
    states = {found.state for found in results.values()}
    sys.exit(FAILED if "failed" in states else WARNINGS if "warning" in states else 0)


def examine(only: Collection[str] = (), *, outside: bool = False) -> dict[str, Result]:
    """Run the checks that are named, or all; none when the settings cannot be read."""
    try:
        settings = opening.read_settings()
        settings.check_secret()
    except (SettingsError, ValidationError) as problem:
        sentence = failures.settings_sentence(problem)
        return {"settings": failed(sentence.removesuffix("."), "")}
    known = CHECKS | OUTSIDE
    names = [name for name in known if name in only] if only else [*CHECKS]
    if outside and not only:
        names += OUTSIDE
    return examination.run(settings, {name: known[name] for name in names}, OF_DATABASE)
