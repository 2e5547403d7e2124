"""Codes by mail and text message as a second factor, where a policy names them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from idp.account import password_reset
from idp.directory import levels
from idp.directory.authentication import attempts
from idp.directory.authentication.models import SignInAttempt
from idp.directory.factors import enrolment, sent_codes
from idp.directory.factors import service as factors
from idp.directory.factors.sent_codes import CODES_PER_HOUR, Way, masked_mail
from idp.directory.policies import sign_in as sign_in_policies
from idp.directory.policies.models import Policy
from idp.directory.registration.codes import GAP_SECONDS, Channel
from idp.directory.registration.models import VerificationCode
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.pages.browsing import HTML, events, goes_on, readable, send, submit
from tests.pages.browsing import code as code
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    add_tenant,
    app_code,
    authorize,
    register,
    sign_in,
)

RIGHT = {"login": "ann", "password": PASSWORD}
REQUIRED = pytest.mark.settings(second_factor="required")
FACTOR, SEND = "/login/factor", "/login/factor/send"
HERE = "127.0.0.1"
NUMBER = "+8613800138000"
MASKED = "a•••@e•••.org"


def set_policy(session, tenant_id=1, **columns):
    session.add(Policy(tenant_id=tenant_id, **columns))
    session.commit()


@pytest.fixture
def allowed(session):
    """Allow codes by mail and text message, and require a second factor."""
    kinds = ["passkey", "totp", "mail", "sms"]
    set_policy(session, factors=kinds)


@pytest.fixture
def ann(session):
    return add_person(
        session,
        email="ann@example.org",
        email_verified=True,
        mobile=NUMBER,
        mobile_verified=True,
    )


def wrong(code):
    return f"{(int(code) + 1) % 10**6:06}"


def ask(browser, way="mail"):
    """Sign in with the password and have a code sent; return the answer."""
    assert submit(browser, "/login", RIGHT).location == FACTOR
    return submit_at(browser, FACTOR, SEND, {"way": way})


def submit_at(browser, shown, address, form):
    """Open one page and send its form to another address."""
    return send(browser, browser.get(shown, headers=HTML), address, form)


def row_of(session):
    session.rollback()
    return session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()


@REQUIRED
@pytest.mark.parametrize(("way", "amr"), [("mail", "email"), ("sms", "sms")])
def test_a_code_is_sent_when_it_is_asked_for_and_starts_the_session(
    client, session, allowed, ann, code, way, amr
):
    assert submit(client, "/login", RIGHT).location == FACTOR
    page = readable(client.get(FACTOR))
    assert MASKED in page
    assert "•••00" in page
    assert "ann@example.org" not in page
    assert NUMBER not in page
    assert 'name="code"' not in page
    assert session.scalars(select(VerificationCode)).all() == []
    answer = submit_at(client, FACTOR, SEND, {"way": way})
    assert (answer.status_code, answer.location) == (303, f"{FACTOR}?notice=sent")
    page = readable(client.get(answer.location))
    assert "A code has been sent" in page
    assert re.search(r"can be sent to \S+ in (59|60) seconds", page)
    assert row_of(session) is None
    done = submit(client, FACTOR, {"code": code(way)})
    assert done.location == "/account"
    row = row_of(session)
    assert (row.acr, row.amr) == ("mfa", ["pwd", amr, "mfa"])


@REQUIRED
def test_the_message_says_that_somebody_knows_the_password(client, allowed, ann, outbox):
    ask(client)
    (mail,) = outbox()
    assert "sign-in code" in mail.subject
    assert "somebody else knows your password" in mail.text


@REQUIRED
def test_by_default_no_codes_are_sent(client, session, ann):
    assert submit(client, "/login", RIGHT).location == "/login/enrol"
    answer = submit_at(client, "/login/enrol", SEND, {"way": "mail"})
    assert answer.location == "/login/enrol"
    assert session.scalars(select(VerificationCode)).all() == []
    assert not factors.is_enabled(session, ann.id)


@REQUIRED
@pytest.mark.parametrize(
    "columns",
    [
        {"email": None, "email_key": None, "mobile": None},
        {"email_verified": False, "mobile_verified": False},
    ],
)
def test_only_proven_addresses_get_codes(client, session, allowed, ann, columns):
    session.execute(update(User).values(columns))
    session.commit()
    assert submit(client, "/login", RIGHT).location == "/login/enrol"


@REQUIRED
def test_an_address_that_was_changed_a_short_while_ago_is_no_factor(
    client, session, allowed, ann, clock
):
    users.rename(session, ann, username="ann", email="eve@example.org", mobile="+8613800138001")
    ann.email_verified = ann.mobile_verified = True
    session.commit()
    assert factors.targets_of(session, ann) == []
    assert submit(client, "/login", RIGHT).location == "/login/enrol"
    clock.shift(timedelta(hours=24, seconds=1))
    found = [target.address for target in factors.targets_of(session, ann)]
    assert found == ["eve@example.org", "+8613800138001"]


# Attack 77


@REQUIRED
def test_the_mailbox_that_reset_the_password_is_not_the_second_factor_too(
    client, session, allowed, ann, clock
):
    issuer = tenants.issuer_of(session, 1)
    link = password_reset.link_of(session, issuer, ann, seconds=600)
    session.commit()
    path = link.removeprefix(issuer.url)
    new = {"password": "tall-birch-window-8", "repeated": "tall-birch-window-8"}
    assert submit(client, path, new).location.startswith(FACTOR)
    page = readable(client.get(FACTOR))
    assert MASKED not in page
    assert "•••00" in page  # the phone is another channel
    assert submit_at(client, FACTOR, SEND, {"way": "mail"}).status_code == 404
    # Nor in the next sign-in, by the same mailbox.
    client.delete_cookie("idp_1_signin", domain=HERE)
    submit(client, "/login", {"login": "ann", "password": new["password"]})
    assert submit_at(client, FACTOR, SEND, {"way": "mail"}).status_code == 404
    assert session.scalars(select(VerificationCode)).all() == []
    clock.shift(timedelta(hours=24, seconds=1))
    session.refresh(ann)
    assert [target.way for target in factors.targets_of(session, ann)] == [Way.MAIL, Way.SMS]


def test_a_password_that_the_person_changes_has_nothing_to_do_with_the_mailbox(session, ann):
    ann.password_reset_at = wall.now()
    users.set_password(session, ann, "tall-birch-window-8")
    assert ann.password_reset_at is None


@REQUIRED
def test_people_with_an_app_or_passkey_are_sent_nothing(client, session, allowed, ann):
    secret = add_authenticator(session, ann)
    submit(client, "/login", RIGHT)
    assert MASKED not in readable(client.get(FACTOR))
    assert submit_at(client, FACTOR, SEND, {"way": "mail"}).status_code == 404
    assert submit(client, FACTOR, {"code": app_code(secret)}).location == "/account"


@REQUIRED
def test_a_code_counts_once_and_only_in_its_own_sign_in(
    client, new_client, session, allowed, ann, code, clock
):
    ask(client)
    first = code()
    other = new_client()
    submit(other, "/login", RIGHT)
    clock.shift(GAP_SECONDS)
    submit_at(other, FACTOR, SEND, {"way": "mail"})
    second = code()
    assert first != second
    assert submit(other, FACTOR, {"code": first}).status_code == 400
    clock.shift(60)
    assert submit(client, FACTOR, {"code": second}).status_code == 400
    clock.shift(60)
    assert submit(client, FACTOR, {"code": first}).location == "/account"
    client.delete_cookie("idp_1", domain=HERE)
    clock.shift(60)
    submit(client, "/login", RIGHT)
    assert 'name="code"' not in readable(client.get(FACTOR))
    assert submit_at(client, FACTOR, FACTOR, {"code": first}).status_code == 400


@REQUIRED
def test_a_code_is_too_old_after_its_minutes(client, session, allowed, ann, code, clock):
    ask(client)
    sent = code()
    clock.shift(Channel.FACTOR_MAIL.minutes * 60 + 1)
    assert submit_at(client, FACTOR, FACTOR, {"code": sent}).status_code == 400
    assert row_of(session) is None


@REQUIRED
def test_fifty_equal_codes_at_once_count_once(runtime, session, allowed, ann, code):
    issuer = tenants.issuer_of(session, 1)
    (mail, _) = factors.targets_of(session, ann)
    assert sent_codes.send(session, issuer, ann, mail, "attempt:1", "en") is None
    session.commit()
    sent = code()

    def use(_number):
        with runtime.sessions() as own:
            try:
                return sent_codes.use(own, mail, "attempt:1", sent)
            finally:
                own.commit()

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(use, range(50)))
    assert results.count(True) == 1


# Attack 73: one counter


@REQUIRED
def test_wrong_codes_count_with_those_of_other_factors_and_end_the_attempt(
    client, session, allowed, ann, code, clock
):
    ask(client)
    right = code()
    for _ in range(4):
        clock.shift(60)
        assert submit(client, FACTOR, {"code": wrong(right)}).status_code == 400
    (row,) = session.scalars(select(SignInAttempt))
    assert row.tries_left == attempts.TRIES - 4
    slowed = [submit(client, FACTOR, {"code": wrong(right)}).status_code for _ in range(3)]
    assert 429 in slowed
    # The delay holds at an enrolment in another session too.
    other = events(session, Tag.FACTOR_REFUSED)
    assert len(other) >= 4
    assert {event.target for event in other} == {f"user:{ann.id}"}


@REQUIRED
def test_another_code_is_sent_after_its_waiting_time_and_no_more_than_ten_an_hour(
    client, session, allowed, ann, clock
):
    ask(client)
    early = submit_at(client, FACTOR, SEND, {"way": "mail"})
    assert early.status_code == 429
    assert int(early.headers["Retry-After"]) <= GAP_SECONDS
    assert "Please wait" in readable(early)
    sent = 1
    for _ in range(CODES_PER_HOUR + 2):
        clock.shift(GAP_SECONDS + 1)
        page = client.get(FACTOR, headers=HTML)
        if page.status_code != 200:
            submit(client, "/login", RIGHT)
            page = client.get(FACTOR, headers=HTML)
        sent += send(client, page, SEND, {"way": "mail"}).status_code == 303
    assert sent == CODES_PER_HOUR
    assert len(session.scalars(select(OutboxMessage)).all()) == CODES_PER_HOUR


@pytest.mark.settings(sms_per_hour=4)
def test_one_tenant_does_not_use_up_the_text_messages_of_all(session, clock):
    tenant_id = add_tenant(session)
    set_policy(session, tenant_id, factors=["totp", "sms"])
    issuer = tenants.issuer_of(session, 1)
    found = []
    for number in range(3):
        columns = {"mobile": f"+861380013800{number}", "mobile_verified": True}
        user = add_person(session, f"user{number}", tenant_ids=(tenant_id,), **columns)
        (target,) = factors.targets_of(session, user)
        found.append(sent_codes.send(session, issuer, user, target, "attempt:1", "en"))
    assert found[:2] == [None, None]
    assert found[2] is not None


@REQUIRED
@pytest.mark.parametrize("way", ["", "pigeon", "x" * 5000])
def test_no_other_way_is_taken(client, allowed, ann, way):
    submit(client, "/login", RIGHT)
    assert submit_at(client, FACTOR, SEND, {"way": way}).status_code == 404


@REQUIRED
def test_the_form_loaded_again_shows_its_page(client, allowed, ann):
    submit(client, "/login", RIGHT)
    assert client.get(SEND).location == FACTOR
    client.delete_cookie("idp_1_signin", domain=HERE)
    assert client.get(SEND).location.startswith("/login")


@pytest.mark.settings(environment="production", sms_url="")
def test_without_a_gateway_no_text_messages_are_offered(session, allowed, ann):
    assert [target.way for target in factors.targets_of(session, ann)] == [Way.MAIL]


def test_a_device_may_be_remembered_by_a_code(client, session, ann, code):
    set_policy(session, factors=["totp", "mail"])
    app = register(session, require_acr="mfa")
    assert submit(client, "/login", RIGHT).location == "/account"
    assert factors.highest_level(session, tenants.issuer_of(session, 1), ann.id) == levels.MFA
    asked = authorize(client, app)
    assert asked.location.startswith(f"{FACTOR}?")


# In a running session


def test_a_code_raises_the_level_of_a_session(client, session, ann, code):
    set_policy(session, factors=["totp", "mail"])
    app = register(session)
    sign_in(client, session, ann)
    assert protocol.obtain(client, app).identity["acr"] == "pwd"
    asked = authorize(client, app, acr_values="mfa")
    assert asked.location.startswith(f"{FACTOR}?")
    handle = asked.location.partition("?")[2]
    sent = submit_at(client, asked.location, f"{SEND}?{handle}", {"way": "mail"})
    assert sent.location.startswith(f"{FACTOR}?{handle}")
    done = submit(client, asked.location, {"code": code()})
    assert goes_on(done, asked.location)
    row = row_of(session)
    assert (row.acr, row.amr) == ("mfa", ["pwd", "email", "mfa"])


def test_a_code_of_a_session_counts_in_no_other(client, new_client, session, ann, code):
    set_policy(session, factors=["totp", "mail"])
    for browser in (client, other := new_client()):
        sign_in(browser, session, ann)
    back = f"{FACTOR}?return_to=%2Faccount%2Fsecurity"
    submit_at(client, back, f"{SEND}?return_to=%2Faccount%2Fsecurity", {"way": "mail"})
    sent = code()
    assert submit_at(other, back, back, {"code": sent}).status_code == 400
    assert submit(client, back, {"code": sent}).location == "/account/security"


def test_factors_are_added_with_the_level_that_codes_reach(client, session, ann):
    set_policy(session, factors=["totp", "mail"])
    sign_in(client, session, ann)
    assert client.get("/account/security/authenticator").location.startswith(f"{FACTOR}?")
    assert MASKED in readable(client.get("/account/security"))


@REQUIRED
def test_after_a_reset_the_enrolment_code_comes_before_any_other(
    client, session, allowed, ann, code
):
    handed = enrolment.issue(session, ann.id).code
    session.commit()
    assert submit(client, "/login", RIGHT).location == "/login/code"
    assert submit_at(client, "/login/code", SEND, {"way": "mail"}).location == "/login/code"
    submit(client, "/login/code", {"code": handed})
    submit_at(client, FACTOR, SEND, {"way": "mail"})
    assert submit(client, FACTOR, {"code": code()}).location == "/account"
    session.rollback()
    assert enrolment.find(session, ann.id) is None


@REQUIRED
def test_programs_and_the_account_of_the_api_say_the_same(session, allowed, ann):
    issuer = tenants.issuer_of(session, 1)
    asked = sign_in_policies.asked_of(session, issuer, ann.id)
    assert factors.is_required(session, ann.id, asked)
    assert factors.is_enabled(session, ann.id)
    ann.email_verified = ann.mobile_verified = False
    session.commit()
    assert not factors.is_enabled(session, ann.id)


def test_the_policy_of_one_tenant_makes_no_factor_for_another(session, ann):
    one, other = add_tenant(session), add_tenant(session, "Other")
    set_policy(session, one, factors=["totp", "mail"])
    assert factors.targets_of(session, ann) == []
    columns = {"email": "bob@example.org", "email_verified": True}
    bob = add_person(session, "bob", tenant_ids=(one,), **columns)
    assert [target.way for target in factors.targets_of(session, bob)] == [Way.MAIL]
    tenants.add_member(session, other, bob.id)
    session.commit()
    assert factors.targets_of(session, bob) == []


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("ann@example.org", MASKED),
        ("a@b.example.co.uk", "a•••@b•••.uk"),
        ("ann@localhost", "a•••@l•••"),
        ("<b>@例子.example", "<•••@例•••.example"),
    ],
)
def test_an_address_is_masked(address, masked):
    assert masked_mail(address) == masked
