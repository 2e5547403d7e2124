"""How the Authorization Center writes answers: HTTP 200 with a business code in an envelope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response

from idp.api.answers import as_json, current_language, dump, wire_names
from idp.api.center.codes import Code
from idp.api.dialect import Dialect, Malformed, NotJson, Operation
from idp.platform.errors import BadRequest, Conflict, NotFound, Problem, Unprocessable

STATUS_OF = {Code.NotFound: 404, Code.UnprocessableEntity: 400}
"""HTTP statuses of the one form whose outcomes are statuses."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list with the requested range and the total."""

    rows: Sequence[Any]
    take: int
    skip: int
    total: int


class Refusal(Problem):
    """A business outcome with a code of its own."""

    def __init__(self, outcome: Code, message: str | None = None, **values: object) -> None:
        super().__init__(message or outcome.name, code=outcome.name)
        self.outcome = outcome
        self.message = message
        self.values = values


class Envelope:
    """`code`, `codeName`, `message`, `data`; lists carry `take`, `skip`, `total` as well."""

    def answer(self, operation: Operation, value: Any) -> Response:
        """Write the outcome of a view."""
        if isinstance(value, Response):
            return value
        if operation.form in {"bare", "number"}:
            return as_json(dump(operation.result, value))
        content = self._head(operation, Code.Status200OK, None)
        if isinstance(value, Page):
            content |= {"take": value.take, "skip": value.skip, "total": value.total}
            content["data"] = [dump(operation.result, row) for row in value.rows]
        else:
            content["data"] = dump(operation.result, value)
        return as_json(content)

    def refuse(self, operation: Operation, problem: Problem) -> Response | None:
        """Write a business refusal; gates, limits and bodies without JSON are HTTP problems."""
        outcome, message = self._outcome(operation, problem)
        if outcome is None:
            return None
        if operation.form == "number" and outcome in STATUS_OF:
            return as_json(0, STATUS_OF[outcome])
        content = self._head(operation, outcome, message)
        content["data"] = [] if operation.form == "list" else None
        return as_json(content)

    def _outcome(self, operation: Operation, problem: Problem) -> tuple[Code | None, str | None]:
        language = current_language()
        if isinstance(problem, Refusal):
            text = problem.message or problem.outcome.message(language, **problem.values)
            return problem.outcome, text
        if isinstance(problem, NotJson):
            return None, None
        if isinstance(problem, NotFound):
            return Code.NotFound, Code.NotFound.message(language)
        if isinstance(problem, BadRequest | Conflict | Unprocessable):
            named = problem.fields or {"body": [problem.detail]}
            if not isinstance(problem, Malformed):  # names of a shape are wire names
                named = wire_names(operation, named)
            return Code.UnprocessableEntity, written(named)
        if problem.status == 500:  # noqa: PLR2004 - unexpected, already logged
            return Code.ExpectationFailed, Code.ExpectationFailed.message(language)
        return None, None

    def _head(self, operation: Operation, outcome: Code, message: str | None) -> dict[str, Any]:
        head: dict[str, Any] = {
            "code": outcome.number,
            "codeName": outcome.name,
            "message": message,
        }
        if operation.form == "list":
            head = {"take": 0, "skip": 0, "total": 0, **head}
        return head


def written(messages: Mapping[str, Sequence[str]]) -> str:
    """Write the map of wrong fields as the JSON text that `message` carries."""
    return orjson.dumps({name: list(texts) for name, texts in messages.items()}).decode()


center = Dialect("authorization-center", Envelope())
