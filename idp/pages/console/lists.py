"""Lists: search, filters, sort and page stand in the address; pages are found by a key."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import request
from sqlalchemy import (
    ColumnElement,
    Select,
    TypeDecorator,
    and_,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_

ROWS = 25
MOST_COUNTED = 10_000
"""Rows that a list counts; of more it shows that there are more."""
FEW = 1_000
"""Rows that a search or filter found, to be sorted; among more, the index of the order is used."""
LONGEST_SEARCH = 200
LONGEST_CURSOR = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed by: one of a few values."""

    title: Any
    choices: Mapping[str, Any]
    """Names of the values in the visitor's language, by the values."""


@dataclass(frozen=True, slots=True)
class Sort:
    """What a list may be sorted by. The expression is never NULL and its type is known."""

    title: Any
    expression: ColumnElement[Any] | Any

    def __post_init__(self) -> None:
        """Refuse an expression whose values could not be told from what somebody made up."""
        if _kind_of(self.expression) not in {str, int, datetime}:
            message = f"no type to read a cursor by: {self.expression}"
            raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the address asks of a list."""

    sorts: Mapping[str, Sort]
    filters: Mapping[str, Filter]
    text: str
    sort: str
    descending: bool
    chosen: Mapping[str, str]
    after: str | None
    before: str | None
    path: str
    usual: str
    """What the list is sorted by where the address does not say it."""

    def address(self, **changes: str | None) -> str:
        """Return the address with other values; None leaves one out, and the list starts anew."""
        values: dict[str, str | None] = {
            "q": self.text or None,
            "sort": self.order,
            **self.chosen,
            **changes,
        }
        if values["sort"] == self.usual:
            del values["sort"]
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return f"{self.path}?{query}" if query else self.path

    @property
    def order(self) -> str:
        """The sort as the address has it."""
        return f"-{self.sort}" if self.descending else self.sort

    @property
    def kept(self) -> dict[str, str]:
        """What a new search keeps of the address."""
        sort = {} if self.order == self.usual else {"sort": self.order}
        return {**sort, **self.chosen}

    def sorted_by(self, name: str) -> str:
        """Return the address sorted by a column, the other way round where it is already."""
        turned = name == self.sort and not self.descending
        return self.address(sort=f"-{name}" if turned else name)

    def direction(self, name: str) -> str | None:
        """Return the value of `aria-sort` for a column; None: it is not sorted by."""
        if name != self.sort:
            return None
        return "descending" if self.descending else "ascending"

    @property
    def is_narrowed(self) -> bool:
        """Whether rows may be missing because of a search or a filter."""
        return bool(self.text or self.chosen)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the addresses of the pages around them."""

    listing: Listing
    rows: Sequence[Any]
    total: int
    """At most `MOST_COUNTED`."""
    has_uncounted: bool
    """Whether there are more rows than `total`."""
    previous: str | None
    next: str | None


def read(
    sorts: Mapping[str, Sort],
    filters: Mapping[str, Filter] | None = None,
    usual: str | None = None,
    *,
    path: str | None = None,
) -> Listing:
    """Read what the address asks; the first of `sorts` is the usual one, unless another is named.

    `usual` may begin with `-`: descending. `path` is that of the list, where a form is sent
    elsewhere.
    """
    filters = filters or {}
    usual = usual or next(iter(sorts))
    wanted = one_value("sort") or usual
    name = wanted.removeprefix("-")
    if name not in {*sorts, usual.removeprefix("-")}:
        raise BadRequest.at("sort", N_("The list cannot be sorted by this") + f": {name[:50]}")
    text = (one_value("q") or "").strip()
    if len(text) > LONGEST_SEARCH:
        raise BadRequest.at("q", N_("The search text is too long."))
    return Listing(
        sorts,
        filters,
        text,
        name,
        descending=wanted.startswith("-"),
        chosen={name: value for name in filters if (value := choice(name, filters[name]))},
        after=one_value("after"),
        before=one_value("before"),
        path=path or request.path,
        usual=usual,
    )


def fetch(
    session: Session, query: Select[Any], listing: Listing, key: Any, rows: int = ROWS
) -> Page:
    """Read a page of a query: one statement for the rows, one for their number.

    Neither takes longer where there are more rows, if an index has the order. `key` is the unique
    column that makes every order total.
    """
    counted = query.order_by(None).limit(MOST_COUNTED + 1).subquery()
    if listing.is_narrowed:
        ids = session.scalars(select(counted.c[key.key])).all()
        total = len(ids)
        if total <= FEW:
            # Else the database might look for the few along the whole index of the order.
            query = query.where(key.in_(ids))
    else:
        total = session.scalar(select(func.count()).select_from(counted)) or 0
    backwards = listing.after is None and listing.before is not None
    cursor = listing.before if backwards else listing.after
    expression = listing.sorts[listing.sort].expression
    ascending = listing.descending is backwards
    if cursor is not None:
        query = query.where(_beyond(expression, key, decode_cursor(cursor, expression), ascending))
    order = [column.asc() if ascending else column.desc() for column in (expression, key)]
    # What the cursor is made of is read beside the row.
    found = session.execute(
        query.add_columns(expression, key).order_by(None).order_by(*order).limit(rows + 1)
    ).all()
    more, found = len(found) > rows, found[:rows]
    if backwards:
        found = found[::-1]
    ends = [encode_cursor(*row[-2:]) for row in (found[0], found[-1])] if found else [None, None]
    has_previous = more if backwards else cursor is not None
    has_next = cursor is not None if backwards else more
    return Page(
        listing,
        [row[0] for row in found],
        min(total, MOST_COUNTED),
        total > MOST_COUNTED,
        listing.address(before=ends[0]) if has_previous and found else None,
        listing.address(after=ends[1]) if has_next and found else None,
    )


def matches(text: str, *columns: Any) -> ColumnElement[bool]:
    """Return in SQL whether one of several columns holds a text, in either case."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def one_value(name: str) -> str | None:
    """Return a value of the address; one that is there twice is refused."""
    values = request.args.getlist(name)
    if len(values) > 1:
        raise BadRequest.at(name, N_("Parameter given more than once") + f": {name}")
    return values[0] if values and values[0] else None


def choice(name: str, choices: Filter) -> str | None:
    """Return the value of a filter; one that it does not have is refused."""
    value = one_value(name)
    if value is not None and value not in choices.choices:
        raise BadRequest.at(name, N_("Unknown value of a filter") + f": {name}")
    return value


def _beyond(
    expression: Any,
    key: Any,
    cursor: tuple[Any, int],
    ascending: bool,  # noqa: FBT001 - one caller
) -> ColumnElement[bool]:
    """Return in SQL which rows come after a cursor."""
    value, row_id = literal(cursor[0], expression.type), cursor[1]
    # The first condition is what an index can begin at.
    if ascending:
        beyond = or_(expression > value, and_(expression == value, key > row_id))
        return and_(expression >= value, beyond)
    beyond = or_(expression < value, and_(expression == value, key < row_id))
    return and_(expression <= value, beyond)


def _kind_of(expression: Any) -> Any:
    """Return the type of the values of an expression, as Python has them."""
    kind = expression.type
    return (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type


def encode_cursor(value: Any, row_id: int) -> str:
    """Write where a list goes on: after a row with a value and an id."""
    shown = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([shown, row_id]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, expression: Any) -> tuple[Any, int]:
    """Read a cursor; what is none of ours is refused."""
    kind = _kind_of(expression)
    try:
        padded = cursor[:LONGEST_CURSOR] + "=" * (-len(cursor) % 4)
        value, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if kind is datetime:
            value = datetime.fromisoformat(value)
    except (ValueError, TypeError, RecursionError):
        raise _unknown_page() from None
    if not (isinstance(value, kind) and isinstance(row_id, int) and row_id >= 0):
        raise _unknown_page()
    if not (_can_be_asked(value) and _can_be_asked(row_id)):
        raise _unknown_page()
    return value, row_id


def _unknown_page() -> BadRequest:
    message = N_("This page of the list is not known; start at the first one.")
    return BadRequest.at("after", message)


def _can_be_asked(value: Any) -> bool:
    """Return whether a database can compare a value of a cursor."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return value.isprintable() if isinstance(value, str) else -INT64_MAX <= value <= INT64_MAX
