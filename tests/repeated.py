"""Which tests run again on PostgreSQL: those that together send every statement to it.

The run on SQLite notes what each test sends. The run on PostgreSQL then leaves out tests of
pages, APIs and commands all of whose statements, with values of the same kinds, others send too.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

ALWAYS = (
    *("tests/attacks/", "tests/directory/", "tests/flows/", "tests/gateway/", "tests/oauth/"),
    *("tests/platform/", "tests/server/"),
)
"""Tests of the protocol, of rules and of attacks, which all run again."""
SUFFIX = ".statements"
_LISTED = re.compile(r"\(\?(?:, \?)+\)")
"""The values of an IN; their number makes no other statement."""
_INT32 = 2**31
_LONG = 200


@dataclass
class Sent:
    """What a test sent in the run on SQLite."""

    seconds: float = 0.0
    """Processor time of it."""
    statements: set[int] = field(default_factory=set)
    """Each statement with each kind of value that it had."""


def again(tests: Mapping[str, Sent], always: tuple[str, ...] = ALWAYS) -> set[str]:
    """Choose the tests that run again: first those that send most for their time.

    A test of which no statement was noted is among them: other processes sent its statements.
    """
    chosen = {name for name, sent in tests.items() if not sent.statements}
    chosen |= {name for name in tests if name.startswith(always)}
    left: set[int] = set().union(*(sent.statements for sent in tests.values()))
    for name in chosen:
        left -= tests[name].statements

    def worth(name: str) -> float:
        sent = tests[name]
        return len(sent.statements & left) / (sent.seconds + 0.05)

    waiting = [(-worth(name), name) for name in tests if name not in chosen]
    heapq.heapify(waiting)
    while left:
        _, name = heapq.heappop(waiting)
        now = worth(name)
        if waiting and -waiting[0][0] > now:
            heapq.heappush(waiting, (-now, name))  # others sent some of it meanwhile
            continue
        chosen.add(name)
        left -= tests[name].statements
    return chosen


class Recorder:
    """Notes what each test sends; every process of a run writes a file of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1)
        self._sent: set[int] = set()
        event.listen(Engine, "before_cursor_execute", self._note)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Write what a test sent from its fixtures to their end."""
        self._sent.clear()
        before = sum(os.times()[:4])
        result = yield
        spent = sum(os.times()[:4]) - before
        line = [item.nodeid, round(spent, 3), sorted(self._sent)]
        self._file.write(json.dumps(line) + "\n")
        return result

    def pytest_unconfigure(self) -> None:
        """Stop listening."""
        event.remove(Engine, "before_cursor_execute", self._note)
        self._file.close()

    def _note(self, *about: Any) -> None:
        _, _, statement, values, *_ = about
        row = values[0] if isinstance(values, list) and values else values
        kinds = {_kind(value) for value in (row.values() if isinstance(row, dict) else row)}
        text = zlib.crc32(_LISTED.sub("(?)", statement).encode())
        self._sent |= {zlib.crc32(kind.encode(), text) for kind in ("", *kinds)}


def _kind(value: object) -> str:
    """Name what PostgreSQL may take in another way than SQLite."""
    if isinstance(value, str):
        marks = ("\0" in value, not value.isascii(), len(value) > _LONG)
        return f"str {''.join('-+'[mark] for mark in marks)}"
    if isinstance(value, int) and abs(value) >= _INT32:
        return "large int"
    return type(value).__name__


def gather(files: Iterable[Path]) -> dict[str, Sent]:
    """Read what the processes of a run noted."""
    tests: dict[str, Sent] = defaultdict(Sent)
    for file in files:
        with file.open() as lines:
            for line in lines:
                name, seconds, statements = json.loads(line)
                tests[name].seconds += seconds
                tests[name].statements |= set(statements)
    return tests


def deselect(config: pytest.Config, items: list[pytest.Item], tests: Mapping[str, Sent]) -> None:
    """Leave out the tests whose statements others send; a test that is not known stays."""
    # What says the same on every database does not run again, so it sends nothing for others.
    here = {item.nodeid for item in items if item.get_closest_marker("no_database") is None}
    chosen: Collection[str] = again({name: tests[name] for name in here & tests.keys()})
    stay = [item.nodeid in chosen or item.nodeid not in tests for item in items]
    left_out = [item for item, stays in zip(items, stay, strict=True) if not stays]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item, stays in zip(items, stay, strict=True) if stays]
