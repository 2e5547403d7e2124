"""What operators know of the time that was lost: files with deleted people, or with highest ids."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from idp.platform.audit.service import COLUMNS
from idp.platform.audit.tags import Tag
from idp.platform.db import Base
from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX

REVIEWED = frozenset(
    {
        *(Tag.CLIENT_DELETED, Tag.CLIENT_SECRET_REMOVED, Tag.MEMBER_REMOVED, Tag.ROLE_TAKEN),
        *(Tag.TENANT_DELETED, Tag.USER_DISABLED),
    }
)
"""Events that took something away, which comes back with the past."""
LONGEST_LINE = 1024 * 1024
_LONGEST_ID = 19
"""Digits."""
_NUMBERS = TypeAdapter(dict[str, NonNegativeInt])


@dataclass(frozen=True, slots=True)
class Event:
    """An event of an exported audit log."""

    at: datetime
    tag: str
    target: str
    secret_id: int | None


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of the time that was lost."""

    deleted_users: frozenset[int] = frozenset()
    revoked_keys: frozenset[str] = frozenset()
    taken_away: Sequence[Event] = ()


def read_trail(path: Path) -> Hints:
    """Read ids of people, one on a line, or an audit log as it is exported: JSON lines or CSV."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = _lines(file, path)
            first = next(lines, "")
            rest = _after(first, lines)
            if first.startswith("{"):
                return _of_events(_json_events(rest, path))
            if first.replace('"', "").rstrip().split(",") == list(COLUMNS):
                return _of_events(_csv_events(rest, path))
            return Hints(deleted_users=frozenset(_ids(rest, path)))
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is not text in UTF-8.") from None


def read_highest(path: Path) -> dict[str, int]:
    """Read the highest ids of tables: a JSON object of them, or a manifest that has them."""
    try:
        content: Any = orjson.loads(path.read_bytes())
        if isinstance(content, dict) and "highest_ids" in content:
            content = content["highest_ids"]
        found = _NUMBERS.validate_python(content, strict=True)
    except (orjson.JSONDecodeError, ValidationError):
        raise BadRequest(
            f'{path} does not hold the highest ids of tables, as in {{"user": 1234}}.'
        ) from None
    unknown = found.keys() - Base.metadata.tables.keys()
    if unknown:
        raise BadRequest(f"{path}: there is no table {min(unknown)!r}.")
    return found


def _lines(file: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if len(line) > LONGEST_LINE:
            raise BadRequest(f"{path}, line {number}: too long.")
        yield line.removeprefix("\ufeff") if number == 1 else line


def _after(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _ids(lines: Iterator[str], path: Path) -> Iterator[int]:
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if not _is_id(text):
            raise BadRequest(f"{path}, line {number}: not the id of a user.")
        yield int(text)


def _is_id(text: str) -> bool:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID
    return is_number and 0 < int(text) <= INT64_MAX


def _json_events(lines: Iterator[str], path: Path) -> Iterator[Event]:
    for number, line in enumerate(lines, 1):
        try:
            yield _event(orjson.loads(line))
        except (ValueError, TypeError, KeyError):
            raise _no_event(path, number) from None


def _csv_events(lines: Iterator[str], path: Path) -> Iterator[Event]:
    rows = csv.DictReader(lines, strict=True)
    try:
        for row in rows:
            details = row["details"]
            yield _event({**row, "details": orjson.loads(details) if details else None})
    except (csv.Error, ValueError, TypeError, KeyError):
        raise _no_event(path, rows.line_num) from None


def _event(row: Mapping[str, Any]) -> Event:
    details = row["details"] if isinstance(row["details"], dict) else {}
    secret_id = details.get("secret_id")
    if secret_id is not None and not (type(secret_id) is int and 0 < secret_id <= INT64_MAX):
        raise ValueError(secret_id)
    at = datetime.fromisoformat(row["at"])
    if at.tzinfo is None:
        raise ValueError(row["at"])
    return Event(at, str(row["tag"]), str(row["target"] or ""), secret_id)


def _no_event(path: Path, number: int) -> BadRequest:
    return BadRequest(f"{path}, line {number}: not an event of an exported audit log.")


def _of_events(events: Iterable[Event]) -> Hints:
    people, keys, taken = set[int](), set[str](), list[Event]()
    for event in events:
        kind, _, name = event.target.partition(":")
        if event.tag == Tag.USER_DELETED and kind == "user" and _is_id(name):
            people.add(int(name))
        elif event.tag == Tag.KEY_REVOKED and kind == "key":
            keys.add(name)
        elif event.tag in REVIEWED:
            taken.append(event)
    return Hints(frozenset(people), frozenset(keys), sorted(taken, key=lambda event: event.at))
