"""Users by our own API: found, disabled, enabled, unlocked."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from threading import Barrier

import pytest
from sqlalchemy import select

from idp.account import password_reset
from idp.directory.users import accounts, searches
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import admin, center
from tests.api.center import Caller

READ = "ids4.ms.admin.users.read"
WRITE = "ids4.ms.admin.users.write"
ACTS = ("disable", "enable", "unlock", "reset-link", "sign-out")


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def events(session, user):
    session.rollback()
    found = select(AuditEvent).where(AuditEvent.target == f"user:{user.id}")
    return [(event.tag, event.user_id) for event in session.scalars(found.order_by(AuditEvent.id))]


def test_a_user_is_shown_with_tenants_and_roles(root, session):
    acme = protocol.add_tenant(session)
    ann = protocol.add_person(
        session, tenant_ids=[1, acme], email="ann@acme.example", nick_name="Annie"
    )
    protocol.add_role(session, ann, "clerk", tenant_id=acme)
    protocol.add_role(session, ann, "helper", tenant_id=None)
    shown = admin.data(root, "GET", f"/tenants/1/users/{ann.id}")
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": ann.id,
        "username": "ann",
        "nickname": "Annie",
        "email": "ann@acme.example",
        "email_verified": False,
        "phone_number": None,
        "phone_number_verified": False,
        "locale": None,
        "disabled": False,
        "locked_until": None,
        "tenants": [1, acme],
        "roles": [{"role": "clerk", "tenant": acme}, {"role": "helper", "tenant": None}],
    }
    (listed,) = admin.data(root, "GET", "/tenants/1/users", search="ann")["items"]
    assert listed.keys() == {*shown, "created_at"} - {"tenants", "roles"}


def test_users_are_searched_by_name_tenant_and_state(root, session):
    acme = protocol.add_tenant(session)
    for name, tenant_id in (("ann", 1), ("anna", acme), ("bob", acme)):
        protocol.add_person(session, name, tenant_ids=[tenant_id], is_disabled=name == "bob")

    def found(**query):
        rows = admin.data(root, "GET", "/tenants/1/users", **query)["items"]
        return [row["username"] for row in rows]

    assert found(search="ANN") == ["ann", "anna"]
    assert found(in_tenant=acme) == ["anna", "bob"]
    assert found(in_tenant=acme, disabled="true") == ["bob"]
    assert found(in_tenant=acme, disabled="false") == ["anna"]
    assert found(disabled="true") == ["bob"]
    assert found(search="") == found()
    assert found(in_tenant=2**62) == []


def test_the_list_is_read_page_by_page(root, session):
    for number in range(5):
        protocol.add_person(session, f"ann{number}")
    names = [
        [row["username"] for row in rows] for rows in admin.pages(root, "/tenants/1/users", limit=2)
    ]
    assert [len(rows) for rows in names] == [2, 2, 2, 1]
    assert [*chain(*names)][2:] == [f"ann{number}" for number in range(5)]
    assert len(admin.data(root, "GET", "/tenants/1/users", limit=7)["items"]) == 7
    assert admin.data(root, "GET", "/tenants/1/users", limit=7)["next"] is None


def test_among_many_users_beginnings_are_found(root, session, monkeypatch):
    monkeypatch.setattr(searches, "MOST_SEARCHED", 2)
    protocol.add_person(session, "joann", email="joann@mail.example", mobile="+8613800138000")
    protocol.add_person(session, "jo%ann")

    def found(text):
        answer = admin.data(root, "GET", "/tenants/1/users", search=text)
        return [user["username"] for user in answer["items"]]

    assert found("JO") == ["joann", "jo%ann"]
    assert found("jo%") == ["jo%ann"]
    assert found("joann@mail") == found("86138") == found("+86138") == ["joann"]
    assert found("oann") == found("138001") == []


def test_users_are_searched_by_role(root, session):
    acme = protocol.add_tenant(session)
    ann, bob = (protocol.add_person(session, name, tenant_ids=[1, acme]) for name in ("ann", "bob"))
    protocol.add_role(session, ann, "clerk", tenant_id=acme)
    protocol.add_role(session, bob, "clerk", tenant_id=None)

    def found(tenant_id, **query):
        rows = admin.data(root, "GET", f"/tenants/{tenant_id}/users", **query)["items"]
        return [row["username"] for row in rows]

    assert found(acme, role="clerk") == found(1, role="clerk", in_tenant=acme) == ["ann"]
    assert found(1, role="clerk") == ["bob"]


def test_in_a_tenant_its_members_are_listed_with_what_is_of_the_tenant(client, session):
    acme, other = protocol.add_tenant(session), protocol.add_tenant(session, "Other")
    ann = protocol.add_person(session, tenant_ids=[acme, other])
    bob = protocol.add_person(session, "bob", tenant_ids=[other])
    protocol.add_role(session, ann, "clerk", tenant_id=acme)
    protocol.add_role(session, ann, "boss", tenant_id=other)
    protocol.add_role(session, ann, "helper", tenant_id=None)
    mary = center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])
    path = f"/tenants/{acme}/users"
    listed = admin.data(mary, "GET", path)["items"]
    assert [row["id"] for row in listed] == [ann.id, mary.user.id]
    shown = admin.data(mary, "GET", f"{path}/{ann.id}")
    assert shown["tenants"] == [acme]
    assert shown["roles"] == [{"role": "clerk", "tenant": acme}]
    for one in (f"{path}/{bob.id}", f"{path}/{bob.id}/activity"):
        assert admin.refused(mary, "GET", one) == (404, {})
    status, fields = admin.refused(mary, "GET", path, in_tenant=other)
    assert (status, list(fields)) == (400, ["in_tenant"])
    for act in ACTS:  # ann belongs elsewhere too
        for user in (ann, bob):
            assert admin.refused(mary, "POST", f"{path}/{user.id}/{act}") == (404, {}), act


def test_a_tenants_administrator_locks_out_the_people_of_that_tenant_alone(client, session):
    acme = protocol.add_tenant(session)
    mary = center.manager(client, session, WRITE, tenant_id=acme, scopes=[WRITE])
    ann = protocol.add_person(session, tenant_ids=[acme], email="ann@acme.example")
    for act in ACTS:
        assert admin.send(mary, "POST", f"/tenants/{acme}/users/{ann.id}/{act}").status_code == 200


def test_who_holds_more_than_the_caller_is_out_of_reach(client, session):
    acme = protocol.add_tenant(session)
    mary = center.manager(client, session, WRITE, tenant_id=acme, scopes=[WRITE])
    boss = protocol.add_person(session, "boss", tenant_ids=[acme], email="boss@acme.example")
    protocol.grant_directly(session, boss, "ids4.ms.tenant.put", tenant_id=acme)
    for act in ACTS:
        path = f"/tenants/{acme}/users/{boss.id}/{act}"
        assert admin.refused(mary, "POST", path) == (404, {}), act


NEW = {"username": "new", "email": "new@acme.example", "phone_number": "+8613800138000"}


def test_a_new_user_signs_in_with_the_password_that_is_answered_once(client, root, session):
    acme = protocol.add_tenant(session)
    answer = admin.send(root, "POST", f"/tenants/{acme}/users", {**NEW, "nickname": "N"})
    assert answer.status_code == 201
    made = answer.get_json()
    assert answer.headers["Location"] == f"/admin/v1/tenants/{acme}/users/{made['id']}"
    assert (made["tenants"], made["nickname"]) == ([acme], "N")
    assert len(made["password"]) >= 20
    session.rollback()
    user = session.get_one(User, made["id"])
    assert users.verify_password(session, user, made["password"])
    assert made["password"] not in repr(center.whole_database(session))
    read = admin.data(root, "GET", f"/tenants/{acme}/users/{made['id']}")
    assert "password" not in read
    assert events(session, user)[0] == ("admin:user:created", root.user.id)


def test_a_repeated_creation_answers_the_same_password_which_nobody_reads_in_the_database(
    root, session
):
    def create():
        return admin.send(
            root, "POST", "/tenants/1/users", NEW, headers={"Idempotency-Key": "k"}
        ).get_json()

    first = create()
    assert create() == first
    assert first["password"] not in repr(center.whole_database(session))


def test_a_new_user_chooses_a_password_by_a_link(client, root, session, outbox):
    body = {**NEW, "send_link": True, "locale": "zh-CN"}
    made = admin.data(root, "POST", "/tenants/1/users", body)
    assert made["password"] is None
    (mail,) = outbox()
    assert mail.to == "new@acme.example"
    assert "24 小时" in mail.text
    (link,) = re.findall(r"http://\S+/forgot/\S+", mail.text)
    assert client.get(link.partition("8000")[2]).status_code == 200
    user = session.get_one(User, made["id"])
    assert user.password_hash is None


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["username"]),
        ({"username": "123"}, 400, ["username"]),
        ({"username": "x", "email": "nonsense"}, 400, ["email"]),
        ({"username": "x", "phone_number": "12"}, 400, ["phone_number"]),
        ({"username": "x", "send_link": True}, 400, ["email"]),
        ({"username": "x", "send_link": 1}, 400, ["send_link"]),
        ({"username": "x", "roles": ["none"]}, 400, ["roles[0]"]),
        ({"username": "x", "password": "chosen-by-me-1"}, 400, ["password"]),
        ({"username": "ann"}, 409, ["username"]),
        ({"username": "x", "email": "ann@acme.example"}, 409, ["email"]),
        ({"username": "x", "phone_number": "+8613800138001"}, 409, ["phone_number"]),
    ],
)
def test_a_user_that_cannot_be_is_refused_by_field(root, session, body, status, fields):
    protocol.add_person(session, email="ann@acme.example", mobile="+8613800138001")
    before = center.whole_database(session)
    answer = admin.refused(root, "POST", "/tenants/1/users", body)
    assert (answer[0], list(answer[1])) == (status, fields)
    assert center.whole_database(session) == before


def test_names_are_not_tried_out_by_creating_users(root, session):
    protocol.add_person(session)
    statuses = {
        admin.send(root, "POST", "/tenants/1/users", {"username": "ann"}).status_code
        for _ in range(accounts.PERSON_LOOKUPS_PER_MINUTE + 1)
    }
    assert statuses == {409, 429}


def test_nobody_gives_a_new_user_more_than_they_may(client, session):
    acme = protocol.add_tenant(session)
    mary = center.manager(client, session, WRITE, tenant_id=acme, scopes=[WRITE])
    protocol.add_role(
        session, protocol.add_person(session), "boss", ["ids4.ms.all"], tenant_id=acme
    )
    protocol.add_role(session, mary.user, "clerk", [WRITE], tenant_id=acme)
    path = f"/tenants/{acme}/users"
    status, fields = admin.refused(mary, "POST", path, {"username": "x", "roles": ["boss"]})
    assert (status, list(fields)) == (400, ["roles"])
    made = admin.data(mary, "POST", path, {"username": "x", "roles": ["clerk"]})
    assert made["roles"] == [{"role": "clerk", "tenant": acme}]
    status, fields = admin.refused(mary, "POST", path, {"username": "y", "roles": ["users"]})
    assert (status, list(fields)) == (400, ["roles[0]"])  # a role of the platform


def test_a_reset_link_goes_to_the_address_of_the_account(root, session, outbox):
    ann = protocol.add_person(session, email="ann@acme.example")
    bob = protocol.add_person(session, "bob")
    out = protocol.add_person(session, "out", email="out@acme.example", is_disabled=True)
    before = ann.password_hash
    admin.data(root, "POST", f"/tenants/1/users/{ann.id}/reset-link")
    (mail,) = outbox()
    assert mail.to == "ann@acme.example"
    assert "/forgot/" in mail.text
    session.rollback()
    assert session.get_one(User, ann.id).password_hash == before
    assert events(session, ann)[-1] == ("user:password:reset-asked", root.user.id)
    path = f"/tenants/1/users/{bob.id}/reset-link"
    assert admin.refused(root, "POST", path) == (
        422,
        {"email": ["This person has no e-mail address."]},
    )
    assert admin.refused(root, "POST", f"/tenants/1/users/{out.id}/reset-link") == (422, {})


def test_links_to_one_person_are_limited(root, session):
    ann = protocol.add_person(session, email="ann@acme.example")
    path = f"/tenants/1/users/{ann.id}/reset-link"
    for _ in range(password_reset.SENT_WHILE_GOOD):
        assert admin.send(root, "POST", path).status_code == 200
    assert admin.send(root, "POST", path).status_code == 429


def test_a_person_is_signed_out_everywhere(client, new_client, root, session):
    ann = protocol.add_person(session)
    app = protocol.register(session)
    browser = new_client()
    protocol.sign_in(browser, session, ann)
    tokens = protocol.obtain(browser, app, "openid offline_access")
    path = f"/tenants/1/users/{ann.id}/sign-out"
    assert admin.data(root, "POST", path) == {"ended": 1}
    assert browser.get("/account").status_code == 303
    assert not protocol.is_active(client, app, tokens.access)
    assert protocol.refresh(client, app, tokens.refresh).status_code == 400
    assert admin.data(root, "POST", path) == {"ended": 0}
    assert events(session, ann)[-1] == ("admin:user:signed-out", root.user.id)


def test_activity_is_what_a_person_did_and_what_was_done_to_them(client, root, session):
    acme = protocol.add_tenant(session)
    ann = protocol.add_person(session, tenant_ids=[acme])
    for tenant_id, columns in (
        (acme, {"user_id": ann.id}),
        (1, {"target": f"user:{ann.id}"}),
        (acme, {"user_id": root.user.id}),
    ):
        session.add(AuditEvent(tag="x:y:z", tenant_id=tenant_id, **columns))
    session.commit()

    def seen(caller, path):
        rows = chain(*admin.pages(caller, path, limit=1))
        return [(row["user"], row["target"]) for row in rows if row["tag"] == "x:y:z"]

    own, done = (ann.id, None), (None, f"user:{ann.id}")
    assert seen(root, f"/tenants/1/users/{ann.id}/activity") == [done, own]
    mary = center.manager(client, session, READ, tenant_id=acme, scopes=[READ])
    assert seen(mary, f"/tenants/{acme}/users/{ann.id}/activity") == [own]


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", "/tenants/1/users", limit=200)
        return len(sent)

    count()  # what is remembered for a second is remembered
    before = count()
    for number in range(20):
        protocol.add_person(session, f"ann{number}")
    assert count() == before


def test_a_disabled_person_is_out_and_comes_in_again(client, session, root):
    ann = protocol.add_person(session)
    hers = Caller(client, ann, center.token_for(session, ann))
    assert hers.send("GET", "/Client").status_code == 403  # known, without a right
    assert admin.data(root, "POST", f"/tenants/1/users/{ann.id}/disable")["disabled"] is True
    assert hers.send("GET", "/Client").status_code == 401
    assert admin.data(root, "POST", f"/tenants/1/users/{ann.id}/enable")["disabled"] is False
    session.rollback()
    assert session.get_one(User, ann.id).may_sign_in
    assert hers.send("GET", "/Client").status_code == 401  # what ended has ended
    assert [tag for tag, _ in events(session, ann)][-2:] == [
        "admin:user:disabled",
        "admin:user:enabled",
    ]
    assert {by for _, by in events(session, ann)[-2:]} == {root.user.id}


def test_a_lock_is_ended(root, session):
    ann = protocol.add_person(session, lockout_end=clock.now() + timedelta(days=1))
    assert admin.data(root, "GET", f"/tenants/1/users/{ann.id}")["locked_until"].endswith("Z")
    assert admin.data(root, "POST", f"/tenants/1/users/{ann.id}/unlock")["locked_until"] is None
    session.rollback()
    assert session.get_one(User, ann.id).may_sign_in
    assert events(session, ann)[-1] == ("admin:user:unlocked", root.user.id)


@pytest.mark.parametrize("act", ["disable", "enable", "unlock"])
def test_doing_it_twice_changes_nothing_more(root, session, act):
    ann = protocol.add_person(
        session, is_disabled=act == "enable", lockout_end=clock.now() + timedelta(days=1)
    )
    first = admin.data(root, "POST", f"/tenants/1/users/{ann.id}/{act}")
    noted = events(session, ann)
    assert admin.data(root, "POST", f"/tenants/1/users/{ann.id}/{act}") == first
    assert events(session, ann) == noted


def test_nobody_disables_themselves(root, session):
    assert admin.refused(root, "POST", f"/tenants/1/users/{root.user.id}/disable") == (
        422,
        {"id": ["is your own account"]},
    )
    session.rollback()
    assert not session.get_one(User, root.user.id).is_disabled


def test_administrators_who_disable_each_other_at_once_leave_one(new_client, session, root):
    other = protocol.add_person(session, "other")
    protocol.add_role(session, other, "administrators", tenant_id=None)
    for row in session.scalars(select(User).where(User.username == "admin")):
        row.is_disabled = True
    session.commit()
    pair = [
        Caller(new_client(), root.user, root.token),
        Caller(new_client(), other, center.token_for(session, other)),
    ]
    barrier = Barrier(2)

    def call(caller, target):
        barrier.wait()
        return admin.send(caller, "POST", f"/tenants/1/users/{target.id}/disable")

    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(call, pair, (other, root.user))]
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert statuses[1] in {401, 403, 422}  # refused at the gate, or by the rule
    session.rollback()
    people = session.scalars(select(User).where(User.id.in_([root.user.id, other.id])))
    assert sorted(person.is_disabled for person in people) == [False, True]


def test_rights_of_the_platform_are_for_its_administrators_to_disable(client, session, root):
    clerk = center.manager(client, session, username="clerk", scopes=[WRITE])
    protocol.grant_directly(session, clerk.user, WRITE)
    ann = protocol.add_person(session)
    boss = protocol.add_person(session, "boss", is_disabled=True)
    protocol.add_role(session, boss, "administrators", tenant_id=None)
    assert admin.data(clerk, "POST", f"/tenants/1/users/{ann.id}/disable")["disabled"] is True
    for user_id in (root.user.id, boss.id):
        for act in ("disable", "enable", "unlock"):
            assert admin.refused(clerk, "POST", f"/tenants/1/users/{user_id}/{act}") == (403, {})
    session.rollback()
    assert session.get_one(User, boss.id).is_disabled
    assert admin.data(root, "POST", f"/tenants/1/users/{boss.id}/enable")["disabled"] is False


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"after": "ann"}, "after"),
        ({"after": "-1"}, "after"),
        ({"after": str(2**63)}, "after"),
        ({"tenant": "acme"}, "tenant"),
        ({"disabled": "1"}, "disabled"),
        ({"search": "a" * 201}, "search"),
        ({"name": "ann"}, "name"),
        ({"isDisabled": "true"}, "isDisabled"),
    ],
)
def test_a_wrong_or_unknown_parameter_is_named(root, query, field):
    status, fields = admin.refused(root, "GET", "/tenants/1/users", **query)
    assert (status, list(fields)) == (400, [field])


def test_who_is_deleted_or_was_never_there_is_not_found(root, session):
    gone = protocol.add_person(session, deleted_at=clock.now())
    for user_id in (gone.id, 0, 999_999, 2**63 - 1, 2**80):
        assert admin.refused(root, "GET", f"/tenants/1/users/{user_id}") == (404, {})
        for act in ("disable", "enable", "unlock"):
            assert admin.refused(root, "POST", f"/tenants/1/users/{user_id}/{act}") == (404, {})
    assert admin.data(root, "GET", "/tenants/1/users", search="ann")["items"] == []
