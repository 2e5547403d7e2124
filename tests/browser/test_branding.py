"""Branding in a real browser: previewed, saved, and seen by those who sign in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.browser.test_look import Visit
from tests.protocol import PASSWORD, add_person, add_role, add_tenant

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

TEAL = "rgb(15, 107, 92)"
BLUE = {"light": "rgb(31, 95, 191)", "dark": "rgb(45, 108, 210)"}
BACKGROUND = "getComputedStyle(document.querySelector('{}')).backgroundColor"


@pytest.fixture
def house(live_server, session):
    """Serve an installation whose organisation has a host, and somebody who manages all."""
    server = live_server()
    acme = add_tenant(session)
    boss = add_person(session, "boss", nick_name="Jo Rivers", tenant_ids=(1, acme))
    add_role(session, boss, "administrators", tenant_id=None)
    session.commit()
    return server, acme


def colour(page: Page, selector: str) -> str:
    found: str = page.evaluate(BACKGROUND.format(selector))
    return found


def enter(page: Page, address: str) -> None:
    page.goto(address)
    page.fill("#login", "boss")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/branding")


@pytest.mark.parametrize(
    ("language", "colours", "scripts"),
    [("en", "light", True), ("zh", "dark", True), ("en", "light", False)],
)
def test_a_brand_is_previewed_saved_and_seen_by_visitors(
    chromium, house, language, colours, scripts, tmp_path
):
    server, _ = house
    context = chromium.new_context(
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        color_scheme=colours,
    )
    if not scripts:
        context.route(re.compile(r"\.js(\?|$)"), lambda route: route.abort())
    page = context.new_page()
    visit = Visit(page, server.url, language)
    screen = f"{server.url}/console/platform/branding"
    enter(page, screen)
    if scripts:
        visit.look(f"branding-{colours}")
    page.fill("#name", "Lantern Books")
    page.fill("#help_uri", "https://lantern.example/help")
    page.fill("#accent", "#0f6b5c")
    page.fill(f"#text_{language}_sign_in", "Staff only.")
    page.click("button[formaction]")
    page.wait_for_url("**/preview")
    assert colour(page, ".preview[data-bs-theme=light] .preview-button") == TEAL
    assert colour(page, ".preview[data-bs-theme=dark] .preview-button") != TEAL
    assert colour(page, ".bar .btn-primary") == BLUE[colours]
    visitor = context.browser.new_context(locale=language, color_scheme=colours)
    outside = visitor.new_page()
    outside.goto(f"{server.url}/login")
    assert colour(outside, "main .btn-primary") == BLUE[colours]
    page.click(".bar .btn-primary")
    page.wait_for_url("**/branding?notice=saved")
    picture = tmp_path / "logo.png"
    picture.write_bytes(samples.png((40, 20)))  # which lies on its side
    page.set_input_files("input[type=file] >> nth=0", picture)
    page.click("form[enctype] button >> nth=0")
    expect(page.locator(".branding-picture")).to_have_count(1)
    outside.goto(f"{server.url}/login")
    assert (colour(outside, "main .btn-primary") == TEAL) is (colours == "light")
    assert colour(outside, "main .btn-primary") != BLUE[colours]
    expect(outside.get_by_text("Staff only.")).to_be_visible()
    expect(outside.locator(".brand-logo")).to_be_visible()
    assert outside.evaluate("document.querySelector('.brand-logo').naturalHeight") == 40
    assert "Lantern Books" in outside.title()
    page.reload()
    if scripts:
        Visit(outside, server.url, language).look(f"branded-login-{colours}")
        visit.look(f"branding-saved-{colours}")
    page.fill("#accent", "#ffff00")
    page.click(".bar .btn-primary")
    expect(page.locator("#accent-error")).to_be_visible()
    if scripts:
        visit.look(f"branding-refused-{colours}")
        assert not visit.complaints
    visitor.close()
    context.close()
