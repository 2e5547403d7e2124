"""A person signs in a device that has no browser, in a real browser, and axe finds nothing."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from idp.directory.product import DEVICE_CODE
from tests import protocol
from tests.browser.accessibility import violations
from tests.browser.conftest import Person, Web

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

WIDTHS = {"phone": (390, 844), "desktop": (1280, 800)}
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for pictures to look at."""
TEXTS = {
    "en-US": ("Continue", "Is this the code on your device?", "Yes, sign it in", "Deny"),
    "zh-CN": ("继续", "您的设备上显示的是这个代码吗\uff1f", "是\uff0c登录该设备", "拒绝"),
}


@pytest.fixture
def box(web: Web) -> str:
    name = f"box-{secrets.token_hex(4)}"
    with web.sessions() as session:
        grants = (DEVICE_CODE, "refresh_token")
        protocol.register(session, name, public=True, grants=grants, client_name="Living room")
    return name


def post(web: Web, path: str, **form: str) -> Any:
    return requests.post(f"{web.provider}{path}", data=form, timeout=30).json()


def examine(page: Page, name: str) -> None:
    """Examine the page that is open: axe finds nothing, nothing is too wide."""
    assert violations(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_code_is_typed_compared_and_allowed(
    web: Web, chromium: Browser, box: str, person: Person, language: str, device: str, scheme: Any
) -> None:
    onward, heading, yes, no = TEXTS[language]
    width, height = WIDTHS[device]
    codes = post(web, "/connect/deviceauthorization", client_id=box, scope="openid offline_access")
    context = chromium.new_context(
        ignore_https_errors=True,
        locale=language,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
    )
    page = context.new_page()
    page.goto(codes["verification_uri"])
    page.locator("[name=login]").fill(person.username)
    page.locator("[name=password]").fill(person.password)
    page.locator("[name=password]").press("Enter")
    expect(page).to_have_url(codes["verification_uri"])
    examine(page, f"device-code-{device}-{language}-{scheme}")

    page.locator("[name=user_code]").fill("bbbb-bbbb")
    page.get_by_role("button", name=onward).click()
    expect(page.locator("[name=user_code]")).to_have_attribute("aria-invalid", "true")
    examine(page, f"device-wrong-{device}-{language}-{scheme}")

    page.locator("[name=user_code]").fill(codes["user_code"].replace("-", " ").lower())
    page.get_by_role("button", name=onward).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator("p.user-code")).to_have_text(codes["user_code"])
    expect(page.get_by_role("button", name=no)).to_be_visible()
    examine(page, f"device-confirm-{device}-{language}-{scheme}")
    page.get_by_role("button", name=yes).click()
    expect(page).to_have_url(re.compile(r"/device/allowed$"))
    examine(page, f"device-allowed-{device}-{language}-{scheme}")
    context.close()

    form = {"grant_type": DEVICE_CODE, "client_id": box, "device_code": codes["device_code"]}
    tokens = post(web, "/connect/token", **form)
    assert protocol.payload(tokens["id_token"])["sub"] == person.sub
