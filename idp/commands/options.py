"""Kinds of options that several commands take."""

from __future__ import annotations

import click

ID = click.IntRange(1, 2**63 - 1)
"""The number of a row, as far as databases count."""
COUNT = click.IntRange(0, 2**31 - 1)
"""How many there may be, as far as the contracts count."""
LAST_ID = click.IntRange(0, 2**63 - 1)
"""The number of the last row of the page before; 0 is before the first."""
