"""The served OpenAPI document of the user service against the agreed contract.

Whatever differs stands in `user-service-differences.yaml` with its reason. What nobody explained
fails, and so does an explanation of something that is no longer so.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from fnmatch import fnmatchcase

import orjson
import pytest
import schemathesis

from idp.api import docs
from idp.api.userservice.codes import Code
from idp.api.userservice.dialect import userservice
from tests.contract.comparison import HERE, Comparison, operations

pytestmark = pytest.mark.no_database

CONTRACT = Comparison(
    name=userservice.name,
    explanations="user-service-differences.yaml",
    marks={
        "tags": "tags",
        "x-proposed-scope": "x-client-scope",
        "x-proposed-permission": "x-user-permission",
    },
    error_codes=False,
)


def test_every_operation_is_served_by_both_versions():
    agreed, ours = operations(CONTRACT.agreed), operations(CONTRACT.served)
    assert ours.keys() == agreed.keys()
    assert len(ours) == 104
    for name in ours:
        if not name.endswith("V2"):
            assert f"{name}V2" in ours


def test_every_operation_stands_in_the_index():
    with (HERE / "user-service.operations.csv").open() as file:
        index = {
            row["operationId"]: (row["method"], row["path"], row["proposed_scope"])
            for row in csv.DictReader(file)
        }
    served = {
        name: (method.upper(), path, operation["x-client-scope"])
        for name, (method, path, operation) in operations(CONTRACT.served).items()
    }
    assert served == index


def test_every_difference_has_a_reason():
    known = CONTRACT.patterns()
    assert [
        line
        for line in CONTRACT.differences()
        if not any(fnmatchcase(line, pattern) for pattern in known)
    ] == []


def test_every_reason_is_still_needed():
    found = CONTRACT.differences()
    assert [
        pattern
        for pattern in CONTRACT.patterns()
        if not any(fnmatchcase(line, pattern) for line in found)
    ] == []


def test_no_reason_would_hide_the_next_difference():
    assert CONTRACT.hidden() == []


def test_a_changed_field_would_be_noticed():
    """The comparison sees what it is there for, inside the envelope and below lists too."""
    before = CONTRACT.differences()
    changed = orjson.loads(orjson.dumps(CONTRACT.served))
    schemas = changed["components"]["schemas"]
    schemas["AccountDTO"]["properties"]["id"]["format"] = "int32"
    del schemas["TenantDTO"]["properties"]["bundleCode"]
    schemas["R"]["properties"]["isError"]["type"] = "string"
    other = replace(CONTRACT, ours=lambda: changed)
    new = {line for line in other.differences() if line not in before}
    assert "createAccount 200.id: format int64 -> int32" in new
    assert "pageAccountsV2 200.data.items.id: format int64 -> int32" in new
    assert "loginV2 200.data.tenants.bundleCode: missing" in new
    assert "deleteTenantRoleV2 200.isError: type boolean -> string" in new
    assert not any(line.startswith("deleteTenantRole 200") for line in new)


def test_a_page_of_the_first_version_speaks_of_no_code():
    """Only V2 has `code` around its answers."""
    for name, (_, _, operation) in operations(CONTRACT.served).items():
        said = operation["responses"]["200"]["description"]
        assert ("`code`" in said) == name.endswith("V2"), name


def test_answers_have_null_where_it_may_come_and_nowhere_else():
    """What a request may leave out as null has a schema of its own."""
    schemas = CONTRACT.served["components"]["schemas"]
    for name, ids in (
        ("ApplicationDTO", ("id", "tenantId")),
        ("RoleDTO", ("id", "tenantId")),
        ("BundleDTO", ("id",)),
    ):
        for member in ids:
            assert schemas[name]["properties"][member]["type"] == "integer"
            asked = schemas[f"{name}Input"]["properties"][member]
            assert asked["type"] == ["integer", "null"]
    assert schemas["BundleDTO"]["properties"]["numberOfApp"]["type"] == ["integer", "null"]


def test_the_codes_that_are_listed_are_codes():
    numbers = {code.name: code.number for code in Code}
    for _, _, operation in operations(CONTRACT.served).values():
        for code in operation["x-error-codes"]:
            assert numbers[code["name"]] == code["code"]
    assert len({code.number for code in Code}) == len(Code)


def test_the_document_is_well_formed():
    schemathesis.openapi.from_dict(CONTRACT.served).validate()


def test_secrets_are_never_among_the_answers():
    schemas = CONTRACT.served["components"]["schemas"]
    for name in ("password", "salt"):
        assert schemas["AccountDTO"]["properties"][name]["maxLength"] == 0
    assert docs.document(userservice.name, "https://id.example")
