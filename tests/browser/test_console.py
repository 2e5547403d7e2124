"""The console in a real browser: every page for axe, by keyboard, with and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from idp.directory.clients import service as clients
from tests.browser.signing_in import sign_in
from tests.browser.test_look import Visit
from tests.protocol import (
    CALLBACK,
    PASSWORD,
    add_api,
    add_person,
    add_role,
    add_tenant,
    register,
    register_machine,
)

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def house(live_server, session):
    """Serve an installation with an administrator, an organisation and clients of all kinds."""
    server = live_server()
    acme = add_tenant(session)
    boss = add_person(session, "boss", nick_name="Jo Rivers", tenant_ids=(1, acme))
    add_role(session, boss, "administrators", tenant_id=None)
    add_api(session, scopes=("orders.read", "orders.write"), tenant_id=acme)
    app = register(
        session,
        "orders-web",
        client_name="Orders web",
        scopes=("openid", "profile", "orders.read"),
        tenant_id=acme,
    )
    register(
        session, "old-intranet", client_name="Old intranet", require_pkce=False, tenant_id=acme
    )
    register(session, "portal", client_name="Customer portal", public=True, tenant_id=acme)
    register_machine(session, "warehouse", ("orders.read",), tenant_id=acme)
    for number in range(30):
        register(session, f"app-{number:02}", client_name=f"Application {number:02}")
    session.commit()
    return server, acme, app


def enter(page: Page, origin: str) -> None:
    """Sign in on the way to the console."""
    page.goto(f"{origin}/console")
    page.fill("#login", "boss")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/console/**")


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_every_page_of_the_console_is_readable_for_everybody(
    chromium, house, language, colours, session
):
    server, acme, app = house
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    visit = ConsoleVisit(context.new_page(), server.url, language)
    page = visit.page
    sign_in(context, session, server.url, "boss")
    console, client = f"/console/t/{acme}", f"/console/t/{acme}/clients/{app.row_id}"
    names = {
        "clients": f"{console}/clients",
        "clients-none": f"{console}/clients?q=nothing-like-this&kind=web",
        "clients-platform": "/console/platform/clients?sort=-created",
        "search": f"{console}/search?q=ord",
        "organisations": "/console/organisations",
        "new": f"{console}/clients/new",
        "new-details": f"{console}/clients/new?kind=spa",
        "new-details-web": f"{console}/clients/new?kind=web",
        **{
            f"client-{tab}": f"{client}/{tab}"
            for tab in ("settings", "addresses", "scopes", "tokens", "secrets", "activity")
        },
        "client-quick-start": f"{client}/quick-start",
        "client-duplicate": f"{client}/duplicate",
        "client-delete-enabled": f"{client}/delete",
    }
    for name, path in names.items():
        visit.open(path, f"console-{name}-{colours}")

    page.goto(f"{server.url}{client}/settings")
    page.fill("#logo_uri", "nowhere")
    page.fill("#consent_lifetime", "many")
    visit.press(f"console-settings-refused-{colours}", ".bar button[type=submit]")
    page.goto(f"{server.url}{client}/secrets")
    page.fill("#description", "Production")
    visit.press(f"console-secret-shown-{colours}", "form.card-body button[type=submit]")
    page.click("a.btn-danger-quiet >> nth=0")
    visit.look(f"console-secret-remove-{colours}")
    page.goto(f"{server.url}{client}/settings")
    page.click(".head-end summary")
    visit.press(f"console-disabled-{colours}", "button[value=disable]")
    visit.open(f"{client}/delete", f"console-delete-{colours}")
    page.goto(f"{server.url}{console}/clients")
    page.check("input[name=id] >> nth=0")
    page.check("input[name=id] >> nth=1")
    visit.look(f"console-picked-{colours}")
    for menu in ("details.tenant > summary", ".top-end summary", ".filters summary >> nth=0"):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.click(menu)
        visit.look(f"console-menu-{colours}")
    assert len(visit.seen) == len(names) + 9
    context.close()


class ConsoleVisit(Visit):
    """A walk through the console, whose pages have names in both languages."""

    def look(self, name: str) -> None:
        """Examine the page that is open, once its scripts have run."""
        self.page.wait_for_load_state("networkidle")
        heading = self.page.locator("h1")
        if heading.count() == 1 and re.search(r"Orders web|ord", heading.inner_text()):
            # The name of a thing is the same in every language.
            self.page.evaluate("text => document.querySelector('h1').append(text)", self._mark())
        super().look(name)

    def _mark(self) -> str:
        return " 客" if self.language == "zh" else ""


def test_a_client_is_made_changed_and_deleted_without_scripts(chromium, house):
    server, acme, _ = house
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    enter(page, server.url)
    page.goto(f"{server.url}/console/t/{acme}/clients")
    page.get_by_role("link", name="New client").click()
    page.get_by_role("link", name="Web application").click()
    page.get_by_label("Client id").fill("shop")
    page.get_by_label("Display name").fill("Shop")
    page.get_by_label("Redirect addresses").fill(CALLBACK)
    page.get_by_role("button", name="Create the client").click()
    secret = page.locator(".once code").inner_text()
    assert len(secret) > 24
    page.reload()
    expect(page.locator(".once")).to_have_count(0)
    page.get_by_role("link", name="Addresses").click()
    page.get_by_label("Redirect addresses").fill(f"{CALLBACK}\nhttps://app.example/silent")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    page.locator(".head-end summary").click()
    page.get_by_role("button", name="Disable").click()
    page.locator(".head-end summary").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Type the client id to confirm").fill("shop")
    page.get_by_role("button", name="Delete for ever").click()
    expect(page.get_by_role("status")).to_contain_text("The client was deleted.")
    # On a narrow page the navigation is reached by an address.
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#side")).to_be_hidden()
    page.get_by_role("link", name="Menu").click()
    expect(page.locator("#side")).to_be_visible()
    context.close()


def test_scripts_say_what_is_not_saved_and_answer_while_one_types(chromium, house, session):
    server, acme, app = house
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    sign_in(context, session, server.url, "boss")
    console = f"{server.url}/console/t/{acme}"

    page.goto(f"{console}/clients?sort=-created")
    page.get_by_placeholder("Name or client id").press_sequentially("orders")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.wait_for_url("**/clients?q=orders&sort=-created")
    page.locator("#chips summary").first.click()
    page.locator("#chips a", has_text="Service").click()
    page.wait_for_url("**/clients?q=orders&sort=-created&kind=service")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(page.locator(".top input[name=q]")).to_be_focused()
    page.keyboard.type("portal")
    page.keyboard.press("Enter")
    expect(page.locator(".hits mark").first).to_have_text(re.compile("portal", re.IGNORECASE))

    page.goto(f"{console}/apis/new")
    # Nothing is to be saved yet, but the form says how to go on.
    expect(page.get_by_role("button", name="Create")).to_be_visible()

    page.goto(f"{console}/clients/{app.row_id}/settings")
    bar = page.locator(".bar")
    expect(bar).to_be_hidden()
    page.fill("#client_name", "Orders")
    page.uncheck("#require_consent") if page.is_checked("#require_consent") else page.check(
        "#require_consent"
    )
    expect(bar).to_contain_text("2 changes not saved")
    page.fill("#client_name", "Orders web")
    expect(bar).to_contain_text("1 change not saved")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    session.expire_all()
    assert clients.get(session, "orders-web").require_consent
    session.rollback()  # SQLite lets one at a time in

    page.goto(f"{console}/clients")
    page.check("[data-all]")
    expect(page.locator(".bar strong")).to_have_text("4 selected")
    page.get_by_role("button", name="Disable 4").click()
    expect(page.get_by_role("status")).to_contain_text("4 clients were disabled.")

    page.goto(f"{console}/clients/{app.row_id}/delete")
    button = page.get_by_role("button", name="Delete for ever")
    expect(button).to_be_disabled()
    page.get_by_label("Type the client id to confirm").press_sequentially("orders-web")
    expect(button).to_be_enabled()
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert complaints == []
    context.close()


def test_nothing_is_evaluated_and_no_style_is_written_into_the_page(chromium, house, session):
    server, acme, _ = house
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    sign_in(context, session, server.url, "boss")
    page.goto(f"{server.url}/console/t/{acme}/clients")
    assert page.evaluate("htmx.version") == "4.0.1"
    assert page.evaluate("document.querySelectorAll('style, [style]').length") == 0
    assert page.evaluate("document.adoptedStyleSheets.length") == 0
    page.evaluate(
        "() => { const link = document.createElement('button'); link.id = 'planted';"
        " link.setAttribute('hx-on:click', 'window.wasRun = true');"
        " document.querySelector('h1').after(link); htmx.process(link) }"
    )
    page.click("#planted", force=True)
    page.wait_for_timeout(200)
    assert page.evaluate("window.wasRun === undefined")
    context.close()
