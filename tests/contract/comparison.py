"""A served OpenAPI document against the agreed one: what differs, in lines to be explained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from idp.api import docs
from idp.api.texts import Language

HERE = Path(__file__).parent
METHODS = ("get", "put", "patch", "post", "delete")
FACETS = (
    *("format", "default", "enum", "minimum", "maximum", "minLength", "maxLength"),
    *("pattern", "minItems", "maxItems"),
)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
KINDS = (
    *("null allowed", "null refused", "added", "missing", "required", "not required"),
    *("type string -> integer", "type integer -> string", "format int64 -> int32"),
)
"""What could be said about any place, besides bounds, which every contract of ours has."""
Operation = dict[str, Any]
Document = dict[str, Any]


@cache
def read(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text())


@cache
def serve(name: str, language: Language = "en") -> Document:
    document: Document = orjson.loads(docs.document(name, "https://id.example", language))
    return document


def operations(document: Document) -> dict[str, tuple[str, str, Operation]]:
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def undescribed(document: Document, language: Language) -> Iterator[str]:
    """Return which operations, parameters, schemas and members have no text in a language."""

    def members(where: str, schema: Any) -> Iterator[str]:
        if isinstance(schema, list):
            for part in schema:
                yield from members(where, part)
        elif isinstance(schema, dict):
            for name, member in schema.get("properties", {}).items():
                if not is_in(language, member.get("description")):
                    yield f"{where}.{name}: no text in {language}"
                yield from members(f"{where}.{name}", member)
            for name in ("allOf", "anyOf", "items", "additionalProperties"):
                yield from members(where, schema.get(name))

    for name, (_, _, operation) in operations(document).items():
        for member in ("summary", *(["description"] if "description" in operation else [])):
            if not is_in(language, operation.get(member)):
                yield f"{name} {member}: no text in {language}"
        for where, parameter in _parameters(document, operation).items():
            if not is_in(language, parameter.get("description")):
                yield f"{name} {where}: no text in {language}"
    for name, schema in document["components"]["schemas"].items():
        if "description" in schema and not is_in(language, schema["description"]):
            yield f"{name}: no text in {language}"
        yield from members(name, schema)


def is_in(language: Language, text: str | None) -> bool:
    """Return whether there is a text, and in which letters."""
    return bool(text and text.strip()) and bool(_CHINESE.search(text)) == (language == "zh")


def resolve(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def flat(document: Document, schema: dict[str, Any]) -> dict[str, Any]:
    """Resolve references, merge `allOf`, and say null by `nullable`."""
    schema = dict(resolve(document, schema))
    for part in [flat(document, part) for part in schema.pop("allOf", ())]:
        required = [*schema.get("required", ()), *part.get("required", ())]
        properties = schema.get("properties", {}) | part.get("properties", {})
        schema |= part | {"required": required, "properties": properties}
    choices = schema.pop("anyOf", ()) or schema.pop("oneOf", ())
    if choices:
        (value,) = (choice for choice in choices if choice != {"type": "null"})
        schema |= flat(document, value) | {"nullable": True}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        schema["type"] = next(kind for kind in kinds if kind != "null")
        schema["nullable"] = "null" in kinds
    if schema.get("nullable") and "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    return schema


@dataclass
class Comparison:
    """One contract: the agreed document, the served one, and what is explained."""

    name: str
    explanations: str
    prefix: str = ""
    """Of the served paths before the agreed ones."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Members of operations to compare: as agreed, and as served."""
    error_codes: bool = True
    ours: Callable[[], Document] | None = None
    """Another document to look at than the one that is served."""
    places: set[str] = field(default_factory=set)
    """Where schemas were compared: what could differ next."""

    @property
    def agreed(self) -> Document:
        document: Document = read(f"{self.name}.openapi.yaml")
        return document

    @property
    def served(self) -> Document:
        return self.ours() if self.ours is not None else serve(self.name)

    @property
    def explained(self) -> dict[str, Any]:
        found: dict[str, Any] = read(self.explanations)
        return found

    def schemas(
        self,
        where: str,
        agreed: dict[str, Any] | None,
        ours: dict[str, Any] | None,
        above: tuple[str, ...] = (),
    ) -> Iterator[str]:
        """Describe what differs; members below members as `clientSecrets.value`."""
        self.places.add(where)
        if agreed is None or ours is None:
            if agreed is not ours:
                yield f"{where}: {'added' if agreed is None else 'missing'}"
            return
        if agreed.get("$ref") in above:
            return  # a schema that holds itself was compared one step above
        above = (*above, *filter(None, [agreed.get("$ref")]))
        agreed, ours = flat(self.agreed, agreed), flat(self.served, ours)
        for name in ("type", *FACETS):
            if agreed.get(name) != ours.get(name):
                yield f"{where}: {name} {agreed.get(name)} -> {ours.get(name)}"
        if bool(agreed.get("nullable")) != bool(ours.get("nullable")):
            yield f"{where}: null {'refused' if agreed.get('nullable') else 'allowed'}"
        for name in sorted({*agreed.get("required", ())} ^ {*ours.get("required", ())}):
            yield f"{where}.{name}: {'not ' if name in agreed.get('required', ()) else ''}required"
        yield from self.schemas(where, agreed.get("items"), ours.get("items"), above)
        # Objects may have any member unless it is said that they may not.
        theirs, own = (
            {} if schema in (None, True) else schema
            for schema in (agreed.get("additionalProperties"), ours.get("additionalProperties"))
        )
        if theirs or own:
            yield from self.schemas(where, theirs, own, above)
        theirs, own = agreed.get("properties", {}), ours.get("properties", {})
        for name in sorted({*theirs, *own}):
            yield from self.schemas(f"{where}.{name}", theirs.get(name), own.get(name), above)

    def operation(self, operation_id: str) -> Iterator[str]:
        """Describe how the served operation differs from the agreed one."""
        method, path, agreed = operations(self.agreed)[operation_id]
        our_method, our_path, ours = operations(self.served)[operation_id]
        if (our_method, our_path) != (method, f"{self.prefix}{path}"):
            yield f"{operation_id}: served as {our_method} {our_path}"
        for theirs, own in self.marks.items():
            if agreed[theirs] != ours[own]:
                yield f"{operation_id} {own}: {agreed[theirs]} -> {ours[own]}"
        if self.error_codes:
            yield from self._codes(operation_id, agreed, ours)
        for extra in agreed.get("x-source-extra-path-parameters", ()):
            yield f"{operation_id} path {extra['name']}: outside the template, ignored"
        their_parameters = _parameters(self.agreed, agreed)
        our_parameters = _parameters(self.served, ours)
        for name in sorted({*their_parameters, *our_parameters}):
            one, other = their_parameters.get(name), our_parameters.get(name)
            if one and other and bool(one.get("required")) != bool(other.get("required")):
                yield f"{operation_id} {name}: required {one.get('required')}"
            yield from self.schemas(
                f"{operation_id} {name}", one and one["schema"], other and other["schema"]
            )
        their_body, our_body = agreed.get("requestBody", {}), ours.get("requestBody", {})
        if their_body and our_body and their_body.get("required") != our_body.get("required"):
            yield f"{operation_id} request: required {their_body.get('required')}"
        yield from self.schemas(f"{operation_id} request", _body(agreed), _body(ours))
        their_answers, our_answers = agreed["responses"], ours["responses"]
        for status in sorted({*their_answers, *our_answers}):
            if status not in their_answers or status not in our_answers:
                kind = "missing" if status in their_answers else "added"
                yield f"{operation_id} status {status}: {kind}"
            elif status not in {"401", "403", "404"} or "content" in their_answers[status]:
                # The contracts leave the bodies of some refusals open.
                yield from self.schemas(
                    f"{operation_id} {status}",
                    _body(their_answers[status]),
                    _body(our_answers[status]),
                )

    def _codes(self, operation_id: str, agreed: Operation, ours: Operation) -> Iterator[str]:
        theirs, own = (
            {(code["code"], code["name"]) for code in side["x-error-codes"]}
            for side in (agreed, ours)
        )
        for number, name in sorted(theirs ^ own):
            kind = "missing" if (number, name) in theirs else "added"
            yield f"{operation_id} code {number} {name}: {kind}"

    def titles(self) -> Iterator[str]:
        """Return which Chinese titles are not the agreed ones; punctuation does not count."""
        ours = operations(serve(self.name, "zh"))
        for name, (_, _, operation) in operations(self.agreed).items():
            agreed = operation.get("x-title-zh")
            if agreed and _plain(agreed) != _plain(ours[name][2].get("summary", "")):
                yield f"{name} title: {agreed} -> {ours[name][2].get('summary')}"

    def differences(self) -> list[str]:
        built = operations(self.served).keys() & operations(self.agreed).keys()
        lines = [line for operation_id in sorted(built) for line in self.operation(operation_id)]
        for language, document in (("en", self.served), ("zh", serve(self.name, "zh"))):
            lines += undescribed(document, language)
        return [*lines, *self.titles()]

    def hidden(self) -> list[str]:
        """List what the reasons would explain although it is not so today."""
        found = set(self.differences())
        known = re.compile("|".join(f"(?:{translate(pattern)})" for pattern in self.patterns()))
        lines = (f"{place}: {kind}" for place in sorted(self.places) for kind in KINDS)
        return [line for line in lines if line not in found and known.match(line)]

    def patterns(self) -> list[str]:
        return [
            pattern for reason in self.explained["reasons"] for pattern in reason["differences"]
        ]


def _plain(title: str) -> str:
    return re.sub(r"\W", "", title)


def _parameters(document: Document, operation: Operation) -> dict[str, Any]:
    found = [resolve(document, value) for value in operation.get("parameters", ())]
    return {f"{parameter['in']} {parameter['name']}": parameter for parameter in found}


def _body(value: dict[str, Any]) -> dict[str, Any] | None:
    content = value.get("requestBody", value).get("content", {})
    kinds = ("application/json", "multipart/form-data")
    return next((content[kind]["schema"] for kind in kinds if kind in content), None)
