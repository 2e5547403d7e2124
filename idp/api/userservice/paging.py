"""Pages of the user service: `pageNo` from 1 on, sorting from a fixed list, `PageVO` as answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, validate
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from idp.api.dialect import Malformed
from idp.platform.integers import INT32_MAX
from idp.platform.wire.shapes import Shape, number_in_query

MOST_ROWS = 200


class PageQuery(Shape):
    """Which page, and how many rows it has."""

    page_no = number_in_query(minimum=1, maximum=INT32_MAX, required=True)
    page_size = number_in_query(minimum=1, maximum=MOST_ROWS, required=True)


class SortedPageQuery(PageQuery):
    """A page of rows in an order that the caller names."""

    order = fields.String(
        required=True, validate=validate.Regexp(r"\A([Aa][Ss][Cc]|[Dd][Ee][Ss][Cc])\Z")
    )
    sort_by = fields.String(required=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, with how many there are over all pages."""

    rows: Sequence[Any]
    page: int
    page_size: int
    count: int

    def written(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Put written rows into a `PageVO`."""
        return {
            "counts": self.count,
            "first": self.page == 1,
            "items": rows,
            "itemsSize": len(rows),
            "page": self.page,
            "pageSize": self.page_size,
            "pages": -(-self.count // self.page_size),
        }


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
    makes every order total, and the default order. `load` may read more for all
    rows at once.
    """
    page, size = paging["page_no"], paging["page_size"]
    count = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    rows = session.scalars(
        query.order_by(*_order(paging, columns, key)).offset((page - 1) * size).limit(size)
    ).all()
    return Page(load(rows), page, size, count)


def _order(paging: Mapping[str, Any], columns: Mapping[str, Any], key: Any) -> list[Any]:
    if "sort_by" not in paging:
        return [key.asc()]
    column = columns.get(paging["sort_by"])
    if column is None:
        message = f"Must be one of: {', '.join(sorted(columns))}."
        raise Malformed(fields={"sortBy": [message]})
    if paging["order"].lower() == "desc":
        return [column.desc(), key.desc()]
    return [column.asc(), key.asc()]
