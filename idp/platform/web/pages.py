"""Refusals of what Flask answers: a page for people, problem details for programs."""

from __future__ import annotations

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from idp.platform.errors import Problem
from idp.platform.translation import N_
from idp.platform.web import plain, problems
from idp.platform.web.views import current_visit
from idp.platform.web.visit import Answer

_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")


def setup(app: Flask) -> None:
    """Render whatever a view raises."""
    app.before_request(_name_route)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, refuse)


def refuse(error: Exception) -> AnyResponse:
    """Render a refusal, and whatever else a view raised."""
    visit = current_visit()
    visit.session.rollback()
    problem = problems.from_exception(error, visit.request_id)
    if not wants_page():
        return as_response(problems.problem_json(problem, visit.request_id))
    return _page(problem, visit.request_id)


def wants_page() -> bool:
    """Whether a person looks at the answer, not a program."""
    headers = request.headers
    return plain.wants_page(headers.get("Accept", ""), headers.get("Sec-Fetch-Mode", ""))


def as_response(answer: Answer) -> Response:
    """Turn a plain answer into Flask's."""
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    return response


def _name_route() -> None:
    """Set the route for metrics and logs, never the path with personal data in it."""
    if request.url_rule is not None:
        current_visit().endpoint = request.url_rule.rule


def _page(problem: Problem, request_id: str) -> Response:
    try:
        text = render_template(
            "error.html", problem=problem, status=problem.status, request_id=request_id
        )
    except Exception as error:  # noqa: BLE001 - the renderer of last resort
        problems.log.error("error_page_failed", request_id=request_id, exc_info=error)
        languages = request.headers.get("Accept-Language", "")
        return as_response(problems.plain_page(problem, request_id, languages))
    response = Response(
        text, problem.status, problem.headers, content_type="text/html; charset=utf-8"
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _http_error(error: HTTPException) -> AnyResponse:
    """Translate what Flask and Werkzeug refuse with."""
    response = error.get_response(request.environ)
    status = response.status_code
    if status < 400:  # noqa: PLR2004 - redirects are exceptions to Werkzeug
        return response
    detail = _DETAILS.get(status, error.name)
    problem = Problem(detail, code=error.name.lower().replace(" ", "_"))
    problem.status = status
    problem.title = error.name
    problem.headers = {
        name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers
    }
    return refuse(problem)


_DETAILS = {
    400: N_("The request cannot be understood."),
    404: N_("Check the address; the page may have been removed."),
    405: N_("This page cannot be opened this way."),
    413: N_("The request is too large."),
    415: "This address does not take this media type",
}
