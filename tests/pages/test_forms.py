"""What every form passes before its view: where it was sent from, and for whom it was shown."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from html import unescape

import pytest
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import func, select

from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from idp.platform.web import csrf
from tests.pages.browsing import HTML, csrf_token, events, goes_on, page_of_flow, send
from tests.protocol import PASSWORD, add_person, register, sign_in

HERE = "https://id.example"
HTTPS = pytest.mark.settings(public_url=HERE)
RIGHT = {"login": "ann", "password": PASSWORD}


def sessions_in(session):
    return session.scalar(select(func.count()).select_from(BrowserSession))


@HTTPS
@pytest.mark.no_database
@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Origin": HERE, "Referer": f"{HERE}/login"}, True),
        ({"Origin": HERE}, True),
        ({"Referer": f"{HERE}/login"}, True),
        ({"Referer": HERE}, True),
        ({}, True),
        ({"Origin": "null", "Referer": f"{HERE}/login"}, True),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://id.example"}, False),
        ({"Origin": "https://id.example:8443"}, False),
        ({"Origin": "https://id.example.evil.example"}, False),
        ({"Origin": ""}, False),
        ({"Referer": "https://evil.example/login"}, False),
        ({"Referer": "https://id.example@evil.example/"}, False),
        ({"Referer": "http://id.example/login"}, False),
        ({"Referer": "https://[/"}, False),
        ({"Referer": ""}, False),
        ({"Origin": HERE, "Referer": "https://evil.example/"}, False),
        ({"Origin": "https://evil.example", "Referer": f"{HERE}/login"}, False),
    ],
    ids=lambda value: "-".join(value.values()) or "neither" if isinstance(value, dict) else None,
)
def test_a_form_is_taken_by_origin_or_referrer_and_refused_when_one_is_wrong(
    new_client, session, headers, is_taken
):
    add_person(session)
    browser = new_client()
    form = {"csrf_token": csrf_token(browser.get("/login", headers=HTML)), **RIGHT}
    answer = browser.post("/login", data=form, headers={**HTML, **headers})
    assert answer.status_code == (303 if is_taken else 400)
    assert sessions_in(session) == is_taken
    if not is_taken:
        assert "sent from another site" in unescape(answer.get_data(as_text=True))


@HTTPS
@pytest.mark.no_database
@pytest.mark.parametrize("headers", [{}, {"Origin": HERE, "Referer": f"{HERE}/login"}])
def test_without_token_or_cookie_no_header_helps(new_client, session, headers):
    add_person(session)
    browser, other = new_client(), new_client()
    page = browser.get("/login", headers=HTML)
    foreign = csrf_token(other.get("/login", headers=HTML))
    for token in ({}, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": foreign}):
        answer = browser.post("/login", data={**RIGHT, **token}, headers={**HTML, **headers})
        assert (answer.status_code, answer.location) == (303, "/login")
    browser.delete_cookie("__Host-idp_form_1", domain="id.example")
    form = {**RIGHT, "csrf_token": csrf_token(page)}
    answer = browser.post("/login", data=form, headers={**HTML, **headers})
    assert answer.status_code == 400
    assert sessions_in(session) == 0


@pytest.mark.no_database
def test_a_program_is_told_the_reason_by_its_code(client, session):
    token = csrf_token(client.get("/login", headers=HTML))
    elsewhere = {"Origin": "https://evil.example"}
    for form, headers, code in (
        ({"csrf_token": token}, elsewhere, "form_from_elsewhere"),
        ({"csrf_token": "x"}, {}, "form_expired"),
    ):
        answer = client.post("/login", data={**RIGHT, **form}, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (400, code)
    client.delete_cookie("idp_form_1", domain="127.0.0.1")
    answer = client.post("/login", data={**RIGHT, "csrf_token": token})
    assert answer.get_json()["code"] == "form_without_cookie"


FOR_ANYONE = {
    "/cancel",
    "/login",
    "/login/passkey",
    "/forgot",
    "/forgot/<token>",
    "/register/<any(mobile, email):kind>",
    "/register/<any(mobile, email):kind>/again",
    "/register/<any(mobile, email):kind>/code",
    "/register/account",
}
"""Forms that name the person they are about, whichever person is signed in."""


def forms_of(app):
    """List the forms of pages: what takes a post, is not exempt, and has the token checked."""
    exempt = app.extensions["idp.forms"].exempt
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if "POST" in rule.methods and exempt.isdisjoint(blueprints_of(rule))
    ]
    assert len(rules) > 12
    return rules


def blueprints_of(rule):
    """List the names of the blueprints around a view, the innermost first."""
    names = rule.endpoint.split(".")[:-1]
    return [".".join(names[:count]) for count in range(len(names), 0, -1)]


def filled(rule):
    """Write an address of a route."""
    values = {
        name: next(iter(getattr(converter, "items", ["1"])))
        for name, converter in rule._converters.items()
    }
    return rule.build(values)[1] if rule.arguments else rule.rule


def test_every_form_is_bound_to_the_person_that_it_was_shown_to(app, client, session):
    # A new form is bound without doing anything for it; what is not, is listed above.
    ann, bob = add_person(session), add_person(session, "bob")
    sign_in(client, session, ann)
    form = {"csrf_token": csrf_token(client.get("/account/password", headers=HTML))}
    sign_in(client, session, bob)
    bound = set()
    for rule in forms_of(app):
        answer = client.post(filled(rule), data=form, headers=HTML)
        if answer.status_code == 409:
            bound.add(rule.rule)
            page = unescape(answer.get_data(as_text=True))
            assert "You are now signed in as someone else" in page
            assert "Continue as bob" in page
    assert {rule.rule for rule in forms_of(app)} - bound == FOR_ANYONE
    # The same forms of the person who is signed in pass the check.
    sign_in(client, session, ann)
    for rule in forms_of(app):
        assert client.post(filled(rule), data=form, headers=HTML).status_code != 409, rule.rule


def test_consent_is_not_given_by_somebody_else_who_signed_in_meanwhile(client, session):
    app = register(session, require_consent=True)
    ann, bob = add_person(session), add_person(session, "bob")
    sign_in(client, session, ann)
    address = page_of_flow(client, app, "/consent")
    page = client.get(address, headers=HTML)
    sign_in(client, session, bob)
    answer = send(client, page, address, {"answer": "allow", "scope": "openid"})
    assert answer.status_code == 409
    handle = address.partition("=")[2]
    again = client.get("/connect/authorize", query_string={"continue": handle})
    assert again.location == address  # asked, and not answered
    assert events(session, Tag.CONSENT_GIVEN) == []
    # The way on is the same page, for the one who is signed in now.
    link = re.search(r'href="(/consent\?request=[^"]+)"', answer.get_data(as_text=True))[1]
    page = client.get(link, headers=HTML).get_data(as_text=True)
    assert re.search(r"Your account</dt>\s*<dd>\s*bob", page)


def test_a_password_is_not_changed_for_somebody_else_who_signed_in_meanwhile(client, session):
    ann, bob = add_person(session), add_person(session, "bob")
    sign_in(client, session, ann)
    page = client.get("/account/password", headers=HTML)
    sign_in(client, session, bob)
    new = "seven-quiet-otters"
    form = {"current": PASSWORD, "password": new, "repeated": new}
    assert send(client, page, "/account/password", form).status_code == 409
    assert events(session, Tag.PASSWORD_CHANGED) == []


def test_the_way_on_from_a_button_of_a_list_is_the_list(client, session):
    ann, bob = add_person(session), add_person(session, "bob")
    sign_in(client, session, ann)
    page = client.get("/account/password", headers=HTML)
    sign_in(client, session, bob)
    form = {"csrf_token": csrf_token(page)}
    sent_from = {"Referer": "http://127.0.0.1:8000/account/sessions"}
    answer = client.post("/account/sessions/end-others", data=form, headers={**HTML, **sent_from})
    assert answer.status_code == 409
    link = re.search(r'class="btn btn-plain"\s+href="([^"]+)"', answer.get_data(as_text=True))
    assert link[1] == "/account/sessions"


def test_a_form_shown_to_nobody_binds_nobody_who_signed_in_meanwhile(client, session):
    ann = add_person(session)
    form = {"csrf_token": csrf_token(client.get("/login", headers=HTML)), "answer": "yes"}
    sign_in(client, session, ann)
    assert client.post("/logout", data=form, headers=HTML).status_code == 409
    assert client.get("/account").status_code == 200


def test_a_page_names_nobody_by_what_binds_its_forms(client, new_client, session):
    ann = add_person(session)
    other = new_client()
    marks = []
    for browser in (client, other):
        sign_in(browser, session, ann)
        token = csrf_token(browser.get("/account/password", headers=HTML))
        marks.append(token.partition("~")[2])
    assert marks[0] != marks[1]
    # What one page carries is worth nothing in another browser, for the same person too.
    mixed = csrf_token(client.get("/account/password")).partition("~")[0] + "~" + marks[1]
    answer = client.post("/logout", data={"csrf_token": mixed, "answer": "yes"}, headers=HTML)
    assert answer.status_code == 409


# Forms whose page is too old


def test_an_expired_form_is_the_same_page_again_with_what_was_typed(client, session):
    app = register(session, client_name="Lantern Shop")
    add_person(session)
    address = page_of_flow(client, app, "/login", login_hint="hinted")
    client.get(address, headers=HTML)
    form = {"login": "ann", "password": "typed-secret-1", "remember": "y", "csrf_token": "old"}
    answer = client.post(address, data=form, headers=HTML)
    assert (answer.status_code, answer.location) == (303, address)
    page = client.get(address, headers=HTML)
    text = unescape(page.get_data(as_text=True))
    assert "This page was open for too long. Please send the form again." in text
    assert "Lantern Shop" in text
    assert 'value="ann"' in text
    assert "typed-secret-1" not in text
    assert re.search(r'<input[^>]*checked[^>]*name="remember"', text)
    assert page.headers["Cache-Control"] == "no-store"
    assert sessions_in(session) == 0
    # A reload posts nothing, and shows the page as it was at first.
    again = unescape(client.get(address, headers=HTML).get_data(as_text=True))
    assert "open for too long" not in again
    assert 'value="hinted"' in again
    done = send(client, page, address, RIGHT)
    assert goes_on(done, address)


def test_what_was_typed_is_kept_sealed_for_a_minute_and_for_its_page_alone(client, session, clock):
    typed = {"login": "typed-name", "password": "typed-secret-1", "csrf_token": "old"}
    client.get("/login", headers=HTML)
    assert client.post("/login", data=typed, headers=HTML).status_code == 303
    cookie = client.get_cookie("idp_form_1", domain="127.0.0.1").value
    content = URLSafeTimedSerializer("").load_payload(cookie.rsplit(".", 2)[0].encode())
    assert set(content) == {"csrf_token", "typed"}
    assert "typed-name" not in content["typed"]
    sealed = content["typed"].partition(".")[2]
    assert b"typed" not in urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    assert "typed-name" not in client.get("/forgot", headers=HTML).get_data(as_text=True)
    clock.shift(61)
    page = client.get("/login", headers=HTML).get_data(as_text=True)
    assert "typed-name" not in page
    assert "open for too long" not in page


def test_a_page_of_buttons_says_too_that_it_was_open_for_too_long(client, session):
    sign_in(client, session, add_person(session))
    client.get("/logout", headers=HTML)
    form = {"answer": "yes", "csrf_token": "old"}
    answer = client.post("/logout", data=form, headers=HTML)
    assert (answer.status_code, answer.location) == (303, "/logout")
    assert "open for too long" in client.get("/logout", headers=HTML).get_data(as_text=True)
    assert "open for too long" not in client.get("/logout", headers=HTML).get_data(as_text=True)


def test_files_of_ours_do_not_depend_on_the_cookie(client):
    client.get("/login", headers=HTML)
    with client.get("/static/idp.css") as answer:
        assert "Cookie" not in answer.headers.get("Vary", "")


def test_what_is_too_long_for_a_cookie_is_shown_at_once(client, session):
    sign_in(client, session, add_person(session))
    long = "x" * 1999
    form = {"address": "1 Main Street", "website": f"https://{long}", "csrf_token": "old"}
    client.get("/account/profile", headers=HTML)
    page = client.post("/account/profile", data=form, headers=HTML)
    assert page.status_code == 400
    text = page.get_data(as_text=True)
    assert long in text
    assert "1 Main Street" in text
    # A script makes the page one that a reload asks for by GET.
    assert 'data-page="/account/profile"' in text


def test_an_expired_profile_keeps_what_was_typed(client, session):
    sign_in(client, session, add_person(session))
    client.get("/account/profile", headers=HTML)
    form = {"given_name": "Anna", "address": "1 Main Street", "csrf_token": "old"}
    answer = client.post("/account/profile", data=form, headers=HTML)
    page = client.get(answer.location, headers=HTML).get_data(as_text=True)
    assert 'value="Anna"' in page
    assert "1 Main Street" in page


@pytest.mark.parametrize("path", ["/account/password", "/account/email"])
def test_no_password_is_kept_with_what_was_typed(client, session, path, monkeypatch):
    kept = []
    monkeypatch.setattr(csrf.orjson, "dumps", lambda content: kept.append(content) or b"[]")
    sign_in(client, session, add_person(session))
    client.get(path, headers=HTML)
    form = {
        **dict.fromkeys(("current", "password", "repeated", "pin"), "typed-secret-1"),
        "address": "ann@app.example",
        "csrf_token": "old",
    }
    assert client.post(path, data=form, headers=HTML).status_code == 303
    ((address, _, pairs),) = kept
    assert address == path
    assert "typed-secret-1" not in repr(pairs)


def test_a_form_without_its_cookie_tells_of_cookies_and_works_the_second_time(client, session):
    add_person(session)
    form = {**RIGHT, "csrf_token": csrf_token(client.get("/login", headers=HTML))}
    client.delete_cookie("idp_form_1", domain="127.0.0.1")
    page = client.post("/login", data=form, headers=HTML)
    assert page.status_code == 400
    assert "Allow cookies for this site" in page.get_data(as_text=True)
    assert send(client, page, "/login", RIGHT).status_code == 303


def test_an_expired_consent_keeps_what_was_unticked(client, session):
    app = register(session, require_consent=True, scopes=("openid", "profile", "email"))
    sign_in(client, session, add_person(session))
    address = page_of_flow(client, app, "/consent", scope="openid profile email")
    form = {"answer": "allow", "scope": "email", "csrf_token": "old"}
    client.get(address, headers=HTML)
    answer = client.post(address, data=form, headers=HTML)
    assert (answer.status_code, answer.location) == (303, address)
    page = client.get(address, headers=HTML)
    assert events(session, Tag.CONSENT_GIVEN) == []
    boxes = re.findall(r"<input[^>]*type=\"checkbox\"[^>]*>", page.get_data(as_text=True))
    ticked = {re.search(r'(?:value|name)="(?!scope|y)([^"]+)"', box)[1]: box for box in boxes}
    assert {name for name, box in ticked.items() if "checked" in box} == {"openid", "email"}
    assert {*ticked} == {"openid", "profile", "email", "remember"}


@pytest.mark.parametrize("path", ["/account/sessions/end-others", "/account/sessions/1/end"])
def test_an_expired_button_of_a_list_leads_back_to_the_list(client, session, path):
    sign_in(client, session, add_person(session))
    sent_from = {"Referer": "http://127.0.0.1:8000/account/sessions"}
    answer = client.post(path, data={"csrf_token": "old"}, headers={**HTML, **sent_from})
    assert answer.status_code == 400
    text = answer.get_data(as_text=True)
    assert re.search(r'class="btn btn-plain"\s+href="/account/sessions"', text)
    assert client.get("/account").status_code == 200


@pytest.mark.settings(registration=False)
def test_no_page_is_shown_again_that_is_not_there(client):
    form = {"csrf_token": "old", "address": "13800138000"}
    answer = client.post("/register/mobile", data=form, headers=HTML)
    assert answer.status_code == 404
    assert "13800138000" not in answer.get_data(as_text=True)


def test_an_expired_form_whose_page_leads_elsewhere_says_that_it_expired(client, session):
    # Signed in meanwhile: the sign-in page would send on to the account without a word.
    sign_in(client, session, add_person(session))
    answer = client.post("/login", data={**RIGHT, "csrf_token": "old"}, headers=HTML)
    assert answer.status_code == 400
    assert "This page has expired" in answer.get_data(as_text=True)
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
