"""Levels of sign-in: what applications ask for, and what tokens state."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete, select, update

from idp.directory.factors.models import Totp
from idp.directory.levels import LEVELS
from idp.oauth.checks.levels import LevelRequest
from idp.platform import clock as wall
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.pages.browsing import HTML, goes_on, send, submit
from tests.pages.test_second_factor import key_of
from tests.protocol import (
    add_authenticator,
    add_person,
    app_code,
    authorize,
    obtain,
    payload,
    redeem,
    refresh,
    register,
    returned,
)


@pytest.fixture
def ann(session):
    return add_person(session)


@pytest.fixture
def web(session):
    return register(session)


def essential(*values):
    return json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})


def error_of(answer):
    return returned(answer).get("error")


def page(answer):
    return urlsplit(answer.location).path


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("request_", "met", "stated"),
    [
        (LevelRequest(), (True, True, True), ("pwd", "mfa", "phr")),
        (LevelRequest(("mfa",)), (False, True, True), ("pwd", "mfa", "mfa")),
        (LevelRequest(("phr", "pwd")), (True, True, True), ("pwd", "pwd", "phr")),
        (LevelRequest(("pwd",)), (True, True, True), ("pwd", "pwd", "pwd")),
        (LevelRequest((), ("mfa", "phr"), "mfa"), (False, True, True), ("pwd", "mfa", "phr")),
        (LevelRequest(("pwd",), (), "mfa"), (False, True, True), ("pwd", "pwd", "pwd")),
    ],
)
def test_a_level_meets_what_is_asked_for_or_not(request_, met, stated):
    assert tuple(request_.is_met(level) for level in LEVELS) == met
    assert tuple(request_.stated(level) for level in LEVELS) == stated


def test_a_wish_is_met_where_the_person_can_and_no_obstacle_where_not(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    assert obtain(client, web, acr_values="mfa").identity["acr"] == "pwd"
    secret = add_authenticator(session, ann)
    assert obtain(client, web, acr_values="gold pwd").identity["acr"] == "pwd"
    assert obtain(client, web, acr_values="phr gold").identity["acr"] == "pwd"
    asked = authorize(client, web, acr_values="phr mfa")
    assert page(asked) == "/login/factor"
    done = submit(client, asked.location, {"code": app_code(secret)})
    assert goes_on(done, asked.location)
    tokens = redeem(client, web, protocol.code_of(client.get(done.location))).get_json()
    identity = payload(tokens["id_token"])
    assert (identity["acr"], identity["amr"]) == ("mfa", ["pwd", "otp", "mfa"])
    # Of several the highest one that is met is stated, without any the level reached.
    for values, stated in (("pwd", "pwd"), ("pwd mfa", "mfa"), ("phr", "mfa"), (None, "mfa")):
        assert obtain(client, web, acr_values=values).identity["acr"] == stated


def test_the_claim_is_a_wish_or_a_demand(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    secret = add_authenticator(session, ann)
    wish = json.dumps({"id_token": {"acr": {"value": "mfa"}}})
    assert page(authorize(client, web, claims=wish)) == "/login/factor"
    asked = authorize(client, web, claims=essential("mfa", "phr"))
    assert page(asked) == "/login/factor"
    submit(client, asked.location, {"code": app_code(secret)})
    assert obtain(client, web, claims=essential("mfa", "phr")).identity["acr"] == "mfa"
    assert obtain(client, web, claims=essential("pwd", "phr")).identity["acr"] == "pwd"
    for values in (("phr",), ("gold",), (1, None)):
        answer = authorize(client, web, claims=essential(*values))
        assert error_of(answer) == "unmet_authentication_requirements", values


def test_without_a_page_a_missing_level_is_an_error(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    careful = register(session, "careful", require_acr="mfa")
    assert error_of(authorize(client, careful, prompt="none")) == "interaction_required"
    assert error_of(authorize(client, web, prompt="none", acr_values="mfa")) is None
    add_authenticator(session, ann)
    for app, asked in (
        (careful, {}),
        (web, {"acr_values": "mfa"}),
        (web, {"claims": essential("mfa")}),
    ):
        answer = authorize(client, app, prompt="none", **asked)
        assert error_of(answer) == "interaction_required", asked


def test_a_client_that_requires_the_level_gets_it_and_nothing_less(client, session, ann):
    app = register(session, require_acr="mfa")
    secret = add_authenticator(session, ann)
    protocol.sign_in(client, session, ann)
    asked = authorize(client, app)
    assert page(asked) == "/login/factor"
    for path in ("/login/done", "/login/codes", "/login/enrol"):
        elsewhere = client.get(f"{path}?{urlsplit(asked.location).query}")
        while page(elsewhere) != "/login/factor":
            elsewhere = client.get(elsewhere.location)
        assert elsewhere.location == asked.location
    wrong = submit(client, asked.location, {"code": "000000"})
    assert wrong.status_code == 400
    handle = urlsplit(asked.location).query.partition("=")[2]
    again = client.get("/connect/authorize", query_string={"continue": handle})
    assert again.location == asked.location
    done = submit(client, asked.location, {"code": app_code(secret)})
    assert (
        payload(
            redeem(client, app, protocol.code_of(client.get(done.location))).get_json()["id_token"]
        )["acr"]
        == "mfa"
    )


def test_a_default_of_the_client_counts_where_nothing_is_asked_for(client, session, ann):
    app = register(session, default_acr_values="mfa")
    protocol.sign_in(client, session, ann)
    assert obtain(client, app).identity["acr"] == "pwd"
    add_authenticator(session, ann)
    assert page(authorize(client, app)) == "/login/factor"
    assert obtain(client, app, acr_values="pwd").identity["acr"] == "pwd"


def test_a_demand_leads_to_setting_up_a_factor_soon_after_the_sign_in(client, session, ann):
    app = register(session, require_acr="mfa")
    protocol.sign_in(client, session, ann)
    session.execute(update(BrowserSession).values(auth_time=wall.now() - timedelta(minutes=6)))
    session.commit()
    asked = authorize(client, app)
    assert page(asked) == "/login/enrol"
    old = client.get(asked.location)
    assert page(old) == "/login"
    answer = submit(client, old.location, {"login": "ann", "password": protocol.PASSWORD})
    asked = client.get(answer.location)
    assert page(asked) == "/login/enrol"
    shown = client.get(asked.location, headers=HTML)
    key, secret = key_of(shown)
    added = send(client, shown, asked.location, {"key": key, "code": app_code(secret)})
    assert page(added) == "/login/codes"
    assert client.get(added.location).status_code == 200
    left = client.get(added.location)
    done = client.get(left.location)
    assert "code" in returned(client.get(done.location))
    assert session.scalar(select(BrowserSession.acr)) == "mfa"


def test_too_many_or_too_long_values_are_refused(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    for values, error in (
        (" ".join(["x"] * 10), None),
        (" ".join(["x"] * 11), "invalid_request"),
        ("x" * 200, None),
        ("x" * 201, "invalid_request"),
    ):
        assert error_of(authorize(client, web, acr_values=values)) == error


# Attack 79


def test_a_refresh_never_changes_the_level(client, session, web, ann):
    add_authenticator(session, ann)
    protocol.sign_in(client, session, ann)
    tokens = obtain(client, web, "openid offline_access")
    session.execute(
        update(BrowserSession).values(acr="mfa", amr=["pwd", "otp", "mfa"], mfa_at=wall.now())
    )
    session.commit()
    claims = payload(refresh(client, web, tokens.refresh).get_json()["access_token"])
    assert (claims["acr"], claims["amr"]) == ("pwd", ["pwd"])


def test_a_step_up_moves_no_auth_time_so_max_age_asks_for_the_password(
    client, session, web, ann, clock
):
    secret = add_authenticator(session, ann)
    protocol.sign_in(client, session, ann)
    clock.shift(600)
    asked = authorize(client, web, acr_values="mfa")
    submit(client, asked.location, {"code": app_code(secret)})
    assert page(authorize(client, web, max_age="300")) == "/login"
    assert obtain(client, web, max_age="900").identity["acr"] == "mfa"


def test_an_attempt_from_before_the_request_is_no_fresh_sign_in(client, session, web, ann, clock):
    secret = add_authenticator(session, ann)
    submit(client, "/login", {"login": "ann", "password": protocol.PASSWORD})
    clock.shift(60)
    asked = authorize(client, web, prompt="login")
    step = client.get(asked.location)
    assert page(step) == "/login/factor"
    done = submit(client, step.location, {"code": app_code(secret)})
    again = client.get(done.location)
    assert page(again) == "/login"
    assert client.get(again.location).status_code == 200


def test_discovery_names_the_levels_that_a_sign_in_can_reach(client):
    document = client.get("/.well-known/openid-configuration").get_json()
    assert document["acr_values_supported"] == ["pwd", "mfa"]
    assert {"acr", "amr", "auth_time"} <= set(document["claims_supported"])


def test_a_factor_that_is_gone_meanwhile_does_not_lock_the_request(client, session, ann):
    app = register(session, require_acr="mfa")
    add_authenticator(session, ann)
    protocol.sign_in(client, session, ann)
    asked = authorize(client, app)
    session.execute(delete(Totp))
    session.commit()
    back = client.get(asked.location)
    assert page(client.get(back.location)) == "/login/enrol"


@pytest.mark.settings(second_factor="required")
def test_where_everybody_must_have_one_a_running_session_needs_it_at_its_next_request(
    client, session, web, ann
):
    protocol.sign_in(client, session, ann)
    assert page(authorize(client, web)) == "/login/enrol"
    add_authenticator(session, ann)
    assert page(authorize(client, web)) == "/login/factor"
    protocol.sign_in(client, session, ann, has_both=True)
    assert obtain(client, web).identity["acr"] == "mfa"
