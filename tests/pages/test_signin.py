"""The sign-in page."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
import time_machine
from flask import request
from sqlalchemy import func, select, update

from idp.app import create_app
from idp.directory.users import passwords
from idp.directory.users.models import User
from idp.platform import clock as wall
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.sessions.models import BrowserSession
from idp.platform.throttle import TOGETHER
from idp.platform.web.views import database
from tests.conftest import IssuerClient
from tests.pages.browsing import HTML, crowd, events, goes_on, page_of_flow, readable, send, submit
from tests.pages.test_return_path import FOREIGN
from tests.protocol import PASSWORD, add_person, add_tenant, register
from tests.protocol import sign_in as sign_in_past_the_page

RIGHT = {"login": "ann", "password": PASSWORD}
WRONG = {"login": "ann", "password": "not the password"}


def sessions_in(session):
    return session.scalar(select(func.count()).select_from(BrowserSession))


def test_a_person_signs_in_on_the_way_to_an_application(client, session):
    app = register(session, client_name="Lantern Shop")
    add_person(session)
    address = page_of_flow(client, app, "/login")
    assert "Lantern Shop" in client.get(address).get_data(as_text=True)
    answer = submit(client, address, RIGHT)
    assert goes_on(answer, address)
    assert client.get(answer.location).location.startswith("https://app.example/callback?code=")


@pytest.mark.parametrize("login", ["ANN", " ann ", "Ann@Example.com", "138 1234 5678"])
def test_every_name_of_the_account_will_do(client, session, login):
    add_person(session, email="ann@example.com", mobile="+8613812345678")
    answer = submit(client, "/login", {"login": login, "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/account")


@pytest.mark.parametrize("login", ["ann@Bücher.example", "Ann@xn--bcher-kva.example"])
def test_an_address_is_typed_with_its_domain_in_either_form(client, session, login):
    add_person(session, "ann@bücher.example", email="ann@bücher.example")
    answer = submit(client, "/login", {"login": login, "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/account")


def test_the_cookie_ends_with_the_browser_unless_it_shall_be_remembered(client, session):
    add_person(session)
    cookie = submit(client, "/login", RIGHT).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age" not in cookie
    client.delete_cookie("idp_1", domain="127.0.0.1")
    cookie = submit(client, "/login", {**RIGHT, "remember": "y"}).headers["Set-Cookie"]
    assert "Max-Age=2592000" in cookie


def test_the_login_hint_is_filled_in(client, session):
    address = page_of_flow(client, register(session), "/login", login_hint='ann"><script>')
    page = client.get(address).get_data(as_text=True)
    assert 'value="ann&#34;&gt;&lt;script&gt;"' in page


def test_an_unknown_account_and_a_wrong_password_are_one_answer(client, session):
    add_person(session)
    answers = [
        submit(client, "/login", {"login": login, "password": "not the password"})
        for login in ("ann", "bob")
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    first, second = (readable(answer) for answer in answers)
    assert first.replace('value="ann"', 'value="bob"') == second
    assert "Incorrect user name or password" in first


def test_an_unknown_account_costs_as_much_as_a_known_one(client, session, monkeypatch):
    add_person(session)
    seen = []
    monkeypatch.setattr(
        passwords, "matches", lambda stored, password, *_: seen.append((stored, password)) or False
    )
    submit(client, "/login", WRONG)
    submit(client, "/login", {**WRONG, "login": "bob"})
    assert [password for _, password in seen] == ["not the password"] * 2
    assert seen[1][0] is None


def test_no_transaction_waits_for_the_hashing(client, session, monkeypatch):
    add_person(session)
    states = []

    def matches(stored, password, *_):
        states.append(database().in_transaction())
        return True

    monkeypatch.setattr(passwords, "matches", matches)
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    assert submit(client, "/login", RIGHT).status_code == 303
    assert states == [False]


@pytest.mark.parametrize(
    "columns",
    [
        {"is_disabled": True},
        {"deleted_at": wall.now()},
        {"lockout_end": wall.now() + timedelta(days=1)},
        {"password_hash": None},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_an_account_that_may_not_sign_in_is_the_same_answer(client, session, columns):
    user = add_person(session)
    session.execute(update(User).where(User.id == user.id).values(**columns))
    answer = submit(client, "/login", RIGHT)
    assert answer.status_code == 400
    assert "Incorrect user name or password" in readable(answer)
    assert sessions_in(session) == 0


def test_who_is_no_member_does_not_sign_in_at_a_tenants_own_issuer(new_client, session):
    tenant_id = add_tenant(session, hosts=["acme.example"])
    add_person(session)
    add_person(session, "bob", tenant_ids=(tenant_id,))
    browser = new_client("http://acme.example")
    refused = submit(browser, "/login", RIGHT)
    assert refused.status_code == 400
    assert "Incorrect user name or password" in readable(refused)
    assert submit(browser, "/login", {**RIGHT, "login": "bob"}).status_code == 303
    assert browser.get("/account").status_code == 200


def test_a_session_of_one_issuer_is_none_at_another(new_client, client, session):
    tenant_id = add_tenant(session, hosts=["acme.example"])
    add_person(session, tenant_ids=(1, tenant_id))
    value = submit(client, "/login", RIGHT).headers["Set-Cookie"].partition("=")[2].split(";")[0]
    assert client.get("/account").status_code == 200
    other = new_client("http://acme.example")
    for name in ("idp_1", f"idp_{tenant_id}"):
        other.set_cookie(name, value, domain="acme.example")
    assert other.get("/account").status_code == 303


def test_a_post_without_the_forms_token_is_refused(client, session):
    add_person(session)
    assert client.post("/login", data=RIGHT, headers=HTML).status_code == 400
    assert sessions_in(session) == 0


def test_the_session_is_new_at_every_sign_in(client, session):
    add_person(session)
    client.set_cookie("idp_1", "planted", domain="127.0.0.1")
    submit(client, "/login", RIGHT)
    first = client.get_cookie("idp_1", domain="127.0.0.1").value
    assert first != "planted"
    page = client.get("/forgot")  # any form: signed in, the sign-in page sends on
    send(client, page, "/login", RIGHT)
    second = client.get_cookie("idp_1", domain="127.0.0.1").value
    assert second != first
    client.set_cookie("idp_1", first, domain="127.0.0.1")
    assert client.get("/account").status_code == 303
    client.set_cookie("idp_1", second, domain="127.0.0.1")
    assert client.get("/account").status_code == 200


def test_who_signs_in_over_somebody_else_ends_that_session(client, session):
    ann = add_person(session)
    add_person(session, "bob")
    sign_in_past_the_page(client, session, ann)
    old = client.get_cookie("idp_1", domain="127.0.0.1").value
    page = client.get("/forgot")
    assert send(client, page, "/login", {**RIGHT, "login": "bob"}).status_code == 303
    assert "bob" in client.get("/account").get_data(as_text=True)
    client.set_cookie("idp_1", old, domain="127.0.0.1")
    assert client.get("/account").status_code == 303


def test_guessing_is_slowed_down_before_the_password_is_looked_at(
    client, session, clock, monkeypatch
):
    add_person(session)
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: password == PASSWORD)
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    page = client.get("/login")
    for _ in range(20):
        answer = send(client, page, "/login", WRONG)
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Too many attempts" in readable(answer)
    assert send(client, page, "/login", RIGHT).status_code == 429
    assert sessions_in(session) == 0


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Too many people are signing in"), ("zh", "当前登录人数较多")]
)
def test_in_a_crowd_a_visitor_is_told_to_come_back_and_keeps_what_was_typed(
    client, session, language, said
):
    app = register(session, client_name="Lantern Shop")
    add_person(session)
    address = page_of_flow(client, app, "/login", ui_locales=language)
    with crowd():
        answer = submit(client, address, {**RIGHT, "remember": "y"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    page = answer.get_data(as_text=True)
    assert said in page
    assert "Lantern Shop" in page
    assert 'value="ann"' in page
    assert "checked" in page
    assert PASSWORD not in page
    assert goes_on(send(client, answer, address, RIGHT), address)


def test_who_comes_in_a_crowd_has_not_failed(client, session):
    add_person(session)
    page = client.get("/login")
    for _ in range(TOGETHER.free):
        assert send(client, page, "/login", WRONG).status_code == 400
    # Past the free tries one goes at a time, and each wrong one would wait longer.
    with time_machine.travel(wall.now() + timedelta(seconds=30), tick=False):
        refusals = len(events(session, Tag.SIGN_IN_REFUSED))
        with crowd():
            statuses = [send(client, page, "/login", WRONG).status_code for _ in range(20)]
        assert statuses == [503] * 20
        assert len(events(session, Tag.SIGN_IN_REFUSED)) == refusals
        assert send(client, page, "/login", RIGHT).status_code == 303


def test_a_number_is_one_number_however_it_is_written(client, session, clock, monkeypatch):
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: False)
    page = client.get("/login")
    spellings = (
        "13800138000",
        "138 0013 8000",
        "+86 138-0013-8000",
        "(138)00138000",
        "138.00138000",
    )
    codes = [
        send(client, page, "/login", {"login": spelling, "password": "spring"}).status_code
        for spelling in spellings * 2
    ]
    assert codes[:5] == [400] * 5
    assert 429 in codes


def test_guesses_are_counted_on_in_valkey_after_a_restart(
    session, settings, valkey_url, clock, monkeypatch
):
    add_person(session)
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: password == PASSWORD)
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    shared = settings.model_copy(update={"redis_url": valkey_url})
    for form, expected in ((WRONG, {400, 429}), (RIGHT, {429})):
        app = create_app(shared)
        browser = IssuerClient(app, settings.public_url, session)
        page = browser.get("/login")
        seen = {send(browser, page, "/login", form).status_code for _ in range(9)}
        app.extensions["idp"].engine.dispose()
        assert seen == expected
    assert sessions_in(session) == 0


def test_trying_many_accounts_from_one_address_is_slowed_down(client, session, monkeypatch):
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: False)
    page = client.get("/login")
    codes = [
        send(client, page, "/login", {"login": f"user{i}", "password": "spring"}).status_code
        for i in range(40)
    ]
    assert codes[:10] == [400] * 10
    assert 429 in codes


def test_a_stranger_locks_nobody_out(client, new_client, session, monkeypatch):
    add_person(session)
    monkeypatch.setattr(passwords, "matches", lambda stored, password, *_: password == PASSWORD)
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    stranger = new_client()
    page = stranger.get("/login")
    for _ in range(12):
        send(stranger, page, "/login", WRONG, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    own = client.get("/login")
    answer = send(client, own, "/login", RIGHT, environ_base={"REMOTE_ADDR": "198.51.100.7"})
    assert answer.status_code == 303


def test_sign_ins_and_refusals_leave_a_trace_without_what_was_typed(client, session):
    app = register(session)
    user = add_person(session)
    address = page_of_flow(client, app, "/login")
    submit(client, address, {"login": "my-secret-by-mistake", "password": "guess-4711"})
    submit(client, address, WRONG)
    submit(client, address, RIGHT)
    refused = events(session, Tag.SIGN_IN_REFUSED)
    assert [event.details["reason"] for event in refused] == ["unknown account", "wrong password"]
    assert [event.target for event in refused] == [None, f"user:{user.id}"]
    (done,) = events(session, Tag.SIGN_IN)
    assert (done.user_id, done.client_id, done.remote_addr) == (user.id, "web", "127.0.0.1")
    trail = repr([vars(event) for event in session.scalars(select(AuditEvent))])
    for typed in ("my-secret-by-mistake", "guess-4711", PASSWORD):
        assert typed not in trail


def test_what_is_missing_is_said_beside_its_field_and_several_are_listed_above(client, session):
    answer = submit(client, "/login", {"login": "", "password": ""})
    text = readable(answer)
    assert answer.status_code == 400
    assert 'role="alert"' in text
    assert 'href="#login"' in text
    assert text.count('aria-invalid="true"') == 2
    assert re.search(r'<input aria-describedby="login-error"[^>]* autofocus', text)
    assert re.search(r'id="login-error">\s*<p>Enter your user name', text)
    assert text.count("autofocus") == 1


def test_the_cursor_is_in_the_first_field_alone(client):
    assert readable(client.get("/login")).count("autofocus") == 1


def test_after_a_failed_sign_in_the_cursor_is_in_the_password_and_the_reason_under_it(
    client, session
):
    add_person(session)
    text = readable(submit(client, "/login", WRONG))
    assert re.findall(r"<input [^>]*autofocus[^>]*>", text) == re.findall(
        r'<input [^>]*id="password"[^>]*>', text
    )
    assert re.search(r'id="password-error">\s*<p>Incorrect user name or password', text)
    assert 'role="alert"' not in text
    assert 'value="ann"' in text
    assert WRONG["password"] not in text


def test_the_page_names_the_site_that_the_answer_goes_to(client, session):
    app = register(session, redirect_uris=("https://app.example/callback",))
    page = readable(client.get(page_of_flow(client, app, "/login")))
    assert '<span class="site">app.example</span>' in page
    native = register(
        session,
        "native",
        public=True,
        redirect_uris=("http://127.0.0.1/callback",),
        application_type="native",
    )
    address = page_of_flow(client, native, "/login", redirect_uri="http://127.0.0.1/callback")
    assert 'class="site"' not in readable(client.get(address))


def test_somebody_else_is_not_asked_to_confirm_that_it_is_them(client, session):
    app = register(session)
    sign_in_past_the_page(client, session, add_person(session))
    address = page_of_flow(client, app, "/login", prompt="login")
    assert "confirm that it's you" in readable(client.get(address))
    page = readable(client.get(f"{address}&account=other"))
    assert "confirm that it's you" not in page
    assert 'value="ann"' not in page


def test_a_page_may_ask_for_the_sign_in(client, session):
    add_person(session)
    sent = client.get("/account/sessions")
    assert (sent.status_code, sent.location) == (303, "/login?return_to=%2Faccount%2Fsessions")
    assert submit(client, sent.location, RIGHT).location == "/account/sessions"


def test_a_foreign_return_address_is_refused(client, session):
    add_person(session)
    page = client.get("/login")
    for text in FOREIGN:
        address = f"/login?return_to={quote(text, safe='')}"
        answer = send(client, page, address, RIGHT)
        assert answer.status_code == 400, text
    assert sessions_in(session) == 0


@pytest.mark.parametrize("path", ["/login", "/choose", "/choose-tenant", "/consent", "/logout"])
def test_a_request_that_is_over_is_said_to_be_over(client, path):
    answer = client.get(f"{path}?request=nonsense", headers=HTML)
    assert answer.status_code == 400
    assert "start again" in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/choose", "/choose-tenant", "/consent"])
def test_a_page_of_a_flow_needs_its_flow(client, path):
    assert client.get(path, headers=HTML).status_code == 400


def test_no_page_may_be_framed_stored_or_run_scripts_of_others(client, session):
    for path in ("/login", "/forgot", "/signed-out"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


def test_names_and_logos_of_clients_are_escaped(client, session):
    app = register(
        session,
        client_name="<script>alert(1)</script>",
        logo_uri="https://logo.example/a.png?x=%22onload",
    )
    answer = client.get(page_of_flow(client, app, "/login"))
    page = answer.get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "https://logo.example" in answer.headers["Content-Security-Policy"]


def test_what_an_error_page_repeats_is_escaped(app, client):
    @app.get("/repeats")
    def repeats():
        raise BadRequest(request.args["text"])

    answer = client.get("/repeats?text=%3Cb%3E%25s", headers=HTML)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "<b>%s" not in page
    assert "&lt;b&gt;%s" in page
