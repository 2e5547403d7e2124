"""Users of the Authorization Center."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select

from idp.directory.policies.models import Policy
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.directory.users.models import User, UserClaim, UserFile
from idp.platform import clock as times
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import center

PASSWORD = "tall-birch-window-8"


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


def add(session, username, *, below=None, tenant_ids=(1,), **columns):
    """Add a person whom another person referred."""
    if below is not None:
        columns |= {"parent_user_id": below.id, "lineage": users.lineage_below(below)}
    return protocol.add_person(session, username, tenant_ids=tenant_ids, **columns)


def refused_fields(content):
    assert content["code"] == 422, content
    assert content["codeName"] == "UnprocessableEntity"
    return json.loads(content["message"])


def changed(session, user_id):
    query = select(AuditEvent).where(
        AuditEvent.tag == Tag.USER_CHANGED, AuditEvent.target == f"user:{user_id}"
    )
    return list(session.scalars(query))


# Creating


def test_a_created_user_can_sign_in_and_has_the_default_roles_only(root, session, client):
    made = root.data(
        "POST",
        "/User",
        {
            "userName": "ben",
            "email": "Ben@app.example",
            "phoneNumber": "13800138000",
            "passwordHash": PASSWORD,
            "nickName": "Ben",
            "birthday": "1990-05-06T00:00:00+08:00",
            "stature": 1.8,
        },
    )
    user = session.get_one(User, made)
    assert users.verify_password(session, user, PASSWORD)
    assert (user.mobile, user.lineage, user.parent_user_id) == ("+8613800138000", "/1/", 1)
    codes = select(Role.code).join(UserRole).where(UserRole.user_id == made)
    assert sorted(session.scalars(codes)) == ["developer", "users"]
    joined = select(Membership.tenant_id).where(Membership.user_id == made)
    assert list(session.scalars(joined)) == [1]

    shown = root.data("GET", f"/User/{made}")
    assert shown["phoneNumber"] == "13800138000"
    assert shown["birthday"] == "1990-05-06T00:00:00Z"
    assert shown["passwordHash"] is None
    assert shown["securityStamp"] is None
    assert user.password_hash not in json.dumps(shown)
    assert user.security_stamp not in json.dumps(shown)
    assert (shown["emailConfirmed"], shown["isDeleted"]) == (False, False)


def test_a_user_without_password_cannot_sign_in_by_one(root, session):
    made = root.data("POST", "/User", {"email": "ben@app.example", "passwordHash": ""})
    user = session.get_one(User, made)
    assert (user.username, user.password_hash) == ("ben@app.example", None)


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"userName": "ben", "passwordHash": "short"}, "passwordHash"),
        ({"userName": "ben", "passwordHash": "password123"}, "passwordHash"),
        ({"userName": "12345"}, "userName"),
        ({}, "userName"),
        ({"userName": "ben", "email": "no address"}, "email"),
        ({"userName": "ben", "phoneNumber": "110"}, "phoneNumber"),
        ({"userName": "ann"}, "userName"),
        ({"userName": "ben", "email": "ANN@app.example"}, "email"),
        ({"userName": "ben", "phoneNumber": "+86 139 0013 9000"}, "phoneNumber"),
    ],
)
def test_a_rejected_account_names_its_reasons(root, session, body, field):
    add(session, "ann", email="ann@app.example", mobile="+8613900139000")
    before = center.whole_database(session)
    content = root.call("POST", "/User", body, culture="en-US")
    assert (content["code"], content["codeName"]) == (100009, "Post_CreateUserFail")
    assert list(json.loads(content["message"])) == [field]
    assert center.whole_database(session) == before


def test_names_of_deleted_people_stay_theirs(root, session):
    ann = add(session, "ann")
    root.data("DELETE", f"/User/{ann.id}")
    assert root.call("POST", "/User", {"userName": "Ann"})["code"] == 100009


@pytest.mark.no_database
@pytest.mark.parametrize(
    "body",
    [
        {"userName": 7},
        {"userName": "x" * 257},
        {"emailConfirmed": "yes"},
        {"emailConfirmed": 1},
        {"accessFailedCount": 2**31},
        {"accessFailedCount": "1"},
        {"lockoutEnd": "tomorrow"},
        {"birthday": 19900506},
        {"stature": "1.8"},
        {"stature": True},
        {"weight": -1},
        {"parentUserID": 2**63},
        {"id": 2**63},
        {"twoFactorEnabled": True},
        {"isDeleted": True},
        {"avatar": "javascript:alert(1)"},
        {"roles": [{"roleId": 10**6}]},
        {"roles": [{}]},
        {"roles": {"roleId": 1}},
        {"claims": [{"claimType": "permission", "claimValue": "no.such.permission"}]},
        {"claims": [{"claimType": "permission", "claimValue": "a,b"}]},
        {"claims": [{"claimType": "email_verified", "claimValue": "true"}]},
        {"claims": [{"claimType": "role", "claimValue": "administrators"}]},
        {"claims": [{"claimType": "sub", "claimValue": "1"}]},
        {"claims": [{"claimType": "Permission", "claimValue": "ids4.ms.client.get"}]},
        {"claims": [{"claimType": "EMAIL_verified", "claimValue": "true"}]},
        {"claims": [{"claimType": "\uff52ole", "claimValue": "administrators"}]},
        {"claims": [{"claimType": "x", "claimValue": "y"}] * 10_000},
        {"claims": [{"id": 1, "claimType": "x", "claimValue": "y"}]},
        {"tenants": [{"tenantId": 999}]},
        {"files": [{"fileType": 3, "files": "https://a.example/x"}]},
        {"files": [{"fileType": 0, "files": "javascript:alert(1)"}]},
        {"files": [{"fileType": 0, "files": '["data:text/html,x"]'}]},
        {"files": [{"fileType": 1, "files": '["https://a.example/x"]'}]},
        {"properties": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
        {"logins": [{"loginProvider": "x", "providerKey": "y"}]},
        {"tokens": [{"name": "x"}]},
        {"clients": [{"clientId": 1}]},
        {"apiResources": [{"apiResourceId": 1}]},
        {"distributors": [{"tenantId": 1}]},
        {"phoneNumberConfirmed": True},
    ],
)
def test_wrong_shapes_and_values_change_nothing(root, session, body):
    before = center.whole_database(session)
    assert refused_fields(root.call("POST", "/User", {"userName": "ben", **body}))
    assert center.whole_database(session) == before


def test_a_body_that_is_no_json_is_an_http_problem(root):
    answer = root.send("POST", "/User", b"{")
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")


# Replacing


@pytest.fixture
def full(root, session):
    """Make an account that has something of everything."""
    made = root.data(
        "POST",
        "/User",
        {
            "userName": "ben",
            "email": "ben@app.example",
            "emailConfirmed": True,
            "phoneNumber": "+12025550123",
            "phoneNumberConfirmed": False,
            "passwordHash": PASSWORD,
            "lockoutEnd": "2020-01-02T03:04:05.678Z",
            "lockoutEnabled": True,
            "accessFailedCount": 3,
            "nickName": "Ben",
            "avatar": "https://a.example/ben.png",
            "gender": "m",
            "birthday": "1990-05-06",
            "address": "1 Way",
            "stature": 1.83,
            "weight": 77.5,
            "description": "d",
            "remark": "r",
            "typeIDs": "1,2",
            "claims": [
                {"claimType": "permission", "claimValue": "ids4.ms.client.get"},
                {"claimType": "team", "claimValue": "blue"},
            ],
            "files": [
                {"fileType": 0, "files": '["https://a.example/1.png"]'},
                {"fileType": 1, "files": "https://a.example/1.mp4"},
            ],
            "properties": [{"key": "note", "value": "n"}],
        },
    )
    return root.data("GET", f"/User/{made}")


@pytest.mark.parametrize("who", ["root", "owner", "himself"])
def test_put_of_what_get_gave_changes_nothing(root, session, client, full, who):
    user = session.get_one(User, full["id"])
    caller = root
    if who == "owner":
        caller = center.manager(client, session, "ids4.ms.user.all", username="olga")
        tenants.add_member(session, 1, caller.user.id, is_admin=True)
    elif who == "himself":
        protocol.grant_directly(session, user, "ids4.ms.user.all", tenant_id=1)
        caller = center.Caller(client, user, center.token_for(session, user))
    session.commit()
    shown = caller.data("GET", f"/User/{user.id}")
    before = center.whole_database(session)
    assert caller.data("PUT", "/User", shown) == user.id
    assert center.whole_database(session) == before


def test_put_of_the_seeded_administrator_changes_nothing(root, session):
    shown = root.data("GET", "/User/1")
    before = center.whole_database(session)
    root.data("PUT", "/User", shown)
    assert center.whole_database(session) == before


def test_put_resets_missing_values_and_keeps_missing_lists_and_the_password(root, session, full):
    root.data("PUT", "/User", {"id": full["id"], "userName": "ben"})
    after = root.data("GET", f"/User/{full['id']}")
    assert (after["email"], after["phoneNumber"], after["nickName"]) == (None, None, None)
    assert (after["emailConfirmed"], after["stature"], after["accessFailedCount"]) == (False, 0, 0)
    for name in ("roles", "claims", "tenants", "files", "properties"):
        assert after[name] == full[name], name
    assert users.verify_password(session, session.get_one(User, full["id"]), PASSWORD)


def test_an_empty_list_clears_and_rows_are_synchronised(root, session, full):
    claims = full["claims"]
    body = {
        **full,
        "files": [],
        "properties": [],
        "claims": [
            {**claims[1], "claimValue": "red"},
            {"claimType": "team", "claimValue": "green"},
        ],
    }
    root.data("PUT", "/User", body)
    after = root.data("GET", f"/User/{full['id']}")
    assert (after["files"], after["properties"]) == ([], [])
    kept, new = after["claims"]
    assert (kept["id"], kept["claimValue"], new["claimValue"]) == (claims[1]["id"], "red", "green")
    (entry,) = changed(session, full["id"])
    assert {
        "field": "claims",
        "removed": ["permission=ids4.ms.client.get", "team=blue"],
        "added": ["team=green", "team=red"],
    } in entry.details["changes"]
    assert entry.user_id == root.user.id


@pytest.mark.parametrize("name", ["claims", "files", "properties", "tenants"])
def test_child_rows_of_somebody_else_are_refused(root, session, full, name):
    other = root.data(
        "POST",
        "/User",
        {
            "userName": "eve",
            "claims": [{"claimType": "team", "claimValue": "x"}],
            "files": [{"fileType": 1, "files": "https://a.example/x"}],
            "properties": [{"key": "k", "value": "v"}],
        },
    )
    foreign = root.data("GET", f"/User/{other}")[name]
    before = center.whole_database(session)
    fields = refused_fields(root.call("PUT", "/User", {**full, name: foreign}))
    assert list(fields) == [f"{name}[0].id"]
    assert center.whole_database(session) == before


def test_the_same_child_row_twice_is_refused(root, full):
    twice = [full["claims"][0], full["claims"][0]]
    assert refused_fields(root.call("PUT", "/User", {**full, "claims": twice}))


def test_two_administrators_at_once_lose_nothing_silently(root, session, client, full):
    second = center.administrator(client, session, "second")
    root.data("PUT", "/User", {**full, "claims": [*full["claims"], new_claim("a")]})
    before = center.whole_database(session)
    late = {**full, "claims": [*full["claims"], new_claim("b")]}
    fields = refused_fields(second.call("PUT", "/User", late))
    assert list(fields) == ["concurrencyStamp"]
    assert center.whole_database(session) == before
    # A change that names no state overwrites on purpose.
    second.data("PUT", "/User", {**late, "concurrencyStamp": None})
    values = [row["claimValue"] for row in root.data("GET", f"/User/{full['id']}")["claims"]]
    assert values == ["ids4.ms.client.get", "blue", "b"]


def test_of_two_who_save_at_once_one_is_told(root, session, app, full):
    answers = []

    def save(number):
        body = {**full, "claims": [*full["claims"], new_claim(f"n{number}")]}
        with app.test_client() as own:
            answer = own.put(
                "/api/User",
                json=body,
                headers=protocol.bearer(root.token),
                base_url="http://127.0.0.1:8000",
            )
            answers.append(answer.get_json()["code"])

    session.commit()
    threads = [threading.Thread(target=save, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 422, 422, 422]
    assert len(root.data("GET", f"/User/{full['id']}")["claims"]) == 3


def new_claim(value):
    return {"claimType": "team", "claimValue": value}


def test_a_new_password_ends_sessions_and_tokens(root, session, client, full):
    user = session.get_one(User, full["id"])
    theirs = center.Caller(client, user, center.token_for(session, user))
    assert theirs.send("GET", "/User").status_code == 403
    root.data("PUT", "/User", {**full, "passwordHash": "another-birch-9"})
    assert theirs.send("GET", "/User").status_code == 401
    session.expire_all()
    assert users.verify_password(session, session.get_one(User, user.id), "another-birch-9")
    (entry,) = changed(session, user.id)
    assert entry.details == {"changes": [{"field": "password"}]}


@pytest.mark.parametrize("password", ["short", "********", "password123"])
def test_a_weak_or_masked_password_is_refused(root, session, full, password):
    before = center.whole_database(session)
    fields = refused_fields(root.call("PUT", "/User", {**full, "passwordHash": password}))
    assert list(fields) == ["passwordHash"]
    assert center.whole_database(session) == before


def test_a_new_address_must_be_confirmed_again(root, session, full):
    root.data("PUT", "/User", {**full, "email": "b@app.example", "emailConfirmed": False})
    shown = root.data("GET", f"/User/{full['id']}")
    assert (shown["email"], shown["emailConfirmed"]) == ("b@app.example", False)


def test_taken_names_are_refused(root, session, full):
    add(session, "ann", email="ann@app.example")
    for field, value in (("userName", "ANN"), ("email", "Ann@app.example")):
        content = root.call("PUT", "/User", {**full, field: value, "emailConfirmed": False})
        assert list(refused_fields(content)) == [field]


def test_a_new_referrer_moves_all_below(root, session):
    top, middle, leaf = (add(session, "top"), None, None)
    middle = add(session, "middle")
    leaf = add(session, "leaf", below=middle)
    shown = root.data("GET", f"/User/{middle.id}")
    root.data("PUT", "/User", {**shown, "parentUserID": top.id})
    assert session.get_one(User, middle.id).lineage == f"/{top.id}/"
    assert session.get_one(User, leaf.id).lineage == f"/{top.id}/{middle.id}/"
    circle = root.data("GET", f"/User/{top.id}")
    content = root.call("PUT", "/User", {**circle, "parentUserID": leaf.id})
    assert list(refused_fields(content)) == ["parentUserID"]


# Deleting


def test_a_deleted_user_keeps_no_session_and_no_token(root, session, client):
    ann = add(session, "ann", email="ann@app.example")
    token = center.token_for(session, ann)
    theirs = center.Caller(client, ann, token)
    assert theirs.send("GET", "/User").status_code == 403
    assert root.data("DELETE", f"/User/{ann.id}") == ann.id
    assert theirs.send("GET", "/User").status_code == 401
    assert root.call("GET", f"/User/{ann.id}")["code"] == 404
    assert root.call("PUT", "/User", {"id": ann.id, "userName": "ann"})["code"] == 404
    assert root.call("DELETE", f"/User/{ann.id}")["code"] == 404
    assert root.call("GET", "/User", **{"q.name": "ann"})["total"] == 0
    assert session.get_one(User, ann.id).deleted_at is not None


def test_who_belongs_elsewhere_only_leaves_the_tenant(client, session):
    acme = protocol.add_tenant(session)
    boss = center.manager(client, session, "ids4.ms.user.all", username="boss", tenant_id=acme)
    tenants.add_member(session, acme, boss.user.id, is_admin=True)
    ann = add(session, "ann", tenant_ids=(1, acme))
    protocol.add_role(session, ann, "clerk", tenant_id=acme)
    protocol.grant_directly(session, ann, "ids4.ms.client.get", tenant_id=acme)
    boss.data("DELETE", f"/User/{ann.id}")
    assert session.get_one(User, ann.id).deleted_at is None
    assert tenants.find_member(session, acme, ann.id) is None
    assert tenants.find_member(session, 1, ann.id) is not None
    assert session.scalars(select(UserRole).where(UserRole.user_id == ann.id)).all() == []
    assert session.scalars(select(UserClaim).where(UserClaim.user_id == ann.id)).all() == []


def test_who_has_not_signed_in_for_the_tenant_that_bound_them_only_leaves_it(client, session):
    acme = protocol.add_tenant(session)
    boss = center.manager(client, session, "ids4.ms.user.all", username="boss", tenant_id=acme)
    tenants.add_member(session, acme, boss.user.id, is_admin=True)
    ann = add(session, "ann", tenant_ids=())
    tenants.add_member(session, acme, ann.id, is_bound=True)
    session.commit()
    boss.data("DELETE", f"/User/{ann.id}")
    session.expire_all()
    assert ann.deleted_at is None
    assert tenants.find_member(session, acme, ann.id) is None


# Who sees and changes whom


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, "ids4.ms.user.all")


def paths(user):
    return [
        ("GET", f"/User/{user.id}", None),
        ("PUT", "/User", {"id": user.id, "userName": user.username}),
        ("DELETE", f"/User/{user.id}", None),
    ]


def test_members_see_themselves_and_whom_they_referred(mary, session):
    below = add(session, "below", below=mary.user)
    deep = add(session, "deep", below=below)
    beside = add(session, "beside")
    listed = mary.call("GET", "/User")
    assert [row["userId"] for row in listed["data"]] == [mary.user.id, below.id, deep.id]
    for method, path, body in paths(beside):
        assert mary.call(method, path, body)["code"] == 404
    assert mary.data("GET", f"/User/{deep.id}")["id"] == deep.id
    tenants.add_member(session, 1, mary.user.id, is_admin=True)
    assert mary.data("GET", f"/User/{beside.id}")["id"] == beside.id


def test_lineage_is_compared_by_whole_ids(mary, session):
    longer = add(session, "longer", lineage=f"/{mary.user.id}0/")
    assert mary.call("GET", f"/User/{longer.id}")["code"] == 404


def test_people_of_another_tenant_do_not_exist(client, session):
    acme, other = protocol.add_tenant(session), protocol.add_tenant(session, "Other")
    boss = center.manager(client, session, "ids4.ms.user.all", username="boss", tenant_id=acme)
    tenants.add_member(session, acme, boss.user.id, is_admin=True)
    stranger = add(session, "stranger", tenant_ids=(other,), below=boss.user)
    for method, path, body in paths(stranger):
        assert boss.call(method, path, body)["code"] == 404
    assert [row["userId"] for row in boss.call("GET", "/User")["data"]] == [boss.user.id]


def test_whom_a_manager_creates_is_below_him(mary, session):
    made = mary.data("POST", "/User", {"userName": "new"})
    assert mary.data("GET", f"/User/{made}")["parentUserID"] == mary.user.id
    content = mary.call("POST", "/User", {"userName": "n2", "parentUserID": 1})
    assert list(refused_fields(content)) == ["parentUserID"]


@pytest.mark.parametrize(
    "change",
    [
        {"userName": "taken-over"},
        {"email": "evil@app.example"},
        {"phoneNumber": "13800138000"},
        {"passwordHash": PASSWORD},
        {"lockoutEnd": "2099-01-01T00:00:00Z"},
        {"lockoutEnabled": True},
    ],
)
@pytest.mark.parametrize(
    "why", ["member elsewhere", "platform role", "platform grant", "stronger", "bound"]
)
def test_names_and_password_of_important_people_are_their_own(mary, session, change, why):
    ann = add(session, "ann", below=mary.user)
    if why == "member elsewhere":
        tenants.add_member(session, protocol.add_tenant(session), ann.id)
        tenants.add_member(session, 1, mary.user.id, is_admin=True)
    elif why == "platform role":
        protocol.add_role(session, ann, "partners", tenant_id=None)
        tenants.add_member(session, 1, mary.user.id, is_admin=True)
    elif why == "platform grant":
        protocol.grant_directly(session, ann, "ids4.ms.client.delete")
        tenants.add_member(session, 1, mary.user.id, is_admin=True)
    elif why == "bound":
        tenants.remove_member(session, 1, ann.id)
        tenants.add_member(session, 1, ann.id, is_bound=True)
        tenants.add_member(session, 1, mary.user.id, is_admin=True)
    else:
        protocol.grant_directly(session, ann, "ids4.ms.client.delete", tenant_id=1)
    session.commit()
    shown = mary.data("GET", f"/User/{ann.id}")
    before = center.whole_database(session)
    assert mary.call("PUT", "/User", {**shown, **change})["code"] == 404
    assert center.whole_database(session) == before
    # What is the tenant's business stays so.
    mary.data("PUT", "/User", {**shown, "remark": "seen"})


def test_a_manager_may_change_an_ordinary_member(mary, session):
    made = mary.data("POST", "/User", {"userName": "ann"})
    shown = mary.data("GET", f"/User/{made}")
    change = {"userName": "anna", "email": "anna@app.example", "passwordHash": PASSWORD}
    mary.data("PUT", "/User", {**shown, **change})
    assert session.get_one(User, made).username == "anna"


# Standard claims that the account has no member for

STANDARD = {
    "name": "Ann B. Lee",
    "given_name": "Ann",
    "middle_name": "B.",
    "family_name": "Lee",
    "profile": "https://pages.example/ann",
    "website": "https://ann.example",
    "zoneinfo": "Asia/Shanghai",
    "locale": "zh-CN",
}


def as_rows(claims):
    return [{"claimType": name, "claimValue": value} for name, value in claims.items()]


def test_standard_claims_stand_among_the_claims_and_are_the_accounts_own(root, session):
    made = root.data(
        "POST", "/User", {"userName": "ann", "claims": as_rows({**STANDARD, "x": "1"})}
    )
    ann = session.get_one(User, made)
    assert (ann.given_name, ann.zoneinfo, ann.display_name) == (
        "Ann",
        "Asia/Shanghai",
        "Ann B. Lee",
    )
    assert [row.type for row in session.scalars(select(UserClaim))] == ["x"]
    shown = root.data("GET", f"/User/{made}")
    claims = {row["claimType"]: row["claimValue"] for row in shown["claims"]}
    assert claims == {**STANDARD, "x": "1"}
    before = center.whole_database(session)
    root.data("PUT", "/User", shown)
    assert center.whole_database(session) == before
    root.data("PUT", "/User", {**shown, "claims": as_rows({"given_name": "Anna"})})
    session.expire_all()
    assert (ann.given_name, ann.family_name, ann.zoneinfo) == ("Anna", None, None)
    (event,) = changed(session, made)
    changes = event.details["changes"]
    assert {"field": "given_name", "before": "Ann", "after": "Anna"} in changes


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([{"claimType": "x", "claimValue": "1"}, *as_rows({"zoneinfo": "Mars"})], "claimValue"),
        (as_rows({"x": "1", "website": "javascript:alert(1)"}), "claimValue"),
        ([*as_rows({"locale": "en"}), *as_rows({"locale": "zh"})], "claimType"),
        ([*as_rows({"x": "1"}), {"id": 5, "claimType": "locale", "claimValue": "en"}], "claimType"),
        (as_rows({"x": "1", "nickname": "Ann"}), "claimType"),
    ],
)
def test_a_standard_claim_that_is_wrong_is_named_and_changes_nothing(root, session, rows, field):
    made = root.data("POST", "/User", {"userName": "ann"})
    shown = root.data("GET", f"/User/{made}")
    before = center.whole_database(session)
    content = root.call("PUT", "/User", {**shown, "claims": rows})
    assert list(refused_fields(content)) == [f"claims[1].{field}"]
    assert center.whole_database(session) == before


# Promoting oneself is refused


@pytest.mark.parametrize("target", ["self", "other", "new"])
def test_permissions_that_one_lacks_cannot_be_given(mary, session, target):
    body = {"userName": "new"}
    if target != "new":
        user = mary.user if target == "self" else add(session, "ann", below=mary.user)
        body = mary.data("GET", f"/User/{user.id}")
    role = Role(code="boss", name="Boss", tenant_id=1)
    session.add(role)
    session.flush()
    privilege = protocol.add_role(session, add(session, "zoe"), "tmp", ["x.secret"]).id
    carried = select(RolePrivilege.privilege_id).where(RolePrivilege.role_id == privilege)
    session.add(RolePrivilege(role_id=role.id, privilege_id=session.scalars(carried).one()))
    platform = session.scalars(select(Role.id).where(Role.code == "administrators")).one()
    session.commit()
    method = "POST" if target == "new" else "PUT"
    claims = body.get("claims", [])
    before = seen(session)
    for change in (
        {"roles": [{"roleId": platform}]},
        {"roles": [{"roleId": role.id}]},
        {"claims": [*claims, grant("ids4.ms.all")]},
        {"claims": [*claims, grant("ids4.ms.client.get")]},
        {"claims": [*claims, grant("x.secret")]},
    ):
        assert refused_fields(mary.call(method, "/User", {**body, **change})), change
        assert seen(session) == before
    noted = select(AuditEvent).where(AuditEvent.tag == Tag.OPERATION_REFUSED)
    targets = {(row.target, row.user_id) for row in session.scalars(noted)}
    assert targets == {(f"operation:user-{method.lower()}", mary.user.id)}
    allowed = mary.data(method, "/User", {**body, "claims": [*claims, grant("ids4.ms.user.get")]})
    rows = session.scalars(select(UserClaim).where(UserClaim.user_id == allowed))
    assert {row.tenant_id for row in rows} == {1}


def test_what_the_bundle_of_a_tenant_lacks_cannot_be_given(client, session, root):
    acme = protocol.add_tenant(session)
    center.limit(session, acme, "a.all")
    held = ("ids4.ms.user.all", "a.all", "b.read")
    mary = center.manager(client, session, *held, username="m", tenant_id=acme)
    zoe = add(session, "zoe")
    inside, beyond = (
        protocol.add_role(session, zoe, code, [code], tenant_id=acme)
        for code in ("a.read", "b.read")
    )
    session.add(Privilege(code="a.all", name="x"))
    session.commit()
    for caller in (mary, root):
        name = f"by-{caller.user.username}"
        body = {"userName": name, "tenants": [{"tenantId": acme}]}
        refused = caller.call("POST", "/User", {**body, "roles": [{"roleId": beyond.id}]})
        assert list(refused_fields(refused)) == ["roles"]
        caller.data("POST", "/User", {**body, "roles": [{"roleId": inside.id}]})
    refused = mary.call("POST", "/User", {"userName": "new", "claims": [grant("b.read")]})
    assert list(refused_fields(refused)) == ["claims[0].claimValue"]
    mary.data("POST", "/User", {"userName": "new", "claims": [grant("a.read")]})
    # What an administrator grants holds everywhere, and belongs to no tenant.
    root.data("POST", "/User", {"userName": "wide", "claims": [grant("b.read")]})


def seen(session):
    """Read all but the trail."""
    database = center.whole_database(session)
    del database["audit_event"]
    return database


def grant(code):
    return {"claimType": "permission", "claimValue": code}


def test_a_code_of_no_api_covers_nothing_of_the_platform(mary, session):
    """A person who invents `ids4.all` for their own API cannot grant `ids4.ms.all` by it."""
    session.add(Privilege(code="ids4.all", name="x"))
    protocol.grant_directly(session, mary.user, "ids4.all", tenant_id=1)
    shown = mary.data("GET", f"/User/{mary.user.id}")
    claims = [*shown["claims"], grant("ids4.ms.all")]
    before = seen(session)
    assert refused_fields(mary.call("PUT", "/User", {**shown, "claims": claims}))
    assert seen(session) == before


@pytest.mark.parametrize("why", ["owner", "stronger"])
def test_nobody_deletes_who_is_above_him(mary, session, why):
    """Whom one referred may have become the tenant's owner meanwhile."""
    ann = add(session, "ann", below=mary.user)
    if why == "owner":
        tenants.add_member(session, 1, ann.id, is_admin=True)
    else:
        protocol.grant_directly(session, ann, "ids4.ms.client.delete", tenant_id=1)
    session.commit()
    before = center.whole_database(session)
    assert mary.misses("DELETE", f"/User/{ann.id}")
    assert center.whole_database(session) == before


def test_an_owner_takes_over_nobody_who_manages_what_he_may_not(mary, session):
    tenants.add_member(session, 1, mary.user.id, is_admin=True)
    ann = add(session, "ann")
    protocol.grant_directly(session, ann, "ids4.ms.client.delete", tenant_id=1)
    shown = mary.data("GET", f"/User/{ann.id}")
    before = center.whole_database(session)
    assert mary.call("PUT", "/User", {**shown, "passwordHash": PASSWORD})["code"] == 404
    assert center.whole_database(session) == before
    protocol.grant_directly(session, mary.user, "ids4.ms.client.delete", tenant_id=1)
    mary.data("PUT", "/User", {**shown, "passwordHash": PASSWORD})


def test_what_one_owns_elsewhere_moves_nobody_here(client, session, mary):
    """Lineage is of the whole platform: who is moved in one tenant comes into reach in all."""
    acme = protocol.add_tenant(session)
    ann = add(session, "ann", tenant_ids=(1, acme))
    below = add(session, "below", below=ann, tenant_ids=(1,))
    tenants.add_member(session, acme, mary.user.id, is_admin=True)
    protocol.grant_directly(session, mary.user, "ids4.ms.user.all", tenant_id=acme)
    there = center.Caller(client, mary.user, center.token_for(session, mary.user, tenant_id=acme))
    shown = there.data("GET", f"/User/{ann.id}")
    moved = {**shown, "parentUserID": mary.user.id}
    assert list(refused_fields(there.call("PUT", "/User", moved))) == ["parentUserID"]
    there.data("PUT", "/User", {**shown, "parentUserID": 0, "remark": "seen"})
    for user in (ann, below):
        assert mary.misses("GET", f"/User/{user.id}")


@pytest.mark.parametrize("why", ["member elsewhere", "platform role"])
def test_a_proof_of_important_people_is_not_taken_from_them(mary, session, why):
    ann = add(session, "ann", below=mary.user, email="ann@app.example", email_key="ann@app.example",
              email_verified=True)  # fmt: skip
    if why == "member elsewhere":
        tenants.add_member(session, protocol.add_tenant(session), ann.id)
    else:
        protocol.add_role(session, ann, "partners", tenant_id=None)
    session.commit()
    shown = mary.data("GET", f"/User/{ann.id}")
    assert shown["emailConfirmed"]
    assert mary.call("PUT", "/User", {**shown, "emailConfirmed": False})["code"] == 404
    mary.data("PUT", "/User", {**shown, "remark": "seen"})


def test_nobody_gives_himself_a_role(mary, session):
    role = Role(code="auditor", name="Auditor", tenant_id=1)
    session.add(role)
    session.commit()
    shown = mary.data("GET", f"/User/{mary.user.id}")
    body = {**shown, "roles": [*shown["roles"], {"roleId": role.id}]}
    assert list(refused_fields(mary.call("PUT", "/User", body))) == ["roles"]
    tenants.add_member(session, 1, mary.user.id, is_admin=True)
    session.commit()
    mary.data("PUT", "/User", body)


def test_nobody_confirms_his_own_address_or_joins_a_tenant_by_himself(mary, root, session):
    acme = protocol.add_tenant(session)
    for caller in (mary, root):
        shown = caller.data("GET", f"/User/{caller.user.id}")
        own = {**shown, "email": f"{caller.user.username}@app.example"}
        fields = refused_fields(caller.call("PUT", "/User", {**own, "emailConfirmed": True}))
        assert list(fields) == ["emailConfirmed"]
        joined = {**shown, "tenants": [*shown["tenants"], {"tenantId": acme}]}
        assert list(refused_fields(caller.call("PUT", "/User", joined))) == ["tenants"]
        left = {**shown, "tenants": []}
        assert list(refused_fields(caller.call("PUT", "/User", left))) == ["tenants"]


def test_a_manager_confirms_no_address_and_lets_nobody_into_another_tenant(mary, session):
    acme = protocol.add_tenant(session)
    new = {"userName": "n", "email": "n@app.example"}
    content = mary.call("POST", "/User", {**new, "emailConfirmed": True})
    assert list(refused_fields(content)) == ["emailConfirmed"]
    content = mary.call("POST", "/User", {**new, "tenants": [{"tenantId": acme}]})
    assert list(refused_fields(content)) == ["tenants"]


def test_an_administrator_moves_people_between_tenants(root, session):
    acme = protocol.add_tenant(session)
    made = root.data("POST", "/User", {"userName": "n", "tenants": [{"tenantId": acme}]})
    shown = root.data("GET", f"/User/{made}")
    assert [row["tenantId"] for row in shown["tenants"]] == [acme]
    root.data("PUT", "/User", {**shown, "tenants": [*shown["tenants"], {"tenantId": 1}]})
    shown = root.data("GET", f"/User/{made}")
    assert [row["tenantId"] for row in shown["tenants"]] == [acme, 1]


def test_claims_and_roles_of_other_tenants_are_neither_seen_nor_touched(client, session):
    acme = protocol.add_tenant(session)
    boss = center.manager(client, session, "ids4.ms.user.all", username="boss", tenant_id=acme)
    tenants.add_member(session, acme, boss.user.id, is_admin=True)
    ann = add(session, "ann", tenant_ids=(1, acme))
    protocol.add_role(session, ann, "clerk", tenant_id=1)
    protocol.grant_directly(session, ann, "ids4.ms.client.get", tenant_id=1)
    protocol.grant_directly(session, ann, "ids4.ms.client.get")
    shown = boss.data("GET", f"/User/{ann.id}")
    assert (shown["roles"], shown["claims"]) == ([], [])
    assert [row["tenantId"] for row in shown["tenants"]] == [acme]
    boss.data("PUT", "/User", {**shown, "roles": [], "claims": [new_claim("x")]})
    rows = session.scalars(select(UserClaim).where(UserClaim.user_id == ann.id)).all()
    assert sorted((row.type, row.tenant_id or 0) for row in rows) == [
        ("permission", 0),
        ("permission", 1),
        ("team", acme),
    ]


# The list


def test_a_user_of_several_tenants_is_one_row_with_true_file_types(root, session):
    acme = protocol.add_tenant(session)
    ann = add(session, "ann", tenant_ids=(1, acme))
    for kind in (0, 1, 2):
        session.add(UserFile(user_id=ann.id, file_type=kind, files="https://a.example/x"))
    session.commit()
    content = root.call("GET", "/User", **{"q.name": "ann"})
    (row,) = content["data"]
    assert content["total"] == 1
    assert [file["fileType"] for file in row["files"]] == [0, 1, 2]
    assert "passwordHash" not in row
    assert (row["tenantId"], row["members"], row["parentUserName"]) == (1, 0, None)


def test_filters(root, session):
    ann = add(session, "ann_1", email="ann@app.example", mobile="+8613900139000")
    ben = add(session, "annx1")
    clerk, chief = (
        protocol.add_role(session, ann, "clerk").id,
        protocol.add_role(session, ann, "chief").id,
    )
    protocol.add_role(session, ben, "clerk")

    def found(**query):
        return [row["userId"] for row in root.call("GET", "/User", **query)["data"]]

    assert found(**{"q.email": "ANN@app.example"}) == [ann.id]
    assert found(**{"q.email": "ann"}) == []
    cat = add(session, "cat@bücher.example", email="cat@bücher.example")
    for name in ("q.email", "q.name"):
        assert found(**{name: "Cat@XN--bcher-kva.example"}) == [cat.id]
    assert found(**{"q.name": "ann_"}) == [ann.id]
    assert found(**{"q.name": "%"}) == []
    assert found(**{"q.name": "' OR 1=1 --"}) == []
    assert found(**{"q.phoneNumber": "13900139000"}) == [ann.id]
    assert found(**{"q.phoneNumber": "nonsense"}) == []
    assert found(**{"q.roles": f"{clerk}"}) == [ann.id, ben.id]
    assert found(**{"q.roles": f"{clerk},{chief}"}) == [ann.id]
    assert found(**{"q.roles": "99999999999999999999"}) == []
    for wrong in ("x", "1;2", ",".join(["1"] * 21)):
        assert refused_fields(root.call("GET", "/User", **{"q.roles": wrong}))["q.roles"]


def test_who_holds_a_platform_role_is_not_told_to_managers(mary, session):
    tenants.add_member(session, 1, mary.user.id, is_admin=True)
    role_id = session.scalars(select(Role.id).where(Role.code == "administrators")).one()
    session.commit()
    assert mary.call("GET", "/User", **{"q.roles": str(role_id)})["data"] == []


def test_time_filters_take_whole_days(root, session):
    ann = add(session, "ann", created_at=datetime(2020, 5, 6, 23, 30, tzinfo=UTC))
    day = {"startTime": "2020-05-06T12:00:00Z", "endTime": "2020-05-06T01:00:00Z"}
    assert [row["userId"] for row in root.call("GET", "/User", **day)["data"]] == [ann.id]
    assert root.call("GET", "/User", startTime="2020-05-07", endTime="2020-05-08")["data"] == []
    assert refused_fields(root.call("GET", "/User", startTime="yesterday"))

    def found(**bounds):
        return [row["userId"] for row in root.call("GET", "/User", **bounds)["data"]]

    # In Shanghai it was the morning of the 7th: the day is one of the zone that was sent.
    shanghai = "2020-05-07T00:00:00+08:00"
    assert found(startTime=shanghai, endTime=shanghai) == [ann.id]
    assert found(endTime="2020-05-06T23:00:00+08:00") == []
    assert ann.id not in found(startTime="2020-05-08T00:00:00+08:00")
    # A day by itself is part of what it ends.
    assert found(endTime="2020-05-06") == [ann.id]
    assert found(endTime="2020-05-05") == []


def test_sorting_is_from_a_fixed_list(root, session):
    for name in ("b", "a", "c"):
        add(session, f"sort-{name}")

    def order(**query):
        content = root.call("GET", "/User", **{"q.name": "sort-", **query})
        return "".join(row["userName"][-1] for row in content["data"])

    assert order() == "bac"
    assert order(orderby="userName", asc="true") == "abc"
    assert order(orderby="UserName") == "cba"
    assert order(orderby="userId", asc="false") == "cab"
    assert order(skip=1, take=1) == "a"
    for wrong in ("passwordHash", "securityStamp", "id; DROP TABLE user", "password_hash"):
        assert refused_fields(root.call("GET", "/User", orderby=wrong))["orderby"]


def test_the_number_of_queries_does_not_grow_with_the_rows(root, session, runtime):
    def count(take):
        asked = []
        listen = lambda *arguments: asked.append(arguments[2])  # noqa: E731
        event.listen(runtime.engine, "before_cursor_execute", listen)
        rows = root.call("GET", "/User", take=take)["data"]
        event.remove(runtime.engine, "before_cursor_execute", listen)
        return len(rows), len(asked)

    parent = add(session, "parent")
    for number in range(50):
        person = add(session, f"p{number}", below=parent)
        protocol.grant_directly(session, person, "ids4.ms.client.get")
    count(1)
    (_, few), (rows, many) = count(1), count(50)
    assert rows == 50
    assert many <= few + 1  # names of referrers are asked for where there are any


# Whether a number is known


def test_head_answers_by_status(root, session):
    acme = protocol.add_tenant(session)
    ann = add(session, "ann", mobile="+8613900139000")
    add(session, "ben", mobile="+8613900139001", tenant_ids=(acme,))
    gone = add(session, "eve", mobile="+8613900139002")
    users.delete(session, gone)

    def head(**query):
        answer = root.send("GET", "/User/Head", **query)
        return answer.status_code, answer.get_json()

    assert head(PhoneNumber="139 0013 9000") == (200, ann.id)
    assert head(PhoneNumber="13900139001") == (404, 0)
    assert head(PhoneNumber="13900139002") == (404, 0)
    assert head(PhoneNumber="13900139003") == (404, 0)
    assert head(PhoneNumber="x") == (400, 0)
    assert head() == (400, 0)
    assert head(PhoneNumber=["13900139000", "13900139001"]) == (400, 0)
    seen = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.USER_LOOKED_UP)).all()
    assert [event.target for event in seen] == [f"user:{ann.id}", None, None, None]
    assert {event.user_id for event in seen} == {root.user.id}


def test_head_is_throttled(root):
    answers = [root.send("GET", "/User/Head", PhoneNumber="13900139000") for _ in range(61)]
    assert {answer.status_code for answer in answers[:60]} == {404}
    assert answers[60].status_code == 429
    assert int(answers[60].headers["Retry-After"]) > 0


# Gates

OPERATIONS = [
    ("GET", "/User", "get"),
    ("POST", "/User", "post"),
    ("PUT", "/User", "put"),
    ("GET", "/User/1", "detail"),
    ("DELETE", "/User/1", "delete"),
    ("GET", "/User/Head", "head"),
]


@pytest.mark.parametrize(("method", "path", "name"), OPERATIONS)
@pytest.mark.parametrize("prefix", ["/api", ""])
def test_gates(client, session, method, path, name, prefix):
    code = f"ids4.ms.user.{name}"
    nobody = center.Caller(client, protocol.add_person(session, "n"), None)
    answer = nobody.send(method, path, {}, prefix=prefix)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers
    no_scope = center.manager(client, session, code, username="a", scopes=("ids4.ms.client.get",))
    assert no_scope.send(method, path, {}, prefix=prefix).status_code == 403
    no_right = center.manager(client, session, "ids4.ms.client.all", username="b")
    assert no_right.send(method, path, {}, prefix=prefix).status_code == 403
    right = center.manager(client, session, code, username="c", scopes=(code,))
    assert right.send(method, path, {}, prefix=prefix).status_code in {200, 400}


def test_codes_are_told_to_everybody(client):
    english = client.get("/api/User/Codes?culture=en-US").get_json()
    assert [row["code"] for row in english] == list(range(100001, 100010))
    assert english[4]["name"] == "VerifyPhone_CallLimited"
    chinese = client.get("/User/Codes").get_json()
    assert {row["name"] for row in chinese} == {row["name"] for row in english}
    assert chinese[2]["description"] == "邮箱已被使用"


@pytest.mark.parametrize("number", [0, 2**31, 2**63, 10**30])
def test_ids_beyond_reason_are_not_found(root, number):
    assert root.call("GET", f"/User/{number}")["code"] == 404
    assert root.call("DELETE", f"/User/{number}")["code"] == 404


def test_who_is_locked_is_kept_out(root, session, client):
    ann = add(session, "ann")
    theirs = center.Caller(client, ann, center.token_for(session, ann))
    shown = root.data("GET", f"/User/{ann.id}")
    until = (times.now() + timedelta(days=1)).isoformat()
    root.data("PUT", "/User", {**shown, "lockoutEnd": until, "lockoutEnabled": True})
    assert theirs.send("GET", "/User").status_code == 401


# Second factors


@pytest.mark.settings(second_factor="required")
def test_codes_that_are_sent_are_a_second_factor_where_one_is_asked_for(root, session):
    ann = protocol.add_person(session, email="ann@example.org", email_verified=True)
    assert root.data("GET", f"/User/{ann.id}")["twoFactorEnabled"] is False
    session.add(Policy(tenant_id=1, factors=["totp", "mail"]))
    session.commit()
    shown = root.data("GET", f"/User/{ann.id}")
    assert shown["twoFactorEnabled"] is True
    root.data("PUT", "/User", {**shown, "nickName": "Ann"})


def test_whether_there_is_a_second_factor_is_told_and_not_set(root, session):
    ann = protocol.add_person(session)
    shown = root.data("GET", f"/User/{ann.id}")
    assert shown["twoFactorEnabled"] is False
    before = center.whole_database(session)
    assert "twoFactorEnabled" in root.refused("PUT", "/User", {**shown, "twoFactorEnabled": True})
    assert center.whole_database(session) == before
    protocol.add_authenticator(session, ann)
    shown = root.data("GET", f"/User/{ann.id}")
    assert shown["twoFactorEnabled"] is True
    assert "twoFactorEnabled" in root.refused("PUT", "/User", {**shown, "twoFactorEnabled": False})
    root.data("PUT", "/User", {**shown, "nickName": "Ann"})
    del shown["twoFactorEnabled"], shown["concurrencyStamp"]
    root.data("PUT", "/User", shown)
