"""Microservices: APIs with their scopes, secrets, claims and settings."""

from __future__ import annotations

import base64
import hashlib
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from idp.api.center.codes import MICROSERVICE_CODES
from idp.directory.actor import OPERATOR
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiResourceOwner, ApiScope, ApiSecret
from idp.directory.roles.models import Privilege
from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import center
from tests.pages.browsing import page_of_flow
from tests.protocol import App

SECRET = "a-secret-of-more-than-24-characters"
ALL = "ids4.ms.apiresource.all"
ORDERS = {
    "name": "orders",
    "displayName": "Orders",
    "description": "What was ordered",
    "secrets": [{"value": SECRET, "description": "first"}],
    "scopes": [
        {"name": "orders.read", "displayName": "Read orders", "userClaims": [{"type": "email"}]},
        {"name": "orders.write", "emphasize": True, "showInDiscoveryDocument": False},
    ],
    "userClaims": [{"type": "role"}, {"type": "permission"}],
    "properties": [{"key": "permission_format", "value": "text"}, {"key": "team", "value": "b"}],
}


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, ALL)


@pytest.fixture
def orders(mary):
    return mary.data("GET", f"/ApiResource/{mary.data('POST', '/ApiResource', ORDERS)}")


def find(rows, name):
    (row,) = [row for row in rows if row.get("name", row.get("key", row.get("type"))) == name]
    return row


def owned_by(session, api_id):
    query = select(ApiResourceOwner.user_id).where(ApiResourceOwner.api_resource_id == api_id)
    return list(session.scalars(query))


# Making and reading


def test_what_is_made_is_read_again_without_the_secret(session, mary, orders):
    assert orders["name"] == "orders"
    assert orders["enabled"] is True
    assert find(orders["scopes"], "orders.read") == {
        "id": find(orders["scopes"], "orders.read")["id"],
        "name": "orders.read",
        "displayName": "Read orders",
        "description": None,
        "required": False,
        "emphasize": False,
        "showInDiscoveryDocument": True,
        "userClaims": [
            {"id": find(orders["scopes"], "orders.read")["userClaims"][0]["id"], "type": "email"}
        ],
    }
    assert [row["type"] for row in orders["userClaims"]] == ["role", "permission"]
    (secret,) = orders["secrets"]
    assert secret["value"] == "***"
    assert secret["type"] == "SharedSecret"
    assert secret["description"] == "first"
    row = session.get_one(ApiResource, orders["id"])
    assert row.tenant_id == 1
    assert owned_by(session, row.id) == [mary.user.id]
    answer = mary.send("GET", f"/ApiResource/{orders['id']}", prefix="").get_data(as_text=True)
    stored = session.scalars(select(ApiSecret.value_hash)).one()
    assert SECRET not in answer
    assert stored not in answer
    assert SECRET not in stored


def test_what_an_administrator_makes_belongs_to_the_platform(session, root):
    made = root.data("POST", "/ApiResource", {"name": "orders"})
    assert session.get_one(ApiResource, made).tenant_id is None
    assert owned_by(session, made) == [root.user.id]
    assert session.get_one(ApiResource, made).enabled


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_every_operation_is_served_with_and_without_the_prefix(mary, orders, prefix):
    for path in ("/ApiResource", f"/ApiResource/{orders['id']}", "/ApiResource/Scopes"):
        assert mary.send("GET", path, prefix=prefix).get_json()["code"] == 200, path


def test_a_new_row_takes_no_id(mary):
    assert set(mary.refused("POST", "/ApiResource", {**ORDERS, "id": 5})) == {"id"}
    scopes = [{"id": 1, "name": "orders.read"}]
    assert set(mary.refused("POST", "/ApiResource", {**ORDERS, "scopes": scopes})) == {
        "scopes[0].id"
    }


# Refused shapes


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "123"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "ids4.ms"}, "name"),
        ({"name": "IDS4.other"}, "name"),
        ({"name": "tool"}, "name"),
        ({"name": 5}, "name"),
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"enabled": None}, "enabled"),
        ({"displayName": "x" * 201}, "displayName"),
        ({"description": "x" * 1001}, "description"),
        ({"id": "7"}, "id"),
        ({"id": 2**31}, "id"),
        ({"id": -1}, "id"),
        ({"scopes": {}}, "scopes"),
        ({"scopes": ["orders.read"]}, "scopes[0]"),
        ({"scopes": [{}]}, "scopes[0].name"),
        ({"scopes": [{"name": "a b"}]}, "scopes[0].name"),
        ({"scopes": [{"name": "openid"}]}, "scopes[0].name"),
        ({"scopes": [{"name": "ids4.ms.user.get"}]}, "scopes[0].name"),
        ({"scopes": [{"name": "offline_access"}]}, "scopes[0].name"),
        ({"scopes": [{"name": "x.a"}, {"name": "x.a"}]}, "scopes[1].name"),
        ({"scopes": [{"name": "x.a", "required": 1}]}, "scopes[0].required"),
        (
            {"scopes": [{"name": "x.a", "userClaims": [{"type": "a b"}]}]},
            "scopes[0].userClaims[0].type",
        ),
        ({"scopes": [{"name": f"x.{n}"} for n in range(10_000)]}, "scopes"),
        ({"userClaims": [{"type": "role"}, {"type": "role"}]}, "userClaims[1].type"),
        ({"userClaims": [{"type": ""}]}, "userClaims[0].type"),
        ({"userClaims": [{"type": "Permission"}]}, "userClaims[0].type"),
        (
            {"scopes": [{"name": "x.a", "userClaims": [{"type": "Sub"}]}]},
            "scopes[0].userClaims[0].type",
        ),
        ({"properties": [{"key": "permission_format", "value": "xml"}]}, "properties[0].value"),
        ({"properties": [{"key": "required_acr", "value": "gold"}]}, "properties[0].value"),
        ({"properties": [{"key": "max_age", "value": "soon"}]}, "properties[0].value"),
        ({"properties": [{"key": "signing_alg", "value": "HS256"}]}, "properties[0].value"),
        ({"properties": [{"key": "signing_alg", "value": "none"}]}, "properties[0].value"),
        ({"properties": [{"key": "", "value": "x"}]}, "properties[0].key"),
        ({"properties": [{"key": "a\x01", "value": "x"}]}, "properties[0].key"),
        ({"properties": [{"key": "a", "value": "x" * 2001}]}, "properties[0].value"),
        ({"properties": [{"key": "a"}]}, "properties[0].value"),
        ({"secrets": [{}]}, "secrets[0].value"),
        ({"secrets": [{"value": None}]}, "secrets[0].value"),
        ({"secrets": [{"value": "***"}]}, "secrets[0].value"),
        ({"secrets": [{"value": "*" * 30}]}, "secrets[0].value"),
        ({"secrets": [{"value": "too short"}]}, "secrets[0].value"),
        ({"secrets": [{"value": SECRET, "type": "X509"}]}, "secrets[0].type"),
        (
            {"secrets": [{"value": SECRET, "expiration": "2001-01-01T00:00:00Z"}]},
            "secrets[0].expiration",
        ),
        ({"secrets": [{"value": SECRET, "expiration": "soon"}]}, "secrets[0].expiration"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_makes_no_sense_is_refused_by_field(session, mary, wrong, field):
    before = center.whole_database(session)
    content = {"name": "orders", **wrong}
    if "id" in wrong:
        content["id"] = wrong["id"]
    assert set(mary.refused("POST", "/ApiResource", content)) == {field}
    assert center.whole_database(session) == before


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_digest_is_no_secret(mary, algorithm):
    digest = base64.b64encode(hashlib.new(algorithm, SECRET.encode()).digest()).decode()
    content = {"name": "orders", "secrets": [{"value": digest}]}
    assert set(mary.refused("POST", "/ApiResource", content)) == {"secrets[0].value"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b'{"name": "\\u0000"}']
)
def test_what_is_no_json_is_an_http_problem(mary, body):
    answer = mary.send("POST", "/ApiResource", body)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"'])
def test_json_that_is_no_object_is_refused(mary, body):
    assert mary.send("POST", "/ApiResource", body).get_json()["code"] == 422


def test_the_address_of_an_issuer_is_no_name(session, mary, settings):
    protocol.add_tenant(session, hosts=["acme.example"])
    for name in (settings.public_url, "https://acme.example", "https://ACME.example/"):
        assert set(mary.refused("POST", "/ApiResource", {"name": name})) == {"name"}
    mary.data("POST", "/ApiResource", {"name": "https://acme.example/orders"})


def test_scopes_that_open_the_management_apis_are_the_platforms(session, mary, root):
    for name in ("ids4.all", "ids4.ms.new", "Ids4.x"):
        content = {"name": "orders", "scopes": [{"name": name}]}
        assert set(mary.refused("POST", "/ApiResource", content)) == {"scopes[0].name"}
    made = root.data("POST", "/ApiResource", {"name": "ids4.own"})
    assert session.get_one(ApiResource, made).tenant_id is None


# Who may


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ApiResource"),
        ("PUT", "/ApiResource"),
        ("POST", "/ApiResource"),
        ("GET", "/ApiResource/1"),
        ("DELETE", "/ApiResource/1"),
        ("GET", "/ApiResource/Scopes"),
    ],
)
def test_token_scope_and_permission_are_all_needed(client, session, method, path):
    nobody = center.Caller(client, protocol.add_person(session), None)
    answer = nobody.send(method, path, {"name": "x"} if method in {"PUT", "POST"} else None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.content_type == "application/problem+json"
    other = center.manager(client, session, ALL, username="scope", scopes=["ids4.ms.client.all"])
    assert other.send(method, path, {"name": "x"}).status_code == 403
    other = center.manager(client, session, "ids4.ms.client.all", username="permission")
    assert other.send(method, path, {"name": "x"}).status_code == 403


def test_scopes_asks_for_its_own_scope_and_not_for_that_of_deleting(client, session):
    name = "ids4.ms.apiresource.delete"
    other = center.manager(client, session, name, scopes=[name])
    assert other.send("GET", "/ApiResource/Scopes").status_code == 403
    name = "ids4.ms.apiresource.scopes"
    other = center.manager(client, session, name, username="other", scopes=[name])
    assert other.send("GET", "/ApiResource/Scopes").status_code == 200


def test_an_api_of_somebody_else_does_not_exist(client, session, mary, orders, root):
    tenant = protocol.add_tenant(session)
    strangers = (
        center.manager(client, session, ALL, username="other owner"),
        center.manager(client, session, ALL, username="other tenant", tenant_id=tenant),
    )
    before = center.whole_database(session)
    for stranger in strangers:
        assert stranger.call("GET", "/ApiResource")["total"] == 0
        assert stranger.call("GET", "/ApiResource", **{"q.name": "orders"})["data"] == []
        path = f"/ApiResource/{orders['id']}"
        assert stranger.call("GET", path)["code"] == 404
        assert stranger.call("DELETE", path)["codeName"] == "NotFound"
        assert stranger.call("PUT", "/ApiResource", {**orders, "name": "mine"})["code"] == 404
    assert center.whole_database(session) == before
    assert mary.call("GET", "/ApiResource")["total"] == 1
    assert root.data("GET", f"/ApiResource/{orders['id']}") == orders
    assert root.data("PUT", "/ApiResource", {**orders, "displayName": "All"}) == orders["id"]


def test_a_link_does_not_reach_into_another_tenant(client, session, orders):
    tenant = protocol.add_tenant(session)
    mover = center.manager(client, session, ALL, username="mover", tenant_id=tenant)
    session.add(ApiResourceOwner(user_id=mover.user.id, api_resource_id=orders["id"]))
    session.commit()
    assert mover.call("GET", f"/ApiResource/{orders['id']}")["code"] == 404


def test_rows_of_the_platform_are_the_administrators(session, mary, root):
    shared = root.data("POST", "/ApiResource", {"name": "shared"})
    session.add(ApiResourceOwner(user_id=mary.user.id, api_resource_id=shared))
    session.commit()
    assert mary.call("GET", f"/ApiResource/{shared}")["code"] == 404
    assert mary.call("DELETE", f"/ApiResource/{shared}")["code"] == 404


@pytest.mark.parametrize("row_id", [0, 99, 2**31, 2**63, 10**30])
def test_ids_of_nothing_are_not_found(root, row_id):
    assert root.call("GET", f"/ApiResource/{row_id}")["code"] == 404
    assert root.call("DELETE", f"/ApiResource/{row_id}")["code"] == 404


def test_put_without_an_id_is_not_found(root):
    assert root.call("PUT", "/ApiResource", {"name": "orders"})["code"] == 404


# Replacing


def test_put_of_what_get_gave_changes_nothing(session, root, orders):
    for row in [orders, *root.call("GET", "/ApiResource", take=50)["data"]]:
        before = center.whole_database(session)
        assert root.data("PUT", "/ApiResource", row) == row["id"]
        assert center.whole_database(session) == before
    management = session.scalars(select(ApiResource.id).where(ApiResource.name == "ids4.ms")).one()
    whole = root.data("GET", f"/ApiResource/{management}")
    before = center.whole_database(session)
    root.data("PUT", "/ApiResource", whole)
    assert center.whole_database(session) == before


def test_a_missing_scalar_has_its_default_and_a_missing_list_stays(mary, orders):
    mary.data("PUT", "/ApiResource", {**orders, "enabled": False})
    stamp = mary.data("GET", f"/ApiResource/{orders['id']}")["concurrencyStamp"]
    assert stamp != orders["concurrencyStamp"]
    lists = {"secrets": None, "scopes": None, "userClaims": None}
    mary.data("PUT", "/ApiResource", {"id": orders["id"], "name": "orders", **lists})
    seen = mary.data("GET", f"/ApiResource/{orders['id']}")
    assert seen.pop("concurrencyStamp") not in {stamp, orders.pop("concurrencyStamp")}
    assert seen == {**orders, "displayName": None, "description": None}


@pytest.mark.parametrize("name", ["secrets", "scopes", "userClaims", "properties"])
def test_an_empty_list_clears(mary, orders, name):
    mary.data("PUT", "/ApiResource", {**orders, name: []})
    seen = mary.data("GET", f"/ApiResource/{orders['id']}")
    assert seen[name] == []
    for other in {"secrets", "scopes", "userClaims", "properties"} - {name}:
        assert seen[other] == orders[other]


def test_children_are_changed_made_and_removed_by_id(session, mary, orders):
    read = find(orders["scopes"], "orders.read")
    scopes = [
        {**read, "displayName": "Look", "userClaims": [*read["userClaims"], {"type": "role"}]},
        {"name": "orders.delete"},
    ]
    mary.data("PUT", "/ApiResource", {**orders, "scopes": scopes})
    seen = mary.data("GET", f"/ApiResource/{orders['id']}")["scopes"]
    assert [scope["name"] for scope in seen] == ["orders.read", "orders.delete"]
    assert seen[0]["id"] == read["id"]
    assert seen[0]["displayName"] == "Look"
    assert [row["type"] for row in seen[0]["userClaims"]] == ["email", "role"]
    assert seen[0]["userClaims"][0] == read["userClaims"][0]
    assert session.scalars(select(ApiScope.id).where(ApiScope.name == "orders.write")).all() == []


def test_names_may_be_exchanged(mary, orders):
    one, two = orders["scopes"]
    scopes = [{**one, "name": two["name"]}, {**two, "name": one["name"]}]
    claims = [
        {**orders["userClaims"][0], "type": "permission"},
        {**orders["userClaims"][1], "type": "role"},
    ]
    mary.data("PUT", "/ApiResource", {**orders, "scopes": scopes, "userClaims": claims})
    seen = mary.data("GET", f"/ApiResource/{orders['id']}")
    assert seen["scopes"] == scopes
    assert seen["userClaims"] == claims


def test_a_row_may_come_back_under_a_new_id(mary, orders):
    claims = [{"type": row["type"]} for row in orders["userClaims"]]
    scopes = [{"name": row["name"]} for row in orders["scopes"]]
    mary.data("PUT", "/ApiResource", {**orders, "userClaims": claims, "scopes": scopes})
    seen = mary.data("GET", f"/ApiResource/{orders['id']}")
    assert {row["type"] for row in seen["userClaims"]} == {"role", "permission"}
    assert {row["id"] for row in seen["userClaims"]}.isdisjoint(
        row["id"] for row in orders["userClaims"]
    )
    assert seen["concurrencyStamp"] != orders["concurrencyStamp"]


@pytest.mark.parametrize("name", ["secrets", "scopes", "userClaims", "properties"])
def test_foreign_children_are_refused(session, mary, orders, name):
    second = {**ORDERS, "name": "second", "scopes": [{"name": "second.read"}]}
    other = mary.data("GET", f"/ApiResource/{mary.data('POST', '/ApiResource', second)}")
    foreign = {**orders[name][0], "id": other[name][0]["id"]}
    before = center.whole_database(session)
    refused = mary.refused("PUT", "/ApiResource", {**orders, name: [foreign]})
    assert set(refused) == {f"{name}[0].id"}
    twice = [orders[name][0], orders[name][0]]
    refused = mary.refused("PUT", "/ApiResource", {**orders, name: twice})
    assert len(refused) == 1
    assert center.whole_database(session) == before


def test_claims_of_another_scope_are_refused(mary, orders):
    read, write = orders["scopes"]
    scopes = [read, {**write, "userClaims": read["userClaims"]}]
    refused = mary.refused("PUT", "/ApiResource", {**orders, "scopes": scopes})
    assert set(refused) == {"scopes[1].userClaims[0].id"}


def test_a_scope_of_another_api_is_taken(mary, orders):
    mary.data("POST", "/ApiResource", {"name": "second", "scopes": [{"name": "second.read"}]})
    scopes = [{**orders["scopes"][0], "name": "second.read"}, orders["scopes"][1]]
    refused = mary.refused("PUT", "/ApiResource", {**orders, "scopes": scopes})
    assert set(refused) == {"scopes[0].name"}
    assert set(mary.refused("PUT", "/ApiResource", {**orders, "name": "second"})) == {"name"}


# Secrets


def introspects(client, session, secret):
    answer = client.post(
        "/connect/introspect", data={"token": "x", **App("orders", secret, 0).post}
    )
    return answer.status_code == 200


def test_a_secret_stays_until_a_new_value_comes(client, session, mary, orders):
    (secret,) = orders["secrets"]
    assert introspects(client, session, SECRET)
    for kept in ({}, {"value": None}, {"value": "***"}):
        row = {**{k: v for k, v in secret.items() if k != "value"}, **kept, "description": "x"}
        content = {**orders, "secrets": [row], "concurrencyStamp": None}
        mary.data("PUT", "/ApiResource", content)
        assert introspects(client, session, SECRET)
    content["secrets"][0]["value"] = "another-secret-of-enough-characters"
    mary.data("PUT", "/ApiResource", content)
    assert not introspects(client, session, SECRET)
    assert introspects(client, session, "another-secret-of-enough-characters")
    mary.data("PUT", "/ApiResource", {**content, "secrets": []})
    assert not introspects(client, session, "another-secret-of-enough-characters")


def test_an_expiry_is_kept_though_it_passed_and_only_a_new_one_must_lie_ahead(
    client, session, mary, orders, clock
):
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    secrets = [{**orders["secrets"][0], "expiration": soon}]
    mary.data("PUT", "/ApiResource", {**orders, "secrets": secrets})
    assert introspects(client, session, SECRET)
    clock.shift(301)
    assert not introspects(client, session, SECRET)
    seen = mary.data("GET", f"/ApiResource/{orders['id']}")
    assert seen["secrets"][0]["expiration"].endswith("Z")
    mary.data("PUT", "/ApiResource", {**seen, "displayName": "x"})
    past = [{**seen["secrets"][0], "expiration": "2001-01-01T00:00:00Z"}]
    content = {**seen, "secrets": past, "concurrencyStamp": None}
    assert set(mary.refused("PUT", "/ApiResource", content)) == {"secrets[0].expiration"}


# Two at once


def test_of_two_who_read_the_same_the_second_is_told(session, mary, orders, root):
    mary.data(
        "PUT", "/ApiResource", {**orders, "scopes": [*orders["scopes"], {"name": "orders.x"}]}
    )
    before = center.whole_database(session)
    refused = root.refused("PUT", "/ApiResource", {**orders, "displayName": "Mine"})
    assert set(refused) == {"concurrencyStamp"}
    assert center.whole_database(session) == before
    # Who does not say what was read has the last word, and takes no lists along.
    content = {"id": orders["id"], "name": "orders", "displayName": "Mine"}
    root.data("PUT", "/ApiResource", content)
    seen = root.data("GET", f"/ApiResource/{orders['id']}")
    assert len(seen["scopes"]) == 3
    assert seen["displayName"] == "Mine"


def together(new_client, mary, calls):
    """Send calls at the same time; return their codes, sorted."""
    barrier = threading.Barrier(len(calls))
    outcomes: list[int] = []

    def send(call: tuple[str, str, Any]) -> None:
        browser = new_client()
        browser._database = None  # the session of the test is nobody's but its own
        caller = center.Caller(browser, mary.user, mary.token)
        barrier.wait()
        outcomes.append(caller.call(*call)["code"])

    threads = [threading.Thread(target=send, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


@pytest.mark.parametrize("stamped", [True, False])
def test_two_at_the_same_time_lose_nothing_silently(new_client, session, mary, orders, stamped):
    def content(number: int) -> dict[str, Any]:
        claims = [*orders["userClaims"], {"type": f"claim{number}"}]
        stamp = orders["concurrencyStamp"] if stamped else None
        return {**orders, "userClaims": claims, "concurrencyStamp": stamp}

    session.commit()
    calls = [("PUT", "/ApiResource", content(number)) for number in range(2)]
    # Who says what was read is told; who does not has the last word.
    assert together(new_client, mary, calls) == ([200, 422] if stamped else [200, 200])
    assert len(mary.data("GET", f"/ApiResource/{orders['id']}")["userClaims"]) == 3


def test_a_name_is_given_away_once(new_client, session, mary):
    session.commit()
    calls = [("POST", "/ApiResource", {"name": "a", "scopes": [{"name": "b"}]})] * 3
    assert together(new_client, mary, calls) == [200, 422, 422]
    calls = [
        ("POST", "/ApiResource", {"name": f"c{number}", "scopes": [{"name": "shared"}]})
        for number in range(3)
    ]
    assert together(new_client, mary, calls) == [200, 422, 422]


# Names that clients need


def test_what_a_client_lists_is_not_taken_away(session, mary, orders):
    protocol.register_machine(session, "one", ["orders.read"], tenant_id=1)
    protocol.register_machine(session, "two", ["orders.read"], tenant_id=1)
    before = center.whole_database(session)
    read, write = orders["scopes"]
    for content in (
        {**orders, "scopes": [write]},
        {**orders, "scopes": []},
        {**orders, "scopes": [{**read, "name": "orders.look"}, write]},
    ):
        messages = mary.refused("PUT", "/ApiResource", content)
        assert "orders.read: still used by 2 clients" in messages["scopes"][0]
    messages = mary.refused("PUT", "/ApiResource", {**orders, "name": "purchases"})
    assert "orders.read: still used by 2 clients" in messages["name"][0]
    messages = mary.refused("DELETE", f"/ApiResource/{orders['id']}")
    assert "orders.read: still used by 2 clients" in messages["id"][0]
    assert center.whole_database(session) == before
    mary.data("PUT", "/ApiResource", {**orders, "scopes": [read], "enabled": False})
    for client_id in ("one", "two"):
        clients.delete(session, clients.get(session, client_id))
    session.commit()
    mary.data("PUT", "/ApiResource", {"id": orders["id"], "name": "purchases"})
    assert mary.data("DELETE", f"/ApiResource/{orders['id']}") == orders["id"]


def test_privileges_are_not_deleted_along(session, mary, orders):
    session.add(Privilege(code="orders.refund", name="Refund", api_resource_id=orders["id"]))
    session.commit()
    assert "used by 1 privilege" in mary.refused("DELETE", f"/ApiResource/{orders['id']}")["id"][0]


def test_a_deleted_api_is_gone_with_all_its_rows(session, mary):
    before = center.whole_database(session)
    made = mary.data("POST", "/ApiResource", ORDERS)
    assert mary.data("DELETE", f"/ApiResource/{made}") == made
    after = center.whole_database(session)
    differ = {name for name in before if before[name] != after[name]}
    assert differ == {"audit_event", "configuration_version"}
    assert mary.call("GET", f"/ApiResource/{made}")["code"] == 404


def test_the_management_api_stays(session, root):
    api = session.scalars(select(ApiResource).where(ApiResource.name == "ids4.ms")).one()
    whole = root.data("GET", f"/ApiResource/{api.id}")
    before = center.whole_database(session)
    for wrong in ({"name": "other"}, {"enabled": False}, {"scopes": []}):
        (messages,) = root.refused("PUT", "/ApiResource", {**whole, **wrong}).values()
        assert "is built in" in messages[0]
    refused = root.refused("DELETE", f"/ApiResource/{api.id}")
    assert "is built in" in refused["id"][0]
    assert center.whole_database(session) == before
    root.data("PUT", "/ApiResource", {**whole, "scopes": [*whole["scopes"], {"name": "own.one"}]})


# Seen at once


def test_what_is_made_is_in_discovery_consent_tokens_and_lists_at_once(client, session, mary):
    discovery = "/.well-known/openid-configuration"
    assert "orders.read" not in client.get(discovery).get_json()["scopes_supported"]
    assert "orders" not in mary.data("GET", "/ApiResource/Scopes")
    made = mary.data("POST", "/ApiResource", ORDERS)
    published = client.get(discovery).get_json()["scopes_supported"]
    assert "orders.read" in published
    assert "orders.write" not in published
    assert mary.data("GET", "/ApiResource/Scopes")["orders"] == [
        {
            "code": "orders.read",
            "name": "Read orders",
            "description": None,
            "emphasize": False,
        }
    ]
    app = protocol.register(
        session, scopes=["openid", "orders.read"], require_consent=True, tenant_id=1
    )
    ann = protocol.add_person(session, email="ann@example.com")
    protocol.add_role(session, ann, "clerk", ["orders.refund"])
    protocol.sign_in(client, session, ann)
    page = client.get(page_of_flow(client, app, "/consent", scope="openid orders.read"))
    assert "Read orders" in page.get_data(as_text=True)

    silent = protocol.register(session, "silent", scopes=["openid", "orders.read"], tenant_id=1)
    claims = protocol.obtain(client, silent, "openid orders.read").claims
    assert set(claims["aud"]) == {"orders", client.base_url}
    assert claims["email"] == "ann@example.com"
    assert claims["permission"] == "orders.refund"
    assert claims["role"] == ["clerk"]

    whole = mary.data("GET", f"/ApiResource/{made}")
    mary.data(
        "PUT",
        "/ApiResource",
        {
            **whole,
            "userClaims": [],
            "properties": [{"key": "signing_alg", "value": "ES256"}],
            "scopes": [
                {**whole["scopes"][0], "displayName": "See orders", "userClaims": []},
                {**whole["scopes"][1], "showInDiscoveryDocument": True},
            ],
        },
    )
    assert "orders.write" in client.get(discovery).get_json()["scopes_supported"]
    page = client.get(page_of_flow(client, app, "/consent", scope="openid orders.read"))
    assert "See orders" in page.get_data(as_text=True)
    tokens = protocol.obtain(client, silent, "openid orders.read")
    assert protocol.header(tokens.access)["alg"] == "ES256"
    assert "email" not in tokens.claims
    assert not tokens.claims.get("permission")

    mary.data("PUT", "/ApiResource", {"id": made, "name": "orders", "enabled": False})
    assert "orders.read" not in client.get(discovery).get_json()["scopes_supported"]
    assert "orders" not in mary.data("GET", "/ApiResource/Scopes")
    answer = protocol.authorize(client, silent, scope="openid orders.read")
    assert protocol.returned(answer)["error"] == "invalid_scope"


def test_scopes_of_other_tenants_are_theirs(client, session, mary, orders, root):
    tenant = protocol.add_tenant(session)
    other = center.manager(client, session, ALL, username="other", tenant_id=tenant)
    other.data("POST", "/ApiResource", {"name": "billing", "scopes": [{"name": "billing.read"}]})
    mine, theirs = (who.data("GET", "/ApiResource/Scopes") for who in (mary, other))
    assert set(mine) == {"ids4.ms", "orders"}
    assert set(theirs) == {"ids4.ms", "billing"}
    everybodys = root.data("GET", "/ApiResource/Scopes")
    assert list(everybodys) == sorted(everybodys)
    assert set(everybodys) == {"ids4.ms", "orders", "billing"}
    assert theirs["ids4.ms"] == sorted(theirs["ids4.ms"], key=lambda scope: scope["code"])


# Lists


def test_a_list_loads_what_is_asked_for(mary, orders):
    plain = mary.call("GET", "/ApiResource")
    assert (plain["take"], plain["skip"], plain["total"]) == (10, 0, 1)
    scalars = {"id", "enabled", "name", "displayName", "description", "concurrencyStamp"}
    assert set(plain["data"][0]) == scalars
    (row,) = mary.data("GET", "/ApiResource", **{"q.expandScopes": "true"})
    assert set(row) == {*scalars, "scopes"}
    assert row["scopes"] == orders["scopes"]
    (row,) = mary.data("GET", "/ApiResource", **{"q.expandClaims": "true"})
    assert set(row) == {*scalars, "userClaims"}
    assert row["userClaims"] == orders["userClaims"]


def test_a_list_is_filtered_sorted_and_paged(mary, orders):
    for name in ("b", "a", "c"):
        mary.data("POST", "/ApiResource", {"name": name})

    def names(**query: Any) -> list[str]:
        return [row["name"] for row in mary.data("GET", "/ApiResource", **query)]

    assert names() == ["orders", "b", "a", "c"]
    assert names(orderby="Name") == ["orders", "c", "b", "a"]
    assert names(orderby="name", asc="true", skip=1, take=2) == ["b", "c"]
    assert names(**{"q.name": "a"}) == ["a"]
    assert names(**{"q.name": "%"}) == []
    assert mary.call("GET", "/ApiResource", take=1)["total"] == 4
    for query in (
        {"orderby": "tenant_id"},
        {"orderby": "name; DROP TABLE user"},
        {"take": 0},
        {"take": 2001},
        {"skip": -1},
        {"q.expandScopes": "perhaps"},
    ):
        assert set(mary.refused("GET", "/ApiResource", **query)) == set(query)
    assert mary.call("GET", "/ApiResource", take=0)["data"] == []


def test_queries_do_not_grow_with_the_rows(runtime, mary):
    def count(**query: Any) -> int:
        with center.statements(runtime.engine) as sent:
            mary.data("GET", "/ApiResource", take=100, **query)
        return len(sent)

    def make(numbers: range) -> None:
        for n in numbers:
            scopes = [{"name": f"x.{n}", "userClaims": [{"type": "role"}]}]
            claims = [{"type": "role"}, {"type": "email"}]
            content = {"name": f"api{n}", "scopes": scopes, "userClaims": claims}
            mary.data("POST", "/ApiResource", content)

    expanded = {"q.expandScopes": "true", "q.expandClaims": "true"}
    make(range(1))
    count()
    one = [count(), count(**expanded)]
    make(range(1, 50))
    assert mary.call("GET", "/ApiResource")["total"] == 50
    assert [count(), count(**expanded)] == one


# Codes


def test_codes_are_listed_bare_to_anybody(client, session):
    rows = client.get("/api/ApiResource/Codes").get_json()
    assert [row["code"] for row in rows].count(300010) == 3
    assert {row["name"] for row in rows if row["code"] == 300010} == {
        "Subscription_VerfifyCodeFailed",
        "Subscription_VerifyEmailFailed",
        "SetOnlineVersion_PostFailed",
    }
    assert [row["code"] for row in rows] == sorted(row["code"] for row in rows)
    assert {row["code"] for row in rows} == set(range(300001, 300016))
    assert {row["name"] for row in rows} == {code.name for code in MICROSERVICE_CODES}
    english = client.get("/ApiResource/Codes?culture=en-US").get_json()
    assert all(a["description"] != b["description"] for a, b in zip(rows, english, strict=True))


# Audit


def test_the_trail_tells_who_changed_what_without_secrets(session, mary, orders):
    new = "another-secret-of-enough-characters"
    secrets = [{**orders["secrets"][0], "value": new}]
    scopes = [{**orders["scopes"][0], "displayName": "Look"}, orders["scopes"][1]]
    content = {**orders, "displayName": "Sales", "scopes": scopes, "secrets": secrets}
    mary.data("PUT", "/ApiResource", content)
    mary.data("PUT", "/ApiResource", {"id": orders["id"], "name": "orders", "scopes": []})
    mary.data("DELETE", f"/ApiResource/{orders['id']}")
    events = audit.search(session, Filters(user_id=mary.user.id))
    assert [event.tag for event in reversed(events)] == [
        Tag.API_RESOURCE_CREATED,
        Tag.API_RESOURCE_CHANGED,
        Tag.API_RESOURCE_CHANGED,
        Tag.API_RESOURCE_DELETED,
    ]
    assert {event.target for event in events} == {"api:orders"}
    assert {event.tenant_id for event in events} == {1}
    changes = {change.pop("field"): change for change in events[2].details["changes"]}
    assert changes["display_name"] == {"before": "Orders", "after": "Sales"}
    assert [text.rpartition("=")[2] for text in changes["scopes.display_name"]["added"]] == ["Look"]
    (number,) = changes["secrets"]["added"]
    assert number == str(orders["secrets"][0]["id"])
    written = repr([event.details for event in events])
    stored = [*session.scalars(select(ApiSecret.value_hash)), SECRET, new]
    assert [text for text in stored if text in written] == []


def test_a_shared_setting_reaches_every_writer(session, mary, orders):
    api = resources.get_api(session, OPERATOR, orders["id"])
    stamp = api.concurrency_stamp
    resources.add_scope(session, api, resources.NewScope("orders.more"))
    assert api.concurrency_stamp != stamp
    stamp = api.concurrency_stamp
    resources.add_secret(session, api)
    assert api.concurrency_stamp != stamp
    stamp = api.concurrency_stamp
    resources.set_properties(session, api, {"permission_format": "text", "team": "b"})
    assert api.concurrency_stamp == stamp
    resources.set_properties(session, api, {"permission_format": "array"})
    assert api.concurrency_stamp != stamp
