"""Tenants of the user service: founded, read, searched; their bundles set and switched."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from idp.api.userservice.codes import Code
from idp.directory import permissions
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform.errors import Conflict
from tests import protocol
from tests.api import userservice

PASSWORD = "seven-green-cups-9"
CODES = ("orders.read", "orders.write", "stock.read")


@pytest.fixture
def root(client, session):
    for code in CODES:
        catalogue.create_privilege(session, code, code)
    session.commit()
    return userservice.administrator(client, session)


def ability(*admin_roles, **granted):
    rows = [
        {"code": code, "name": code.title(), "privilegeCodes": list(codes)}
        for code, codes in granted.items()
    ]
    return json.dumps({"roles": rows, "adminRoleCodes": list(admin_roles)})


def add_bundle(root, code, text, *, initialize=False, kind="company"):
    said = {
        "code": code,
        "name": code,
        "tenantTypeCode": kind,
        "ability": text,
        "initialize": initialize,
    }
    assert root.data("POST", "/bundles", said) is True


@pytest.fixture
def plans(root):
    """Two bundles for companies: what all start with, and what some switch to."""
    start = ability("boss", boss=("orders.read", "orders.write"), clerk=("orders.read",))
    add_bundle(root, "start", start, initialize=True)
    add_bundle(root, "plus", ability("boss", boss=("orders.read", "stock.read"), buyer=()))
    return root


def a_tenant(**changes):
    return {
        "name": "Acme",
        "tenantTypeCode": "company",
        "username": "ann",
        "password": PASSWORD,
        **changes,
    }


def role_of(session, tenant_id, code):
    role = catalogue.find_role(session, code, tenant_id)
    return None if role is None else sorted(row.code for row in role.privileges)


def test_a_tenant_comes_with_its_administrator_and_its_bundle(plans, session, client):
    shown = plans.data("POST", "/tenants", a_tenant(mobile="13800138000"))
    tenant_id = shown["id"]
    assert shown == {
        "id": tenant_id,
        "name": "Acme",
        "tenantTypeCode": "company",
        "bundleCode": "start",
    }
    assert plans.data("GET", f"/tenants/{tenant_id}") == shown
    ann = users.find_by_username(session, "ann")
    member = session.scalar(select(Membership).where(Membership.user_id == ann.id))
    assert (member.tenant_id, member.is_admin) == (tenant_id, True)
    assert role_of(session, tenant_id, "boss") == ["orders.read", "orders.write"]
    assert permissions.held_rights(session, ann.id, tenant_id, platform=False).roles == ["boss"]
    # The same account signs in at the login page, and its token says what the bundle gave.
    protocol.add_api(session, "orders", ["orders"], user_claims=("permission",))
    app = protocol.register(session, "shop", scopes=("openid", "orders"))
    protocol.sign_in(client, session, ann)
    claims = protocol.obtain(client, app, "openid orders").claims
    assert claims["permission"] == ["orders.read", "orders.write"]
    assert claims["tenant"]["id"] == tenant_id


def test_a_given_bundle_goes_before_the_initial_one(plans, session):
    shown = plans.second("POST", "/tenants", a_tenant(bundleCode="plus"))["data"]
    assert shown["bundleCode"] == "plus"
    assert role_of(session, shown["id"], "clerk") is None


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bundleCode": "none"}, Code.unknown_bundle),
        ({"bundleCode": "start", "tenantTypeCode": "school"}, Code.other_tenant_type),
        ({"tenantTypeCode": "school"}, Code.no_initial_bundle),
        ({"username": "root"}, Code.username_taken),
        ({"mobile": "13900139000"}, Code.mobile_taken),
        ({"username": "123456"}, Code.bad_request),
        ({"username": "a/b"}, Code.bad_request),
        ({"username": "apps"}, Code.bad_request),
        ({"name": ""}, Code.malformed),
        ({"name": "\u202e"}, Code.bad_request),
        ({"tenantTypeCode": None}, Code.malformed),
        ({"password": None}, Code.malformed),
    ],
)
def test_a_refused_tenant_leaves_nothing(plans, session, changes, code):
    protocol.add_person(session, "other", mobile="+8613900139000")
    before = counts(session)
    assert plans.code("POST", "/tenants", a_tenant(**changes)) is code
    assert counts(session) == before


def counts(session):
    return [session.scalar(select(func.count()).select_from(t)) for t in (Tenant, User, Role)]


def test_a_weak_password_is_refused(plans):
    assert plans.refused("POST", "/tenants", a_tenant(password="x"))[0] == 400


def test_an_account_is_linked_and_keeps_its_password(plans, session):
    ben = protocol.add_person(session, "ben", mobile="+8613700137000")
    before = ben.password_hash
    body = {"name": "Ben Ltd", "tenantTypeCode": "company", "username": "ben", "password": "other"}
    first = plans.data("POST", "/tenantRelateAccount", body)
    by_mobile = {"name": "Ben 2", "tenantTypeCode": "company", "mobile": "13700137000"}
    second = plans.second("POST", "/tenantRelateAccount", by_mobile)["data"]
    session.expire_all()
    assert ben.password_hash == before
    for tenant in (first, second):
        member = session.scalar(select(Membership).where(Membership.tenant_id == tenant["id"]))
        assert (member.user_id, member.is_admin, member.is_bound) == (ben.id, True, True)
        assert permissions.held_rights(session, ben.id, tenant["id"], platform=False).roles == [
            "boss"
        ]


def test_nobody_to_link_is_not_found(plans, session):
    before = counts(session)
    body = {"name": "None", "tenantTypeCode": "company", "username": "nobody"}
    assert plans.refused("POST", "/tenantRelateAccount", body) == (404, "not_found", [])
    assert plans.code("POST", "/tenantRelateAccount", {**body, "username": ""}) is Code.not_found
    assert counts(session) == before


def test_of_two_tenants_with_one_username_one_is_refused(plans, runtime):
    token = plans.token
    app = plans.browser.application

    def create(_):
        answer = app.test_client().post(
            "/user/v2/tenants",
            json=a_tenant(),
            headers=protocol.bearer(token),
            base_url=plans.browser.base_url,
        )
        return answer.get_json()["code"]

    plans.data("GET", "/bundles/bundle-list")  # ends the transaction of this test's session
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(create, range(3))) == [0, 20001, 20001]


def test_tenants_are_searched_in_pages(plans, session):
    for name in ("Beta", "alpha", "100%", "Alphabet"):
        plans.data("POST", "/tenants", a_tenant(name=name, username=f"u-{name.strip('%')}x"))
    ask = {"pageNo": 1, "pageSize": 2, "order": "ASC", "sortBy": "name"}
    found = plans.data("POST", "/tenants/page", {"name": "ALPHA"}, **ask)
    assert sorted(row["name"] for row in found.pop("items")) == ["Alphabet", "alpha"]
    assert found == {
        "counts": 2,
        "first": True,
        "itemsSize": 2,
        "page": 1,
        "pageSize": 2,
        "pages": 1,
    }
    assert plans.data("POST", "/tenants/page", {"name": "%"}, **ask)["counts"] == 1
    assert plans.data("POST", "/tenants/page", {"name": "_"}, **ask)["counts"] == 0
    everything = plans.second("POST", "/tenants/page", **ask | {"pageNo": 3})["data"]
    assert (everything["counts"], everything["itemsSize"], everything["first"]) == (5, 1, False)
    of_type = {"tenantTypeCode": "company", "name": ""}
    backwards = ask | {"order": "desc", "sortBy": "id"}
    ids = [row["id"] for row in plans.data("POST", "/tenants/page", of_type, **backwards)["items"]]
    assert ids == sorted(ids, reverse=True)
    none = plans.data("POST", "/tenants/page", {"name": "zzz"}, **ask)
    assert (none["counts"], none["pages"], none["items"]) == (0, 0, [])


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pageNo": 0}, "pageNo"),
        ({"pageNo": 2**31}, "pageNo"),
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 201}, "pageSize"),
        ({"pageSize": "x"}, "pageSize"),
        ({"order": "up"}, "order"),
        ({"sortBy": "password"}, "sortBy"),
        ({"sortBy": "id; drop table tenant"}, "sortBy"),
        ({"sortBy": None}, "sortBy"),
    ],
)
def test_pages_and_orders_that_are_none_are_refused(plans, changes, field):
    asked = {"pageNo": 1, "pageSize": 20, "order": "asc", "sortBy": "id", **changes}
    asked = {name: value for name, value in asked.items() if value is not None}
    assert plans.refused("POST", "/tenants/page", **asked) == (400, "malformed", [field])


def test_a_tenant_beyond_reach_is_forbidden_and_one_beyond_all_numbers_not_found(
    client, session, plans
):
    home, away = protocol.add_tenant(session, "Home"), protocol.add_tenant(session, "Away")
    mary = userservice.member(client, session, "ids4.ms.us.tenant.info", tenant_id=home)
    assert mary.data("GET", f"/tenants/{home}")["name"] == "Home"
    assert mary.refused("GET", f"/tenants/{away}")[0] == 403
    assert mary.refused("GET", f"/tenants/{2**70}")[0] == 403
    assert plans.refused("GET", f"/tenants/{2**70}")[0] == 404
    assert plans.code("GET", "/tenants/page") is Code.not_found
    assert plans.code("GET", "/tenants/-1") is Code.not_found
    theirs = userservice.machine(client, session, "theirs", tenant_id=home)
    assert theirs.data("GET", f"/tenants/{home}")["name"] == "Home"
    assert theirs.code("GET", f"/tenants/{away}") is Code.forbidden
    ask = {"pageNo": 1, "pageSize": 20, "order": "asc", "sortBy": "id"}
    assert theirs.code("POST", "/tenants/page", **ask) is Code.forbidden


# Bundles of a tenant


def test_a_tenant_without_bundle_is_initialised_once(plans, session):
    tenant = protocol.add_tenant(session, "Home")
    assert plans.code("PUT", f"/tenants/{tenant}/bundles/plus") is Code.bundle_not_initialised
    assert plans.data("POST", f"/tenants/{tenant}/bundles/start", b"") is True
    assert plans.data("GET", f"/tenants/{tenant}") == {
        "id": tenant,
        "name": "Home",
        "tenantTypeCode": "company",
        "bundleCode": "start",
    }
    assert role_of(session, tenant, "clerk") == ["orders.read"]
    again = plans.refused("POST", f"/tenants/{tenant}/bundles/start")
    assert again == (409, "bundle_initialised", [])
    assert plans.code("PUT", f"/tenants/{tenant}/bundles/start") is Code.same_bundle
    assert plans.code("PUT", f"/tenants/{tenant}/bundles/none") is Code.not_found
    assert plans.code("PUT", f"/tenants/{2**62}/bundles/plus") is Code.not_found


def test_bundle_and_tenant_are_of_one_type(plans, session):
    add_bundle(plans, "pupils", ability(), kind="school")
    tenant = plans.data("POST", "/tenants", a_tenant())["id"]
    assert plans.code("PUT", f"/tenants/{tenant}/bundles/pupils") is Code.other_tenant_type
    assert plans.data("GET", f"/tenants/{tenant}")["bundleCode"] == "start"


def test_a_role_that_is_there_already_stops_the_bundle(plans, session):
    tenant = protocol.add_tenant(session, "Home")
    catalogue.create_role(session, "clerk", "Ours", tenant_id=tenant)
    session.commit()
    assert plans.code("POST", f"/tenants/{tenant}/bundles/start") is Code.role_taken
    assert role_of(session, tenant, "boss") is None
    assert plans.data("GET", f"/tenants/{tenant}")["bundleCode"] == ""


def test_switching_changes_the_roles_and_the_next_token(plans, session, client):
    tenant = plans.data("POST", "/tenants", a_tenant())["id"]
    ann = users.find_by_username(session, "ann")
    clerk = catalogue.find_role(session, "clerk", tenant)
    own = catalogue.create_role(session, "own", "Own", tenant_id=tenant)
    for code in ("orders.read", "orders.write"):
        catalogue.add_privilege(session, own, catalogue.find_privilege(session, code))
    protocol.grant_directly(session, ann, "orders.write", tenant_id=tenant)
    catalogue.assign(session, ann.id, clerk)
    session.commit()
    stamp = own.concurrency_stamp
    assert plans.data("PUT", f"/tenants/{tenant}/bundles/plus", b"") is True
    session.expire_all()
    assert role_of(session, tenant, "boss") == ["orders.read", "stock.read"]
    assert role_of(session, tenant, "buyer") == []
    assert role_of(session, tenant, "clerk") == [], "somebody has it: it stays, without rights"
    assert role_of(session, tenant, "own") == ["orders.read"]
    assert own.concurrency_stamp != stamp
    held = permissions.effective_permissions(session, ann.id, tenant, platform=False)
    assert [permission.code for permission in held] == ["orders.read", "stock.read"]
    # Back again: the role that nobody has is gone, the other one has its rights again.
    assert plans.data("PUT", f"/tenants/{tenant}/bundles/start") is True
    assert role_of(session, tenant, "buyer") is None
    assert role_of(session, tenant, "clerk") == ["orders.read"]


def test_a_bundle_with_everything_of_an_api_covers_its_parts(root, session):
    api = protocol.add_api(session, "wares", ["wares"])
    for code in ("wares.all", "wares.count"):
        catalogue.create_privilege(session, code, code, api_resource_id=api.id)
    catalogue.create_privilege(session, "wares.foreign", "Of nobody")
    session.commit()
    add_bundle(root, "a", ability(boss=("wares.count",)), initialize=True)
    add_bundle(root, "b", ability(boss=("wares.all",)))
    tenant = root.data("POST", "/tenants", a_tenant())["id"]
    own = catalogue.create_role(session, "own", "Own", tenant_id=tenant)
    for code in ("wares.count", "wares.foreign"):
        catalogue.add_privilege(session, own, catalogue.find_privilege(session, code))
    session.commit()
    assert root.data("PUT", f"/tenants/{tenant}/bundles/b") is True
    assert role_of(session, tenant, "own") == ["wares.count"]


def test_of_two_initialisations_at_once_one_is_refused(plans, session, runtime):
    tenant = protocol.add_tenant(session, "Home")
    session.commit()

    def initialise(code):
        with runtime.sessions() as own:
            try:
                applying.initialise(own, tenant, bundles.get(own, code))
                own.commit()
            except Conflict as problem:
                return problem.code
            return "made"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(initialise, ("start", "plus")))
    assert outcomes == ["bundle_initialised", "made"]
    session.expire_all()
    held = session.scalars(select(Role.code).where(Role.tenant_id == tenant)).all()
    assert len(held) == 2


def test_a_tenants_administrator_does_not_switch_its_bundle(client, session, plans):
    tenant = plans.data("POST", "/tenants", a_tenant())["id"]
    mary = userservice.member(client, session, "ids4.ms.us.all", tenant_id=tenant)
    assert mary.code("PUT", f"/tenants/{tenant}/bundles/plus") is Code.forbidden
    assert mary.code("POST", "/tenants", a_tenant(username="zoe")) is Code.forbidden
    assert session.scalar(select(func.count()).select_from(UserRole)) >= 1
