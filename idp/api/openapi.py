"""OpenAPI 3.1 from the declared operations: what is described is what is served."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

import orjson
from marshmallow import RAISE, fields, validate

from idp.api import texts
from idp.api.dialect import Dialect, Operation, Upload
from idp.api.texts import Language, Text, Texts
from idp.directory.scopes import Scope
from idp.platform.integers import INT32_MAX, INT64_MAX
from idp.platform.permission_codes import ALL_SUFFIX, covering
from idp.platform.wire.shapes import Day, Shape, describes_null

Schema = dict[str, Any]

ISSUER = "{issuer}"
"""Placeholder of the issuer's address until a document is served."""

JSON = "application/json"
FORM = "multipart/form-data"
BINARY = "application/octet-stream"
PROBLEM = "application/problem+json"

_SCOPES = frozenset(Scope)
_NUMBERS = {"400": texts.INVALID_NUMBER, "404": texts.MISSING_NUMBER}
_ARGUMENT = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")
_BOTH = ("minimum", "maximum")
_FEW = 4
_BOUNDS = {
    "int32": {"minimum": -INT32_MAX - 1, "maximum": INT32_MAX},
    "int64": {"minimum": -INT64_MAX - 1, "maximum": INT64_MAX},
}
_TYPES: tuple[tuple[type[fields.Field[Any]], Schema], ...] = (
    (fields.Boolean, {"type": "boolean"}),
    (fields.Integer, {"type": "integer"}),
    (fields.Number, {"type": "number"}),
    (Day, {"type": "string", "format": "date-time"}),
    (fields.DateTime, {"type": "string", "format": "date-time"}),
    (fields.Date, {"type": "string", "format": "date"}),
    (fields.UUID, {"type": "string", "format": "uuid"}),
    (fields.Email, {"type": "string", "format": "email"}),
    (fields.Url, {"type": "string", "format": "uri"}),
    (fields.String, {"type": "string"}),
    (fields.Mapping, {"type": "object"}),
    (fields.List, {"type": "array"}),
)
"""The first match wins, so narrower types come first."""

_STATUSES = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "NotFound",
    "408": "TooSlow",
    "409": "Conflict",
    "412": "PreconditionFailed",
    "413": "TooLarge",
    "414": "TooLong",
    "422": "Unprocessable",
    "428": "PreconditionRequired",
    "429": "TooManyRequests",
    "503": "Unavailable",
}


class Wording(Protocol):
    """What a contract adds to its operations: texts, and the envelope of answers."""

    title: Text
    description: Text
    version: str
    prefix: str
    """Of the canonical paths."""
    modules: Mapping[str, Text]
    """Texts about the modules, in the order of the contract."""
    texts: Texts
    """About operations, schemas and members."""

    def name(self, operation: Operation) -> str:
        """Return the id under which texts describe an operation."""

    def components(self) -> dict[str, Schema]:
        """Return the schemas that all answers share."""

    def envelope(self, operation: Operation, data: Schema, name: str) -> tuple[str, Schema] | None:
        """Return name and schema of the envelope around the data; None: no envelope."""

    def codes(self, operation: Operation) -> list[dict[str, Any]]:
        """List the business codes that an operation answers with."""

    def outcome(self, operation: Operation) -> Text:
        """Describe an answer in an envelope."""

    def statuses(self, operation: Operation) -> Collection[str]:
        """List HTTP statuses of refusals besides those that every contract has."""

    def enveloped_refusals(self) -> tuple[str, Schema] | None:
        """Return a prefix for refusals by HTTP status that have an envelope, and its schema."""

    def has_enveloped_refusals(self, operation: Operation) -> bool:
        """Return whether refusals by HTTP status have an envelope too."""


def build(dialect: Dialect, wording: Wording, language: Language) -> dict[str, Any]:
    """Describe every operation of a contract; the issuer's address is put in by `fill_in`."""
    return _Document(dialect, wording, language).build()


def encode(document: Mapping[str, Any], *, indented: bool = False) -> bytes:
    """Encode a description, once for all issuers."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else None)


def fill_in(encoded: bytes, issuer_url: str) -> bytes:
    """Replace the placeholder with the address of an issuer."""
    return encoded.replace(ISSUER.encode(), issuer_url.encode())


class _Document:
    """A document in the making: the paths, and the schemas that they share."""

    def __init__(self, dialect: Dialect, wording: Wording, language: Language) -> None:
        self.dialect = dialect
        self.operations = dialect.operations
        self.wording = wording
        self.language = language
        self.schemas: dict[str, Schema] = {}
        for name, schema in {"Problem": PROBLEM_SCHEMA, **wording.components()}.items():
            self.schemas[name] = self._described(name, schema)
        self.classes: dict[str, type[Shape]] = {}
        self.answered = {
            type(shape) for operation in self.operations for shape in _shapes(operation.result)
        }
        self.homes = {
            operation.view.__module__: operation.path.split("/")[1] for operation in self.operations
        }
        self.id_formats = {
            operation.path: _format_of_id(operation.result)
            for operation in self.operations
            if operation.method == "GET" and isinstance(operation.result, Shape)
        }

    def build(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for operation in self.operations:
            path = self.wording.prefix + _ARGUMENT.sub(r"{\g<name>}", operation.path)
            paths.setdefault(path, {})[operation.method.lower()] = self._operation(operation)
        used = {operation.module for operation in self.operations}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self.wording.title.of(self.language),
                "version": self.wording.version,
                "description": self.wording.description.of(self.language),
            },
            "servers": [{"url": ISSUER}],
            "tags": [
                {"name": name, "description": text.of(self.language)}
                for name, text in self.wording.modules.items()
                if name in used
            ],
            "paths": paths,
            "components": {
                "securitySchemes": {"oauth2": self._security_scheme()},
                "responses": dict(self._refusals()),
                "schemas": dict(sorted(self.schemas.items())),
            },
        }

    def _refusals(self) -> Iterator[tuple[str, Schema]]:
        """Describe refusals by HTTP status, without and with an envelope."""
        problem: Schema = {PROBLEM: {"schema": _reference("Problem")}}
        reasons = {name: text.of(self.language) for name, text in texts.PROBLEMS.items()}
        for name, text in reasons.items():
            yield name, {"description": text, "content": problem}
        enveloped = self.wording.enveloped_refusals()
        if enveloped is not None:
            mark, schema = enveloped
            for name, text in reasons.items():
                content = {JSON: {"schema": schema}, **problem}
                yield f"{mark}{name}", {"description": text, "content": content}

    def _operation(self, operation: Operation) -> dict[str, Any]:
        described: dict[str, Any] = {"operationId": operation.id, "tags": [operation.module]}
        title_and_more = self.wording.texts.operations.get(self.wording.name(operation), ())
        for member, text in zip(("summary", "description"), title_and_more, strict=False):
            described[member] = text.of(self.language)
        described |= {
            "x-client-scope": operation.scope,
            "x-user-permission": operation.permission,
            "x-error-codes": self.wording.codes(operation),
            "security": [{"oauth2": [scope]} for scope in accepted_scopes(operation)],
        }
        parameters = [
            *self._path_parameters(operation),
            *self._query_parameters(operation),
            *self._header_parameters(operation),
        ]
        if parameters:
            described["parameters"] = parameters
        if operation.body is not None:
            described["requestBody"] = {
                "required": operation.body_required,
                "content": {JSON: {"schema": self._schema(operation.body, in_request=True)}},
            }
        if operation.upload is not None:
            schema = self._upload(operation.upload)
            described["requestBody"] = {"required": True, "content": {FORM: {"schema": schema}}}
        described["responses"] = self._responses(operation)
        return described

    def _upload(self, upload: Upload) -> Schema:
        file = {"type": "string", "format": "binary", "contentMediaType": BINARY}
        schema = {
            "type": "object",
            "required": [upload.field],
            "properties": {upload.field: file},
        }
        self.schemas["FileUpload"] = self._described("FileUpload", schema)
        return _reference("FileUpload")

    def _path_parameters(self, operation: Operation) -> Iterator[dict[str, Any]]:
        for match in _ARGUMENT.finditer(operation.path):
            schema: Schema = {"type": "string"}
            if match["converter"] == "int":
                kind = self.id_formats.get(operation.path[: match.end()]) or "int64"
                schema = {"type": "integer", "format": kind, "minimum": 0}
            parameter = {"name": match["name"], "in": "path", "required": True}
            yield self._parameter(operation, parameter, schema)

    def _query_parameters(self, operation: Operation) -> Iterator[dict[str, Any]]:
        if operation.query is None:
            return
        for name, field in _members(operation.query):
            schema = self._field(field, in_request=True)
            # A parameter is absent or has a value: a query has no null.
            _drop_null(schema)
            parameter = {"name": name, "in": "query", "required": field.required}
            yield self._parameter(operation, parameter, schema)

    def _header_parameters(self, operation: Operation) -> Iterator[dict[str, Any]]:
        for header in self.dialect.request_headers(operation):
            parameter = {"name": header.name, "in": "header", "required": header.required}
            yield self._parameter(operation, parameter, {"type": "string"})

    def _parameter(
        self, operation: Operation, parameter: dict[str, Any], schema: Schema
    ) -> dict[str, Any]:
        text = self.wording.texts.member(self.wording.name(operation), parameter["name"])
        return {**self._with_text(text, parameter), "schema": schema}

    def _responses(self, operation: Operation) -> dict[str, Any]:
        schema = (
            {} if operation.result is None else self._schema(operation.result, in_request=False)
        )
        listed = operation.form == "bare" and isinstance(operation.result, Shape)
        if operation.form == "list" or listed:
            schema = {"type": "array", "items": schema}
        text = {"empty": texts.DONE, "file": texts.FILE}.get(operation.form, texts.BARE)
        found = self.wording.envelope(operation, schema, _name_of(schema, operation.id))
        if found is not None:
            name, schema = found
            self.schemas[name] = self._described(name, schema)
            schema = _reference(name)
            text = self.wording.outcome(operation)
        status, answer = self._success(operation, schema)
        responses: dict[str, Any] = {status: {"description": text.of(self.language), **answer}}
        if operation.page:
            responses["303"] = {"description": texts.TO_A_PAGE.of(self.language)}
        mark = ""
        enveloped = self.wording.enveloped_refusals()
        if enveloped is not None and self.wording.has_enveloped_refusals(operation):
            mark = enveloped[0]
        for refused in {*_problems_of(operation), *self.wording.statuses(operation)}:
            responses[refused] = {"$ref": f"#/components/responses/{mark}{_STATUSES[refused]}"}
        if operation.form == "number":
            refusal = {**answer["content"], PROBLEM: {"schema": _reference("Problem")}}
            for status, text in _NUMBERS.items():
                responses[status] = {
                    "description": text.of(self.language),
                    "content": refusal,
                }
        return dict(sorted(responses.items()))

    def _success(self, operation: Operation, schema: Schema) -> tuple[str, Schema]:
        """Return the status of an answer, with its content and headers."""
        answer: Schema = {"content": {JSON: {"schema": schema}}}
        if operation.form == "empty":
            return "204", {}
        if operation.form == "file":
            answer["content"] = {name: {"schema": {"type": "string"}} for name in operation.media}
        headers = [*self.dialect.answer_headers(operation)]
        if operation.location is not None:
            headers.append("Location")
        if headers:
            answer["headers"] = {
                name: {
                    "description": texts.HEADERS[name].of(self.language),
                    "schema": {"type": "string"},
                }
                for name in headers
            }
        return "200" if operation.location is None else "201", answer

    def _schema(self, declared: Any, *, in_request: bool) -> Schema:
        """Return the schema of a value in a request or an answer."""
        if isinstance(declared, Shape):
            return self._shape(declared, in_request=in_request)
        return self._field(declared, in_request=in_request)

    def _shape(self, shape: Shape, *, in_request: bool) -> Schema:
        """Return a reference to the schema of a shape; a partial shape is written out.

        A shape that accepts null where its answers never have it has two schemas.
        """
        if shape.only is not None or shape.exclude:
            return self._object(shape, in_request=in_request)
        name = self._name(type(shape))
        known = self.classes.setdefault(name, type(shape))
        if known is not type(shape):
            message = f"two shapes would have the name {name}"
            raise ValueError(message)
        if in_request and type(shape) in self.answered and _takes_more_nulls(shape):
            name = f"{name}Input"
        if name not in self.schemas:
            self.schemas[name] = {}  # a shape may contain itself
            self.schemas[name] = self._object(shape, in_request=in_request)
        return _reference(name)

    def _name(self, shape: type[Shape]) -> str:
        if shape.schema_name is not None:
            return shape.schema_name
        name = shape.__name__.removesuffix("Shape")
        # The shapes of a module may have one of their own: `gateway_shapes` of `gateway`.
        home = self.homes.get(shape.__module__.removesuffix("_shapes"), "")
        return name if name.startswith(home) else home + name

    def _object(self, shape: Shape, *, in_request: bool) -> Schema:
        schema: Schema = {"type": "object"}
        required = [name for name, field in _members(shape) if field.required]
        if required:
            schema["required"] = required
        schema["properties"] = {
            name: self._field(field, in_request=in_request) for name, field in _members(shape)
        }
        if in_request and shape.unknown == RAISE:
            schema["additionalProperties"] = False
        return self._described(self._name(type(shape)), schema)

    def _described(self, name: str, schema: Schema) -> Schema:
        """Add the texts about a schema and its members."""
        text = self.wording.texts.schemas.get(name)
        return self._with_text(text, self._described_members(name, schema))

    def _described_members(self, owner: str, schema: Schema) -> Schema:
        described = dict(schema)
        if "properties" in schema:
            described["properties"] = {
                name: self._with_text(
                    self.wording.texts.member(owner, name), self._described_members(owner, member)
                )
                for name, member in schema["properties"].items()
            }
        for parts in {"allOf", "anyOf"} & schema.keys():
            described[parts] = [self._described_members(owner, part) for part in schema[parts]]
        return described

    def _with_text(self, text: Text | None, described: Schema) -> Schema:
        return described if text is None else {**described, "description": text.of(self.language)}

    def _field(self, field: fields.Field[Any], *, in_request: bool) -> Schema:
        schema = self._kind(field, in_request=in_request)
        for validator in field.validators:
            schema |= _rule(validator, schema.get("type"))
        schema |= field.metadata
        if few := _few_values(schema):
            schema = {name: schema[name] for name in schema if name not in _BOTH} | {"enum": few}
        for name, bound in _BOUNDS.get(schema.get("format", ""), {}).items():
            if schema.get(name) == bound:  # the format implies it
                del schema[name]
        if isinstance(field.load_default, bool | int | float | str) and field.load_default != "":
            schema["default"] = field.load_default
        if field.dump_only:
            schema["readOnly"] = True
        if field.load_only:
            schema["writeOnly"] = True
        return nullable(schema) if describes_null(field, in_request=in_request) else schema

    def _kind(self, field: fields.Field[Any], *, in_request: bool) -> Schema:
        if isinstance(field, fields.Nested):
            schema = self._shape(field.schema, in_request=in_request)  # type: ignore[arg-type]
            return {"type": "array", "items": schema} if field.many else schema
        schema = dict(next((kind for of, kind in _TYPES if isinstance(field, of)), {}))
        if isinstance(field, fields.List):
            schema["items"] = self._field(field.inner, in_request=in_request)
        if isinstance(field, fields.Mapping) and field.value_field is not None:
            schema["additionalProperties"] = self._field(field.value_field, in_request=in_request)
        if isinstance(field, fields.Mapping) and field.key_field is not None:
            names = self._field(field.key_field, in_request=in_request)
            del names["type"]  # names are texts anyway
            if names:
                schema["propertyNames"] = names
        return schema

    def _scopes(self, operations: Iterable[Operation]) -> dict[str, str]:
        accepted = {scope for operation in operations for scope in accepted_scopes(operation)}
        found = {scope.value: scope.text for scope in Scope if scope in accepted}
        if self.language == "zh":
            titles = {
                operation.scope: text.zh
                for operation in self.operations
                for text in self.wording.texts.operations.get(self.wording.name(operation), ())[:1]
            }
            found |= {name: text for name, text in titles.items() if name in found}
            found |= {name: text for name, text in texts.SCOPES.items() if name in found}
        return found

    def _security_scheme(self) -> dict[str, Any]:
        machines = [
            operation
            for operation in self.operations
            if operation.machine or operation.permission is None
        ]
        return {
            "type": "oauth2",
            "description": texts.BEARER.of(self.language),
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{ISSUER}/connect/authorize",
                    "tokenUrl": f"{ISSUER}/connect/token",
                    "scopes": self._scopes(self.operations),
                },
                "clientCredentials": {
                    "tokenUrl": f"{ISSUER}/connect/token",
                    "scopes": self._scopes(machines),
                },
            },
        }


def accepted_scopes(operation: Operation) -> list[str]:
    """List the scopes that let a client through, the narrowest first."""
    if operation.scope is None:
        return []
    return sorted(_SCOPES & covering(operation.scope), key=_width)


def nullable(schema: Schema) -> Schema:
    """Allow null in place of a value."""
    if isinstance(schema.get("type"), str):
        schema = {**schema, "type": [schema["type"], "null"]}
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        return schema
    if {"$ref", "allOf"} & schema.keys():
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _width(scope: str) -> tuple[bool, int]:
    return scope.endswith(ALL_SUFFIX), -len(scope)


def _members(shape: Shape) -> Iterator[tuple[str, fields.Field[Any]]]:
    for name, field in shape.fields.items():
        yield field.data_key or name, field


def _held(field: fields.Field[Any]) -> Iterator[Shape]:
    """Return the shapes in a field."""
    if isinstance(field, fields.Nested):
        yield cast("Shape", field.schema)
    elif isinstance(field, fields.List):
        yield from _held(field.inner)
    elif isinstance(field, fields.Mapping) and field.value_field is not None:
        yield from _held(field.value_field)


def _shapes(declared: Any) -> Iterator[Shape]:
    """Return a shape and those below it, each class once."""
    waiting = [declared] if isinstance(declared, Shape) else [*_held(declared)] if declared else []
    seen: set[type[Shape]] = set()
    while waiting:
        shape = waiting.pop()
        if type(shape) not in seen:
            seen.add(type(shape))
            yield shape
            waiting += [held for field in shape.fields.values() for held in _held(field)]


def _takes_more_nulls(shape: Shape) -> bool:
    """Return whether a request may have null where an answer never has it, at any depth."""
    return any(
        describes_null(field, in_request=True) and not describes_null(field, in_request=False)
        for found in _shapes(shape)
        for field in found.fields.values()
    )


def _few_values(schema: Schema) -> list[int]:
    """List the values of a number with few values; else nothing."""
    low, high = (schema.get(name) for name in _BOTH)
    if schema.get("type") != "integer" or low is None or high is None or high - low >= _FEW:
        return []
    return [*range(low, high + 1)]


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _drop_null(schema: Schema) -> None:
    if isinstance(schema.get("type"), list):
        schema["type"] = next(kind for kind in schema["type"] if kind != "null")
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]


def _rule(validator: Any, of: str | None) -> Schema:
    """Return a check as JSON Schema, where there is an equivalent."""
    rule: Schema = {}
    if isinstance(validator, validate.Range):
        rule = {
            "minimum" if validator.min_inclusive else "exclusiveMinimum": validator.min,
            "maximum" if validator.max_inclusive else "exclusiveMaximum": validator.max,
        }
    elif isinstance(validator, validate.Length):
        kind = {"array": "Items", "object": "Properties"}.get(of or "", "Length")
        low, high = validator.min, validator.max
        if validator.equal is not None:
            low = high = validator.equal
        rule = {f"min{kind}": low, f"max{kind}": high}
    elif isinstance(validator, validate.OneOf):
        rule = {"enum": list(validator.choices)}
    elif isinstance(validator, validate.Regexp):
        pattern = str(validator.regex.pattern)
        rule = {"pattern": pattern.replace(r"\A", "^").replace(r"\Z", "$")}
    elif isinstance(validator, validate.Equal):
        rule = {"const": validator.comparable}
    return {name: value for name, value in rule.items() if value is not None}


def _format_of_id(shape: Shape) -> str | None:
    field = shape.fields.get("id")
    return None if field is None else field.metadata.get("format")


def _name_of(schema: Schema, operation_id: str) -> str:
    """Return a name for the content of an envelope."""
    if schema.get("type") == "array":
        schema = schema["items"]
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = schema.get("format") or schema.get("type")
    if isinstance(kind, str) and kind in {"int32", "int64", "string", "boolean"}:
        return kind.capitalize()
    return "".join(part.capitalize() for part in operation_id.split("-"))


def _problems_of(operation: Operation) -> list[str]:
    """List the HTTP statuses of an operation's refusals."""
    found = ["400", "414", "429", "503"]
    if operation.scope is not None:
        found += ["401", "403"]
    if "<" in operation.path:
        found.append("404")
    if operation.body is not None:
        found.append("413")
    if operation.upload is not None:
        found += ["408", "413"]
    return found


PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
