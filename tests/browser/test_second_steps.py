"""Codes that are sent, offers, devices and the other steps of a sign-in, in both languages."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import select

from idp.directory.devices.models import DeviceUser
from idp.directory.factors import enrolment
from idp.directory.policies.models import Policy
from tests.browser.test_look import Visit, code_sent, empty_scripts
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    app_code,
    authorization_parameters,
    register,
)

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

MAIN = "main form:not([data-passkey]) button.btn-primary[type=submit]"
SEND = "main form[action*='/send'] button"
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
BOTH = pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])


@pytest.fixture
def house(live_server, session):
    """Run a server at a name that browsers bind passkeys to; codes are sent there."""
    server = live_server(host="localhost")
    session.add(Policy(tenant_id=1, factors=["passkey", "totp", "mail", "sms"]))
    add_person(
        session,
        nick_name="Ann Lee",
        email="ann@example.com",
        email_verified=True,
        mobile="+8613800138000",
        mobile_verified=True,
    )
    return server.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def window(chromium, house, language, colours):
    """Open a window in which no script of ours runs; axe alone does."""
    context = chromium.new_context(locale=LOCALES[language], color_scheme=colours)
    visit = Visit(context.new_page(), house, language)
    empty_scripts(visit.page)
    yield visit
    context.close()


def by_password(page: Page, login: str = "ann") -> None:
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click(MAIN)


def leave(context: BrowserContext) -> None:
    """Drop the session and keep the device."""
    context.clear_cookies(name="idp_1")


@BOTH
def test_a_code_is_sent_and_takes_the_place_of_an_app(window, session, outbox, house):
    page = window.page
    callback = f"{house}/robots.txt"
    bank = register(session, "bank", redirect_uris=[callback], require_acr="mfa")
    query = urlencode(authorization_parameters(bank, redirect_uri=callback))
    window.open(f"/connect/authorize?{query}", "codes-login")
    by_password(page)
    page.wait_for_url("**/login/factor?**")
    window.look("codes-targets")
    window.press("codes-sent", f"{SEND} >> nth=0")
    window.press("codes-early", f"{SEND} >> nth=0")
    page.fill("#code", "000000")
    window.press("codes-wrong", MAIN)
    page.fill("#code", code_sent(outbox(), "ann@example.com"))
    page.click(MAIN)
    page.wait_for_url("**/robots.txt?*code=*")
    window.open("/account/security", "codes-security")

    # A mere wish can be put off.
    page.context.clear_cookies()
    shop = register(session, "shop", client_name="Lantern Shop", redirect_uris=[callback])
    wish = authorization_parameters(shop, redirect_uri=callback, acr_values="mfa")
    query = urlencode(wish)
    window.open(f"/connect/authorize?{query}", "wish-login")
    by_password(page)
    page.wait_for_url("**/login/factor?**")
    window.look("wish")
    page.click("main button[formaction*='/not-now']")
    page.wait_for_url("**/robots.txt?*code=*")


@BOTH
def test_a_factor_is_offered_on_the_account_page_and_put_off(window, session):
    page = window.page
    add_person(session, "bob", nick_name="Bob")
    window.open("/login", "offer-login")
    by_password(page, "bob")
    page.wait_for_url("**/account")
    window.look("offer")
    window.press("offer-declined", "main form[action*='/not-now'] button")
    assert page.locator("main form[action*='/not-now']").count() == 0


@BOTH
def test_devices_are_remembered_listed_and_signed_out(window, session, house):
    page = window.page
    eve = add_person(session, "eve", nick_name="Eve")
    secret = add_authenticator(session, eve)
    window.open("/login", "devices-login")
    by_password(page, "eve")
    page.wait_for_url("**/login/factor")
    window.look("devices-factor")
    page.fill("#code", app_code(secret))
    page.check("#remember_device")
    page.click(MAIN)
    page.wait_for_url("**/account")
    leave(page.context)
    page.goto(f"{house}/login")
    by_password(page, "eve")
    page.wait_for_url("**/account")  # nothing else is asked for
    window.open("/account/sessions", "devices-list")
    page.click("main form[action*='/devices/'] button >> nth=0")
    page.wait_for_url("**/signed-out**")
    window.look("devices-signed-out")
    query = select(DeviceUser).where(DeviceUser.remembered_at.is_not(None))
    assert session.scalars(query).all() == []
    session.rollback()  # what a test reads keeps a writer of SQLite waiting
    page.goto(f"{house}/login")
    by_password(page, "eve")
    page.wait_for_url("**/login/factor")


@BOTH
def test_the_other_steps_have_their_pages(window, session):
    page = window.page
    bob = add_person(session, "bob", nick_name="Bob")
    code = enrolment.issue(session, bob.id).code
    carol = add_person(session, "carol", nick_name="Carol", must_change_password=True)
    session.commit()
    assert carol.must_change_password
    window.open("/login", "steps-login")
    by_password(page, "bob")
    page.wait_for_url("**/login/code")
    window.look("step-code")
    page.fill("#code", "AAAAA-AAAAA")
    window.press("step-code-wrong", MAIN)
    page.fill("#code", code)
    window.press("step-enrol", MAIN)
    page.context.clear_cookies()
    page.goto(f"{window.origin}/login")
    by_password(page, "carol")
    page.wait_for_url("**/login/password")
    window.look("step-password")
    page.fill("#password", "short")
    page.fill("#repeated", "other")
    window.press("step-password-refused", MAIN)
    assert re.search(r"/login/password$", page.url)
