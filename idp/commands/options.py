"""Types of options that several commands have."""

from __future__ import annotations

from collections.abc import Iterable

import click

from idp.platform.errors import BadRequest
from idp.platform.integers import INT32_MAX, INT64_MAX

ID = click.IntRange(1, INT64_MAX)
"""The id of a row, up to the largest of the databases."""
COUNT = click.IntRange(0, INT32_MAX)
"""A maximum number, up to the largest of the contracts."""
LAST_ID = click.IntRange(0, INT64_MAX)
"""The id of the last row of the previous page; 0 is before the first."""


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return the pairs of several `--set NAME=VALUE`."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"--set takes NAME=VALUE, not {text!r}.")
        found[name] = value
    return found
