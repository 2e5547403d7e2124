"""Roles of tenants: who may do what with them, and what comes of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from idp.api.userservice.codes import Code
from idp.directory.clients import service as clients
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import center, userservice

ROLES = "/tenants/{}/roles"


@pytest.fixture
def root(client, session):
    return userservice.administrator(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session, acme):
    """A person of the tenant."""
    return protocol.add_person(session, "ann", tenant_ids=[acme])


@pytest.fixture
def privileges(session):
    for code in ("orders.read", "orders.write", "stock.all", "stock.read"):
        catalogue.create_privilege(session, code, code.title())
    session.commit()


def make(session, tenant_id, code="clerk", carried=()):
    role = catalogue.create_role(session, code, code.title(), tenant_id=tenant_id)
    for name in carried:
        catalogue.add_privilege(session, role, catalogue.find_privilege(session, name))
    session.commit()
    return role


def codes_of(caller, tenant_id, code="clerk"):
    return caller.data("GET", f"/tenants/{tenant_id}/roles/{code}/role-privilege")["privilegeCodes"]


def binding(tenant_id, username="ann", done="bind"):
    return f"/{done}/tenants/{tenant_id}/accounts/{username}/roles"


def bound(session, user):
    session.rollback()
    query = select(Role.code).join(UserRole, UserRole.role_id == Role.id)
    return sorted(session.scalars(query.where(UserRole.user_id == user.id)))


# Keeping roles


def test_a_role_is_created_listed_renamed_and_deleted(root, acme):
    path = ROLES.format(acme)
    assert root.data("POST", path, {"code": "clerk", "name": "Clerk"}) is True
    assert root.second("POST", path, {"code": "boss", "name": "老板"})["data"] is True
    listed = root.data("GET", path)
    assert [(row["code"], row["name"], row["tenantId"]) for row in listed] == [
        ("clerk", "Clerk", acme),
        ("boss", "老板", acme),
    ]
    assert [row["privilegeCodes"] for row in listed] == [[], []]
    assert root.second("GET", path)["data"] == listed

    by_id = {"id": listed[0]["id"], "name": "Seller"}
    assert root.data("PUT", "/tenants/roles", by_id) is True
    by_code = {"id": 0, "tenantId": acme, "code": "boss", "name": "Chief", "privilegeCodes": ["x"]}
    assert root.second("PUT", "/tenants/roles", by_code)["data"] is True
    assert [row["name"] for row in root.data("GET", path)] == ["Seller", "Chief"]

    assert root.data("DELETE", f"{path}/clerk") is True
    assert root.second("DELETE", f"{path}/boss")["data"] is True
    assert root.data("GET", path) == []
    # What is not there is deleted already.
    assert root.data("DELETE", f"{path}/clerk") is True
    assert root.data("DELETE", "/tenants/999/roles/clerk") is True


def test_roles_are_found_by_codes_repeated_or_with_commas(root, session, acme):
    for code in ("a", "b", "c"):
        make(session, acme, code)
    make(session, 1, "elsewhere")
    path = f"/roles/tenants/{acme}"
    for asked in (["c", "a", "a", "none"], "c,a,none,elsewhere"):
        found = root.data("GET", path, roleCodes=asked)
        assert [row["code"] for row in found] == ["a", "c"]
        assert root.second("GET", path, roleCodes=asked)["data"] == found
    assert root.data("GET", path, roleCodes="") == []
    assert root.data("GET", "/roles/tenants/999", roleCodes="a") == []
    assert root.refused("GET", path) == (400, "malformed", ["roleCodes"])
    assert root.code("GET", path) is Code.malformed
    many = [f"r{index}" for index in range(10_000)]
    assert root.refused("GET", path, roleCodes=",".join(many[:501]))[2] == ["roleCodes"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "X"}, "code"),
        ({"code": "", "name": "X"}, "code"),
        ({"code": None, "name": "X"}, "code"),
        ({"code": "1234", "name": "X"}, "code"),
        ({"code": "a/b", "name": "X"}, "code"),
        ({"code": "a b", "name": "X"}, "code"),
        ({"code": "privilege-list", "name": "X"}, "code"),
        ({"code": "role-privilege-list", "name": "X"}, "code"),
        ({"code": "x" * 257, "name": "X"}, "code"),
        ({"code": "x"}, "name"),
        ({"code": "x", "name": ""}, "name"),
        ({"code": "x", "name": 7}, "name"),
        ({"code": "x", "name": "X", "tenantId": 1}, "tenantId"),
        ({"code": "x", "name": "X", "tenantId": 2**63}, "tenantId"),
    ],
)
def test_what_is_no_role_is_refused(root, acme, body, field):
    status, _, fields = root.refused("POST", ROLES.format(acme), body)
    assert (status, fields) == (400, [field])
    assert root.second("POST", ROLES.format(acme), body)["isError"]
    assert root.data("GET", ROLES.format(acme)) == []


def test_a_code_is_unique_in_its_tenant_and_none_of_the_platforms(root, session, acme):
    path = ROLES.format(acme)
    make(session, 1, "clerk")
    root.data("POST", path, {"code": "clerk", "name": "Clerk", "tenantId": acme})
    for code in ("clerk", "users", "Administrators"):
        body = {"code": code, "name": "Again"}
        assert root.refused("POST", path, body) == (409, "role_taken", ["code"])
        assert root.code("POST", path, body) is Code.role_taken
    assert root.refused("POST", "/tenants/999/roles", {"code": "x", "name": "X"})[0] == 404
    assert root.code("POST", "/tenants/999/roles", {"code": "x", "name": "X"}) is Code.not_found
    beyond = f"/tenants/{2**70}/roles"
    assert root.refused("POST", beyond, {"code": "x", "name": "X"})[0] == 404
    assert root.data("GET", beyond) == []


def test_tenant_and_code_of_a_role_stay(root, session, acme):
    role = make(session, acme)
    for said, field in (({"code": "other"}, "code"), ({"tenantId": 1}, "tenantId")):
        body = {"id": role.id, "name": "New", **said}
        assert root.refused("PUT", "/tenants/roles", body) == (400, "bad_request", [field])
    for said in ({}, {"id": 999}, {"tenantId": acme}, {"tenantId": acme, "code": "none"}):
        assert root.refused("PUT", "/tenants/roles", {"name": "New", **said})[0] == 404
    platform = catalogue.find_role(session, "users", None)
    body = {"id": platform.id, "name": "New"}
    assert root.code("PUT", "/tenants/roles", body) is Code.not_found
    assert [row["name"] for row in root.data("GET", ROLES.format(acme))] == ["Clerk"]


def test_a_bound_role_is_not_deleted(root, session, acme, ann):
    protocol.add_role(session, ann, "clerk", tenant_id=acme)
    path = f"{ROLES.format(acme)}/clerk"
    assert root.refused("DELETE", path) == (409, "role_bound", ["id"])
    assert root.code("DELETE", path) is Code.role_bound
    root.data("PUT", binding(acme, done="unbind"), roleCodes="clerk")
    assert root.data("DELETE", path) is True


# Privileges of a role


def test_privileges_are_cleared_and_set(root, session, acme, privileges):
    role = make(session, acme)
    stamp = role.concurrency_stamp
    path = f"{ROLES.format(acme)}/clerk/privileges"
    assert root.data("PUT", path, privilegeCodes=["orders.write", "orders.read"]) is True
    assert codes_of(root, acme) == ["orders.read", "orders.write"]
    shown = root.second("GET", f"{ROLES.format(acme)}/clerk/role-privilege")["data"]
    assert shown["privilegeCodes"] == ["orders.read", "orders.write"]
    assert root.second("PUT", path, privilegeCodes="stock.read,stock.read")["data"] is True
    assert codes_of(root, acme) == ["stock.read"]
    session.refresh(role)
    assert role.concurrency_stamp != stamp
    changes = session.scalars(
        select(AuditEvent.details).where(AuditEvent.tag == "admin:role:changed")
    ).all()
    assert "stock.read" in json.dumps(changes[-1])

    before = center.whole_database(session)
    for asked in ("orders.read,none.such", "1234"):
        assert root.refused("PUT", path, privilegeCodes=asked) == (
            400,
            "unknown_privilege",
            ["privilegeCodes"],
        )
        assert root.code("PUT", path, privilegeCodes=asked) is Code.unknown_privilege
    assert root.refused("PUT", path) == (400, "malformed", ["privilegeCodes"])
    assert center.whole_database(session) == before
    assert root.data("PUT", path, privilegeCodes="") is True
    assert codes_of(root, acme) == []
    missing = f"{ROLES.format(acme)}/none/privileges"
    assert root.refused("PUT", missing, privilegeCodes="")[0] == 404
    assert root.code("GET", f"{ROLES.format(acme)}/none/role-privilege") is Code.not_found


def test_claims_of_a_role_stay_when_its_privileges_change(root, session, acme, privileges):
    caller = center.Caller(root.browser, None, root.token)
    body = {"name": "clerk", "tenantId": acme}
    body["claims"] = [{"claimType": "desk", "claimValue": "7"}]
    role_id = caller.data("POST", "/Role", body)
    path = f"{ROLES.format(acme)}/clerk/privileges"
    root.data("PUT", path, privilegeCodes="orders.read")
    root.data("PUT", "/tenants/roles", {"id": role_id, "name": "Seller"})
    shown = caller.data("GET", f"/Role/{role_id}")
    assert [(row["claimType"], row["claimValue"]) for row in shown["claims"]] == [
        ("desk", "7"),
        ("permission", "orders.read"),
    ]


def test_nobody_sets_what_is_not_his_to_give(client, session, acme, privileges):
    mary = userservice.member(
        client, session, "ids4.ms.us.role.all", "orders.read", "stock.all", tenant_id=acme
    )
    make(session, acme)
    path = f"{ROLES.format(acme)}/clerk/privileges"
    assert mary.data("PUT", path, privilegeCodes="orders.read,stock.read") is True
    for asked in ("orders.write", "orders.read,ids4.ms.all", "ids4.ms.us.account.page"):
        assert mary.refused("PUT", path, privilegeCodes=asked)[:2] == (400, "unknown_privilege")
        assert mary.code("PUT", path, privilegeCodes=asked) is Code.unknown_privilege
    assert codes_of(mary, acme) == ["orders.read", "stock.read"]
    # What is there already is not given again.
    center.limit(session, acme, "orders.read")
    assert mary.data("PUT", path, privilegeCodes="orders.read,stock.read") is True
    assert mary.data("PUT", path, privilegeCodes="orders.read") is True
    assert mary.code("PUT", path, privilegeCodes="stock.read") is Code.unknown_privilege


def test_a_bundle_limits_administrators_too(root, session, acme, privileges):
    center.limit(session, acme, "orders.read", "stock.all")
    make(session, acme)
    path = f"{ROLES.format(acme)}/clerk/privileges"
    assert root.data("PUT", path, privilegeCodes="orders.read,stock.read") is True
    assert root.code("PUT", path, privilegeCodes="orders.write") is Code.unknown_privilege
    # Everything of the product does not cover what has no owner.
    assert root.code("PUT", path, privilegeCodes="ids4.ms.all") is Code.unknown_privilege
    assert codes_of(root, acme) == ["orders.read", "stock.read"]


def test_a_machine_gives_what_its_client_lists(client, session, acme, ann, privileges):
    for tenant_id in (acme, None):
        name = f"robot-{tenant_id}"
        robot = userservice.machine(client, session, name, tenant_id=tenant_id)
        path = ROLES.format(acme)
        robot.data("POST", path, {"code": name, "name": "X"})
        change = f"{path}/{name}/privileges"
        assert robot.code("PUT", change, privilegeCodes="stock.read") is Code.unknown_privilege
        app = clients.find(session, name)
        clients.update(session, app, {"grantable_privileges": "stock.all"})
        session.commit()
        assert robot.data("PUT", change, privilegeCodes="stock.read") is True
        assert robot.code("PUT", change, privilegeCodes="orders.read") is Code.unknown_privilege
        assert robot.data("POST", binding(acme), roleCodes=name) is True
        clients.update(session, app, {"grantable_privileges": ""})
        session.commit()
        robot.data("PUT", binding(acme, done="unbind"), roleCodes=name)
        assert robot.code("POST", binding(acme), roleCodes=name) is Code.overreach
    assert bound(session, ann) == []


# Binding


def test_roles_are_bound_and_unbound_and_the_next_token_tells(client, root, session, acme, ann):
    api = protocol.add_api(session, "orders", ["orders.read"])
    for code in ("orders.read", "orders.write"):
        catalogue.create_privilege(session, code, code, api_resource_id=api.id)
    make(session, acme, "clerk", ["orders.read", "orders.write"])
    make(session, acme, "guest")

    def claims():
        session.expire_all()
        token = protocol.payload(center.token_for(session, ann, ["orders.read"], acme))
        return token["role"], token["permission"]

    assert claims() == ([], [])
    assert root.data("POST", binding(acme), roleCodes=["clerk", "guest", "clerk"]) is True
    assert root.second("POST", binding(acme), roleCodes="clerk")["data"] is True
    assert bound(session, ann) == ["clerk", "guest"]
    assert claims() == (["clerk", "guest"], ["orders.read", "orders.write"])
    path = f"{ROLES.format(acme)}/clerk/privileges"
    root.data("PUT", path, privilegeCodes="orders.read")
    assert claims() == (["clerk", "guest"], ["orders.read"])
    assert root.data("PUT", binding(acme, done="unbind"), roleCodes="clerk") is True
    assert root.second("PUT", binding(acme, done="unbind"), roleCodes="clerk")["data"] is True
    assert claims() == (["guest"], [])

    for tag, codes in (("given", ["clerk", "guest"]), ("taken", ["clerk"])):
        rows = session.scalars(
            select(AuditEvent)
            .where(AuditEvent.tag == f"admin:user-role:{tag}", AuditEvent.tenant_id == acme)
            .order_by(AuditEvent.id)
        ).all()
        assert [row.details for row in rows] == [{"role": code} for code in codes]
        assert {(row.target, row.user_id) for row in rows} == {(f"user:{ann.id}", root.user_id)}


def test_account_and_roles_must_be_of_the_tenant(root, session, acme, ann):
    make(session, acme)
    make(session, 1, "elsewhere")
    protocol.add_person(session, "bob")
    for done, method in (("bind", "POST"), ("unbind", "PUT")):
        for name in ("bob", "nobody", "1234", "%00", "a%2Fb"):
            answer = root.send(method, binding(acme, name, done), roleCodes="clerk")
            assert answer.status_code in {400, 404}, name
        assert root.code(method, binding(acme, "bob", done), roleCodes="clerk") is Code.not_found
        path = binding(acme, done=done)
        assert root.refused(method, binding(999, done=done), roleCodes="clerk")[0] == 404
        for asked in ("elsewhere", "users", "clerk,none"):
            assert root.refused(method, path, roleCodes=asked) == (
                400,
                "unknown_role",
                ["roleCodes"],
            )
            assert root.code(method, path, roleCodes=asked) is Code.unknown_role
        assert root.data(method, path, roleCodes="") is True
    assert bound(session, ann) == []


def test_nobody_binds_what_he_does_not_hold_or_the_bundle_lacks(
    client, session, acme, ann, root, privileges
):
    mary = userservice.member(client, session, "ids4.ms.us.role.bind", "stock.all", tenant_id=acme)
    make(session, acme, "clerk", ["orders.read"])
    make(session, acme, "keeper", ["stock.read"])
    make(session, acme, "boss", ["ids4.ms.all"])
    assert mary.data("POST", binding(acme), roleCodes="keeper") is True
    for asked in ("clerk", "boss", "keeper,clerk"):
        assert mary.refused("POST", binding(acme), roleCodes=asked) == (
            400,
            "overreach",
            ["roleCodes"],
        )
        assert mary.code("POST", binding(acme), roleCodes=asked) is Code.overreach
    assert mary.code("POST", binding(acme, "mary"), roleCodes="keeper") is Code.overreach
    center.limit(session, acme, "orders.read")
    assert root.data("POST", binding(acme), roleCodes="clerk") is True
    assert root.code("POST", binding(acme), roleCodes="boss") is Code.overreach
    assert bound(session, ann) == ["clerk", "keeper"]


def test_a_role_of_another_tenant_is_out_of_reach(client, session, acme, ann):
    other = protocol.add_tenant(session, "Other")
    role = make(session, other)
    make(session, acme)
    mary = userservice.member(client, session, "ids4.ms.us.all", tenant_id=acme)
    robot = userservice.machine(client, session, tenant_id=acme)
    for caller in (mary, robot):
        assert caller.data(
            "PUT", "/tenants/roles", {"tenantId": acme, "code": "clerk", "name": "A"}
        )
        for method, path, body, query in (
            ("GET", ROLES.format(other), None, {}),
            ("POST", ROLES.format(other), {"code": "x", "name": "X"}, {}),
            ("DELETE", f"{ROLES.format(other)}/clerk", None, {}),
            ("GET", f"{ROLES.format(other)}/clerk/role-privilege", None, {}),
            ("PUT", f"{ROLES.format(other)}/clerk/privileges", None, {"privilegeCodes": ""}),
            ("GET", f"/roles/tenants/{other}", None, {"roleCodes": "clerk"}),
            ("POST", binding(other), None, {"roleCodes": "clerk"}),
            ("PUT", binding(other, done="unbind"), None, {"roleCodes": "clerk"}),
            ("PUT", "/tenants/roles", {"id": role.id, "name": "Mine"}, {}),
            ("PUT", "/tenants/roles", {"tenantId": other, "code": "clerk", "name": "Mine"}, {}),
            # The tenant that is said does not hide whose role it is.
            ("PUT", "/tenants/roles", {"id": role.id, "tenantId": acme, "name": "Mine"}, {}),
        ):
            assert caller.send(method, path, body, **query).status_code == 403, (method, path)
    session.refresh(role)
    assert role.name == "Clerk"


def test_the_permission_counts_in_the_tenant_that_is_touched(client, session, acme):
    mary = userservice.member(client, session, tenant_id=1)
    user = session.get(User, mary.user_id)
    role = make(session, acme)
    body = {"id": role.id, "name": "Seller"}
    assert mary.refused("PUT", "/tenants/roles", body)[0] == 403
    tenants.add_member(session, acme, user.id)
    protocol.grant_directly(session, user, "ids4.ms.us.role.update", tenant_id=acme)
    assert mary.data("PUT", "/tenants/roles", body) is True
    # Their own tenant is another.
    mine = make(session, 1)
    assert mary.refused("PUT", "/tenants/roles", {**body, "id": mine.id})[0] == 403


# At once


def test_of_two_that_create_a_role_at_once_one_wins(root, session, acme, new_client):
    path = ROLES.format(acme)
    body = {"code": "x", "name": "X"}
    browsers = [new_client() for _ in range(4)]
    answers = at_once(
        [lambda b=b: ask(root, b, "POST", f"/user{path}", json=body) for b in browsers]
    )
    assert sorted(answers) == [200, 409, 409, 409]
    assert len(root.data("GET", path)) == 1


def test_binding_and_deleting_at_once_leaves_no_orphan(root, session, acme, ann, new_client):
    browsers = [new_client() for _ in range(4)]
    for index in range(5):
        code = f"r{index}"
        make(session, acme, code)
        bind = f"/user{binding(acme)}?roleCodes={code}"
        drop = f"/user{ROLES.format(acme)}/{code}"
        calls = [
            lambda b=browsers[0], p=bind: ask(root, b, "POST", p),
            lambda b=browsers[1], p=drop: ask(root, b, "DELETE", p),
            lambda b=browsers[2], p=bind: ask(root, b, "POST", p),
            lambda b=browsers[3], p=drop: ask(root, b, "DELETE", p),
        ]
        first, second, third, fourth = at_once(calls)
        assert {first, third} <= {200, 400}
        assert {second, fourth} <= {200, 409}
        is_there = root.data("GET", f"/roles/tenants/{acme}", roleCodes=code) != []
        assert (code in bound(session, ann)) is is_there


def ask(caller, browser, method, path, **options):
    headers = protocol.bearer(caller.token)
    return browser.open(path, method=method, headers=headers, **options).status_code


def at_once(calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


# How much is asked of the database


def test_many_roles_and_privileges_cost_no_more_statements(root, session, runtime, acme, ann):
    del ann
    counts = []
    for size in (2, 60):
        for index in range(size):
            catalogue.create_privilege(session, f"p{size}.{index}", "P")
            make(session, acme, f"r{size}-{index}")
        privileges = ",".join(f"p{size}.{index}" for index in range(size))
        roles = ",".join(f"r{size}-{index}" for index in range(size))
        root.data("GET", ROLES.format(acme))
        calls = (
            ("GET", ROLES.format(acme), {}),
            ("PUT", f"{ROLES.format(acme)}/r{size}-0/privileges", {"privilegeCodes": privileges}),
            ("GET", f"{ROLES.format(acme)}/r{size}-0/role-privilege", {}),
            ("GET", f"{ROLES.format(acme)}/privilege-list", {"roleCodes": roles}),
            ("GET", f"{ROLES.format(acme)}/role-privilege-list", {"roleCodes": roles}),
            ("POST", binding(acme), {"roleCodes": roles}),
            ("PUT", binding(acme, done="unbind"), {"roleCodes": roles}),
        )
        for method, path, query in calls:
            with center.statements(runtime.engine) as sent:
                root.data(method, path, **query)
            # Every role that is given is an event of its own; SQLite writes them one by one.
            asked = [text for text in sent if not text.startswith("INSERT INTO audit_event")]
            counts.append((size, method, len(asked)))
    few, many = ([row[1:] for row in counts if row[0] == size] for size in (2, 60))
    assert few == many
    assert max(count for _, count in many) < 30
