"""Bounds of periods: one rule for commands and operations."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from idp.platform import periods

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-05-06", "2026-05-06T00:00", "2026-05-07T00:00"),
        ("20260506", "2026-05-06T00:00", "2026-05-07T00:00"),
        ("2026-05-06T00:00", "2026-05-06T00:00", "2026-05-06T00:00"),
        ("2026-05-06T12:30:00Z", "2026-05-06T12:30", "2026-05-06T12:30"),
        ("2026-05-06T00:00:00+08:00", "2026-05-05T16:00", "2026-05-05T16:00"),
    ],
)
def test_a_day_that_ends_a_period_is_part_of_it(text, start, end):
    found = [periods.start(text), periods.end(text)]
    assert found == [datetime.fromisoformat(f"{part}+00:00") for part in (start, end)]
    assert {moment.tzinfo for moment in found} == {UTC}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-05-06", "2026-05-06T00:00", "2026-05-07T00:00"),
        ("2026-05-06T23:59:59.999999", "2026-05-06T00:00", "2026-05-07T00:00"),
        ("2026-05-06T00:00:00+08:00", "2026-05-05T16:00", "2026-05-06T16:00"),
        ("2026-05-06T23:00:00+08:00", "2026-05-05T16:00", "2026-05-06T16:00"),
        ("2026-05-06T01:00:00-09:30", "2026-05-06T09:30", "2026-05-07T09:30"),
    ],
)
def test_whole_days_are_those_of_the_zone_that_was_sent(text, start, end):
    found = [periods.start(text, whole_day=True), periods.end(text, whole_day=True)]
    assert found == [datetime.fromisoformat(f"{part}+00:00") for part in (start, end)]


def test_what_is_no_time_is_refused_and_the_last_day_has_an_end():
    for text in ("", "tomorrow", "2026-02-30", "12:00", "0001-01-01T00:00+08:00", "2026-05-06T25"):
        for read in (periods.start, periods.end):
            with pytest.raises(ValueError, match=r".+"):
                read(text)
    assert periods.end("9999-12-31").year == 9999
