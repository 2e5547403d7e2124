"""Ways round the second factor that lead through several doors.

Those of one door are tested beside it: `pages/test_second_factor.py`, `pages/test_devices.py` and
`directory/test_passkeys.py`, among others.
"""

from __future__ import annotations

import re

import pytest

from idp.api.userservice.codes import Code
from tests import protocol
from tests.api import userservice
from tests.pages.browsing import HTML, submit
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    app_code,
    authorize,
    obtain,
    payload,
    refresh,
    register,
    require,
)

RIGHT = {"login": "ann", "password": PASSWORD}
WRONG = {"code": "000000"}
NUMBER = "+8613912345678"


@pytest.fixture
def ann(session):
    return add_person(session, mobile=NUMBER, mobile_verified=True)


def guess(browser, address):
    """Send a wrong code to a page; return the status."""
    return submit(browser, address, WRONG).status_code


def test_wrong_codes_at_different_doors_are_one_count(new_client, session, ann, clock):
    # Attack 73
    secret = add_authenticator(session, ann)
    stepping_up = new_client()
    protocol.sign_in(stepping_up, session, ann)
    address = stepping_up.get("/account/security/authenticator", headers=HTML).location
    statuses = []
    for number in range(16):
        signing_in = new_client()
        assert submit(signing_in, "/login", RIGHT).location == "/login/factor"
        door = (signing_in, "/login/factor") if number % 2 else (stepping_up, address)
        statuses.append(guess(*door))
    assert set(statuses) == {400, 429}
    assert guess(stepping_up, address) == 429
    # The delay holds for a right code at a door where nothing was tried, and it ends.
    fresh = new_client()
    submit(fresh, "/login", RIGHT)
    assert submit(fresh, "/login/factor", {"code": app_code(secret)}).status_code == 429
    clock.shift(800)
    assert submit(fresh, "/login/factor", {"code": app_code(secret)}).location == "/account"


def test_a_level_for_one_application_raises_no_grant_of_another(client, session, ann):
    # Attack 79
    secret = add_authenticator(session, ann)
    protocol.sign_in(client, session, ann)
    plain, strict = register(session, "plain"), register(session, "strict", require_acr="mfa")
    before = obtain(client, plain, "openid offline_access")
    address = authorize(client, strict).location
    assert address.startswith("/login/factor?")
    assert submit(client, address, {"code": app_code(secret)}).status_code == 303
    assert obtain(client, strict).identity["acr"] == "mfa"
    assert before.claims["acr"] == "pwd"
    renewed = refresh(client, plain, before.refresh).get_json()
    assert payload(renewed["access_token"])["acr"] == "pwd"
    answer = refresh(client, strict, renewed["refresh_token"])
    assert answer.get_json()["error"] == "invalid_grant"


def test_a_grant_keeps_its_level_and_gets_no_other_when_that_of_the_session_ends(
    client, session, ann, clock
):
    # Attack 79
    require(session, 1, level_minutes=5)
    secret = add_authenticator(session, ann)
    app = register(session, default_acr_values=["mfa"])
    submit(client, "/login", RIGHT)
    submit(client, "/login/factor", {"code": app_code(secret)})
    tokens = obtain(client, app, "openid offline_access")
    assert tokens.claims["acr"] == "mfa"
    clock.shift(6 * 60)
    renewed = refresh(client, app, tokens.refresh).get_json()
    assert payload(renewed["access_token"])["acr"] == "mfa"
    assert authorize(client, app).location.startswith("/login/factor?")


@pytest.mark.parametrize("path", ["/login", "/authentication"])
def test_no_way_of_a_program_leads_round_the_second_factor(
    client, new_client, session, outbox, ann, path
):
    # Attack 80: not a code by text message, and not a QR code that the person confirms.
    robot = userservice.machine(client, session)
    add_authenticator(session, ann)
    answer = robot.send("GET", "/getMessage", phone=NUMBER)
    (code,) = re.findall(r"\b\d{6}\b", outbox()[-1].text)
    by_sms = {
        "authenticationType": "SMS",
        "principal": NUMBER,
        "certificate": code,
        "smsKey": answer.get_json(),
    }
    assert robot.code("POST", path, by_sms) is Code.second_factor_required
    phone = new_client()
    protocol.sign_in(phone, session, ann)
    shown = client.post("/account/qr").get_json()
    submit(phone, f"/account/qr/{shown['id']}/confirm", {"answer": "allow"})
    by_qr_code = {
        "authenticationType": "QRCODE",
        "principal": shown["id"],
        "certificate": shown["secret"],
    }
    assert robot.code("POST", path, by_qr_code) is Code.second_factor_required
    # Whatever was proven is spent.
    for spent in (by_sms, by_qr_code):
        assert robot.code("POST", path, spent) is Code.bad_credential
