"""What the served documents say in words: everything is described, in both languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from idp.api import docs
from idp.api.texts import LANGUAGES, SCOPES
from idp.directory.scopes import Scope
from tests.contract.comparison import is_in, operations, serve, undescribed

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", docs.CONTRACTS)
def test_every_operation_parameter_and_member_is_described(name, language):
    assert list(undescribed(serve(name, language), language)) == []


@pytest.mark.parametrize("name", docs.CONTRACTS)
def test_a_text_that_is_missing_would_be_noticed(name):
    changed = orjson.loads(orjson.dumps(serve(name)))
    operation_id, (_, _, operation) = next(
        (key, found) for key, found in operations(changed).items() if found[2].get("parameters")
    )
    operation["summary"] = "中文"
    del operation["parameters"][0]["description"]
    schema, member = "Problem", "detail"
    changed["components"]["schemas"][schema]["properties"][member]["description"] = " "
    parameter = operation["parameters"][0]
    assert list(undescribed(changed, "en")) == [
        f"{operation_id} summary: no text in en",
        f"{operation_id} {parameter['in']} {parameter['name']}: no text in en",
        f"{schema}.{member}: no text in en",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", docs.CONTRACTS)
def test_whatever_else_is_said_is_in_the_language_of_the_document(name, language):
    document = serve(name, language)
    assert [text for text in texts_in(document) if not is_in(language, text)] == []
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"]
    for flow in flows.values():
        assert [text for text in flow["scopes"].values() if not is_in(language, text)] == []


@pytest.mark.parametrize("name", docs.CONTRACTS)
def test_both_documents_differ_in_nothing_but_words(name):
    assert shape_of(serve(name, "en")) == shape_of(serve(name, "zh"))


@pytest.mark.parametrize("name", docs.CONTRACTS)
def test_nothing_is_described_that_is_not_there(name):
    dialect, wording = docs.CONTRACTS[name]
    document, texts = serve(name), wording.texts
    ids = {wording.name(operation) for operation in dialect().operations}
    assert texts.operations.keys() == ids
    schemas = document["components"]["schemas"]
    assert texts.schemas.keys() <= {key.removesuffix("Input") for key in schemas}
    places = {
        *((owner, member) for owner in schemas for member in members(schemas[owner])),
        *(
            (operation_id.removesuffix("V2"), parameter["name"])
            for operation_id, (_, _, operation) in operations(document).items()
            for parameter in operation.get("parameters", ())
        ),
    }
    used = set()
    for owner, member in places:
        narrow = f"{owner.removesuffix('Input')}.{member}"
        used.add(narrow if narrow in texts.members else member)
    assert texts.members.keys() - used == set()


def test_scopes_of_several_operations_have_a_chinese_text():
    named = {
        (operation.scope, wording.name(operation))
        for dialect, wording in docs.CONTRACTS.values()
        for operation in dialect().operations
        if operation.scope is not None
    }
    count = Counter(scope for scope, _ in named)
    wide = {scope.value for scope in Scope if scope.value.endswith(".all") or count[scope] > 1}
    assert wide == SCOPES.keys()


def members(schema: dict[str, Any]) -> Iterator[str]:
    yield from schema.get("properties", {})
    for part in [*schema.get("allOf", ()), *schema.get("anyOf", ())]:
        yield from members(part)
    for part in schema.get("properties", {}).values():
        yield from (name for inner in part.get("anyOf", ()) for name in members(inner))
        yield from (name for inner in part.get("allOf", ()) for name in members(inner))


def texts_in(value: Any) -> Iterator[str]:
    """List every description, summary and title of a document."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in {"description", "summary", "title"} and isinstance(item, str):
                yield item
            else:
                yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def shape_of(value: Any) -> Any:
    """Leave out the words."""
    if isinstance(value, dict):
        return {
            name: shape_of(item)
            for name, item in value.items()
            if not (name in {"description", "summary", "title"} and isinstance(item, str))
            and name != "scopes"
        }
    return [shape_of(item) for item in value] if isinstance(value, list) else value
