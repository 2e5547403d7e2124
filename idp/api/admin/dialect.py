"""The form of our own API: snake_case, problem details, pages by cursor.

Its operations are those that the two agreed contracts lack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Response
from marshmallow import RAISE, fields, validate

from idp.api.answers import as_json, dump
from idp.api.dialect import Dialect, Operation
from idp.platform.errors import Problem
from idp.platform.integers import INT64_MAX
from idp.platform.web import problems
from idp.platform.web.pages import as_response
from idp.platform.web.views import current_visit
from idp.platform.wire.shapes import Shape, number_in_query

PREFIX = "/admin/v1"
MOST_ROWS = 200

Row = TypeVar("Row")


class AdminShape(Shape):
    """A JSON object with the names of its fields; members it does not name are refused."""

    class Meta:
        """A misspelled member would otherwise be ignored silently."""

        unknown = RAISE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Keep the name of the field."""


class Paging(AdminShape):
    """How many rows; `after`, which each module declares, is where the page starts."""

    limit = number_in_query(minimum=1, maximum=MOST_ROWS, load_default=50)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a page, and the cursor of the next one; None: this is the last page."""

    rows: Sequence[Any]
    next: str | None


def page(rows: Sequence[Row], limit: int, cursor: Callable[[Row], object]) -> Page:
    """Make a page of rows that were read with one more than `limit`."""
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, str(cursor(rows[-1])) if more else None)


def row_id(*, minimum: int = 1, **options: Any) -> fields.Integer:
    """Return a field for the id of a row in a query; as a cursor, 0 is before the first."""
    return fields.Integer(
        validate=validate.Range(minimum, INT64_MAX), metadata={"format": "int64"}, **options
    )


def yes_or_no() -> fields.Boolean:
    """Return a field for a filter that is `true`, `false` or absent."""
    return fields.Boolean(truthy={"true"}, falsy={"false"}, load_default=None)


class Plain:
    """The value itself, or rows with a cursor; a refusal as problem details with `fields`."""

    def answer(self, operation: Operation, value: Any) -> Response:
        """Write the outcome of a view."""
        if isinstance(value, Page):
            rows = dump(operation.gives, list(value.rows))
            return as_json({"items": rows, "next": value.next})
        content = dump(operation.gives, value)
        if operation.location is None:
            return as_json(content)
        response = as_json(content, 201)
        names = {name: quote(str(member), safe="") for name, member in content.items()}
        response.headers["Location"] = PREFIX + operation.location.format_map(names)
        return response

    def refuse(self, operation: Operation, problem: Problem) -> Response:
        """Write a refusal by its HTTP status."""
        del operation
        request_id = current_visit().request_id
        return as_response(problems.problem_json(problem, request_id, fields_as="fields"))


admin = Dialect("admin", Plain())
