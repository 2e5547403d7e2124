"""Identity resources: scopes that stand for claims about a person; rows of the platform."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from idp.directory.clients import service as clients
from idp.directory.resources.models import IdentityResource
from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import center
from tests.pages.browsing import page_of_flow

ALL = "ids4.ms.identityresource.all"
TEAM = {
    "name": "team",
    "displayName": "Your team",
    "description": "Where you work",
    "emphasize": True,
    "userClaims": [{"type": "nickname"}, {"type": "locale"}],
}
OPERATIONS = [
    ("GET", "/IdentityResource"),
    ("PUT", "/IdentityResource"),
    ("POST", "/IdentityResource"),
    ("GET", "/IdentityResource/1"),
    ("DELETE", "/IdentityResource/1"),
]


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def team(root):
    return root.data("GET", f"/IdentityResource/{root.data('POST', '/IdentityResource', TEAM)}")


def test_what_is_made_is_read_again(root, team):
    claims = team.pop("userClaims")
    assert [row["type"] for row in claims] == ["nickname", "locale"]
    assert team.pop("concurrencyStamp")
    assert team == {
        "id": team["id"],
        "enabled": True,
        "name": "team",
        "displayName": "Your team",
        "description": "Where you work",
        "required": False,
        "emphasize": True,
        "showInDiscoveryDocument": True,
    }
    path = f"/IdentityResource/{team['id']}"
    bare = root.send("GET", path, prefix="").get_json()
    assert bare["code"] == 200
    assert bare["data"]["name"] == "team"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_permission_in_a_tenant_opens_nothing(client, session, method, path):
    body: Any = {**TEAM, "id": 1 if method == "PUT" else 0}
    body = body if method in {"PUT", "POST"} else None
    nobody = center.Caller(client, protocol.add_person(session), None)
    manager = center.manager(client, session, ALL)
    tenant = protocol.add_tenant(session, hosts=["acme.example"])
    elsewhere = center.manager(client, session, ALL, username="elsewhere", tenant_id=tenant)
    narrow = center.administrator(client, session, "narrow", scopes=["ids4.ms.client.all"])
    before = center.whole_database(session)
    answer = nobody.send(method, path, body)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for caller in (manager, elsewhere, narrow):
        answer = caller.send(method, path, body)
        assert answer.status_code in {401, 403}
        assert answer.content_type == "application/problem+json"
    # The refusals themselves leave traces, and nothing else does.
    trail = {"audit_event": []}
    assert center.whole_database(session) | trail == before | trail


@pytest.mark.parametrize("by", ["role", "grant"])
def test_the_permission_at_the_platform_opens_the_operations(client, session, by):
    for verb in ("get", "put", "post", "detail"):
        code = f"ids4.ms.identityresource.{verb}"
        user = protocol.add_person(session, verb)
        if by == "role":
            protocol.add_role(session, user, f"keepers-{verb}", [code], tenant_id=None)
        else:
            protocol.grant_directly(session, user, code, tenant_id=None)
        caller = center.Caller(client, user, center.token_for(session, user))
        outcomes = {
            "get": caller.send("GET", "/IdentityResource").status_code,
            "detail": caller.send("GET", "/IdentityResource/1").status_code,
            "put": caller.send("PUT", "/IdentityResource", {"name": "x"}).status_code,
            "post": caller.send("POST", "/IdentityResource", {"name": "x"}).status_code,
        }
        assert outcomes == {**dict.fromkeys(outcomes, 403), verb: 200}


def test_a_grant_at_the_platform_opens_no_tenant_that_the_person_is_not_in(client, session):
    """It is effective in every tenant of the person, and nowhere else."""
    user = protocol.add_person(session, "mary", tenant_ids=[1])
    protocol.grant_directly(session, user, "ids4.ms.us.all", tenant_id=None)
    away = protocol.add_tenant(session, "Away")
    token = center.token_for(session, user, ["ids4.ms.us.all"])
    path = "/user/tenants/mary/privileges"
    for tenants, status in (([1], 200), ([1, away], 403)):
        query = {"tenantIds": tenants}
        answer = client.get(path, headers=protocol.bearer(token), query_string=query)
        assert answer.status_code == status


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "openid"}, "name"),
        ({"name": "ids4.ms.all"}, "name"),
        ({"name": "offline_access"}, "name"),
        ({"id": 7}, "id"),
        ({"id": "7"}, "id"),
        ({"enabled": 0}, "enabled"),
        ({"required": "true"}, "required"),
        ({"emphasize": None}, "emphasize"),
        ({"displayName": "x" * 201}, "displayName"),
        ({"description": "x" * 1001}, "description"),
        ({"userClaims": [{"type": "a b"}]}, "userClaims[0].type"),
        ({"userClaims": [{}]}, "userClaims[0].type"),
        ({"userClaims": [{"type": "a"}, {"type": "a"}]}, "userClaims[1].type"),
        ({"userClaims": [{"id": 1, "type": "a"}]}, "userClaims[0].id"),
        ({"userClaims": [{"type": f"c{n}"} for n in range(10_000)]}, "userClaims"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_makes_no_sense_is_refused_by_field(session, root, wrong, field):
    before = center.whole_database(session)
    assert set(root.refused("POST", "/IdentityResource", {**TEAM, **wrong})) == {field}
    assert center.whole_database(session) == before


@pytest.mark.parametrize("row_id", [0, 99, 2**31, 2**63, 10**30])
def test_ids_of_nothing_are_not_found(root, row_id):
    assert root.call("GET", f"/IdentityResource/{row_id}")["code"] == 404
    assert root.call("DELETE", f"/IdentityResource/{row_id}")["code"] == 404


@pytest.mark.parametrize("row_id", [0, 99, 2**31 - 1])
def test_put_of_what_does_not_exist_is_not_found(session, root, row_id):
    before = center.whole_database(session)
    assert root.call("PUT", "/IdentityResource", {**TEAM, "id": row_id})["code"] == 404
    assert center.whole_database(session) == before


def test_put_of_what_get_gave_changes_nothing(session, root, team):
    rows = root.data("GET", "/IdentityResource")
    assert team in rows
    for row in rows:
        before = center.whole_database(session)
        assert root.data("PUT", "/IdentityResource", row) == row["id"]
        assert center.whole_database(session) == before


def test_put_replaces_scalars_and_keeps_a_missing_list(root, team):
    row = {"id": team["id"], "name": "crew", "userClaims": None}
    root.data("PUT", "/IdentityResource", row)
    seen = root.data("GET", f"/IdentityResource/{team['id']}")
    assert seen["concurrencyStamp"] != team["concurrencyStamp"]
    assert seen == {
        **team,
        "name": "crew",
        "displayName": None,
        "description": None,
        "emphasize": False,
        "concurrencyStamp": seen["concurrencyStamp"],
    }
    root.data("PUT", "/IdentityResource", {**seen, "userClaims": []})
    assert root.data("GET", f"/IdentityResource/{team['id']}")["userClaims"] == []


def test_claims_are_changed_made_and_removed_by_id(session, root, team):
    nickname = team["userClaims"][0]
    claims = [{**nickname, "type": "locale"}, {"type": "zoneinfo"}]
    root.data("PUT", "/IdentityResource", {**team, "userClaims": claims})
    seen = root.data("GET", f"/IdentityResource/{team['id']}")["userClaims"]
    assert seen[0] == {"id": nickname["id"], "type": "locale"}
    assert seen[1]["type"] == "zoneinfo"
    assert seen[1]["id"] not in {row["id"] for row in team["userClaims"]}
    profile = root.data("GET", "/IdentityResource", **{"q.Name": "profile"})[0]
    before = center.whole_database(session)
    foreign = {**team, "userClaims": [profile["userClaims"][0]], "concurrencyStamp": None}
    assert set(root.refused("PUT", "/IdentityResource", foreign)) == {"userClaims[0].id"}
    assert center.whole_database(session) == before


def test_of_two_who_read_the_same_the_second_is_told(client, session, root, team):
    other = center.administrator(client, session, "other")
    root.data("PUT", "/IdentityResource", {**team, "userClaims": [{"type": "zoneinfo"}]})
    before = center.whole_database(session)
    refused = other.refused("PUT", "/IdentityResource", {**team, "displayName": "Mine"})
    assert set(refused) == {"concurrencyStamp"}
    assert center.whole_database(session) == before


def test_what_a_client_lists_is_not_taken_away(session, root, team):
    protocol.register(session, "one", scopes=["openid", "team"])
    before = center.whole_database(session)
    messages = root.refused("PUT", "/IdentityResource", {**team, "name": "crew"})
    assert "team: still used by 1 client" in messages["name"][0]
    messages = root.refused("DELETE", f"/IdentityResource/{team['id']}")
    assert "team: still used by 1 client" in messages["id"][0]
    assert center.whole_database(session) == before
    clients.delete(session, clients.get(session, "one"))
    session.commit()
    assert root.data("DELETE", f"/IdentityResource/{team['id']}") == team["id"]
    assert session.get(IdentityResource, team["id"]) is None
    assert root.call("GET", f"/IdentityResource/{team['id']}")["code"] == 404


def test_openid_stays(session, root):
    openid = root.data("GET", "/IdentityResource", **{"q.Name": "openid"})[0]
    before = center.whole_database(session)
    for wrong, field in (({"name": "other"}, "name"), ({"enabled": False}, "enabled")):
        assert set(root.refused("PUT", "/IdentityResource", {**openid, **wrong})) == {field}
    assert set(root.refused("DELETE", f"/IdentityResource/{openid['id']}")) == {"id"}
    assert center.whole_database(session) == before
    root.data("PUT", "/IdentityResource", {**openid, "displayName": "Know you"})


def test_what_is_made_is_in_discovery_consent_and_tokens_at_once(client, session, root):
    discovery = "/.well-known/openid-configuration"
    assert "team" not in client.get(discovery).get_json()["scopes_supported"]
    made = root.data("POST", "/IdentityResource", TEAM)
    published = client.get(discovery).get_json()
    assert "team" in published["scopes_supported"]
    app = protocol.register(session, scopes=["openid", "team"], require_consent=True)
    silent = protocol.register(session, "silent", scopes=["openid", "team"])
    protocol.sign_in(client, session, protocol.add_person(session, nick_name="Annie"))
    page = client.get(page_of_flow(client, app, "/consent", scope="openid team"))
    assert "Your team" in page.get_data(as_text=True)
    tokens = protocol.obtain(client, silent, "openid team")
    headers = protocol.bearer(tokens.access)
    assert client.get("/connect/userinfo", headers=headers).get_json()["nickname"] == "Annie"

    root.data(
        "PUT",
        "/IdentityResource",
        {"id": made, "name": "team", "showInDiscoveryDocument": False, "userClaims": []},
    )
    assert "team" not in client.get(discovery).get_json()["scopes_supported"]
    assert "nickname" not in client.get("/connect/userinfo", headers=headers).get_json()
    root.data("PUT", "/IdentityResource", {"id": made, "name": "team", "enabled": False})
    answer = protocol.authorize(client, silent, scope="openid team")
    assert protocol.returned(answer)["error"] == "invalid_scope"


def test_a_list_is_filtered_sorted_and_paged(root, team):
    def names(**query: Any) -> list[str]:
        return [row["name"] for row in root.data("GET", "/IdentityResource", **query)]

    assert names() == ["openid", "profile", "email", "phone", "address", "team"]
    assert names(**{"q.Name": "team"}) == ["team"]
    assert names(**{"q.Name": "TEAM"}) == []
    assert names(orderby="name", asc="true", take=2) == ["address", "email"]
    assert names(orderby="Name", skip=1, take=2) == ["profile", "phone"]
    whole = root.call("GET", "/IdentityResource", take=2, skip=1)
    assert (whole["take"], whole["skip"], whole["total"]) == (2, 1, 6)
    for query in ({"orderby": "tenantId"}, {"take": 0}, {"skip": "x"}, {"asc": "perhaps"}):
        assert set(root.refused("GET", "/IdentityResource", **query)) == set(query)


def test_queries_do_not_grow_with_the_rows(runtime, root):
    def count() -> int:
        with center.statements(runtime.engine) as sent:
            root.data("GET", "/IdentityResource", take=100)
        return len(sent)

    count()
    few = count()
    for n in range(45):
        claims = [{"type": "role"}, {"type": "email"}]
        root.data("POST", "/IdentityResource", {"name": f"i{n}", "userClaims": claims})
    assert root.call("GET", "/IdentityResource")["total"] == 50
    assert count() == few


def test_the_code_list_is_empty_and_bare(client):
    assert client.get("/api/IdentityResource/Codes").get_json() == []
    assert client.get("/IdentityResource/Codes").get_json() == []


def test_the_trail_tells_who_changed_what(session, root, team):
    claims = [team["userClaims"][0]]
    content = {**team, "emphasize": False, "userClaims": claims}
    root.data("PUT", "/IdentityResource", content)
    root.data("DELETE", f"/IdentityResource/{team['id']}")
    events = audit.search(session, Filters(user_id=root.user.id))
    assert [event.tag for event in reversed(events)] == [
        Tag.IDENTITY_RESOURCE_CREATED,
        Tag.IDENTITY_RESOURCE_CHANGED,
        Tag.IDENTITY_RESOURCE_DELETED,
    ]
    assert {event.target for event in events} == {"identity-resource:team"}
    assert {event.client_id for event in events} == {center.TOOL}
    assert events[1].details["changes"] == [
        {"field": "emphasize", "before": True, "after": False},
        {"field": "user_claims", "removed": ["locale"], "added": []},
    ]


def test_no_deleted_id_is_given_away_again(session, root, team):
    root.data("DELETE", f"/IdentityResource/{team['id']}")
    assert root.data("POST", "/IdentityResource", TEAM) > team["id"]
    assert len(session.scalars(select(IdentityResource.id)).all()) == 6
