"""The served document of our own API: what it says of answers and refusals."""

from __future__ import annotations

import pytest

from tests.contract.comparison import operations, resolve, serve

pytestmark = pytest.mark.no_database


def test_every_operation_says_who_may_call_and_how_it_is_refused():
    document = serve("admin")
    found = operations(document)
    assert len(found) == 119
    for name, (method, path, operation) in found.items():
        assert path.startswith("/admin/v1/"), name
        assert operation["x-client-scope"] == operation["x-user-permission"] is not None, name
        accepted = [scope for way in operation["security"] for scope in way["oauth2"]]
        module = operation["tags"][0]
        assert accepted == [
            operation["x-client-scope"],
            f"ids4.ms.admin.{module}.all",
            "ids4.ms.admin.all",
            "ids4.ms.all",
        ]
        wanted = {"400", "401", "403", "414", "429", "503"}
        wanted |= {"404"} if "{" in path else set()
        wanted |= {"409", "422"} if method != "get" else set()
        wanted |= {"412", "428"} if method in {"put", "patch", "delete"} else set()
        wanted |= {"413"} if "requestBody" in operation else set()
        assert {status for status in operation["responses"] if status >= "400"} == wanted, name


def test_what_is_made_is_answered_with_201_and_its_address():
    document = serve("admin")
    created = operations(document)["privileges-create"][2]
    assert "200" not in created["responses"]
    assert list(created["responses"]["201"]["headers"]) == ["Location"]
    (_, _, listed) = operations(document)["privileges-list"]
    assert "headers" not in listed["responses"]["200"]


def test_unknown_members_are_refused_in_requests_alone():
    document = serve("admin")
    body = operations(document)["privileges-create"][2]["requestBody"]
    schema = resolve(document, body["content"]["application/json"]["schema"])
    assert schema["additionalProperties"] is False
    answer = document["components"]["schemas"]["Privilege"]
    assert "additionalProperties" not in answer


def test_refusals_name_invalid_fields_in_fields():
    members = serve("admin")["components"]["schemas"]["Problem"]["properties"]
    assert "fields" in members
    assert "errors" not in members
    assert "errors" in serve("user-service")["components"]["schemas"]["Problem"]["properties"]


def test_machines_use_the_same_scopes_as_people():
    flows = serve("admin")["components"]["securitySchemes"]["oauth2"]["flows"]
    assert flows["clientCredentials"]["scopes"] == flows["authorizationCode"]["scopes"]
    assert "ids4.ms.admin.users.write" in flows["authorizationCode"]["scopes"]


def test_keys_states_and_etags_are_described():
    found = operations(serve("admin"))
    for name, (method, _, operation) in found.items():
        headers = {
            parameter["name"]: parameter["required"]
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "header"
        }
        if method == "post":
            assert headers == {"Idempotency-Key": False}, name
        elif method == "get":
            assert headers == {}, name
        else:
            assert headers == {"If-Match": True}, name
    assert list(found["privileges-get"][2]["responses"]["200"]["headers"]) == ["ETag"]
    exported = found["audit-export"][2]["responses"]["200"]
    assert list(exported["content"]) == ["text/csv", "application/x-ndjson"]
    assert list(exported["headers"]) == ["Link"]
