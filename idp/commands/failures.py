"""What a command says when it could not do what it was asked for."""

from __future__ import annotations

import click
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idp.config import SettingsError
from idp.platform.errors import Problem
from idp.platform.secrets import UnknownKeyError


class UnusableSettings(click.ClickException):
    """The settings must be changed before anything can be done."""

    exit_code = 2


def explain(problem: Exception) -> click.ClickException | None:
    """Put an expected failure into a sentence; None: it is not expected."""
    if isinstance(problem, SettingsError | ValidationError):
        return UnusableSettings(_settings_sentence(problem))
    if isinstance(problem, Problem):
        return click.ClickException(problem.detail)
    if isinstance(problem, UnknownKeyError):
        return click.ClickException(
            "A stored value was made under a root secret that IDP_SECRET_KEY does not hold."
        )
    if isinstance(problem, DBAPIError):
        reason = str(problem.orig).strip().partition("\n")[0]
        return click.ClickException(f"The database refused: {reason}")
    if isinstance(problem, SQLAlchemyError):
        reason = str(problem).partition("\n")[0]
        return click.ClickException(f"The database cannot be used: {reason}")
    return None


def _settings_sentence(problem: SettingsError | ValidationError) -> str:
    if isinstance(problem, SettingsError):
        return f"{problem}."
    wrong = []
    for error in problem.errors(include_input=False, include_url=False):
        name = f"IDP_{str(error['loc'][0]).upper()}: " if error["loc"] else ""
        wrong.append(name + error["msg"].removeprefix("Value error, "))
    return "; ".join(wrong) + "."
