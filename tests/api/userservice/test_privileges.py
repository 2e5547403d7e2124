"""Privileges in the user service: by group and role, as a tree, and what accounts hold."""

from __future__ import annotations

import pytest

from idp.api.userservice.codes import Code
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform.errors import BadRequest
from tests import protocol
from tests.api import center, userservice

TREE = "/tenants/{}/roles/role-privilege-list"


@pytest.fixture
def root(client, session):
    return userservice.administrator(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session, acme):
    return protocol.add_person(session, "ann", tenant_ids=[acme])


@pytest.fixture
def shop(session, acme):
    """Groups below each other, privileges in some of them, and two roles that carry a few."""
    shop = catalogue.create_group(session, "shop", "Shop", sort=2)
    till = catalogue.create_group(session, "shop.till", "Till", parent_id=shop.id, sort=5)
    yard = catalogue.create_group(session, "yard", "Yard", sort=1)
    catalogue.create_group(session, "empty", "Empty", parent_id=shop.id)
    for code, group, sort in (
        ("till.open", till, 2),
        ("till.close", till, 1),
        ("till.count", till, 1),
        ("shop.enter", shop, 9),
        ("shop.leave", shop, 1),
        ("yard.sweep", yard, 0),
        ("whistle", None, 1),
    ):
        catalogue.create_privilege(session, code, code, group_id=group and group.id, sort=sort)
    for role, codes in (
        ("clerk", ["till.open", "till.close", "till.count", "shop.enter"]),
        ("guard", ["shop.enter", "shop.leave", "whistle"]),
        ("sweeper", ["yard.sweep"]),
    ):
        row = catalogue.create_role(session, role, role, tenant_id=acme)
        for code in codes:
            catalogue.add_privilege(session, row, catalogue.find_privilege(session, code))
    session.commit()
    return shop


def outline(node):
    """Write a tree as nested lists of ids."""
    return [node["id"], *(outline(child) for child in node["children"])]


def test_privileges_of_a_group_are_listed(root, shop):
    path = f"/privilege-groups/{shop.id}/privilege-list"
    found = root.data("GET", path)
    assert [(row["code"], row["name"], row["privilegeGroupId"]) for row in found] == [
        ("shop.leave", "shop.leave", shop.id),
        ("shop.enter", "shop.enter", shop.id),
    ]
    assert root.second("GET", path)["data"] == found
    assert root.data("GET", "/privilege-groups/999/privilege-list") == []
    assert root.data("GET", f"/privilege-groups/{2**70}/privilege-list") == []


def test_privileges_of_apis_of_other_tenants_are_not_listed(client, session, shop, acme):
    other = protocol.add_tenant(session, "Other")
    for name, tenant_id in (("a", acme), ("b", other), ("c", None)):
        api = protocol.add_api(session, name, [f"{name}.x"], tenant_id=tenant_id)
        catalogue.create_privilege(
            session, f"{name}.do", name, group_id=shop.id, api_resource_id=api.id
        )
    session.commit()
    path = f"/privilege-groups/{shop.id}/privilege-list"
    mary = userservice.member(client, session, "ids4.ms.us.privilege.all", tenant_id=acme)
    robot = userservice.machine(client, session, tenant_id=acme)
    for caller in (mary, robot):
        codes = {row["code"] for row in caller.data("GET", path)}
        assert codes == {"shop.leave", "shop.enter", "a.do", "c.do"}


def test_privileges_of_several_roles_are_a_set(root, shop, acme):
    path = f"/tenants/{acme}/roles/privilege-list"
    found = root.data("GET", path, roleCodes="clerk,guard,none")
    assert sorted(row["code"] for row in found) == [
        *("shop.enter", "shop.leave", "till.close", "till.count", "till.open", "whistle"),
    ]
    assert root.second("GET", path, roleCodes=["clerk", "guard"])["data"] == found
    assert [row["privilegeGroupId"] for row in found if row["code"] == "whistle"] == [None]
    assert root.data("GET", path, roleCodes="") == []
    assert root.refused("GET", path) == (400, "malformed", ["roleCodes"])
    assert root.data("GET", "/tenants/1/roles/privilege-list", roleCodes="clerk") == []


def test_the_tree_has_one_root_and_no_empty_groups(root, session, shop, acme):
    tree = root.data("GET", TREE.format(acme), roleCodes="clerk,guard")
    till = next(node["id"] for node in tree["children"][1]["children"] if node["group"]
                and node["name"] == "Till")  # fmt: skip
    shop_id = str(shop.id)
    assert outline(tree) == [
        "0",
        ["whistle"],
        [
            shop_id,
            ["shop.leave"],
            [till, ["till.close"], ["till.count"], ["till.open"]],
            ["shop.enter"],
        ],
    ]
    assert (tree["group"], tree["parentId"], tree["id"]) == (True, "", "0")
    group = tree["children"][1]
    assert {name: group[name] for name in group if name != "children"} == {
        "id": shop_id,
        "name": "Shop",
        "parentId": "0",
        "group": True,
        "sort": 2,
        "status": 1,
    }
    leaf = group["children"][0]
    assert (leaf["parentId"], leaf["group"], leaf["children"]) == (shop_id, False, [])
    assert tree["children"][0]["parentId"] == "0"
    assert root.second("GET", TREE.format(acme), roleCodes="clerk,guard")["data"] == tree
    assert outline(root.data("GET", TREE.format(acme), roleCodes="")) == ["0"]
    assert outline(root.data("GET", TREE.format(999), roleCodes="clerk")) == ["0"]


def test_a_deep_tree_costs_no_more_statements(root, session, runtime, acme):
    above = None
    for level in range(catalogue.MOST_LEVELS):
        above = catalogue.create_group(session, f"g{level}", "G", parent_id=above and above.id)
    with pytest.raises(BadRequest):
        catalogue.create_group(session, "deeper", "G", parent_id=above.id)
    catalogue.create_privilege(session, "deep", "Deep", group_id=above.id)
    role = catalogue.create_role(session, "miner", "Miner", tenant_id=acme)
    catalogue.add_privilege(session, role, catalogue.find_privilege(session, "deep"))
    catalogue.create_role(session, "idle", "Idle", tenant_id=acme)
    session.commit()
    root.data("GET", TREE.format(acme), roleCodes="idle")
    counts = []
    for code in ("idle", "miner"):
        with center.statements(runtime.engine) as sent:
            tree = root.data("GET", TREE.format(acme), roleCodes=code)
        counts.append(len(sent))
    depth = 0
    while tree["children"]:
        (tree,) = tree["children"]
        depth += 1
    assert (tree["id"], depth) == ("deep", catalogue.MOST_LEVELS + 1)
    assert counts[0] == counts[1]


def test_codes_of_the_product_are_reserved(session):
    for code in ("ids4.ms.mine", "ids4.all", "IDS4.ms.all"):
        with pytest.raises(BadRequest):
            catalogue.create_privilege(session, code, "x")
    assert catalogue.create_privilege(session, "ids4", "x").id


# What accounts hold


def test_what_an_account_may_do_is_told_tenant_by_tenant(root, session, acme, ann):
    other = protocol.add_tenant(session, "Other")
    protocol.add_role(session, ann, "clerk", ["orders.write", "orders.read"], tenant_id=acme)
    protocol.add_role(session, ann, "guest", tenant_id=acme)
    protocol.add_role(session, ann, "auditor", ["audit.read"], tenant_id=None)
    path = "/tenants/ann/privileges"
    held = {"rolePrivilegeMap": {"clerk": ["orders.read", "orders.write"], "guest": []}}
    for asked in ([acme, other, 999], f"{acme},{other}"):
        assert root.data("GET", path, tenantIds=asked) == {str(acme): held}
        assert root.second("GET", path, tenantIds=asked)["data"] == {str(acme): held}
    assert root.data("GET", path, tenantIds=other) == {}
    assert root.data("GET", path, tenantIds="") == {}
    assert root.refused("GET", "/tenants/nobody/privileges", tenantIds=acme)[0] == 404
    assert root.code("GET", "/tenants/nobody/privileges", tenantIds=acme) is Code.not_found
    for wrong in ("x", "0", "-1", "1.5", str(2**63), f"{acme},x"):
        assert root.refused("GET", path, tenantIds=wrong)[:2] == (400, "malformed"), wrong
    assert root.refused("GET", path) == (400, "malformed", ["tenantIds"])
    assert root.refused("GET", path, tenantIds=",".join(["1"] * 501))[0] == 400


def test_who_may_ask_in_some_tenants_asks_about_those(client, session, acme, ann):
    other, third = (protocol.add_tenant(session, name) for name in ("Other", "Third"))
    mary = userservice.member(client, session, "ids4.ms.us.privilege.all", tenant_id=acme)
    user = session.get(User, mary.user_id)
    tenants.add_member(session, other, user.id)
    protocol.grant_directly(session, user, "ids4.ms.us.privilege.authorizations", tenant_id=other)
    path = "/tenants/ann/privileges"
    for asked in (acme, [acme, other], [other, acme]):
        found = mary.data("GET", path, tenantIds=asked)
        assert found == {str(acme): {"rolePrivilegeMap": {}}}
    for asked in (third, [acme, third], [third, acme], 999):
        assert mary.refused("GET", path, tenantIds=asked)[0] == 403
        assert mary.code("GET", path, tenantIds=asked) is Code.forbidden
    # Who is not there is told from nobody by no answer.
    for name in ("ann", "nobody"):
        assert mary.refused("GET", f"/tenants/{name}/privileges", tenantIds=other)[0] == 404


def test_a_machine_of_a_tenant_asks_about_that_tenant(client, session, acme, ann):
    robot = userservice.machine(client, session, tenant_id=acme)
    path = "/tenants/ann/privileges"
    assert robot.data("GET", path, tenantIds=acme) == {str(acme): {"rolePrivilegeMap": {}}}
    for asked in (1, [acme, 1], [1, acme]):
        assert robot.refused("GET", path, tenantIds=asked)[0] == 403
    everywhere = userservice.machine(client, session, "central")
    assert everywhere.data("GET", path, tenantIds=[acme, 1, 999]) == {
        str(acme): {"rolePrivilegeMap": {}}
    }


def test_many_tenants_are_asked_about_at_once(client, session, runtime, root):
    ids = [protocol.add_tenant(session, f"T{index}") for index in range(20)]
    mary = userservice.member(client, session, tenant_id=ids[0])
    user = session.get(User, mary.user_id)
    ann = protocol.add_person(session, "ann", tenant_ids=ids)
    session.add(Privilege(code="orders.read", name="x"))
    for tenant_id in ids:
        tenants.add_member(session, tenant_id, user.id)
        protocol.grant_directly(session, user, "ids4.ms.us.all", tenant_id=tenant_id)
        protocol.add_role(session, ann, "clerk", ["orders.read"], tenant_id=tenant_id)
    counts = []
    for asked in (ids[:1], ids):
        mary.data("GET", "/tenants/ann/privileges", tenantIds=asked)
        with center.statements(runtime.engine) as sent:
            found = mary.data("GET", "/tenants/ann/privileges", tenantIds=asked)
        counts.append(len(sent))
        assert len(found) == len(asked)
    assert counts[0] == counts[1]
