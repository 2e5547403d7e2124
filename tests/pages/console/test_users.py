"""Users in the console: found, shown, added, changed, imported, exported."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from io import BytesIO, StringIO

import pytest
from sqlalchemy import func, select

from idp.directory.actor import Actor
from idp.directory.roles.models import UserRole
from idp.directory.tenants import service as tenants
from idp.directory.users import management, visibility
from idp.directory.users.models import User
from idp.oauth.models import Consent
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, readable, submit
from tests.protocol import (
    add_person,
    add_role,
    add_tenant,
    grant_directly,
    register,
    sign_in,
    start_session,
)

HOST = "127.0.0.1:8000"
EVERYTHING = ["ids4.ms.all"]
READING = ["ids4.ms.admin.users.read"]


@pytest.fixture
def admin(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root", nick_name="Root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def acme(session):
    return add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    """Sign in somebody who manages the users of Acme."""
    user = add_person(session, "boss", tenant_ids=(acme,))
    add_role(session, user, "boss", EVERYTHING, tenant_id=acme)
    sign_in(client, session, user)
    return user


@pytest.fixture
def ann(session, acme):
    return add_person(
        session, "ann", tenant_ids=(acme,), email="ann@acme.example", nick_name="Ann Lee"
    )


def names(answer) -> list[str]:
    """Read the user names of a list."""
    found = r'<span class="mono">\s*<bdi>([^<]*)</bdi>'
    return re.findall(found, answer.get_data(as_text=True))


def post(browser, path, /, **form):
    """Send a form with a token of its own."""
    token = csrf_token(browser.get("/login?prompt=login"))
    return browser.post(path, data={"csrf_token": token, **form}, headers=HTML)


def fresh(session, user):
    session.rollback()
    return session.get_one(User, user.id, populate_existing=True)


def tags(session, user) -> list[str]:
    session.rollback()
    query = select(AuditEvent.tag).where(AuditEvent.target == f"user:{user.id}")
    return list(session.scalars(query.order_by(AuditEvent.id)))


# The list


def test_the_list_shows_the_people_of_the_tenant_alone(client, session, boss, ann, acme):
    add_person(session, "eve", tenant_ids=(add_tenant(session, "Other"),))
    answer = client.get(f"/console/t/{acme}/users")
    assert names(answer) == ["ann", "boss"]
    assert "2 users" in readable(answer)
    assert names(client.get(f"/console/t/{acme}/users?sort=-username")) == ["boss", "ann"]


def test_the_platform_lists_everyone(client, session, admin, ann):
    assert {"ann", "root"} <= set(names(client.get("/console/platform/users")))


@pytest.mark.parametrize("text", ["ANN", "lee", "ann@ACME", "8613800138000"])
def test_people_are_found_by_name_address_and_number(client, session, boss, ann, acme, text):
    ann.mobile = "+8613800138000"
    session.commit()
    assert names(client.get(f"/console/t/{acme}/users", query_string={"q": text})) == ["ann"]
    assert names(client.get(f"/console/t/{acme}/users?q={ann.id}")) == ["ann"]
    assert names(client.get(f"/console/t/{acme}/users?q=%25")) == []
    assert names(client.get(f"/console/t/{acme}/users?q={'9' * 40}")) == []


def test_the_filters_narrow_by_state_role_and_sign_in(client, session, boss, ann, acme):
    bob = add_person(session, "bob", tenant_ids=(acme,), is_disabled=True)
    cat = add_person(
        session, "cat", tenant_ids=(acme,), lockout_end=clock.now() + timedelta(days=1)
    )
    role = add_role(session, ann, "clerk", tenant_id=acme)
    for user, days in ((ann, 1), (bob, 200)):
        at = clock.now() - timedelta(days=days)
        session.add(AuditEvent(tag="user:session:started", user_id=user.id, tenant_id=1, at=at))
    session.commit()

    def found(query: str) -> list[str]:
        return names(client.get(f"/console/t/{acme}/users?{query}"))

    assert found("state=active") == ["ann", "boss"]
    assert found("state=disabled") == ["bob"]
    assert found("state=locked") == [cat.username]
    assert found(f"role={role.id}") == ["ann"]
    assert found("sign_in=recent") == ["ann"]
    assert found("sign_in=old") == ["bob", "boss", "cat"]
    assert found("sign_in=never") == ["boss", "cat"]
    assert found("state=active&sign_in=never") == ["boss"]
    foreign = add_role(session, ann, "other", tenant_id=add_tenant(session, "Other"))
    answer = client.get(f"/console/t/{acme}/users?role={foreign.id}", headers=HTML)
    assert answer.status_code == 400


def test_the_platform_filters_by_organisation(client, session, admin, ann, acme):
    assert names(client.get(f"/console/platform/users?tenant={acme}")) == ["ann"]
    assert client.get("/console/platform/users?tenant=999", headers=HTML).status_code == 400


def test_sign_ins_elsewhere_are_not_shown_to_a_tenant(client, session, boss, ann, acme):
    shop = add_tenant(session, "Shop", hosts=["login.shop.example"])
    session.add(AuditEvent(tag="user:session:started", user_id=ann.id, tenant_id=shop))
    session.commit()
    assert names(client.get(f"/console/t/{acme}/users?sign_in=recent")) == []
    page = readable(client.get(f"/console/t/{acme}/users?q=ann"))
    assert re.search(r'data-label="Last sign-in">\s*<span class="quiet">never', page)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x>', "a\u202etxt.exe", "x" * 10_000]
)
def test_a_name_is_only_text(client, session, boss, acme, text, runtime):
    if len(text) > 200 and runtime.engine.name != "sqlite":
        pytest.skip("the column of PostgreSQL is too short for 10,000 characters")
    user = add_person(session, "eve", tenant_ids=(acme,), nick_name=text)
    user.email = user.email_key = text
    user.username = text
    role = add_role(session, user, "clerk", tenant_id=acme)
    role.name = text[:250]
    session.commit()
    for path in ("", f"/{user.id}", f"/{user.id}/roles", f"/{user.id}/permissions"):
        page = client.get(f"/console/t/{acme}/users{path}").get_data(as_text=True)
        assert "<script>alert" not in page
        assert "<img" not in page
        if "\u202e" in text and not path:
            assert f"<bdi>{text}</bdi>" in page.replace("\n", "")


def test_the_number_of_statements_does_not_grow_with_the_rows(
    client, session, admin, boss, acme, runtime, new_client
):
    browser = new_client()
    sign_in(browser, session, boss)
    paths = [f"/console/t/{acme}/users", f"/console/t/{acme}/sessions"]
    paths += [f"/console/t/{acme}/sessions/grants", f"/console/t/{acme}/users/{boss.id}"]

    def count(path: str) -> int:
        counts = []
        for _ in range(3):  # now and then it is looked up whether configuration has changed
            with statements(runtime.engine) as sent:
                assert browser.get(path).status_code == 200
            counts.append(len(sent))
        return min(counts)

    before = [count(path) for path in paths]
    for number in range(20):
        user = add_person(session, f"p{number}", tenant_ids=(acme,))
        add_role(session, user, "clerk", tenant_id=acme)
        start_session(session, HOST, user)
    assert [count(path) for path in paths] == before
    assert max(before) < 50, before


# The page


def test_a_user_is_shown_with_roles_permissions_and_activity(client, session, boss, ann, acme):
    add_role(session, ann, "clerk", ["orders.read"], tenant_id=acme)
    grant_directly(session, ann, "orders.read", tenant_id=acme)
    page = readable(client.get(f"/console/t/{acme}/users/{ann.id}"))
    for text in ("Ann Lee", "ann@acme.example", "not verified", "clerk", "orders.read", "direct"):
        assert text in page, text
    held = readable(client.get(f"/console/t/{acme}/users/{ann.id}/permissions"))
    assert "orders.read" in held
    activity = readable(client.get(f"/console/t/{acme}/users/{ann.id}/activity"))
    assert "Member added" in activity


def test_a_tenant_sees_nothing_of_others(client, session, boss, acme):
    other = add_tenant(session, "Bluefen")
    eve = add_person(session, "eve", tenant_ids=(acme, other))
    add_role(session, eve, "secret-role", ["bluefen.secret"], tenant_id=other)
    add_role(session, eve, "platform-role", ["platform.secret"], tenant_id=None)
    grant_directly(session, eve, "direct.secret")
    grant_directly(session, eve, "bluefen.secret", tenant_id=other)
    app = register(session, "hidden-app")
    session.add(Consent(user_id=eve.id, client_id=app.row_id, tenant_id=other, scopes=["openid"]))
    session.add(
        AuditEvent(tag="user:profile:changed", user_id=eve.id, tenant_id=other, target="hidden")
    )
    session.commit()
    start_session(session, HOST, eve)
    base = f"/console/t/{acme}/users/{eve.id}"
    for path in ("", "/roles", "/permissions", "/sessions", "/consents", "/activity"):
        page = readable(client.get(base + path))
        for secret in ("Bluefen", "secret", "platform-role", "Hidden-App", "Profile changed"):
            assert secret not in page, (path, secret)
    assert "Sessions are shown to those who may sign the user out" in readable(
        client.get(f"{base}/sessions")
    )


def test_the_platform_sees_all_of_a_person(client, session, admin, acme):
    eve = add_person(session, "eve", tenant_ids=(1, acme))
    add_role(session, eve, "clerk", ["orders.read"], tenant_id=acme)
    add_role(session, eve, "helper", ["support.read"], tenant_id=None)
    page = readable(client.get(f"/console/platform/users/{eve.id}"))
    for text in ("Acme", "clerk", "helper", "support.read"):
        assert text in page, text
    assert "orders.read" not in page  # held in Acme, not at the platform


FOREIGN = ("disable", "enable", "unlock", "sign-out", "reset-link", "roles", "memberships")


@pytest.mark.parametrize("act", FOREIGN)
def test_people_of_another_tenant_do_not_exist(client, session, boss, acme, act):
    eve = add_person(
        session, "eve", tenant_ids=(add_tenant(session, "Other"),), email="eve@other.example"
    )
    before = tags(session, eve)
    answer = post(client, f"/console/t/{acme}/users/{eve.id}/{act}", tenant=acme)
    assert answer.status_code == 404
    assert tags(session, eve) == before
    for path in ("", "/roles", "/permissions", "/sessions", "/consents", "/activity"):
        assert client.get(f"/console/t/{acme}/users/{eve.id}{path}").status_code == 404


def test_other_ids_of_another_tenant_do_not_exist_either(client, session, boss, ann, acme):
    other = add_tenant(session, "Other")
    eve = add_person(session, "eve", tenant_ids=(other,))
    role = add_role(session, eve, "clerk", tenant_id=other)
    app = register(session)
    consent = Consent(user_id=eve.id, client_id=app.row_id, tenant_id=other, scopes=["openid"])
    session.add(consent)
    session.commit()
    start_session(session, HOST, eve)
    row = session.scalar(select(BrowserSession).where(BrowserSession.user_id == eve.id))
    base = f"/console/t/{acme}/users"
    assert post(client, f"{base}/{ann.id}/roles", role=role.id).status_code == 404
    assert post(client, f"{base}/{ann.id}/sessions/{row.id}/end").status_code == 404
    assert post(client, f"{base}/{ann.id}/consents/{consent.id}/end").status_code == 404
    assert post(client, f"{base}/{ann.id}/memberships/{other}/remove").status_code == 404
    assert post(client, f"{base}/disable", id=[ann.id, eve.id]).status_code == 404
    assert post(client, f"{base}/assign", id=[ann.id], role=role.id).status_code == 404
    assert post(client, f"{base}/assign", id=[eve.id], role=role.id).status_code == 404
    assert not fresh(session, ann).is_disabled
    assert session.get_one(BrowserSession, row.id).ended_at is None


@pytest.mark.parametrize("row_id", [0, 2**63, 10**30])
def test_an_id_that_cannot_be_is_not_found(client, admin, row_id):
    assert client.get(f"/console/platform/users/{row_id}").status_code == 404
    assert post(client, f"/console/platform/users/{row_id}/disable").status_code == 404


# What is done to one


def test_a_user_is_disabled_and_enabled_again(client, session, boss, ann, acme):
    path = f"/console/t/{acme}/users/{ann.id}"
    assert post(client, f"{path}/disable").location == f"{path}?notice=disabled"
    assert fresh(session, ann).is_disabled
    assert "Disabled" in readable(client.get(f"{path}?notice=disabled"))
    post(client, f"{path}/disable")  # sent twice
    assert tags(session, ann).count("admin:user:disabled") == 1
    post(client, f"{path}/enable")
    assert not fresh(session, ann).is_disabled
    event = session.scalar(select(AuditEvent).where(AuditEvent.tag == "admin:user:enabled"))
    assert event.user_id == boss.id


def test_a_lock_is_ended(client, session, boss, ann, acme):
    ann.lockout_end = clock.now() + timedelta(days=1)
    session.commit()
    assert post(client, f"/console/t/{acme}/users/{ann.id}/unlock").status_code == 303
    assert fresh(session, ann).may_sign_in


def test_signing_out_ends_every_session(client, session, boss, ann, acme, new_client):
    browser = new_client()
    sign_in(browser, session, ann)
    assert browser.get("/account").status_code == 200
    assert post(client, f"/console/t/{acme}/users/{ann.id}/sign-out").status_code == 303
    assert browser.get("/account").status_code == 303
    assert tags(session, ann)[-1] == "admin:user:signed-out"


def test_one_session_is_ended(client, session, boss, ann, acme, new_client):
    one, other = new_client(), new_client()
    sign_in(one, session, ann)
    sign_in(other, session, ann)
    rows = session.scalars(select(BrowserSession.id).where(BrowserSession.user_id == ann.id)).all()
    path = f"/console/t/{acme}/users/{ann.id}/sessions"
    assert post(client, f"{path}/{rows[0]}/end").status_code == 303
    assert post(client, f"{path}/{rows[0]}/end").status_code == 404  # sent twice
    assert sorted([one.get("/account").status_code, other.get("/account").status_code]) == [
        200,
        303,
    ]


def test_the_access_of_an_application_is_removed(client, session, boss, ann, acme):
    app = register(session, "shop")
    consent = Consent(user_id=ann.id, client_id=app.row_id, tenant_id=acme, scopes=["openid"])
    session.add(consent)
    session.commit()
    path = f"/console/t/{acme}/users/{ann.id}/consents"
    assert "Shop" in readable(client.get(path))
    end = f"{path}/{consent.id}/end"
    assert post(client, end).status_code == 303
    assert "Shop" not in readable(client.get(path))
    assert post(client, end).status_code == 404
    assert tags(session, ann)[-1] == "admin:consent:ended"


def test_a_reset_link_is_mailed(client, session, boss, ann, acme, outbox):
    assert post(client, f"/console/t/{acme}/users/{ann.id}/reset-link").status_code == 303
    (mail,) = outbox()
    assert mail.to == "ann@acme.example"
    assert "/forgot/" in mail.text


def test_a_link_needs_an_address(client, session, boss, acme):
    bob = add_person(session, "bob", tenant_ids=(acme,))
    answer = post(client, f"/console/t/{acme}/users/{bob.id}/reset-link")
    assert answer.status_code == 422
    assert "This person has no e-mail address." in readable(answer)


def test_nobody_disables_themselves(client, session, admin):
    answer = post(client, f"/console/platform/users/{admin.id}/disable")
    assert answer.status_code == 422
    assert "You cannot disable your own account." in readable(answer)
    answer = post(client, "/console/platform/users/disable", id=[admin.id])
    assert answer.status_code == 422
    assert not fresh(session, admin).is_disabled


def test_the_last_administrator_keeps_the_role(client, session, admin):
    for other in session.scalars(select(User).where(User.username == "admin")):
        other.is_disabled = True
    session.commit()
    held = session.scalars(select(UserRole.role_id).where(UserRole.user_id == admin.id)).all()
    path = f"/console/platform/users/{admin.id}/roles"
    answer = post(client, path, shown=held)
    assert answer.status_code == 422
    assert "must have an administrator" in readable(answer)
    session.rollback()
    assert session.scalars(select(UserRole).where(UserRole.user_id == admin.id)).all()


@pytest.mark.parametrize("act", ["disable", "sign-out", "reset-link"])
def test_people_who_belong_elsewhere_too_are_out_of_reach(client, session, boss, acme, act):
    eve = add_person(
        session, "eve", tenant_ids=(acme, add_tenant(session, "Other")), email="e@x.example"
    )
    assert post(client, f"/console/t/{acme}/users/{eve.id}/{act}").status_code == 404
    page = readable(client.get(f"/console/t/{acme}/users/{eve.id}"))
    assert "The account itself is managed at the platform." in page
    assert f"{eve.id}/disable" not in page


def test_a_reader_is_told_which_permission_is_missing(client, session, ann, acme):
    user = add_person(session, "reader", tenant_ids=(acme,))
    add_role(session, user, "reader", READING, tenant_id=acme)
    sign_in(client, session, user)
    page = readable(client.get(f"/console/t/{acme}/users/{ann.id}"))
    assert "Needs the permission ids4.ms.admin.users.write" in page
    assert f"{ann.id}/disable" not in page
    assert post(client, f"/console/t/{acme}/users/{ann.id}/disable").status_code == 403
    assert client.get(f"/console/t/{acme}/users/{ann.id}/sessions").status_code == 403


def test_a_user_who_is_deleted_meanwhile_is_not_found(client, session, admin, ann):
    ann.deleted_at = clock.now()
    session.commit()
    path = f"/console/platform/users/{ann.id}"
    assert client.get(path).status_code == 404
    assert post(client, f"{path}/disable").status_code == 404
    assert post(client, "/console/platform/users/disable", id=[ann.id]).status_code == 404


# Roles and memberships


def test_roles_are_assigned_and_removed(client, session, boss, ann, acme):
    old = add_role(session, ann, "old", tenant_id=acme)
    new = add_role(session, boss, "new", ["orders.read"], tenant_id=acme)
    path = f"/console/t/{acme}/users/{ann.id}/roles"
    assert f'value="{old.id}"' in client.get(path).get_data(as_text=True)
    assert post(client, path, shown=[old.id], role=[new.id]).status_code == 303
    session.rollback()
    held = session.scalars(select(UserRole.role_id).where(UserRole.user_id == ann.id)).all()
    assert held == [new.id]
    assert tags(session, ann)[-2:] == ["admin:user-role:given", "admin:user-role:taken"]
    post(client, path, shown=[old.id], role=[new.id])  # sent twice
    assert len(tags(session, ann)) == 3


def test_a_role_that_someone_else_assigned_meanwhile_stays(client, session, boss, ann, acme):
    one = add_role(session, boss, "one", tenant_id=acme)
    two = add_role(session, ann, "two", tenant_id=acme)
    post(client, f"/console/t/{acme}/users/{ann.id}/roles", role=[one.id])
    session.rollback()
    held = session.scalars(select(UserRole.role_id).where(UserRole.user_id == ann.id)).all()
    assert set(held) == {one.id, two.id}


def test_nobody_gives_more_than_they_hold(client, session, ann, acme):
    user = add_person(session, "clerk", tenant_ids=(acme,))
    add_role(session, user, "clerk", [*READING, "ids4.ms.us.role.bind"], tenant_id=acme)
    owner = add_person(session, "owner", tenant_ids=(acme,))
    strong = add_role(session, owner, "strong", ["orders.all"], tenant_id=acme)
    sign_in(client, session, user)
    for path in (f"{ann.id}/roles", "assign"):
        answer = post(client, f"/console/t/{acme}/users/{path}", id=[ann.id], role=[strong.id])
        assert answer.status_code == 400, path
        assert "orders.all" in readable(answer)
    answer = post(client, f"/console/t/{acme}/users/{user.id}/roles", role=[strong.id])
    assert "You cannot assign a role to yourself." in readable(answer)
    session.rollback()
    query = select(func.count()).where(UserRole.role_id == strong.id)
    assert session.scalar(query) == 1


def test_only_administrators_change_roles_of_the_platform(client, session, ann):
    user = add_person(session, "support")
    add_role(session, user, "support", [*READING, "ids4.ms.us.role.bind"], tenant_id=None)
    root = add_person(session, "root")
    role = add_role(session, root, "administrators", tenant_id=None)
    sign_in(client, session, user)
    answer = post(client, f"/console/platform/users/{ann.id}/roles", role=[role.id])
    assert answer.status_code == 403
    assert "Only platform administrators can do this." in readable(answer)


def test_nobody_else_makes_users_with_roles_of_the_platform(client, session):
    user = add_person(session, "support")
    add_role(session, user, "support", EVERYTHING, tenant_id=None)
    sign_in(client, session, user)
    form = {"username": "cat", "way": "password", "roles": ["support"]}
    answer = submit(client, "/console/platform/users/new", form)
    assert answer.status_code == 400
    assert "Only platform administrators can do this." in readable(answer)
    assert submit(client, "/console/platform/users/new", form | {"roles": []}).status_code == 303


def test_memberships_are_added_and_removed_at_the_platform(client, session, admin, ann, acme):
    other = add_tenant(session, "Other")
    path = f"/console/platform/users/{ann.id}"
    assert post(client, f"{path}/memberships", tenant=other).status_code == 303
    session.rollback()
    member = tenants.find_member(session, other, ann.id)
    assert member.is_bound  # the account stays the person's own
    assert post(client, f"{path}/memberships/{other}/remove").status_code == 303
    session.rollback()
    assert tenants.find_member(session, other, ann.id) is None
    assert post(client, f"{path}/memberships/{other}/remove").status_code == 404
    assert post(client, f"{path}/memberships", tenant="x").status_code == 400
    assert post(client, f"{path}/memberships", tenant=99999).status_code == 400
    answer = post(client, f"/console/platform/users/{admin.id}/memberships", tenant=other)
    assert answer.status_code == 422


def test_a_tenant_removes_its_members_alone(client, session, boss, ann, acme):
    path = f"/console/t/{acme}/users"
    assert post(client, f"{path}/{ann.id}/memberships", tenant=acme).status_code == 403
    assert post(client, f"{path}/{boss.id}/memberships/{acme}/remove").status_code == 422
    answer = post(client, f"{path}/{ann.id}/memberships/{acme}/remove")
    assert answer.location == f"{path}?notice=left"
    assert client.get(f"{path}/{ann.id}").status_code == 404


# New ones


def test_a_new_user_has_a_password_that_is_shown_once(client, session, boss, acme, new_client):
    path = f"/console/t/{acme}/users"
    role = add_role(session, boss, "clerk", tenant_id=acme)
    form = {"username": "cat", "way": "password", "roles": [role.code]}
    answer = submit(client, f"{path}/new", form)
    assert answer.status_code == 303
    page = readable(client.get(answer.location))
    password = re.search(r'<div class="once">\s*<code>([^<]+)</code>', page)[1]
    assert password not in readable(client.get(answer.location))
    user = session.scalar(select(User).where(User.username == "cat"))
    assert tenants.find_member(session, acme, user.id) is not None
    browser = new_client()
    signed = submit(browser, "/login", {"login": "cat", "password": password})
    assert signed.status_code == 303
    assert password not in str([row.details for row in session.scalars(select(AuditEvent))])


def test_a_new_user_is_sent_a_link(client, session, boss, acme, outbox):
    form = {"username": "cat", "email": "cat@acme.example", "way": "link"}
    answer = submit(client, f"/console/t/{acme}/users/new", form)
    assert answer.status_code == 303
    (mail,) = outbox()
    assert mail.to == "cat@acme.example"
    again = submit(client, f"/console/t/{acme}/users/new", form)  # sent twice
    assert again.status_code == 409
    assert "This user name is taken." in readable(again)


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"username": ""}, "Enter a user name."),
        ({"username": "12345"}, ""),
        ({"username": "x" * 300}, "This is too long."),
        ({"username": "a@b.example"}, ""),
        ({"username": "cat", "email": "nowhere"}, ""),
        ({"username": "cat", "mobile": "abc"}, ""),
        ({"username": "cat"}, "A link can only be sent to an e-mail address."),
        ({"username": "cat", "way": "magic"}, ""),
        ({"username": "cat", "way": "password", "roles": ["nothing"]}, "There is no such role."),
        ({"username": "cat", "locale": "xx"}, ""),
    ],
)
def test_a_form_that_is_wrong_is_shown_again(client, session, boss, acme, form, text):
    answer = submit(client, f"/console/t/{acme}/users/new", {"way": "link", **form})
    assert answer.status_code == 400
    page = readable(answer)
    assert text in page
    assert "field-error" in page or 'role="alert"' in page
    assert session.scalar(select(func.count()).where(User.username == "cat")) == 0


def test_someone_with_an_account_is_added(client, session, boss, acme):
    eve = add_person(session, "eve", tenant_ids=())
    add_person(session, "far", tenant_ids=(add_tenant(session, "Other"),))
    path = f"/console/t/{acme}/users/existing"
    for name in ("far", "nobody-at-all"):  # one answer, so that it reveals nothing
        answer = post(client, path, existing=name)
        assert answer.status_code == 422
        assert "No account with this user name can be added here." in readable(answer)
    assert post(client, path, existing="eve").status_code == 303
    session.rollback()
    assert tenants.find_member(session, acme, eve.id).is_bound
    assert post(client, path, existing="").status_code == 400


# Several at once


def test_several_are_disabled_or_none(client, session, boss, ann, acme):
    bob = add_person(session, "bob", tenant_ids=(acme,))
    path = f"/console/t/{acme}/users/disable"
    answer = post(client, path, id=[ann.id, bob.id, boss.id])
    assert answer.status_code == 422
    assert not fresh(session, ann).is_disabled
    shared = add_person(session, "eve", tenant_ids=(acme, add_tenant(session, "Other")))
    answer = post(client, path, id=[ann.id, shared.id])
    assert answer.status_code == 422
    assert "You cannot manage the account of this user: eve" in readable(answer)
    answer = post(client, path, id=[ann.id, bob.id])
    assert "2 users were disabled." in readable(client.get(answer.location))
    assert fresh(session, ann).is_disabled
    assert fresh(session, bob).is_disabled
    for wrong in ([], ["x"], list(range(1, 200))):
        assert post(client, path, id=wrong).status_code == 400


def test_several_are_assigned_a_role(client, session, boss, ann, acme):
    bob = add_person(session, "bob", tenant_ids=(acme,))
    role = add_role(session, boss, "clerk", tenant_id=acme)
    path = f"/console/t/{acme}/users/assign"
    assert post(client, path, id=[ann.id, bob.id], role="").status_code == 400
    answer = post(client, path, id=[ann.id, bob.id], role=role.id)
    assert "2 users have the role now." in readable(client.get(answer.location))
    session.rollback()
    assert session.scalar(select(func.count()).where(UserRole.role_id == role.id)) == 3


# Files


def test_the_export_defuses_formulas(client, session, boss, ann, acme):
    ann.nick_name = "=HYPERLINK(0)"
    ann.mobile = "+8613800138000"
    session.commit()
    answer = post(client, f"/console/t/{acme}/users/export")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = {row["username"]: row for row in csv.DictReader(StringIO(answer.get_data(as_text=True)))}
    assert rows.keys() == {"ann", "boss"}
    assert rows["ann"]["name"] == "'=HYPERLINK(0)"
    assert rows["ann"]["mobile"] == "'+8613800138000"
    assert rows["boss"]["roles"] == "boss"
    session.rollback()
    event = session.scalar(select(AuditEvent).where(AuditEvent.tag == "admin:user:exported"))
    assert (event.user_id, event.tenant_id, event.details) == (boss.id, acme, {"count": 2})


def test_the_export_is_of_what_the_list_shows(client, session, boss, ann, acme):
    eve = add_person(session, "eve", tenant_ids=(add_tenant(session, "Other"),))
    path = f"/console/t/{acme}/users/export"
    assert post(client, f"{path}?q=ann").get_data(as_text=True).count("\n") == 2
    only = post(client, path, id=[ann.id, eve.id]).get_data(as_text=True)
    assert "ann" in only
    assert "eve" not in only


FILE = "username,email,roles\ncat,cat@acme.example,clerk\ndog,dog@acme.example,\n"


def test_an_import_is_checked_before_it_is_done(client, session, boss, acme, outbox):
    add_role(session, boss, "clerk", tenant_id=acme)
    path = f"/console/t/{acme}/users/import"
    checked = post(client, path, text=FILE, act="check")
    assert "2 users can be imported." in readable(checked)
    session.rollback()
    assert session.scalar(select(User).where(User.username == "cat")) is None
    assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 0
    done = post(client, path, text=FILE, act="import")
    assert "2 users were imported." in readable(client.get(done.location))
    session.rollback()
    cat = session.scalar(select(User).where(User.username == "cat"))
    assert tenants.find_member(session, acme, cat.id) is not None
    assert {mail.to for mail in outbox()} == {"cat@acme.example", "dog@acme.example"}
    again = post(client, path, text=FILE, act="import")  # sent twice
    assert again.status_code == 422
    assert "This user name is taken." in readable(again)


def test_an_import_is_no_way_to_look_up_many_names(client, session, boss, acme):
    path = f"/console/t/{acme}/users/import"
    for _ in range(20):
        assert post(client, path, text="username,email\nboss,a@b.example\n").status_code == 422
    answer = post(client, path, text="username,email\nboss,a@b.example\n")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_one_wrong_line_stops_the_whole_file(client, session, boss, acme):
    text = "username,email\ncat,cat@acme.example\ncat,cat@acme.example\nnew,\n=x,<b>\n"
    answer = post(client, f"/console/t/{acme}/users/import", text=text, act="import")
    assert answer.status_code == 422
    page = readable(answer)
    assert "3 lines cannot be imported." in page
    assert "A link can only be sent to an e-mail address." in page
    assert session.scalar(select(User).where(User.username == "cat")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "username\ncat",
        "email,username,color\n",
        "username,email,email\n",
        'username,email\n"cat',
        "username,email\n" + "x" * 500 + ",a@b.example",
        "username,email\n" + "cat,a@b.example\n" * 300,
        "username,email\n" + "x" * 300_000,
    ],
)
def test_a_file_that_is_none_is_refused(client, session, boss, acme, text):
    answer = post(client, f"/console/t/{acme}/users/import", text=text, act="import")
    assert answer.status_code in {400, 422}, readable(answer)
    query = select(func.count()).where(User.username == "cat")
    assert session.scalar(query) == 0


def test_a_file_is_uploaded(client, session, boss, acme):
    path = f"/console/t/{acme}/users/import"
    for content, status in ((b"\xef\xbb\xbf" + FILE.encode(), 422), (b"\xff\xfe\x00", 400)):
        answer = post(client, path, file=(BytesIO(content), "people.csv"), act="check")
        assert answer.status_code == status  # there is no role `clerk`
    assert "There is no such role." in readable(
        post(client, path, file=(BytesIO(FILE.encode()), "people.csv"))
    )


# Deleting


def test_an_account_is_deleted_once_it_is_disabled(client, session, admin, ann, clock):
    path = f"/console/platform/users/{ann.id}/delete"
    assert client.get(path, headers=HTML).status_code == 409
    assert post(client, path, typed="ann").status_code == 409
    ann.is_disabled = True
    session.commit()
    assert "Delete Ann Lee?" in readable(client.get(path))
    wrong = post(client, path, typed="bob")
    assert wrong.status_code == 400
    assert fresh(session, ann).deleted_at is None
    answer = post(client, path, typed="ann")
    assert answer.location == "/console/platform/users?notice=deleted"
    session.rollback()
    assert session.get_one(User, ann.id, populate_existing=True).deleted_at is not None
    assert post(client, path, typed="ann").status_code == 404


def test_deleting_needs_a_recent_sign_in_and_the_platform(client, session, admin, ann, acme, clock):
    assert client.get(f"/console/t/{acme}/users/{ann.id}/delete").status_code == 404
    clock.shift(301)
    answer = client.get(f"/console/platform/users/{ann.id}/delete")
    assert answer.location.startswith("/login?prompt=login")


# One rule, in SQL and for one person


@pytest.mark.parametrize("is_admin", [False, True])
def test_lists_reach_those_whom_single_operations_reach(session, acme, is_admin):
    other = add_tenant(session, "Other")
    actor_user = add_person(session, "actor", tenant_ids=())
    tenants.add_member(session, acme, actor_user.id, is_admin=is_admin)
    add_role(session, actor_user, "a", ["orders.all", "ids4.ms.client.get"], tenant_id=acme)
    add_person(session, "plain", tenant_ids=(acme,))
    add_role(
        session,
        add_person(session, "same", tenant_ids=(acme,)),
        "b",
        ["orders.read"],
        tenant_id=acme,
    )
    add_role(
        session,
        add_person(session, "more", tenant_ids=(acme,)),
        "c",
        ["stock.read"],
        tenant_id=acme,
    )
    add_role(
        session,
        add_person(session, "manager", tenant_ids=(acme,)),
        "d",
        ["ids4.ms.client.put"],
        tenant_id=acme,
    )
    add_person(session, "elsewhere", tenant_ids=(acme, other))
    add_person(session, "stranger", tenant_ids=(other,))
    add_role(session, add_person(session, "special", tenant_ids=(acme,)), "e", tenant_id=None)
    add_role(session, add_person(session, "usual", tenant_ids=(acme,)), "users", tenant_id=None)
    grant_directly(
        session, add_person(session, "direct", tenant_ids=(acme,)), "stock.read", tenant_id=acme
    )
    grant_directly(session, add_person(session, "global", tenant_ids=(acme,)), "stock.read")
    bound = add_person(session, "bound", tenant_ids=())
    tenants.add_member(session, acme, bound.id, is_bound=True)
    owner = add_person(session, "owner", tenant_ids=())
    tenants.add_member(session, acme, owner.id, is_admin=True)
    session.commit()
    for permitted in ("tenant", "platform"):
        for is_platform_admin in (False, True):
            actor = Actor(
                actor_user.id,
                acme,
                permitted=permitted,
                is_platform_admin=is_platform_admin,
            )
            query = select(User.username).where(*management.managed(session, actor))
            listed = set(session.scalars(query))
            single = {
                user.username
                for user in session.scalars(select(User)).all()
                if reaches(session, actor, user)
            }
            assert listed == single, (permitted, is_platform_admin)
    assert visibility.may_change_identity(session, Actor(actor_user.id, acme), actor_user)


def reaches(session, actor, user) -> bool:
    try:
        management.get_managed(session, actor, user.id)
    except Exception:  # noqa: BLE001 - whatever the refusal is
        return False
    return True
