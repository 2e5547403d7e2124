"""Child rows: bring what is stored in line with what a form lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from idp.platform.errors import BadRequest


def synchronise(
    session: Session,
    rows: list[Any],
    wanted: Sequence[Any],
    *,
    path: str,
    key: str | None,
    make: Callable[[], Any],
    write: Callable[[Any, Any, str], None],
) -> None:
    """Make, change and remove rows until they are what is wanted.

    Rows are told apart by `id` within this very parent; a stranger's id is refused. `key` names
    the column that is unique in the parent, `path` the list in the caller's words; `write` gets
    the row, what is wanted of it, and its path.
    """
    pairs = _pair(rows, wanted, path)
    if key is not None:
        _refuse_twice(wanted, path, key)
    kept = {row.id for row, _ in pairs if row is not None}
    gone = [row for row in rows if row.id not in kept]
    for row in gone:
        rows.remove(row)
    parked = key is not None and _park(pairs, key)
    if gone or parked:
        # The database must not meet an old and a new name together.
        session.flush()
    for index, (known, entry) in enumerate(pairs):
        row = known
        if row is None:
            row = make()
        write(row, entry, f"{path}[{index}]")
        if known is None:
            rows.append(row)


def _pair(rows: Sequence[Any], wanted: Sequence[Any], path: str) -> list[tuple[Any, Any]]:
    left = {row.id: row for row in rows}
    pairs = []
    for index, entry in enumerate(wanted):
        row = None
        if entry.id:
            row = left.pop(entry.id, None)
            if row is None:
                name = f"{path}[{index}].id"
                raise BadRequest(fields={name: ["There is no such row here, or it came before."]})
        pairs.append((row, entry))
    return pairs


def _refuse_twice(wanted: Sequence[Any], path: str, key: str) -> None:
    seen = set()
    for index, entry in enumerate(wanted):
        value = getattr(entry, key)
        if value in seen:
            raise BadRequest(fields={f"{path}[{index}].{key}": ["Given twice."]})
        seen.add(value)


def _park(pairs: Sequence[tuple[Any, Any]], key: str) -> bool:
    """Take names away that another row is about to get, and tell whether there were any."""
    renamed = [
        row for row, entry in pairs if row is not None and getattr(row, key) != getattr(entry, key)
    ]
    held = {getattr(row, key) for row in renamed}
    if held.isdisjoint(getattr(entry, key) for _, entry in pairs):
        return False
    for row in renamed:
        setattr(row, key, f"\x01{row.id}")  # no name may hold a control character
    return True
