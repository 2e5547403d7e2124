"""A policy in a real browser: set in the console, and met by somebody who signs in."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_look import Visit
from tests.protocol import PASSWORD, add_person, add_role, add_tenant

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

WORDS = {"en": ("Very weak", "Very strong"), "zh": ("很弱", "很强")}
NEW = "wandering lantern 9 moth"


@pytest.fixture
def house(live_server, session):
    """Serve an installation with an administrator, and a person whose password others set."""
    server = live_server()
    acme = add_tenant(session)
    boss = add_person(session, "boss", nick_name="Jo Rivers", tenant_ids=(1, acme))
    add_role(session, boss, "administrators", tenant_id=None)
    add_person(session, "ann", tenant_ids=(acme,)).must_change_password = True
    session.commit()
    return server, acme


def sign_in(page, address, login):
    page.goto(address)
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")


@pytest.mark.parametrize(
    ("language", "colours", "scripts"),
    [("en", "light", True), ("zh", "dark", True), ("en", "light", False)],
)
def test_a_policy_is_set_and_met(chromium, house, language, colours, scripts):
    server, acme = house
    context = chromium.new_context(
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        color_scheme=colours,
        java_script_enabled=scripts,
    )
    page = context.new_page()
    visit = Visit(page, server.url, language)
    sign_in(page, f"{server.url}/console/t/{acme}/policy", "boss")
    page.wait_for_url("**/policy")
    page.fill("#password_length", "20")
    page.fill("#password_expiry_days", "90")
    page.click(".bar button[type=submit]")
    expect(page.locator("#password_history-error")).to_be_visible()
    if scripts:
        visit.look(f"policy-refused-{colours}")
    page.fill("#password_history", "2")
    page.click(".bar button[type=submit]")
    page.wait_for_url("**/policy?notice=saved")
    if scripts:
        visit.look(f"policy-saved-{colours}")
    context.clear_cookies()
    sign_in(page, f"{server.url}/login", "ann")
    page.wait_for_url("**/login/password")
    expect(page.locator("#password-hint")).to_contain_text("20")
    meter = page.locator(".strength")
    expect(meter).to_be_hidden()
    for word, text in zip(WORDS[language] if scripts else (), ("12345678", NEW), strict=False):
        page.fill("#password", text)
        expect(meter).to_be_visible()
        expect(meter.locator("span")).to_have_text(word)
    page.fill("#password", "too short")
    page.fill("#repeated", "too short")
    if scripts:
        visit.look(f"new-password-{colours}")
    page.click("main button[type=submit]")
    expect(page.locator("#password-error")).to_be_visible()
    page.fill("#password", NEW)
    page.fill("#repeated", NEW)
    page.click("main button[type=submit]")
    page.wait_for_url("**/account")
    context.close()
