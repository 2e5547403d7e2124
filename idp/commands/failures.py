"""The messages of commands that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idp.config import PREFIX, Settings, SettingsError
from idp.platform.errors import Problem
from idp.platform.secrets import UnknownKeyError

_FORMS = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "bool_parsing": "must be true or false",
}
"""Replacements for messages of pydantic that address programmers, by type of error."""
_LONGEST = 60


class UnusableSettings(click.ClickException):
    """The settings cannot be used."""

    exit_code = 2


def explain(problem: Exception) -> click.ClickException | None:
    """Return an expected failure as a sentence; None: it is not expected."""
    if isinstance(problem, SettingsError | ValidationError):
        return UnusableSettings(settings_sentence(problem))
    sentence = _sentence(problem)
    return None if sentence is None else click.ClickException(sentence)


def _sentence(problem: Exception) -> str | None:
    if isinstance(problem, Problem):
        return problem.detail
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"{problem.filename}: {problem.strerror}."
    if isinstance(problem, UnknownKeyError):
        return "A stored value was made under a root secret that IDP_SECRET_KEY does not hold."
    if isinstance(problem, DBAPIError):
        return f"The database reported an error: {_first_line(problem.orig)}"
    if isinstance(problem, SQLAlchemyError):
        return f"The database cannot be used: {_first_line(problem)}"
    return None


def _first_line(problem: object) -> str:
    return str(problem).strip().partition("\n")[0]


def settings_sentence(problem: SettingsError | ValidationError) -> str:
    """Return a sentence with each setting that cannot be used, its value and the right form."""
    if isinstance(problem, SettingsError):
        return f"{problem}."
    return "; ".join(map(_complaint, problem.errors(include_url=False))) + "."


def _complaint(error: Mapping[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ").removesuffix(".")
    if not error["loc"]:
        return message
    field = str(error["loc"][0])
    if error["type"] != "value_error":  # our own messages name the value as far as it may be shown
        message = _FORMS.get(error["type"], message.replace("Input should be", "must be"))
        described = Settings.model_fields[field]
        if described.repr and described.annotation is not SecretStr:
            message = f"{message}, not {str(error['input'])[:_LONGEST]!r}"
    return f"{PREFIX}{field.upper()}: {message}"
