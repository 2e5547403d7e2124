"""Applications and menus: who may do what with them, and what comes of it."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from idp.api.userservice.codes import Code
from idp.directory.applications import service as applications
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles.models import Bundle
from idp.directory.clients import service as clients
from idp.directory.roles.models import Privilege
from idp.directory.tenants.models import Tenant
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import Problem
from tests import protocol
from tests.api import center, userservice

CREATE, UPDATE, REMOVE = (f"ids4.ms.us.app.{verb}" for verb in ("create", "update", "remove"))
READ = tuple(f"ids4.ms.us.app.{verb}" for verb in ("info", "page", "infobyclient", "resources"))
MENUS = tuple(
    f"ids4.ms.us.menu.{verb}" for verb in ("info", "page", "listbyapp", "listbyprivileges")
)
RESOLVE = "ids4.ms.us.app.tenantresources"


@pytest.fixture
def root(client, session):
    return userservice.administrator(client, session)


@pytest.fixture
def tenant(session):
    return protocol.add_tenant(session, "Acme")


@pytest.fixture
def other(session):
    return protocol.add_tenant(session, "Other")


def add(session, code, tenant_id=1, name=None):
    row = Application(code=code, name=name or code.title(), tenant_id=tenant_id)
    session.add(row)
    session.commit()
    return row


def add_menu(session, application, code, privilege=None, parent=None, **columns):
    held = None
    if privilege is not None:
        held = session.scalar(select(Privilege).where(Privilege.code == privilege))
        if held is None:
            held = Privilege(code=privilege, name=privilege)
            session.add(held)
            session.flush()
    row = Menu(
        application_id=application.id,
        code=code,
        title=code.title(),
        privilege_id=held.id if held else None,
        parent_id=parent.id if parent else None,
        **columns,
    )
    session.add(row)
    session.commit()
    return row


def count(session):
    session.rollback()
    return session.scalar(select(func.count(Application.id)))


# Create, update, read, delete


def test_an_application_is_created_read_renamed_and_deleted(root, session, tenant):
    said = {"code": "shop", "name": "Shop", "tenantId": tenant}
    assert root.data("POST", "/apps", said) is True
    found = root.data("GET", "/apps/shop")
    assert found == {**said, "id": found["id"]}
    assert root.data("PUT", "/apps", {"id": found["id"], "name": "Store"}) is True
    assert root.data("PUT", "/apps", {"code": "shop", "name": " Store "}) is True
    assert root.second("GET", "/apps/shop")["data"]["name"] == "Store"
    assert root.data("DELETE", "/apps/shop") is True
    assert root.refused("GET", "/apps/shop") == (404, "not_found", [])
    assert root.data("DELETE", "/apps/shop") is True
    tags = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == "application:shop")
    ).all()
    assert sorted(tags) == [
        "admin:application:changed",
        "admin:application:created",
        "admin:application:deleted",
    ]


def test_the_second_version_does_the_same(root, tenant):
    said = {"code": "shop", "name": "Shop", "tenantId": tenant}
    assert root.second("POST", "/apps", said)["data"] is True
    assert root.second("PUT", "/apps", {"code": "shop", "name": "Store"})["data"] is True
    assert root.code("POST", "/apps", said) is Code.application_taken
    assert root.code("GET", "/apps/none") is Code.not_found
    page = root.second("POST", "/apps/page", {}, pageNo=1, pageSize=10)["data"]
    assert [row["name"] for row in page["items"]] == ["Store"]
    assert root.second("DELETE", "/apps/shop")["data"] is True
    assert root.second("DELETE", "/apps/shop")["data"] is True


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": None}, "code"),
        ({"code": "12345"}, "code"),
        ({"code": "a/b"}, "code"),
        ({"code": "a b"}, "code"),
        ({"code": "page"}, "code"),
        ({"code": "privileges"}, "code"),
        ({"code": "x" * 101}, "code"),
        ({"code": 7}, "code"),
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"tenantId": None}, "tenantId"),
        ({"tenantId": "1"}, "tenantId"),
        ({"tenantId": 2**63}, "tenantId"),
    ],
)
def test_what_cannot_be_an_application_is_refused(root, session, said, field):
    status, _, fields = root.refused(
        "POST", "/apps", {"code": "shop", "name": "Shop", "tenantId": 1, **said}
    )
    assert (status, fields) == (400, [field])
    assert count(session) == 0


def test_an_unknown_tenant_is_not_found(root):
    for tenant_id in (999, 2**63 - 1):
        said = {"code": "shop", "name": "Shop", "tenantId": tenant_id}
        assert root.refused("POST", "/apps", said) == (404, "not_found", [])
    said["tenantId"] = 0  # no tenant at all
    assert root.refused("POST", "/apps", said) == (400, "bad_request", ["tenantId"])


def test_code_and_tenant_stay(root, session, tenant):
    found = add(session, "shop", tenant)
    named = {"id": found.id, "name": "Shop"}
    assert root.refused("PUT", "/apps", {**named, "code": "new"}) == (400, "bad_request", ["code"])
    assert root.refused("PUT", "/apps", {**named, "tenantId": 1}) == (
        400,
        "bad_request",
        ["tenantId"],
    )
    assert root.refused("PUT", "/apps", {"name": "Nobody"})[0] == 404
    assert root.refused("PUT", "/apps", {"id": 2**63 - 1, "name": "Nobody"})[0] == 404
    assert root.data("PUT", "/apps", {**named, "code": "shop", "tenantId": tenant}) is True


def test_an_application_in_use_stays(root, session):
    shop = add(session, "shop")
    menu = add_menu(session, shop, "page")
    assert root.refused("DELETE", "/apps/shop") == (409, "application_in_use", [])
    assert root.code("DELETE", "/apps/shop") is Code.application_in_use
    session.delete(menu)
    app = protocol.register(session, "web")
    applications.link_client(session, shop, clients.get(session, "web"))
    session.commit()
    assert root.refused("DELETE", "/apps/shop") == (409, "application_in_use", [])
    clients.delete(session, clients.get(session, app.client_id))
    session.commit()
    assert root.data("DELETE", "/apps/shop") is True


def test_the_bundle_limits_applications(root, session, tenant):
    bundle = Bundle(code="small", name="Small", tenant_type_code="company", ability="{}")
    bundle.number_of_app = 1
    session.add(bundle)
    session.get(Tenant, tenant).bundle_code = "small"
    session.commit()
    said = {"name": "App", "tenantId": tenant}
    assert root.data("POST", "/apps", {**said, "code": "one"}) is True
    two = {**said, "code": "two"}
    assert root.refused("POST", "/apps", two) == (409, "quota_reached", ["tenantId"])
    assert root.code("POST", "/apps", two) is Code.quota_reached
    bundle.number_of_app = None
    session.commit()
    assert root.data("POST", "/apps", two) is True


def at_once(runtime, *tasks):
    """Run each task in a session of its own, all from the same moment on."""
    barrier, outcomes = threading.Barrier(len(tasks)), []

    def run(task):
        with runtime.sessions() as session:
            barrier.wait()
            try:
                task(session)
                session.commit()
                outcomes.append("done")
            except Problem as problem:
                session.rollback()
                outcomes.append(problem.code)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_of_two_who_take_the_last_place_one_wins(runtime, session, tenant):
    session.add(
        Bundle(code="small", name="S", tenant_type_code="company", ability="{}", number_of_app=1)
    )
    session.get(Tenant, tenant).bundle_code = "small"
    session.commit()

    def create(code):
        said = applications.ApplicationSpec("App", code, tenant_id=tenant)
        return lambda own: applications.create(own, said)

    assert at_once(runtime, *map(create, ("one", "two", "three"))) == [
        "done",
        "quota_reached",
        "quota_reached",
    ]
    assert count(session) == 1


def test_of_two_who_take_a_code_one_wins(runtime, session, tenant, other):
    def create(tenant_id):
        said = applications.ApplicationSpec("App", "same", tenant_id=tenant_id)
        return lambda own: applications.create(own, said)

    assert at_once(runtime, *map(create, (tenant, other))) == ["application_taken", "done"]
    assert count(session) == 1


# Search


def test_applications_are_searched_by_a_part_of_the_name(root, session, tenant):
    for code, name in (
        ("a", "Red shop"),
        ("b", "Blue SHOP"),
        ("c", "100%_sure"),
        ("d", "100 sure"),
    ):
        add(session, code, tenant, name)

    def found(name, **query):
        page = root.data(
            "POST", "/apps/page", {"name": name}, **{"pageNo": 1, "pageSize": 10, **query}
        )
        assert page["itemsSize"] == len(page["items"])
        return [row["code"] for row in page["items"]]

    assert found("shop") == ["a", "b"]
    assert found("%") == ["c"]
    assert found("_") == ["c"]
    assert found("\\") == []
    assert found(None) == found("") == ["a", "b", "c", "d"]
    assert found("", pageSize=3, pageNo=2) == ["d"]
    assert found("", pageNo=7) == []
    for query in ({"pageNo": 0}, {"pageSize": 0}, {"pageSize": 201}, {"pageNo": "x"}):
        asked = {"pageNo": 1, "pageSize": 10, **query}
        assert root.refused("POST", "/apps/page", {}, **asked)[:2] == (400, "malformed")
    assert root.refused("POST", "/apps/page", [], pageNo=1, pageSize=1)[:2] == (400, "malformed")
    assert root.refused("POST", "/apps/page", b"", pageNo=1, pageSize=1)[:2] == (400, "not_json")


# Tenants


def test_a_tenant_reads_its_own_applications_and_those_of_the_platform(
    client, session, tenant, other
):
    add(session, "common")
    add(session, "mine", tenant)
    theirs = add(session, "theirs", other)
    hidden = add_menu(session, theirs, "hidden", "read.it")
    for caller in (
        userservice.member(client, session, *READ, *MENUS, "read.it", tenant_id=tenant),
        userservice.machine(client, session, tenant_id=tenant),
    ):
        page = caller.data("POST", "/apps/page", {}, pageNo=1, pageSize=10)
        assert [row["code"] for row in page["items"]] == ["common", "mine"]
        assert caller.data("GET", "/apps/mine")["tenantId"] == tenant
        assert caller.data("GET", "/apps/common")["tenantId"] == 1
        assert caller.refused("GET", "/apps/theirs")[0] == 404
        assert caller.refused("GET", "/menus/theirs/menu-list")[0] == 404
        assert caller.refused("GET", f"/menus/{hidden.id}")[0] == 404
        assert caller.data("GET", "/menus/privileges", privileges="read.it") == []
        assert caller.data("POST", "/menus/page", {}, pageNo=1, pageSize=9)["counts"] == 0
        path = "/apps/privileges/resources/theirs"
        assert caller.refused("GET", path, privileageCodes="read.it")[0] == 404


def test_a_tenant_writes_its_own_applications_only(client, session, tenant, other):
    for code, tenant_id in (("common", 1), ("mine", tenant), ("theirs", other)):
        add(session, code, tenant_id)
    rights = (CREATE, UPDATE, REMOVE)
    for number, caller in enumerate(
        (
            userservice.member(client, session, *rights, tenant_id=tenant),
            userservice.machine(client, session, tenant_id=tenant),
        )
    ):
        for code, tenant_id in (("common", 1), ("theirs", other)):
            new = {"code": f"new{number}", "name": "New", "tenantId": tenant_id}
            assert caller.refused("POST", "/apps", new)[0] == 403
            assert caller.refused("PUT", "/apps", {"code": code, "name": "Stolen"})[0] == 403
            named = {"code": code, "name": "Stolen", "tenantId": tenant}
            assert caller.refused("PUT", "/apps", named)[0] == 403
            assert caller.refused("DELETE", f"/apps/{code}")[0] == 403
        own = {"code": f"own{number}", "name": "Own", "tenantId": tenant}
        assert caller.data("POST", "/apps", own) is True
        assert caller.data("PUT", "/apps", {**own, "name": "Renamed"}) is True
        assert caller.data("DELETE", f"/apps/own{number}") is True
    session.expire_all()
    assert sorted(session.scalars(select(Application.name))) == ["Common", "Mine", "Theirs"]


def test_a_right_in_the_tenant_of_the_body_counts_there(client, session, tenant, other):
    person = userservice.member(client, session, CREATE, tenant_id=tenant)
    user = session.get(center.User, person.user_id)
    token = center.token_for(session, user, tenant_id=tenant)
    protocol.tenants.add_member(session, other, user.id)
    protocol.grant_directly(session, user, UPDATE, tenant_id=other)
    caller = userservice.Service(client, token, user.id)
    new = {"code": "new", "name": "New", "tenantId": other}
    assert caller.refused("POST", "/apps", new)[0] == 403
    protocol.grant_directly(session, user, CREATE, tenant_id=other)
    assert caller.data("POST", "/apps", new) is True
    assert caller.data("PUT", "/apps", {**new, "name": "Newer"}) is True


def test_without_the_right_nothing_is_written(client, session, tenant):
    add(session, "mine", tenant)
    caller = userservice.member(client, session, *READ, tenant_id=tenant)
    new = {"code": "new", "name": "New", "tenantId": tenant}
    assert caller.refused("POST", "/apps", new)[0] == 403
    assert caller.refused("PUT", "/apps", {"code": "mine", "name": "New"})[0] == 403
    assert caller.refused("DELETE", "/apps/mine")[0] == 403
    narrow = userservice.machine(client, session, tenant_id=tenant, scopes=("ids4.ms.us.app.page",))
    assert narrow.refused("POST", "/apps", new)[0] == 403
    assert count(session) == 1


# Clients


def test_the_application_of_a_client_is_found(root, client, session, tenant, other):
    mine = add(session, "mine", tenant)
    protocol.register(session, "web", tenant_id=tenant)
    protocol.register(session, "free")
    with pytest.raises(Problem):
        applications.link_client(session, add(session, "x", other), clients.get(session, "web"))
    for name in ("web", "free"):
        applications.link_client(session, mine, clients.get(session, name))
    session.commit()
    for name in ("web", "free"):
        found = root.data("GET", f"/getApplicationDTOByClientId/{name}")
        assert found == root.second("GET", f"/getApplicationDTOByClientId/{name}")["data"]
        assert found["code"] == "mine"
    for name in ("none", "tool"):
        assert root.refused("GET", f"/getApplicationDTOByClientId/{name}")[0] == 404
    stranger = userservice.machine(client, session, tenant_id=other)
    assert stranger.refused("GET", "/getApplicationDTOByClientId/web")[0] == 404


# Menus


@pytest.fixture
def shop(session, tenant):
    """An application with a menu; `inner` is below a disabled entry."""
    row = add(session, "shop", tenant)
    sales = add_menu(session, row, "sales", icon="cart", comment="All of it")
    add_menu(session, row, "orders", "shop.read", sales, sort=2, url="/orders")
    add_menu(session, row, "offers", "shop.write", sales, sort=1)
    off = add_menu(session, row, "off", status=0)
    add_menu(session, row, "inner", "shop.read", off)
    return row


def test_menus_are_read_and_searched(root, session, shop):
    page = root.data("POST", "/menus/page", {}, pageNo=1, pageSize=10)
    assert page == root.second("POST", "/menus/page", {}, pageNo=1, pageSize=10)["data"]
    codes = [row["code"] for row in page["items"]]
    assert codes == ["sales", "orders", "offers", "off", "inner"]
    sales, orders = page["items"][:2]
    assert orders == {
        "id": orders["id"],
        "application": "Shop",
        "applicationCode": "shop",
        "parentId": sales["id"],
        "code": "orders",
        "title": "Orders",
        "icon": "",
        "url": "/orders",
        "comment": "",
        "sort": 2,
        "status": 1,
        "privilegeCode": "shop.read",
    }
    assert (sales["icon"], sales["parentId"], sales["privilegeCode"]) == ("cart", None, "")
    assert root.data("GET", f"/menus/{orders['id']}") == orders
    assert root.second("GET", f"/menus/{orders['id']}")["data"] == orders
    off = page["items"][3]
    assert root.data("GET", f"/menus/{off['id']}")["status"] == 0

    def found(**said):
        answer = root.data("POST", "/menus/page", said, pageNo=1, pageSize=10)
        return [row["code"] for row in answer["items"]]

    assert found(status=1) == ["sales", "orders", "offers", "inner"]
    assert found(status=0) == codes
    assert found(title="OFF") == ["offers", "off"]
    assert found(title="%") == []
    assert found(applicationCode="shop", status=1, title="in") == ["inner"]
    assert found(applicationCode="none") == []
    assert found(applicationCode=None, status=None, title=None) == codes
    assert root.refused("POST", "/menus/page", {"status": "1"}, pageNo=1, pageSize=1) == (
        400,
        "malformed",
        ["status"],
    )


def test_a_page_of_menus_costs_the_same_for_any_number(root, session, runtime, shop):
    def cost(size):
        with center.statements(runtime.engine) as sent:
            root.data("POST", "/menus/page", {}, pageNo=1, pageSize=size)
        return len(sent)

    cost(1)
    assert cost(1) == cost(5)


def test_menus_of_nowhere_are_not_found(root, shop):
    for path in ("/menus/99999", f"/menus/{2**63}", f"/menus/{10**40}", "/menus/none/menu-list"):
        assert root.refused("GET", path)[0] == 404, path
        assert root.code("GET", path) is Code.not_found
    assert root.send("GET", "/menus/word").status_code == 404
    assert root.send("GET", "/menus/-1").status_code == 404


def test_the_menus_of_an_application_are_its_enabled_ones(root, shop):
    found = root.data("GET", "/menus/shop/menu-list")
    assert [row["code"] for row in found] == ["sales", "offers", "orders"]
    assert root.second("GET", "/menus/shop/menu-list")["data"] == found


def test_privileges_open_menus(root, session, shop):
    add_menu(session, add(session, "common"), "shared", "shop.read")

    def codes(*privileges):
        found = root.data("GET", "/menus/privileges", privileges=list(privileges))
        other = root.second("GET", "/menus/privileges", privileges=",".join(privileges))
        assert other["data"] == found
        return [row["code"] for row in found]

    assert codes("shop.read") == ["sales", "orders", "shared"]
    assert codes("shop.read", "shop.write", "shop.read") == ["sales", "offers", "orders", "shared"]
    assert codes("none") == codes("") == []
    assert root.refused("GET", "/menus/privileges") == (400, "malformed", ["privileges"])
    many = ",".join(f"p{number}" for number in range(501))
    assert root.refused("GET", "/menus/privileges", privileges=many)[:2] == (400, "malformed")


def test_the_resources_of_an_application_are_the_part_that_privileges_open(root, shop):
    path = "/apps/privileges/resources/shop"
    (found,) = root.data("GET", path, privileageCodes="shop.read")
    assert root.second("GET", path, privileageCodes="shop.read")["data"] == [found]
    assert (found["applicationCode"], found["applicationName"]) == ("shop", "Shop")
    tree = found["appRes"]["menu"]
    (sales,) = tree.pop("children")
    assert tree == {
        "id": 0,
        "application": "Shop",
        "applicationCode": "shop",
        "parentId": None,
        "code": "shop",
        "title": "Shop",
        "icon": "",
        "url": "",
        "comment": "",
        "sort": 0,
        "status": 1,
        "privilegeCode": "",
    }
    (orders,) = sales["children"]
    assert (sales["code"], orders["code"], orders["children"]) == ("sales", "orders", [])
    assert orders["parentId"] == sales["id"]
    assert root.data("GET", path, privileageCodes="") == []
    assert root.data("GET", path, privileageCodes=["none", "other"]) == []
    assert root.refused("GET", path) == (400, "malformed", ["privileageCodes"])
    wrong = "/apps/privileges/resources/none"
    assert root.refused("GET", wrong, privileageCodes="x") == (404, "not_found", [])


def test_a_person_sends_only_what_he_holds(client, session, tenant, shop):
    caller = userservice.member(
        client, session, *READ, *MENUS, RESOLVE, "shop.read", tenant_id=tenant
    )
    path = "/apps/privileges/resources/shop"
    assert len(caller.data("GET", path, privileageCodes="shop.read")) == 1
    assert len(caller.data("GET", "/menus/privileges", privileges="shop.read")) == 2
    for codes in ("shop.write", "shop.read,shop.write", "shop.all", "none"):
        assert caller.refused("GET", path, privileageCodes=codes) == (
            400,
            "overreach",
            ["privileageCodes"],
        )
        assert caller.code("GET", path, privileageCodes=codes) is Code.overreach
        refused = caller.refused("GET", "/menus/privileges", privileges=codes)
        assert refused == (400, "overreach", ["privileges"])
        body = {str(tenant): {"rolePrivilegeMap": {"clerk": codes.split(",")}}}
        refused = caller.refused("POST", "/tenants/apps/privileges/resources", body)
        assert refused == (400, "overreach", ["rolePrivilegeMap"])
    robot = userservice.machine(client, session, tenant_id=tenant)
    assert len(robot.data("GET", "/menus/privileges", privileges="shop.read,shop.write")) == 3


# Several tenants


def authorization(*codes):
    return {"rolePrivilegeMap": {"clerk": list(codes), "idle": []}}


def test_resources_of_several_tenants(root, client, session, tenant, other, shop):
    path = "/tenants/apps/privileges/resources"
    add_menu(session, add(session, "theirs", other), "secret", "shop.read")
    add_menu(session, add(session, "common"), "shared", "shop.write")
    body = {
        str(tenant): authorization("shop.read", "shop.write"),
        str(other): authorization("shop.read"),
        "999": authorization("shop.read"),
    }
    found = root.data("POST", path, body)
    assert root.second("POST", path, body)["data"] == found
    told = {
        key: {
            row["applicationCode"]: [menu["code"] for menu in row["appRes"]["menu"]["children"]]
            for row in rows
        }
        for key, rows in found.items()
    }
    assert told == {
        str(tenant): {"shop": ["sales"], "common": ["shared"]},
        str(other): {"theirs": ["secret"]},
        "999": {},
    }
    assert root.data("POST", path, {}) == {}
    assert root.data("POST", path, {str(tenant): {}}) == {str(tenant): []}
    assert root.data("POST", path, {str(tenant): {"rolePrivilegeMap": None}}) == {str(tenant): []}
    # A person called `apps` changes nothing about the address.
    protocol.add_person(session, "apps")
    assert root.data("POST", path, {}) == {}


def test_the_map_of_tenants_is_held_to_its_shape(root):
    path = "/tenants/apps/privileges/resources"
    for body in (
        [],
        "x",
        {"x": authorization()},
        {"": authorization()},
        {"1.5": authorization()},
        {"-1": authorization()},
        {"9" * 5000: authorization()},
        {"1": []},
        {"1": None},
        {"1": {"rolePrivilegeMap": []}},
        {"1": {"rolePrivilegeMap": {"clerk": "shop.read"}}},
        {"1": {"rolePrivilegeMap": {"clerk": [7]}}},
        {"1": {"rolePrivilegeMap": {"clerk": ["x" * 201]}}},
        {"1": {"rolePrivilegeMap": {"clerk": ["x"] * 5001}}},
        {str(number): authorization() for number in range(501)},
    ):
        assert root.refused("POST", path, body)[:2] == (400, "malformed"), body
        assert root.code("POST", path, body) is Code.malformed
    assert root.refused("POST", path, b"{")[:2] == (400, "not_json")
    many = {str(n): authorization(*(f"p{m}" for m in range(4500))) for n in range(1, 6)}
    assert root.refused("POST", path, many)[:2] == (400, "bad_request")
    assert root.data("POST", path, {"9" * 19: authorization("x")}) == {str(2**63 - 1): []}


def test_a_tenant_out_of_reach_refuses_the_whole_map(client, session, tenant, other):
    path = "/tenants/apps/privileges/resources"
    person = userservice.member(client, session, RESOLVE, tenant_id=tenant)
    robot = userservice.machine(client, session, tenant_id=tenant)
    for caller in (person, robot):
        assert caller.data("POST", path, {str(tenant): authorization()}) == {str(tenant): []}
        for body in (
            {str(other): authorization()},
            {str(tenant): authorization(), str(other): authorization()},
            {str(other): authorization(), str(tenant): authorization()},
            {"999": authorization()},
        ):
            assert caller.refused("POST", path, body)[0] == 403
    weak = userservice.member(client, session, tenant_id=tenant, username="weak")
    assert weak.refused("POST", path, {str(tenant): authorization()})[0] == 403
    assert weak.refused("POST", path, {})[0] == 403


@pytest.mark.parametrize("tenants", [2, 20])
def test_a_person_resolves_many_tenants_by_a_constant_number_of_questions(
    client, session, runtime, tenants
):
    ids = [protocol.add_tenant(session, f"t{number}") for number in range(tenants)]
    caller = userservice.member(client, session, tenant_id=ids[0])
    user = session.get(center.User, caller.user_id)
    body = {}
    for tenant_id in ids:
        protocol.tenants.add_member(session, tenant_id, user.id)
        codes = [f"t{tenant_id}.p{number}" for number in range(5)]
        protocol.add_role(session, user, "clerk", [*codes], tenant_id=tenant_id)
        add_menu(session, add(session, f"app{tenant_id}", tenant_id), "page", codes[0])
        protocol.grant_directly(session, user, RESOLVE, tenant_id=tenant_id)
        body[str(tenant_id)] = authorization(*codes)
    caller.data("POST", "/tenants/apps/privileges/resources", {})
    with center.statements(runtime.engine) as sent:
        found = caller.data("POST", "/tenants/apps/privileges/resources", body)
    assert all(len(rows) == 1 for rows in found.values())
    questions = [text for text in sent if text.startswith("SELECT")]
    assert len(questions) == 11, questions


# What the Authorization Center may not take away


def test_a_tenant_or_an_api_that_applications_use_is_not_deleted(client, session, tenant):
    admin = center.administrator(client, session)
    api = protocol.add_api(session, "shop-api", ["shop.scope"])
    shop = add(session, "shop", tenant)
    shop.api_resource_id = api.id
    session.commit()
    gone = admin.call("DELETE", f"/Tenant/{tenant}")
    assert (gone["code"], gone["codeName"]) != (200, "Success")
    assert "applications" in gone["message"]
    gone = admin.call("DELETE", f"/ApiResource/{api.id}")
    assert gone["code"] != 200
    assert "Still used by applications" in gone["message"]
    session.add(Privilege(code="shop.read", name="Read", api_resource_id=api.id))
    shop.api_resource_id = None
    session.commit()
    add_menu(session, shop, "page", "shop.read")
    gone = admin.call("DELETE", f"/ApiResource/{api.id}")
    assert gone["code"] != 200
    assert "used by 1 privilege" in gone["message"]
    assert admin.call("DELETE", f"/Tenant/{tenant}")["code"] != 200
    for menu in session.scalars(select(Menu)):
        session.delete(menu)
    session.commit()
    session.delete(shop)
    session.delete(session.scalar(select(Privilege).where(Privilege.code == "shop.read")))
    session.commit()
    assert admin.call("DELETE", f"/Tenant/{tenant}")["code"] == 200
    assert admin.call("DELETE", f"/ApiResource/{api.id}")["code"] == 200
