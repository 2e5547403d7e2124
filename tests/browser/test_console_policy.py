"""A policy in a real browser: set in the console, and met by somebody who signs in."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from idp.directory.tenants import service as tenants
from tests.browser.test_look import Visit
from tests.protocol import PASSWORD, add_person, add_role, add_tenant, start_session

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


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_a_second_factor_is_required_and_put_off(chromium, house, session, language, colours):
    server, acme = house
    bob = add_person(session, "bob", tenant_ids=(acme,))
    start_session(session, "127.0.0.1:8000", bob)
    chief = add_person(session, "chief", tenant_ids=())
    tenants.add_member(session, acme, chief.id, is_admin=True)
    role = add_role(session, chief, "editor", tenant_id=acme)
    role.name = {"en": "Editor", "zh": "编辑"}[language]
    session.commit()
    context = chromium.new_context(
        locale={"en": "en-GB", "zh": "zh-CN"}[language], color_scheme=colours
    )
    page = context.new_page()
    visit = Visit(page, server.url, language)
    sign_in(page, f"{server.url}/console/t/{acme}/policy", "boss")
    page.wait_for_url("**/policy")
    page.select_option("#second_factor", "required")
    page.fill("#grace_days", "7")
    page.fill("#level_minutes", "4")
    page.get_by_label("chief").check()
    page.check("input[value=totp]")
    page.click(".bar button[type=submit]")
    expect(page.locator("#level_minutes-error")).to_be_visible()
    visit.look(f"policy-factors-refused-{colours}")
    page.fill("#level_minutes", "480")
    page.click(".bar button[type=submit]")
    page.wait_for_url("**/policy?notice=saved")
    expect(page.get_by_label("chief")).to_be_checked()
    visit.look(f"policy-factors-{colours}")
    page.click("a[href$='/policy/sessions/end']")
    visit.look(f"policy-sessions-{colours}")
    page.click("main button[type=submit]")
    page.wait_for_url("**/policy?ended=1")
    page.goto(f"{server.url}/console/t/{acme}/roles/{role.id}")
    page.select_option("#second_factor", "required")
    page.click("form[action$='/policy'] button")
    expect(page.locator("#second_factor")).to_have_value("required")
    visit.look(f"role-policy-{colours}")
    context.clear_cookies()
    sign_in(page, f"{server.url}/login", "bob")
    page.wait_for_url("**/login/enrol")
    visit.look(f"enrol-later-{colours}")
    page.click("form[action$='/later'] button")
    page.wait_for_url("**/account")
    context.clear_cookies()
    sign_in(page, f"{server.url}/login", "chief")
    page.wait_for_url("**/account")
    page.goto(f"{server.url}/account/sessions")
    visit.look(f"sign-out-of-device-{colours}")
    page.click("form[action$='/this/sign-out'] button")
    page.wait_for_url("**/signed-out")
    context.close()
