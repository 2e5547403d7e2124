"""What every form passes before its view: where it was sent from, and for whom it was shown."""

from __future__ import annotations

from html import unescape

import pytest
from sqlalchemy import func, select

from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML, csrf_token
from tests.protocol import PASSWORD, add_person

HERE = "https://id.example"
HTTPS = pytest.mark.settings(public_url=HERE)
RIGHT = {"login": "ann", "password": PASSWORD}


def sessions_in(session):
    return session.scalar(select(func.count()).select_from(BrowserSession))


@HTTPS
@pytest.mark.no_database
@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Origin": HERE, "Referer": f"{HERE}/login"}, True),
        ({"Origin": HERE}, True),
        ({"Referer": f"{HERE}/login"}, True),
        ({"Referer": HERE}, True),
        ({}, True),
        ({"Origin": "null", "Referer": f"{HERE}/login"}, True),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://id.example"}, False),
        ({"Origin": "https://id.example:8443"}, False),
        ({"Origin": "https://id.example.evil.example"}, False),
        ({"Origin": ""}, False),
        ({"Referer": "https://evil.example/login"}, False),
        ({"Referer": "https://id.example@evil.example/"}, False),
        ({"Referer": "http://id.example/login"}, False),
        ({"Referer": "https://[/"}, False),
        ({"Referer": ""}, False),
        ({"Origin": HERE, "Referer": "https://evil.example/"}, False),
        ({"Origin": "https://evil.example", "Referer": f"{HERE}/login"}, False),
    ],
    ids=lambda value: "-".join(value.values()) or "neither" if isinstance(value, dict) else None,
)
def test_a_form_is_taken_by_origin_or_referrer_and_refused_when_one_is_wrong(
    new_client, session, headers, is_taken
):
    add_person(session)
    browser = new_client()
    form = {"csrf_token": csrf_token(browser.get("/login", headers=HTML)), **RIGHT}
    answer = browser.post("/login", data=form, headers={**HTML, **headers})
    assert answer.status_code == (303 if is_taken else 400)
    assert sessions_in(session) == is_taken
    if not is_taken:
        assert "sent from another site" in unescape(answer.get_data(as_text=True))


@HTTPS
@pytest.mark.no_database
@pytest.mark.parametrize("headers", [{}, {"Origin": HERE, "Referer": f"{HERE}/login"}])
def test_without_token_or_cookie_no_header_helps(new_client, session, headers):
    add_person(session)
    browser, other = new_client(), new_client()
    page = browser.get("/login", headers=HTML)
    foreign = csrf_token(other.get("/login", headers=HTML))
    for token in ({}, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": foreign}):
        answer = browser.post("/login", data={**RIGHT, **token}, headers={**HTML, **headers})
        assert answer.status_code == 400
    browser.delete_cookie("__Host-idp_form_1", domain="id.example")
    form = {**RIGHT, "csrf_token": csrf_token(page)}
    answer = browser.post("/login", data=form, headers={**HTML, **headers})
    assert answer.status_code == 400
    assert sessions_in(session) == 0


@pytest.mark.no_database
def test_a_program_is_told_the_reason_by_its_code(client, session):
    token = csrf_token(client.get("/login", headers=HTML))
    elsewhere = {"Origin": "https://evil.example"}
    for form, headers, code in (
        ({"csrf_token": token}, elsewhere, "form_from_elsewhere"),
        ({"csrf_token": "x"}, {}, "form_expired"),
    ):
        answer = client.post("/login", data={**RIGHT, **form}, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (400, code)
    client.delete_cookie("idp_form_1", domain="127.0.0.1")
    answer = client.post("/login", data={**RIGHT, "csrf_token": token})
    assert answer.get_json()["code"] == "form_without_cookie"
