"""A person signs in at a relying party on another site, in a real browser, over https."""

from __future__ import annotations

import email
import email.policy
import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from idp.directory.users.models import User
from tests.browser.conftest import LOGIN, Person, Web, fill_in
from tests.delivery import deliver_due

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


def test_cancel_at_the_sign_in_is_told_to_the_application_without_scripts(
    web: Web, chromium: Browser
) -> None:
    with chromium.new_context(
        ignore_https_errors=True, locale="en-US", java_script_enabled=False
    ) as context:
        page = context.new_page()
        page.goto(f"{web.shop}/login")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#problem")).to_have_text("access_denied")
        page.goto(f"{web.shop}/login?response_mode=form_post")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("#problem")).to_have_text("access_denied")


def test_a_forgotten_password_leads_back_to_the_application(
    web: Web, page: Page, person: Person
) -> None:
    with web.sessions() as session:
        session.get_one(User, int(person.sub)).email = f"{person.username}@example.com"
        session.commit()
    page.goto(f"{web.shop}/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label(LOGIN).fill(person.username)
    page.get_by_role("button", name="Send link").click()
    expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    # The mail is read on another site, as most mail is.
    page.goto(web.stranger)
    page.evaluate(
        """link => document.body.replaceChildren(
            Object.assign(document.createElement('a'), {href: link, textContent: 'Mail'}))""",
        link_mailed(web, person),
    )
    page.get_by_role("link", name="Mail").click()
    expect(page.get_by_text("You will then continue to Shop.")).to_be_visible()
    page.get_by_label("New password", exact=True).fill("seven-quiet-otters")
    page.get_by_label("New password again").fill("seven-quiet-otters")
    page.get_by_role("button", name="Set password").click()
    allow(page)
    expect(page).to_have_url(f"{web.shop}/")
    expect(page.locator("#person")).to_have_text(f"{person.sub} {person.username}")


def link_mailed(web: Web, person: Person) -> str:
    """Do what the worker would do now, and read the link that a person was sent."""
    deliver_due(web.runtime)
    texts = [path.read_text() for path in web.runtime.settings.outbox_dir.iterdir()]
    (mail,) = [text for text in texts if f"{person.username}@example.com" in text]
    message = email.message_from_string(mail, policy=email.policy.default)
    (link,) = re.findall(r"https://\S+/forgot/\S+", message.get_content())
    return str(link)


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
