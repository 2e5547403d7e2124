"""The account pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from idp.directory.users import passwords
from idp.directory.users.models import User
from idp.oauth.models import Consent
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import asked_page, crowd, csrf_token, events, readable, send, submit
from tests.protocol import (
    PASSWORD,
    add_person,
    add_tenant,
    is_active,
    obtain,
    register,
    sign_in,
)

NEW = "seven-quiet-otters"
PAGES = ["/account", "/account/password", "/account/sessions", "/account/applications"]
CHANGE = {"current": PASSWORD, "password": NEW, "repeated": NEW}


@pytest.fixture
def ann(client, session):
    user = add_person(session, nick_name="Ann <b>Lee</b>", email="ann@example.com")
    sign_in(client, session, user)
    return user


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_signed_in_is_asked_to(client, path):
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.location.startswith("/login?return_to=%2Faccount")


@pytest.mark.parametrize("path", PAGES)
def test_an_old_sign_in_is_not_enough(client, session, ann, clock, path):
    assert client.get(path).status_code == 200
    clock.shift(timedelta(minutes=31))
    answer = client.get(path)
    assert answer.status_code == 303
    page = client.get(answer.location)
    assert page.status_code == 200
    assert "confirm that it is you" in readable(page)
    assert submit(client, answer.location, {"login": "ann", "password": PASSWORD}).location == path


@pytest.mark.parametrize("path", PAGES)
def test_nothing_personal_is_stored_by_caches(client, ann, path):
    assert client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "change", [{"is_disabled": True}, {"security_stamp": "new"}, {"password_hash": None}]
)
def test_who_lost_his_access_is_signed_out(client, session, ann, change):
    expected = 200 if "password_hash" in change else 303
    session.execute(update(User).where(User.id == ann.id).values(**change))
    assert client.get("/account").status_code == expected


def test_the_profile_is_shown_escaped(client, ann):
    page = client.get("/account").get_data(as_text=True)
    assert "Ann &lt;b&gt;Lee&lt;/b&gt;" in page
    assert "ann@example.com" in page


def test_it_works_at_an_issuer_of_its_own(new_client, session):
    acme = add_tenant(session, "Acme", hosts=["acme.example"])
    user = add_person(session, tenant_ids=(1, acme))
    browser = new_client("http://acme.example")
    sign_in(browser, session, user)
    for path in PAGES:
        page = browser.get(path)
        assert page.status_code == 200
        assert "Acme" in page.get_data(as_text=True)


def test_a_new_password_signs_everybody_else_out(client, new_client, session, ann):
    app = register(session)
    other = new_client()
    sign_in(other, session, ann)
    tokens = obtain(other, app)
    before = client.get_cookie("idp_1", domain="127.0.0.1").value
    answer = submit(client, "/account/password", CHANGE)
    assert (answer.status_code, answer.location) == (303, "/account/password?notice=changed")
    assert "Your password is changed" in readable(client.get(answer.location))
    assert client.get_cookie("idp_1", domain="127.0.0.1").value != before
    assert other.get("/account").status_code == 303
    assert not is_active(client, app, tokens.access)
    assert submit(other, "/login", {"login": "ann", "password": NEW}).status_code == 303
    (event,) = events(session, Tag.PASSWORD_CHANGED)
    assert event.user_id == ann.id
    assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"current": "wrong"}, "not your current password"),
        ({"current": ""}, "Enter your current password"),
        ({"repeated": "other"}, "differ"),
        ({"password": "short", "repeated": "short"}, "8 characters or more"),
        ({"password": "password123", "repeated": "password123"}, "commonest"),
        ({"password": "ann@example.com", "repeated": "ann@example.com"}, "own name"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(client, session, ann, change, told):
    stamp = ann.security_stamp
    answer = submit(client, "/account/password", {**CHANGE, **change})
    assert answer.status_code == 400
    assert told in readable(answer)
    assert session.scalar(select(User.security_stamp).where(User.id == ann.id)) == stamp
    assert client.get("/account").status_code == 200


def test_in_a_crowd_the_password_stays_and_no_try_is_counted(client, session, ann):
    with crowd():
        for _ in range(20):
            answer = submit(client, "/account/password", CHANGE)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
    assert "Too many people" in readable(answer)
    assert events(session, Tag.PASSWORD_CHANGE_REFUSED) == []
    assert submit(client, "/account/password", CHANGE).status_code == 303


def test_the_current_password_cannot_be_guessed_with_a_stolen_session(
    client, session, ann, monkeypatch
):
    monkeypatch.setattr(passwords, "matches", lambda stored, password: password == PASSWORD)
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    page = client.get("/account/password")
    for _ in range(20):
        answer = send(client, page, "/account/password", {**CHANGE, "current": "wrong"})
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert send(client, page, "/account/password", CHANGE).status_code == 429
    assert events(session, Tag.PASSWORD_CHANGE_REFUSED)


def test_a_session_is_ended_with_its_tokens(client, new_client, session, ann):
    app = register(session)
    agent = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"
    other = new_client()
    form = {"login": "ann", "password": PASSWORD}
    page = other.get("/login")
    other.post(
        "/login", data={"csrf_token": csrf_token(page), **form}, headers={"User-Agent": agent}
    )
    tokens = obtain(other, app)
    shown = client.get("/account/sessions")
    assert "Edge on Windows" in readable(shown)
    row = session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()
    answer = send(client, shown, f"/account/sessions/{row.id}/end", {})
    assert answer.status_code == 303
    assert other.get("/account").status_code == 303
    assert not is_active(client, app, tokens.access)
    assert client.get("/account").status_code == 200
    (event,) = events(session, Tag.SESSION_ENDED)
    assert (event.user_id, event.target) == (ann.id, f"session:{row.id}")


def test_all_other_sessions_are_ended(client, new_client, session, ann):
    others = [new_client(), new_client()]
    for other in others:
        sign_in(other, session, ann)
    submit_to(client, "/account/sessions", "/account/sessions/end-others")
    assert [other.get("/account").status_code for other in others] == [303, 303]
    assert client.get("/account").status_code == 200


def test_ending_the_own_session_is_signing_out(client, session, ann):
    row = session.scalars(select(BrowserSession)).one()
    answer = submit_to(client, "/account/sessions", f"/account/sessions/{row.id}/end")
    assert answer.location == "/signed-out"
    assert client.get("/account").status_code == 303


def test_sessions_of_others_are_neither_seen_nor_ended(client, new_client, session, ann):
    bob = add_person(session, "bob")
    other = new_client()
    sign_in(other, session, bob)
    row = session.scalars(select(BrowserSession).where(BrowserSession.user_id == bob.id)).one()
    page = client.get("/account/sessions")
    assert f"/account/sessions/{row.id}/end" not in page.get_data(as_text=True)
    for wrong in (row.id, 999_999):
        assert send(client, page, f"/account/sessions/{wrong}/end", {}).status_code == 404
    assert other.get("/account").status_code == 200


def test_a_consent_is_taken_back_with_its_tokens(client, session, ann):
    app = register(session, require_consent=True, client_name="Lantern Shop")
    address = asked_page(client, app, "/consent", scope="openid profile")
    answer = submit(client, address, {"answer": "allow", "scope": ["profile"], "remember": "y"})
    client.get(answer.location)
    tokens = obtain(client, app, "openid profile")
    page = client.get("/account/applications")
    assert "Lantern Shop" in readable(page)
    assert "Your profile" in readable(page)
    consent = session.scalars(select(Consent)).one()
    done = send(client, page, f"/account/applications/{consent.id}/revoke", {})
    assert done.status_code == 303
    assert "No application" in readable(client.get(done.location))
    assert not is_active(client, app, tokens.access)
    assert len(events(session, Tag.CONSENT_REVOKED)) == 1


def test_consents_of_others_are_neither_seen_nor_taken_back(client, session, ann):
    app = register(session, client_name="Lantern Shop")
    bob = add_person(session, "bob")
    consent = Consent(user_id=bob.id, client_id=app.row_id, tenant_id=1, scopes=["openid"])
    session.add(consent)
    session.commit()
    page = client.get("/account/applications")
    assert "Lantern Shop" not in readable(page)
    sender = client.get("/account/sessions")
    answer = send(client, sender, f"/account/applications/{consent.id}/revoke", {})
    assert answer.status_code == 404
    assert session.get(Consent, consent.id) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/account/password",
        "/account/sessions/1/end",
        "/account/sessions/end-others",
        "/account/applications/1/revoke",
    ],
)
def test_nothing_is_changed_without_the_forms_token(client, ann, path):
    assert client.post(path, data=CHANGE).status_code == 400


def submit_to(browser, page, address):
    return send(browser, browser.get(page), address, {})
