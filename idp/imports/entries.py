"""The entries of a section: their positions, their rows, and the values that they set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.imports.run import Entry, Row, Run, wrong
from idp.platform.errors import BadRequest

DUPLICATE = "Duplicate entry."


def by(
    session: Session, model: type[Row], column: InstrumentedAttribute[str], keys: Collection[Any]
) -> dict[str, Row]:
    """Return the rows of these codes, by code."""
    codes = {key for key in keys if key is not None}
    rows = session.scalars(select(model).where(column.in_(codes))) if codes else ()
    return {getattr(row, column.key): row for row in rows}


def each(section: str, entries: Sequence[Entry], *keys: str) -> Sequence[tuple[int, Entry]]:
    """Return the entries of a section with their positions; duplicates are refused."""
    keys = keys or ("code",)
    seen: set[tuple[Any, ...]] = set()
    for index, entry in enumerate(entries):
        key = tuple(entry[name] for name in keys)
        if key in seen:
            raise wrong({f"{section}[{index}].{keys[-1]}": [DUPLICATE]})
        seen.add(key)
    return [*enumerate(entries)]


def only(entry: Entry, *names: str) -> dict[str, Any]:
    """Return the members that the file sets; what it leaves out stays as it is."""
    return {name: entry[name] for name in names if name in entry}


def named(rows: Mapping[str, Row], code: str | None, field: str) -> Row | None:
    """Return the row that a member names; null names none."""
    if code is None:
        return None
    if code not in rows:
        raise BadRequest.at(field, f"There is no {code!r}.")
    return rows[code]


def tenant_id(run: Run, entry: Entry) -> int | None:
    """Return the tenant that an entry names; None: it names none."""
    ref = entry.get("tenant")
    if ref is None:
        return None
    if ref not in run.tenants:
        raise BadRequest.at("tenant", f"The file has no tenant {ref!r}.")
    return run.tenants[ref]
