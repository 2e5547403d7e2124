"""A person signs in at a relying party on another site, in a real browser, over https."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import LOGIN, Person, Web, fill_in

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

YEAR = 365 * 24 * 3600


def allow(page: Page) -> None:
    """Consent on the page that is shown."""
    expect(page).to_have_url(re.compile(r"/consent\?request="))
    page.get_by_role("button", name="Allow").click()


def test_from_sign_in_to_sign_out(
    web: Web, context: BrowserContext, page: Page, person: Person
) -> None:
    page.goto(web.shop)
    page.get_by_role("link", name="Enter", exact=True).click()
    fill_in(page, person)
    allow(page)
    expect(page).to_have_url(f"{web.shop}/")
    expect(page.locator("#person")).to_have_text(f"{person.sub} {person.username}")

    # The provider knows the person now: a second visit asks nothing.
    context.clear_cookies(domain="www.shop.test")
    page.goto(f"{web.shop}/login")
    expect(page).to_have_url(f"{web.shop}/")
    expect(page.locator("#person")).to_be_visible()

    page.get_by_role("link", name="Leave").click()
    expect(page.locator("#bye")).to_have_text("True")
    assert "__Host-idp_1" not in {cookie["name"] for cookie in context.cookies(web.provider)}
    page.goto(f"{web.shop}/login")
    expect(page).to_have_url(re.compile(rf"^{web.provider}/login\?"))


def test_cookies_are_bound_to_the_host_and_answers_ask_for_https(
    web: Web, context: BrowserContext, page: Page, person: Person
) -> None:
    with page.expect_response(re.compile(r"/login\?request=")) as shown:
        page.goto(f"{web.shop}/login")
    headers = shown.value.headers
    age = re.fullmatch(r"max-age=(\d+).*", headers["strict-transport-security"])
    assert age is not None
    assert int(age[1]) >= YEAR
    fill_in(page, person)
    allow(page)
    expect(page.locator("#person")).to_be_visible()
    cookies = context.cookies(web.provider)
    assert {"__Host-idp_1"} <= {cookie["name"] for cookie in cookies}
    for cookie in cookies:
        assert cookie["name"].startswith("__Host-")
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert cookie["path"] == "/"
        assert cookie["domain"] == "login.provider.test"
    assert page.evaluate("document.cookie") == ""


def test_a_refused_consent_is_told_to_the_application(web: Web, page: Page, person: Person) -> None:
    page.goto(f"{web.shop}/login")
    fill_in(page, person)
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("#problem")).to_have_text("access_denied")


def test_the_answer_can_be_posted_to_another_site(web: Web, page: Page, person: Person) -> None:
    page.goto(web.shop)
    page.get_by_role("link", name="Enter by form").click()
    fill_in(page, person)
    allow(page)
    expect(page).to_have_url(f"{web.shop}/")
    expect(page.locator("#person")).to_have_text(f"{person.sub} {person.username}")
    page.goto(f"{web.shop}/came-by")
    expect(page.locator("body")).to_have_text("POST")


def test_a_callback_may_send_the_browser_on_to_another_origin(
    web: Web, page: Page, person: Person
) -> None:
    """Chromium holds the redirects after a posted form to the `form-action` of its page."""
    page.goto(f"{web.shop}/login?response_mode=form_post&onward={web.stranger}/")
    fill_in(page, person)
    allow(page)
    expect(page).to_have_url(f"{web.stranger}/")
    page.goto(web.shop)
    expect(page.locator("#person")).to_have_text(f"{person.sub} {person.username}")


def test_a_request_posted_from_another_site_finds_the_session(
    web: Web, context: BrowserContext, page: Page, person: Person
) -> None:
    page.goto(f"{web.shop}/login")
    fill_in(page, person)
    allow(page)
    expect(page.locator("#person")).to_be_visible()
    context.clear_cookies(domain="www.shop.test")
    page.goto(web.shop)
    page.get_by_role("button", name="Enter by post").click()
    page.get_by_role("button", name="Go").click()
    expect(page).to_have_url(f"{web.shop}/")
    expect(page.locator("#person")).to_have_text(f"{person.sub} {person.username}")


def test_keys_alone_are_enough(web: Web, page: Page, person: Person) -> None:
    page.goto(f"{web.shop}/login")
    expect(page).to_have_url(re.compile(r"/login\?request="))
    walk_to(page, LOGIN)
    page.keyboard.type(person.username)
    walk_to(page, "Password")
    page.keyboard.type(person.password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/consent\?request="))
    walk_to(page, "Allow")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{web.shop}/")
    expect(page.locator("#person")).to_be_visible()


def walk_to(page: Page, name: str) -> None:
    """Press Tab until the control of a name has the focus, and see that this can be seen."""
    for _ in range(30):
        if _focused(page) == name:
            break
        page.keyboard.press("Tab")
    assert _focused(page) == name
    assert page.evaluate("document.activeElement.matches(':focus-visible')")


def _focused(page: Page) -> str:
    text: str = page.evaluate(
        """() => {
            const here = document.activeElement;
            return (here.labels?.[0] ?? here).innerText.trim();
        }"""
    )
    return text
