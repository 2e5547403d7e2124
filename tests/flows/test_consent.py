"""Consent: asked, remembered, forgotten."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.oauth import consents
from idp.oauth.models import Consent
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.attacks import forms
from tests.protocol import Tokens, add_api, add_person, authorize, obtain, redeem, register

SCOPES = ("openid", "profile", "email", "orders.read", "orders.write")


@pytest.fixture
def scene(client, session):
    """A client that must ask, and a person signed in."""
    add_api(session)
    app = register(session, scopes=SCOPES, require_consent=True)
    user = add_person(session, email="ann@app.example")
    protocol.sign_in(client, session, user)
    return app, user


def asks_for_consent(answer):
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return answer.location.startswith("/consent?request=")


def consent(client, app, *scopes, remember=True, **parameters):
    """Start a flow, allow, and return the answer that goes to the client."""
    asked = authorize(client, app, **parameters)
    assert asks_for_consent(asked), asked.location
    allowed = forms.allow(client, asked.location, *scopes, remember=remember)
    return client.get(allowed.location)


def granted(client, app, answer):
    return Tokens(redeem(client, app, protocol.code_of(answer)).get_json())


def test_it_is_asked_once_and_remembered(client, session, scene):
    app, user = scene
    first = consent(client, app, "email", "orders.read", scope="openid email orders.read")
    assert granted(client, app, first).body["scope"] == "openid email orders.read"
    assert obtain(client, app, "openid email orders.read")
    # Less is covered; more is not.
    assert obtain(client, app, "openid email")
    assert asks_for_consent(authorize(client, app, scope="openid email profile"))
    assert asks_for_consent(authorize(client, app, scope="openid orders.write"))
    quiet = protocol.returned(authorize(client, app, scope="openid profile", prompt="none"))
    assert quiet["error"] == "consent_required"
    row = session.scalars(select(Consent)).one()
    assert row.scopes == ["email", "openid", "orders.read"]
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.CONSENT_GIVEN)).all()
    assert [(event.user_id, event.client_id) for event in events] == [(user.id, "web")]


def test_without_remembering_it_is_asked_again(client, session, scene):
    app, _ = scene
    assert protocol.code_of(consent(client, app, remember=False))
    assert asks_for_consent(authorize(client, app))
    assert session.scalar(select(Consent)) is None
    never = register(session, "never", require_consent=True, allow_remember_consent=False)
    assert protocol.code_of(consent(client, never))
    assert asks_for_consent(authorize(client, never))


def test_a_refusal_goes_back_to_the_client(client, session, scene):
    app, _ = scene
    asked = authorize(client, app, scope="openid email")
    refused = client.get(forms.deny(client, asked.location).location)
    fields = protocol.returned(refused)
    assert fields["error"] == "access_denied"
    assert fields["state"] == "the-state"
    assert fields["iss"] == "http://127.0.0.1:8000"
    assert asks_for_consent(authorize(client, app))
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.CONSENT_REFUSED))
    assert len(events.all()) == 1


def test_only_what_was_ticked_is_granted(client, session, scene):
    app, _user = scene
    scope = "openid profile email orders.read orders.write"
    answer = consent(client, app, "email", "orders.read", "ids4.ms.all", scope=scope)
    tokens = granted(client, app, answer)
    # `openid` is fixed on the page; what was not asked for cannot be ticked.
    assert tokens.body["scope"] == "openid email orders.read"
    assert tokens.claims["scope"] == "openid email orders.read"
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).get_json()
    assert userinfo.keys() == {"sub", "email", "email_verified"}
    assert asks_for_consent(authorize(client, app, scope=scope))


def test_a_box_that_is_no_longer_ticked_is_forgotten(client, session, scene):
    app, _ = scene
    consent(client, app, "email", "orders.read", scope="openid email orders.read")
    again = {"scope": "openid email", "prompt": "consent"}
    answer = consent(client, app, **again)
    assert granted(client, app, answer).body["scope"] == "openid"
    assert asks_for_consent(authorize(client, app, scope="openid email"))
    # What this page did not show stays as it was.
    assert obtain(client, app, "openid orders.read")


def test_it_lives_as_long_as_the_client_says(client, session, clock):
    add_api(session)
    app = register(session, scopes=SCOPES, require_consent=True, consent_lifetime=3600)
    protocol.sign_in(client, session, add_person(session))
    consent(client, app, "email", scope="openid email")
    clock.shift(3000)
    consent(client, app, "profile", scope="openid profile")
    clock.shift(599)
    assert obtain(client, app, "openid email profile")
    clock.shift(1)
    # Consenting to something else did not make the older consent live longer.
    assert asks_for_consent(authorize(client, app, scope="openid email"))
    consent(client, app, "email", scope="openid email")
    clock.shift(3599)
    assert obtain(client, app, "openid email")


def test_a_person_takes_it_back(client, session, scene):
    app, user = scene
    answer = consent(client, app, "email", scope="openid email offline_access")
    tokens = granted(client, app, answer)
    [given] = consents.list_consents(session, user.id)
    assert given.client_name == "Web"
    consents.revoke_consent(session, user.id, given.id)
    session.commit()
    assert asks_for_consent(authorize(client, app))
    assert not protocol.is_active(client, app, tokens.access)
    assert consents.list_consents(session, user.id) == []


@pytest.mark.no_database
def test_prompt_consent_asks_even_where_nothing_must_be_asked(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    assert obtain(client, app)
    assert protocol.code_of(consent(client, app, prompt="consent"))
    assert asks_for_consent(authorize(client, app, prompt="consent"))
    assert obtain(client, app)


@pytest.mark.no_database
def test_claims_asked_for_by_name_are_consented_to_as_well(client, scene):
    app, _ = scene
    wanted = '{"userinfo":{"email":null}}'
    assert protocol.code_of(consent(client, app))
    asked = authorize(client, app, claims=wanted)
    assert asks_for_consent(asked)
    assert 'value="email"' in client.get(asked.location).get_data(as_text=True)
    tokens = granted(client, app, consent(client, app, "email", claims=wanted))
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).get_json()
    assert userinfo["email"] == "ann@app.example"
    # The scope itself was not asked for and is not granted.
    assert tokens.body["scope"] == "openid"


def test_consents_of_two_tenants_are_two(client, session):
    acme = protocol.add_tenant(session)
    app = register(session, require_consent=True)
    user = add_person(session, tenant_ids=(1, acme))
    protocol.sign_in(client, session, user)
    assert protocol.code_of(consent(client, app, tenant="1"))
    assert asks_for_consent(authorize(client, app, tenant=str(acme)))
    assert protocol.code_of(authorize(client, app, tenant="1"))
