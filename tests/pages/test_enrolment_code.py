"""Signing in with an enrolment code: it opens the enrolment, once, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from idp.account import second_factors
from idp.account.second_factors import NewPasskey
from idp.directory.factors import enrolment, passkeys
from idp.directory.factors import service as factors
from idp.directory.factors.models import EnrolmentCode, Totp
from idp.directory.factors.passkeys import Claim
from idp.platform import runtime as runtimes
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.sessions.models import BrowserSession
from tests.authenticator import Authenticator
from tests.pages.browsing import HTML, csrf_token, events, page_of_flow, readable, send, submit
from tests.pages.test_second_factor import key_of
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    app_code,
    register,
    sign_in,
    start_session,
)

RIGHT = {"login": "ann", "password": PASSWORD}
CODE, ENROL = "/login/code", "/login/enrol"


@pytest.fixture
def ann(session):
    return add_person(session, email="ann@example.com")


@pytest.fixture
def code(session, ann):
    """Make an enrolment code of Ann."""
    new = enrolment.issue(session, ann.id)
    session.commit()
    return new.code


def count(session, model):
    session.rollback()
    return session.scalar(select(func.count()).select_from(model))


def test_the_code_comes_after_the_password_and_leads_to_a_factor(client, session, ann, code):
    app = register(session)
    address = page_of_flow(client, app, "/login")
    asked = submit(client, address, RIGHT)
    assert urlsplit(asked.location).path == CODE
    opened = submit(client, asked.location, {"code": code.lower().replace("-", " ")})
    assert (opened.status_code, urlsplit(opened.location).path) == (303, ENROL)
    assert count(session, BrowserSession) == 0
    page = client.get(opened.location, headers=HTML)
    key, secret = key_of(page)
    added = send(client, page, opened.location, {"key": key, "code": app_code(secret)})
    assert urlsplit(added.location).path == "/login/codes"
    client.get(added.location)
    client.get("/login/done")
    (row,) = session.scalars(select(BrowserSession))
    assert (row.acr, row.amr) == ("mfa", ["pwd", "otp", "mfa"])
    # The person has a factor now, and needs no code any more.
    assert count(session, EnrolmentCode) == 0
    (used,) = events(session, Tag.ENROLMENT_CODE_USED)
    assert used.target == f"user:{ann.id}"
    assert code not in str(used.details)


@pytest.mark.parametrize("path", ["/login", ENROL, "/login/factor", "/login/done", "/login/codes"])
def test_no_page_leads_round_the_code(client, session, ann, code, path):
    submit(client, "/login", RIGHT)
    answer = client.get(path)
    if answer.location == "/login/done":
        answer = client.get(answer.location)
    assert urlsplit(answer.location).path == CODE
    token = csrf_token(client.get(CODE))
    form = {"csrf_token": token, "code": "123456", "key": "x"}
    sent = client.post(ENROL, data=form, headers=HTML)
    assert urlsplit(sent.location).path == CODE
    assert count(session, BrowserSession) == count(session, Totp) == 0


def test_a_code_is_used_once_and_an_enrolment_that_was_left_needs_another_one(
    client, new_client, session, ann, code
):
    submit(client, "/login", RIGHT)
    assert submit(client, CODE, {"code": code}).location == ENROL
    other = new_client()
    assert submit(other, "/login", RIGHT).location == CODE
    refused = submit(other, CODE, {"code": code})
    assert refused.status_code == 400
    assert "wrong, has expired or was used already" in readable(refused)
    assert len(events(session, Tag.FACTOR_REFUSED)) == 1
    new = enrolment.issue(session, ann.id).code
    session.commit()
    assert submit(other, CODE, {"code": new}).location == ENROL


def test_a_code_ends_after_a_day_and_the_password_alone_still_opens_nothing(
    client, session, ann, code, clock
):
    clock.shift(enrolment.HOURS * 3600)
    assert submit(client, "/login", RIGHT).location == CODE
    assert submit(client, CODE, {"code": code}).status_code == 400
    assert count(session, BrowserSession) == 0


def test_a_code_of_someone_else_is_refused(client, session, ann, code):
    bob = add_person(session, "bob")
    enrolment.issue(session, bob.id)
    session.commit()
    submit(client, "/login", {**RIGHT, "login": "bob"})
    assert submit(client, CODE, {"code": code}).status_code == 400


@pytest.mark.parametrize("code", ["", "x", "000000", "AAAAA-AAAAA", "x" * 10_000, "<script>"])
def test_what_is_no_code_is_refused_beside_its_field(client, session, ann, code):
    enrolment.issue(session, ann.id)
    session.commit()
    submit(client, "/login", RIGHT)
    answer = submit(client, CODE, {"code": code})
    assert answer.status_code == 400
    assert readable(answer).count('aria-invalid="true"') == 1


def test_codes_of_every_place_are_counted_together(client, new_client, session, ann, code):
    submit(client, "/login", RIGHT)
    answers = [submit(client, CODE, {"code": "AAAAA-AAAAA"}).status_code for _ in range(6)]
    assert 429 in answers
    # Neither another sign-in nor another kind of code begins anew.
    add_authenticator(session, ann)
    other = new_client()
    assert submit(other, "/login", RIGHT).location == "/login/factor"
    assert submit(other, "/login/factor", {"code": "000000"}).status_code == 429


def test_fifty_equal_codes_at_once_count_once(runtime, session, ann):
    normal = enrolment.issue(session, ann.id).code.replace("-", "")
    session.commit()

    def use(_: int) -> bool:
        with runtime.sessions() as own:
            is_right = enrolment.use(own, ann.id, normal)
            own.commit()
            return is_right

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(use, range(50))) == 1


def test_only_a_keyed_hash_is_kept(session, ann, code):
    (row,) = session.scalars(select(EnrolmentCode))
    assert code.replace("-", "") not in row.code_mac
    assert runtimes.of(session).keyring.mac_matches(
        enrolment.PURPOSE, f"{ann.id}\0{code.replace('-', '')}", row.code_mac
    )
    assert code not in repr(enrolment.NewCode(code, row.expires_at))


def test_a_live_session_adds_no_factor_past_the_code(client, session, ann, code):
    sign_in(client, session, ann)
    answer = client.get("/account/security/authenticator")
    assert answer.location.startswith("/login?prompt=login")
    page = client.get(answer.location)
    token = csrf_token(page)
    sent = client.post(
        "/account/security/authenticator", data={"csrf_token": token, "code": "123456"}
    )
    assert sent.location.startswith("/login?prompt=login")
    assert submit(client, answer.location, RIGHT).location.startswith(CODE)
    assert client.get(CODE).status_code == 200


def test_a_code_is_no_second_factor(session, ann, code):
    condition = factors.condition_of(session, ann.id)
    assert (condition.has_factor, condition.needs_code, condition.is_bound) == (False, True, True)
    assert factors.prove(session, ann, code) is None


def test_a_first_passkey_ends_the_need_for_a_code(session, ann, code):
    url = "https://login.acme.example"
    issuer = Issuer(1, url, "login.acme.example", "idp")
    options = passkeys.creation_options(session, issuer, ann, "test")
    claim = Claim("test", Authenticator(url).create(options))
    assert second_factors.add_passkey(session, issuer, ann, NewPasskey(claim, "Laptop"), "en")
    condition = factors.condition_of(session, ann.id)
    assert (condition.has_factor, condition.needs_code) == (True, False)
    assert enrolment.find(session, ann.id) is None


def test_without_a_sign_in_the_page_leads_to_it(client, session, ann, code):
    assert client.get(CODE).location == "/login"
    client.set_cookie(*start_session(session, "127.0.0.1:8000", ann), domain="127.0.0.1")
    assert client.get(CODE).status_code == 303
