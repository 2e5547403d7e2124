"""The policy screen: one form, for a tenant and for the platform."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import delete, select

from idp.directory.policies.models import Policy
from idp.directory.roles.models import UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events, readable, send
from tests.protocol import add_person, add_role, add_tenant, require, sign_in, start_session

READ = "ids4.ms.admin.policy.read"
WRITE = "ids4.ms.admin.policy.write"
TYPED = {
    "password_length": "12",
    "password_classes": "",
    "password_history": "3",
    "breached_at_sign_in": "",
    "second_factor": "",
    "level": "",
}


@pytest.fixture
def acme(session):
    return add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    """Sign in somebody who manages the policy of Acme, and nothing else."""
    user = add_person(session, "boss", tenant_ids=(acme,))
    add_role(session, user, "security", [READ, WRITE], tenant_id=acme)
    sign_in(client, session, user)
    return user


@pytest.fixture
def screen(acme):
    return f"/console/t/{acme}/policy"


def row_of(session, tenant_id):
    session.rollback()
    session.expire_all()
    return session.scalars(select(Policy).where(Policy.tenant_id == tenant_id)).one_or_none()


def typed_from(page, **changes):
    stamp = re.search(r'name="stamp"[^>]*value="([^"]*)"', page.get_data(as_text=True))
    return {**TYPED, "stamp": stamp[1], **changes}


def save(browser, screen, **changes):
    page = browser.get(screen, headers=HTML)
    return send(browser, page, screen, typed_from(page, **changes))


def test_what_is_saved_is_shown_and_recorded(client, session, boss, acme, screen):
    answer = save(client, screen, password_must_change="y")
    assert answer.location == f"{screen}?notice=saved"
    text = readable(client.get(answer.location))
    assert "The policy was saved." in text
    assert "Policy changed" in text
    row = row_of(session, acme)
    assert (row.password_length, row.password_classes, row.password_history) == (12, None, 3)
    assert row.password_must_change is True
    event = events(session, Tag.POLICY_CHANGED)[0]
    assert (event.user_id, event.tenant_id) == (boss.id, acme)


def test_the_floor_of_the_platform_is_shown_and_holds(client, session, boss, acme, screen):
    require(session, 1, password_length=14, password_expiry_days=90, password_history=2)
    text = readable(client.get(screen))
    assert "The platform requires 14." in text
    assert "The platform requires 90 days." in text
    answer = save(client, screen)
    assert answer.status_code == 400
    assert 'id="password_length-error"' in readable(answer)
    assert row_of(session, acme) is None
    assert save(client, screen, password_length="15").status_code == 303


def test_the_same_form_sent_twice_changes_nothing_the_second_time(client, session, boss, screen):
    for _ in range(2):
        assert save(client, screen).status_code == 303
    assert len(events(session, Tag.POLICY_CHANGED)) == 1


def test_a_form_without_a_stamp_is_refused(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    assert send(client, page, screen, TYPED).status_code == 400
    assert row_of(session, acme) is None


def test_two_people_at_once_see_both_values(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    require(session, acme, password_length=20)
    answer = send(client, page, screen, typed_from(page))
    assert answer.status_code == 409
    assert "changed by someone else" in readable(answer)
    assert row_of(session, acme).password_length == 20
    assert send(client, answer, screen, typed_from(answer)).status_code == 303
    assert row_of(session, acme).password_length == 12


@pytest.mark.parametrize(
    "name", ["password_length", "password_classes", "password_history", "password_expiry_days"]
)
@pytest.mark.parametrize(
    "text",
    ["9" * 10_000, "-1", "1e3", "a\u202eb", "<script>alert(1)</script>", str(2**63)],
)
def test_what_is_no_number_in_range_is_refused_beside_the_field(
    client, session, boss, acme, screen, name, text
):
    answer = save(client, screen, **{name: text})
    assert answer.status_code == 400
    page = answer.get_data(as_text=True)
    assert f'id="{name}-error"' in page
    assert "<script>alert" not in page
    assert row_of(session, acme) is None


def test_a_tenant_that_was_deleted_meanwhile_is_not_found(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    session.execute(delete(UserRole))
    session.delete(session.get_one(Tenant, acme))
    session.commit()
    assert send(client, page, screen, TYPED).status_code == 404


def test_others_are_out_of_reach(client, session, boss, acme, screen):
    other = add_tenant(session, "Bluefen")
    page = client.get(screen, headers=HTML)
    for place in (f"/console/t/{other}/policy", "/console/platform/policy"):
        assert client.get(place).status_code == 404
        assert send(client, page, place, typed_from(page)).status_code == 404
    assert session.scalars(select(Policy)).all() == []


def test_a_reader_sees_everything_and_changes_nothing(client, session, acme, screen):
    user = add_person(session, "reader", tenant_ids=(acme,))
    add_role(session, user, "reader", [READ], tenant_id=acme)
    sign_in(client, session, user)
    assert f"Needs the permission {WRITE}" in readable(client.get(screen))
    token = csrf_token(client.get("/login?prompt=login"))
    answer = client.post(screen, data={"csrf_token": token, **TYPED, "stamp": "unset"})
    assert answer.status_code == 403
    assert row_of(session, acme) is None


def test_the_platform_has_a_policy_of_its_own(client, session, acme, screen):
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    assert "everybody's sign-ins" in readable(client.get("/console/platform/policy"))
    assert save(client, "/console/platform/policy").status_code == 303
    assert row_of(session, 1).password_length == 12
    assert save(client, screen, password_length="16").status_code == 303
    assert row_of(session, acme).password_length == 16


def test_the_number_of_queries_is_the_same_with_and_without_values(
    client, runtime, session, boss, acme, screen
):
    client.get(screen)
    with statements(runtime.engine) as empty:
        client.get(screen)
    save(client, screen)
    client.get(screen)
    with statements(runtime.engine) as full:
        client.get(screen)
    assert len(full) <= len(empty) + 2  # the floor, and names of those in the events
    assert len(full) <= 24


def test_the_screen_is_in_chinese(client, boss, screen):
    text = readable(client.get(screen, headers={"Accept-Language": "zh-CN"}))
    assert "密码策略" in text
    assert "最小长度" in text
    assert "Policies" not in text


def test_second_factors_levels_and_devices_are_saved_and_shown(client, session, boss, acme, screen):
    answer = save(
        client,
        screen,
        second_factor="required",
        level="mfa",
        factors=["passkey", "totp"],
        grace_days="7",
        level_minutes="480",
        device_days="10",
    )
    assert answer.status_code == 303
    row = row_of(session, acme)
    assert (row.second_factor, row.level, row.factors) == ("required", "mfa", ["passkey", "totp"])
    assert (row.grace_days, row.level_minutes, row.device_days) == (7, 480, 10)
    text = readable(client.get(screen))
    for shown in ("Required", "7 days", "480 minutes", "Passkeys, Authenticator apps"):
        assert shown in text
    assert save(client, screen).status_code == 303
    row = row_of(session, acme)
    assert (row.second_factor, row.level, row.factors, row.grace_days) == (None, None, None, None)


def test_a_policy_that_locks_everybody_out_is_refused_with_the_reason(
    client, session, boss, acme, screen
):
    answer = save(client, screen, second_factor="required", level="phr")
    assert answer.status_code == 400
    text = readable(answer)
    assert 'id="level-error"' in text
    assert "Nobody could sign in" in text
    assert row_of(session, acme) is None


@pytest.mark.parametrize("name", ["second_factor", "level", "factors", "exempt_user_ids"])
@pytest.mark.parametrize("text", ["9" * 10_000, "a\u202eb", "<script>alert(1)</script>", "-1"])
def test_what_is_no_choice_is_refused_beside_the_field(
    client, session, boss, acme, screen, name, text
):
    answer = save(client, screen, **{name: text})
    assert answer.status_code == 400
    page = answer.get_data(as_text=True)
    assert f'id="{name}-error"' in page
    assert "<script>alert" not in page
    assert row_of(session, acme) is None


def test_administrators_of_the_tenant_can_be_exempt(client, session, boss, acme, screen):
    chiefs = [add_person(session, f"chief {number}") for number in range(3)]
    for chief in chiefs:
        tenants.add_member(session, acme, chief.id, is_admin=True)
    eve = add_person(session, "mallory")
    tenants.add_member(session, add_tenant(session, "Bluefen"), eve.id, is_admin=True)
    session.commit()
    text = readable(client.get(screen))
    assert "chief 1" in text
    assert "mallory" not in text
    ids = [str(chief.id) for chief in chiefs]
    assert save(client, screen, exempt_user_ids=ids[:2]).status_code == 303
    assert row_of(session, acme).exempt_user_ids == [chief.id for chief in chiefs[:2]]
    assert save(client, screen, exempt_user_ids=ids).status_code == 400
    assert save(client, screen, exempt_user_ids=[str(eve.id)]).status_code == 400
    assert row_of(session, acme).exempt_user_ids == [chief.id for chief in chiefs[:2]]


def test_a_change_needs_a_recent_sign_in(client, session, clock, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    clock.shift(301)
    answer = send(client, page, screen, typed_from(page))
    assert answer.location.startswith("/login?prompt=login")
    assert row_of(session, acme) is None


def test_sessions_below_a_new_policy_are_shown_and_end_after_a_question(
    client, session, boss, acme, screen
):
    ann, shared = add_person(session, "ann", tenant_ids=(acme,)), add_person(session, "shared")
    for person in (ann, shared):
        start_session(session, "127.0.0.1:8000", person)
    answer = save(client, screen, second_factor="required")
    note = "1 session is below the level that is required."
    assert note in readable(client.get(answer.location))
    assert note not in readable(client.get(screen))
    asked = client.get(f"{screen}/sessions/end", headers=HTML)
    assert "End 1 session?" in readable(asked)
    done = send(client, asked, f"{screen}/sessions/end", {"count": "1"})
    assert done.location == f"{screen}?ended=1"
    page = readable(client.get(done.location))
    assert "1 session was ended." in page
    assert note not in page
    (event,) = events(session, Tag.SESSION_REVOKED)
    assert event.details == {"user_id": ann.id, "reason": "policy"}
