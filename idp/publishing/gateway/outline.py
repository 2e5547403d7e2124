"""What a description says, put in order for somebody who reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from idp.publishing.gateway import descriptions

LONGEST = 4000
_NO_TAG = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a call may or must say."""

    name: str
    place: str
    kind: str
    description: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that a call is answered with."""

    status: str
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an API."""

    method: str
    path: str
    summary: str
    description: str
    is_deprecated: bool
    scopes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    media_types: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one tag."""

    name: str
    operations: Sequence[Operation]


@dataclass(frozen=True, slots=True)
class Outline:
    """A description as a page shows it."""

    title: str
    version: str
    description: str
    sections: Sequence[Section]


def of(document: dict[str, Any]) -> Outline:
    """Put a valid description in order; references may lead to anything, which is left out."""
    info = _object(document.get("info"))
    sections: dict[str, list[Operation]] = {}
    for method, path, operation in descriptions.operations(document):
        tags = operation.get("tags")
        tag = _text(tags[0]) if isinstance(tags, list) and tags else _NO_TAG
        sections.setdefault(tag, []).append(_operation(document, method, path, operation))
    return Outline(
        _text(info.get("title")),
        _text(info.get("version")),
        _text(info.get("description")),
        [Section(name, operations) for name, operations in sections.items()],
    )


def _operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> Operation:
    security = operation.get("security", document.get("security"))
    scopes = dict.fromkeys(
        str(scope)
        for alternative in (security if isinstance(security, list) else [])
        for names in _object(alternative).values()
        for scope in (names if isinstance(names, list) else [])
    )
    body = _object(descriptions.resolve(document, operation.get("requestBody")))
    media_types = _object(body.get("content")) or dict.fromkeys(operation.get("consumes") or ())
    answers = _object(operation.get("responses"))
    return Operation(
        method.upper(),
        path,
        _text(operation.get("summary")),
        _text(operation.get("description")),
        operation.get("deprecated") is True,
        tuple(scopes),
        tuple(_parameters(document, path, operation)),
        tuple(map(str, media_types)),
        tuple(
            Answer(
                str(status),
                _text(_object(descriptions.resolve(document, answer)).get("description")),
            )
            for status, answer in answers.items()
        ),
    )


def _parameters(
    document: dict[str, Any], path: str, operation: dict[str, Any]
) -> Iterator[Parameter]:
    shared = document["paths"][path].get("parameters") or []
    for given in (*shared, *(operation.get("parameters") or [])):
        found = _object(descriptions.resolve(document, given))
        schema = _object(descriptions.resolve(document, found.get("schema"))) or found
        if found.get("name"):
            yield Parameter(
                _text(found["name"]),
                _text(found.get("in")),
                _text(schema.get("type")),
                _text(found.get("description")),
                found.get("required") is True,
            )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:LONGEST] if isinstance(value, str) else ""
