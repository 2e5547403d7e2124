"""Bundles: who may do what with them, and what comes of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from idp.api.userservice.codes import Code
from idp.directory.actor import OPERATOR
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.bundles.service import BundleSpec
from idp.directory.clients import service as clients
from idp.directory.roles import catalogue
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import Conflict
from tests import protocol
from tests.api import center, userservice


@pytest.fixture
def root(client, session):
    for code in ("orders.read", "orders.write"):
        catalogue.create_privilege(session, code, code)
    session.commit()
    return userservice.administrator(client, session)


def ability(**changes):
    return json.dumps(
        {
            "roles": [
                {"code": "boss", "name": "Boss", "privilegeCodes": ["orders.read", "orders.write"]},
                {"code": "clerk", "name": "Clerk", "privilegeCodes": ["orders.read"]},
            ],
            "adminRoleCodes": ["boss"],
            **changes,
        }
    )


def a_bundle(code="basic", **changes):
    return {
        "code": code,
        "name": "Basic",
        "tenantTypeCode": "company",
        "ability": ability(),
        "initialize": False,
        **changes,
    }


def test_no_bundle_is_an_empty_list(root):
    assert root.data("GET", "/bundles/bundle-list") == []
    assert root.second("GET", "/bundles/bundle-list")["data"] == []


def test_a_bundle_is_made_read_and_listed(root, session):
    given = a_bundle(numberOfApp=3, comment="for small ones", initialize=1)
    assert root.data("POST", "/bundles", given) is True
    shown = root.data("GET", "/bundles/basic")
    assert shown == {
        "id": shown["id"],
        "code": "basic",
        "name": "Basic",
        "tenantTypeCode": "company",
        "ability": shown["ability"],
        "initialize": True,
        "comment": "for small ones",
        "numberOfApp": 3,
        "numberOfConcurrent": None,
        "numberOfInvocation": None,
    }
    assert json.loads(shown["ability"]) == json.loads(ability())
    assert root.second("POST", "/bundles", a_bundle("pro"))["data"] is True
    codes = [row["code"] for row in root.data("GET", "/bundles/bundle-list")]
    assert codes == ["basic", "pro"]
    of_type = "/bundles/tenant-types/company/bundle-list"
    assert [row["code"] for row in root.second("GET", of_type)["data"]] == ["pro"]
    assert root.data("GET", "/bundles/tenant-types/school/bundle-list") == []
    assert session.scalars(select(TenantType.code)).all() == ["company"]


def test_what_was_read_can_be_sent_back_and_changes_nothing(root, session):
    root.data("POST", "/bundles", a_bundle(numberOfInvocation=5, comment="x"))
    shown = root.data("GET", "/bundles/basic")
    events = session.scalar(select(func.count(AuditEvent.id)))
    assert root.data("PUT", "/bundles", shown) is True
    assert root.data("GET", "/bundles/basic") == shown
    assert session.scalar(select(func.count(AuditEvent.id))) == events


def test_a_bundle_is_updated_by_id_else_by_code(root):
    root.data("POST", "/bundles", a_bundle())
    row = root.data("GET", "/bundles/basic")["id"]
    assert root.data("PUT", "/bundles", a_bundle("plain", id=row, name="Plain")) is True
    assert root.data("GET", "/bundles/plain")["name"] == "Plain"
    assert root.second("PUT", "/bundles", a_bundle("plain", name="By code"))["data"] is True
    assert root.data("GET", "/bundles/plain")["name"] == "By code"
    assert root.refused("PUT", "/bundles", a_bundle("gone"))[:2] == (404, "not_found")
    assert root.code("PUT", "/bundles", a_bundle(id=2**63 - 1)) is Code.not_found


def test_codes_and_initial_bundles_are_unique(root):
    root.data("POST", "/bundles", a_bundle(initialize=True))
    root.data("POST", "/bundles", a_bundle("pro"))
    assert root.refused("POST", "/bundles", a_bundle()) == (409, "bundle_taken", ["code"])
    assert root.code("POST", "/bundles", a_bundle()) is Code.bundle_taken
    second = a_bundle("second", initialize=True)
    assert root.refused("POST", "/bundles", second) == (409, "initial_bundle_taken", ["initialize"])
    assert root.code("PUT", "/bundles", a_bundle("pro", initialize=True)) is (
        Code.initial_bundle_taken
    )
    row = root.data("GET", "/bundles/pro")["id"]
    assert root.code("PUT", "/bundles", a_bundle(id=row)) is Code.bundle_taken
    assert root.data("GET", "/bundles/pro")["initialize"] is False
    assert root.data("POST", "/bundles", a_bundle("s", tenantTypeCode="school", initialize=True))


def test_of_two_at_once_one_is_refused(root, runtime):
    said = BundleSpec("same", "Same", "company", ability())

    def create(_):
        with runtime.sessions() as session:
            try:
                bundles.create(session, OPERATOR, said)
                session.commit()
            except Conflict as problem:
                return problem.code
            return "made"

    root.data("GET", "/bundles/bundle-list")  # ends the transaction of this test's session
    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(create, range(4)))
    assert outcomes == ["bundle_taken", "bundle_taken", "bundle_taken", "made"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    "wrong",
    [
        "{",
        "[]",
        "null",
        '"roles"',
        '{"roles": 3}',
        '{"rolls": []}',
        '{"roles": [3]}',
        '{"roles": [{"name": "No code"}]}',
        '{"roles": [{"code": "12"}]}',
        '{"roles": [{"code": "a b"}]}',
        '{"roles": [{"code": "administrators"}]}',
        '{"roles": [{"code": "a", "name": 7}]}',
        '{"roles": [{"code": "a", "color": "red"}]}',
        '{"roles": [{"code": "a"}, {"code": "A"}]}',
        '{"roles": [{"code": "a", "privilegeCodes": "orders.read"}]}',
        '{"roles": [{"code": "a", "privilegeCodes": ["unknown"]}]}',
        '{"roles": [{"code": "a", "privilegeCodes": [null]}]}',
        '{"roles": [], "adminRoleCodes": ["a"]}',
        "[" * 5000,
    ],
)
def test_an_ability_that_is_none_is_refused(root, wrong):
    refused = root.refused("POST", "/bundles", a_bundle(ability=wrong))
    assert refused == (400, "invalid_ability", ["ability"])
    assert root.code("POST", "/bundles", a_bundle(ability=wrong)) is Code.invalid_ability
    assert root.data("GET", "/bundles/bundle-list") == []


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": None}, "code"),
        ({"code": ""}, "code"),
        ({"code": "12"}, "code"),
        ({"code": "a/b"}, "code"),
        ({"code": "bundle-list"}, "code"),
        ({"code": "x" * 101}, "code"),
        ({"name": " "}, "name"),
        ({"tenantTypeCode": ""}, "tenantTypeCode"),
        ({"tenantTypeCode": "a/b"}, "tenantTypeCode"),
        ({"initialize": "perhaps"}, "initialize"),
        ({"numberOfApp": -1}, "numberOfApp"),
        ({"numberOfApp": 2**31}, "numberOfApp"),
        ({"numberOfApp": "3"}, "numberOfApp"),
        ({"ability": {"roles": []}}, "ability"),
    ],
)
def test_wrong_values_are_refused_by_their_field(root, changes, field):
    assert root.refused("POST", "/bundles", a_bundle(**changes))[::2] == (400, [field])
    answer = root.second("POST", "/bundles", a_bundle(**changes))
    assert list(answer["extra"]["errors"]) == [field]
    assert 10_000 <= answer["code"] < 11_000


def test_a_bundle_that_tenants_have_keeps_code_and_type(root, session):
    root.data("POST", "/bundles", a_bundle(initialize=True))
    row = root.data("GET", "/bundles/basic")["id"]
    tenant = protocol.add_tenant(session, "Home")
    assert root.data("POST", f"/tenants/{tenant}/bundles/basic") is True
    assert root.code("PUT", "/bundles", a_bundle("other", id=row)) is Code.bundle_in_use
    school = a_bundle(tenantTypeCode="school")
    assert root.refused("PUT", "/bundles", school)[:2] == (409, "bundle_in_use")
    assert root.data("PUT", "/bundles", a_bundle(name="Renamed", initialize=True)) is True


def test_only_the_platform_writes_bundles(client, session, root):
    home = protocol.add_tenant(session, "Home")
    mary = userservice.member(client, session, "ids4.ms.us.all", tenant_id=home)
    assert mary.refused("POST", "/bundles", a_bundle())[0] == 403
    assert mary.code("PUT", "/bundles", a_bundle()) is Code.forbidden
    assert mary.data("GET", "/bundles/bundle-list") == []
    theirs = userservice.machine(client, session, "theirs", tenant_id=home)
    assert theirs.code("POST", "/bundles", a_bundle()) is Code.forbidden
    ours = userservice.machine(client, session, "ours")
    assert ours.data("POST", "/bundles", a_bundle(ability='{"roles": []}')) is True
    assert session.scalar(select(func.count(Bundle.id))) == 1


def test_nobody_puts_into_a_bundle_what_he_cannot_give(client, session, root):
    everything = {"roles": [{"code": "boss", "privilegeCodes": ["ids4.ms.all"]}]}
    mighty = a_bundle(ability=json.dumps(everything))
    robot = userservice.machine(client, session)
    assert robot.refused("POST", "/bundles", a_bundle()) == (400, "overreach", ["ability"])
    clients.find(session, "robot").grantable_privileges = ["orders.read", "orders.write"]
    assert robot.data("POST", "/bundles", a_bundle()) is True
    assert robot.code("PUT", "/bundles", a_bundle(ability=mighty["ability"])) is Code.overreach
    # Somebody of the platform who is no administrator of it.
    clerk = protocol.add_person(session, "clerk")
    codes = ["ids4.ms.us.bundle.create", "ids4.ms.us.bundle.update", "orders.read"]
    protocol.add_role(session, clerk, "keepers", codes, tenant_id=None)
    keeper = userservice.Service(client, center.token_for(session, clerk), clerk.id)
    assert keeper.code("POST", "/bundles", mighty | {"code": "mighty"}) is Code.overreach
    # What is in there already may stay, whoever changes the rest.
    assert keeper.data("PUT", "/bundles", a_bundle(name="Plain")) is True
    assert root.data("POST", "/bundles", mighty | {"code": "mighty"}) is True


def test_an_unknown_bundle_is_not_found(root):
    assert root.refused("GET", "/bundles/none") == (404, "not_found", [])
    assert root.code("GET", "/bundles/none") is Code.not_found
    assert root.send("GET", "/bundles/a%2Fb").status_code == 404


def test_bodies_that_are_none_are_refused(root):
    assert root.refused("POST", "/bundles", b"")[:2] == (400, "not_json")
    assert root.code("POST", "/bundles", b"{") is Code.not_json
    assert root.code("POST", "/bundles", b"[]") is Code.malformed


def test_nowhere_is_an_envelope_too(root):
    assert root.code("GET", "/nowhere") is Code.not_found
    assert root.code("DELETE", "/bundles/bundle-list") is Code.not_found
    assert root.send("GET", "/nowhere").status_code == 404
    assert root.send("DELETE", "/bundles/bundle-list").status_code == 405
    stranger = userservice.Service(root.browser, None)
    assert stranger.code("GET", "/bundles/none") is Code.unauthenticated


def test_the_log_names_the_route_and_not_what_was_asked_for(root, capfd):
    root.data("GET", "/bundles/bundle-list")
    root.code("GET", "/bundles/somebody")
    root.code("GET", "/nothing/somebody")
    written = capfd.readouterr().err
    assert "path=/user/bundles/bundle-list" in written
    assert "path=/user/v2/bundles/<bundleCode>" in written
    assert "somebody" not in written
