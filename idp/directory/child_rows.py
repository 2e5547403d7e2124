"""Child rows: bring stored rows in line with the list in a form."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy.orm import Session

from idp.platform.errors import BadRequest

UNKNOWN_ID = "Unknown or duplicate id."
DUPLICATE = "Duplicate value."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DesiredRow(Generic[T]):
    """A row as a form lists it."""

    path: str
    """Its path in the form, in the caller's names."""
    id: int
    """Id of the stored row; 0: a new one."""
    key: tuple[Any, ...]
    """Values of the columns that are unique in the parent; empty: none are."""
    entry: T


def listed(entries: Sequence[T], path: str, *columns: str) -> list[DesiredRow[T]]:
    """Return the rows of a list whose entries have an `id`, and members named as the columns."""
    return [
        DesiredRow(
            f"{path}[{index}]",
            getattr(entry, "id"),  # noqa: B009 - of any dataclass
            tuple(getattr(entry, column) for column in columns),
            entry,
        )
        for index, entry in enumerate(entries)
    ]


def replace(
    session: Session,
    rows: MutableSequence[Any],
    desired: Sequence[DesiredRow[T]],
    *,
    columns: Sequence[str] = (),
    match_by: Literal["id", "value"] = "id",
    make: Callable[[], Any],
    write: Callable[[Any, T, str], None],
) -> None:
    """Create, change and remove rows until they match the desired ones.

    Rows are found by `id` within this parent; with "value", those without an id by the
    `columns` that are unique. `write` gets the row, the entry and its path.
    """
    pairs = _pair(rows, desired, columns, match_by)
    kept = [row for row, _ in pairs if row is not None]
    removed = _without(rows, kept)
    for row in removed:
        rows.remove(row)
    if columns:
        _clear_values(session, pairs, removed, columns)
    for known, item in pairs:
        row = make() if known is None else known
        write(row, item.entry, item.path)
        if known is None:
            rows.append(row)


def _pair(
    rows: Sequence[Any], desired: Sequence[DesiredRow[T]], columns: Sequence[str], match_by: str
) -> list[tuple[Any, DesiredRow[T]]]:
    """Pair each desired row with its stored row; None: a new one."""
    by_id = {row.id: row for row in rows}
    ids: set[int] = set()
    keys: set[tuple[Any, ...]] = set()
    for item in desired:
        if item.id and (item.id not in by_id or item.id in ids):
            raise BadRequest.at(f"{item.path}.id", UNKNOWN_ID)
        ids.add(item.id)
        if columns and item.key in keys:
            raise BadRequest.at(f"{item.path}.{columns[-1]}", DUPLICATE)
        keys.add(item.key)
    by_key = {}
    if match_by == "value":
        by_key = {_key(row, columns): row for row in rows if row.id not in ids}
    return [(by_id[item.id] if item.id else by_key.get(item.key), item) for item in desired]


def _clear_values(
    session: Session,
    pairs: Sequence[tuple[Any, DesiredRow[T]]],
    removed: Sequence[Any],
    columns: Sequence[str],
) -> None:
    """Clear values that another row is about to get.

    The database must not see the old and the new row at the same time.
    """
    renamed = [row for row, item in pairs if row is not None and _key(row, columns) != item.key]
    taken = {_key(row, columns) for row in (*removed, *renamed)}
    if taken.isdisjoint(item.key for _, item in pairs):
        return
    for row in renamed:
        setattr(row, columns[0], f"\x01{row.id}")  # no value may hold a control character
    session.flush()


def _without(rows: Sequence[Any], kept: Sequence[Any]) -> list[Any]:
    known = {id(row) for row in kept}
    return [row for row in rows if id(row) not in known]


def _key(row: Any, columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, column) for column in columns)
