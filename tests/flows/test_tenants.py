"""Several issuers on their hosts, and tenants that sign in at the first."""

from __future__ import annotations

import pytest

from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import TenantStatus
from idp.oauth.models import Grant
from tests import protocol
from tests.attacks import forms
from tests.protocol import (
    CALLBACK,
    add_api,
    add_person,
    add_tenant,
    authorize,
    machine_token,
    obtain,
    redeem,
    register,
    register_machine,
)

FIRST = "http://127.0.0.1:8000"
HOST = "b.example:8000"
SECOND = f"http://{HOST}"


@pytest.fixture
def second(session, new_client):
    """A tenant with hosts of its own, and a browser at it."""
    tenant_id = add_tenant(session, "Beta", [HOST, "other.example:8000"])
    return tenant_id, new_client(SECOND)


def test_each_issuer_describes_itself(client, session, second, new_client):
    tenant_id, beta = second
    add_api(session, "inner", ["inner.read"], tenant_id=tenant_id)
    for browser, issuer in ((client, FIRST), (beta, SECOND)):
        for path in ("openid-configuration", "oauth-authorization-server"):
            metadata = browser.get(f"/.well-known/{path}").get_json()
            assert metadata["issuer"] == issuer
            for name, value in metadata.items():
                if name.endswith(("_endpoint", "_uri")):
                    assert value.startswith(issuer + "/"), name
        assert ("inner.read" in metadata["scopes_supported"]) == (browser is beta)
    keys = [
        browser.get("/.well-known/openid-configuration/jwks").get_json()
        for browser in (client, beta)
    ]
    assert keys[0] == keys[1]
    other = new_client("http://other.example:8000")
    assert other.get("/.well-known/openid-configuration").status_code == 404
    moved = other.get("/login?return_to=/account")
    assert moved.status_code == 308
    assert moved.location == SECOND + "/login?return_to=/account"
    assert new_client("http://unknown.example").get("/login").status_code == 400


def test_people_sign_in_at_each_on_their_own(client, session, second):
    tenant_id, beta = second
    app = register(session)
    user = add_person(session, tenant_ids=(1, tenant_id))
    for browser, issuer, tenant in ((client, FIRST, 1), (beta, SECOND, tenant_id)):
        asked = authorize(browser, app, scope="openid offline_access")
        assert asked.location.startswith("/login?")
        signed_in = forms.sign_in(browser, user, asked.location)
        fields = protocol.returned(browser.get(signed_in.location))
        assert fields["iss"] == issuer
        tokens = redeem(browser, app, fields["code"]).get_json()
        claims = protocol.payload(tokens["access_token"])
        assert claims["iss"] == protocol.payload(tokens["id_token"])["iss"] == issuer
        assert claims["tenant"]["id"] == tenant
        assert claims["aud"] == issuer
        assert protocol.is_active(browser, app, tokens["access_token"])
        answer = protocol.refresh(browser, app, tokens["refresh_token"]).get_json()
        assert protocol.payload(answer["access_token"])["iss"] == issuer
        names = {cookie.key for cookie in browser._cookies.values()}
        assert f"idp_{tenant}" in names
        # Besides it there are the tokens of forms, and what a device is known by.
        assert names == {f"idp_{tenant}", f"idp_{tenant}_device", f"idp_form_{tenant}"}
    # Signing out at one leaves the other alone.
    out = forms.send(beta, "/logout", answer="yes")
    assert out.status_code == 303
    assert protocol.code_of(authorize(client, app))
    assert authorize(beta, app).location.startswith("/login?")


def test_only_members_sign_in_at_a_tenants_own_issuer(session, second):
    tenant_id, beta = second
    app = register(session)
    stranger = add_person(session)
    asked = authorize(beta, app)
    refused = forms.send(beta, asked.location, login="ann", password=protocol.PASSWORD)
    assert refused.status_code == 400
    protocol.sign_in(beta, session, stranger)
    assert protocol.returned(authorize(beta, app))["error"] == "access_denied"
    # Nor can a request name a tenant of another issuer.
    member = add_person(session, "bob", tenant_ids=(1, tenant_id))
    protocol.sign_in(beta, session, member)
    assert protocol.returned(authorize(beta, app, tenant="1"))["error"] == "access_denied"
    assert obtain(beta, app, tenant=str(tenant_id)).claims["tenant"]["id"] == tenant_id


def test_a_tenant_without_hosts_signs_in_at_the_first_issuer(client, session):
    acme = add_tenant(session)
    app = register(session)
    user = add_person(session, tenant_ids=(acme,))
    asked = authorize(client, app, scope="openid offline_access")
    signed_in = forms.sign_in(client, user, asked.location)
    answer = redeem(client, app, protocol.code_of(client.get(signed_in.location))).get_json()
    claims = protocol.payload(answer["access_token"])
    assert claims["iss"] == FIRST
    assert claims["tenant"] == {"id": acme, "name": "Acme"}
    grant = session.query(Grant).one()
    assert (grant.tenant_id, grant.issuer_tenant_id) == (acme, 1)
    answer = protocol.refresh(client, app, answer["refresh_token"]).get_json()
    assert protocol.payload(answer["access_token"])["tenant"]["id"] == acme


def test_a_client_of_a_tenant_serves_its_members_only(client, session, second):
    acme = add_tenant(session)
    app = register(session, "acme-web", tenant_id=acme)
    member = add_person(session, tenant_ids=(1, acme))
    stranger = add_person(session, "bob")
    protocol.sign_in(client, session, member)
    # There is nothing to choose, however many tenants the person has.
    assert obtain(client, app).claims["tenant"]["id"] == acme
    assert protocol.returned(authorize(client, app, tenant="1"))["error"] == "access_denied"
    protocol.sign_in(client, session, stranger)
    assert protocol.returned(authorize(client, app))["error"] == "access_denied"
    # At another issuer the client is not known at all.
    _, beta = second
    assert authorize(beta, app).status_code == 400
    refused = redeem(beta, app, "x")
    assert refused.status_code == 401
    logout = beta.get(
        "/connect/endsession",
        query_string={"client_id": "acme-web", "post_logout_redirect_uri": protocol.AFTER_LOGOUT},
    )
    assert logout.location == "/signed-out"


def test_a_client_of_an_issuers_tenant_is_unknown_at_the_first(client, session, second):
    tenant_id, beta = second
    add_api(session)
    app = register_machine(session, scopes=["orders.read"], tenant_id=tenant_id)
    token = machine_token(beta, app).get_json()["access_token"]
    assert protocol.payload(token)["iss"] == SECOND
    assert machine_token(client, app).status_code == 401


def test_scopes_of_a_tenant_are_for_its_clients(client, session):
    acme = add_tenant(session)
    add_api(session, "acme", ["acme.read"], tenant_id=acme)
    own = register_machine(session, "own", scopes=["acme.read"], tenant_id=acme)
    assert machine_token(client, own).get_json()["scope"] == "acme.read"
    with pytest.raises(Exception, match=r"acme\.read"):
        register_machine(session, "foreign", scopes=["acme.read"])
    session.rollback()


def test_a_disabled_tenant_is_gone(client, session, second):
    tenant_id, beta = second
    app = register(session)
    user = add_person(session, tenant_ids=(1, tenant_id))
    protocol.sign_in(beta, session, user)
    tokens = obtain(beta, app, "openid offline_access")
    assert protocol.is_active(beta, app, tokens.access)
    row = tenants.get(session, tenant_id)
    tenants.change(session, row, status=TenantStatus.DISABLED)
    session.commit()
    for path in ("/.well-known/openid-configuration", "/login", f"/connect/authorize?a={CALLBACK}"):
        assert beta.get(path).status_code == 400
    assert protocol.refresh(beta, app, tokens.refresh).status_code == 400
    tenants.change(session, row, status=TenantStatus.ENABLED)
    session.commit()
    assert protocol.is_active(beta, app, tokens.access)


def test_a_membership_is_chosen_for_the_session(client, session):
    acme = add_tenant(session)
    off = add_tenant(session, "Off")
    app = register(session)
    user = add_person(session, tenant_ids=(acme, off))
    tenants.change(session, tenants.get(session, off), status=TenantStatus.DISABLED)
    protocol.sign_in(client, session, user)
    # A tenant that is switched off is no choice: the other one is taken without asking.
    assert obtain(client, app).claims["tenant"]["id"] == acme
    tenants.change(session, tenants.get(session, off), status=TenantStatus.ENABLED)
    session.commit()
    assert authorize(client, app).location.startswith("/choose-tenant?")
