"""Metadata of protected resources (RFC 9728): which APIs have a document here, and what it says."""

from __future__ import annotations

import pytest

from idp.directory.actor import OPERATOR
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi, NewScope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import TenantStatus
from idp.publishing.gateway.models import Publication
from tests.protocol import add_api, add_tenant

pytestmark = pytest.mark.no_database

PATH = "/.well-known/oauth-protected-resource"
OURS = "http://127.0.0.1:8000"


def publish(session, api, suffix):
    row = Publication(api_resource_id=api.id, suffix=suffix, suffix_key=suffix.lower())
    row.configuration_encrypted = ""
    session.add(row)
    session.commit()


def document(browser, path=""):
    answer = browser.get(PATH + path)
    assert answer.status_code == 200, (path, answer.get_data(as_text=True))
    return answer.get_json()


def is_absent(browser, path=""):
    answer = browser.get(PATH + path)
    assert answer.status_code in {200, 404}, (path, answer.get_data(as_text=True))
    return answer.status_code == 404


def test_an_api_at_a_host_of_ours_has_a_document(client, session):
    new = NewApi(
        f"{OURS}/mcp",
        display_name="Tools",
        scopes=[
            NewScope("mcp.write"),
            NewScope("mcp.read"),
            NewScope("mcp.secret", show_in_discovery_document=False),
        ],
        properties={"dpop_required": "true"},
    )
    resources.create_api(session, new)
    session.commit()
    answer = client.get(f"{PATH}/mcp")
    assert answer.get_json() == {
        "resource": f"{OURS}/mcp",
        "resource_name": "Tools",
        "authorization_servers": [OURS],
        "scopes_supported": ["mcp.read", "mcp.write"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "EdDSA"],
        "dpop_bound_access_tokens_required": True,
    }
    discovery = client.get("/.well-known/openid-configuration")
    for name in ("Content-Type", "Cache-Control", "Access-Control-Allow-Origin"):
        assert answer.headers[name] == discovery.headers[name], name
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    preflight = client.options(
        f"{PATH}/mcp",
        headers={
            "Origin": "https://inspector.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "mcp-protocol-version",
        },
    )
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "mcp-protocol-version" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert client.head(f"{PATH}/mcp").status_code == 200
    refused = client.post(f"{PATH}/mcp")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_discovery_names_open_apis_that_have_an_address(client, new_client, session):
    acme_id = add_tenant(session, hosts=["acme.example"])
    for name, tenant_id, is_open in (
        ("https://open.example/b", None, True),
        ("https://open.example/a", None, True),
        ("https://closed.example", None, False),
        ("word", None, True),
        ("https://acme.example/mcp", acme_id, True),
    ):
        add_api(session, name, [], tenant_id=tenant_id, open_to_strangers=is_open)

    def named(browser):
        found = browser.get("/.well-known/oauth-authorization-server").get_json()
        return found.get("protected_resources")

    common = ["https://open.example/a", "https://open.example/b"]
    assert named(client) == common
    assert named(new_client("http://acme.example")) == ["https://acme.example/mcp", *common]
    for name in common:
        api = resources.find_api(session, name)
        resources.change_api(session, OPERATOR, api.id, None, enabled=False)
    session.commit()
    assert named(client) is None


def test_what_is_not_served_here_has_none(client, session):
    for name in ("orders", f"{OURS}/mcp", "https://mcp.example/mcp"):
        add_api(session, name, [])
    add_api(session, f"{OURS}/deep/a%20b", [])
    assert document(client, "/deep/a%20b")["resource"] == f"{OURS}/deep/a%20b"
    for path in (
        *("", "/", "/orders", "/MCP", "/mcp/", "/mcp/x", "/mcp%2fx", "/deep/a+b", "/deep"),
        *(f"/{'a' * 1900}", "/%2e%2e/mcp", "//mcp", "/ids4.ms"),
    ):
        assert is_absent(client, path), path
    answer = client.get(f"{PATH}/orders")
    assert answer.get_json() == {"error": "not_found"}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get(f"{PATH}x").status_code == 404
    api = resources.find_api(session, f"{OURS}/mcp")
    resources.change_api(session, OPERATOR, api.id, None, enabled=False)
    session.commit()
    assert is_absent(client, "/mcp")


def test_a_whole_host_may_be_an_api(new_client, session):
    add_tenant(session, "Acme", hosts=["acme.example", "www.acme.example"])
    api = add_api(session, "https://tools.example/", [])
    publish(session, api, "tools")
    tools = new_client("http://TOOLS.example")
    for path in ("", "/"):
        assert document(tools, path)["resource"] == "https://tools.example/"
    assert is_absent(tools, "/x")
    assert is_absent(new_client("http://elsewhere.example"))
    assert tools.get("/.well-known/openid-configuration").status_code == 400


def test_a_tenant_describes_nothing_at_hosts_of_others(new_client, session):
    acme_id = add_tenant(session, "Acme", hosts=["acme.example", "www.acme.example"])
    guest_id = add_tenant(session, "Guest")
    add_api(session, "http://acme.example/own", [], tenant_id=acme_id)
    add_api(session, "http://www.acme.example/own", [], tenant_id=acme_id)
    add_api(session, "http://acme.example/forged", [], tenant_id=guest_id)
    add_api(session, f"{OURS}/forged", [], tenant_id=acme_id)
    add_api(session, f"{OURS}/guest", [], tenant_id=guest_id)
    add_api(session, "http://acme.example/shared", [])
    acme, ours = new_client("http://acme.example"), new_client(OURS)
    for browser, path in ((acme, "/forged"), (ours, "/forged")):
        assert is_absent(browser, path)
    for browser, path, issuer in (
        (acme, "/own", "http://acme.example"),
        (new_client("http://www.acme.example"), "/own", "http://acme.example"),
        (acme, "/shared", "http://acme.example"),
        (ours, "/guest", OURS),
    ):
        assert document(browser, path)["authorization_servers"] == [issuer]


def test_an_api_at_the_gateway_has_a_document_at_its_own_address(new_client, session):
    acme_id = add_tenant(session, "Acme", hosts=["acme.example"])
    bob_id = add_tenant(session, "Bob", hosts=["bob.example"])
    orders = add_api(session, "https://gateway.example/orders", ["orders.read"], tenant_id=acme_id)
    gateway = new_client("http://gateway.example")
    assert is_absent(gateway, "/orders")
    publish(session, orders, "Orders")
    assert document(gateway, "/orders")["authorization_servers"] == ["http://acme.example"]
    # Another tenant's API takes the address below a suffix that is not its own.
    forged = add_api(session, "https://gateway.example/orders/v2", [], tenant_id=bob_id)
    publish(session, forged, "bob")
    assert is_absent(gateway, "/orders/v2")
    tenants.change(session, tenants.get(session, acme_id), status=TenantStatus.DISABLED)
    session.commit()
    assert is_absent(gateway, "/orders")
