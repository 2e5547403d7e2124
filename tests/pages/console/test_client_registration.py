"""Registration tokens in the console."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.directory.actor import OPERATOR
from idp.directory.clients import management, registration_tokens
from idp.directory.clients import service as clients
from idp.directory.clients.models import ClientRegistration, RegistrationToken
from idp.directory.clients.registration_tokens import Statements
from tests.api import admin
from tests.pages.browsing import HTML, readable, send, submit
from tests.registering import enrol, initial_token, let_in, manage, refused
from tests.registering import send as send_metadata

pytestmark = pytest.mark.no_database

PATH = "/clients/registration-tokens"
PLATFORM = "/console/platform"
METADATA = "invalid_client_metadata"
STATEMENT = "invalid_software_statement"
ONCE = re.compile(r'<div class="once">\s*<code>([^<]+)</code>')


def issue(client, form):
    """Issue a token by the form; return the page that shows it, and the token."""
    page = submit(client, PLATFORM + PATH, form, follow_redirects=True).get_data(as_text=True)
    (token,) = ONCE.findall(page)
    return page, token


def test_a_token_is_issued_shown_once_and_revoked(client, new_client, session, root):
    form = {
        "note": "The shop",
        "uses": "2",
        "days": "7",
        "redirect_hosts": "app.example\r\n*.apps.example",
        "scopes": "openid email",
    }
    _, token = issue(client, form)
    again = client.get(PLATFORM + PATH, headers=HTML).get_data(as_text=True)
    assert not ONCE.search(again)
    assert "The shop" in again
    assert "*.apps.example" in again
    made = enrol(new_client(), token)
    assert made["scope"] == "openid email"
    row = session.scalar(select(RegistrationToken))
    assert (row.uses_left, row.created_by, row.tenant_id) == (1, root.id, None)
    page = client.get(PLATFORM + PATH, headers=HTML)
    path = f"{PLATFORM}{PATH}/{row.id}/revoke"
    revoked = send(client, page, path, {}, follow_redirects=True)
    assert "Revoked" in revoked.get_data(as_text=True)
    session.expire_all()
    assert row.revoked_at is not None


def test_a_token_says_how_clients_authenticate_and_what_proves_who_made_them(
    client, new_client, session, root
):
    form = {
        "days": "7",
        "grant_types": ["client_credentials"],
        "auth_methods": ["client_secret_post", "private_key_jwt"],
        "is_trusted": "y",
        "without_pkce": "y",
    }
    page, token = issue(client, form)
    for text in ("client_secret_post", "without PKCE"):
        assert f'<span class="tag">{text}</span>' in page
    policy = registration_tokens.policy_of(session.scalar(select(RegistrationToken)))
    assert (policy.is_trusted, policy.requires_pkce, policy.statements) == (True, False, None)
    machine = {"redirect_uris": None, "grant_types": ["client_credentials"], "response_types": []}
    assert refused(send_metadata(new_client(), token, **machine), METADATA, "auth_method")
    made = enrol(new_client(), token, **machine, token_endpoint_auth_method="client_secret_post")
    assert made["grant_types"] == ["client_credentials"]


def test_a_token_may_require_a_software_statement(client, new_client, session, root):
    form = {
        "days": "7",
        "statement_issuer": "https://vendor.example",
        "statement_jwks_uri": "https://vendor.example/jwks",
        "statement_required": "y",
    }
    _, token = issue(client, form)
    assert refused(send_metadata(new_client(), token), STATEMENT, status=400)
    session.expire_all()
    policy = registration_tokens.policy_of(session.scalar(select(RegistrationToken)))
    assert policy.statements == Statements(
        "https://vendor.example", "https://vendor.example/jwks", ["RS256", "ES256"], True
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"uses": "many"}, "uses"),
        ({"uses": "0"}, "uses"),
        ({"redirect_hosts": "https://x"}, "redirect_hosts"),
        ({"scopes": "none"}, "scopes"),
        ({"without_pkce": "y"}, "without_pkce"),
        ({"auth_methods": "magic"}, "auth_methods"),
        ({"statement_required": "y"}, "statement_issuer"),
        (
            {"statement_issuer": "https://vendor.example", "statement_jwks_uri": "nowhere"},
            "statement_jwks_uri",
        ),
    ],
)
def test_what_a_token_cannot_say_is_refused_beside_its_field(client, session, root, wrong, field):
    answer = submit(client, PLATFORM + PATH, {"days": "7", **wrong})
    assert answer.status_code in {400, 422}
    assert f'id="{field}-error"' in answer.text
    assert session.scalar(select(RegistrationToken)) is None


def test_an_administrator_of_a_tenant_issues_tokens_of_the_tenant(client, session, boss):
    initial_token(session)  # of the platform
    path = f"/console/t/{boss}{PATH}"
    page = submit(client, path, {"days": "7"}, follow_redirects=True)
    assert ONCE.search(page.get_data(as_text=True))
    rows = session.scalars(select(RegistrationToken).order_by(RegistrationToken.id)).all()
    assert [row.tenant_id for row in rows] == [None, boss]
    listed = client.get(path, headers=HTML).get_data(as_text=True)
    assert f"#{rows[1].id} " in listed
    assert f"#{rows[0].id} " not in listed


def test_a_promoted_client_has_no_say_in_itself_any_more(client, new_client, session, root):
    let_in(session)
    browser = new_client()
    made = enrol(browser)
    assert manage(browser, "GET", made).status_code == 200
    row = clients.get(session, made["client_id"])
    management.promote(session, OPERATOR, row.id)
    session.commit()
    assert manage(browser, "GET", made).status_code == 401
    assert session.scalar(select(ClientRegistration)) is None


def test_a_trusted_client_is_promoted_in_the_console(client, new_client, session, root):
    browser = new_client()
    made = enrol(browser, initial_token(session, is_trusted=True))
    row = clients.get(session, made["client_id"])
    assert row.origin == "operator"
    screen = f"{PLATFORM}/clients/{row.id}"
    page = client.get(f"{screen}/settings", headers=HTML)
    assert "It can change itself within the rules of its token." in readable(page)
    assert manage(browser, "GET", made).status_code == 200
    assert send(client, page, f"{screen}/promote", {}).status_code == 303
    assert manage(browser, "GET", made).status_code == 401
    page = client.get(f"{screen}/settings", headers=HTML)
    assert "Register here" not in readable(page)
    assert send(client, page, f"{screen}/promote", {}).status_code == 409


def test_a_trusted_client_is_promoted_by_the_api(client, new_client, session):
    made = enrol(new_client(), initial_token(session, is_trusted=True))
    row_id = clients.get(session, made["client_id"]).id
    caller = admin.root(client, session)
    for status in (200, 409):
        answer = admin.send(caller, "POST", f"/tenants/1/clients/{row_id}/promote")
        assert answer.status_code == status, answer.get_json()
    assert session.scalar(select(ClientRegistration)) is None
