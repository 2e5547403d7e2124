"""Signing in with a second factor: the steps, in their order and no other."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select, update

from idp.account import sign_in as signing_in
from idp.directory.authentication import attempts
from idp.directory.authentication.models import SignInAttempt
from idp.directory.authentication.steps import Proof, Step
from idp.directory.factors import recovery
from idp.directory.factors.models import RecoveryCode, Totp
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import clock as wall
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import (
    HTML,
    csrf_token,
    events,
    goes_on,
    page_of_flow,
    readable,
    send,
    submit,
    watched,
)
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    add_tenant,
    app_code,
    authorize,
    payload,
    redeem,
    register,
)

RIGHT = {"login": "ann", "password": PASSWORD}
REQUIRED = pytest.mark.settings(second_factor="required")
COOKIE = "idp_1_signin"


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def cookie_of(browser, name=COOKIE):
    found = browser.get_cookie(name, domain="127.0.0.1")
    return None if found is None else found.value


@pytest.fixture
def ann(session):
    return add_person(session, email="ann@example.com")


@pytest.fixture
def secret(session, ann):
    return add_authenticator(session, ann)


def key_of(page):
    """Read the secret that a page shows, and what its form carries of it."""
    text = page.get_data(as_text=True)
    key = re.search(r'name="key" value="([^"]+)"', text)[1]
    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", text)[1].replace(" ", "")
    return key, base64.b32decode(shown)


def test_who_has_no_second_factor_signs_in_by_one_request_and_no_row_is_written(
    client, session, ann
):
    client.get("/login")
    assert submit(client, "/login", RIGHT).location == "/account"
    assert count(session, SignInAttempt) == 0
    assert cookie_of(client) is None


def test_a_code_is_asked_for_after_the_password_and_the_session_starts_once_after_it(
    client, session, ann, secret
):
    app = register(session)
    address = page_of_flow(client, app, "/login")
    answer = submit(client, address, RIGHT)
    handle = parse_qs(urlsplit(address).query)["request"]
    there = urlsplit(answer.location)
    assert (there.path, parse_qs(there.query)) == ("/login/factor", {"request": handle})
    assert count(session, BrowserSession) == 0
    assert client.get("/account").location.startswith("/login")
    done = submit(client, answer.location, {"code": app_code(secret)})
    assert goes_on(done, address)
    (row,) = session.scalars(select(BrowserSession))
    assert (row.acr, row.amr) == ("mfa", ["pwd", "otp", "mfa"])
    assert row.mfa_at is not None
    code = parse_qs(urlsplit(client.get(done.location).location).query)["code"][0]
    identity = payload(redeem(client, app, code).get_json()["id_token"])
    assert (identity["acr"], identity["amr"]) == ("mfa", ["pwd", "otp", "mfa"])
    (event,) = events(session, Tag.SIGN_IN)
    assert event.details == {"amr": ["pwd", "otp", "mfa"], "remember": False}
    assert event.client_id == "web"


def test_the_row_keeps_the_wish_to_stay_signed_in_and_where_to_go(client, session, ann, secret):
    sent = client.get("/account/sessions").location
    answer = submit(client, sent, {**RIGHT, "remember": "y"})
    assert answer.location == "/login/factor?return_to=%2Faccount%2Fsessions"
    done = submit(client, answer.location, {"code": app_code(secret)})
    assert done.location == "/account/sessions"
    cookies = done.headers.getlist("Set-Cookie")
    assert any(line.startswith("idp_1=") and "Max-Age=2592000" in line for line in cookies)
    assert any(line.startswith(f"{COOKIE}=;") for line in cookies)


def test_the_cookie_of_the_attempt_is_strict_and_only_its_hash_is_kept(
    client, session, ann, secret
):
    answer = submit(client, "/login", RIGHT)
    (cookie,) = [line for line in answer.headers.getlist("Set-Cookie") if COOKIE in line]
    assert {"HttpOnly", "SameSite=Lax", "Max-Age=900"} <= set(cookie.split("; "))
    assert cookie_of(client) not in str(vars(session.scalars(select(SignInAttempt)).one()))


# Attack 72: steps are not skipped by their addresses, and come in their order.


@pytest.mark.parametrize(
    "path",
    [
        *("/login", "/login/factor", "/login/enrol", "/login/codes", "/login/done"),
        *("/login/password", "/login/verify", "/login/code"),
    ],
)
def test_every_page_leads_to_the_step_whose_turn_it_is(client, session, ann, secret, path):
    submit(client, "/login", RIGHT)
    page = client.get("/login/factor", headers=HTML)
    answer = client.get(path, headers=HTML)
    if path == "/login/codes":
        assert (answer.status_code, answer.location) == (303, "/login/done")
    elif path != "/login/factor":
        assert (answer.status_code, answer.location) == (303, "/login/factor")
    if path == "/login/enrol":
        answer = send(client, page, path, {"key": "x", "code": "123456"})
        assert (answer.status_code, answer.location) == (303, "/login/factor")
    assert count(session, BrowserSession) == 0
    assert count(session, Totp) == 1


@pytest.mark.parametrize(
    "path", ["/login/factor", "/login/enrol", "/login/password", "/login/verify"]
)
def test_a_later_form_sent_first_leads_to_the_sign_in(client, session, ann, secret, path):
    page = client.get("/login", headers=HTML)
    form = {"code": app_code(secret), "key": "x"}
    answer = send(client, page, path, form)
    assert (answer.status_code, answer.location) == (303, "/login")
    for open_page in (path, "/login/codes", "/login/done"):
        assert client.get(open_page).status_code == 303
    assert count(session, BrowserSession) == 0


def test_two_tabs_end_in_one_session(client, session, ann, secret, clock):
    first = submit(client, "/login", RIGHT)
    page = client.get(first.location, headers=HTML)
    done = send(client, page, first.location, {"code": app_code(secret)})
    assert done.location == "/account"
    clock.shift(60)
    again = client.post(
        first.location,
        data={"csrf_token": csrf_token(page), "code": app_code(secret)},
        headers=HTML,
    )
    assert again.status_code in {303, 409}
    assert count(session, BrowserSession) == 1


def test_an_old_cookie_of_an_attempt_is_worth_nothing(client, session, ann, secret, clock):
    submit(client, "/login", RIGHT)
    old = cookie_of(client)
    submit(client, "/login/factor", {"code": app_code(secret)})
    assert cookie_of(client) is None
    client.delete_cookie("idp_1", domain="127.0.0.1")
    client.set_cookie(COOKIE, old, domain="127.0.0.1")
    clock.shift(60)
    answer = client.get("/login/factor", headers=HTML)
    assert answer.location == "/login?notice=ended"
    assert "This sign-in has ended" in readable(client.get(answer.location))
    assert client.get("/login/done").status_code == 303
    assert count(session, BrowserSession) == 1


def test_an_attempt_counts_at_its_own_issuer_only(new_client, client, session, ann, secret):
    tenant_id = add_tenant(session, hosts=["acme.example"])
    submit(client, "/login", RIGHT)
    other = new_client("http://acme.example")
    other.set_cookie(f"idp_{tenant_id}_signin", cookie_of(client), domain="acme.example")
    assert other.get("/login/factor").location.startswith("/login?")


@pytest.mark.parametrize("what", ["time", "stamp", "disabled", "used", "tries"])
def test_an_attempt_ends(client, session, ann, secret, clock, what):
    submit(client, "/login", RIGHT)
    page = client.get("/login/factor", headers=HTML)
    if what == "time":
        clock.shift(attempts.LIFETIME.total_seconds() + 1)
    elif what == "stamp":
        users.end_access(session, session.get_one(User, ann.id))
    elif what == "disabled":
        session.execute(update(User).where(User.id == ann.id).values(is_disabled=True))
    elif what == "used":
        session.execute(update(SignInAttempt).values(used_at=wall.now()))
    else:
        session.execute(update(SignInAttempt).values(tries_left=0))
    session.commit()
    answer = send(client, page, "/login/factor", {"code": app_code(secret)})
    assert (answer.status_code, answer.location) == (303, "/login?notice=ended")
    assert count(session, BrowserSession) == 0


def test_ten_wrong_codes_end_the_attempt(client, session, ann, secret, clock):
    submit(client, "/login", RIGHT)
    page = client.get("/login/factor", headers=HTML)
    statuses = []
    for _ in range(attempts.TRIES):
        answer = send(client, page, "/login/factor", {"code": "000000"})
        statuses.append(answer.status_code)
        clock.shift(60)
    assert set(statuses) <= {400, 429}
    left = session.scalar(select(SignInAttempt.tries_left))
    session.execute(update(SignInAttempt).values(tries_left=1))
    session.commit()
    assert left == attempts.TRIES - statuses.count(400)
    clock.shift(300)
    send(client, page, "/login/factor", {"code": "000000"})
    answer = send(client, page, "/login/factor", {"code": app_code(secret)})
    assert answer.location == "/login?notice=ended"
    assert count(session, BrowserSession) == 0


# Attack 75: codes are of use once.


def test_a_spent_code_is_refused_and_leaves_a_trace(client, new_client, session, ann, secret):
    submit(client, "/login", RIGHT)
    code = app_code(secret)
    submit(client, "/login/factor", {"code": code})
    thief = new_client()
    submit(thief, "/login", RIGHT)
    answer = submit(thief, "/login/factor", {"code": code})
    text = readable(answer)
    assert answer.status_code == 400
    assert "This code is wrong or was used already." in text
    assert code not in text
    assert text.count('aria-invalid="true"') == 1
    assert count(session, BrowserSession) == 1
    (event,) = events(session, Tag.FACTOR_REFUSED)
    assert event.target == f"user:{ann.id}"
    trail = repr([vars(event) for event in session.scalars(select(AuditEvent))])
    assert code not in trail


def test_a_recovery_code_signs_in_once_and_is_told_by_mail(
    client, new_client, session, ann, secret, outbox
):
    codes = recovery.replace_all(session, ann.id)
    session.commit()
    submit(client, "/login", RIGHT)
    done = submit(client, "/login/factor", {"code": codes[0].lower()})
    assert done.location == "/account"
    thief = new_client()
    submit(thief, "/login", RIGHT)
    assert submit(thief, "/login/factor", {"code": codes[0]}).status_code == 400
    (event,) = events(session, Tag.RECOVERY_CODE_USED)
    assert event.details == {"left": recovery.NUMBER - 1}
    (mail,) = outbox()
    assert "recovery code" in mail.subject
    assert codes[0] not in mail.text


@pytest.mark.parametrize("code", ["", "abc", "<b>1", "9" * 10_000, "\u202e123456"])
def test_what_is_no_code_is_refused_beside_its_field(client, session, ann, secret, code):
    submit(client, "/login", RIGHT)
    answer = submit(client, "/login/factor", {"code": code})
    assert answer.status_code == 400
    assert readable(answer).count('aria-invalid="true"') == 1
    assert count(session, BrowserSession) == 0


# Attack 80: no other way in leads round the second factor.


def test_a_new_password_by_mail_does_not_lead_round_the_second_factor(
    client, session, ann, secret, outbox
):
    submit(client, "/forgot", {"login": "ann"})
    link = re.search(r"http://\S+", outbox()[0].text)[0]
    new = "seven-quiet-otters"
    answer = submit(client, urlsplit(link).path, {"password": new, "repeated": new})
    assert urlsplit(answer.location).path == "/login/factor"
    assert count(session, BrowserSession) == 0
    done = submit(client, answer.location, {"code": app_code(secret)})
    assert done.location == "/account/password?notice=changed"


def test_another_account_may_be_used_in_place_of_an_attempt(client, session, ann, secret):
    add_person(session, "bob")
    submit(client, "/login", RIGHT)
    page = client.get("/login/factor").get_data(as_text=True)
    link = re.search(r'href="(/login\?account=other)"', page)[1]
    assert submit(client, link, {**RIGHT, "login": "bob"}).location == "/account"
    assert cookie_of(client) is None
    assert "bob" in client.get("/account").get_data(as_text=True)


# Setting one up where it is required.


@REQUIRED
def test_who_has_none_sets_it_up_where_it_is_required_and_sees_the_codes_once(
    client, session, ann, outbox
):
    app = register(session)
    address = page_of_flow(client, app, "/login")
    answer = submit(client, address, RIGHT)
    assert urlsplit(answer.location).path == "/login/enrol"
    assert count(session, BrowserSession) == 0
    page = client.get(answer.location, headers=HTML)
    key, secret = key_of(page)
    assert 'class="segno"' in page.get_data(as_text=True)
    wrong = send(client, page, answer.location, {"key": key, "code": "000000", "name": "Phone"})
    assert wrong.status_code == 400
    assert key_of(wrong) == (key, secret)
    form = {"key": key, "code": app_code(secret), "name": "  My\nphone "}
    added = send(client, page, answer.location, form)
    assert urlsplit(added.location).path == "/login/codes"
    assert count(session, BrowserSession) == 0
    shown = client.get(added.location).get_data(as_text=True)
    codes = re.findall(r"<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>", shown)
    assert len(codes) == recovery.NUMBER
    link = re.search(r'href="(/login/done[^"]*)"', shown)[1]
    assert client.get(added.location).location == link
    done = client.get(link)
    assert goes_on(done, address)
    (row,) = session.scalars(select(BrowserSession))
    assert row.acr == "mfa"
    assert session.scalars(select(Totp)).one().name == "My phone"
    (mail,) = outbox()
    assert "authenticator app was added" in mail.subject
    kept = str([vars(row) for row in session.scalars(select(RecoveryCode))])
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)


@REQUIRED
def test_a_form_of_enrolment_counts_once(client, session, ann):
    submit(client, "/login", RIGHT)
    page = client.get("/login/enrol", headers=HTML)
    key, secret = key_of(page)
    for shift in (0, 1):
        send(client, page, "/login/enrol", {"key": key, "code": app_code(secret, shift)})
    assert count(session, Totp) == 1
    assert client.get("/login").location == "/login/done"


@REQUIRED
@pytest.mark.parametrize("key", ["", "x", "a.b", "Ä" * 2000])
def test_a_changed_secret_is_refused_and_the_page_stays_usable(client, session, ann, key):
    submit(client, "/login", RIGHT)
    answer = submit(client, "/login/enrol", {"key": key, "code": "123456"})
    assert answer.status_code == 400
    assert count(session, Totp) == 0
    new, secret = key_of(answer)
    form = {"key": new, "code": app_code(secret)}
    assert send(client, answer, "/login/enrol", form).location == "/login/codes"


@REQUIRED
def test_registration_ends_with_the_second_factor_where_it_is_required(client, session, ann):
    # The same function decides after registration, a new password and the sign-in.
    app = register(session)
    answer = authorize(client, app)
    assert submit(client, answer.location, RIGHT).location.startswith("/login/enrol?")
    assert count(session, SignInAttempt) == 1


def test_a_second_factor_takes_few_statements(runtime, client, session, ann, secret):
    asked = submit(client, "/login", RIGHT)
    page = client.get(asked.location, headers=HTML)
    with watched(runtime) as seen:
        # Attempt with person and factors, passkeys, apps.
        assert client.get(asked.location, headers=HTML).status_code == 200
        assert [text.split()[0] for text in seen] == ["SELECT", "SELECT", "SELECT", "COMMIT"]
        seen.clear()
        done = send(client, page, asked.location, {"code": app_code(secret)})
    assert done.location == "/account"
    # Attempt with what is asked of the person, secrets, step; attempt, session and event;
    # device with person. On SQLite each row is a statement.
    is_sqlite = runtime.engine.dialect.name == "sqlite"
    assert len(seen) == (8 if is_sqlite else 5) + 1, seen
    assert seen[-1] == "COMMIT"


@pytest.mark.parametrize("is_signed_in", [False, True], ids=["new", "signed in before"])
def test_of_two_requests_that_end_an_attempt_one_starts_a_session(session, ann, is_signed_in):
    issuer = tenants.issuer_of(session, PLATFORM_TENANT_ID)
    proofs = (Proof.PASSWORD, Proof.TOTP)
    handle = attempts.begin(session, issuer, ann, proofs, client_id=None, remember=False)
    attempt = attempts.find(session, issuer, handle)
    first = signing_in.finish(session, issuer, attempt, None)
    assert first.step is Step.DONE
    cookie = first.cookie if is_signed_in else None
    assert signing_in.finish(session, issuer, attempt, cookie) is None
    assert count(session, BrowserSession) == 1
    signed_in = select(func.count()).where(AuditEvent.tag == Tag.SIGN_IN)
    assert session.scalar(signed_in) == 1
    assert attempts.find(session, issuer, handle) is None
