"""Accounts of the user service: made, found, bound, and let in by password or short message."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from idp.api.userservice.codes import Code
from idp.directory.authentication import service as authentication
from idp.directory.registration import codes, limits
from idp.directory.registration.models import VerificationCode
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import passwords
from idp.directory.users.models import User, UserClaim
from idp.platform import clock as wall
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from idp.platform.throttle import ADDRESS, SUBJECT
from tests import protocol
from tests.api import center, userservice
from tests.pages.browsing import crowd, events, submit
from tests.protocol import PASSWORD, add_person, add_tenant

NEW = {"username": "lin", "password": "quiet-Orchid-71", "mobile": "13812345678"}
BY_PASSWORD = {"authenticationType": "PASSWORD", "principal": "ann", "certificate": PASSWORD}
NUMBER = "13912345678"
PAGE = {"pageNo": 1, "pageSize": 10, "order": "asc", "sortBy": "id"}


@pytest.fixture
def root(client, session):
    return userservice.administrator(client, session)


@pytest.fixture
def robot(client, session):
    return userservice.machine(client, session)


@pytest.fixture
def acme(session):
    return add_tenant(session)


def find(session, username):
    return session.scalars(select(User).where(User.username == username)).one()


def members(session, tenant_id):
    query = select(Membership.user_id).where(Membership.tenant_id == tenant_id)
    return set(session.scalars(query))


# Creating


def test_an_account_is_created_and_signs_in_at_the_page(root, session, new_client):
    made = root.data("POST", "/accounts", NEW)
    user = find(session, "lin")
    assert made == {
        "id": user.id,
        "username": "lin",
        "mobile": "13812345678",
        "password": "",
        "salt": "",
    }
    assert session.scalars(select(Membership).where(Membership.user_id == user.id)).all() == []
    held = session.scalars(select(Role.code).join(UserRole).where(UserRole.user_id == user.id))
    assert sorted(held) == ["developer", "users"]
    signed_in = submit(new_client(), "/login", {"login": "lin", "password": NEW["password"]})
    assert signed_in.status_code == 303
    other = root.second("POST", "/accounts", {**NEW, "username": "lou", "mobile": ""})
    assert (other["code"], other["data"]["mobile"]) == (0, "")


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("change", "status", "code", "wrong"),
    [
        ({"username": "LIN"}, 409, "username_taken", ["username"]),
        ({"username": "lou"}, 409, "mobile_taken", ["mobile"]),
        ({"username": "lou", "password": "password"}, 400, "weak_password", ["password"]),
        ({"username": "lou", "password": "loulou"}, 400, "weak_password", ["password"]),
        ({"username": "1234567"}, 400, "bad_request", ["username"]),
        ({"username": "a/b"}, 400, "bad_request", ["username"]),
        ({"username": "apps"}, 400, "bad_request", ["username"]),
        ({"username": "x@example.com"}, 400, "bad_request", ["username"]),
        ({"username": ""}, 400, "malformed", ["username"]),
        ({"username": None}, 400, "malformed", ["username"]),
        ({"username": "lou", "mobile": "12"}, 400, "bad_request", ["mobile"]),
        ({"password": ["x"]}, 400, "malformed", ["password"]),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_both_versions(
    root, session, acme, change, status, code, wrong
):
    add_person(session, "lin", mobile="+8613812345678")
    body = {**NEW, **change}
    for path in ("/accounts", f"/accounts/tenants/{acme}"):
        assert root.refused("POST", path, body) == (status, code, wrong)
        assert root.code("POST", path, body) is Code[code]
    assert session.scalar(select(func.count()).where(User.username_key.in_(["lin", "lou"]))) == 1
    assert members(session, acme) == set()


def test_an_account_in_a_tenant_is_its_member_from_the_start(root, session, acme):
    assert root.data("POST", f"/accounts/tenants/{acme}", NEW) is True
    assert members(session, acme) == {find(session, "lin").id}
    other = {"username": "lou", "password": NEW["password"]}
    assert root.second("POST", f"/accounts/tenants/{acme}", other)["data"] is True
    assert root.refused("POST", "/accounts/tenants/99", {**other, "username": "max"})[:2] == (
        404,
        "not_found",
    )
    assert root.refused("POST", f"/accounts/tenants/{2**70}", {**other, "username": "max"})[0] == (
        404
    )


def test_of_two_that_create_the_same_account_at_once_one_wins(app, root, session, settings):
    answers = []

    def create(body):
        with app.test_client() as browser:
            sent = browser.post(
                "/user/accounts",
                base_url=settings.public_url,
                json=body,
                headers=protocol.bearer(root.token),
            )
            answers.append((sent.status_code, sent.get_json().get("code")))

    session.commit()
    bodies = [NEW, NEW, {**NEW, "username": "lou"}]
    threads = [threading.Thread(target=create, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals = sorted(code for status, code in answers if status == 409)
    assert sorted(status for status, _ in answers) == [200, 409, 409]
    assert set(refusals) <= {"username_taken", "mobile_taken"}
    query = select(func.count()).where(User.mobile == "+8613812345678")
    assert session.scalar(query) == 1


# Finding


def test_accounts_are_found_by_name_and_number_without_secrets(root, session):
    ann = add_person(session, mobile="+8613912345678")
    shown = {"id": ann.id, "username": "ann", "mobile": NUMBER, "password": "", "salt": ""}
    for path in (
        "/account-information/name/ann",
        "/account-information/name/ANN",
        f"/accounts-information/mobile/{NUMBER}",
        "/accounts-information/mobile/+8613912345678",
    ):
        assert root.data("GET", path) == shown
        assert root.second("GET", path)["data"] == shown
    for path in (
        "/account-information/name/bob",
        f"/account-information/name/{'a' * 300}",
        "/accounts-information/mobile/13900000000",
        "/accounts-information/mobile/nonsense",
    ):
        assert root.refused("GET", path) == (404, "not_found", [])
        assert root.code("GET", path) is Code.not_found
    assert len(events(session, Tag.USER_LOOKED_UP)) == 16


def test_a_deleted_account_is_not_found(root, robot, session):
    add_person(session, deleted_at=wall.now(), mobile="+8613912345678")
    assert root.refused("GET", "/account-information/name/ann")[0] == 404
    assert robot.data("GET", f"/exist/accounts/mobile/{NUMBER}") is False
    assert root.data("POST", "/accounts/page", {"username": "ann"}, **PAGE)["items"] == []


def test_existence_is_told_to_machines_and_for_a_tenant_also_to_people(root, robot, session, acme):
    add_person(session, mobile="+8613912345678", tenant_ids=[acme])
    for kind in ("name/ann", f"mobile/{NUMBER}"):
        assert robot.data("GET", f"/exist/accounts/{kind}") is True
        assert robot.second("GET", f"/exist/accounts/{kind}")["data"] is True
        assert root.refused("GET", f"/exist/accounts/{kind}")[0] == 403
    for caller in (root, robot):
        for tenant_id, expected in ((acme, True), (1, False), (99, False), (2**70, False)):
            by_number = f"/exist/accounts/tenants/{tenant_id}/mobiles/{NUMBER}"
            by_name = f"/exist/accounts/ann/tenants/{tenant_id}"
            assert caller.data("GET", by_number) is expected
            assert caller.second("GET", by_name)["data"] is expected
    assert robot.data("GET", "/exist/accounts/name/bob") is False
    assert robot.data("GET", "/exist/accounts/mobile/nonsense") is False


def test_who_looks_up_too_often_waits(robot, monkeypatch):
    monkeypatch.setattr("idp.directory.users.accounts.CALLER_LOOKUPS_PER_MINUTE", 2)
    statuses = [robot.send("GET", f"/exist/accounts/name/user{i}").status_code for i in range(3)]
    assert statuses == [200, 200, 429]
    answer = robot.send("GET", "/v2/account-information/name/ann")
    assert (answer.status_code, answer.get_json()["code"]) == (429, 429)
    assert int(answer.headers["Retry-After"]) > 0


def test_look_ups_of_one_person_through_a_program_stop_nobody_else(robot, monkeypatch):
    monkeypatch.setattr("idp.directory.users.accounts.PERSON_LOOKUPS_PER_MINUTE", 2)
    monkeypatch.setattr("idp.directory.users.accounts.ADDRESS_LOOKUPS_PER_MINUTE", 1)
    path = "/exist/accounts/name/user"
    stranger = robot.acting_for("192.0.2.1")
    statuses = [stranger.send("GET", path).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert robot.acting_for("192.0.2.7").send("GET", path).status_code == 200
    # A machine by itself is counted as a machine, wherever it stands.
    assert [robot.send("GET", path).status_code for _ in range(5)] == [200] * 5


def test_lookups_over_all_tenants_are_not_for_a_tenant(client, session, acme):
    add_person(session, mobile="+8613912345678", tenant_ids=[acme])
    rights = [f"ids4.ms.us.account.{name}" for name in ("infobyname", "infobymobile", "tenants")]
    mary = userservice.member(client, session, *rights, tenant_id=acme)
    ours = userservice.machine(client, session, "ours", tenant_id=acme)
    for path in (
        "/account-information/name/ann",
        f"/accounts-information/mobile/{NUMBER}",
        "/accounts/tenant-list/ann",
    ):
        assert mary.refused("GET", path)[0] == 403
        assert ours.refused("GET", path)[0] == 403
    assert ours.refused("GET", "/exist/accounts/name/ann")[0] == 403
    assert ours.data("GET", f"/exist/accounts/ann/tenants/{acme}") is True
    assert ours.refused("GET", "/exist/accounts/ann/tenants/1")[0] == 403


def test_tenants_of_an_account_are_listed(root, session, acme):
    other = add_tenant(session, "Other")
    session.execute(update(Tenant).where(Tenant.id == acme).values(type_code="company"))
    add_person(session, tenant_ids=[acme, other])
    expected = [
        {"id": acme, "name": "Acme", "tenantTypeCode": "company", "bundleCode": ""},
        {"id": other, "name": "Other", "tenantTypeCode": "", "bundleCode": ""},
    ]
    assert root.data("GET", "/accounts/tenant-list/ann") == expected
    assert root.second("GET", "/accounts/tenant-list/ann")["data"] == expected
    assert root.data("GET", "/accounts/tenant-list/bob") == []


# Searching


def test_accounts_are_searched_by_parts_and_sorted(root, session, acme):
    for name, number in (("li.na", "+8613812345671"), ("li_bo", "+8613812345672"), ("wu", None)):
        add_person(session, name, mobile=number, tenant_ids=[acme])

    def found(body=None, **query):
        items = root.data("POST", "/accounts/page", body, **{**PAGE, **query})["items"]
        return [item["username"] for item in items if item["username"] not in {"admin", "root"}]

    assert found() == ["li.na", "li_bo", "wu"]
    assert found(order="DESC", sortBy="username") == ["wu", "li_bo", "li.na"]
    assert found({"username": "LI"}) == ["li.na", "li_bo"]
    assert found({"username": "i_"}) == ["li_bo"]
    assert found({"username": "%"}) == []
    assert found({"mobile": "1381234567"}) == ["li.na", "li_bo"]
    assert found({"mobile": "138 1234 5672"}) == ["li_bo"]
    assert found({"username": "", "mobile": None, "tenantId": acme}) == ["li.na", "li_bo", "wu"]
    assert found({"tenantId": 99}) == []
    second = root.second("POST", "/accounts/page", {"tenantId": acme}, **{**PAGE, "pageSize": 2})
    page = second["data"]
    assert [item["password"] + item["salt"] for item in page.pop("items")] == ["", ""]
    assert page == {
        "counts": 3,
        "first": True,
        "itemsSize": 2,
        "page": 1,
        "pageSize": 2,
        "pages": 2,
    }


@pytest.mark.parametrize(
    "query",
    [
        {"sortBy": "password"},
        {"sortBy": "password_hash"},
        {"sortBy": "id; drop table user"},
        {"order": "sideways"},
        {"pageNo": 0},
        {"pageSize": 201},
        {"pageSize": "x"},
    ],
)
def test_a_search_out_of_bounds_is_refused(root, query):
    assert root.refused("POST", "/accounts/page", None, **{**PAGE, **query}) == (
        400,
        "malformed",
        list(query),
    )


def test_a_tenant_searches_its_own_members_only(client, session, acme):
    add_person(session, tenant_ids=[acme])
    mary = userservice.member(client, session, "ids4.ms.us.account.page", tenant_id=acme)
    ours = userservice.machine(client, session, "ours", tenant_id=acme)
    for caller in (mary, ours):
        found = caller.data("POST", "/accounts/page", {"tenantId": acme}, **PAGE)["items"]
        assert [item["username"] for item in found] == ["ann", "mary"]
        for body in (None, {}, {"tenantId": 1}, {"tenantId": None}, {"tenantId": str(acme)}):
            assert caller.refused("POST", "/accounts/page", body, **PAGE)[0] == 403, body
    assert mary.refused("POST", "/accounts/page", b'{"tenantId":', **PAGE)[0] == 403


def test_a_page_takes_as_many_statements_for_one_account_as_for_fifty(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            root.data("POST", "/accounts/page", None, **{**PAGE, "pageSize": 60})
        return len(sent)

    count()
    few = count()
    session.add_all(
        [User(username=f"u{i}x", username_key=f"u{i}x", mobile=f"+86138{i:08}") for i in range(50)]
    )
    session.commit()
    assert count() == few


# Resetting a password


def test_a_reset_password_ends_what_stood_on_the_old_one(root, session, new_client):
    ann = add_person(session)
    site = protocol.register(session, "site")
    browser = new_client()
    protocol.sign_in(browser, session, ann)
    tokens = protocol.obtain(browser, site)
    body = {"accountId": ann.id, "userName": "ann", "password": "quiet-Orchid-71"}
    assert root.data("POST", "/accounts/password", body) is True
    assert browser.get("/account").status_code == 303
    assert not protocol.is_active(browser, site, tokens.access)
    assert submit(new_client(), "/login", {"login": "ann", "password": PASSWORD}).status_code == 400
    right = {"login": "ann", "password": body["password"]}
    assert submit(new_client(), "/login", right).status_code == 303
    assert [event.user_id for event in events(session, Tag.PASSWORD_SET)] == [root.user_id]


def test_a_password_is_reset_by_id_or_by_name(root, session):
    ann, bob = add_person(session), add_person(session, "bob")
    new = {"password": "quiet-Orchid-71"}
    assert root.data("POST", "/accounts/password", {"accountId": ann.id, **new}) is True
    assert root.second("POST", "/accounts/password", {"userName": "Bob", **new})["data"] is True
    # As the examples of the contract have it: 0 is no id, and an empty name is none.
    by_name, by_id = {"accountId": 0, "userName": "ann"}, {"accountId": ann.id, "userName": ""}
    for body in (by_name, by_id):
        assert root.data("POST", "/accounts/password", {**body, **new}) is True
        assert root.second("POST", "/accounts/password", {**body, **new})["data"] is True
    session.expire_all()
    before = {user.id: user.password_hash for user in (ann, bob)}
    for body, status, code in (
        ({"accountId": 0, "userName": "", **new}, 400, "bad_request"),
        ({"accountId": ann.id, "userName": "bob", **new}, 400, "different_accounts"),
        (new, 400, "bad_request"),
        ({"userName": "", **new}, 400, "bad_request"),
        ({"userName": "nobody", **new}, 404, "not_found"),
        ({"accountId": 10**18, **new}, 404, "not_found"),
        ({"accountId": 2**64, **new}, 400, "malformed"),
        ({"accountId": "1", **new}, 400, "malformed"),
        ({"accountId": ann.id, "password": "ann"}, 400, "weak_password"),
        ({"accountId": ann.id, "password": "********"}, 400, "bad_request"),
        ({"accountId": ann.id}, 400, "malformed"),
    ):
        assert root.refused("POST", "/accounts/password", body)[:2] == (status, code), body
        assert root.code("POST", "/accounts/password", body) is Code[code]
    session.expire_all()
    assert {user.id: user.password_hash for user in (ann, bob)} == before


def test_only_administrators_reset_passwords_of_accounts_with_other_ties(client, session, acme):
    right = "ids4.ms.us.account.resetpassword"
    boss = add_person(session, "boss")
    protocol.add_role(session, boss, "administrators", tenant_id=None)
    guest = add_person(session, "guest", tenant_ids=[1, acme])
    clerk = add_person(session, "clerk")
    protocol.add_role(session, clerk, "helpers", [right], tenant_id=None)
    helper = userservice.Service(client, center.token_for(session, clerk), clerk.id)
    for name in ("boss", "guest"):
        body = {"userName": name, "password": "quiet-Orchid-71"}
        assert helper.refused("POST", "/accounts/password", body)[0] == 404
    assert helper.data("POST", "/accounts/password", {**body, "userName": "clerk"}) is True
    # A program of the platform reaches members of several tenants, and nobody with its rights.
    robot = userservice.machine(client, session, "resetter", scopes=[right])
    before = boss.password_hash
    assert robot.refused("POST", "/accounts/password", {**body, "userName": "boss"})[0] == 404
    assert robot.refused("POST", "/accounts/password", {**body, "userName": "clerk"})[0] == 404
    assert boss.password_hash == before
    tenants_own = userservice.member(client, session, right, tenant_id=acme)
    assert tenants_own.refused("POST", "/accounts/password", body)[0] == 403
    assert guest.password_hash == boss.password_hash


# Binding


def test_an_account_is_bound_once_however_often(root, session, acme):
    ann = add_person(session)
    path = f"/bind/accounts/ann/tenants/{acme}"
    assert root.data("POST", path) is True
    assert root.data("POST", path) is True
    assert root.second("POST", path)["data"] is True
    assert members(session, acme) == {ann.id}
    assert [event.tenant_id for event in events(session, Tag.MEMBER_ADDED)].count(acme) == 1
    for missing in (f"/bind/accounts/bob/tenants/{acme}", "/bind/accounts/ann/tenants/99"):
        assert root.refused("POST", missing)[:2] == (404, "not_found")
        assert root.code("POST", missing) is Code.not_found


def test_who_leaves_a_tenant_loses_what_was_his_there_and_nothing_else(
    root, session, acme, new_client
):
    ann = add_person(session, tenant_ids=[1, acme])
    protocol.add_role(session, ann, "clerk", ["orders.read"], tenant_id=acme)
    kept = protocol.add_role(session, ann, "reader", tenant_id=1)
    protocol.grant_directly(session, ann, "orders.read", tenant_id=acme)
    site, browser = protocol.register(session, "site"), new_client()
    protocol.sign_in(browser, session, ann)
    here = protocol.obtain(browser, site, tenant="1")
    there = protocol.obtain(browser, site, tenant=str(acme))
    path = f"/unbind/accounts/ann/tenants/{acme}"
    assert root.data("DELETE", path) is True
    assert members(session, acme) == set()
    held = select(UserRole.role_id).where(UserRole.user_id == ann.id)
    assert list(session.scalars(held)) == [kept.id]
    assert session.scalars(select(UserClaim).where(UserClaim.user_id == ann.id)).all() == []
    assert protocol.is_active(browser, site, here.access)
    assert not protocol.is_active(browser, site, there.access)
    # Coming back does not bring the old tokens back.
    root.data("POST", f"/bind/accounts/ann/tenants/{acme}")
    assert not protocol.is_active(browser, site, there.access)
    assert root.second("DELETE", path)["data"] is True
    assert root.data("DELETE", path) is True
    assert root.data("DELETE", f"/unbind/accounts/bob/tenants/{acme}") is True
    assert find(session, "ann").deleted_at is None


def test_the_administrator_of_a_tenant_stays(root, session, acme):
    ann = add_person(session)
    tenants.add_member(session, acme, ann.id, is_admin=True)
    path = f"/unbind/accounts/ann/tenants/{acme}"
    assert root.refused("DELETE", path) == (409, "administrator_stays", [])
    assert root.code("DELETE", path) is Code.administrator_stays
    assert members(session, acme) == {ann.id}


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", "/bind/accounts/ann/tenants/{}", "bindtenant"),
        ("DELETE", "/unbind/accounts/ann/tenants/{}", "unbindtenant"),
        ("POST", "/accounts/tenants/{}", "createintenant"),
    ],
)
def test_a_tenant_decides_about_its_own_members_only(client, session, acme, method, path, right):
    other = add_tenant(session, "Other")
    add_person(session, tenant_ids=[] if right == "bindtenant" else [other])
    code = f"ids4.ms.us.account.{right}"
    mary = userservice.member(client, session, code, tenant_id=acme)
    ours = userservice.machine(client, session, "ours", tenant_id=acme, scopes=[code])
    none = userservice.member(client, session, tenant_id=acme, username="nobody")
    before = members(session, other)
    for caller in (mary, ours):
        assert caller.refused(method, path.format(other), NEW)[0] == 403
        assert caller.code(method, path.format(1), NEW) is Code.forbidden
    assert none.refused(method, path.format(acme), NEW)[0] == 403
    assert members(session, other) == before
    assert mary.data(method, path.format(acme), NEW) is True
    assert ours.data(method, path.format(acme), {**NEW, "username": "lou", "mobile": None}) is True


def test_a_tenant_does_not_take_the_people_of_another_one(client, session, acme, root):
    other = add_tenant(session, "Other")
    ann = add_person(session, tenant_ids=[other])
    boss = add_person(session, "boss")
    protocol.add_role(session, boss, "administrators", tenant_id=None)
    code = "ids4.ms.us.account.bindtenant"
    mary = userservice.member(client, session, code, tenant_id=acme)
    ours = userservice.machine(client, session, "ours", tenant_id=acme, scopes=[code])
    before = members(session, acme)
    for caller in (mary, ours):
        for name in ("ann", "boss", "nobody"):
            path = f"/bind/accounts/{name}/tenants/{acme}"
            assert caller.refused("POST", path) == (404, "not_found", [])
    assert members(session, acme) == before
    # That somebody asked is noted, whoever it was about.
    looked_up = [event for event in events(session, Tag.USER_LOOKED_UP) if event.target is None]
    assert len(looked_up) == 6
    assert root.data("POST", f"/bind/accounts/ann/tenants/{acme}") is True
    assert ann.id in members(session, acme)


@pytest.fixture
def boss(client, session, acme):
    """Return the owner of a tenant, who may bind accounts and manage its people."""
    rights = ("ids4.ms.us.account.bindtenant", "ids4.ms.user.all")
    caller = center.manager(client, session, *rights, username="boss", tenant_id=acme)
    tenants.add_member(session, acme, caller.user.id, is_admin=True)
    session.commit()
    return caller


def bind(caller, tenant_id):
    path = f"/bind/accounts/ann/tenants/{tenant_id}"
    assert userservice.Service(caller.browser, caller.token).data("POST", path) is True


def resets_password(caller, user):
    """Return whether a manager can set a person's password."""
    shown = caller.data("GET", f"/User/{user.id}")
    content = caller.call("PUT", "/User", {**shown, "passwordHash": "quiet-Orchid-71"})
    assert content["code"] in {200, 404}, content
    return content["code"] == 200


def test_a_tenant_that_binds_an_account_does_not_set_its_password(session, acme, boss, new_client):
    ann = add_person(session, tenant_ids=[])
    bind(boss, acme)
    before = ann.password_hash
    assert not resets_password(boss, ann)
    session.expire_all()
    assert ann.password_hash == before


@pytest.mark.parametrize("where", ["page", "user service"])
def test_once_a_bound_person_signed_in_for_a_tenant_it_may_set_the_password(
    client, session, acme, boss, new_client, where
):
    ann = add_person(session, tenant_ids=[])
    ours = userservice.machine(client, session, "ours", tenant_id=acme)
    bind(boss, acme)
    wrong = {**BY_PASSWORD, "certificate": "guessed"}
    assert ours.code("POST", "/login", wrong) is Code.bad_credential
    assert not resets_password(boss, ann)
    if where == "page":
        assert submit(new_client(), "/login", {"login": "ann", "password": PASSWORD}).location
    else:
        assert ours.second("POST", "/login", BY_PASSWORD)["isSuccess"]
    assert resets_password(boss, ann)
    # Bound again after they left, it is as at first.
    tenants.remove_member(session, acme, ann.id)
    session.commit()
    bind(boss, acme)
    assert not resets_password(boss, ann)


def test_signing_in_for_one_tenant_says_nothing_about_another(session, root, acme, new_client):
    other = add_tenant(session, "Other", hosts=["other.example"])
    ann = add_person(session, tenant_ids=[])
    for tenant_id in (acme, other):
        bind(root, tenant_id)
    assert submit(new_client(), "/login", {"login": "ann", "password": PASSWORD}).location
    assert bound_to(session, ann) == [other]


def test_accounts_that_the_platform_puts_into_a_tenant_are_bound(session, client, root, acme):
    ann = add_person(session, tenant_ids=[])
    platform = center.Caller(client, None, root.token)
    shown = platform.data("GET", f"/User/{ann.id}")
    platform.data("PUT", "/User", {**shown, "tenants": [{"tenantId": acme}]})
    assert bound_to(session, ann) == [acme]
    # One that is made there is the tenant's from the start.
    root.data("POST", f"/accounts/tenants/{acme}", NEW)
    assert bound_to(session, find(session, "lin")) == []


def bound_to(session, user):
    query = select(Membership.tenant_id).where(Membership.user_id == user.id, Membership.is_bound)
    return sorted(session.scalars(query))


# Authenticating by password


def test_a_right_password_gives_the_account_and_a_login_its_tenants(robot, session, acme):
    ann = add_person(session, tenant_ids=[1, acme], mobile="+8613912345678")
    off = add_tenant(session, "Off")
    tenants.add_member(session, off, ann.id)
    session.execute(update(Tenant).where(Tenant.id == off).values(status=2))
    protocol.add_role(session, ann, "clerk", ["orders.read", "orders.all"], tenant_id=acme)
    shown = {"id": ann.id, "username": "ann", "mobile": NUMBER}
    account = {**shown, "password": "", "salt": ""}
    assert robot.data("POST", "/authentication", BY_PASSWORD) == account
    assert robot.second("POST", "/authentication", BY_PASSWORD)["data"] == account
    by_number = {**BY_PASSWORD, "principal": NUMBER}
    told = robot.data("POST", "/login", by_number)
    assert robot.second("POST", "/login", BY_PASSWORD)["data"] == told
    assert [tenant["id"] for tenant in told.pop("tenants")] == [1, acme]
    assert told.pop("tenantAuthorizationInfoMap") == {
        "1": {"rolePrivilegeMap": {}},
        str(acme): {"rolePrivilegeMap": {"clerk": ["orders.all", "orders.read"]}},
    }
    assert told.pop("resources") == {"1": [], str(acme): []}
    assert told == shown
    assert len(events(session, Tag.ACCOUNT_AUTHENTICATED)) == 4


def test_a_wrong_password_and_an_unknown_account_are_one_answer(robot, session, monkeypatch):
    add_person(session)
    add_person(session, "off", is_disabled=True)
    seen = []

    def matches(stored, password, *_):
        seen.append(stored)
        return stored is not None and password == PASSWORD

    monkeypatch.setattr(passwords, "matches", matches)
    answers = []
    for principal, certificate in (("ann", "wrong"), ("bob", PASSWORD), ("off", PASSWORD)):
        body = {**BY_PASSWORD, "principal": principal, "certificate": certificate}
        for path in ("/login", "/authentication"):
            content = robot.send("POST", path, body).get_json()
            content.pop("request_id")
            answers.append(content)
            assert robot.code("POST", path, body) is Code.bad_credential
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0]["status"], answers[0]["code"]) == (400, "bad_credential")
    assert len(seen) == 12
    trail = [(event.client_id, event.details) for event in events(session, Tag.SIGN_IN_REFUSED)]
    assert {client_id for client_id, _ in trail} == {"robot"}
    assert PASSWORD not in str(trail)


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("change", "code", "wrong"),
    [
        ({"authenticationType": "FACE"}, "unknown_authentication_type", ["authenticationType"]),
        ({"authenticationType": "password"}, "unknown_authentication_type", ["authenticationType"]),
        ({"authenticationType": None}, "malformed", ["authenticationType"]),
        ({"authenticationType": 1}, "malformed", ["authenticationType"]),
        ({"principal": ""}, "malformed", ["principal"]),
        ({"principal": "x" * 300}, "malformed", ["principal"]),
        ({"certificate": None}, "malformed", ["certificate"]),
        ({"authenticationType": "SMS"}, "bad_request", ["smsKey"]),
        ({"authenticationType": "QRCODE"}, "bad_credential", []),
    ],
)
def test_a_credential_of_the_wrong_shape_is_refused(robot, session, change, code, wrong):
    add_person(session)
    for path in ("/login", "/authentication"):
        assert robot.refused("POST", path, {**BY_PASSWORD, **change}) == (400, code, wrong)
        assert robot.code("POST", path, {**BY_PASSWORD, **change}) is Code[code]


def test_tries_are_counted_together_over_both_versions_and_the_sign_in_page(
    robot, session, new_client, monkeypatch
):
    add_person(session)
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: False)
    wrong = {**BY_PASSWORD, "certificate": "wrong"}
    page = {"login": "ann", "password": "wrong"}
    assert submit(new_client(), "/login", page).status_code == 400
    assert robot.send("POST", "/login", wrong).status_code == 400
    assert robot.send("POST", "/v2/login", wrong).status_code == 200
    assert robot.send("POST", "/authentication", wrong).status_code == 400
    assert robot.send("POST", "/v2/authentication", wrong).status_code == 200
    statuses = {robot.send("POST", "/v2/login", wrong).status_code for _ in range(2)}
    assert 429 in statuses
    answer = robot.send("POST", "/v2/login", {**wrong, "certificate": PASSWORD})
    assert (answer.status_code, answer.get_json()["code"]) == (429, 429)
    assert int(answer.headers["Retry-After"]) > 0
    # Whoever goes on elsewhere meets the count of the account.
    for number in range(SUBJECT.free):
        robot.acting_for(f"192.0.2.{number}").send("POST", "/login", wrong)
    assert submit(new_client(), "/login", page).status_code == 429


def test_a_stranger_at_an_applications_form_stops_none_of_its_people(robot, session, monkeypatch):
    add_person(session)
    for number in range(2 * ADDRESS.free):
        wrong = {**BY_PASSWORD, "principal": f"nobody-{number}"}
        assert robot.code("POST", "/login", wrong) is Code.bad_credential
    assert robot.send("POST", "/login", BY_PASSWORD).status_code == 200
    # What remains is a bound for the whole application.
    monkeypatch.setattr(authentication, "FAILURES_PER_CLIENT", 1)
    robot.send("POST", "/login", {**BY_PASSWORD, "principal": "somebody"})
    assert robot.send("POST", "/login", BY_PASSWORD).status_code == 429


def test_an_address_that_a_client_hands_on_is_counted_for_that_client_alone(
    client, robot, session, new_client
):
    add_person(session)
    other = userservice.machine(client, session, "other")
    stranger, owner = robot.acting_for("127.0.0.1"), robot.acting_for("192.0.2.7")
    statuses = [
        stranger.send("POST", "/login", {**BY_PASSWORD, "principal": f"nobody-{n}"}).status_code
        for n in range(ADDRESS.free + 1)
    ]
    assert statuses == [400] * ADDRESS.free + [429]
    assert stranger.send("POST", "/login", BY_PASSWORD).status_code == 429
    assert owner.send("POST", "/login", BY_PASSWORD).status_code == 200
    assert robot.send("POST", "/login", BY_PASSWORD).status_code == 200
    assert other.acting_for("127.0.0.1").send("POST", "/login", BY_PASSWORD).status_code == 200
    # A client keeps nobody from our own pages by naming where they are.
    page = {"login": "ann", "password": PASSWORD}
    assert submit(new_client(), "/login", page).status_code == 303


def test_a_stranger_at_an_applications_form_does_not_lock_an_account(robot, session):
    add_person(session)
    stranger, owner = robot.acting_for("192.0.2.1"), robot.acting_for("192.0.2.7")
    wrong = {**BY_PASSWORD, "certificate": "wrong"}
    statuses = {stranger.send("POST", "/login", wrong).status_code for _ in range(10)}
    assert statuses == {400, 429}
    assert owner.send("POST", "/login", BY_PASSWORD).status_code == 200


def test_a_crowd_is_told_to_come_back_in_both_versions_and_nobody_has_failed(robot, session):
    add_person(session)
    with crowd():
        for path in ("/login", "/v2/login"):
            for _ in range(10):
                answer = robot.send("POST", path, BY_PASSWORD)
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) > 0
    assert events(session, Tag.SIGN_IN_REFUSED) == []
    assert robot.send("POST", "/login", BY_PASSWORD).status_code == 200


@pytest.mark.parametrize("text", ["", "nonsense", "192.0.2.1, 192.0.2.2", "192.0.2.1:80", "1" * 99])
def test_an_address_that_is_none_is_refused_with_the_headers_name(robot, session, text):
    add_person(session)
    refused = robot.acting_for(text).refused("POST", "/login", BY_PASSWORD)
    assert refused == (400, "bad_request", ["End-User-Address"])
    assert robot.acting_for("[2001:db8::7]").send("POST", "/login", BY_PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/login"),
        ("POST", "/authentication"),
        ("GET", "/getMessage"),
        ("GET", "/exist/accounts/name/ann"),
        ("GET", f"/exist/accounts/mobile/{NUMBER}"),
    ],
)
def test_what_comes_before_there_is_a_person_is_for_clients_alone(root, session, method, path):
    query = {"body": BY_PASSWORD} if method == "POST" else {"phone": NUMBER}
    assert root.refused(method, path, **query)[0] == 403
    assert root.code(method, path, **query) is Code.forbidden
    assert events(session, Tag.ACCOUNT_AUTHENTICATED) == []


def test_a_machine_of_a_tenant_logs_in_its_members_and_sees_that_tenant_only(client, session, acme):
    add_person(session, tenant_ids=[1, acme])
    add_person(session, "bob", tenant_ids=[1])
    ours = userservice.machine(client, session, "ours", tenant_id=acme)
    told = ours.data("POST", "/login", BY_PASSWORD)
    assert [tenant["id"] for tenant in told["tenants"]] == [acme]
    assert list(told["tenantAuthorizationInfoMap"]) == [str(acme)]
    for path in ("/login", "/authentication"):
        assert ours.code("POST", path, {**BY_PASSWORD, "principal": "bob"}) is Code.bad_credential


def test_a_login_takes_as_many_statements_for_fifty_tenants_as_for_one(
    robot, session, runtime, monkeypatch
):
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: True)
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    ann = add_person(session)
    protocol.add_role(session, ann, "clerk", ["orders.read"])

    def login():
        with center.statements(runtime.engine) as sent:
            told = robot.data("POST", "/login", BY_PASSWORD)
        return told, len(sent)

    robot.data("POST", "/login", BY_PASSWORD)
    _, few = login()
    many_rights(session, ann)
    robot.data("POST", "/login", BY_PASSWORD)
    told, statements = login()
    assert statements == few
    assert len(told["tenants"]) == 51
    maps = [each["rolePrivilegeMap"] for each in told["tenantAuthorizationInfoMap"].values()]
    assert sum(len(roles) for roles in maps) == 201
    assert len({code for roles in maps for codes in roles.values() for code in codes}) == 2001


def many_rights(session, user):
    """Add a person with 50 tenants, 200 roles and 2,000 privileges."""
    privileges = [Privilege(code=f"p.{i}", name="p") for i in range(2000)]
    companies = [Tenant(name=f"Company {i}") for i in range(50)]
    session.add_all([*privileges, *companies])
    session.flush()
    held = [
        Role(code=f"r{i}", name="r", tenant_id=company.id)
        for company in companies
        for i in range(4)
    ]
    session.add_all([Membership(user_id=user.id, tenant_id=company.id) for company in companies])
    session.add_all(held)
    session.flush()
    session.add_all([UserRole(user_id=user.id, role_id=role.id) for role in held])
    session.add_all(
        RolePrivilege(role_id=held[i % 200].id, privilege_id=privilege.id)
        for i, privilege in enumerate(privileges)
    )
    session.commit()


# Authenticating by short message


def ask_for_code(robot, outbox):
    """Ask for a code; return the key and the code that the person got."""
    answer = robot.send("GET", "/getMessage", phone=NUMBER)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    message = outbox()[-1]
    assert message.to == "+8613912345678"
    (code,) = re.findall(r"\b\d{6}\b", message.text)
    return answer.get_json(), code


def by_sms(key, code, principal=NUMBER):
    return {
        "authenticationType": "SMS",
        "principal": principal,
        "certificate": code,
        "smsKey": key,
    }


def test_a_code_lets_in_once_together_with_its_key(robot, session, outbox):
    ann = add_person(session, mobile="+8613912345678")
    key, code = ask_for_code(robot, outbox)
    assert re.fullmatch(r"[\w-]{43}", key)
    row = session.scalars(select(VerificationCode)).one()
    assert code not in row.code_mac
    assert key not in str(vars(row))
    for wrong_key in (key[:-1], "x" * 43):
        refused = robot.refused("POST", "/login", by_sms(wrong_key, code))
        assert refused == (400, "bad_credential", [])
    session.expire_all()
    assert (
        row.tries_left == codes.TRIES_OF_ALL
    )  # without the key nobody spends the tries of somebody else
    assert robot.data("POST", "/login", by_sms(key, code, f"+86 {NUMBER}"))["id"] == ann.id
    for path in ("/login", "/authentication"):
        assert robot.code("POST", path, by_sms(key, code)) is Code.bad_credential
    assert len(events(session, Tag.ACCOUNT_AUTHENTICATED)) == 1


def test_a_code_is_good_for_its_number_and_for_signing_in_only(robot, session, outbox):
    add_person(session, mobile="+8613912345678")
    add_person(session, "bob", mobile="+8613812345678")
    key, code = ask_for_code(robot, outbox)
    refused = robot.refused("POST", "/login", by_sms(key, code, "13812345678"))
    assert refused[1] == "bad_credential"
    assert session.scalars(select(VerificationCode.channel)).all() == ["sign-in"]


def test_a_code_allows_five_tries_and_five_minutes(robot, session, outbox, clock, monkeypatch):
    add_person(session, mobile="+8613912345678")
    monkeypatch.setattr(authentication, "throttle_keys", lambda session, login: ())
    monkeypatch.setattr("idp.platform.throttle.Throttle.check_delay", lambda *_: None)
    key, code = ask_for_code(robot, outbox)
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(5):
        assert robot.code("POST", "/login", by_sms(key, wrong)) is Code.bad_credential
    assert robot.code("POST", "/login", by_sms(key, code)) is Code.bad_credential
    clock.shift(61)
    key, code = ask_for_code(robot, outbox)
    clock.shift(301)
    assert robot.code("POST", "/login", by_sms(key, code)) is Code.bad_credential


def test_a_number_without_an_account_gets_the_same_answer_and_no_message(
    client, robot, session, outbox, acme
):
    add_person(session, mobile="+8613912345678", tenant_ids=[1])
    add_person(session, "off", mobile="+8613812345678", is_disabled=True)
    ours = userservice.machine(client, session, "ours", tenant_id=acme)
    for caller, number in ((robot, "13700000000"), (robot, "13812345678"), (ours, NUMBER)):
        key = caller.data("GET", "/getMessage", phone=number)
        assert re.fullmatch(r"[\w-]{43}", key)
        assert caller.refused("GET", "/getMessage", phone=number)[:2] == (429, "too_many_requests")
    assert session.scalars(select(OutboxMessage)).all() == []


def test_head_sends_no_message(robot, session, outbox):
    add_person(session, mobile="+8613912345678")
    answer = robot.send("HEAD", "/getMessage", phone=NUMBER)
    assert answer.status_code == 405
    assert "HEAD" not in answer.headers["Allow"]
    assert session.scalars(select(OutboxMessage)).all() == []


def test_short_messages_are_limited_by_number_client_and_address(
    robot, session, clock, monkeypatch
):
    add_person(session, mobile="+8613912345678")
    assert robot.second("GET", "/getMessage", phone=NUMBER)["code"] == 0
    again = robot.send("GET", "/getMessage", phone=f"+86{NUMBER}")
    assert (again.status_code, again.headers["Retry-After"]) == (429, "60")
    for _ in range(9):
        clock.shift(61)
        robot.data("GET", "/getMessage", phone=NUMBER)
    clock.shift(61)
    assert int(robot.send("GET", "/getMessage", phone=NUMBER).headers["Retry-After"]) > 3600
    stranger, owner = robot.acting_for("192.0.2.1"), robot.acting_for("192.0.2.7")
    for limit, caller in (("client", robot), ("person", stranger)):
        with monkeypatch.context() as patch:
            small = replace(limits.CODES_TO_SIGN_IN, **{limit: 1})
            patch.setattr(limits, "CODES_TO_SIGN_IN", small)
            numbers = (f"1370000000{i}" for i in range(2))
            sent = [caller.send("GET", "/getMessage", phone=number) for number in numbers]
            assert [answer.status_code for answer in sent] == [200, 429]
            assert owner.send("GET", "/getMessage", phone="13700000009").status_code == (
                429 if limit == "client" else 200
            )
            clock.shift(61)


def test_a_stranger_does_not_keep_the_owner_from_a_code(robot, session, outbox, clock):
    ann = add_person(session, mobile="+8613912345678")
    stranger, owner = robot.acting_for("192.0.2.1"), robot.acting_for("192.0.2.7")
    for _ in range(10):
        stranger.data("GET", "/getMessage", phone=NUMBER)
        clock.shift(61)
    assert stranger.send("GET", "/getMessage", phone=NUMBER).status_code == 429
    outbox()
    clock.shift(1)  # messages are sorted by the time when they were sent
    key, code = ask_for_code(owner, outbox)
    assert owner.data("POST", "/login", by_sms(key, code))["id"] == ann.id


@pytest.mark.parametrize("phone", ["", "12", "nonsense", "1" * 40])
def test_what_is_no_number_gets_no_code(robot, phone):
    assert robot.refused("GET", "/getMessage", phone=phone)[::2] == (400, ["phone"])
    assert robot.refused("GET", "/getMessage")[::2] == (400, ["phone"])


def test_codes_keys_and_passwords_are_in_no_trail(robot, session, outbox):
    add_person(session, mobile="+8613912345678")
    key, code = ask_for_code(robot, outbox)
    robot.data("POST", "/authentication", by_sms(key, code))
    robot.data("POST", "/authentication", BY_PASSWORD)
    trail = str([vars(event) for event in session.scalars(select(AuditEvent))])
    assert key not in trail
    assert PASSWORD not in trail
    assert f"'{code}'" not in trail
