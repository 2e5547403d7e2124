"""Logout started by a client (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from idp import jobs
from idp.directory.clients.models import ClientPostLogoutRedirectUri
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from tests import protocol
from tests.attacks import forms
from tests.protocol import AFTER_LOGOUT, CALLBACK, add_person, authorize, obtain, register

END = "/connect/endsession"
DAY = 86_400


@pytest.fixture
def scene(client, session):
    """A client and a person signed in to it."""
    app = register(session)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return app, user, obtain(client, app)


def end(client, **query):
    return client.get(END, query_string=query)


def is_signed_in(client, app):
    return "code" in protocol.returned(authorize(client, app, prompt="none"))


def test_an_id_token_of_this_session_signs_out_at_once(client, session, scene):
    app, user, tokens = scene
    answer = end(
        client,
        id_token_hint=tokens.body["id_token"],
        post_logout_redirect_uri=AFTER_LOGOUT,
        state="a state & more",
    )
    assert answer.status_code == 303
    assert answer.location == AFTER_LOGOUT + "?state=a+state+%26+more"
    assert client.get_cookie("idp_1", domain="127.0.0.1") is None
    assert not is_signed_in(client, app)
    assert not protocol.is_active(client, app, tokens.access)
    assert session.scalars(select(BrowserSession)).one().ended_at is not None
    [event] = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.SIGN_OUT))
    assert event.user_id == user.id
    # Once more: nobody is signed in, and the browser goes on all the same.
    again = end(
        client, id_token_hint=tokens.body["id_token"], post_logout_redirect_uri=AFTER_LOGOUT
    )
    assert again.location == AFTER_LOGOUT


def test_the_browser_goes_on_to_the_very_text_that_was_registered(client, session):
    address = "https://App.example:443/bye?x=[1]"
    app = register(session)
    session.add(ClientPostLogoutRedirectUri(client_id=app.row_id, post_logout_redirect_uri=address))
    session.commit()
    protocol.sign_in(client, session, add_person(session))
    hint = obtain(client, app).body["id_token"]
    answer = end(client, id_token_hint=hint, post_logout_redirect_uri=address, state="s")
    assert answer.headers["Location"] == address + "&state=s"


@pytest.mark.no_database
def test_the_person_is_asked_and_goes_where_the_client_wants(client, session, scene):
    app, _, _ = scene
    query = {"client_id": "web", "post_logout_redirect_uri": AFTER_LOGOUT, "state": "s"}
    asked = end(client, **query)
    assert asked.location.startswith("/logout?request=")
    refused = forms.send(client, asked.location, answer="no")
    assert refused.location == "/account"
    assert is_signed_in(client, app)
    signed_out = forms.send(client, asked.location, answer="yes")
    back = client.get(signed_out.location)
    assert back.location == AFTER_LOGOUT + "?state=s"
    assert not is_signed_in(client, app)
    # The request is done with.
    assert client.get(signed_out.location).status_code == 400


@pytest.mark.no_database
def test_an_expired_id_token_is_a_good_hint(client, scene, clock):
    app, _, tokens = scene
    clock.shift(8 * 3600)
    answer = end(client, id_token_hint=tokens.body["id_token"])
    assert answer.location == "/signed-out"
    assert not is_signed_in(client, app)


@pytest.mark.settings(remember_days=400)
@pytest.mark.parametrize("revoked", [False, True])
def test_the_hint_is_good_as_long_as_a_session_may_live(client, session, clock, runtime, revoked):
    app = register(session)
    user = add_person(session)
    address = urlsplit(client.base_url)
    cookie = protocol.start_session(session, address.netloc, user, remember=True)
    client.set_cookie(*cookie, domain=address.hostname)
    tokens = obtain(client, app)
    hint = tokens.body["id_token"]
    kid = protocol.header(hint)["kid"]
    signing.rotate(session, "RS256")
    session.commit()
    if revoked:
        signing.revoke(session, kid)
        session.commit()
    clock.shift(399 * DAY)
    jobs.rotate_keys(runtime, threading.Event())
    listed = client.get("/.well-known/openid-configuration/jwks").get_json()["keys"]
    assert kid not in {key["kid"] for key in listed}
    assert not protocol.is_active(client, app, tokens.access)

    hinted = authorize(client, app, id_token_hint=hint, prompt="none")
    assert ("code" in protocol.returned(hinted)) is not revoked
    other = add_person(session, "bea")
    protocol.sign_in(client, session, other)
    hinted = authorize(client, app, id_token_hint=hint, prompt="none")
    error = "invalid_request" if revoked else "login_required"
    assert protocol.returned(hinted)["error"] == error
    client.set_cookie(*cookie, domain=address.hostname)
    ended = end(client, id_token_hint=hint, post_logout_redirect_uri=AFTER_LOGOUT)
    if revoked:
        assert ended.status_code == 400
        return
    assert ended.location == AFTER_LOGOUT
    assert not is_signed_in(client, app)
    # Nobody can be signed in since then.
    clock.shift(2 * DAY)
    assert end(client, id_token_hint=hint).status_code == 400


@pytest.mark.no_database
def test_a_posted_request_works_like_any_other(client, scene):
    app, _, tokens = scene
    form = {"id_token_hint": tokens.body["id_token"], "post_logout_redirect_uri": AFTER_LOGOUT}
    posted = client.post(END, data=form)
    assert posted.status_code == 303
    assert client.get(posted.location).location == AFTER_LOGOUT
    assert not is_signed_in(client, app)


@pytest.mark.no_database
def test_only_a_registered_address_is_gone_to(client, session, scene):
    app, _, tokens = scene
    register(session, "other")
    hint = tokens.body["id_token"]
    for address in (
        CALLBACK,
        AFTER_LOGOUT + "/",
        AFTER_LOGOUT + "?x=1",
        AFTER_LOGOUT + "#x",
        AFTER_LOGOUT.replace("https", "http"),
        AFTER_LOGOUT.upper(),
        "https://evil.example/bye",
        "//evil.example",
        "/account",
        "javascript:alert(1)",
    ):
        for query in ({"id_token_hint": hint}, {"client_id": "web"}):
            answer = end(client, post_logout_redirect_uri=address, **query)
            assert answer.status_code == 400, address
            assert "Location" not in answer.headers, address
    mixed = end(client, id_token_hint=hint, client_id="other")
    assert mixed.status_code == 400
    assert is_signed_in(client, app)


@pytest.mark.no_database
def test_nobody_vouches_for_an_address_without_a_client(client, scene):
    app, _, _ = scene
    for query in (
        {"post_logout_redirect_uri": AFTER_LOGOUT},
        {"post_logout_redirect_uri": "https://evil.example", "client_id": "nobody"},
        {"state": "only"},
        {},
    ):
        asked = end(client, **query)
        signed_out = forms.send(client, asked.location, answer="yes")
        done = client.get(signed_out.location)
        assert done.location == "/signed-out"
        assert client.get(done.location).status_code == 200
        assert not is_signed_in(client, app)
        forms.sign_in(client, scene[1])
    assert end(client, state="x").location.startswith("/logout")


@pytest.mark.no_database
def test_a_broken_hint_is_refused_on_a_page(client, scene):
    app, _, tokens = scene
    hint = str(tokens.body["id_token"])
    for broken in (hint[:-4], hint + "A", "x", "a.b.c", tokens.access):
        answer = end(client, id_token_hint=broken, post_logout_redirect_uri=AFTER_LOGOUT)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
    assert is_signed_in(client, app)
