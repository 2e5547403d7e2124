"""Lists: paging, sorting from a fixed list, time bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import fields
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from idp.api.center.dialect import Page
from idp.api.dialect import Malformed
from idp.platform.integers import INT32_MAX
from idp.platform.wire.shapes import Moment, Shape, number_in_query

MOST_ROWS = 2000


class Paging(Shape):
    """Query parameters of every list; filters are added as `q.<name>`."""

    orderby = fields.String(load_default="")
    asc = fields.Boolean(load_default=False)
    skip = number_in_query(minimum=0, maximum=INT32_MAX, load_default=0)
    take = number_in_query(minimum=1, maximum=MOST_ROWS, load_default=10)
    start_time = Moment(whole_days=True, load_default=None)
    end_time = Moment(ends=True, whole_days=True, load_default=None)


def fetch(
    session: Session,
    query: Select[Any],
    paging: Mapping[str, Any],
    columns: Mapping[str, Any],
    *,
    key: Any,
    load: Callable[[Sequence[Any]], Sequence[Any]] = lambda rows: rows,
) -> Page:
    """Read one page of a query: one statement for the rows, one for their number.

    `columns` names what may be sorted by (as the wire writes it); `key` is the unique column that
    makes every order total. `load` may read children for all rows at once.
    """
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    rows = session.scalars(
        query.order_by(*_order(paging, columns, key)).offset(paging["skip"]).limit(paging["take"])
    ).all()
    return Page(load(rows), paging["take"], paging["skip"], total)


def _order(paging: Mapping[str, Any], columns: Mapping[str, Any], key: Any) -> list[Any]:
    """Translate `orderby`; descending unless `asc`, by default by the key."""
    name = paging["orderby"].strip()
    if not name:
        return [key.asc()]
    # The first letter is case-insensitive, as the contract says.
    column = columns.get(name[:1].lower() + name[1:])
    if column is None:
        message = f"Must be one of: {', '.join(sorted(columns))}."
        raise Malformed(fields={"orderby": [message]})
    return [column.asc(), key.asc()] if paging["asc"] else [column.desc(), key.desc()]


def within_days(period: Mapping[str, Any], column: Any) -> list[Any]:
    """Limit a creation time to the days from `startTime` to `endTime`, both inclusive."""
    bounds = []
    if period["start_time"] is not None:
        bounds.append(column >= period["start_time"])
    if period["end_time"] is not None:
        bounds.append(column < period["end_time"])
    return bounds
