"""How the person is asked: prompt, max_age, hints, claims and tenants."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.attacks import forms
from tests.protocol import add_person, add_tenant, authorize, obtain, redeem, register

pytestmark = pytest.mark.no_database


@pytest.fixture
def web(session):
    return register(session)


@pytest.fixture
def ann(session):
    return add_person(session)


def page(answer):
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return answer.location.partition("?")[0]


def error_of(answer):
    return protocol.returned(answer).get("error")


def test_nobody_is_signed_in(client, web, ann):
    assert error_of(authorize(client, web, prompt="none")) == "login_required"
    asked = authorize(client, web)
    assert page(asked) == "/login"
    signed_in = forms.sign_in(client, ann, asked.location)
    answer = redeem(client, web, protocol.code_of(client.get(signed_in.location)))
    identity = protocol.payload(answer.get_json()["id_token"])
    assert identity["sub"] == str(ann.id)
    assert identity["acr"] == "pwd"
    assert identity["amr"] == ["pwd"]
    # The page is done with: its address leads nowhere any more.
    assert client.get(signed_in.location).status_code == 400
    assert "code" in protocol.returned(authorize(client, web, prompt="none"))


def test_prompt_create_leads_to_registration_where_it_is_open(client, session, web, ann, clock):
    protocol.sign_in(client, session, ann)
    clock.shift(100)
    asked = authorize(client, web, prompt="create")
    assert page(asked) == "/register"
    handle = asked.location.partition("=")[2]
    # Who is signed in has not created an account for this request.
    assert page(client.get(f"/connect/authorize?continue={handle}")) == "/register"
    protocol.sign_in(client, session, add_person(session, "ben"))
    assert protocol.code_of(client.get(f"/connect/authorize?continue={handle}"))
    assert error_of(authorize(client, web, prompt="none create")) == "invalid_request"
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert "create" in metadata["prompt_values_supported"]


@pytest.mark.settings(registration=False)
def test_prompt_create_is_refused_where_registration_is_closed(client, web):
    assert error_of(authorize(client, web, prompt="create")) == "invalid_request"
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["prompt_values_supported"] == ["none", "login", "consent", "select_account"]


def test_prompt_login_asks_again_and_is_content_with_the_new_sign_in(
    client, session, web, ann, clock
):
    protocol.sign_in(client, session, ann)
    before = obtain(client, web).identity
    clock.shift(100)
    asked = authorize(client, web, prompt="login")
    assert page(asked) == "/login"
    handle = asked.location.partition("=")[2]
    # Coming back without having signed in asks once more.
    skipped = client.get("/connect/authorize", query_string={"continue": handle})
    assert page(skipped) == "/login"
    signed_in = forms.sign_in(client, ann, asked.location)
    answer = redeem(client, web, protocol.code_of(client.get(signed_in.location)))
    after = protocol.payload(answer.get_json()["id_token"])
    assert after["auth_time"] == before["auth_time"] + 100
    assert after["sid"] == before["sid"]


def test_max_age_asks_who_signed_in_too_long_ago(client, session, web, ann, clock):
    protocol.sign_in(client, session, ann)
    clock.shift(60)
    assert obtain(client, web, max_age="60").identity["auth_time"]
    clock.shift(1)
    assert error_of(authorize(client, web, max_age="60", prompt="none")) == "login_required"
    asked = authorize(client, web, max_age="60")
    assert page(asked) == "/login"
    signed_in = forms.sign_in(client, ann, asked.location)
    # Consent may take its time: the sign-in was for this request.
    clock.shift(120)
    assert protocol.code_of(client.get(signed_in.location))
    assert page(authorize(client, web, max_age="0")) == "/login"
    careful = register(session, "careful", default_max_age=30)
    assert page(authorize(client, careful)) == "/login"
    assert protocol.code_of(authorize(client, careful, max_age="10000"))


def test_select_account_lets_the_person_stay_or_change(client, session, web, ann):
    bob = add_person(session, "bob")
    protocol.sign_in(client, session, ann)
    quiet = authorize(client, web, prompt="select_account")
    assert page(quiet) == "/choose"
    stay = forms.send(client, quiet.location, account="current")
    assert protocol.code_of(client.get(stay.location))
    change = forms.send(client, authorize(client, web, prompt="select_account").location)
    assert page(change) == "/login"
    signed_in = forms.sign_in(client, bob, change.location)
    answer = redeem(client, web, protocol.code_of(client.get(signed_in.location)))
    assert protocol.payload(answer.get_json()["id_token"])["sub"] == str(bob.id)


def test_login_and_consent_can_be_asked_together(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    asked = authorize(client, web, prompt="login consent")
    assert page(asked) == "/login"
    signed_in = forms.sign_in(client, ann, asked.location)
    consent = client.get(signed_in.location)
    assert page(consent) == "/consent"
    allowed = forms.allow(client, consent.location)
    assert protocol.code_of(client.get(allowed.location))


def test_an_id_token_hint_names_who_is_meant(client, session, web, ann, new_client):
    protocol.sign_in(client, session, ann)
    hint = obtain(client, web).body["id_token"]
    assert protocol.code_of(authorize(client, web, id_token_hint=hint, prompt="none"))
    other = new_client()
    bob = add_person(session, "bob")
    protocol.sign_in(other, session, bob)
    quiet = authorize(other, web, id_token_hint=hint, prompt="none")
    assert error_of(quiet) == "login_required"
    asked = authorize(other, web, id_token_hint=hint)
    assert page(asked) == "/login"
    wrong = forms.sign_in(other, bob, asked.location)
    assert error_of(other.get(wrong.location)) == "login_required"
    second = register(session, "second")
    foreign = authorize(client, second, id_token_hint=hint, prompt="none")
    assert error_of(foreign) == "invalid_request"


def test_a_hint_may_be_old(client, session, web, ann, clock):
    protocol.sign_in(client, session, ann)
    hint = obtain(client, web).body["id_token"]
    clock.shift(3600)
    assert protocol.code_of(authorize(client, web, id_token_hint=hint, prompt="none"))


def test_a_subject_asked_for_by_value_must_be_the_one(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    for wanted, meant in (
        (f'{{"value":"{ann.id}"}}', True),
        (f'{{"values":["0","{ann.id}"]}}', True),
        ('{"value":"0"}', False),
        (f'{{"value":{ann.id}}}', False),
        ('{"values":[[],{}]}', False),
    ):
        claims = f'{{"id_token":{{"sub":{wanted}}}}}'
        answer = authorize(client, web, claims=claims, prompt="none")
        assert error_of(answer) == (None if meant else "login_required"), wanted


def test_acr_values_are_a_wish_and_essential_ones_are_not(client, session, web, ann):
    protocol.sign_in(client, session, ann)
    assert obtain(client, web, acr_values="phr mfa").identity["acr"] == "pwd"
    for wanted, error in (
        ('{"value":"phr"}', None),
        ('{"essential":true}', None),
        ('{"essential":true,"values":["phr","pwd"]}', None),
        ('{"essential":true,"value":"phr"}', "unmet_authentication_requirements"),
    ):
        claims = f'{{"id_token":{{"acr":{wanted}}}}}'
        assert error_of(authorize(client, web, claims=claims)) == error, wanted


def test_hints_for_the_page(client, session, web):
    asked = authorize(client, web, login_hint="ann@app.example", ui_locales="zh-CN en")
    text = client.get(asked.location).get_data(as_text=True)
    assert 'value="ann@app.example"' in text
    assert '<html lang="zh' in text
    for harmless in ({"display": "popup"}, {"claims_locales": "se"}, {"unknown": "x"}):
        assert page(authorize(client, web, **harmless)) == "/login"


def test_the_tenant_is_asked_for_when_there_are_several(client, session, web):
    acme, other = add_tenant(session), add_tenant(session, "Other")
    user = add_person(session, tenant_ids=(1, acme, add_tenant(session, "Beta")))
    protocol.sign_in(client, session, user)
    assert error_of(authorize(client, web, prompt="none")) == "interaction_required"
    asked = authorize(client, web)
    assert page(asked) == "/choose-tenant"
    for value in (str(other), "", "x", "-1", "9" * 30):
        refused = forms.send(client, asked.location, tenant=value)
        assert refused.status_code == 400, value
    chosen = forms.send(client, asked.location, tenant=str(acme))
    answer = redeem(client, web, protocol.code_of(client.get(chosen.location)))
    assert protocol.payload(answer.get_json()["id_token"])["tenant"] == {"id": acme, "name": "Acme"}
    # Remembered in the session; a request may still name another one.
    assert obtain(client, web, prompt="none").claims["tenant"]["id"] == acme
    assert obtain(client, web, tenant="1").claims["tenant"]["id"] == 1
    assert obtain(client, web).claims["tenant"]["id"] == acme
    assert error_of(authorize(client, web, tenant=str(other))) == "access_denied"


def test_who_belongs_nowhere_is_refused(client, session, web):
    nobody = add_person(session, tenant_ids=())
    protocol.sign_in(client, session, nobody)
    assert error_of(authorize(client, web)) == "access_denied"
    event = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.SIGN_IN_REFUSED)).one()
    assert (event.user_id, event.client_id) == (nobody.id, "web")
    assert event.details == {"reason": "not a member"}
