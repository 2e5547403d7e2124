"""The consent page."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import select

from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi, NewScope
from idp.oauth.models import Consent
from idp.platform.audit.tags import Tag
from tests.pages.browsing import events, goes_on, page_of_flow, submit
from tests.protocol import (
    PASSWORD,
    add_person,
    add_tenant,
    authorize,
    code_of,
    redeem,
    register,
    returned,
    sign_in,
)

SCOPES = ("openid", "profile", "email", "orders.read", "orders.write")


@pytest.fixture
def shop(session):
    resources.create_api(
        session,
        NewApi(
            name="orders",
            scopes=[
                NewScope("orders.read", "Read your orders", "All of them", required=True),
                NewScope("orders.write", "Change your <orders>", emphasize=True),
            ],
        ),
    )
    return register(session, scopes=SCOPES, require_consent=True, client_name="Lantern Shop")


@pytest.fixture
def address(client, session, shop):
    sign_in(client, session, add_person(session))
    return page_of_flow(client, shop, "/consent", scope=" ".join((*SCOPES, "offline_access")))


def boxes(page):
    found = re.findall(r"<input[^>]*name=\"scope\"[^>]*>", page, re.DOTALL)
    return {re.search(r'value="([^"]+)"', box)[1]: "disabled" in box for box in found}


def scope_of(client, shop, answer):
    return redeem(client, shop, code_of(client.get(answer.location))).get_json()["scope"].split()


def test_it_tells_who_asks_for_what(client, address):
    page = client.get(address).get_data(as_text=True)
    assert "Lantern Shop" in page
    assert "Read your orders" in page
    assert "All of them" in page
    assert "Change your &lt;orders&gt;" in page
    assert "Offline access" in page
    assert boxes(page) == {
        "openid": True,
        "profile": False,
        "email": False,
        "orders.read": True,
        "orders.write": False,
        "offline_access": False,
    }
    # What its operator marked, and nothing that every sign-in asks for.
    assert page.count("is-emphasized") == page.count("Sensitive") == 1
    assert re.search(r"is-emphasized.*Change your &lt;orders&gt;.*Sensitive", page, re.DOTALL)


def test_it_says_who_gives_data_for_whom_and_where_they_go(client, session, shop):
    acme, beta = add_tenant(session, "Acme <b>"), add_tenant(session, "Beta")
    ann = add_person(session, nick_name="Ann Lee", tenant_ids=(acme, beta))
    sign_in(client, session, ann)
    choice = page_of_flow(client, shop, "/choose-tenant")
    address = client.get(submit(client, choice, {"tenant": str(acme)}).location).location
    page = re.sub(r"\s+", " ", client.get(address).get_data(as_text=True))
    for label, value in (
        ("Your account", "Ann Lee"),
        ("Organisation", "Acme &lt;b&gt;"),
        ("Data goes to", '<span class="site">app.example</span>'),
    ):
        assert f"<dt>{label}</dt> <dd> {value}" in page
    assert "Beta" not in page
    # The organisation of the request counts, not the one that was chosen before.
    other = page_of_flow(client, shop, "/consent", tenant=str(beta))
    assert "<dt>Organisation</dt> <dd> Beta" in re.sub(
        r"\s+", " ", client.get(other).get_data(as_text=True)
    )


def test_who_is_somebody_else_signs_in_and_is_asked_for_themselves(client, session, shop, address):
    bob = add_person(session, "bob")
    page = client.get(address).get_data(as_text=True)
    link = unescape(re.search(r'<a href="(/login\?[^"]+)">Not you\?</a>', page)[1])
    answer = submit(client, link, {"login": "bob", "password": PASSWORD})
    assert goes_on(answer, address)
    again = client.get(client.get(answer.location).location).get_data(as_text=True)
    assert re.search(r"Your account</dt>\s*<dd>\s*bob", again)
    assert events(session, Tag.CONSENT_GIVEN) == []
    assert bob.id


def test_what_is_ticked_and_what_is_required_is_allowed(client, shop, address):
    answer = submit(client, address, {"answer": "allow", "scope": ["email"]})
    assert goes_on(answer, address)
    assert sorted(scope_of(client, shop, answer)) == ["email", "openid", "orders.read"]


def test_a_scope_that_was_not_asked_for_cannot_be_smuggled_in(client, session, shop):
    sign_in(client, session, add_person(session))
    address = page_of_flow(client, shop, "/consent", scope="openid orders.read")
    answer = submit(
        client, address, {"answer": "allow", "scope": ["orders.write", "ids4.ms.all", "email"]}
    )
    assert sorted(scope_of(client, shop, answer)) == ["openid", "orders.read"]


@pytest.mark.parametrize("answer", ["deny", "", "Allow"])
def test_anything_but_allowing_is_refusing(client, session, shop, address, answer):
    sent = submit(client, address, {"answer": answer, "scope": list(SCOPES)})
    assert returned(client.get(sent.location))["error"] == "access_denied"
    assert len(events(session, Tag.CONSENT_REFUSED)) == 1
    assert session.scalars(select(Consent)).all() == []


def test_a_remembered_consent_is_not_asked_for_again(client, session, shop, address):
    answer = submit(client, address, {"answer": "allow", "scope": list(SCOPES), "remember": "y"})
    client.get(answer.location)
    assert code_of(authorize(client, shop, scope="openid email"))
    assert len(events(session, Tag.CONSENT_GIVEN)) == 1


def test_one_that_is_not_remembered_is_asked_for_again(client, shop, address):
    answer = submit(client, address, {"answer": "allow", "scope": list(SCOPES)})
    assert code_of(client.get(answer.location))
    page_of_flow(client, shop, "/consent", scope="openid email")


def test_a_client_may_have_no_consent_remembered(client, session, shop):
    other = register(
        session, "other", scopes=SCOPES, require_consent=True, allow_remember_consent=False
    )
    sign_in(client, session, add_person(session))
    address = page_of_flow(client, other, "/consent")
    assert 'name="remember"' not in client.get(address).get_data(as_text=True)
    answer = submit(client, address, {"answer": "allow", "remember": "y"})
    client.get(answer.location)
    page_of_flow(client, other, "/consent")


def test_an_answer_without_the_forms_token_is_refused(client, session, address):
    assert client.post(address, data={"answer": "allow"}).status_code == 400
    assert events(session, Tag.CONSENT_GIVEN) == []
