"""Passkeys in Chromium, with an authenticator that the browser simulates."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from idp.directory.factors.models import Passkey
from idp.platform.sessions.models import BrowserSession
from tests.browser.test_look import Visit
from tests.protocol import PASSWORD, add_person, authorization_parameters, register

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

MAIN = "main form:not([data-passkey]) button.btn-primary[type=submit]"
BY_PASSKEY = "main form[data-passkey] button[type=submit]"
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


class Device:
    """The authenticator of a window."""

    def __init__(self, context: BrowserContext, page: Page, **options: Any) -> None:
        self.cdp = context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable")
        given = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
            **options,
        }
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": given})
        self.id = made["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        """Return what the authenticator keeps."""
        found = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return found["credentials"]

    def answers(self, *, by_itself: bool) -> None:
        """Answer requests at once, or leave them waiting."""
        self.cdp.send(
            "WebAuthn.setAutomaticPresenceSimulation",
            {"authenticatorId": self.id, "enabled": by_itself},
        )

    def verifies(self, *, person: bool) -> None:
        """Find the PIN or fingerprint right, or wrong."""
        self.cdp.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": person}
        )


@pytest.fixture
def house(live_server, session):
    """Run a server at a name that browsers bind passkeys to, with a person."""
    server = live_server(host="localhost")
    add_person(session, nick_name="Ann Lee", email="ann@example.com")
    return server.url.replace("127.0.0.1", "localhost")


def open_window(chromium: Browser, origin: str, language: str, colours: str = "light") -> Visit:
    context = chromium.new_context(locale=LOCALES[language], color_scheme=colours)
    return Visit(context.new_page(), origin, language)


def by_password(visit: Visit) -> None:
    visit.page.fill("#login", "ann")
    visit.page.fill("#password", PASSWORD)
    visit.page.click(MAIN)


def add_passkey(visit: Visit, name: str = "Laptop") -> None:
    """Add a passkey on the account's page; the person has signed in just now."""
    visit.page.goto(f"{visit.origin}/account/security/passkeys/new")
    visit.page.fill("#passkey_name", name)
    visit.page.click(BY_PASSKEY)


def is_signed_in(visit: Visit) -> None:
    visit.page.wait_for_url("**/account")


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_a_passkey_is_added_used_renamed_and_removed(chromium, house, session, language, colours):
    visit = open_window(chromium, house, language, colours)
    page = visit.page
    device = Device(page.context, page)
    visit.open("/login", "passkey-login")
    by_password(visit)
    is_signed_in(visit)
    visit.open("/account/security", "passkey-security-none")
    page.click("main a[href$='/passkeys/new']")
    page.wait_for_url("**/passkeys/new")
    visit.look("passkey-new")
    assert "Chrome" in page.input_value("#passkey_name")
    page.fill("#passkey_name", "Work laptop")
    page.click(BY_PASSKEY)
    page.wait_for_url("**/account/security/codes")
    code = page.locator(".codes code >> nth=0").inner_text()
    visit.open("/account/security", "passkey-security")
    assert len(device.credentials()) == 1

    # The device has one already.
    add_passkey(visit)
    expect(page.locator("[data-known]")).to_be_visible()

    # As the second step, and a recovery code in its place.
    page.context.clear_cookies()
    device.answers(by_itself=False)
    page.goto(f"{house}/login")
    by_password(visit)
    page.wait_for_url("**/login/factor")
    visit.look("passkey-factor")
    device.answers(by_itself=True)
    page.click(BY_PASSKEY)
    is_signed_in(visit)
    page.context.clear_cookies()
    device.answers(by_itself=False)
    page.goto(f"{house}/login")
    by_password(visit)
    page.fill("#code", code)
    page.click("main form:not([data-passkey]) button[type=submit]")
    is_signed_in(visit)

    # That session is not high enough for the passkeys.
    visit.open("/account/security", "passkey-security-low")
    page.click("main a[href*='/passkeys/']:not([href$='/new'])")
    page.wait_for_url("**/login/factor?**")
    visit.look("passkey-step-up")
    device.answers(by_itself=True)
    page.click(BY_PASSKEY)
    page.wait_for_url("**/account/security/passkeys/*")
    visit.look("passkey-rename")
    page.fill("#passkey_name", "Old laptop")
    page.click(MAIN)
    page.wait_for_url("**notice=passkey-renamed")
    page.click("main form[action*='/passkeys/'] button")
    page.wait_for_url("**notice=passkey-removed")
    visit.look("passkey-removed")
    assert session.scalars(select(Passkey)).all() == []
    page.context.close()


@pytest.mark.parametrize("way", ["autofill", "button"])
def test_a_passkey_signs_in_by_autofill_and_by_button(chromium, house, session, way):
    visit = open_window(chromium, house, "en")
    page = visit.page
    device = Device(page.context, page)
    page.goto(f"{house}/login")
    by_password(visit)
    is_signed_in(visit)
    add_passkey(visit)
    page.wait_for_url("**/account/security/codes")
    page.context.clear_cookies()
    device.answers(by_itself=way == "autofill")
    page.goto(f"{house}/login")
    if way == "button":
        page.check("#remember")
        device.answers(by_itself=True)  # not the request that waits already
        page.click(BY_PASSKEY)
    is_signed_in(visit)
    query = select(BrowserSession).order_by(BrowserSession.id.desc()).limit(1)
    row = session.scalars(query).one()
    assert (row.acr, row.remember) == ("phr", way == "button")
    assert visit.complaints == []
    page.context.close()


def test_without_verification_or_after_removal_the_password_is_left(chromium, house, session):
    visit = open_window(chromium, house, "en")
    page = visit.page
    page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    device = Device(page.context, page)
    page.goto(f"{house}/login")
    by_password(visit)
    is_signed_in(visit)
    device.verifies(person=False)
    add_passkey(visit)
    expect(page.locator("[data-failed]")).to_be_visible()
    visit.look("passkey-failed")
    device.verifies(person=True)
    page.click(BY_PASSKEY)
    page.wait_for_url("**/account/security/codes")
    page.context.clear_cookies()
    device.verifies(person=False)
    page.goto(f"{house}/login")
    page.click(BY_PASSKEY)
    expect(page.locator("[data-failed]")).to_be_visible()
    visit.look("passkey-login-failed")
    device.verifies(person=True)
    session.execute(Passkey.__table__.delete())
    session.commit()
    page.goto(f"{house}/login")
    page.click(BY_PASSKEY)
    expect(page.locator("#form-error")).to_be_visible()
    by_password(visit)
    is_signed_in(visit)
    page.context.close()


@pytest.mark.parametrize(("language", "colours"), [("zh", "light"), ("en", "dark")])
def test_an_application_that_demands_more_leads_to_a_passkey(
    chromium, house, session, language, colours
):
    visit = open_window(chromium, house, language, colours)
    page = visit.page
    Device(page.context, page)
    bank = register(session, "bank", client_name="Lantern Bank", require_acr="mfa")
    vault = register(session, "vault", client_name="Lantern Vault", require_acr="phr")
    page.context.route("https://app.example/**", lambda route: route.fulfill(body="<h1>Hi</h1>"))
    visit.open(f"/connect/authorize?{urlencode(authorization_parameters(vault))}", "vault-login")
    by_password(visit)
    page.wait_for_url("**/login/passkey?**")
    visit.look("passkey-demanded")
    visit.open(f"/connect/authorize?{urlencode(authorization_parameters(bank))}", "passkey-enrol")
    page.click(BY_PASSKEY)
    page.wait_for_url("**/login/codes?**")
    visit.look("passkey-codes")
    with page.expect_request("https://app.example/callback?*") as sent:
        page.click("main .actions a")
    assert "code=" in sent.value.url
    page.context.close()


def test_without_scripts_the_pages_say_so_and_the_password_works(chromium, house):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{house}/login")
    expect(page.locator("form[data-passkey]")).to_be_hidden()
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    page.click(MAIN)
    page.wait_for_url("**/account")
    page.goto(f"{house}/account/security/passkeys/new")
    expect(page.locator("[data-without-passkeys]")).to_be_visible()
    context.close()
