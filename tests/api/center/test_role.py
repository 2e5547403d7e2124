"""Roles: what they are made of, who may make them, and what must not be granted."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from idp.directory.permissions import BUILT_IN
from idp.directory.roles.models import Privilege, Role, RoleClaim, UserRole
from idp.directory.tenants import service as tenants
from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from idp.seeds import PLATFORM_ROLES
from tests import protocol
from tests.api import center

ALL = "ids4.ms.role.all"
CLERK = {
    "name": "clerk",
    "normalizedName": "文员",
    "claims": [
        {"claimType": "department", "claimValue": "sales"},
        {"claimType": "permission", "claimValue": "ids4.ms.role.get"},
    ],
}


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, ALL)


@pytest.fixture
def clerk(mary):
    return mary.data("GET", f"/Role/{mary.data('POST', '/Role', CLERK)}")


@pytest.fixture
def abroad(client, session):
    """Return a person who may do everything about roles in another tenant."""
    other = protocol.add_tenant(session, "Other")
    return center.manager(client, session, ALL, username="abroad", tenant_id=other)


def permissions(role):
    return {row["claimValue"] for row in role["claims"] if row["claimType"] == "permission"}


def permission(code, **members):
    return {"claimType": "permission", "claimValue": code, **members}


# Done


def test_what_is_made_is_read_again(session, mary, clerk):
    assert (clerk["name"], clerk["normalizedName"], clerk["tenantId"]) == ("clerk", "文员", 1)
    own, privilege = clerk["claims"]
    assert (own["claimType"], own["claimValue"]) == ("department", "sales")
    assert own["id"] > 0
    assert (privilege["claimType"], privilege["claimValue"]) == ("permission", "ids4.ms.role.get")
    assert privilege["id"] == 0
    assert {row["roleId"] for row in clerk["claims"]} == {clerk["id"]}
    stored = session.get_one(Role, clerk["id"])
    assert (stored.code, stored.name, stored.tenant_id) == ("clerk", "文员", 1)
    assert [row.code for row in stored.privileges] == ["ids4.ms.role.get"]
    # A permission is a privilege of the role and never a claim beside it.
    assert session.scalars(select(RoleClaim.type)).all() == ["department"]


def test_a_role_without_a_second_name_is_called_by_its_code(mary):
    made = mary.data("POST", "/Role", {"name": "plain"})
    assert mary.data("GET", f"/Role/{made}")["normalizedName"] == "plain"


def test_the_list_has_no_pages_and_tells_how_many_there_are(root, mary, clerk):
    assert set(mary.refused("GET", "/Role", take=1, skip=5)) == {"take", "skip"}
    content = mary.call("GET", "/Role")
    assert [row["name"] for row in content["data"]] == ["clerk"]
    assert (content["take"], content["skip"], content["total"]) == (1, 0, 1)
    assert content["data"] == [clerk]
    content = root.call("GET", "/Role")
    assert {row["name"] for row in content["data"]} == {*PLATFORM_ROLES, "clerk"}
    assert content["take"] == content["total"] == len(content["data"])


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_every_operation_is_served_with_and_without_the_prefix(mary, clerk, prefix):
    for path in ("/Role", f"/Role/{clerk['id']}"):
        assert mary.send("GET", path, prefix=prefix).get_json()["code"] == 200, path
    answer = mary.send("GET", "/Role/Codes", prefix=prefix)
    assert (answer.status_code, answer.get_json()) == (200, [])


def test_a_role_works_in_tokens_as_soon_as_it_is_written(client, session, mary, clerk):
    bob = protocol.add_person(session, "bob")
    session.add(UserRole(user_id=bob.id, role_id=clerk["id"]))
    caller = center.Caller(client, bob, center.token_for(session, bob))
    claims = protocol.payload(caller.token)
    assert "clerk" in claims["role"]
    assert claims["permission"] == ["ids4.ms.role.get"]
    assert caller.call("GET", "/Role")["total"] == 1
    mary.data("PUT", "/Role", {**clerk, "claims": []})
    assert caller.send("GET", "/Role").status_code == 403


def test_a_role_is_deleted_unless_somebody_has_it(session, mary, clerk):
    bob = protocol.add_person(session, "bob")
    protocol.add_role(session, bob, "clerk")
    assert set(mary.refused("DELETE", f"/Role/{clerk['id']}")) == {"id"}
    session.execute(UserRole.__table__.delete())
    assert mary.data("DELETE", f"/Role/{clerk['id']}") == clerk["id"]
    assert mary.misses("GET", f"/Role/{clerk['id']}")
    assert session.scalars(select(RoleClaim)).all() == []


# Replacing


def test_put_of_what_get_gave_changes_nothing(session, root, mary, clerk):
    for row in [clerk, *root.call("GET", "/Role")["data"]]:
        before = center.whole_database(session)
        assert root.data("PUT", "/Role", row) == row["id"]
        assert center.whole_database(session) == before
    assert mary.data("PUT", "/Role", clerk) == clerk["id"]
    assert center.whole_database(session) == before


def test_a_missing_list_stays_and_an_empty_one_clears(session, mary, clerk):
    content = {"id": clerk["id"], "name": "clerk"}
    for rest in ({}, {"claims": None}):
        mary.data("PUT", "/Role", {**content, **rest})
        seen = mary.data("GET", f"/Role/{clerk['id']}")
        assert seen["claims"] == clerk["claims"]
        assert seen["normalizedName"] == "clerk"
    mary.data("PUT", "/Role", {**content, "claims": []})
    assert mary.data("GET", f"/Role/{clerk['id']}")["claims"] == []
    assert session.get_one(Role, clerk["id"]).privileges == []


def test_claims_are_changed_made_and_removed(mary, clerk):
    own = clerk["claims"][0]
    claims = [
        {**own, "claimValue": "stock"},
        {"claimType": "floor", "claimValue": "3"},
        permission(" ids4.ms.role.put, ids4.ms.role.detail"),
    ]
    mary.data("PUT", "/Role", {**clerk, "name": "officer", "claims": claims})
    seen = mary.data("GET", f"/Role/{clerk['id']}")
    assert seen["name"] == "officer"
    assert permissions(seen) == {"ids4.ms.role.put", "ids4.ms.role.detail"}
    assert seen["claims"][0] == {**own, "claimValue": "stock"}
    assert seen["claims"][1]["claimType"] == "floor"
    assert seen["concurrencyStamp"] != clerk["concurrencyStamp"]
    mary.data("PUT", "/Role", {**seen, "claims": seen["claims"][1:]})
    assert len(mary.data("GET", f"/Role/{clerk['id']}")["claims"]) == 3


def test_foreign_children_are_refused(session, mary, clerk):
    other = mary.data(
        "POST", "/Role", {"name": "other", "claims": [{"claimType": "a", "claimValue": "b"}]}
    )
    foreign = mary.data("GET", f"/Role/{other}")["claims"][0]
    before = center.whole_database(session)
    for claims in (
        [{**foreign, "claimValue": "stolen"}],
        [clerk["claims"][0], {**clerk["claims"][0], "claimValue": "again"}],
        [permission("ids4.ms.role.get", id=foreign["id"])],
    ):
        refused = mary.refused("PUT", "/Role", {**clerk, "claims": claims})
        assert set(refused) == {f"claims[{len(claims) - 1}].id"}
    assert center.whole_database(session) == before


def test_of_two_who_read_the_same_the_second_is_told(session, mary, clerk, root):
    mary.data("PUT", "/Role", {**clerk, "claims": [permission("ids4.ms.role.put")]})
    before = center.whole_database(session)
    assert set(root.refused("PUT", "/Role", clerk)) == {"concurrencyStamp"}
    assert center.whole_database(session) == before
    # Who does not say what was read has the last word, and takes no list along.
    root.data("PUT", "/Role", {"id": clerk["id"], "name": "clerk", "normalizedName": "Mine"})
    seen = mary.data("GET", f"/Role/{clerk['id']}")
    assert (seen["normalizedName"], permissions(seen)) == ("Mine", {"ids4.ms.role.put"})


@pytest.mark.parametrize("stamped", [True, False])
def test_two_at_the_same_time_lose_nothing_silently(new_client, session, mary, clerk, stamped):
    barrier = threading.Barrier(2)
    outcomes: list[Any] = []

    def save(number: int) -> None:
        browser = new_client()
        browser._database = None
        caller = center.Caller(browser, mary.user, mary.token)
        added = {"claimType": f"claim{number}", "claimValue": "x"}
        content = {**clerk, "claims": [*clerk["claims"], added]}
        if not stamped:
            del content["concurrencyStamp"]
        barrier.wait()
        outcomes.append(caller.call("PUT", "/Role", content)["code"])

    session.commit()
    threads = [threading.Thread(target=save, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ([200, 422] if stamped else [200, 200])
    assert len(mary.data("GET", f"/Role/{clerk['id']}")["claims"]) == 3


# Refused


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": "two words"}, "name"),
        ({"name": "a,b"}, "name"),
        ({"name": "12345"}, "name"),
        ({"name": 5}, "name"),
        ({"normalizedName": "x" * 257}, "normalizedName"),
        ({"normalizedName": "a\u202eb"}, "normalizedName"),
        ({"id": "seven"}, "id"),
        ({"id": 2**63}, "id"),
        ({"tenantId": 2}, "tenantId"),
        ({"claims": "x"}, "claims"),
        ({"claims": [{"claimType": "a", "claimValue": "b"}] * 10_000}, "claims"),
        ({"claims": [{"claimType": "a"}]}, "claims[0].claimValue"),
        ({"claims": [{"claimType": "", "claimValue": "b"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": " ", "claimValue": "b"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": "email", "claimValue": "x@y.zz"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": "role", "claimValue": "boss"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": "sub", "claimValue": "1"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": "Permission", "claimValue": "x"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": " SUB", "claimValue": "1"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": "a", "claimValue": "b"}] * 2}, "claims[1].claimValue"),
        ({"claims": [permission(" , ")]}, "claims[0].claimValue"),
        ({"claims": [permission("no.such.thing")]}, "claims[0].claimValue"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_field(session, mary, clerk, wrong, field):
    before = center.whole_database(session)
    assert field in mary.refused("POST", "/Role", {**CLERK, "name": "new", **wrong})
    assert field in mary.refused("PUT", "/Role", {**clerk, **wrong})
    after = center.whole_database(session)
    assert {**after, "audit_event": before["audit_event"]} == before


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"'])
def test_what_is_no_json_is_an_http_problem(mary, body):
    assert mary.send("POST", "/Role", body).status_code == 400


@pytest.mark.parametrize("role_id", [0, 999, 2**31, 2**63, 10**30])
def test_ids_of_nothing_are_not_found(root, role_id):
    assert root.misses("GET", f"/Role/{role_id}")
    assert root.misses("DELETE", f"/Role/{role_id}")
    if role_id < 2**63:
        assert root.misses("PUT", "/Role", {"id": role_id, "name": "x"})


# Who may


OPERATIONS = [
    ("GET", "/Role"),
    ("PUT", "/Role"),
    ("POST", "/Role"),
    ("GET", "/Role/1"),
    ("DELETE", "/Role/1"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_token_scope_and_permission_are_all_needed(client, session, method, path):
    body = {"name": "x"} if method in {"PUT", "POST"} else None
    nobody = center.Caller(client, protocol.add_person(session), None)
    answer = nobody.send(method, path, body)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    other = center.manager(client, session, ALL, username="scope", scopes=["ids4.ms.client.all"])
    assert other.send(method, path, body).status_code == 403
    other = center.manager(client, session, "ids4.ms.client.all", username="permission")
    assert other.send(method, path, body).status_code == 403


def test_roles_of_another_tenant_do_not_exist(session, mary, clerk, abroad):
    before = center.whole_database(session)
    assert abroad.call("GET", "/Role")["data"] == []
    assert abroad.misses("GET", f"/Role/{clerk['id']}")
    assert abroad.misses("PUT", "/Role", clerk)
    assert abroad.misses("DELETE", f"/Role/{clerk['id']}")
    assert center.whole_database(session) == before


def test_the_same_code_means_another_role_in_another_tenant(session, mary, clerk, abroad):
    made = abroad.data("POST", "/Role", {"name": "clerk"})
    assert session.get_one(Role, made).tenant_id == abroad.data("GET", f"/Role/{made}")["tenantId"]
    assert made != clerk["id"]
    assert set(mary.refused("POST", "/Role", {"name": "clerk"})) == {"name"}


def test_roles_of_the_platform_are_the_administrators(session, mary, root):
    made = root.data("POST", "/Role", {"name": "auditors", "claims": [permission("ids4.ms.all")]})
    assert root.data("GET", f"/Role/{made}")["tenantId"] is None
    same = root.data("POST", "/Role", {"name": "zero", "tenantId": 0})
    assert root.data("GET", f"/Role/{same}")["tenantId"] is None
    before = center.whole_database(session)
    for row in root.call("GET", "/Role")["data"]:
        assert mary.misses("GET", f"/Role/{row['id']}")
        assert mary.misses("PUT", "/Role", row)
        assert mary.misses("DELETE", f"/Role/{row['id']}")
    assert center.whole_database(session) == before


def test_an_administrator_of_the_platform_makes_roles_for_a_tenant(session, root, abroad):
    tenant_id = session.scalars(select(tenants.Tenant.id).where(tenants.Tenant.id > 1)).one()
    made = root.data("POST", "/Role", {"name": "guide", "tenantId": tenant_id})
    seen = abroad.data("GET", f"/Role/{made}")
    assert seen["tenantId"] == tenant_id
    assert set(root.refused("PUT", "/Role", {**seen, "tenantId": 1})) == {"tenantId"}
    assert set(root.refused("POST", "/Role", {"name": "x", "tenantId": 77})) == {"tenantId"}


@pytest.mark.parametrize("code", ["administrators", "Administrators", "users"])
def test_codes_of_platform_roles_are_reserved_in_every_tenant(mary, clerk, abroad, code):
    assert set(mary.refused("POST", "/Role", {"name": code})) == {"name"}
    assert set(mary.refused("PUT", "/Role", {**clerk, "name": code})) == {"name"}
    assert set(abroad.refused("POST", "/Role", {"name": code})) == {"name"}


def test_the_platform_does_not_take_a_code_that_a_tenant_uses(mary, clerk, root):
    assert set(root.refused("POST", "/Role", {"name": "clerk"})) == {"name"}
    assert set(root.refused("POST", "/Role", {"name": "Clerk"})) == {"name"}
    other = root.data("GET", f"/Role/{root.data('POST', '/Role', {'name': 'other'})}")
    assert set(root.refused("PUT", "/Role", {**other, "name": "clerk"})) == {"name"}


def test_roles_that_the_product_brings_stay(session, root):
    assert set(PLATFORM_ROLES) == BUILT_IN
    before = center.whole_database(session)
    for row in root.call("GET", "/Role")["data"]:
        assert set(root.refused("DELETE", f"/Role/{row['id']}")) == {"id"}
        assert set(root.refused("PUT", "/Role", {**row, "name": "renamed"})) == {"name"}
        if row["name"] == "administrators":
            assert set(root.refused("PUT", "/Role", {**row, "claims": []})) == {"claims"}
    assert center.whole_database(session) == before


def test_a_role_that_the_product_brings_can_be_called_otherwise(root):
    row = next(row for row in root.call("GET", "/Role")["data"] if row["name"] == "partners")
    root.data("PUT", "/Role", {**row, "normalizedName": "合作伙伴"})
    assert root.data("GET", f"/Role/{row['id']}")["normalizedName"] == "合作伙伴"


# A permission that a person does not hold cannot be granted by them


@pytest.mark.parametrize("code", ["ids4.ms.all", "ids4.ms.client.get", "orders.refund"])
def test_nobody_gives_a_permission_that_he_does_not_hold(session, mary, clerk, code):
    session.add(Privilege(code="orders.refund", name="Refund"))
    session.commit()
    before = center.whole_database(session)
    claims = [*clerk["claims"], permission(code)]
    assert set(mary.refused("PUT", "/Role", {**clerk, "claims": claims})) == {
        "claims[2].claimValue"
    }
    assert set(mary.refused("POST", "/Role", {"name": "x", "claims": claims[2:]})) == {
        "claims[0].claimValue"
    }
    after = center.whole_database(session)
    assert {**after, "audit_event": before["audit_event"]} == before
    tried = audit.search(session, Filters(tag=Tag.OPERATION_REFUSED, user_id=mary.user.id))
    assert {event.target for event in tried} == {"operation:role-put", "operation:role-post"}


def test_what_one_holds_elsewhere_does_not_count(client, session, mary, clerk, abroad):
    other = session.scalars(select(tenants.Tenant.id).where(tenants.Tenant.id > 1)).one()
    tenants.add_member(session, other, mary.user.id)
    protocol.grant_directly(session, mary.user, "ids4.ms.client.get", tenant_id=other)
    claims = [permission("ids4.ms.client.get")]
    assert mary.refused("PUT", "/Role", {**clerk, "claims": claims})


def test_everything_of_one_owner_is_nothing_of_another(session, mary, clerk):
    """A `.all` that belongs to one API gives no right to codes of another that begin alike."""
    shop = protocol.add_api(session, "shop", ["shop.read"])
    till = protocol.add_api(session, "till", ["till.read"])
    session.add_all(
        [
            Privilege(code="shop.all", name="x", api_resource_id=shop.id),
            Privilege(code="shop.sell", name="x", api_resource_id=shop.id),
            Privilege(code="shop.till", name="x", api_resource_id=till.id),
        ]
    )
    session.flush()
    protocol.grant_directly(session, mary.user, "shop.all", tenant_id=1)
    mary.data("PUT", "/Role", {**clerk, "claims": [permission("shop.sell")]})
    mary.refused("PUT", "/Role", {"id": clerk["id"], "name": "clerk",
                                  "claims": [permission("shop.till")]})  # fmt: skip


def test_nobody_gives_a_role_what_the_bundle_of_its_tenant_lacks(client, session, root):
    acme = protocol.add_tenant(session)
    session.add_all(Privilege(code=code, name="x") for code in ("a.all", "a.read", "b.read"))
    mary = center.manager(client, session, ALL, "a.all", "b.read", username="m", tenant_id=acme)
    inside, beyond = permission("a.read"), permission("b.read")
    role = {"name": "clerk", "tenantId": acme}
    kept = root.data("POST", "/Role", {**role, "name": "before", "claims": [beyond]})
    center.limit(session, acme, "a.all")
    for caller in (root, mary):
        body = {**role, "name": caller.user.username}
        refused = caller.refused("POST", "/Role", {**body, "claims": [inside, beyond]})
        assert set(refused) == {"claims[1].claimValue"}
        role_id = caller.data("POST", "/Role", {**body, "claims": [inside]})
        shown = caller.data("GET", f"/Role/{role_id}")
        assert caller.refused("PUT", "/Role", {**shown, "claims": [*shown["claims"], beyond]})
        # What is there already is not given again.
        shown = caller.data("GET", f"/Role/{kept}")
        caller.data("PUT", "/Role", {**shown, "normalizedName": caller.user.username})
    # Roles of the platform, and of tenants without a bundle, have no limit.
    root.data("POST", "/Role", {"name": "everywhere", "claims": [beyond]})
    root.data("POST", "/Role", {"name": "here", "tenantId": 1, "claims": [beyond]})


def test_what_a_role_has_already_stays_though_its_manager_lacks_it(root, mary, clerk):
    claims = [*clerk["claims"], permission("ids4.ms.client.get")]
    root.data("PUT", "/Role", {**clerk, "claims": claims})
    seen = mary.data("GET", f"/Role/{clerk['id']}")
    mary.data("PUT", "/Role", {**seen, "normalizedName": "Other"})
    seen = mary.data("GET", f"/Role/{clerk['id']}")
    assert permissions(seen) == {"ids4.ms.role.get", "ids4.ms.client.get"}
    # Taking away is no giving; giving it again would be.
    mary.data("PUT", "/Role", {**seen, "claims": []})
    assert mary.refused("PUT", "/Role", {**clerk, "concurrencyStamp": None, "claims": claims})


# Cost and trail


def test_queries_do_not_grow_with_the_rows(runtime, root, mary):
    def count() -> int:
        with center.statements(runtime.engine) as sent:
            root.data("GET", "/Role")
        return len(sent)

    count()
    few = count()
    for number in range(50):
        mary.data("POST", "/Role", {**CLERK, "name": f"clerk{number}"})
    assert root.call("GET", "/Role")["total"] == 50 + len(PLATFORM_ROLES)
    assert count() == few


def test_the_trail_tells_who_changed_what(session, mary, clerk):
    claims = [*clerk["claims"][:1], permission("ids4.ms.role.put")]
    mary.data("PUT", "/Role", {**clerk, "name": "officer", "claims": claims})
    mary.data("DELETE", f"/Role/{clerk['id']}")
    events = [*reversed(audit.search(session, Filters(user_id=mary.user.id, tenant_id=1)))][-3:]
    assert [event.tag for event in events] == [
        Tag.ROLE_CREATED,
        Tag.ROLE_CHANGED,
        Tag.ROLE_DELETED,
    ]
    assert {event.target for event in events} == {f"role:{clerk['id']}"}
    assert {event.client_id for event in events} == {center.TOOL}
    assert events[1].details["changes"] == [
        {"field": "role", "before": "clerk", "after": "officer"},
        {"field": "privileges", "removed": ["ids4.ms.role.get"], "added": ["ids4.ms.role.put"]},
    ]
