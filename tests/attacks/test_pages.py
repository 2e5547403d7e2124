"""Attacks on the pages: framing, forged forms, reflected and stored text, planted sessions."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from sqlalchemy import select

from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.attacks import forms
from tests.protocol import AFTER_LOGOUT, add_person, authorize, obtain, register

HTML = {"Accept": "text/html"}
EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>{{7777*7}}"


def policy_of(answer):
    directives = {}
    for directive in answer.headers["Content-Security-Policy"].split(";"):
        name, *sources = directive.split()
        directives[name] = sources
    return directives


def is_harmless(answer):
    """Whether no unverified text became markup, and inline scripts would not run."""
    page = answer.get_data(as_text=True)
    reader = Reader()
    reader.feed(page)
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert not (attributes.get("href") or "").lower().startswith("javascript:")
        if tag == "script":
            assert "nonce" in attributes or "src" in attributes
        if tag == "img":
            assert attributes.get("src") != "x"
    policy = policy_of(answer)
    assert "54439" not in page  # the template did not run it
    for name in ("script-src", "default-src"):
        assert "'unsafe-inline'" not in policy.get(name, []), name
        assert "*" not in policy.get(name, []), name
    assert policy["default-src"] == ["'none'"]


class Reader(HTMLParser):
    """Lists the tags of a page as a browser sees them."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))


def cookie_of(browser):
    return browser.get_cookie("idp_1", domain="127.0.0.1")


@pytest.mark.no_database
def test_no_page_can_be_framed(client, session):
    # Row 13: login, consent, choices, logout, errors and even machine answers.
    app = register(session, require_consent=True)
    user = add_person(session)
    login = authorize(client, app).location
    pages = [client.get(login, headers=HTML), client.get("/forgot", headers=HTML)]
    protocol.sign_in(client, session, user)
    choose = authorize(client, app, prompt="select_account").location
    consent = authorize(client, app).location
    logout = client.get("/connect/endsession").location
    for path in (choose, consent, logout, "/account", "/signed-out", "/nowhere"):
        pages += [client.get(path, headers=HTML)]
    pages.append(client.get("/connect/authorize", headers=HTML))
    pages.append(client.get("/connect/authorize"))
    pages.append(client.get("/.well-known/openid-configuration"))
    pages.append(client.post("/connect/token"))
    for page in pages:
        assert page.status_code in {200, 400, 404}, page.request.path
        assert policy_of(page)["frame-ancestors"] == ["'none'"], page.request.path
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"


def is_shown_again(answer, path):
    """Return whether the answer to a form is its own page, at once or by a redirect."""
    return answer.status_code == 400 or (answer.status_code, answer.location) == (303, path)


def test_a_form_that_was_not_loaded_here_is_refused(client, session, new_client):
    # Row 14: sign-in, choice, consent and sign-out, with no token and with that of another browser.
    app = register(session, require_consent=True)
    user = add_person(session)
    stranger = new_client()
    foreign = forms.token_in(stranger.get("/login"))
    login = authorize(client, app).location
    credentials = {"login": user.username, "password": protocol.PASSWORD}
    for token in ({}, {"csrf_token": foreign}, {"csrf_token": ""}, {"csrf_token": "x"}):
        refused = client.post(login, data={**credentials, **token}, headers=HTML)
        assert is_shown_again(refused, login)
        assert cookie_of(client) is None

    protocol.sign_in(client, session, user)
    consent = authorize(client, app).location
    choose = authorize(client, app, prompt="select_account").location
    for path, answer in (
        (consent, {"answer": "allow", "scope": "openid"}),
        (choose, {"account": "current"}),
        ("/logout", {"answer": "yes"}),
    ):
        for token in ({}, {"csrf_token": foreign}):
            refused = client.post(path, data={**answer, **token}, headers=HTML)
            assert is_shown_again(refused, path)
    handle = consent.partition("=")[2]
    # Nothing was answered: the consent page is still asked for, and the session lives.
    again = client.get("/connect/authorize", query_string={"continue": handle})
    assert again.location.startswith("/consent?")
    assert session.scalars(select(BrowserSession)).one().ended_at is None


def test_an_answer_counts_only_for_the_session_that_gave_it(client, session, new_client):
    # A request that an attacker started, or that somebody else consented to, is nobody else's.
    app = register(session, require_consent=True)
    consent = {}
    ann, bob = add_person(session, "ann"), add_person(session, "bob")
    other = new_client()
    protocol.sign_in(client, session, ann)
    protocol.sign_in(other, session, bob)
    consent = authorize(client, app).location
    handle = consent.partition("=")[2]
    allowed = forms.allow(client, consent, "openid")
    assert allowed.status_code == 303
    # Bob opens the address that Ann's consent leads to, and is asked in turn.
    asked = other.get("/connect/authorize", query_string={"continue": handle})
    assert asked.location.startswith("/consent?")
    code = protocol.code_of(client.get(allowed.location))
    tokens = protocol.redeem(client, app, code).get_json()
    assert protocol.payload(tokens["access_token"])["sub"] == str(ann.id)
    # Done is done: the handle is worth nothing any more.
    for browser in (client, other):
        answer = browser.get("/connect/authorize", query_string={"continue": handle})
        assert answer.status_code == 400


def test_an_address_alone_signs_nobody_out(client, session, new_client):
    # Row 14: only an ID token of this very session spares the question.
    app = register(session)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    own = str(obtain(client, app).body["id_token"])
    elsewhere = new_client()
    protocol.sign_in(elsewhere, session, user)
    foreign = str(obtain(elsewhere, app).body["id_token"])
    bob = new_client()
    protocol.sign_in(bob, session, add_person(session, "bob"))
    stranger = str(obtain(bob, app).body["id_token"])
    for query in (
        {},
        {"client_id": "web", "post_logout_redirect_uri": AFTER_LOGOUT},
        {"id_token_hint": foreign},
        {"id_token_hint": stranger, "post_logout_redirect_uri": AFTER_LOGOUT},
        {"logout_hint": user.username},
    ):
        asked = client.get("/connect/endsession", query_string=query)
        assert asked.location.startswith("/logout?request="), query
        posted = client.post("/connect/endsession", data={"state": "s", **query})
        assert client.get(posted.location).location.startswith("/logout?request="), query
    alive = session.scalars(select(BrowserSession).where(BrowserSession.ended_at.is_(None)))
    assert len(list(alive)) == 3
    ended = client.get("/connect/endsession", query_string={"id_token_hint": own})
    assert ended.location == "/signed-out"
    assert authorize(client, app).location.startswith("/login?")


@pytest.mark.no_database
def test_text_of_a_stranger_never_becomes_markup(client, session):
    # Row 15: error pages, the form that posts an answer, hints.
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    reflected = authorize(client, app, response_mode="form_post", state=EVIL, scope=EVIL)
    is_harmless(reflected)
    assert "&lt;script&gt;" in reflected.get_data(as_text=True)
    for query in (
        [("client_id", EVIL)],
        [("client_id", "web"), ("redirect_uri", EVIL)],
        [(EVIL, "a"), (EVIL, "b")],
        [("continue", EVIL)],
    ):
        for path in ("/connect/authorize", "/connect/endsession"):
            is_harmless(client.get(path, query_string=query, headers=HTML))
    is_harmless(client.get("/login", query_string={"request": EVIL}, headers=HTML))
    is_harmless(client.get("/login", query_string={"return_to": EVIL}, headers=HTML))
    is_harmless(client.get(f"/{EVIL}", headers=HTML))
    hinted = authorize(client, app, prompt="login", login_hint=EVIL, ui_locales=EVIL)
    is_harmless(client.get(hinted.location, headers=HTML))


@pytest.mark.no_database
def test_what_a_client_says_about_itself_is_text(client, session):
    app = register(
        session,
        require_consent=True,
        client_name=EVIL,
        logo_uri="https://app.example/logo.svg?%22onerror=alert(1)",
        client_uri="https://app.example/'onclick='alert(1)",
    )
    login = client.get(authorize(client, app).location, headers=HTML)
    is_harmless(login)
    assert "&lt;script&gt;" in login.get_data(as_text=True)
    protocol.sign_in(client, session, add_person(session, nick_name=EVIL))
    for prompt in ("consent", "select_account"):
        is_harmless(client.get(authorize(client, app, prompt=prompt).location, headers=HTML))
    is_harmless(client.get("/account", headers=HTML))
    logout = client.get("/connect/endsession", query_string={"client_id": "web"})
    is_harmless(client.get(logout.location, headers=HTML))


@pytest.mark.no_database
def test_the_page_that_posts_an_answer_posts_to_the_proven_address_only(client, session):
    app = register(
        session,
        "native",
        application_type="native",
        public=True,
        redirect_uris=("com.example.app:/callback", "http://127.0.0.1/callback"),
    )
    protocol.sign_in(client, session, add_person(session))
    for address in ("com.example.app:/callback", "http://127.0.0.1:4711/callback"):
        answer = authorize(client, app, redirect_uri=address, response_mode="form_post")
        assert answer.status_code == 200
        # It would bind the redirects of the client as well.
        assert "form-action" not in policy_of(answer)
        assert policy_of(answer)["script-src"] == ["'self'"]
        assert f'action="{address}"' in answer.get_data(as_text=True)
        assert answer.headers["Cache-Control"] == "no-store"
        is_harmless(answer)


def test_a_planted_session_is_worth_nothing_after_signing_in(client, session, new_client):
    # Row 16: the attacker's cookie in the victim's browser, before they sign in.
    app = register(session)
    mallory, ann = add_person(session, "mallory"), add_person(session, "ann")
    attacker = new_client()
    forms.sign_in(attacker, mallory)
    planted = cookie_of(attacker).value
    for value in ("made-up", planted):
        client.set_cookie("idp_1", value, domain="127.0.0.1")
        forms.sign_in(client, ann, authorize(client, app, prompt="login").location)
        fresh = cookie_of(client).value
        assert fresh not in {value, planted}
        attacker.set_cookie("idp_1", value, domain="127.0.0.1")
        assert attacker.get("/account").status_code == 303
    users = [row.user_id for row in session.scalars(select(BrowserSession)) if not row.ended_at]
    assert users == [ann.id] * len(users)


def test_every_sign_in_changes_the_session_id(client, session):
    app = register(session)
    user = add_person(session)
    forms.sign_in(client, user)
    first = cookie_of(client).value
    again = authorize(client, app, prompt="login").location
    forms.sign_in(client, user, again)
    second = cookie_of(client).value
    assert first != second
    client.set_cookie("idp_1", first, domain="127.0.0.1")
    assert authorize(client, app).location.startswith("/login?")
    client.set_cookie("idp_1", second, domain="127.0.0.1")
    assert protocol.code_of(authorize(client, app))


@pytest.mark.settings(public_url="https://id.example")
def test_the_session_cookie_cannot_be_read_sent_or_planted_from_elsewhere(
    new_client, session, settings
):
    browser = new_client()
    user = add_person(session)
    page = browser.get("/login", headers=HTML)
    answer = browser.post(
        "/login",
        data={
            "csrf_token": forms.token_in(page),
            "login": user.username,
            "password": protocol.PASSWORD,
        },
        headers={**HTML, "Referer": "https://id.example/login"},
    )
    assert answer.status_code == 303
    cookies = answer.headers.getlist("Set-Cookie")
    [cookie] = [text for text in cookies if text.startswith("__Host-idp_1=")]
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    for text in [*cookies, *page.headers.getlist("Set-Cookie")]:
        assert text.startswith("__Host-"), text
        assert "HttpOnly" in text
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert len(cookie.partition("=")[2].partition(";")[0]) <= sessions.MAX_COOKIE
