"""Kinds of options that several commands take."""

from __future__ import annotations

import click

from idp.platform.integers import INT32_MAX, INT64_MAX

ID = click.IntRange(1, INT64_MAX)
"""The number of a row, as far as databases count."""
COUNT = click.IntRange(0, INT32_MAX)
"""How many there may be, as far as the contracts count."""
LAST_ID = click.IntRange(0, INT64_MAX)
"""The number of the last row of the page before; 0 is before the first."""
