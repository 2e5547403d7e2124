"""Applications that nobody registered, in a real browser: in the console, and at the account."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from idp.directory.clients import strangers
from idp.directory.clients.documents import Document
from idp.directory.clients.models import Client
from idp.oauth.models import Consent
from tests.browser.test_passkeys import open_window
from tests.protocol import PASSWORD, add_person, add_role, bearer, register
from tests.registering import REGISTER, initial_token, metadata

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

CALLBACK = "https://assistant.example/callback"
START = "https://assistant.example/start"
LONG = "A program with a name as long as a name of a program can ever become"


def document(path, **members):
    return Document(
        f"https://assistant.example/{path}",
        members.pop("client_name", "Lantern Assistant"),
        (CALLBACK,),
        **members,
    )


@pytest.fixture
def house(live_server, session):
    """Serve an installation with an administrator who allowed applications of all origins."""
    server = live_server()
    boss = add_person(session, "boss", nick_name="Jo Rivers")
    add_role(session, boss, "administrators", tenant_id=None)
    known = strangers.keep(session, document("oauth/client.json", initiate_login_uri=START))
    long = strangers.keep(session, document("a/rather/long/address.json", client_name=LONG))
    made = {}
    for name, policy in (("Chess", {}), ("Go", {"is_trusted": True})):
        token = initial_token(session, **policy)
        start = f"https://{name.lower()}.example/start"
        body = metadata(client_name=name, initiate_login_uri=start)
        answer = httpx.post(f"{server.url}{REGISTER}", json=body, headers=bearer(token))
        client_id = answer.json()["client_id"]
        made[name] = session.scalars(select(Client.id).where(Client.client_id == client_id)).one()
    shop = register(
        session, "shop", client_name="Shop", initiate_login_uri="https://shop.example/start"
    )
    rows = {"document": known.id, "long": long.id, "shop": shop.row_id, **made}
    for row_id in rows.values():
        session.add(
            Consent(user_id=boss.id, client_id=row_id, tenant_id=1, scopes=["openid", "profile"])
        )
    session.commit()
    return server, rows


def enter(page, address):
    page.goto(address)
    page.fill("#login", "boss")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_administrators_judge_applications_that_came_by_themselves(
    chromium, house, language, colours
):
    server, rows = house
    visit = open_window(chromium, server.url, language, colours)
    page = visit.page
    enter(page, f"{server.url}/console/platform/policy/applications")
    page.wait_for_url("**/policy/applications")
    visit.look("strangers-policy")
    page.select_option("#clients_by_document", "listed")
    page.fill("#clients_by_document_hosts", "https://assistant.example/")
    page.click(".bar button[type=submit]")
    expect(page.locator("#clients_by_document_hosts-error")).to_be_visible()
    visit.look("strangers-policy-refused")
    page.fill("#clients_by_document_hosts", "assistant.example\n*.example.com")
    page.click(".bar button[type=submit]")
    page.wait_for_url("**/policy/applications?notice=saved")
    visit.look("strangers-policy-saved")

    def client(name):
        return f"/console/platform/clients/{rows[name]}/settings"

    visit.open("/console/platform/clients?origin=document", "strangers-list")
    expect(page.locator("table.list tbody tr")).to_have_count(2)
    visit.open("/console/platform/clients", "strangers-list-all")
    visit.open(client("shop"), "strangers-settings")
    expect(page.locator("#initiate_login_uri")).to_have_value("https://shop.example/start")
    visit.open(client("Chess"), "strangers-registered")
    visit.open(client("long"), "strangers-long")
    expect(page.locator("#client_name")).to_be_disabled()  # its document says what it is
    expect(page.locator(".bar")).to_have_count(0)
    visit.open(client("Go"), "strangers-trusted")
    page.click("form[action$='/promote'] button")
    page.wait_for_url("**/settings?notice=promoted")
    visit.look("strangers-promoted")
    expect(page.locator("form[action$='/promote']")).to_have_count(0)
    visit.open(client("document"), "strangers-document")
    page.click("form[action$='/block'] button")
    page.wait_for_url("**/settings?notice=blocked")
    expect(page.locator("form[action$='/block']")).to_have_count(0)
    visit.look("strangers-blocked")
    visit.open("/console/platform/policy/applications", "strangers-policy-blocked")
    blocked = page.locator("#clients_by_document_blocked")
    expect(blocked).to_have_value("https://assistant.example/oauth/client.json")
    page.context.close()


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_people_open_applications_and_take_access_back(chromium, house, session, language, colours):
    server, _rows = house
    let_in = strangers.StrangerPolicy(tenant_id=1, clients_by_document="any")
    session.add(let_in)
    session.commit()
    visit = open_window(chromium, server.url, language, colours)
    page = visit.page
    enter(page, f"{server.url}/account/applications")
    page.wait_for_url("**/account/applications")
    start = page.locator(f"a[href^='{START}']")
    for _ in range(50):  # the server looks for another policy once a second
        if start.count():
            break
        page.wait_for_timeout(200)
        page.reload()
    visit.look("strangers-account")
    expect(page.locator(".rows > li")).to_have_count(5)
    starts = page.locator(".rows a").evaluate_all("links => links.map(link => link.href)")
    iss = server.url.replace(":", "%3A").replace("/", "%2F")
    assert f"{START}?iss={iss}" in starts
    assert len(starts) == 4
    row = page.locator(".rows > li").filter(has=start)
    row.locator("button").click()
    page.wait_for_url("**/account/applications?notice=revoked")
    visit.look("strangers-account-revoked")
    expect(page.locator(".rows > li")).to_have_count(4)
    expect(start).to_have_count(0)
    page.context.close()
