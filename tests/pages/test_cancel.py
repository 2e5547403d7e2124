"""The button that goes back to the application without an answer."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from idp.directory.clients.models import ClientRedirectUri
from idp.platform.audit.tags import Tag
from tests.pages.browsing import HTML, events, goes_on, page_of_flow, send
from tests.protocol import CALLBACK, add_person, add_tenant, authorize, register, returned, sign_in

REFUSED = {
    "error": "access_denied",
    "error_description": "The person refused",
    "state": "the-state",
    "iss": "http://127.0.0.1:8000",
}
BUTTON = re.compile(r'formaction="(/cancel\?request=[^"]+)"')


def cancel(browser, address):
    """Press the button of a page."""
    page = browser.get(address, headers=HTML)
    return send(browser, page, BUTTON.search(page.get_data(as_text=True))[1], {})


@pytest.mark.parametrize("mode", ["query", "fragment"])
def test_a_person_refuses_at_the_sign_in(client, session, mode):
    app = register(session, require_consent=False)
    address = page_of_flow(client, app, "/login", response_mode=mode)
    answer = cancel(client, address)
    assert goes_on(answer, address)
    back = client.get(answer.location)
    assert returned(back) == REFUSED
    assert getattr(urlsplit(back.location), mode)
    assert urlsplit(back.location)._replace(query="", fragment="").geturl() == CALLBACK
    (event,) = events(session, Tag.CONSENT_REFUSED)
    assert (event.user_id, event.client_id) == (None, "web")
    # The request is answered: nobody can go on with it.
    assert client.get(answer.location).status_code == 400
    assert client.get(address, headers=HTML).status_code == 400


def test_the_refusal_is_posted_where_the_request_says_so(client, session):
    app = register(session)
    address = page_of_flow(client, app, "/login", response_mode="form_post")
    page = client.get(cancel(client, address).location)
    assert page.status_code == 200
    text = unescape(page.get_data(as_text=True))
    assert f'action="{CALLBACK}"' in text
    assert dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text)) == REFUSED


def test_a_person_who_is_signed_in_refuses_at_every_page(client, session):
    app = register(session)
    ann = add_person(session, tenant_ids=[add_tenant(session, name) for name in ("Acme", "Beta")])
    sign_in(client, session, ann)
    for path, parameters in (
        ("/choose", {"prompt": "select_account"}),
        ("/choose-tenant", {}),
        ("/login", {"prompt": "login"}),
    ):
        answer = cancel(client, page_of_flow(client, app, path, **parameters))
        assert returned(client.get(answer.location)) == REFUSED, path
    assert client.get("/account").status_code == 200


def test_cancel_takes_the_token_of_a_form(client, session):
    address = page_of_flow(client, register(session), "/login")
    refused = client.post(f"/cancel?{urlsplit(address).query}", headers=HTML)
    assert refused.status_code == 400
    assert client.get(address, headers=HTML).status_code == 200
    assert events(session, Tag.CONSENT_REFUSED) == []


def test_there_is_no_cancel_where_nobody_waits(client, session):
    page = client.get("/login", headers=HTML)
    assert "/cancel" not in page.get_data(as_text=True)
    for path in ("/cancel", "/cancel?request=invented"):
        assert send(client, page, path, {}).status_code == 400


def test_a_logout_that_waits_cannot_be_cancelled_as_a_sign_in(client, session):
    register(session)
    sign_in(client, session, add_person(session))
    asked = client.get("/connect/endsession", query_string={"client_id": "web"}).location
    page = client.get(asked, headers=HTML)
    assert send(client, page, f"/cancel?{urlsplit(asked).query}", {}).status_code == 400
    assert client.get(asked, headers=HTML).status_code == 200


def test_an_address_that_is_no_longer_registered_gets_no_refusal(client, session, runtime):
    app = register(session)
    address = page_of_flow(client, app, "/login")
    answer = cancel(client, address)
    session.execute(
        update(ClientRedirectUri)
        .where(ClientRedirectUri.client_id == app.row_id)
        .values(redirect_uri="https://elsewhere.example/callback")
    )
    runtime.cache.clear()
    page = client.get(answer.location, headers=HTML)
    assert page.status_code == 400
    assert page.location is None


def test_what_was_refused_is_asked_again_by_a_new_request(client, session):
    app = register(session)
    sign_in(client, session, add_person(session))
    answer = cancel(client, page_of_flow(client, app, "/choose", prompt="select_account"))
    assert returned(client.get(answer.location)) == REFUSED
    assert "code" in returned(authorize(client, app))
