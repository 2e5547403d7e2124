"""Operations of a REST contract: one declaration for route, gate, shapes and OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from http import HTTPStatus
from typing import Any, Literal, Protocol, Self

import orjson
from flask import Response, g, request
from marshmallow import ValidationError, fields

from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Overreach, Problem, TooManyRequests
from idp.platform.integers import INT64_MAX
from idp.platform.web import forms, problems, uploads
from idp.platform.web import principal as gate
from idp.platform.web.pages import as_response
from idp.platform.web.views import current_visit, database
from idp.platform.wire.messages import LONGEST_SHOWN, flatten
from idp.platform.wire.shapes import Shape

TRACES_PER_MINUTE = 10
LANGUAGE = "culture"
"""Query parameter of every operation."""
MOST_NAMED = 10
"""Unknown query parameters that a refusal names."""

View = Callable[..., Any]
Form = Literal["one", "list", "page", "bare", "number", "empty", "file"]
"""How an answer is wrapped: one value, a list or a page in the envelope, or nothing around it.

`number`: nothing around it, and the HTTP status tells the outcome; 0 where there is no number.
`empty`: no content. `file`: the view makes the response, in one of the operation's media types.
"""


class Malformed(BadRequest):
    """The body has the wrong shape; `fields` maps each wrong member to its messages."""

    code = "malformed"


class NotJson(BadRequest):
    """The body is not JSON."""

    code = "not_json"


@dataclass(frozen=True, slots=True)
class Upload:
    """The file that an operation accepts in a multipart form."""

    field: str
    largest: int
    """Bytes."""
    per_minute: int
    """Files that a caller may send."""


@dataclass(frozen=True)
class Operation:
    """One contracted operation, as routes, gate and OpenAPI read it."""

    id: str
    module: str
    method: str
    path: str
    """As the contract writes it, with Flask's converters: `/Client/<int:id>`."""
    view: View = field(repr=False)
    scope: str | None = None
    """Client scope; None: the operation is public."""
    permission: str | None = None
    """Permission that the user needs; None: the scope suffices."""
    machine: bool = False
    """Whether a machine's token may call although a permission is named."""
    person: bool = True
    """Whether a person's token may call; False: only a client by itself."""
    level: str | None = None
    """Level of sign-in that is asked of people who can reach it (RFC 9470)."""
    tenant: gate.Tenant | None = None
    """The tenant that it concerns (see `require_scope`); None: the token's own."""
    body: Shape | fields.Field[Any] | None = None
    """The body: an object by its shape, or a single field such as a map."""
    body_required: bool = True
    """False: without a body the shape gets an empty object."""
    query: Shape | None = None
    upload: Upload | None = None
    result: Any = None
    """Shape or marshmallow field of the answer's data."""
    location: str | None = None
    """Path of what it creates, with members of the answer: `/privileges/{code}`. None: nothing."""
    form: Form = "one"
    media: tuple[str, ...] = ()
    """Media types of a file."""
    page: bool = False
    """Whether callers that do not accept JSON are redirected to a page."""
    head: bool = True
    """Whether HEAD is answered where GET is; False: GET changes something."""
    errors: tuple[str, ...] = ()
    """Names of its business codes, besides those of all operations."""

    @property
    def home(self) -> str:
        """The Python module of the view, by its last name: `apiresource`."""
        return self.view.__module__.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a contract reads from requests, or adds to answers."""

    name: str
    required: bool = False


class Renderer(Protocol):
    """How a contract writes answers and refusals."""

    def answer(self, operation: Operation, value: Any) -> Response:
        """Write the outcome of a view."""

    def refuse(self, operation: Operation, problem: Problem) -> Response | None:
        """Write a refusal; None: it is an HTTP problem and not a business outcome."""


class Dialect:
    """All operations of one contract with the renderer that writes its answers."""

    def __init__(self, name: str, renderer: Renderer) -> None:
        self.name = name
        self.renderer = renderer
        self.operations: list[Operation] = []

    def operation(
        self,
        operation_id: str,
        method: str,
        path: str,
        *,
        scope: str | None = None,
        permission: str | Literal[True] | None = True,
        **options: Any,
    ) -> Callable[[View], View]:
        """Declare an operation; by default the permission has the name of the scope.

        The view gets `body` and `query` as loaded by their shapes, `file` as it was sent, and the
        path's values by name. It returns the data of the answer, commits last, and raises a
        Problem to refuse. By default the module is the part of the id before the hyphen.
        """
        module: str = options.pop("module", operation_id.partition("-")[0])

        def declare(view: View) -> View:
            self.operations.append(
                Operation(
                    id=operation_id,
                    module=module,
                    method=method,
                    path=path,
                    view=view,
                    scope=scope,
                    permission=scope if permission is True else permission,
                    **options,
                )
            )
            return view

        return declare

    def request_headers(self, operation: Operation) -> Sequence[Header]:
        """Return the headers that an operation reads besides those of every request."""
        del operation
        return ()

    def answer_headers(self, operation: Operation) -> Sequence[str]:
        """Return the names of the headers that an operation adds to its answer."""
        del operation
        return ()

    def surround(self, operation: Operation, view: View) -> View:
        """Return the view with what the contract does between the checks of a request and it."""
        del operation
        return view

    def version(self, renderer: Renderer, mark: str, prefix: str) -> Self:
        """Return the same operations in another form: ids with a mark, paths with a prefix."""
        other = type(self)(self.name, renderer)
        other.operations = [
            replace(
                operation,
                id=f"{operation.id}{mark}",
                module=f"{operation.module}-{mark.lower()}",
                path=f"{prefix}{operation.path}",
            )
            for operation in self.operations
        ]
        return other

    def answering(self, operation: Operation) -> View:
        """Put gate, parsing and rendering around a view."""
        view = self.surround(operation, operation.view)

        def load_and_call(**path: Any) -> Any:
            if not operation.page:  # mail programs and trackers append parameters to links
                refuse_unknown(operation.query)
            if operation.query is not None:
                path["query"] = load(operation.query, query_values(operation.query))
            if operation.body is not None:
                path["body"] = load(operation.body, read_json(operation))
            if operation.upload is not None:
                with receive(operation.id, operation.upload) as path["file"]:
                    return view(**path)
            return view(**path)

        guarded: View = load_and_call
        if operation.scope is not None:
            guarded = gate.require_scope(
                operation.scope,
                operation.permission,
                machine=operation.machine,
                person=operation.person,
                level=operation.level,
                tenant=operation.tenant,
            )(load_and_call)

        @wraps(operation.view)
        def answer(**path: Any) -> Response:
            try:
                return self.renderer.answer(operation, guarded(**within_64_bits(path)))
            except Exception as error:  # noqa: BLE001 - the renderer of last resort
                visit = current_visit()
                visit.session.rollback()
                problem = problems.from_exception(error, visit.request_id)
                leave_trace(operation, problem)
                refusal = self.renderer.refuse(operation, problem)
                if refusal is not None:
                    return refusal
                return as_response(problems.problem_json(problem, visit.request_id))

        return answer


def leave_trace(operation: Operation, problem: Problem) -> None:
    """Record that a caller lacked a right, in ten rows a minute for each caller and operation."""
    principal: gate.Principal | None = g.get("principal")
    lacked = problem.status == HTTPStatus.FORBIDDEN or isinstance(problem, Overreach)
    if principal is None or not lacked:
        return
    session = database()
    caller = f"{principal.client_id} {principal.user_id} {operation.id}"
    try:
        runtime.of(session).throttle.hit("operation-refused", caller, TRACES_PER_MINUTE, 60)
    except TooManyRequests:
        return
    audit.record(
        session,
        Tag.OPERATION_REFUSED,
        user_id=principal.user_id,
        client_id=principal.client_id,
        tenant_id=principal.own_tenant_id,
        target=f"operation:{operation.id}",
        details={"reason": problem.detail},
    )
    session.commit()


def within_64_bits(path: dict[str, Any]) -> dict[str, Any]:
    """Limit numbers of a path to what databases can compare; no row has the largest id."""
    return {
        name: min(value, INT64_MAX) if isinstance(value, int) else value
        for name, value in path.items()
    }


def read_json(operation: Operation) -> Any:
    """Read the body as JSON; an empty body is refused where one is required."""
    if not current_visit().body and not operation.body_required:
        return {}
    return load_json()


def load_json() -> Any:
    """Read the body as JSON."""
    body = current_visit().body
    try:
        forms.check_json(body)
        return orjson.loads(body)
    except BadRequest as problem:
        raise NotJson(problem.detail) from None
    except orjson.JSONDecodeError:
        message = "The body is not JSON"
        raise NotJson(message) from None


@contextmanager
def receive(operation_id: str, upload: Upload) -> Iterator[uploads.Received]:
    """Read the uploaded file, after the caller's rights were checked."""
    session = database()
    principal = gate.current_principal()
    caller = f"{principal.client_id} {principal.user_id}"
    runtime.of(session).throttle.hit(operation_id, caller, upload.per_minute, 60)
    # It may take a minute to arrive; on SQLite an open transaction would block all others.
    session.rollback()
    with uploads.receive(request.environ, upload.field, upload.largest) as received:
        yield received


def refuse_unknown(shape: Shape | None) -> None:
    """Refuse unknown query parameters: a misspelled filter would list everything."""
    known = {name for name, _ in shape.query_fields()} if shape is not None else set()
    unknown = [name for name in request.args if name not in known and name != LANGUAGE]
    if unknown:
        listed = ", ".join(sorted({*known, LANGUAGE}))
        message = f"Unknown parameter. Known parameters: {listed}."
        raise Malformed(fields={name[:LONGEST_SHOWN]: [message] for name in unknown[:MOST_NAMED]})


def query_values(shape: Shape) -> dict[str, Any]:
    """Return the query parameters that a shape names; a repeated one is refused.

    A list is a repeated parameter, or one value with commas; without a value it is empty.
    """
    values: dict[str, Any] = {}
    for name, declared in shape.query_fields():
        given = request.args.getlist(name)
        if isinstance(declared, fields.List):
            if given:
                values[name] = [part for text in given for part in text.split(",") if part]
            continue
        if len(given) > 1:
            raise Malformed(fields={name: ["Must not be repeated."]})
        if given and given[0] != "":
            values[name] = given[0]
    return values


def load(shape: Shape | fields.Field[Any], value: Any) -> Any:
    """Check a value by its shape; Malformed names every wrong member."""
    try:
        return shape.load(value) if isinstance(shape, Shape) else shape.deserialize(value)
    except ValidationError as error:
        messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise Malformed(fields=flatten(messages)) from None
