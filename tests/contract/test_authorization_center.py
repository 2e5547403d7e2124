"""The served OpenAPI document against the agreed contract.

Whatever differs stands in `differences.yaml` with its reason. What nobody explained fails, and so
does an explanation of something that is no longer so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
import yaml

from idp.api import docs, openapi
from idp.api.center.dialect import center

pytestmark = pytest.mark.no_database

HERE = Path(__file__).parent
METHODS = ("get", "put", "post", "delete")
FACETS = (
    *("format", "default", "enum", "minimum", "maximum", "minLength", "maxLength"),
    *("pattern", "minItems", "maxItems"),
)
Operation = dict[str, Any]


@cache
def contract() -> dict[str, Any]:
    return yaml.safe_load((HERE / "authorization-center.openapi.yaml").read_text())


@cache
def served() -> dict[str, Any]:
    return orjson.loads(docs.document(center.name, "https://id.example"))


@cache
def explained() -> dict[str, Any]:
    return yaml.safe_load((HERE / "differences.yaml").read_text())


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str, Operation]]:
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def resolve(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def flat(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
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


def compare_schemas(
    where: str,
    agreed: dict[str, Any] | None,
    ours: dict[str, Any] | None,
    seen: tuple[int, ...] = (),
) -> Iterator[str]:
    """Say what differs; members below members as `clientSecrets.value`."""
    if agreed is None or ours is None:
        if agreed is not ours:
            yield f"{where}: {'added' if agreed is None else 'missing'}"
        return
    agreed, ours = flat(contract(), agreed), flat(served(), ours)
    for name in ("type", *FACETS):
        if agreed.get(name) != ours.get(name):
            yield f"{where}: {name} {agreed.get(name)} -> {ours.get(name)}"
    if bool(agreed.get("nullable")) != bool(ours.get("nullable")):
        yield f"{where}: null {'refused' if agreed.get('nullable') else 'allowed'}"
    for name in sorted({*agreed.get("required", ())} ^ {*ours.get("required", ())}):
        yield f"{where}.{name}: {'not ' if name in agreed.get('required', ()) else ''}required"
    for name in ("items", "additionalProperties"):
        yield from compare_schemas(where, agreed.get(name), ours.get(name))
    theirs, own = agreed.get("properties", {}), ours.get("properties", {})
    for name in sorted({*theirs, *own}):
        yield from compare_schemas(f"{where}.{name}", theirs.get(name), own.get(name))


def compare(operation_id: str) -> Iterator[str]:
    """Say how the served operation differs from the agreed one."""
    method, path, agreed = operations(contract())[operation_id]
    our_method, our_path, ours = operations(served())[operation_id]
    if (our_method, our_path) != (method, f"/api{path}"):
        yield f"{operation_id}: served as {our_method} {our_path}"
    for name in ("tags", "x-client-scope", "x-user-permission", "security"):
        if agreed[name] != ours[name]:
            yield f"{operation_id} {name}: {agreed[name]} -> {ours[name]}"
    their_codes, our_codes = (
        {(code["code"], code["name"]) for code in side["x-error-codes"]} for side in (agreed, ours)
    )
    for number, name in sorted(their_codes ^ our_codes):
        kind = "missing" if (number, name) in their_codes else "added"
        yield f"{operation_id} code {number} {name}: {kind}"
    their_parameters = _parameters(contract(), agreed)
    our_parameters = _parameters(served(), ours)
    for name in sorted({*their_parameters, *our_parameters}):
        one, other = their_parameters.get(name), our_parameters.get(name)
        if one and other and bool(one.get("required")) != bool(other.get("required")):
            yield f"{operation_id} {name}: required {one.get('required')}"
        yield from compare_schemas(
            f"{operation_id} {name}", one and one["schema"], other and other["schema"]
        )
    yield from compare_schemas(f"{operation_id} request", _body(agreed), _body(ours))
    their_answers, our_answers = agreed["responses"], ours["responses"]
    for status in sorted({*their_answers, *our_answers}):
        if status not in their_answers or status not in our_answers:
            kind = "missing" if status in their_answers else "added"
            yield f"{operation_id} status {status}: {kind}"
        elif status not in {"401", "403"}:  # the contract leaves their bodies open
            yield from compare_schemas(
                f"{operation_id} {status}", _body(their_answers[status]), _body(our_answers[status])
            )


def _parameters(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    found = [resolve(document, value) for value in operation.get("parameters", ())]
    return {f"{parameter['in']} {parameter['name']}": parameter for parameter in found}


def _body(value: dict[str, Any]) -> dict[str, Any] | None:
    content = value.get("requestBody", value).get("content", {})
    return content.get("application/json", {}).get("schema")


def differences() -> list[str]:
    built = operations(served()).keys() & operations(contract()).keys()
    return [line for operation_id in sorted(built) for line in compare(operation_id)]


def patterns() -> list[str]:
    return [pattern for reason in explained()["reasons"] for pattern in reason["differences"]]


def test_every_operation_is_served_or_known_to_be_missing():
    agreed, ours = operations(contract()).keys(), operations(served()).keys()
    missing = {name for names in explained()["not_built"].values() for name in names}
    assert ours <= agreed, "an operation that nobody agreed on"
    assert sorted(agreed - ours) == sorted(missing)
    assert len(agreed) == 74


def test_every_difference_has_a_reason():
    known = patterns()
    unexplained = [
        line for line in differences() if not any(fnmatchcase(line, pattern) for pattern in known)
    ]
    assert unexplained == []


def test_every_reason_is_still_needed():
    found = differences()
    assert [
        pattern for pattern in patterns() if not any(fnmatchcase(line, pattern) for line in found)
    ] == []
    assert all(reason["why"].strip() for reason in explained()["reasons"])


def test_a_changed_field_would_be_noticed(monkeypatch):
    """The comparison sees what it is there for."""
    before = differences()
    changed = orjson.loads(orjson.dumps(served()))
    properties = changed["components"]["schemas"]["Client"]["properties"]
    properties["clientName"]["type"] = "integer"
    del properties["redirectUris"]
    properties["secret"] = {"type": "string"}
    monkeypatch.setitem(globals(), "served", lambda: changed)
    new = [line for line in differences() if line not in before]
    assert {line for line in new if line.startswith("client-put request")} == {
        "client-put request.clientName: type string -> integer",
        "client-put request.clientName: null refused",
        "client-put request.redirectUris: missing",
        "client-put request.secret: added",
    }


def test_every_scope_that_is_asked_for_is_listed():
    flows = served()["components"]["securitySchemes"]["oauth2"]["flows"]
    asked = {
        scope
        for _, _, operation in operations(served()).values()
        for alternative in operation["security"]
        for scope in alternative["oauth2"]
    }
    assert asked == flows["authorizationCode"]["scopes"].keys()
    # A machine may prove addresses and make accounts, and nothing else here.
    assert [name for name in flows["clientCredentials"]["scopes"] if not name.endswith(".all")] == [
        "ids4.ms.user.register",
        "ids4.ms.user.verifyemail",
        "ids4.ms.user.verifyphone",
    ]
    assert flows["authorizationCode"]["authorizationUrl"] == "https://id.example/connect/authorize"
    assert flows["authorizationCode"]["tokenUrl"] == "https://id.example/connect/token"


def test_the_document_is_well_formed():
    schemathesis.openapi.from_dict(served()).validate()


def test_no_address_is_left_open():
    text = docs.document(center.name, "https://id.example").decode()
    assert openapi.ISSUER not in text
    assert re.findall(r'"\$ref":"#/components/(\w+)/(\w+)"', text)
    for kind, name in re.findall(r'"\$ref":"#/components/(\w+)/(\w+)"', text):
        assert name in served()["components"][kind]
