"""The account pages about second factors."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from idp.directory.factors import recovery
from idp.directory.factors import service as factors
from idp.directory.factors.models import Totp
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML, csrf_token, events, readable, send, statements, submit
from tests.pages.test_second_factor import key_of
from tests.protocol import PASSWORD, add_authenticator, add_person, app_code, sign_in

HOME = "/account/security"
APP = f"{HOME}/authenticator"
CODES = f"{HOME}/codes"
STEP_UP = f"/login/factor?return_to={HOME.replace('/', '%2F')}"


@pytest.fixture
def ann(session):
    return add_person(session, email="ann@example.com")


def apps_in(session):
    return session.scalar(select(func.count()).select_from(Totp))


def add_in(client):
    """Add an app by its page; return the answer and the secret."""
    page = client.get(APP, headers=HTML)
    key, secret = key_of(page)
    form = {"key": key, "code": app_code(secret), "name": "Phone"}
    return send(client, page, APP, form), secret


def test_the_first_app_comes_with_recovery_codes_and_raises_the_session(
    client, session, ann, outbox
):
    sign_in(client, session, ann)
    before = client.get_cookie("idp_1", domain="127.0.0.1").value
    assert "Only your password" in readable(client.get(HOME))
    answer, secret = add_in(client)
    assert (answer.status_code, answer.location) == (303, CODES)
    assert client.get_cookie("idp_1", domain="127.0.0.1").value != before
    shown = readable(client.get(CODES))
    assert len(re.findall(r"<code>[0-9A-Z]{5}-[0-9A-Z]{5}</code>", shown)) == recovery.NUMBER
    assert client.get(CODES).location == HOME
    page = readable(client.get(HOME))
    assert "Phone" in page
    assert "protected by a second step" in page
    assert f"{recovery.NUMBER} of {recovery.NUMBER} left" in page
    (row,) = session.scalars(select(BrowserSession))
    assert (row.acr, row.amr) == ("mfa", ["pwd", "otp", "mfa"])
    (mail,) = outbox()
    assert "added" in mail.subject
    (event,) = events(session, Tag.FACTOR_ADDED)
    assert (event.user_id, event.details) == (ann.id, {"factor": "totp"})
    assert factors.prove(session, ann, app_code(secret, 1)) is factors.Factor.TOTP


def test_the_first_app_wants_a_sign_in_of_the_last_five_minutes(client, session, ann):
    sign_in(client, session, ann)
    page = client.get(APP, headers=HTML)
    key, secret = key_of(page)
    session.execute(update(BrowserSession).values(auth_time=wall.now() - timedelta(minutes=6)))
    session.commit()
    asked = f"/login?prompt=login&return_to={APP.replace('/', '%2F')}"
    assert client.get(APP).location == asked
    assert send(client, page, APP, {"key": key, "code": app_code(secret)}).location == asked
    assert apps_in(session) == 0
    assert submit(client, asked, {"login": "ann", "password": PASSWORD}).location == APP


# Attack 74: a session without the second factor changes nothing.


@pytest.mark.parametrize("is_old", [False, True])
def test_a_session_without_a_recent_second_factor_changes_nothing(client, session, ann, is_old):
    secret = add_authenticator(session, ann)
    recovery.replace_all(session, ann.id)
    sign_in(client, session, ann, has_both=is_old)
    if is_old:
        session.execute(update(BrowserSession).values(mfa_at=wall.now() - timedelta(minutes=11)))
    session.commit()
    (app,) = session.scalars(select(Totp))
    page = client.get(HOME, headers=HTML)
    for path, form in (
        (f"{APP}/{app.id}/remove", {}),
        (CODES, {}),
        (APP, {"key": "x", "code": "123456"}),
    ):
        answer = send(client, page, path, form)
        assert answer.status_code == 303, path
        assert answer.location.startswith("/login/factor?return_to=%2Faccount%2Fsecurity"), path
    for path in ("/account/email", "/account/mobile"):
        expected = f"/login/factor?return_to={path.replace('/', '%2F')}"
        assert client.get(path).location == expected
        form = {"address": "eve@example.com", "current": PASSWORD}
        assert send(client, page, path, form).location == expected
    assert client.get(APP).location.startswith("/login/factor?")
    assert apps_in(session) == 1
    assert recovery.count_left(session, ann.id) == recovery.NUMBER
    # With a code the same session may, and stays the same one.
    done = submit(client, STEP_UP, {"code": app_code(secret)})
    assert done.location == HOME
    assert send(client, client.get(HOME), CODES, {}).location == CODES
    (row,) = session.scalars(select(BrowserSession))
    assert row.acr == "mfa"
    assert len(events(session, Tag.LEVEL_RAISED)) == 1


def test_a_step_up_changes_the_cookie_and_not_the_age_of_the_sign_in(client, session, ann, clock):
    secret = add_authenticator(session, ann)
    sign_in(client, session, ann)
    before = session.scalar(select(BrowserSession.auth_time))
    old = client.get_cookie("idp_1", domain="127.0.0.1").value
    clock.shift(60)
    submit(client, STEP_UP, {"code": app_code(secret)})
    session.commit()
    row = session.scalars(select(BrowserSession)).one()
    assert row.auth_time == before
    assert row.mfa_at == wall.now()
    client.set_cookie("idp_1", old, domain="127.0.0.1")
    assert client.get(HOME).location.startswith("/login")


def test_wrong_codes_of_a_step_up_are_refused_counted_and_slowed_down(client, session, ann, clock):
    add_authenticator(session, ann)
    sign_in(client, session, ann)
    page = client.get(STEP_UP, headers=HTML)
    statuses = [send(client, page, STEP_UP, {"code": "000000"}).status_code for _ in range(8)]
    assert statuses[:5] == [400] * 5
    assert statuses[-1] == 429
    assert session.scalar(select(BrowserSession.acr)) == "pwd"


def test_the_last_app_may_be_removed_and_takes_the_codes_with_it(client, session, ann, outbox):
    secret = add_authenticator(session, ann)
    recovery.replace_all(session, ann.id)
    sign_in(client, session, ann, has_both=True)
    app_id = session.scalars(select(Totp.id)).one()
    page = client.get(HOME, headers=HTML)
    answer = send(client, page, f"{APP}/{app_id}/remove", {})
    assert answer.location == f"{HOME}?notice=removed"
    assert "has been removed" in readable(client.get(answer.location))
    assert apps_in(session) == 0
    assert recovery.count_left(session, ann.id) == 0
    assert send(client, page, f"{APP}/{app_id}/remove", {}).status_code == 404
    assert "removed" in outbox()[0].subject
    assert factors.prove(session, ann, app_code(secret)) is None


@pytest.mark.settings(second_factor="required")
def test_the_last_app_stays_where_one_is_required(client, session, ann):
    add_authenticator(session, ann)
    sign_in(client, session, ann, has_both=True)
    (app,) = session.scalars(select(Totp))
    answer = send(client, client.get(HOME, headers=HTML), f"{APP}/{app.id}/remove", {})
    assert answer.status_code == 400
    assert "Add another app or passkey first." in readable(answer)
    assert apps_in(session) == 1


def test_an_app_of_another_person_is_not_found(client, session, ann):
    bob = add_person(session, "bob")
    add_authenticator(session, ann)
    add_authenticator(session, bob)
    other = session.scalars(select(Totp).where(Totp.user_id == bob.id)).one().id
    sign_in(client, session, ann, has_both=True)
    page = client.get(HOME, headers=HTML)
    for row_id in (other, 999_999, 2**80):
        assert send(client, page, f"{APP}/{row_id}/remove", {}).status_code == 404
    assert apps_in(session) == 2


def test_new_recovery_codes_end_the_old_ones_and_need_a_factor(client, session, ann, outbox):
    sign_in(client, session, ann, has_both=True)
    page = client.get("/account/password", headers=HTML)
    assert send(client, page, CODES, {}).status_code == 400
    add_authenticator(session, ann)
    old = recovery.replace_all(session, ann.id)
    session.commit()
    assert send(client, page, CODES, {}).location == CODES
    assert old[0] not in readable(client.get(CODES))
    assert factors.prove(session, ann, old[0]) is None
    assert "recovery codes" in outbox()[0].subject


def test_a_person_with_few_codes_left_is_warned(client, session, ann):
    add_authenticator(session, ann)
    codes = recovery.replace_all(session, ann.id)
    for code in codes[recovery.FEW :]:
        assert recovery.use(session, ann.id, code.replace("-", ""))
    session.commit()
    sign_in(client, session, ann, has_both=True)
    assert "few recovery codes left" in readable(client.get(HOME))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202eevil\n", "x" * 100, ""])
def test_names_of_apps_are_escaped_and_one_line(client, session, ann, name):
    sign_in(client, session, ann)
    page = client.get(APP, headers=HTML)
    key, secret = key_of(page)
    form = {"key": key, "code": app_code(secret), "name": name}
    assert send(client, page, APP, form).status_code == 303
    shown = client.get(HOME).get_data(as_text=True)
    assert "<script>alert" not in shown
    assert "\u202e" not in shown


def test_a_name_that_is_too_long_is_refused_beside_its_field(client, session, ann):
    sign_in(client, session, ann)
    page = client.get(APP, headers=HTML)
    key, secret = key_of(page)
    form = {"key": key, "code": app_code(secret), "name": "x" * 10_000}
    answer = send(client, page, APP, form)
    assert answer.status_code == 400
    assert 'id="name-error"' in answer.get_data(as_text=True)
    assert apps_in(session) == 0


def test_a_secret_shown_to_one_person_is_not_taken_for_another(client, new_client, session, ann):
    eve = add_person(session, "eve")
    evil = new_client()
    sign_in(evil, session, eve)
    key, secret = key_of(evil.get(APP, headers=HTML))
    sign_in(client, session, ann)
    page = client.get(APP, headers=HTML)
    assert send(client, page, APP, {"key": key, "code": app_code(secret)}).status_code == 400
    assert apps_in(session) == 0


def test_the_page_asks_twice_however_many_apps_there_are(client, session, runtime, ann):
    for _ in range(factors.MOST):
        add_authenticator(session, ann)
    sign_in(client, session, ann, has_both=True)
    seen = statements(runtime, client, HOME, "totp", "recovery_code")
    assert len(seen) == 2
    assert "Add an authenticator app" not in readable(client.get(HOME))


def test_a_changed_password_keeps_the_level_of_the_session(client, session, ann):
    add_authenticator(session, ann)
    sign_in(client, session, ann, has_both=True)
    new = "seven-quiet-otters"
    form = {"current": PASSWORD, "password": new, "repeated": new}
    submit(client, "/account/password", form)
    assert csrf_token(client.get(HOME, headers=HTML))
    row = session.scalars(select(BrowserSession).where(BrowserSession.ended_at.is_(None))).one()
    assert (row.acr, row.mfa_at is not None) == ("mfa", True)
