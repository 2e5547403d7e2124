"""What is taken for an API description, and what hostile ones come to."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml

from idp.api import docs
from idp.api.center.dialect import center as center_dialect
from idp.publishing.descriptions import parsing
from idp.publishing.descriptions.flaws import UnusableError
from idp.publishing.gateway import breaking, upstreams, validation
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import unpack
from tests.gateway.sites import description

URL = "https://orders.example/v1/openapi.json"

pytestmark = pytest.mark.no_database


def read(content, url=URL):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        document = parsing.read(raw)
    except UnusableError as problem:
        raise NotPublished.unusable(problem) from None
    return validation.check(document, url)


def refused(content):
    with pytest.raises(NotPublished) as caught:
        read(content)
    return caught.value.reason, caught.value.what


def swagger(**more):
    answer = {"description": "Done"}
    return {
        "swagger": "2.0",
        "info": {"title": "Orders", "version": "1"},
        "paths": {"/orders": {"get": {"responses": {"200": answer}}}},
        **more,
    }


# Read


@pytest.mark.parametrize("version", ["3.0.0", "3.0.3", "3.1.0", "3.1.1"])
def test_openapi_3_is_read(version):
    found = read({**description("https://orders.example"), "openapi": version})
    assert found.kind == version[:3]
    assert unpack(found.packed()) == found.document


def test_yaml_says_the_same_as_json():
    content = description("https://orders.example")
    text = yaml.safe_dump(content)
    assert "*id001" in text, "a few aliases are no bomb"
    assert read(text.encode()).document == content
    # Codes are numbers in YAML, days are not dates, and a merge key is a key.
    text = text.replace("'200'", "200").replace("title: Orders", "title: 2026-11-26")
    assert read(text.encode()).document["info"]["title"] == "2026-11-26"
    assert "200" in read(text.encode()).document["paths"]["/orders"]["get"]["responses"]


def test_our_own_document_is_one():
    found = read(docs.document(center_dialect.name, "https://id.example"))
    assert found.kind == "3.1"
    assert found.servers() == ["https://id.example"]


@pytest.mark.parametrize(
    ("more", "servers"),
    [
        ({}, ["https://orders.example"]),
        ({"basePath": "/v2"}, ["https://orders.example/v2"]),
        ({"host": "a.example:8443", "schemes": ["http"]}, ["http://a.example:8443"]),
        ({"schemes": ["http", "https"]}, ["http://orders.example", "https://orders.example"]),
    ],
)
def test_swagger_2_names_its_servers_in_parts(more, servers):
    assert read(swagger(**more)).servers() == servers


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("/v2", "https://orders.example/v2"),
        ("api", "https://orders.example/v1/api"),
        ("//a.example", "https://a.example"),
        ("http://a.example", "http://a.example"),
    ],
)
def test_relative_servers_are_below_the_address_of_the_description(url, server):
    assert read(description(url)).servers() == [server]


def test_servers_with_variables_are_left_out():
    assert read(description("https://{host}.example")).servers() == []


# Refused


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b"<html></html>",
        b"{} {}",
        b"\xff\xfe{}",
        b'{"a": "\\u0000"}',
        b"a: &a [*a]",
        b"a: *b",
        b"a: !!python/object/apply:os.system ['true']",
        b"? [a]\n: b",
        b"a: 'x\n",
        b'{"openapi": NaN}',
        b"a: 99999999999999999999999",
    ],
)
def test_what_cannot_be_read_is_refused(raw):
    assert refused(raw)[0] in {Reason.BROKEN, Reason.INVALID}


def test_a_yaml_bomb_does_not_go_off():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    started = time.monotonic()
    assert refused("\n".join(lines).encode())[0] is Reason.BROKEN
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("depth", [100, 10_000, 100_000])
def test_deep_nesting_is_refused(depth):
    for raw in (b"[" * depth, b'{"a":' * depth, b"a: " + b"[" * depth + b"]" * depth):
        assert refused(raw)[0] is Reason.BROKEN


def test_numbers_to_the_base_of_sixty_are_text():
    text = yaml.safe_dump(description("https://orders.example"))
    long = "1" + ":59" * 100_000
    found = read(text.replace("title: Orders", f"title: {long}").encode())
    assert found.document["info"]["title"] == long


def test_names_without_end_are_refused():
    for name in ("{" * 2048, "x" * 2047):
        read({**description("https://orders.example"), f"x-{name[2:]}": 1})
    for place in ("info", "paths"):
        content = description("https://orders.example")
        content[place] = {**content[place], "/" + "{" * 2048: {}}
        assert refused(content) == (Reason.INVALID, "a name may have 2048 characters")


def test_much_yaml_is_refused_early():
    started = time.monotonic()
    assert refused(b"a: [" + b"1," * parsing.MAX_YAML_BYTES + b"]")[0] is Reason.BROKEN
    assert time.monotonic() - started < 2


def test_five_thousand_operations_are_refused():
    answer = {"responses": {"200": {"description": "Done"}}}
    content = description("https://orders.example")
    content["paths"] = {f"/orders/{number}": {"get": answer} for number in range(5000)}
    started = time.monotonic()
    assert refused(content) == (Reason.TOO_MANY_OPERATIONS, "2000")
    assert time.monotonic() - started < 5
    kept = list(content["paths"])[: validation.MAX_OPERATIONS]
    read({**content, "paths": {path: content["paths"][path] for path in kept}})
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({}, "neither"),
        ({"openapi": "4.0.0"}, "neither"),
        ({"openapi": 3}, "neither"),
        ({"swagger": "3.0"}, "neither"),
        ({"openapi": "2.0", "info": {}, "paths": {}}, "neither"),
        ({"openapi": "3.0.3"}, "the document"),
        ({**description("/"), "paths": []}, "paths"),
        ({**description("/"), "paths": {"orders": {}}}, "paths"),
        ({**description("/"), "paths": {"/": {"get": {}}}}, "paths/"),
        ({**description("/"), "servers": [{}]}, "servers/0"),
        ({**description("/"), "servers": "x"}, "servers"),
        (swagger(host="a.example/path"), "host"),
        (swagger(schemes=["ftp"]), "schemes"),
        (
            {**description("/"), "components": {"schemas": {"A": {"$ref": "#/nowhere"}}}},
            "no target",
        ),
    ],
)
def test_what_is_no_openapi_says_where(content, where):
    reason, what = refused(content)
    assert reason is Reason.INVALID
    assert where in what


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/schema.json",
        "http://169.254.169.254/latest",
        "other.yaml#/A",
        "/etc/passwd",
        "file:///etc/passwd",
        "",
        "//evil.example",
    ],
)
def test_references_to_the_outside_are_refused(target):
    content = description("https://orders.example")
    content["components"] = {"schemas": {"A": {"properties": {"b": {"$ref": target}}}}}
    assert refused(content) == (Reason.EXTERNAL_REFERENCE, target)


@pytest.mark.parametrize(
    "word", ["$id", "id", "$schema", "$dynamicRef", "$recursiveRef", "externalValue"]
)
def test_identifiers_of_the_outside_are_refused(word):
    content = description("https://orders.example")
    properties = {"b": {"type": "string"}}
    content["components"] = {
        "schemas": {"A": {word: "file:///etc/passwd", "properties": properties}}
    }
    assert refused(content) == (Reason.EXTERNAL_REFERENCE, "file:///etc/passwd")


@pytest.mark.parametrize("index", ["0000000005", "00", "5" * 5000, "999999999", "-1", "٣"])
def test_odd_steps_of_a_reference_lead_nowhere(index):
    content = description("https://orders.example")
    target = f"#/x-a/{index}"
    content |= {"x-a": [1], "components": {"schemas": {"A": {"$ref": target}}}}
    reason, what = refused(content)
    assert reason is Reason.INVALID
    assert what in f"{target} has no target"


@pytest.mark.parametrize("url", ["http://[", "http://[::1", "//[x]/", "http://a.example:x/"])
def test_a_server_that_is_no_address_is_none_of_ours(url):
    servers = read(description(url)).servers()
    assert upstreams.choose(servers, []) is None


def test_references_that_multiply_cost_nothing():
    """A schema that names the next one twice, thirty times over, and one that names itself."""
    content = description("https://orders.example")
    schemas = {
        f"A{number}": {"allOf": [{"$ref": f"#/components/schemas/A{number + 1}"}] * 2}
        for number in range(30)
    }
    loop = {"$ref": "#/components/schemas/Loop"}
    schemas |= {
        "A30": {"type": "object"},
        "Loop": {"type": "object", "properties": {f"p{number}": loop for number in range(50)}},
        "Self": {"$ref": "#/components/schemas/Self"},
    }
    content["components"] = {"schemas": schemas}
    responses = content["paths"]["/orders"]["get"]["responses"]
    for name in ("A0", "Loop", "Self"):
        schema = {"$ref": f"#/components/schemas/{name}"}
        media = {"application/json": {"schema": schema}}
        responses[f"20{len(responses)}"] = {"description": "Done", "content": media}
    started = time.monotonic()
    found = read(content)
    assert breaking.between(found.document, found.document) == []
    assert time.monotonic() - started < 5


# Compared


def change(edit, before=None):
    old = before or rich()
    new = json.loads(json.dumps(old))
    edit(new["paths"]["/orders/{id}"])
    read(new)
    return breaking.between(old, new)


def rich():
    order = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        },
    }
    line = {"type": "object", "properties": {"sku": {"type": "string"}}}
    media = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
    day = {"name": "day", "in": "query", "schema": {"type": "string"}}
    identity = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Orders", "version": "1"},
        "paths": {
            "/orders/{id}": {
                "parameters": [identity],
                "get": {
                    "parameters": [day],
                    "responses": {"200": {"description": "Done", "content": media}},
                },
                "put": {
                    "requestBody": {"content": json.loads(json.dumps(media))},
                    "responses": {"204": {"description": "Done"}},
                },
            }
        },
        "components": {"schemas": {"Order": order, "Line": line}},
    }


def inline(item):
    return {"application/json": {"schema": item}}


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda item: None, []),
        (lambda item: item["get"].pop("parameters"), []),
        (lambda item: item.pop("put"), ["operation-removed PUT /orders/{id}"]),
        (
            lambda item: item["get"]["parameters"][0].update(required=True),
            ["parameter-required GET /orders/{id} query day"],
        ),
        (
            lambda item: item["get"]["parameters"][0].update(schema={"type": "integer"}),
            ["parameter-type GET /orders/{id} query day"],
        ),
        (
            lambda item: item["put"]["requestBody"].update(required=True),
            ["body-required PUT /orders/{id}"],
        ),
        (
            lambda item: item["put"]["requestBody"].update(content={"text/plain": {}}),
            ["body-type PUT /orders/{id} application/json"],
        ),
        (
            lambda item: item["put"]["requestBody"].update(
                content=inline({"type": "object", "required": ["id"]})
            ),
            ["request-field-required PUT /orders/{id} id"],
        ),
        (
            lambda item: item["get"].update(responses={"404": {"description": "None"}}),
            ["response-removed GET /orders/{id} 200"],
        ),
        (
            lambda item: item["get"]["responses"]["200"].update(
                content=inline({"type": "object", "properties": {"id": {"type": "string"}}})
            ),
            [
                "response-field-type GET /orders/{id} 200 id",
                "response-field-removed GET /orders/{id} 200 lines",
            ],
        ),
    ],
)
def test_breaking_changes_are_told(edit, found):
    assert change(edit) == found


def test_fields_below_references_are_compared():
    new = rich()
    del new["components"]["schemas"]["Line"]["properties"]["sku"]
    found = breaking.between(rich(), new)
    assert found == ["response-field-removed GET /orders/{id} 200 lines sku"]


@pytest.mark.parametrize("thing", [5, "x", [], [5], {"content": 5}, {"content": {"a/b": 5}}, True])
def test_references_to_something_else_break_no_comparison(thing):
    """The schema of OpenAPI does not say what a reference leads to."""
    before, after = rich(), rich()
    for document, what in ((before, rich()["components"]), (after, {"x-thing": thing})):
        item = document["paths"]["/orders/{id}"]
        document["components"] |= {"x-thing": what.get("x-thing", {"content": {"a/b": {}}})}
        target = {"$ref": "#/components/x-thing"}
        item["get"]["responses"]["200"] = target
        item["put"]["requestBody"] = target
        item["get"]["parameters"] = [target]
        read(document)
    for pair in ((before, after), (after, before), (after, after)):
        breaking.between(*pair)


def test_another_name_of_a_path_parameter_breaks_nothing():
    new = json.loads(json.dumps(rich()).replace("{id}", "{number}"))
    assert breaking.between(rich(), new) == []


def test_swagger_2_is_compared_with_openapi_3():
    body = {"name": "body", "in": "body", "schema": {"type": "object"}}
    answer = {"description": "Done"}
    old = swagger(paths={"/a": {"post": {"parameters": [body], "responses": {"200": answer}}}})
    new = swagger(
        paths={
            "/a": {
                "post": {"parameters": [{**body, "required": True}], "responses": {"200": answer}}
            }
        }
    )
    assert breaking.between(old, new) == ["body-required POST /a"]
    assert breaking.between(old, {**description("/"), "paths": {}}) == ["operation-removed POST /a"]


def test_a_note_names_every_kind_of_change_in_both_languages():
    note = breaking.as_note("Said", [f"{kind} GET /" for kind in breaking.KINDS])
    lines = note.splitlines()
    assert lines[0] == "Said"
    assert len(lines) == 3 + len(breaking.KINDS)
    assert all(
        not chinese.isascii() and english.isascii() for chinese, english in breaking.KINDS.values()
    )


def test_long_names_below_long_names_make_no_endless_change():
    schema: dict[str, Any] = {"type": "string"}
    for number in range(4):
        schema = {"type": "object", "properties": {f"{number}{'x' * 2000}": schema}}
    old = rich()
    old["components"]["schemas"]["Order"] = schema
    new = json.loads(json.dumps(old).replace('"string"', '"integer"'))
    found = breaking.between(old, new)
    assert found
    assert max(map(len, found)) == breaking.LONGEST


def test_many_small_values_are_refused_before_they_are_read():
    parts = b"[],"
    raw = b'{"a": [' + parts * (parsing.MAX_BYTES // len(parts) - 10) + b"1]}"
    assert refused(raw) == (Reason.BROKEN, "it has more than 1000000 values")
