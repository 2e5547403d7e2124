"""The served OpenAPI document against the agreed contract.

Whatever differs stands in `differences.yaml` with its reason. What nobody explained fails, and so
does an explanation of something that is no longer so.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase

import orjson
import pytest
import schemathesis

from idp.api import docs, openapi
from idp.api.center.dialect import center
from tests.contract.comparison import Comparison, operations

pytestmark = pytest.mark.no_database

CONTRACT = Comparison(
    name=center.name,
    explanations="differences.yaml",
    prefix="/api",
    marks={name: name for name in ("tags", "x-client-scope", "x-user-permission", "security")},
)


def test_every_operation_is_served_or_known_to_be_missing():
    agreed, ours = operations(CONTRACT.agreed).keys(), operations(CONTRACT.served).keys()
    missing = {name for names in CONTRACT.explained["not_built"].values() for name in names}
    assert ours <= agreed, "an operation that nobody agreed on"
    assert sorted(agreed - ours) == sorted(missing)
    assert len(agreed) == 74


def test_every_difference_has_a_reason():
    known = CONTRACT.patterns()
    unexplained = [
        line
        for line in CONTRACT.differences()
        if not any(fnmatchcase(line, pattern) for pattern in known)
    ]
    assert unexplained == []


def test_every_reason_is_still_needed():
    found = CONTRACT.differences()
    assert [
        pattern
        for pattern in CONTRACT.patterns()
        if not any(fnmatchcase(line, pattern) for line in found)
    ] == []
    assert all(reason["why"].strip() for reason in CONTRACT.explained["reasons"])


def test_no_reason_would_hide_the_next_difference():
    assert CONTRACT.hidden() == []


def test_a_changed_field_would_be_noticed():
    """The comparison sees what it is there for."""
    before = CONTRACT.differences()
    changed = orjson.loads(orjson.dumps(CONTRACT.served))
    properties = changed["components"]["schemas"]["Client"]["properties"]
    properties["clientName"]["type"] = "integer"
    del properties["redirectUris"]
    properties["secret"] = {"type": "string"}
    other = replace(CONTRACT, ours=lambda: changed)
    new = [line for line in other.differences() if line not in before]
    assert {line for line in new if line.startswith("client-put request")} == {
        "client-put request.clientName: type string -> integer",
        "client-put request.clientName: null refused",
        "client-put request.redirectUris: missing",
        "client-put request.secret: added",
    }


def test_every_scope_that_is_asked_for_is_listed():
    flows = CONTRACT.served["components"]["securitySchemes"]["oauth2"]["flows"]
    asked = {
        scope
        for _, _, operation in operations(CONTRACT.served).values()
        for alternative in operation["security"]
        for scope in alternative["oauth2"]
    }
    assert asked == flows["authorizationCode"]["scopes"].keys()
    # A machine may generate code, send files, prove addresses and make accounts, nothing else here.
    assert [
        name
        for name in flows["clientCredentials"]["scopes"]
        if not name.endswith(".all") and not name.startswith("ids4.ms.codegen.")
    ] == [
        "ids4.ms.file.image",
        "ids4.ms.file.post",
        "ids4.ms.user.register",
        "ids4.ms.user.verifyemail",
        "ids4.ms.user.verifyphone",
    ]
    assert flows["authorizationCode"]["authorizationUrl"] == "https://id.example/connect/authorize"
    assert flows["authorizationCode"]["tokenUrl"] == "https://id.example/connect/token"


def test_the_document_is_well_formed():
    schemathesis.openapi.from_dict(CONTRACT.served).validate()


def test_no_address_is_left_open():
    text = docs.document(center.name, "https://id.example").decode()
    assert openapi.ISSUER not in text
    assert re.findall(r'"\$ref":"#/components/(\w+)/(\w+)"', text)
    for kind, name in re.findall(r'"\$ref":"#/components/(\w+)/(\w+)"', text):
        assert name in CONTRACT.served["components"][kind]
