"""`idp doctor`: problems of an installation, and what to do about them."""

from __future__ import annotations

import sys

import click
from pydantic import ValidationError

from idp.commands import failures, opening, output
from idp.commands.command import Command
from idp.config import SettingsError
from idp.doctor.checks import CHECKS
from idp.doctor.result import Result, failed


@click.command(cls=Command, example="idp doctor --json")
@output.json_option
def doctor(*, as_json: bool) -> None:
    """Check the installation and report what to do; exit code 1 when a check failed."""
    results = examine()
    if as_json:
        rows = [
            {"check": name, "state": found.state, "seen": found.seen, "todo": found.todo}
            for name, found in results.items()
        ]
        output.show_rows(rows, as_json=True)
    else:
        for name, found in results.items():
            print(output.text(f"{found.state:<8} {name:<16} {found.sentence}"))
    sys.exit(any(found.state == "failed" for found in results.values()))


def examine() -> dict[str, Result]:
    """Run every check; stop when the settings cannot be read."""
    try:
        settings = opening.read_settings()
        settings.check_secret()
    except (SettingsError, ValidationError) as problem:
        sentence = failures.settings_sentence(problem)
        return {"settings": failed(sentence.removesuffix("."), "")}
    return {name: check(settings) for name, check in CHECKS.items()}
