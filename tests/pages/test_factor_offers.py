"""Offers of a second factor, and wishes for one, that people put off."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from idp.directory.policies.models import Policy
from idp.directory.users.models import User
from idp.oauth.models import AuthorizationRequest
from idp.platform import clock as wall
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.pages.browsing import HTML, readable, send, submit
from tests.protocol import (
    add_authenticator,
    add_passkey,
    add_person,
    app_code,
    authorize,
    obtain,
    register,
    sign_in,
)

OFFER = "With a second step, nobody signs in who learns it."
DECLINE = "/account/security/not-now"
ESSENTIAL = json.dumps({"id_token": {"acr": {"essential": True, "value": "mfa"}}})


@pytest.fixture
def ann(session):
    return add_person(session)


def is_offered(browser):
    return OFFER in readable(browser.get("/account"))


def test_the_account_page_offers_a_factor_again_after_thirty_days(client, session, ann, clock):
    before = ann.updated_at
    sign_in(client, session, ann)
    assert is_offered(client)
    answer = send(client, client.get("/account", headers=HTML), DECLINE, {})
    assert answer.location == "/account"
    assert not is_offered(client)
    session.refresh(ann)
    assert ann.updated_at == before  # the claim of that name is about the profile
    for days, offered in ((29, False), (1, True)):
        clock.shift(timedelta(days=days))
        sign_in(client, session, ann)
        assert is_offered(client) is offered


def test_nothing_is_offered_to_people_who_have_a_factor(client, session, ann):
    sign_in(client, session, ann)
    add_authenticator(session, ann)
    assert not is_offered(client)


def test_the_answer_of_one_person_is_not_that_of_another(client, new_client, session, ann):
    sign_in(client, session, ann)
    send(client, client.get("/account", headers=HTML), DECLINE, {})
    other = new_client()
    sign_in(other, session, add_person(session, "bob"))
    assert is_offered(other)


def test_the_answer_needs_a_form_and_a_person(client, new_client, session, ann):
    sign_in(client, session, ann)
    assert client.post(DECLINE, data={}, headers=HTML).status_code in {400, 403}
    page = new_client().get("/login", headers=HTML)
    assert send(new_client(), page, DECLINE, {}).status_code != 200
    assert session.scalar(select(User.factor_declined_at).where(User.id == ann.id)) is None


# Wishes of applications


@pytest.fixture
def secret(session, ann):
    return add_authenticator(session, ann)


def decline(browser, asked):
    """Press "Not now" on the page of a step-up."""
    query = asked.location.partition("?")[2]
    page = browser.get(asked.location, headers=HTML)
    return page, send(browser, page, f"/login/not-now?{query}", {})


def test_a_wish_is_put_off_for_one_request(client, session, ann, secret):
    app = register(session)
    sign_in(client, session, ann)
    asked = authorize(client, app, acr_values="mfa")
    page, answer = decline(client, asked)
    assert "Not now" in readable(page)
    code = protocol.code_of(client.get(answer.location))
    tokens = protocol.redeem(client, app, code).get_json()
    assert protocol.payload(tokens["id_token"])["acr"] == "pwd"
    assert authorize(client, app, acr_values="mfa").location.startswith("/login/factor?")


def test_the_answer_counts_in_its_own_session_only(client, new_client, session, ann, secret):
    app = register(session)
    for browser in (client, other := new_client()):
        sign_in(browser, session, ann)
    asked = authorize(client, app, acr_values="mfa")
    _, answer = decline(client, asked)
    assert other.get(answer.location).location.startswith("/login/factor?")


@pytest.mark.parametrize("how", ["claim", "client"])
def test_a_demand_is_not_put_off(client, session, ann, secret, how):
    app = register(session, **({"require_acr": "mfa"} if how == "client" else {}))
    demand = json.dumps({"id_token": {"acr": {"essential": True, "value": "mfa"}}})
    sign_in(client, session, ann)
    asked = authorize(client, app, **({"claims": demand} if how == "claim" else {}))
    page, answer = decline(client, asked)
    assert "Not now" not in readable(page)
    assert client.get(answer.location).location == asked.location
    session.rollback()
    assert session.scalars(select(AuthorizationRequest.level_declined)).all() == [False]


def test_a_sign_in_under_way_is_not_put_off(client, session, ann, secret):
    app = register(session)
    asked = authorize(client, app, acr_values="mfa")
    form = {"login": "ann", "password": protocol.PASSWORD}
    step = submit(client, asked.location, form)
    page, answer = decline(client, step)
    assert "Not now" not in readable(page)
    assert client.get(answer.location).location.startswith("/login?")
    done = submit(client, step.location, {"code": app_code(secret)})
    assert "code" in protocol.returned(client.get(done.location))


def test_a_step_up_for_a_page_of_our_own_is_not_put_off(client, session, ann, secret):
    sign_in(client, session, ann)
    address = "/login/factor?return_to=%2Faccount%2Fsecurity"
    page = client.get(address, headers=HTML)
    assert "Not now" not in readable(page)
    answer = send(client, page, "/login/not-now?return_to=%2Faccount%2Fsecurity", {})
    assert answer.location == "/account/security"
    assert client.get("/account/security/authenticator").location.startswith("/login/factor?")


@pytest.mark.settings(public_url="http://localhost")
def test_a_wish_for_a_passkey_is_put_off_too(new_client, session, ann):
    browser = new_client("http://localhost")
    add_passkey(session, ann, "http://localhost")
    app = register(session)
    sign_in(browser, session, ann, has_both=True)
    asked = authorize(browser, app, acr_values="phr")
    assert asked.location.startswith("/login/passkey?")
    page, answer = decline(browser, asked)
    assert "Not now" in readable(page)
    assert "code" in protocol.returned(browser.get(answer.location))


def test_a_wish_that_cannot_be_met_is_still_no_obstacle(client, session, ann):
    sign_in(client, session, ann)
    assert obtain(client, register(session), acr_values="mfa").identity["acr"] == "pwd"


def test_a_remembered_device_may_put_off_a_wish_where_a_factor_is_required(
    client, session, ann, secret
):
    session.add(Policy(tenant_id=1, second_factor="required"))
    session.commit()
    app = register(session)
    sign_in(client, session, ann)
    asked = authorize(client, app, acr_values="mfa")
    assert "Not now" not in readable(client.get(asked.location, headers=HTML))
    spared = {"trusted_until": wall.now() + timedelta(days=9)}
    session.execute(update(BrowserSession).values(**spared))
    session.commit()
    assert protocol.code_of(authorize(client, app))
    page, answer = decline(client, authorize(client, app, acr_values="mfa"))
    assert "Not now" in readable(page)
    assert protocol.code_of(client.get(answer.location))
    # What the application demands is not put off.
    demanded = authorize(client, app, claims=ESSENTIAL)
    assert "Not now" not in readable(client.get(demanded.location, headers=HTML))
