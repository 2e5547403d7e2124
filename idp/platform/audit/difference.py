"""The details of a change for the audit log: values before and after, rows removed and added."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

State = Mapping[str, Any]
"""What is compared: values and `Rows` by the names of fields."""


class Rows(dict[Any, "str | tuple[Any, ...]"]):
    """Rows of a list by their ids: a text, or a tuple of a name and further details."""


MOST_ROWS = 5000
"""Rows that one event names at most, removed or added in one field."""


def between(before: State, after: State, private: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the fields that differ; of private ones no values, and of their rows only names."""
    changes: list[dict[str, Any]] = []
    for field in dict.fromkeys((*before, *after)):
        old, new = before.get(field), after.get(field)
        if isinstance(old, Rows) or isinstance(new, Rows):
            old, new = old or Rows(), new or Rows()
            if old != new:
                rows = _rows(old, new, is_private=field in private)
                changes.append({"field": field, **rows})
        elif old != new:
            values = {} if field in private else {"before": old, "after": new}
            changes.append({"field": field, **values})
    return changes


def _rows(old: Rows, new: Rows, *, is_private: bool) -> dict[str, list[str]]:
    removed, added = {*old.values()} - {*new.values()}, {*new.values()} - {*old.values()}
    show = _name if is_private else _text
    return {"removed": _listed(map(show, removed)), "added": _listed(map(show, added))}


def _listed(texts: Iterable[str]) -> list[str]:
    found = sorted(set(texts))
    more = len(found) - MOST_ROWS
    return [*found[:MOST_ROWS], f"and {more} more"] if more > 0 else found


def _name(row: str | tuple[Any, ...]) -> str:
    return row if isinstance(row, str) else str(row[0])


def _text(row: str | tuple[Any, ...]) -> str:
    return row if isinstance(row, str) else "=".join(map(str, row))
