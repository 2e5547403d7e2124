"""Rows as CSV (RFC 4180) that a spreadsheet shows and does not calculate."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import StringIO

import orjson

FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What makes spreadsheets take a text for a formula, in full width too."""


def line(values: Iterable[object]) -> str:
    """Return a line with its end; every value is quoted."""
    written = StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerow([_cell(value) for value in values])
    return written.getvalue()


def lines(header: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterable[str]:
    """Return a line with the names of the columns, and one for each row."""
    yield line(header)
    for row in rows:
        yield line(row)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
