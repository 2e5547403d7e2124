"""What the trail tells of a change: values before and after, rows that left and came."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any


def between(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    lists: Collection[str],
    private: Collection[str] = (),
) -> list[dict[str, Any]]:
    """List what differs; `lists` are rows by their ids, of `private` ones only names are told.

    A row is one text, or a name and a value.
    """
    changes: list[dict[str, Any]] = []
    for field, old in before.items():
        new = after[field]
        if old == new:
            continue
        if field not in lists:
            changes.append({"field": field, "before": old, "after": new})
            continue
        gone, come = {*old.values()} - {*new.values()}, {*new.values()} - {*old.values()}
        if field in private:
            changes.append({"field": field, "keys": sorted({name for name, _ in gone | come})})
        else:
            changes.append({"field": field, "removed": _texts(gone), "added": _texts(come)})
    return changes


def _texts(rows: Iterable[str | tuple[str, ...]]) -> list[str]:
    return sorted(row if isinstance(row, str) else "=".join(row) for row in rows)
