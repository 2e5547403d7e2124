"""Policies of tenants by our own API: read, replaced, refused, combined."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from idp.directory.users.models import User
from idp.platform import clock as wall
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.api import admin, center
from tests.api.center import statements

READ = "ids4.ms.admin.policy.read"
WRITE = "ids4.ms.admin.policy.write"
FULL = {
    "password_length": 12,
    "password_classes": 3,
    "password_history": 4,
    "password_expiry_days": 90,
    "password_must_change": True,
    "breached_at_sign_in": "warn",
    "identifier_first": True,
    "second_factor": "required",
    "level": "mfa",
    "factors": ["passkey", "totp"],
    "grace_days": 7,
    "level_minutes": 60,
    "device_days": 10,
    "session_hours": 8,
    "remember_days": 7,
    "idle_minutes": 60,
    "max_sessions": 5,
    "verify": ["email"],
}
FLOOR = {**FULL, "second_factor": "optional"}
"""A policy of the platform under which its administrator goes on without a second factor."""
NO_ONE = {"exempt_user_ids": None}
ASIDE = {"sessions": None}
EMPTY = {**dict.fromkeys(FULL), **NO_ONE}
NOTHING = {
    **dict.fromkeys(FULL, 0),
    "password_must_change": False,
    "breached_at_sign_in": "off",
    "identifier_first": False,
    "second_factor": "optional",
    "level": "mfa",
    "factors": ["passkey", "totp"],
    "device_days": 30,
    "session_hours": 10,
    "remember_days": 30,
    "verify": [],
}
ANY = {"If-Match": "*"}
END = {"end_sessions": "true"}
HOST = "127.0.0.1:8000"
NAMES = ("plain", "has-both", "remembered", "later")
PLATFORM = 1


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def boss(client, session, acme):
    """Return somebody who holds the permissions in Acme alone."""
    return center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])


def path(tenant_id):
    return f"/tenants/{tenant_id}/policy"


def get(caller, tenant_id):
    return admin.data(caller, "GET", path(tenant_id))


def put(caller, tenant_id, /, **values):
    return admin.data(caller, "PUT", path(tenant_id), values, headers=ANY)


def refused(caller, tenant_id, /, **values):
    """Return the invalid fields of a policy that is refused."""
    status, fields = admin.refused(caller, "PUT", path(tenant_id), values, headers=ANY)
    assert status == 400
    return fields


def changes(session):
    session.rollback()
    query = select(AuditEvent).where(AuditEvent.tag == Tag.POLICY_CHANGED)
    return list(session.scalars(query.order_by(AuditEvent.id)))


def test_a_tenant_without_a_policy_requires_nothing(root, acme):
    assert get(root, acme) == {**EMPTY, **ASIDE, "required": NOTHING}


def test_what_was_put_is_read_and_recorded(root, session, acme):
    answered = put(root, acme, **FULL)
    assert answered == {**FULL, **NO_ONE, **ASIDE, "required": FULL}
    assert get(root, acme) == answered
    event = changes(session)[0]
    assert (event.target, event.tenant_id, event.user_id) == (f"tenant:{acme}", acme, root.user.id)
    assert {row["field"]: row["after"] for row in event.details["changes"]} == FULL


def test_putting_what_was_read_changes_nothing(root, session, acme):
    put(root, acme, **FULL)
    before = center.whole_database(session)
    read = admin.send(root, "GET", path(acme))
    seen = {"If-Match": read.headers["ETag"]}
    again = admin.send(root, "PUT", path(acme), read.get_json(), headers=seen)
    assert (again.get_json(), again.headers["ETag"]) == (read.get_json(), read.headers["ETag"])
    assert center.whole_database(session) == before


def test_what_is_missing_is_not_set_any_more(root, acme):
    put(root, acme, **FULL)
    assert put(root, acme, password_length=10) == {
        **EMPTY,
        **ASIDE,
        "password_length": 10,
        "required": {**NOTHING, "password_length": 10},
    }


def test_a_change_that_was_overtaken_is_refused(root, session, acme):
    unset = admin.send(root, "GET", path(acme)).headers["ETag"]
    put(root, acme, password_length=10)
    before = center.whole_database(session)
    answer = admin.send(root, "PUT", path(acme), FULL, headers={"If-Match": unset})
    assert answer.status_code == 412
    assert center.whole_database(session) == before


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"password_length": 7}, "password_length", "between 8 and 64"),
        ({"password_length": 0}, "password_length", "between 8 and 64"),
        ({"password_length": 65}, "password_length", "between 8 and 64"),
        ({"password_classes": 5}, "password_classes", "between 1 and 4"),
        ({"password_history": 6}, "password_history", "between 1 and 5"),
        (
            {"password_expiry_days": 29, "password_history": 1},
            "password_expiry_days",
            "between 30 and 3650",
        ),
        ({"password_expiry_days": 30}, "password_history", "need a history"),
        ({"password_expiry_days": 30, "password_history": 0}, "password_history", "need a history"),
    ],
)
def test_what_is_impossible_or_contradicts_itself_is_refused_with_the_reason(
    root, session, acme, values, field, reason
):
    before = center.whole_database(session)
    fields = refused(root, acme, **values)
    assert list(fields) == [field]
    assert reason in fields[field][0]
    assert center.whole_database(session) == before


@pytest.mark.parametrize(
    "body",
    [
        {"password_length": "12"},
        {"password_length": 12.5},
        {"password_length": -1},
        {"password_length": 10**30},
        {"password_must_change": 1},
        {"passwordLength": 12},
        {"tenant_id": 1},
        [],
        None,
    ],
)
def test_a_body_of_another_shape_is_refused(root, session, acme, body):
    before = center.whole_database(session)
    answer = admin.send(root, "PUT", path(acme), body, headers=ANY)
    assert answer.status_code == 400
    assert center.whole_database(session) == before


def test_the_strictest_wins(root, acme):
    put(root, PLATFORM, **{**FLOOR, "password_length": 10, "password_must_change": False})
    answered = put(
        root,
        acme,
        password_length=14,
        password_expiry_days=60,
        password_history=5,
        password_must_change=True,
    )
    assert answered["required"] == {
        **FLOOR,
        "password_length": 14,
        "password_classes": 3,
        "password_history": 5,
        "password_expiry_days": 60,
        "password_must_change": True,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password_length", 11),
        ("password_classes", 2),
        ("password_classes", 0),
        ("password_history", 3),
        ("password_expiry_days", 91),
        ("password_expiry_days", 0),
        ("password_must_change", False),
        ("breached_at_sign_in", "off"),
        ("identifier_first", False),
        ("session_hours", 9),
        ("remember_days", 8),
        ("idle_minutes", 61),
        ("idle_minutes", 0),
        ("max_sessions", 6),
        ("verify", []),
        ("verify", ["mobile"]),
    ],
)
def test_a_tenant_cannot_require_less_than_the_platform(root, session, acme, name, value):
    put(root, PLATFORM, **FLOOR)
    values = {"password_history": 5, name: value}
    fields = refused(root, acme, **values)
    assert list(fields) == [name]
    assert "platform" in fields[name][0]
    assert get(root, acme)["required"] == FLOOR


def test_a_floor_that_rises_leaves_what_is_set_and_counts_at_once(root, acme):
    put(root, acme, password_length=10)
    put(root, PLATFORM, password_length=12)
    read = get(root, acme)
    assert read["password_length"] == 10
    assert read["required"]["password_length"] == 12
    assert put(root, acme, password_length=10, password_classes=2)["password_classes"] == 2
    assert refused(root, acme, password_length=11)


def test_an_administrator_of_a_tenant_has_its_policy_and_no_other(boss, session, acme):
    other = protocol.add_tenant(session, "Other")
    put(boss, acme, password_length=12)
    before = center.whole_database(session)["sign_in_policy"]
    for tenant_id in (other, PLATFORM, 99_999, 2**63 - 1):
        for method, body in (("GET", None), ("PUT", {"password_length": 13})):
            answer = admin.send(boss, method, path(tenant_id), body, headers=ANY)
            assert answer.status_code in {403, 404}, (method, tenant_id)
    assert center.whole_database(session)["sign_in_policy"] == before


def test_a_tenant_that_does_not_exist_is_not_found(root):
    for method, body in (("GET", None), ("PUT", FULL)):
        assert admin.send(root, method, path(99_999), body, headers=ANY).status_code == 404


def test_sessions_below_a_tightened_policy_end_where_that_is_asked_for(root, session, acme, clock):
    people = {name: protocol.add_person(session, name, tenant_ids=(acme,)) for name in NAMES}
    elsewhere = protocol.add_person(session, "elsewhere")
    protocol.add_authenticator(session, people["has-both"])
    for name, person in people.items():
        protocol.start_session(session, HOST, person, has_both=name == "has-both")
    protocol.start_session(session, HOST, elsewhere)
    session.execute(
        update(User).where(User.username == "later").values(second_factor_asked_at=wall.now())
    )
    remembered = BrowserSession.user_id == people["remembered"].id
    protocol.add_authenticator(session, people["remembered"])
    session.execute(
        update(BrowserSession)
        .where(remembered)
        .values(trusted_until=wall.now() + timedelta(days=9))
    )
    session.commit()

    def end(**values):
        body = {"second_factor": "required", "grace_days": 3, **values}
        return admin.data(root, "PUT", path(acme), body, headers=ANY, **END)

    def live():
        session.rollback()
        query = select(User.username).join(BrowserSession, BrowserSession.user_id == User.id)
        return set(session.scalars(query.where(BrowserSession.ended_at.is_(None))))

    # By itself it ends none.
    assert put(root, acme, second_factor="required", grace_days=3)["sessions"] is None
    kept = {"has-both", "remembered", "later", "elsewhere"}
    assert live() >= kept | {"plain"}
    assert end()["sessions"] == {"ended": 1, "remaining": 0}
    assert kept <= live()
    assert "plain" not in live()
    (event,) = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.SESSION_REVOKED))
    assert event.details == {"user_id": people["plain"].id, "reason": "policy"}
    assert event.tenant_id == acme
    # The time for setting it up is over, devices are not remembered, and the level ends.
    assert end(grace_days=0)["sessions"]["ended"] == 1
    assert end(grace_days=0, device_days=0)["sessions"]["ended"] == 1
    clock.shift(301)
    assert end(grace_days=0, device_days=0, level_minutes=5)["sessions"]["ended"] == 1
    # Never that of the caller, who lacks the level too, nor those of other organisations.
    assert live() >= {"elsewhere"}
    status, fields = admin.refused(root, "PUT", path(acme), {}, headers=ANY, end_sessions="perhaps")
    assert (status, list(fields)) == (400, ["end_sessions"])


def test_nobody_ends_sessions_of_people_out_of_reach_by_a_policy(boss, session, acme):
    shared = protocol.add_person(session, "shared", tenant_ids=(1, acme))
    own = protocol.add_person(session, "own", tenant_ids=(acme,))
    for person in (shared, own):
        protocol.start_session(session, HOST, person)
    answered = admin.data(
        boss,
        "PUT",
        path(acme),
        {"second_factor": "required"},
        headers=ANY,
        **END,
    )
    assert answered["sessions"] == {"ended": 1, "remaining": 0}
    session.rollback()
    query = select(BrowserSession.user_id).where(BrowserSession.ended_at.is_not(None))
    assert list(session.scalars(query)) == [own.id]


def test_the_policy_of_the_platform_leaves_every_organisation_a_way_in(root, session, runtime):
    named = protocol.add_tenant(session, "Named", hosts=["login.named.localhost:8000"])
    literal = protocol.add_tenant(session, "Literal", hosts=["127.0.0.9:8000"])
    put(root, named, factors=["totp"], second_factor="required")
    put(root, literal, factors=["totp", "passkey"], second_factor="required")
    # What is left of both lists are passkeys, which browsers refuse at a literal address.
    assert "127.0.0.9" in refused(root, PLATFORM, factors=["passkey"])["factors"][0]
    put(root, literal)
    # One query for the addresses, however many organisations there are.
    with statements(runtime.engine) as few:
        put(root, PLATFORM, factors=["totp"], device_days=20)
    for number in range(5):
        protocol.add_tenant(session, f"More {number}", hosts=[f"more{number}.localhost:8000"])
    with statements(runtime.engine) as more:
        put(root, PLATFORM, factors=["totp"], device_days=10)
    assert len(more) == len(few)
