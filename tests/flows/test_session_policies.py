"""Policies of sessions, of stolen passwords and of confirmed addresses: what they do."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from idp.directory.authentication.attempts import TRIES
from idp.directory.users import passwords
from idp.oauth.models import Grant
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.pages.browsing import HTML, events, goes_on, page_of_flow, readable, send, submit
from tests.pages.browsing import code as code
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    app_code,
    authorize,
    obtain,
    register,
    require,
)

PLATFORM = 1
RIGHT = {"login": "ann", "password": PASSWORD}
STOLEN = "iloveyou1"
WEAK = {"login": "ann", "password": STOLEN}
VERIFY, SEND = "/login/verify", "/login/verify/send"
ADDRESS = "ann@example.org"
NUMBER = "+8613800138000"
HOUR, DAY = 3600, 86_400


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session, acme):
    return add_person(session, "ann", tenant_ids=(acme,), email=ADDRESS)


def rows_of(session):
    session.rollback()
    return session.scalars(select(BrowserSession).order_by(BrowserSession.id)).all()


def live(session):
    return [row for row in rows_of(session) if row.ended_at is None]


@pytest.fixture
def is_signed_in(session):
    """Return whether an application gets a code with the session of a browser."""
    app = register(session, client_id="seen")
    return lambda browser: "code=" in authorize(browser, app, prompt="none").location


# Sessions


def test_a_session_lasts_as_long_as_the_strictest_policy_says(
    client, session, clock, ann, acme, is_signed_in
):
    require(session, PLATFORM, session_hours=5)
    require(session, acme, session_hours=2)
    assert submit(client, "/login", RIGHT).location == "/account"
    clock.shift(2 * HOUR - 60)
    assert is_signed_in(client)
    clock.shift(120)
    assert not is_signed_in(client)


def test_people_stay_signed_in_for_as_long_as_the_policy_says(
    client, session, clock, ann, acme, is_signed_in
):
    require(session, acme, remember_days=3)
    assert submit(client, "/login", {**RIGHT, "remember": "y"}).location == "/account"
    clock.shift(3 * DAY - 60)
    assert is_signed_in(client)
    clock.shift(120)
    assert not is_signed_in(client)


def test_where_nobody_stays_signed_in_that_is_not_offered_and_not_kept(client, session, ann, acme):
    assert 'name="remember"' in readable(client.get("/login"))
    require(session, acme, remember_days=0)
    answer = submit(client, "/login", {**RIGHT, "remember": "y"})
    (cookie,) = [text for text in answer.headers.getlist("Set-Cookie") if "idp_1=" in text]
    assert "Max-Age" not in cookie
    (row,) = live(session)
    assert not row.remember
    assert row.expires_at <= wall.now() + timedelta(hours=10)
    require(session, PLATFORM, remember_days=0)
    page = client.get("/login?account=other", headers=HTML).get_data(as_text=True)
    assert '<input class="form-check-input" id="remember"' not in page


def test_a_session_that_is_not_used_ends(client, session, clock, ann, acme, is_signed_in):
    require(session, PLATFORM, idle_minutes=60)
    require(session, acme, idle_minutes=30)
    assert submit(client, "/login", RIGHT).location == "/account"
    for _ in range(3):
        clock.shift(29 * 60)
        assert is_signed_in(client)
    clock.shift(31 * 60)
    assert not is_signed_in(client)


def test_the_use_by_applications_counts_and_no_use_lasts_longer_than_the_session(
    client, session, clock, ann, acme
):
    require(session, acme, idle_minutes=30, session_hours=1)
    app = register(session)
    assert submit(client, "/login", RIGHT).location == "/account"
    for _ in range(2):
        clock.shift(25 * 60)
        assert "code=" in authorize(client, app).location
    clock.shift(11 * 60)
    assert "code=" not in authorize(client, app).location


def test_tokens_of_a_session_that_was_not_used_go_on(
    client, session, clock, ann, acme, is_signed_in
):
    require(session, acme, idle_minutes=5)
    app = register(session, scopes=["openid", "offline_access"])
    submit(client, "/login", RIGHT)
    tokens = obtain(client, app, "openid offline_access")
    clock.shift(10 * 60)
    assert not is_signed_in(client)
    assert protocol.refresh(client, app, tokens.refresh).status_code == 200


def test_the_oldest_session_ends_where_there_are_too_many(
    new_client, session, ann, acme, is_signed_in
):
    require(session, acme, max_sessions=2)
    app = register(session)
    browsers = [new_client() for _ in range(3)]
    for browser in browsers[:2]:
        assert submit(browser, "/login", RIGHT).location == "/account"
    obtain(browsers[0], app)
    assert submit(browsers[2], "/login", RIGHT).location == "/account"
    session.rollback()
    assert session.scalars(select(Grant.revoked_at)).one() is not None
    assert [is_signed_in(browser) for browser in browsers] == [False, True, True]
    (event,) = events(session, Tag.SESSION_REVOKED)
    assert event.details["reason"] == "too many sessions"
    # A browser that signs in again keeps its session and ends no other.
    assert submit(browsers[1], "/login?prompt=login", RIGHT).location == "/account"
    assert [is_signed_in(browser) for browser in browsers[1:]] == [True, True]


def test_a_changed_password_keeps_what_the_policy_says(client, session, ann, acme):
    require(session, acme, session_hours=1, idle_minutes=5)
    submit(client, "/login", RIGHT)
    form = {"current": PASSWORD, "password": "a quite new horse", "repeated": "a quite new horse"}
    assert submit(client, "/account/password", form).status_code == 303
    (row,) = live(session)
    assert row.idle_minutes == 5
    assert row.expires_at <= wall.now() + timedelta(minutes=5)


@pytest.mark.parametrize("values", [{"session_hours": 11}, {"remember_days": 31}])
def test_a_policy_beyond_the_settings_is_refused(session, values):
    with pytest.raises(BadRequest, match="at most"):
        require(session, PLATFORM, **values)


def test_without_a_policy_a_session_lasts_as_the_settings_say(client, session, ann):
    submit(client, "/login", RIGHT)
    (row,) = live(session)
    assert row.idle_minutes is None
    assert row.expires_at == row.ends_at == row.created_at + timedelta(hours=10)
    assert not sessions.touch(session, row.id, row.last_seen_at)


# Stolen passwords


@pytest.fixture
def careless(session, ann):
    """Return a person whose password was set before it was known to be stolen."""
    ann.password_hash = passwords.make_hash(STOLEN)
    session.commit()
    return ann


def test_a_stolen_password_is_followed_by_what_the_policy_says(
    client, session, outbox, careless, acme
):
    assert submit(client, "/login", WEAK).location == "/account"
    require(session, acme, breached_at_sign_in="warn")
    for _ in range(2):
        assert submit(client, "/login?prompt=login", WEAK).location == "/account"
    assert len(events(session, Tag.STOLEN_PASSWORD_USED)) == 2
    (mail,) = [mail for mail in outbox() if "not safe" in mail.subject]
    assert (mail.to, "/account/password" in mail.text) == (ADDRESS, True)
    activity = readable(client.get("/account/activity"))
    assert "with a common or stolen password" in activity
    require(session, PLATFORM, breached_at_sign_in="force")
    answer = submit(client, "/login?prompt=login", WEAK)
    assert answer.location == "/login/password"


def test_a_stolen_password_is_changed_before_the_session_starts(client, session, careless, acme):
    require(session, acme, breached_at_sign_in="force")
    app = register(session)
    address = page_of_flow(client, app, "/login")
    answer = submit(client, address, WEAK)
    assert answer.location.startswith("/login/password?request=")
    assert rows_of(session) == []
    page = client.get(answer.location, headers=HTML)
    assert "common or stolen passwords" in readable(page)
    again = send(client, page, answer.location, {"password": STOLEN, "repeated": STOLEN})
    assert again.status_code == 400
    new = {"password": "a quite new horse", "repeated": "a quite new horse"}
    assert goes_on(send(client, page, answer.location, new), address)
    assert len(live(session)) == 1


def test_a_second_factor_is_asked_for_before_a_stolen_password_is_changed(
    client, session, careless, acme
):
    require(session, acme, breached_at_sign_in="force")
    secret = add_authenticator(session, careless)
    answer = submit(client, "/login", WEAK)
    assert answer.location == "/login/factor"
    assert client.get("/login/password", headers=HTML).location == "/login/factor"
    code = {"code": app_code(secret)}
    assert submit(client, "/login/factor", code).location == "/login/password"


def test_without_the_list_people_sign_in_and_common_passwords_are_known(
    client, session, runtime, careless, acme
):
    gone = {"breached_passwords": "/nowhere/breached"}
    runtime.settings = runtime.settings.model_copy(update=gone)
    require(session, acme, breached_at_sign_in="force")
    assert submit(client, "/login", WEAK).location == "/login/password"
    careless.password_hash = passwords.make_hash(PASSWORD)
    session.commit()
    assert submit(client, "/login?account=other", RIGHT).location == "/account"


# The name first


@pytest.mark.parametrize("login", ["ann", "nobody", "ann@example.org"])
def test_the_name_is_asked_for_first_whoever_it_is(client, session, ann, login):
    assert 'name="password"' in readable(client.get("/login"))
    require(session, PLATFORM, identifier_first=True)
    page = client.get("/login", headers=HTML)
    text = page.get_data(as_text=True)
    assert 'name="login"' in text
    assert 'name="password"' not in text
    answer = send(client, page, "/login", {"login": login, "remember": "y"})
    text = answer.get_data(as_text=True)
    assert re.search(r'<input checked[^>]*name="remember"', text)
    assert answer.status_code == 200
    assert f'value="{login}"' in text
    assert 'name="password"' in text
    assert "-error" not in text
    password = PASSWORD if login == "ann" else "not the password"
    form = {"login": login, "password": password}
    assert send(client, answer, "/login", form).status_code == (303 if login == "ann" else 400)


def test_the_name_that_is_known_is_not_asked_for_again(client, session, ann, acme):
    require(session, PLATFORM, identifier_first=True)
    address = page_of_flow(client, register(session), "/login", login_hint="ann")
    assert 'name="password"' in readable(client.get(address, headers=HTML))
    assert submit(client, "/login", {"login": ""}).status_code == 400
    assert submit(client, "/login", RIGHT).location == "/account"
    assert 'name="password"' in readable(client.get("/login?prompt=login", headers=HTML))


def test_without_such_a_policy_a_password_is_missing(client, session, ann, acme):
    require(session, acme, identifier_first=True)  # of another issuer than this page
    assert submit(client, "/login", {"login": "ann"}).status_code == 400


# Confirmed addresses


def ask(browser, address=ADDRESS):
    """Have a code sent to an address; return the answer."""
    return send(browser, browser.get(VERIFY, headers=HTML), SEND, {"address": address})


def wrong(code):
    return {"code": f"{(int(code) + 1) % 10**6:06}"}


def test_an_address_is_confirmed_before_the_session_starts(client, session, ann, acme, code):
    require(session, acme, verify=["email"])
    app = register(session)
    address = page_of_flow(client, app, "/login")
    answer = submit(client, address, RIGHT)
    assert answer.location.startswith(f"{VERIFY}?request=")
    page = client.get(answer.location, headers=HTML)
    assert f'value="{ADDRESS}"' in page.get_data(as_text=True)
    query = answer.location.partition("?")[2]
    sent = send(client, page, f"{SEND}?{query}", {"address": ADDRESS})
    assert sent.location == answer.location
    assert rows_of(session) == []
    page = client.get(sent.location, headers=HTML)
    assert f"sent to {ADDRESS}" in readable(page)
    assert goes_on(send(client, page, sent.location, {"code": code()}), address)
    session.refresh(ann)
    assert ann.email_verified
    assert len(live(session)) == 1
    assert submit(client, "/login?prompt=login", RIGHT).location == "/account"


def test_who_has_no_address_enters_one_and_several_are_confirmed_in_turn(
    client, session, acme, code
):
    add_person(session, "ann", tenant_ids=(acme,))
    require(session, acme, verify=["mobile"])
    require(session, PLATFORM, verify=["email"])
    assert submit(client, "/login", RIGHT).location == VERIFY
    assert ask(client, "new@example.org").location == VERIFY
    assert submit(client, VERIFY, {"code": code()}).location == VERIFY
    assert "mobile number" in readable(client.get(VERIFY))
    assert ask(client, NUMBER).location == VERIFY
    assert submit(client, VERIFY, {"code": code("sms")}).location == "/account"


def test_a_wrong_code_an_address_that_is_taken_and_no_address_are_refused(
    client, session, ann, acme, code
):
    add_person(session, "bob", email="bob@example.org", email_verified=True)
    require(session, acme, verify=["email"])
    submit(client, "/login", RIGHT)
    assert ask(client, "no address").status_code == 400
    assert ask(client, "bob@example.org").location == VERIFY
    answer = submit(client, VERIFY, {"code": code()})
    assert answer.status_code == 400
    assert "is taken" in readable(answer)
    assert client.get(f"{VERIFY}?again=y", headers=HTML).status_code == 200
    assert ask_again(client, ADDRESS).location == VERIFY
    for _ in range(TRIES):
        assert submit(client, VERIFY, wrong(code())).status_code == 400
    assert client.get(VERIFY, headers=HTML).location == "/login?notice=ended"
    assert rows_of(session) == []


def ask_again(browser, address):
    page = browser.get(f"{VERIFY}?again=y", headers=HTML)
    return send(browser, page, SEND, {"address": address})


def test_a_code_of_one_sign_in_confirms_nothing_in_another(new_client, session, ann, acme, code):
    require(session, acme, verify=["email"])
    one, other = new_client(), new_client()
    for browser in (one, other):
        submit(browser, "/login", RIGHT)
    ask(one)
    answer = submit(other, VERIFY, {"code": code()})
    assert answer.location == VERIFY
    assert rows_of(session) == []


def test_the_factor_comes_first_and_a_confirmed_address_is_not_asked_for(
    client, session, ann, acme
):
    require(session, acme, verify=["email"])
    secret = add_authenticator(session, ann)
    assert submit(client, "/login", RIGHT).location == "/login/factor"
    assert client.get(VERIFY, headers=HTML).location == "/login/factor"
    assert submit(client, "/login/factor", {"code": app_code(secret)}).location == VERIFY
    ann.email_verified = True
    session.commit()
    assert client.get(VERIFY, headers=HTML).location == "/login/done"


@pytest.mark.settings(environment="production", smtp_url="", public_url="https://idp.example.org")
def test_what_cannot_be_sent_is_not_required_and_not_asked_for(client, session, ann, acme):
    with pytest.raises(BadRequest, match="cannot send codes"):
        require(session, acme, verify=["email"])
