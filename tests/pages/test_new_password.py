"""The step of a sign-in in which a person must choose a new password."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from idp.directory.actor import OPERATOR
from idp.directory.authentication.models import SignInAttempt
from idp.directory.policies import management
from idp.directory.policies.rules import PolicySpec
from idp.directory.users import passwords
from idp.directory.users import service as users
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import (
    HTML,
    crowd,
    csrf_token,
    events,
    goes_on,
    page_of_flow,
    readable,
    send,
    submit,
)
from tests.protocol import PASSWORD, add_authenticator, add_person, app_code, register

RIGHT = {"login": "ann", "password": PASSWORD}
NEW = "a quite new horse"
TYPED = {"password": NEW, "repeated": NEW}
STEP = "/login/password"


@pytest.fixture
def ann(session):
    """Return a person whose password was set by somebody else."""
    user = add_person(session, email="ann@example.com")
    user.must_change_password = True
    session.commit()
    return user


def sessions_of(session):
    session.rollback()
    return session.scalar(select(func.count()).select_from(BrowserSession))


def test_who_must_change_the_password_has_no_session_before(client, session, ann):
    app = register(session)
    address = page_of_flow(client, app, "/login")
    answer = submit(client, address, RIGHT)
    assert answer.location.startswith(f"{STEP}?request=")
    assert sessions_of(session) == 0
    page = client.get(answer.location, headers=HTML)
    assert "set by somebody else" in readable(page)
    assert "At least 8 characters." in readable(page)
    done = send(client, page, answer.location, TYPED)
    assert goes_on(done, address)
    assert sessions_of(session) == 1
    session.refresh(ann)
    assert passwords.matches(ann.password_hash, NEW)
    assert not ann.must_change_password
    assert len(events(session, Tag.PASSWORD_CHANGED)) == 1
    assert submit(client, "/login?prompt=login", {**RIGHT, "password": NEW}).location == "/account"


def test_an_expired_password_is_changed_at_the_next_sign_in(client, session, clock):
    add_person(session)
    spec = PolicySpec(password_expiry_days=30, password_history=1, password_length=12)
    management.replace(session, OPERATOR, 1, spec)
    session.commit()
    assert submit(client, "/login", RIGHT).location == "/account"
    clock.shift(31 * 86_400)
    answer = submit(client, "/login", RIGHT)
    assert answer.location == STEP
    page = client.get(STEP, headers=HTML)
    assert "has expired" in readable(page)
    assert "At least 12 characters." in readable(page)
    assert send(client, page, STEP, TYPED).location == "/account"


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ({"password": PASSWORD, "repeated": PASSWORD}, "used this password before"),
        ({"password": "short", "repeated": "short"}, "at least 8 characters"),
        ({"password": NEW, "repeated": "another"}, "do not match"),
        ({"password": "", "repeated": ""}, "Enter a new password."),
        ({"password": "x" * 10_000, "repeated": "x" * 10_000}, "too long"),
    ],
)
def test_what_is_refused_is_said_beside_the_field_and_starts_no_session(
    client, session, ann, typed, reason
):
    submit(client, "/login", RIGHT)
    answer = submit(client, STEP, typed)
    assert answer.status_code == 400
    assert reason in readable(answer)
    assert "-error" in answer.get_data(as_text=True)
    assert sessions_of(session) == 0
    assert submit(client, STEP, TYPED).location == "/account"


@pytest.mark.parametrize(
    "path", ["/login/factor", "/login/enrol", "/login/verify", "/login/done", "/account"]
)
def test_the_step_is_not_skipped_by_an_address(client, session, ann, path):
    submit(client, "/login", RIGHT)
    location = client.get(path, headers=HTML).location
    assert location.startswith((STEP, "/login"))
    assert client.get("/account").status_code == 303
    assert sessions_of(session) == 0


def test_the_second_factor_comes_first(client, session, ann):
    secret = add_authenticator(session, ann)
    answer = submit(client, "/login", RIGHT)
    assert answer.location == "/login/factor"
    token = csrf_token(client.get("/login/factor"))
    early = client.post(STEP, data={"csrf_token": token, **TYPED}, headers=HTML)
    assert (early.status_code, early.location) == (303, "/login/factor")
    session.refresh(ann)
    assert passwords.matches(ann.password_hash, PASSWORD)
    session.commit()
    assert submit(client, "/login/factor", {"code": app_code(secret)}).location == STEP
    assert submit(client, STEP, TYPED).location == "/account"
    (row,) = session.scalars(select(BrowserSession))
    assert row.amr == ["pwd", "otp", "mfa"]


def test_strangers_and_signed_in_people_have_nothing_to_do_there(client, session, ann):
    assert client.get(STEP).location == "/login"
    ann.must_change_password = False
    session.commit()
    submit(client, "/login", RIGHT)
    assert client.get(STEP).location == "/account"
    token = csrf_token(client.get("/account/password"))
    answer = client.post(STEP, data={"csrf_token": token, **TYPED}, headers=HTML)
    assert answer.location == "/account"
    session.refresh(ann)
    assert passwords.matches(ann.password_hash, PASSWORD)


def test_a_form_that_is_sent_twice_starts_one_session(client, session, ann):
    submit(client, "/login", RIGHT)
    page = client.get(STEP, headers=HTML)
    assert send(client, page, STEP, TYPED).location == "/account"
    again = send(client, page, STEP, {"password": PASSWORD, "repeated": PASSWORD})
    assert again.status_code == 409  # the form was shown to somebody who was not signed in
    assert sessions_of(session) == 1
    session.refresh(ann)
    assert passwords.matches(ann.password_hash, NEW)


def test_an_attempt_of_before_another_new_password_has_ended(client, new_client, session, ann):
    submit(client, "/login", RIGHT)
    page = client.get(STEP, headers=HTML)
    other = new_client()
    submit(other, "/login", RIGHT)
    assert submit(other, STEP, TYPED).location == "/account"
    late = send(client, page, STEP, {"password": "another horse", "repeated": "another horse"})
    assert late.location.startswith("/login")
    assert sessions_of(session) == 1
    session.refresh(ann)
    assert passwords.matches(ann.password_hash, NEW)


def test_an_account_that_was_disabled_meanwhile_is_not_changed(client, session, ann):
    submit(client, "/login", RIGHT)
    page = client.get(STEP, headers=HTML)
    users.disable(session, ann)
    session.commit()
    assert send(client, page, STEP, TYPED).location.startswith("/login")
    session.refresh(ann)
    assert passwords.matches(ann.password_hash, PASSWORD)


def test_under_load_the_form_stays_and_says_when_to_come_back(client, session, ann):
    submit(client, "/login", RIGHT)
    page = client.get(STEP, headers=HTML)
    with crowd():
        answer = send(client, page, STEP, TYPED)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert send(client, page, STEP, TYPED).location == "/account"


def test_the_step_is_in_chinese(client, session, ann):
    submit(client, "/login", RIGHT)
    text = readable(client.get(STEP, headers={"Accept-Language": "zh-CN"}))
    assert "密码由他人设置" in text
    assert "至少 8 个字符" in text
    assert session.scalars(select(SignInAttempt)).one().used_at is None
