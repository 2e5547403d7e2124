"""`idp api`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy.orm import Session

from idp.directory.actor import OPERATOR
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResourceOwner
from idp.platform.runtime import Runtime
from tests import protocol

Run = Callable[..., Result]
RunJson = Callable[..., Any]

ORDERS = {
    "name": "orders",
    "display_name": "Orders",
    "enabled": True,
    "scopes": ["orders.read", "orders.write"],
    "default_scopes": [],
    "open_to_strangers": False,
    "user_claims": ["role"],
    "tenant": None,
}


def test_an_api_is_added_shown_and_listed(idp_json: RunJson, session: Session) -> None:
    made = idp_json(
        *("api", "add", "orders", "--name", "Orders", "--claim", "role"),
        *("--scope", "orders.read", "--scope", "orders.write"),
    )
    assert made == ORDERS
    assert idp_json("api", "show", "orders") == ORDERS
    assert ORDERS in idp_json("api", "list")
    row = resources.find_api(session, "orders")
    assert session.get(ApiResourceOwner, (1, row.id)) is not None, "the administrator owns it"


def test_a_scope_is_added_with_what_the_consent_page_says(
    idp_json: RunJson, session: Session
) -> None:
    idp_json("api", "add", "orders", "--scope", "orders.read")
    changed = idp_json(
        *("api", "scope", "orders", "orders.cancel", "--name", "Cancel your orders"),
        *("--emphasize", "--hidden", "--claim", "email"),
    )
    assert changed["scopes"] == ["orders.read", "orders.cancel"]
    api = resources.get_api(session, OPERATOR, resources.find_api(session, "orders").id)
    scope = api.scopes[1]
    assert (scope.display_name, scope.emphasize) == ("Cancel your orders", True)
    assert scope.show_in_discovery_document is False
    assert [claim.type for claim in scope.user_claims] == ["email"]


def test_a_secret_is_shown_once_and_kept_as_a_hash(
    idp_json: RunJson, idp: Run, session: Session, runtime: Runtime
) -> None:
    idp_json("api", "add", "orders")
    secret = idp_json("api", "secret", "orders", "--description", "shop")["api_secret"]
    (row,) = resources.get_api(session, OPERATOR, resources.find_api(session, "orders").id).secrets
    assert secret not in row.value_hash
    session.commit()
    assert secret not in idp("api", "show", "orders").output


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "ids4.ms"), "The name ids4.ms is taken."),
        (("add", "orders", "--scope", "openid"), "The name openid is taken."),
        (
            ("add", "orders", "--scope", "a b"),
            "A scope must have 1 to 200 characters without spaces ",
        ),
        (("add", "orders", "--tenant", "77"), "There is no such tenant."),
        (("show", "none"), "There is no API none."),
        (("scope", "none", "a"), "There is no API none."),
        (("secret", "none"), "There is no API none."),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(
    idp: Run, session: Session, arguments: tuple[str, ...], sentence: str
) -> None:
    assert idp("api", *arguments, code=1).stderr.startswith(f"Error: {sentence}")
    assert resources.find_api(session, "orders") is None


def test_settings_are_changed_each_by_itself(idp: Run, idp_json: RunJson, session: Session) -> None:
    idp_json("api", "add", "orders")
    change = ("api", "change", "orders")
    idp_json(*change, "--set", "permission_format=text", "--set", "team=b")
    idp_json(*change, "--unset", "team", "--set", "signing_alg=ES256")
    api = resources.get_api(session, OPERATOR, resources.find_api(session, "orders").id)
    assert {row.key: row.value for row in api.properties} == {
        "permission_format": "text",
        "signing_alg": "ES256",
    }
    session.commit()
    refused = idp(*change, "--set", "permission_format=xml", code=1).stderr
    assert "must be one of array, text" in refused
    assert "Name at least one change." in idp(*change, code=1).stderr


def test_an_api_named_by_its_address_is_found_in_any_spelling(
    idp: Run, idp_json: RunJson, session: Session
) -> None:
    name = "https://mcp.example/mcp"
    made = idp_json(
        *("api", "add", name, "--name", "Tools", "--scope", "mcp.read", "--scope", "mcp.write"),
        *("--default-scope", "mcp.read", "--open-to-strangers"),
    )
    assert (made["default_scopes"], made["open_to_strangers"]) == (["mcp.read"], True)
    other = "HTTPS://MCP.example:443/mcp"
    assert idp_json("api", "show", other) == made
    change = ("api", "change", other)
    many = idp_json(*change, "--default-scope", "mcp.write", "--default-scope", "mcp.read")
    assert (many["default_scopes"], many["open_to_strangers"]) == (["mcp.write", "mcp.read"], True)
    closed = idp_json(*change, "--no-default-scopes", "--closed-to-strangers")
    assert (closed["default_scopes"], closed["open_to_strangers"]) == ([], False)
    printed = idp("api", "metadata", other)
    assert json.loads(printed.stdout) == {
        "resource": name,
        "authorization_servers": ["http://127.0.0.1:8000"],
        "scopes_supported": ["mcp.read", "mcp.write"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "EdDSA"],
        "dpop_bound_access_tokens_required": False,
        "resource_name": "Tools",
    }
    assert "https://mcp.example/.well-known/oauth-protected-resource/mcp" in printed.stderr
    assert "not named by the address" in idp("api", "metadata", "ids4.ms", code=1).stderr
    tenant_id = protocol.add_tenant(session, hosts=["acme.example"])
    protocol.add_api(session, "https://acme.example/mcp", [], tenant_id=tenant_id)
    of_acme = json.loads(idp("api", "metadata", "https://acme.example/mcp").stdout)
    assert of_acme["authorization_servers"] == ["http://acme.example"]
