"""An application's request that waits while its person does something else, and what follows."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML, events, goes_on, page_of_flow, readable, submit
from tests.protocol import (
    CALLBACK,
    PASSWORD,
    add_person,
    add_tenant,
    authorize,
    code_of,
    payload,
    redeem,
    register,
    sign_in,
)

NEW = {"password": "seven-quiet-otters", "repeated": "seven-quiet-otters"}
LINKS = re.compile(r'href="(/[a-z]+\?request=[^"]+)"')
BUTTONS = re.compile(r'class="btn [a-z-]+"\s+href="([^"]+)">([^<]+)<')


def link_on(browser, address, path):
    """Find a link of a page that leads on with its request."""
    found = LINKS.findall(browser.get(address, headers=HTML).get_data(as_text=True))
    return next(link for link in found if link.startswith(f"{path}?"))


def buttons(answer):
    """List where an error page leads."""
    return [(label, href) for href, label in BUTTONS.findall(unescape(readable(answer)))]


@pytest.fixture
def mailed(outbox):
    """Ask for a new password on the way to an application; return the path of the mailed link."""

    def ask(browser, address, login="ann"):
        forgot = link_on(browser, address, "/forgot")
        answer = submit(browser, forgot, {"login": login})
        assert answer.location == forgot.replace("/forgot?", "/forgot/sent?")
        (text,) = [mail.text for mail in outbox()[-1:]]
        return re.search(r"https?://[^/]+(/forgot/\S+)", text)[1]

    return ask


def test_a_forgotten_password_leads_back_to_the_application(client, session, mailed):
    app = register(session, client_name="Lantern Shop")
    ann = add_person(session, email="ann@example.com")
    address = page_of_flow(client, app, "/login")
    link = mailed(client, address)
    # The mail names the request to this browser alone.
    assert address.partition("=")[2] not in link
    assert "continue to Lantern Shop" in readable(client.get(link, headers=HTML))
    done = submit(client, link, NEW)
    assert goes_on(done, address)
    tokens = redeem(client, app, code_of(client.get(done.location))).get_json()
    claims = payload(tokens["id_token"])
    assert (claims["sub"], claims["amr"]) == (str(ann.id), ["pwd"])
    (event,) = events(session, Tag.SIGN_IN)
    assert (event.user_id, event.client_id) == (ann.id, "web")


def test_the_link_signs_nobody_in_to_the_request_of_another_browser(
    client, new_client, session, mailed
):
    # Mallory starts at the application and has the link mailed to Ann, who opens it.
    app = register(session)
    add_person(session, email="ann@example.com")
    mallory = new_client()
    address = page_of_flow(mallory, app, "/login")
    link = mailed(mallory, address)
    assert "continue to" not in readable(client.get(link, headers=HTML))
    done = submit(client, link, NEW)
    assert (done.status_code, done.location) == (303, "/account/password?notice=changed")
    again = mallory.get("/connect/authorize", query_string={"continue": address.partition("=")[2]})
    assert again.location == address  # still asked to sign in


def test_a_person_who_opens_the_mail_elsewhere_goes_on_in_the_first_browser(
    client, new_client, session, mailed
):
    app = register(session)
    add_person(session, email="ann@example.com")
    address = page_of_flow(client, app, "/login")
    forgot = link_on(client, address, "/forgot")
    submit(new_client(), mailed(client, address), NEW)
    back = link_on(client, forgot.replace("/forgot?", "/forgot/sent?"), "/login")
    assert goes_on(submit(client, back, {"login": "ann", "password": NEW["password"]}), address)


def test_each_link_leads_to_the_request_that_it_was_asked_for(client, session, mailed):
    shop, gallery = register(session, "shop"), register(session, "gallery")
    add_person(session, email="ann@example.com")
    addresses = [page_of_flow(client, app, "/login") for app in (shop, gallery)]
    links = [mailed(client, address) for address in addresses]
    assert goes_on(submit(client, links[0], NEW), addresses[0])


def test_a_request_that_is_over_meanwhile_costs_nobody_the_new_password(
    client, session, mailed, clock
):
    add_person(session, email="ann@example.com")
    address = page_of_flow(client, register(session), "/login")
    clock.shift(45 * 60)
    link = mailed(client, address)
    clock.shift(20 * 60)
    done = submit(client, link, NEW)
    assert (done.status_code, done.location) == (303, "/account/password?notice=changed")


def test_the_session_is_new_and_that_of_somebody_else_ends(client, session, mailed):
    add_person(session, email="ann@example.com")
    bob = add_person(session, "bob")
    link = mailed(client, page_of_flow(client, register(session), "/login"))
    sign_in(client, session, bob)
    before = client.get_cookie("idp_1", domain="127.0.0.1").value
    submit(client, link, NEW)
    assert client.get_cookie("idp_1", domain="127.0.0.1").value != before
    assert "ann@example.com" in client.get("/account").get_data(as_text=True)
    rows = session.scalars(select(BrowserSession).where(BrowserSession.user_id == bob.id))
    assert all(row.ended_at is not None for row in rows)


def test_a_link_opened_at_an_issuer_that_does_not_serve_its_person_is_worth_nothing(
    client, new_client, session, mailed
):
    add_tenant(session, hosts=["acme.example"])
    add_person(session, email="ann@example.com")
    link = mailed(client, page_of_flow(client, register(session), "/login"))
    elsewhere = new_client("http://acme.example")
    assert elsewhere.get(link, headers=HTML).status_code == 400
    assert submit(client, link, NEW).status_code == 303


def test_a_link_that_is_over_leads_to_a_new_one_of_the_same_request(client, session, mailed, clock):
    add_person(session, email="ann@example.com")
    address = page_of_flow(client, register(session), "/login")
    link = mailed(client, address)
    clock.shift(31 * 60)
    page = client.get(link, headers=HTML)
    assert page.status_code == 400
    assert f"/forgot?{address.partition('?')[2]}" in page.get_data(as_text=True)


def test_registration_goes_on_when_the_request_is_over(client, session, outbox, clock):
    address = page_of_flow(client, register(session), "/login")
    place = client.get(link_on(client, address, "/register")).location
    clock.shift(59 * 60)
    for asked in ("13800138000", "ben@app.example"):
        place = submit(client, place, {"address": asked}).location
        (text,) = [mail.text for mail in outbox() if ("@" in mail.to) is ("@" in asked)]
        code = re.search(r"\b\d{6}\b", text)[0]
        place = submit(client, place, {"code": code}).location
    clock.shift(2 * 60)
    form = {"nick_name": "Ben", "password": PASSWORD, "repeated": PASSWORD}
    done = submit(client, place, form)
    assert (done.status_code, done.location) == (303, "/account")
    assert client.get("/account").status_code == 200


# Requests that are over, and applications that are not known


def test_an_expired_request_leads_back_to_the_application(client, session, clock):
    home = "https://app.example/start?from=idp"
    app = register(session, client_name="Lantern Shop", client_uri=home)
    address = page_of_flow(client, app, "/login")
    query = address.partition("?")[2]
    clock.shift(61 * 60)
    onward = query.replace("request=", "continue=")
    for path in (address, f"/consent?{query}", f"/connect/authorize?{onward}"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 400
        assert "This page has expired" in readable(answer)
        assert buttons(answer) == [
            ("Back to Lantern Shop", home),
            ("Go to your account", "/account"),
        ]


def test_a_request_that_was_answered_leads_back_to_the_application(client, session):
    app = register(session, client_uri="https://app.example/")
    add_person(session)
    address = page_of_flow(client, app, "/login")
    done = submit(client, address, {"login": "ann", "password": PASSWORD})
    assert code_of(client.get(done.location))
    assert buttons(client.get(address, headers=HTML))[0][1] == "https://app.example/"


def test_nobody_is_led_where_no_proven_application_said_so(client, new_client, session, clock):
    acme = add_tenant(session, hosts=["acme.example"])
    theirs = register(session, "acme", tenant_id=acme, client_uri="https://acme.example/home")
    app = register(session)
    foreign = page_of_flow(new_client("http://acme.example"), theirs, "/login")
    account = [("Go to your account", "/account")]
    address = page_of_flow(client, app, "/login")
    clock.shift(61 * 60)
    handle = address.partition("=")[2]
    for request in (
        handle,  # its application has told no page
        handle[:-2] + ("AA" if handle[-2:] != "AA" else "BB"),
        "invented",
        "invented.invented",
        "x.\u00e9.\u00e9",
        foreign.partition("=")[2],  # of an application that this issuer does not serve
    ):
        answer = client.get("/login", query_string={"request": request}, headers=HTML)
        assert answer.status_code == 400, request
        assert buttons(answer) == account, request


def test_unknown_applications_and_addresses_are_a_page_that_says_who_can_help(client, session):
    app = register(session)
    for query, told in (
        ({"client_id": "nobody", "redirect_uri": CALLBACK}, "The application is not known here."),
        ({"redirect_uri": "https://evil.example/"}, "return address isn't registered."),
    ):
        answer = client.get(
            "/connect/authorize", query_string={"client_id": "web", **query}, headers=HTML
        )
        assert (answer.status_code, answer.location) == (400, None)
        text = readable(answer)
        assert "Something is wrong with this link" in text
        assert f"{told} Tell the people who run it." in text
        assert buttons(answer) == [("Go to your account", "/account")]
    assert authorize(client, app).status_code == 303


def test_an_application_that_asks_wrongly_is_a_page_with_a_way_back_to_it(
    client, new_client, session
):
    acme = add_tenant(session, hosts=["acme.example"])
    home = "https://app.example/start"
    app = register(session, client_name="Lantern Shop", client_uri=home)
    register(session, "theirs", tenant_id=acme, client_uri="https://acme.example/")
    account = ("Go to your account", "/account")
    wrong = {"redirect_uri": "https://evil.example/", "response_type": "code"}
    for browse in (
        lambda query: client.get("/connect/authorize", query_string=query, headers=HTML),
        lambda query: client.post("/connect/authorize", data=query, headers=HTML),
    ):
        answer = browse({**wrong, "client_id": app.client_id})
        assert answer.status_code == 400
        assert buttons(answer) == [("Back to Lantern Shop", home), account]
        # Never an address of the request, and no application that is not served here.
        for other in ("nobody", "theirs", "\x7f", "x" * 5000):
            answer = browse({**wrong, "client_id": other, "client_uri": "https://evil.example/"})
            assert answer.status_code == 400, other
            assert buttons(answer) == [account], other
        assert browse({**wrong, "client_id": "\x00"}).status_code == 400


def test_a_request_is_shown_at_its_own_issuer_only(client, session, new_client):
    tenant_id = add_tenant(session, "Beta", ["b.example:8000"])
    beta = new_client("http://b.example:8000")
    app = register(session, require_consent=True)
    ann = add_person(session, tenant_ids=(1, tenant_id))
    sign_in(client, session, ann)
    sign_in(beta, session, ann)
    address = page_of_flow(client, app, "/choose", prompt="select_account")
    query = urlsplit(address).query
    for path in ("/choose", "/choose-tenant", "/consent", "/login"):
        assert beta.get(f"{path}?{query}", headers=HTML).status_code == 400, path
    assert client.get(address, headers=HTML).status_code == 200


def test_a_logout_that_waits_opens_no_page_of_a_sign_in(client, session):
    register(session)
    sign_in(client, session, add_person(session))
    asked = client.get("/connect/endsession", query_string={"client_id": "web"}).location
    query = urlsplit(asked).query
    for path in ("/choose", "/consent", "/login"):
        assert client.get(f"{path}?{query}", headers=HTML).status_code == 400, path
    assert client.get(asked, headers=HTML).status_code == 200


def test_a_sign_in_that_waits_opens_no_logout(client, session):
    sign_in(client, session, add_person(session))
    address = page_of_flow(client, register(session), "/choose", prompt="select_account")
    assert client.get(f"/logout?{urlsplit(address).query}", headers=HTML).status_code == 400
    assert client.get("/account", headers=HTML).status_code == 200
