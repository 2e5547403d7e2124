"""Who may ask for what of APIs, by our own API."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.resources.models import ApiResource
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import admin, center

pytestmark = pytest.mark.no_database

READ = "ids4.ms.admin.apis.read"
WRITE = "ids4.ms.admin.apis.write"
MCP = "https://mcp.example/mcp"
PATH = "/tenants/1/apis"
ANY = {"If-Match": "*"}


@pytest.fixture
def api(session):
    return protocol.add_api(session, MCP, ["mcp.read", "mcp.write"])


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def test_an_api_is_found_by_its_address_in_any_spelling(root, api):
    found = admin.data(root, "GET", PATH, name="HTTPS://MCP.example:443/mcp")
    assert found == {
        "items": [
            {
                "id": api.id,
                "name": MCP,
                "display_name": None,
                "tenant": None,
                "enabled": True,
                "scopes": ["mcp.read", "mcp.write"],
                "default_scopes": [],
                "open_to_strangers": False,
                "metadata_url": "https://mcp.example/.well-known/oauth-protected-resource/mcp",
            }
        ],
        "next": None,
    }
    for name in ("mcp", f"{MCP}/", "x"):
        assert admin.data(root, "GET", PATH, name=name)["items"] == []
    names = [row["name"] for row in admin.data(root, "GET", PATH)["items"]]
    assert names == ["ids4.ms", MCP]


def test_default_scopes_and_openness_are_changed_on_their_own(session, root, api):
    path = f"{PATH}/{api.id}"
    first = admin.send(root, "GET", path)
    body = {"default_scopes": ["mcp.read"], "open_to_strangers": True}
    changed = admin.send(root, "PATCH", path, body, headers={"If-Match": first.headers["ETag"]})
    assert changed.status_code == 200, changed.get_data(as_text=True)
    assert {name: changed.get_json()[name] for name in body} == body
    assert changed.headers["ETag"] == admin.send(root, "GET", path).headers["ETag"]
    closed = admin.data(root, "PATCH", path, {"open_to_strangers": False}, headers=ANY)
    assert closed["default_scopes"] == ["mcp.read"]
    assert admin.data(root, "PATCH", path, {"default_scopes": []}, headers=ANY) == {
        **closed,
        "default_scopes": [],
    }
    events = session.scalars(
        select(AuditEvent.details)
        .where(AuditEvent.tag == Tag.API_RESOURCE_CHANGED)
        .order_by(AuditEvent.id)
    )
    assert [event["changes"] for event in events] == [
        [
            {"field": "open_to_strangers", "before": False, "after": True},
            {"field": "default_scopes", "removed": [], "added": ["mcp.read"]},
        ],
        [{"field": "open_to_strangers", "before": True, "after": False}],
        [{"field": "default_scopes", "removed": ["mcp.read"], "added": []}],
    ]


def test_what_cannot_be_is_refused_by_field(session, root, api):
    own = session.scalars(select(ApiResource.id).where(ApiResource.name == "ids4.ms")).one()
    for path, body, status, field in (
        (api.id, {"default_scopes": ["mcp.read", "openid"]}, 400, "default_scopes[1]"),
        (api.id, {"default_scopes": "mcp.read"}, 400, "default_scopes"),
        (api.id, {"default_scopes": None}, 400, "default_scopes"),
        (api.id, {"default_scopes": ["a" * 201]}, 400, "default_scopes[0]"),
        (api.id, {"default_scopes": ["mcp.read"] * 1001}, 400, "default_scopes"),
        (api.id, {"open_to_strangers": "yes"}, 400, "open_to_strangers"),
        (api.id, {"open_to_strangers": None}, 400, "open_to_strangers"),
        (api.id, {"name": "other"}, 400, "name"),
        (own, {"open_to_strangers": True}, 422, "open_to_strangers"),
    ):
        answer = admin.refused(root, "PATCH", f"{PATH}/{path}", body, headers=ANY)
        assert (answer[0], list(answer[1])) == (status, [field]), body


def test_a_tenant_changes_its_own_apis_alone(client, session, api):
    acme = protocol.add_tenant(session)
    own = protocol.add_api(session, "acme", ["acme.read"], tenant_id=acme)
    boss = center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])
    path = f"/tenants/{acme}/apis"
    assert [row["id"] for row in admin.data(boss, "GET", path)["items"]] == [own.id]
    body = {"default_scopes": ["acme.read"], "open_to_strangers": True}
    assert admin.data(boss, "PATCH", f"{path}/{own.id}", body, headers=ANY)["open_to_strangers"]
    for other in (f"{path}/{api.id}", f"{path}/999999"):
        assert admin.refused(boss, "GET", other)[0] == 404
        assert admin.refused(boss, "PATCH", other, body, headers=ANY)[0] == 404
    assert admin.refused(boss, "GET", PATH)[0] == 403
