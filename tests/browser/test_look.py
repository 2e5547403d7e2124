"""Every page in a real browser: nothing serious for axe, nothing too wide, nothing blocked."""

from __future__ import annotations

import base64
import os
import re
import time
from datetime import datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from idp.directory.actor import Actor
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi, NewScope
from idp.platform.onetime import service as onetime
from idp.publishing.gateway import products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.service import PublishRequest, planning
from idp.publishing.gateway.validation import Description
from tests.browser.accessibility import violations
from tests.conftest import as_environment, make_settings
from tests.databases import create_database, drop_database
from tests.protocol import (
    PASSWORD,
    add_person,
    add_tenant,
    app_code,
    authorization_parameters,
    register,
    require,
)
from tests.servers import LiveServer, free_port

_DRAWN = BytesIO()
_PIXELS = Random(1).randbytes(900 * 700 * 3)
Image.frombytes("RGB", (900, 700), _PIXELS).save(_DRAWN, "PNG")
PNG = _DRAWN.getvalue()
"""A picture that is larger than what forms may be."""
WIDTHS = {390: 844, 1280: 800}
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for pictures to look at."""

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def house(live_server, session):
    """Run a server with a person of three organisations, and an application that asks for much."""
    server = live_server()
    tenants = [1, add_tenant(session, "Lantern Books Co-operative"), add_tenant(session)]
    user = add_person(
        session,
        nick_name="Ann Lee",
        email="ann@example.com",
        email_verified=True,
        tenant_ids=tenants,
    )
    add_person(session, "bob", nick_name="Bob")
    api = NewApi(
        name="orders",
        scopes=[
            NewScope("orders.read", "Read your orders", "What you ordered", required=True),
            NewScope("orders.write", "Change your orders", emphasize=True),
        ],
    )
    resources.create_api(session, api)
    client = register(
        session,
        scopes=("openid", "profile", "email", "orders.read", "orders.write"),
        require_consent=True,
        client_name="Lantern Shop",
        client_uri="https://app.example/",
        policy_uri="https://app.example/privacy",
        tos_uri="https://app.example/terms",
    )
    key = onetime.issue(
        session,
        "password-reset",
        user_id=user.id,
        security_stamp=user.security_stamp,
        seconds=600,
    )
    session.commit()
    publish(session, user.id, resources.find_api(session, "orders"))
    return server, client, key


def publish(session, user_id, api):
    """Publish an API that has revisions and a version, under the name of the shop."""
    products.allow_upstream(session, 1, "https://orders.example")
    actor = Actor(user_id)

    day = {"name": "day", "in": "query", "required": True, "schema": {"type": "string"}}
    answer = {"responses": {"200": {"description": "The orders, the newest first"}}}
    read = {"summary": "List orders", "tags": ["Orders"], "parameters": [day], **answer}
    for paths in ({"/orders": {"get": read, "delete": answer}}, {"/orders": {"get": read}}):
        document = {
            "openapi": "3.0.3",
            "info": {"title": "Orders", "version": "1"},
            "paths": paths,
        }
        described = Description("https://orders.example/openapi.json", "3.0", document)
        description = "Everything that was ordered, by day and by customer."
        request = PublishRequest(
            str(api.id), name="Lantern Shop", description=description, suffix="orders"
        )
        publications.carry_out(session, planning.publish(session, actor, api, request, described))
    publications.carry_out(
        session, publications.add_version(session, actor, api, str(api.id), "v2")
    )


def code_sent(messages, address):
    """Return the code that was sent to an address."""
    (text,) = [mail.text for mail in messages if mail.to.endswith(address)]
    return re.search(r"\b\d{6}\b", text)[0]


def sizes(page):
    """Return the sizes to look at a page in, that of the window first: it need not change twice."""
    present = page.viewport_size["width"]
    return sorted(WIDTHS.items(), key=lambda size: size[0] != present)


def empty_scripts(page):
    """Answer requests for scripts with nothing: none of ours runs, axe alone does.

    `route` would stop all other requests as well, and have the browser forget its cache.
    """
    devtools = page.context.new_cdp_session(page)
    headers = [{"name": "Content-Type", "value": "text/javascript"}]

    def answer(request):
        given = {"requestId": request["requestId"], "responseCode": 200, "responseHeaders": headers}
        devtools.send("Fetch.fulfillRequest", given)

    devtools.on("Fetch.requestPaused", answer)
    devtools.send("Fetch.enable", {"patterns": [{"urlPattern": "*.js*"}]})


class Visit:
    """One browser that walks through the pages and looks at each."""

    def __init__(self, page: Page, origin: str, language: str) -> None:
        self.page = page
        self.origin = origin
        self.language = language
        self.seen: list[str] = []
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: Any) -> None:
        expected = "the server responded with a status of 4" in message.text
        if message.type in {"error", "warning"} and not expected:
            self.complaints.append(message.text)

    def open(self, path: str, name: str) -> None:
        self.page.goto(self.origin + path)
        self.look(name)

    def look(self, name: str) -> None:
        """Examine the page that is open."""
        expected = "zh-Hans" if self.language == "zh" else "en"
        assert self.page.get_attribute("html", "lang") == expected, name
        assert self.page.locator("h1").count() == 1, name
        chinese = re.search(r"[\u4e00-\u9fff]", self.page.locator("h1").inner_text())
        if self.page.locator("h1").inner_text() not in {"Lantern Shop", "localhost"}:
            assert (chinese is not None) is (self.language == "zh"), name
        for width, height in sizes(self.page):
            self.page.set_viewport_size({"width": width, "height": height})
            # The window takes a moment to become as narrow as it is told to be.
            self.page.wait_for_function(
                "width => document.documentElement.scrollWidth <= width", arg=width, timeout=5000
            )
            if SCREENSHOTS:
                folder = Path(SCREENSHOTS)
                folder.mkdir(parents=True, exist_ok=True)
                file = folder / f"{name}-{self.language}-{width}.png"
                self.page.screenshot(path=file, full_page=True)
            if width == min(WIDTHS) or self.language == "en":
                self.examine(name)
        assert self.complaints == [], name
        self.seen.append(name)

    def examine(self, name: str) -> None:
        """Run axe on the page that is open, once its style is there."""
        self.page.wait_for_load_state("load")
        found = violations(self.page)
        assert [each for each in found if each.impact in {"serious", "critical"}] == [], name

    def press(self, name: str, selector: str) -> None:
        self.page.click(selector)
        self.look(name)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_of_an_unknown_host_has_its_style(chromium, live_server, language, colours):
    server = live_server()
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    port = server.url.rpartition(":")[2]
    visit = Visit(context.new_page(), f"http://nobody.test:{port}", language)
    visit.open("/login", f"unknown-host-{colours}")
    card = {"light": "rgb(255, 255, 255)", "dark": "rgb(26, 33, 43)"}[colours]
    seen = "getComputedStyle(document.querySelector('main')).backgroundColor"
    assert visit.page.evaluate(seen) == card
    context.close()


def test_a_database_that_is_gone_is_a_page_with_its_style(chromium, run, tmp_path):
    cluster, name, port = run.postgres_server(), "gone", free_port()
    create_database(cluster, name, run.postgresql_template())
    settings = make_settings(
        tmp_path, database_url=cluster.url(name), public_url=f"http://127.0.0.1:{port}"
    )
    server = LiveServer.start(
        as_environment(settings), port=port, log=tmp_path / "server.log", command=None
    )
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    try:
        assert page.goto(f"{server.url}/login").status == 200
        drop_database(cluster, name)
        # A view may notice first; within a second what comes before every view does.
        for path in ("/forgot/link", "/login"):
            answer = page.goto(server.url + path)
            for _ in range(100):
                if answer.status == 503:
                    break
                page.wait_for_timeout(50)
                answer = page.goto(server.url + path)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert page.locator("h1").inner_text() == "Temporarily unavailable"
            card = "document.querySelector('.panel') ?? document.querySelector('main')"
            assert page.evaluate(f"getComputedStyle({card}).borderRadius") == "16px", path
    finally:
        context.close()
        server.stop()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_dead_end_has_a_way_on(chromium, house, language):
    server, client, _ = house
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale)
    visit = Visit(context.new_page(), server.url, language)
    page, main_button = visit.page, "main button[type=submit]"
    query = urlencode(authorization_parameters(client))
    visit.open(f"/connect/authorize?{query}&redirect_uri=x", "error-doubled")
    visit.open("/connect/authorize?client_id=nobody", "error-unknown-client")
    visit.open("/connect/authorize?client_id=web&redirect_uri=x", "error-address")

    # A form whose cookie is gone is shown again, and works then.
    visit.open(f"/connect/authorize?{query}", "login-fresh")
    waiting = page.url
    context.clear_cookies(name="idp_form_1")
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    visit.press("login-expired", main_button)
    assert page.input_value("#login") == "ann"
    page.fill("#password", PASSWORD)
    visit.press("choose-tenant-after", main_button)
    visit.press("consent-after", "button[name=tenant] >> nth=0")
    consent = page.url

    # Somebody else signs in in a second window.
    other = context.new_page()
    other.goto(waiting)
    other.fill("#login", "bob")
    other.fill("#password", PASSWORD)
    other.click(main_button)
    other.wait_for_url("**/consent?*")
    visit.press("someone-else", "button[value=allow]")
    visit.press("consent-of-bob", "main .actions a")
    assert page.url == consent
    assert "Bob" in page.locator("main").inner_text()

    # The application has its answer; going back in history finds the request over.
    context.route("https://app.example/**", lambda route: route.fulfill(body="<h1>Shop</h1>"))
    with page.expect_request("https://app.example/callback?*") as sent:
        page.click("button[value=deny]")
    assert "error=access_denied" in sent.value.url
    page.wait_for_url("chrome-error://**")  # nobody answers there
    visit.complaints.clear()
    visit.open(consent.removeprefix(server.url), "error-request-over")
    page.click("main .actions a >> nth=0")
    page.wait_for_url("https://app.example/")
    context.close()


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_a_second_factor_is_set_up_and_asked_for(chromium, house, session, language, colours):
    server, *_ = house
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    visit = Visit(context.new_page(), server.url, language)
    empty_scripts(visit.page)
    page, main_button = visit.page, "main button[type=submit]"
    demanding = register(session, "bank", client_name="Lantern Bank", require_acr="mfa")
    visit.open("/login", "factor-login")
    page.fill("#login", "bob")
    page.fill("#password", PASSWORD)
    page.click(main_button)
    visit.open("/account/security", "security-none")
    page.click("main a.btn-primary")
    visit.look("authenticator")
    page.fill("#code", "000000")
    page.fill("#name", "My phone")
    visit.press("authenticator-wrong", main_button)
    secret = base64.b32decode(page.locator(".secret code").inner_text().replace(" ", ""))
    page.fill("#code", app_code(secret))
    visit.press("recovery-codes", main_button)
    code = page.locator(".codes code >> nth=0").inner_text()
    page.click("main .actions a")
    visit.look("security")

    # Somebody who has one is asked for it; a recovery code does as well.
    context.clear_cookies()
    visit.open("/login", "factor-again")
    page.fill("#login", "bob")
    page.fill("#password", PASSWORD)
    visit.press("factor", main_button)
    page.fill("#code", "000000")
    visit.press("factor-wrong", main_button)
    page.fill("#code", code)
    page.check("#remember_device")
    page.click(main_button)
    page.wait_for_url("**/account")

    # A remembered device asks for the password alone.
    context.clear_cookies(name="idp_1")
    visit.open("/login", "factor-remembered")
    page.fill("#login", "bob")
    page.fill("#password", PASSWORD)
    page.click(main_button)
    page.wait_for_url("**/account")
    visit.open("/account/sessions", "devices-remembered")
    visit.open("/account/activity", "activity")

    # An application that demands one leads others to setting it up.
    context.clear_cookies()
    visit.open(f"/connect/authorize?{urlencode(authorization_parameters(demanding))}", "bank-login")
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    page.click(main_button)
    visit.press("enrol", "button[name=tenant] >> nth=0")
    secret = base64.b32decode(page.locator(".secret code").inner_text().replace(" ", ""))
    page.fill("#code", app_code(secret))
    visit.press("enrol-codes", main_button)
    context.route("https://app.example/**", lambda route: route.fulfill(body="<h1>Bank</h1>"))
    with page.expect_request("https://app.example/callback?*") as sent:
        page.click("main .actions a")
    assert "code=" in sent.value.url

    # A policy has the name asked for first, and wants a number that is confirmed.
    require(session, 1, identifier_first=True, verify=["mobile"])
    context.clear_cookies()
    end = time.monotonic() + 20
    while page.goto(f"{server.url}/login") and page.locator("#password").count():
        assert time.monotonic() < end  # the server looks for changes once a second
    visit.look("name-first")
    page.fill("#login", "ann")
    visit.press("name-then-password", main_button)
    expect(page.locator("#password")).to_be_focused()
    page.fill("#password", PASSWORD)
    page.click(main_button)
    page.fill("#code", app_code(secret, 1))
    visit.press("confirm-address", main_button)
    page.fill("#address", "+8613800138000")
    visit.press("confirm-address-code", main_button)
    page.fill("#code", "000000")
    visit.press("confirm-address-wrong", main_button)
    context.close()


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_every_page_is_readable_for_everybody(chromium, house, outbox, language, colours):
    server, client, key = house
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    visit = Visit(context.new_page(), server.url, language)
    empty_scripts(visit.page)
    page = visit.page

    visit.open("/login", "login")
    visit.press("login-empty", "main button[type=submit]")
    page.fill("#login", "ann")
    page.fill("#password", "wrong")
    visit.press("login-refused", "main button[type=submit]")
    visit.open("/forgot", "forgot")
    page.fill("#login", "ann")
    visit.press("forgot-sent", "main button[type=submit]")
    visit.open(f"/forgot/{key}", "forgot-new")
    visit.open("/forgot/invented", "forgot-stale")
    visit.open("/nowhere", "error")
    visit.open("/apis/orders", "api")
    page.click("details >> nth=0")
    visit.look("api-operation")
    visit.open("/register", "register-mobile")
    visit.press("register-mobile-empty", "main button[type=submit]")
    for kind, address in (("mobile", "13800138000"), ("email", "new@example.com")):
        page.fill("#address", address)
        visit.press(f"register-{kind}-code", "main button[type=submit]")
        visit.press(f"register-{kind}-code-empty", "main button[type=submit] >> nth=0")
        page.fill("#code", code_sent(outbox(), address))
        visit.press(f"register-{kind}-proven", "main button[type=submit] >> nth=0")
    visit.press("register-account-empty", "main button[type=submit]")

    query = "&".join(
        f"{name}={value}"
        for name, value in authorization_parameters(
            client,
            scope="openid profile email orders.read orders.write offline_access",
            prompt="select_account",
        ).items()
    )
    visit.open(f"/connect/authorize?{query}", "login-for-application")
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    visit.press("choose-tenant", "main button[type=submit]")
    visit.press("consent", "button[name=tenant] >> nth=0")

    visit.open(f"/connect/authorize?{query}", "choose-account")

    visit.open("/account", "account")
    page.click("main a.btn")
    visit.look("account-edit")
    page.fill("#given_name", "Anna")
    page.fill("#website", "nowhere")
    visit.press("account-edit-refused", "main button[type=submit] >> nth=0")
    page.fill("#website", "https://ann.example")
    page.select_option("#zoneinfo", "Asia/Shanghai")
    page.fill("#birthdate", "1990-05-06")
    visit.press("account-changed", "main button[type=submit] >> nth=0")
    visit.open("/account/profile", "account-edit-again")
    page.set_input_files("#file", {"name": "me.png", "mimeType": "image/png", "buffer": PNG})
    visit.press("account-picture", "main button[type=submit] >> nth=1")
    assert page.locator(".portrait").evaluate("image => image.naturalWidth") == 900
    for kind, address in (("email", "anna@example.com"), ("mobile", "13800138000")):
        visit.open(f"/account/{kind}", f"account-{kind}")
        visit.press(f"account-{kind}-refused", "main button[type=submit]")
        page.fill("#address", address)
        page.fill("#current", PASSWORD)
        visit.press(f"account-{kind}-code", "main button[type=submit]")
        page.fill("#code", "abc")
        visit.press(f"account-{kind}-code-refused", "main button[type=submit]")
    visit.open("/account/password", "account-password")
    page.fill("#current", "wrong")
    page.fill("#password", "short")
    page.fill("#repeated", "short")
    visit.press("account-password-refused", "main button[type=submit]")
    visit.open("/account/sessions", "account-sessions")
    visit.open("/account/activity", "account-activity")
    visit.open("/account/applications", "account-applications")
    visit.open("/account/organisations", "account-organisations")
    visit.press("account-switched", "main button[type=submit] >> nth=0")
    code = page.request.post(f"{server.url}/account/qr").json()
    visit.open(f"/account/qr/{code['id']}/confirm", "qr-waiting")
    visit.press("qr-confirmed", "button[value=allow]")
    visit.open("/account/qr/invented/confirm", "qr-expired")
    visit.open("/logout", "logout")
    visit.press("signed-out", "button[value=yes]")
    assert len(visit.seen) == 49
    context.close()


def test_the_sign_in_works_by_keyboard_alone_and_without_scripts(chromium, house):
    server, _, _ = house
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(f"{server.url}/login")
    # The browser gives the first field the focus a moment after it has loaded the page.
    page.wait_for_selector("#login:focus")
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")  # "Forgot your password?"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")
    (cookie,) = [one for one in context.cookies() if re.fullmatch(r"idp_\d+", one["name"])]
    assert cookie["expires"] > 0  # "keep me signed in" was ticked
    context.close()


def test_a_refusal_is_beside_the_field_that_has_the_focus(chromium, house):
    server, _, _ = house
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{server.url}/login")
    page.click("main button[type=submit]")
    page.wait_for_selector("#login:focus")
    expect(page.locator("#login")).to_have_accessible_description(
        "Enter your user name, e-mail or mobile number."
    )
    page.get_by_role("link", name="Enter your password.").click()
    page.wait_for_selector("#password:focus")
    page.fill("#login", "ann")
    page.fill("#password", "wrong")
    page.click("main button[type=submit]")
    page.wait_for_selector("#password:focus")
    expect(page.locator("#password")).to_have_accessible_description(
        "Incorrect user name or password."
    )
    expect(page.get_by_role("alert")).to_have_count(0)
    context.close()


def test_scripts_add_comfort_and_no_form_is_posted_again_by_a_reload(chromium, house):
    server, _, _ = house
    context = chromium.new_context(locale="en-GB", timezone_id="Asia/Tokyo")
    page = context.new_page()
    posts = []
    page.on("request", lambda sent: posts.append(sent.url) if sent.method == "POST" else None)
    page.goto(f"{server.url}/login?return_to=/account/sessions")
    page.fill("#login", "ann")
    page.fill("#password", "wrong")
    page.click("main button[type=submit]")
    expect(page.locator("#password-error")).to_be_visible()
    page.reload()
    expect(page.locator("#password-error")).to_have_count(0)
    assert len(posts) == 1

    # A form that expired comes back by a GET, with what was typed.
    page.evaluate("document.querySelector('[name=csrf_token]').value = 'old'")
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("open for too long")
    assert (page.input_value("#login"), page.input_value("#password")) == ("ann", "")
    page.reload()
    assert len(posts) == 2

    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Show password").click()
    assert page.get_attribute("#password", "type") == "text"
    page.get_by_role("button", name="Hide password").click()
    assert page.get_attribute("#password", "type") == "password"
    page.get_by_role("button", name="Show password").click()
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account/sessions")

    times = page.locator("time")
    at = datetime.fromisoformat(times.first.get_attribute("datetime"))
    local = at.astimezone(ZoneInfo("Asia/Tokyo"))
    expect(times.first).to_have_text(f"{local.day} {local:%b} {local.year}, {local:%H:%M}")
    assert f"{local:%H:%M:%S}" in times.first.get_attribute("title")
    assert "UTC" not in page.locator("main").inner_text()
    context.close()


@pytest.mark.parametrize("height", [600, 900, 1400])
def test_a_short_card_stands_a_little_above_the_middle(chromium, house, height):
    server, _, _ = house
    context = chromium.new_context(viewport={"width": 1280, "height": height})
    page = context.new_page()
    page.goto(f"{server.url}/signed-out")
    card = page.locator(".panel").bounding_box()
    middle = (card["y"] + card["height"] / 2) / height
    assert 0.3 < middle < 0.5
    context.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_about_our_apis_has_our_look_and_can_be_read(chromium, house, colours):
    server, _, _ = house
    context = chromium.new_context(locale="en-GB", color_scheme=colours)
    page = context.new_page()
    page.goto(f"{server.url}/docs")
    expect(page.locator(".opblock-tag").first).to_be_visible()
    expect(page.locator(".docs-name")).to_have_text("idp")
    ground = {"light": "rgb(241, 244, 249)", "dark": "rgb(13, 19, 29)"}[colours]
    for part in ("body", ".swagger-ui"):
        colour = f"getComputedStyle(document.querySelector('{part}')).backgroundColor"
        assert page.evaluate(colour) == ground, part
    assert violations(page, ".docs-head") == []
    context.close()


def test_axe_finds_what_it_is_asked_for(chromium):
    """Prove that a clean answer above means something."""
    page = chromium.new_page()
    page.set_content("<html><body><input><img src='x'></body></html>")
    found = {each.rule for each in violations(page)}
    assert {"label", "image-alt", "html-has-lang"} <= found
    page.close()
