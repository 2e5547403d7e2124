"""Users by our own API: found, disabled, enabled, unlocked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from threading import Barrier

import pytest
from sqlalchemy import select

from idp.directory.users.models import User
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import admin, center
from tests.api.center import Caller

WRITE = "ids4.ms.admin.users.write"


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
    shown = admin.data(root, "GET", f"/users/{ann.id}")
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
    (listed,) = admin.data(root, "GET", "/users", search="ann")["items"]
    assert listed.keys() == {*shown, "created_at"} - {"tenants", "roles"}


def test_users_are_searched_by_name_tenant_and_state(root, session):
    acme = protocol.add_tenant(session)
    for name, tenant_id in (("ann", 1), ("anna", acme), ("bob", acme)):
        protocol.add_person(session, name, tenant_ids=[tenant_id], is_disabled=name == "bob")

    def found(**query):
        rows = admin.data(root, "GET", "/users", **query)["items"]
        return [row["username"] for row in rows]

    assert found(search="ANN") == ["ann", "anna"]
    assert found(tenant=acme) == ["anna", "bob"]
    assert found(tenant=acme, disabled="true") == ["bob"]
    assert found(tenant=acme, disabled="false") == ["anna"]
    assert found(disabled="true") == ["bob"]
    assert found(search="") == found()
    assert found(tenant=2**62) == []


def test_the_list_is_read_page_by_page(root, session):
    for number in range(5):
        protocol.add_person(session, f"ann{number}")
    names = [[row["username"] for row in rows] for rows in admin.pages(root, "/users", limit=2)]
    assert [len(rows) for rows in names] == [2, 2, 2, 1]
    assert [*chain(*names)][2:] == [f"ann{number}" for number in range(5)]
    assert len(admin.data(root, "GET", "/users", limit=7)["items"]) == 7
    assert admin.data(root, "GET", "/users", limit=7)["next"] is None


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", "/users", limit=200)
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
    assert admin.data(root, "POST", f"/users/{ann.id}/disable")["disabled"] is True
    assert hers.send("GET", "/Client").status_code == 401
    assert admin.data(root, "POST", f"/users/{ann.id}/enable")["disabled"] is False
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
    assert admin.data(root, "GET", f"/users/{ann.id}")["locked_until"].endswith("Z")
    assert admin.data(root, "POST", f"/users/{ann.id}/unlock")["locked_until"] is None
    session.rollback()
    assert session.get_one(User, ann.id).may_sign_in
    assert events(session, ann)[-1] == ("admin:user:unlocked", root.user.id)


@pytest.mark.parametrize("act", ["disable", "enable", "unlock"])
def test_doing_it_twice_changes_nothing_more(root, session, act):
    ann = protocol.add_person(
        session, is_disabled=act == "enable", lockout_end=clock.now() + timedelta(days=1)
    )
    first = admin.data(root, "POST", f"/users/{ann.id}/{act}")
    noted = events(session, ann)
    assert admin.data(root, "POST", f"/users/{ann.id}/{act}") == first
    assert events(session, ann) == noted


def test_nobody_disables_themselves(root, session):
    assert admin.refused(root, "POST", f"/users/{root.user.id}/disable") == (
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
        return admin.send(caller, "POST", f"/users/{target.id}/disable")

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
    assert admin.data(clerk, "POST", f"/users/{ann.id}/disable")["disabled"] is True
    for user_id in (root.user.id, boss.id):
        for act in ("disable", "enable", "unlock"):
            assert admin.refused(clerk, "POST", f"/users/{user_id}/{act}") == (403, {})
    session.rollback()
    assert session.get_one(User, boss.id).is_disabled
    assert admin.data(root, "POST", f"/users/{boss.id}/enable")["disabled"] is False


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
    status, fields = admin.refused(root, "GET", "/users", **query)
    assert (status, list(fields)) == (400, [field])


def test_who_is_deleted_or_was_never_there_is_not_found(root, session):
    gone = protocol.add_person(session, deleted_at=clock.now())
    for user_id in (gone.id, 0, 999_999, 2**63 - 1, 2**80):
        assert admin.refused(root, "GET", f"/users/{user_id}") == (404, {})
        for act in ("disable", "enable", "unlock"):
            assert admin.refused(root, "POST", f"/users/{user_id}/{act}") == (404, {})
    assert admin.data(root, "GET", "/users", search="ann")["items"] == []
