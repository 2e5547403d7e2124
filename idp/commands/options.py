"""Kinds of options that several commands take."""

from __future__ import annotations

from collections.abc import Iterable

import click

from idp.platform.errors import BadRequest
from idp.platform.integers import INT32_MAX, INT64_MAX

ID = click.IntRange(1, INT64_MAX)
"""The number of a row, as far as databases count."""
COUNT = click.IntRange(0, INT32_MAX)
"""How many there may be, as far as the contracts count."""
LAST_ID = click.IntRange(0, INT64_MAX)
"""The number of the last row of the page before; 0 is before the first."""


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return what several `--set NAME=VALUE` name."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"--set takes NAME=VALUE, not {text!r}.")
        found[name] = value
    return found
