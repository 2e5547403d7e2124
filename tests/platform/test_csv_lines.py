"""CSV that a spreadsheet shows and does not calculate."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from io import StringIO

import pytest

from idp.platform.wire import csv_lines

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])  # noqa: RUF001 - full width on purpose
def test_a_formula_is_a_text(start: str) -> None:
    ((cell,),) = csv.reader(StringIO(csv_lines.line([f"{start}cmd|'/c calc'!A1"]), newline=""))
    assert cell == f"'{start}cmd|'/c calc'!A1"


def test_values_come_back_as_they_were() -> None:
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    values = ["a,b", 'say "x"', "two\nlines", None, 7, -7, at, {"a": ["=b"]}, "中文"]
    written = "".join(csv_lines.lines(["h"] * len(values), [values]))
    _, row = csv.reader(StringIO(written, newline=""))
    assert row == [
        *("a,b", 'say "x"', "two\nlines", "", "7", "-7", "2030-01-02T03:04:05Z"),
        *('{"a":["=b"]}', "中文"),
    ]
