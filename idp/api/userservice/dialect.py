"""How the user service writes answers: V1 bare, V2 in the envelope `R`."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from idp.api.answers import as_json, current_language, dump, wire_names
from idp.api.dialect import Dialect, Malformed, Operation
from idp.api.userservice.codes import Code
from idp.api.userservice.paging import Page
from idp.platform import clock
from idp.platform.errors import BadRequest, Conflict, Problem, Unprocessable
from idp.platform.web import problems
from idp.platform.web.pages import as_response
from idp.platform.web.views import current_visit

PREFIX = "/user"
SECOND = "V2"
SECOND_PATH = "/v2"


class Bare:
    """V1: the value itself; a refusal as problem details."""

    def answer(self, operation: Operation, value: Any) -> Response:
        """Write the outcome of a view."""
        return as_json(written(operation, value))

    def refuse(self, operation: Operation, problem: Problem) -> Response | None:
        """Write a business refusal: 409, or 400 for input that is not valid."""
        if isinstance(problem, Unprocessable):
            problem.status = Conflict.status
        if isinstance(problem, BadRequest | Conflict | Unprocessable):
            problem.code = Code.of(problem).name
            problem.fields = spelled(operation, problem)
        return as_response(problems.problem_json(problem, current_visit().request_id))


class Enveloped:
    """V2: the same value in `R`; business refusals too are HTTP 200."""

    def answer(self, operation: Operation, value: Any) -> Response:
        """Write the outcome of a view."""
        return self._write(Code.success, written(operation, value))

    def refuse(self, operation: Operation | None, problem: Problem) -> Response:
        """Write a refusal; without a right, or with an unknown path, it has an HTTP status too."""
        code = Code.of(problem)
        extra: dict[str, Any] = {"requestId": current_visit().request_id}
        if code.is_business:
            extra["detail"] = problem.detail
            extra["errors"] = spelled(operation, problem)
        response = self._write(code, None, extra, 200 if code.is_business else problem.status)
        rendered = problems.problem_json(problem, current_visit().request_id)
        for name, value in rendered.headers:
            if name not in {"Content-Type", "Cache-Control"}:
                response.headers[name] = value
        return response

    def _write(
        self, code: Code, data: Any, extra: dict[str, Any] | None = None, status: int = 200
    ) -> Response:
        content = {
            "code": code.number,
            "data": data,
            "extra": extra or {},
            "isError": code is not Code.success,
            "isSuccess": code is Code.success,
            "msg": code.message(current_language()),
            "path": request.path,
            "timestamp": int(clock.now().timestamp() * 1000),
        }
        return as_json(content, status)


def written(operation: Operation, value: Any) -> Any:
    """Write a value by the operation's shape; of a page, its rows."""
    if isinstance(value, Page):
        return value.written(dump(operation.result, list(value.rows)))
    return dump(operation.result, value)


def spelled(operation: Operation | None, problem: Problem) -> dict[str, Any]:
    """Return the refused fields under their wire names."""
    # Names of a shape are wire names.
    if operation is None or isinstance(problem, Malformed):
        return problem.fields
    return {name: list(texts) for name, texts in wire_names(operation, problem.fields).items()}


userservice = Dialect("user-service", Bare())
"""Every operation once, as V1; `versions` gives both."""


def versions() -> tuple[Dialect, Dialect]:
    """Return both versions, after every operation is declared."""
    return userservice, userservice.version(Enveloped(), SECOND, SECOND_PATH)
