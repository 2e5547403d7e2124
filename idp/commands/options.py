"""Kinds of options that several commands take."""

from __future__ import annotations

import click

_LARGEST = 2**63 - 1
"""As far as databases count."""

ID = click.IntRange(1, _LARGEST)
"""The number of a row."""
COUNT = click.IntRange(0, _LARGEST)
"""How many there may be."""
