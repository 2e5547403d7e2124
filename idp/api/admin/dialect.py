"""How our own API speaks: snake_case, problem details, pages by cursor, ETags, idempotency keys.

Its operations are those that the two agreed contracts lack.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Response, request
from marshmallow import RAISE, fields, validate
from sqlalchemy import Select

from idp.api.answers import as_json, dump, wire_names
from idp.api.dialect import Dialect, Header, Operation, View
from idp.platform.errors import (
    BadRequest,
    Outdated,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
)
from idp.platform.idempotency import service as idempotency
from idp.platform.idempotency.service import Answer, Attempt
from idp.platform.integers import INT64_MAX
from idp.platform.web import problems
from idp.platform.web.pages import as_response
from idp.platform.web.principal import current_principal
from idp.platform.web.views import current_visit, database
from idp.platform.wire.shapes import Shape, number_in_query

PREFIX = "/admin/v1"
MOST_ROWS = 200
CHANGES = ("PUT", "PATCH", "DELETE")
"""Methods that need `If-Match`."""
REPLAYED = "Idempotent-Replayed"
_KEPT = ("Location", "ETag")
"""Headers that a repeated answer has again."""
_ETAG = re.compile(r'(W/)?"([!#-~]{1,100})"')
_KEY = re.compile(r"[!-~]{1,200}")

Row = TypeVar("Row")


class AdminShape(Shape):
    """A JSON object with the names of its fields; members it does not name are refused."""

    class Meta:
        """A misspelled member would otherwise be ignored silently."""

        unknown = RAISE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Keep the name of the field."""

    def wire_name(self, path: str) -> str:
        """Return the name of a field that a service names by the attribute that it is stored in."""
        for name, field_obj in self.load_fields.items():
            if field_obj.attribute == path:
                return name
        return super().wire_name(path)


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


def page_of(found: Select[Any], model: Any, query: Mapping[str, Any]) -> Page:
    """Read the page of rows that begins behind an id."""
    listed = found.where(model.id > query["after"]).order_by(model.id).limit(query["limit"] + 1)
    return page(database().scalars(listed).all(), query["limit"], lambda row: row.id)


def row_id(*, minimum: int = 1, **options: Any) -> fields.Integer:
    """Return a field for the id of a row in a query; as a cursor, 0 is before the first."""
    return fields.Integer(
        validate=validate.Range(minimum, INT64_MAX), metadata={"format": "int64"}, **options
    )


def yes_or_no() -> fields.Boolean:
    """Return a field for a filter that is `true`, `false` or absent."""
    return fields.Boolean(truthy={"true"}, falsy={"false"}, load_default=None)


@dataclass(frozen=True, slots=True)
class Tagged:
    """What an operation answers with, and the concurrency stamp that is its ETag."""

    value: Any
    stamp: str


class Plain:
    """The value itself, or rows with a cursor; a refusal as problem details with `fields`."""

    def answer(self, operation: Operation, value: Any) -> Response:
        """Write the outcome of a view."""
        if isinstance(value, Response):
            return value
        if operation.form == "empty":
            return Response(status=204, headers={"Cache-Control": "no-store"})
        if isinstance(value, Page):
            rows = dump(operation.result, list(value.rows))
            return as_json({"items": rows, "next": value.next})
        stamp = value.stamp if isinstance(value, Tagged) else None
        content = dump(operation.result, value.value if isinstance(value, Tagged) else value)
        response = as_json(content, 200 if operation.location is None else 201)
        if operation.location is not None:
            members = {**content, **(request.view_args or {})}
            names = {name: quote(str(member), safe="") for name, member in members.items()}
            response.headers["Location"] = PREFIX + operation.location.format_map(names)
        if stamp is not None or has_etag(operation):
            response.headers["ETag"] = f'"{stamp or etag_of(response.get_data())}"'
        return response

    def refuse(self, operation: Operation, problem: Problem) -> Response:
        """Write a refusal by its HTTP status."""
        problem.fields = wire_names(operation, problem.fields)
        if isinstance(problem, Outdated):
            problem = PreconditionFailed(problem.detail, headers=problem.headers)
        request_id = current_visit().request_id
        return as_response(problems.problem_json(problem, request_id, fields_as="fields"))


class AdminDialect(Dialect):
    """Operations of which changes need `If-Match` and others take an `Idempotency-Key`."""

    def operation(
        self, operation_id: str, method: str, path: str, **options: Any
    ) -> Callable[[View], View]:
        """Declare an operation, which machines may call as well: their scope suffices."""
        return super().operation(operation_id, method, path, **{"machine": True, **options})

    def request_headers(self, operation: Operation) -> Sequence[Header]:
        """Return what says which state is changed, or which request this is."""
        if operation.method in CHANGES:
            return (Header("If-Match", required=True),)
        return (Header(idempotency.NAME),) if operation.method == "POST" else ()

    def answer_headers(self, operation: Operation) -> Sequence[str]:
        """Return the ETag of one thing, and where a file goes on."""
        if operation.form == "file":
            return ("Link",)
        return ("ETag",) if has_etag(operation) else ()

    def surround(self, operation: Operation, view: View) -> View:
        """Pass `If-Match` to a change; carry a POST out once under its key."""
        if operation.method in CHANGES:
            return conditional(view)
        return self._once(operation, view) if operation.method == "POST" else view

    def _once(self, operation: Operation, view: View) -> View:
        @wraps(view)
        def once(**arguments: Any) -> Any:
            attempt = read_attempt(operation)
            if attempt is None:
                return view(**arguments)
            claimed = idempotency.claim(database(), attempt)
            database().commit()
            if isinstance(claimed, Answer):
                return replay(claimed)
            return self._carry_out(operation, view, arguments, claimed)

        return once

    def _carry_out(
        self, operation: Operation, view: View, arguments: dict[str, Any], claim_id: int
    ) -> Response:
        """Answer a request that was claimed; a refusal releases the claim."""
        idempotency.mark_done(database(), claim_id)
        try:
            response: Response = self.renderer.answer(operation, view(**arguments))
        except Exception:
            database().rollback()
            idempotency.release(database(), claim_id)
            database().commit()
            raise
        headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
        answer = Answer(response.status_code, headers, response.get_data(as_text=True))
        idempotency.keep(database(), claim_id, answer)
        database().commit()
        return response


def has_etag(operation: Operation) -> bool:
    """Return whether an operation answers with the state of one thing."""
    return operation.form == "one" and operation.method in {"GET", "PUT", "PATCH"}


def etag_of(representation: bytes) -> str:
    """Return what tells one representation from every other, where there is no stamp."""
    return hashlib.sha256(representation).hexdigest()[:32]


def matching(shape: Shape, stamp: str | None) -> Callable[[Any], None]:
    """Return a check that what is about to be changed is in the state that `If-Match` names.

    For things without a stamp: their ETag is made of what reading them answers.
    """

    def check(value: Any) -> None:
        if stamp is not None and stamp != etag_of(as_json(dump(shape, value)).get_data()):
            raise Outdated("This was changed by someone else. Reload and try again.")

    return check


def conditional(view: View) -> View:
    """Pass the state that a change is meant for to a view, as `stamp`; None: any state."""

    @wraps(view)
    def changing(**arguments: Any) -> Any:
        return view(**arguments, stamp=read_if_match())

    return changing


def read_if_match() -> str | None:
    """Return the ETag that `If-Match` names; None for `*`."""
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise PreconditionRequired(
            "Send If-Match with the ETag that was answered, so that no other change is lost."
        )
    if given == "*":
        return None
    found = _ETAG.fullmatch(given)
    if found is None:
        raise BadRequest.at("If-Match", "Must be one ETag in quotes, as it was answered, or *.")
    if found[1]:  # RFC 9110 13.1.1: weak ones never match
        raise PreconditionFailed("A weak ETag matches no state.")
    return found[2]


def read_attempt(operation: Operation) -> Attempt | None:
    """Return what makes a request known again; None where it names no key."""
    key = request.headers.get(idempotency.NAME)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadRequest.at(idempotency.NAME, "Must be 1 to 200 printable ASCII characters.")
    principal = current_principal()
    return Attempt(
        caller=f"{principal.client_id} {principal.user_id}",
        operation=operation.id,
        key=key,
        content=b"\0".join((request.path.encode(), request.query_string, current_visit().body)),
    )


def replay(answer: Answer) -> Response:
    """Send an answer again."""
    response = Response(answer.body, answer.status, answer.headers)
    if answer.body:
        response.content_type = "application/json"
    response.headers["Cache-Control"] = "no-store"
    response.headers[REPLAYED] = "true"
    return response


admin = AdminDialect("admin", Plain())
