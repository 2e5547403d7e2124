"""The output of commands: text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def show(value: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one object: a line for each field, or JSON."""
    if as_json:
        print(_dumped(value))
        return
    for name, field in value.items():
        if field not in (None, [], ""):
            print(f"{name}: {text(field)}")


def show_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print a table with a heading, or a JSON array."""
    if as_json:
        print(_dumped(rows))
        return
    if not rows:
        return
    table = [list(rows[0]), *([text(field) for field in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def seconds(moment: datetime | None) -> int:
    """Return a point in time as in RFC 7591: seconds since the epoch, 0 for never."""
    return 0 if moment is None else int(moment.timestamp())


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def text(field: Any) -> str:
    """Return a value as text that is safe to print to a terminal."""
    if field is None:
        return "-"
    if isinstance(field, datetime):
        return field.isoformat(timespec="seconds")
    if isinstance(field, list):
        return " ".join(str(item) for item in field)
    if isinstance(field, dict):
        return json.dumps(field, ensure_ascii=False, default=_plain)
    if isinstance(field, bool):
        return "true" if field else "false"
    # Untrusted text must not control the terminal.
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(field)
    )
