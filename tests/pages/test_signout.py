"""Signing out."""

from __future__ import annotations

from urllib.parse import urlsplit

from idp.platform.audit.tags import Tag
from tests.pages.browsing import events, submit
from tests.protocol import AFTER_LOGOUT, add_person, is_active, obtain, register, sign_in


def test_an_address_alone_signs_nobody_out(client, session):
    sign_in(client, session, add_person(session))
    page = client.get("/logout")
    assert page.status_code == 200
    assert "Sign out?" in page.get_data(as_text=True)
    assert client.get("/account").status_code == 200


def test_a_post_without_the_forms_token_signs_nobody_out(client, session):
    sign_in(client, session, add_person(session))
    assert client.post("/logout", data={"answer": "yes"}).status_code == 400
    assert client.get("/account").status_code == 200


def test_a_person_signs_out(client, session):
    app = register(session)
    user = add_person(session)
    sign_in(client, session, user)
    tokens = obtain(client, app)
    answer = submit(client, "/logout", {"answer": "yes"})
    assert (answer.status_code, answer.location) == (303, "/signed-out")
    assert "idp_1=;" in answer.headers["Set-Cookie"]
    assert "You are signed out" in client.get("/signed-out").get_data(as_text=True)
    assert client.get("/account").status_code == 303
    assert not is_active(client, app, tokens.access)
    (event,) = events(session, Tag.SIGN_OUT)
    assert event.user_id == user.id


def test_a_person_stays_signed_in(client, session):
    sign_in(client, session, add_person(session))
    assert submit(client, "/logout", {"answer": "no"}).location == "/account"
    assert client.get("/account").status_code == 200


def test_who_is_not_signed_in_is_told_so(client):
    assert client.get("/logout").location == "/signed-out"


def test_an_application_asks_and_gets_its_visitor_back(client, session):
    app = register(session, client_name="Lantern Shop")
    sign_in(client, session, add_person(session))
    asked = client.get(
        "/connect/endsession",
        query_string={
            "client_id": app.client_id,
            "post_logout_redirect_uri": AFTER_LOGOUT,
            "state": "bye",
        },
    )
    assert urlsplit(asked.location).path == "/logout"
    assert "Lantern Shop" in client.get(asked.location).get_data(as_text=True)
    answer = submit(client, asked.location, {"answer": "yes"})
    assert urlsplit(answer.location).path == "/connect/endsession"
    assert client.get("/account").status_code == 303
    end = client.get(answer.location)
    assert end.status_code == 303
    assert end.location.partition("?")[0] in {AFTER_LOGOUT, "/signed-out"}
