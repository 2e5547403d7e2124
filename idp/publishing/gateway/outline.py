"""The content of a description, arranged for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from idp.publishing.descriptions import operations, references

T = TypeVar("T")

LONGEST = 4000
MOST_TEXT = 2_000_000
"""Letters of an outline: references repeat a text at no cost to its author."""
MOST_PARTS = 20_000
"""Parameters, responses, scopes and content types of an outline."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a call."""

    name: str
    place: str
    kind: str
    description: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of a call."""

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
    is_shortened: bool
    """Whether something was left out because of the limits."""


def of(document: dict[str, Any]) -> Outline:
    """Arrange a valid description; targets of references that do not fit are left out."""
    reader = _Reader(document)
    info = _object(document.get("info"))
    title, version = reader.text(info.get("title")), reader.text(info.get("version"))
    description = reader.text(info.get("description"))
    sections: dict[str, list[Operation]] = {}
    for found in operations.of(document):
        if reader.is_over:
            break
        section = sections.setdefault(reader.text(found.tag), [])
        section.append(reader.operation(found.method, found.path, found.content))
    return Outline(
        title,
        version,
        description,
        [Section(name, section) for name, section in sections.items()],
        is_shortened=reader.is_over,
    )


class _Reader:
    """Reads a description up to the limits of a page."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._letters, self._parts = MOST_TEXT, MOST_PARTS

    @property
    def is_over(self) -> bool:
        """Whether a limit was reached."""
        return self._letters <= 0 or self._parts <= 0

    def text(self, value: Any) -> str:
        """Return a text, or the part that there is room for."""
        if not isinstance(value, str):
            return ""
        found = value[: min(LONGEST, self._letters)]
        self._letters -= len(found)
        return found

    def operation(self, method: str, path: str, operation: dict[str, Any]) -> Operation:
        """Return one operation as a page shows it."""
        body = _object(self._resolved(operation.get("requestBody")))
        media_types = _object(body.get("content")) or dict.fromkeys(operation.get("consumes") or ())
        return Operation(
            method.upper(),
            self.text(path),
            self.text(operation.get("summary")),
            self.text(operation.get("description")),
            operation.get("deprecated") is True,
            tuple(self._scopes(operation)),
            tuple(self._parameters(path, operation)),
            tuple(self.text(str(media_type)) for media_type in self._counted(media_types)),
            tuple(self._answers(operation)),
        )

    def _scopes(self, operation: dict[str, Any]) -> Iterable[str]:
        security = operation.get("security", self._document.get("security"))
        found = (
            str(scope)
            for alternative in (security if isinstance(security, list) else [])
            for names in _object(alternative).values()
            for scope in (names if isinstance(names, list) else [])
        )
        return dict.fromkeys(self.text(scope) for scope in self._counted(found))

    def _parameters(self, path: str, operation: dict[str, Any]) -> Iterator[Parameter]:
        shared = self._document["paths"][path].get("parameters") or []
        for given in self._counted((*shared, *(operation.get("parameters") or []))):
            found = _object(self._resolved(given))
            schema = _object(self._resolved(found.get("schema"))) or found
            if found.get("name"):
                yield Parameter(
                    self.text(found["name"]),
                    self.text(found.get("in")),
                    self.text(schema.get("type")),
                    self.text(found.get("description")),
                    found.get("required") is True,
                )

    def _answers(self, operation: dict[str, Any]) -> Iterator[Answer]:
        answers = _object(operation.get("responses"))
        for status, answer in self._counted(answers.items()):
            found = _object(self._resolved(answer))
            yield Answer(self.text(str(status)), self.text(found.get("description")))

    def _counted(self, parts: Iterable[T]) -> Iterator[T]:
        """Return parts as long as there is room."""
        for part in islice(parts, max(0, self._parts)):
            if self.is_over:
                return
            self._parts -= 1
            yield part

    def _resolved(self, value: Any) -> Any:
        return references.resolve(self._document, value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
