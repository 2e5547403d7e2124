"""Changes from one description to a later one that break clients."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from idp.publishing.descriptions import operations, references

MOST = 200
LONGEST = 500
"""Characters of a change: names below names add up."""
_DEEPEST = 4
_STEPS = 50_000
"""Most schemas that are compared: nested members multiply."""

KINDS = {
    "operation-removed": ("操作已删除", "operation removed"),
    "parameter-required": ("参数变为必填", "parameter is now required"),
    "parameter-type": ("参数类型已改变", "type of a parameter changed"),
    "body-required": ("请求体变为必填", "request body is now required"),
    "body-type": ("不再接受的请求类型", "request media type removed"),
    "request-field-required": ("请求字段变为必填", "request field is now required"),
    "request-field-type": ("请求字段类型已改变", "type of a request field changed"),
    "response-removed": ("成功响应已删除", "successful response removed"),
    "response-field-removed": ("响应字段已删除", "response field removed"),
    "response-field-type": ("响应字段类型已改变", "type of a response field changed"),
}
"""Every kind of change, in Chinese and English; an entry is `kind where`."""

_TEMPLATE = re.compile(r"\{[^{}]*\}")

Document = dict[str, Any]
Steps = Iterator[int]


class _EnoughError(Exception):
    """The limit of comparisons was reached; the changes found so far are returned."""


def between(old: Document, new: Document) -> list[str]:
    """List the breaking changes, the first few hundred of them."""
    found: dict[str, None] = {}
    try:
        for change in islice(_changes(old, new, iter(range(_STEPS))), MOST):
            found[change[:LONGEST]] = None
    except _EnoughError:
        pass
    return list(found)


def in_words(entry: str, language: str) -> tuple[str, str]:
    """Return what a change is, in English or Chinese, and where it is."""
    kind, _, where = entry.partition(" ")
    chinese, english = KINDS[kind]
    return (english if language == "en" else chinese), where


def as_note(note: str, changes: Sequence[str]) -> str:
    """Write a release note that ends with the breaking changes."""
    if not changes:
        return note
    lines = ["不兼容的变更 · Breaking changes:"]
    for entry in changes:
        kind, _, where = entry.partition(" ")
        lines.append(f"- {' · '.join(KINDS[kind])}: {where}")
    return "\n".join([*([note, ""] if note else []), *lines])


def _changes(old: Document, new: Document, steps: Steps) -> Iterator[str]:
    later = {
        (operation.method, _shape(operation.path)): (operation.path, operation.content)
        for operation in operations.of(new)
    }
    for operation in operations.of(old):
        path, content = operation.path, operation.content
        name = f"{operation.method.upper()} {path}"
        found = later.get((operation.method, _shape(path)))
        if found is None:
            yield f"operation-removed {name}"
            continue
        new_path, changed = found
        yield from _parameters(name, _inputs(old, path, content), _inputs(new, new_path, changed))
        pair = (_Side(old, content), _Side(new, changed))
        yield from _bodies(name, *pair, steps)
        yield from _answers(name, *pair, steps)


@dataclass(frozen=True, slots=True)
class _Side:
    """An operation, or a part of it, in its document."""

    document: Document
    content: Any

    def of(self, content: Any) -> _Side:
        """Return another part of the same document, with references resolved."""
        return _Side(self.document, references.resolve(self.document, content))


def _shape(path: str) -> str:
    """Return a path without the names of its parameters, which callers do not see."""
    return _TEMPLATE.sub("{}", path)


def _inputs(document: Document, path: str, operation: Document) -> dict[tuple[str, str], Document]:
    """List the parameters of an operation by place and name, without the body of Swagger 2."""
    shared = document["paths"][path].get("parameters") or []
    found = {}
    for given in (*shared, *(operation.get("parameters") or [])):
        parameter = references.resolve(document, given)
        if isinstance(parameter, dict) and parameter.get("in") not in {"body", "path"}:
            found[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    return found


def _parameters(
    name: str,
    before: dict[tuple[str, str], Document],
    after: dict[tuple[str, str], Document],
) -> Iterator[str]:
    for (place, parameter), content in after.items():
        known = before.get((place, parameter))
        if content.get("required") and not (known or {}).get("required"):
            yield f"parameter-required {name} {place} {parameter}"
        if known is not None and _type(known) != _type(content):
            yield f"parameter-type {name} {place} {parameter}"


def _type(parameter: Document) -> Any:
    schema = parameter.get("schema")
    return (schema if isinstance(schema, dict) else parameter).get("type")


def _bodies(name: str, before: _Side, after: _Side, steps: Steps) -> Iterator[str]:
    earlier, later = _body(before), _body(after)
    if later.get("required") and not earlier.get("required"):
        yield f"body-required {name}"
    accepted = _object(later.get("content"))
    for kind, content in _object(earlier.get("content")).items():
        if kind not in accepted:
            yield f"body-type {name} {kind}"
        else:
            schemas = (_object(side).get("schema") for side in (content, accepted[kind]))
            pair = (before.of(next(schemas)), after.of(next(schemas)))
            yield from _fields("request", name, *pair, steps)


def _body(side: _Side) -> Document:
    """Return the request body as OpenAPI 3 describes it, also for Swagger 2."""
    body = side.of(side.content.get("requestBody")).content
    if isinstance(body, dict):
        return body
    for given in side.content.get("parameters") or []:
        parameter = side.of(given).content
        if isinstance(parameter, dict) and parameter.get("in") == "body":
            content = {"application/json": {"schema": parameter.get("schema")}}
            return {"required": parameter.get("required"), "content": content}
    return {}


def _answers(name: str, before: _Side, after: _Side, steps: Steps) -> Iterator[str]:
    later = _object(after.content.get("responses"))
    for status, given in _object(before.content.get("responses")).items():
        if not str(status).startswith("2"):
            continue
        answer = after.of(later.get(status)).content
        if answer is None:
            yield f"response-removed {name} {status}"
            continue
        schemas = _schemas(answer)
        for kind, schema in _schemas(before.of(given).content).items():
            pair = (before.of(schema), after.of(schemas.get(kind)))
            yield from _fields("response", f"{name} {status}", *pair, steps)


def _schemas(answer: Any) -> dict[str, Any]:
    """List the schemas of an answer by media type; Swagger 2 has one for all."""
    if not isinstance(answer, dict):
        return {}
    if "schema" in answer:
        return {"*": answer["schema"]}
    content = _object(answer.get("content"))
    return {kind: _object(value).get("schema") for kind, value in content.items()}


def _fields(
    kind: str, where: str, before: _Side, after: _Side, steps: Steps, depth: int = 0
) -> Iterator[str]:
    """Compare two schemas with nested members, to a depth that ends every cycle."""
    old, new = before.content, after.content
    if next(steps, None) is None:
        raise _EnoughError
    if not isinstance(old, dict) or not isinstance(new, dict) or depth > _DEEPEST:
        return
    if old.get("type") != new.get("type"):
        yield f"{kind}-field-type {where}"
    if kind == "request":
        for field in sorted(_names(new.get("required")) - _names(old.get("required"))):
            yield f"request-field-required {where} {field}"
    later = _members(new)
    for field, schema in _members(old).items():
        if field in later:
            pair = (before.of(schema), after.of(later[field]))
            yield from _fields(kind, f"{where} {field}", *pair, steps, depth + 1)
        elif kind == "response":
            yield f"response-field-removed {where} {field}"
    pair = (before.of(old.get("items")), after.of(new.get("items")))
    yield from _fields(kind, where, *pair, steps, depth + 1)


def _members(schema: Document) -> Document:
    return _object(schema.get("properties"))


def _object(value: Any) -> Document:
    """Return a value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _names(required: Any) -> set[str]:
    return (
        {name for name in required if isinstance(name, str)}
        if isinstance(required, list)
        else set()
    )
