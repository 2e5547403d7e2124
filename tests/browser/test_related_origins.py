"""A passkey of a host that a tenant had before signs in at its new one, in Chromium over https."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response

from idp.directory.factors.models import Passkey
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from tests.browser import caddy
from tests.browser.test_passkeys import BY_PASSKEY, Device
from tests.protocol import PASSWORD, add_person, add_tenant
from tests.servers import free_port

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

OLD, NEW, PLATFORM = "login.former.test", "login.present.test", "login.platform.test"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Front:
    """A Caddy at the hosts of the tenant, and a browser that finds it at port 443 there."""

    browser: Browser
    port: int
    """Of the server behind it."""


@pytest.fixture
def front(chromium: Browser, tmp_path: Path) -> Iterator[Front]:
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    port = free_port()
    made = caddy.make(tmp_path / "caddy", {OLD: port, NEW: port})
    made.start()
    # Browsers ask the host of an RP ID at port 443, whatever the port of the page is.
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--no-proxy-server",
        "--disable-quic",
        "--ignore-certificate-errors",
        f"--host-resolver-rules=MAP *.test:443 127.0.0.1:{made.port}",
    ]
    try:
        browser = chromium.browser_type.launch(executable_path=path, args=flags)
        yield Front(browser, port)
        browser.close()
    finally:
        made.stop()


@pytest.fixture
def tenant_id(live_server, session, front) -> int:
    """Serve a tenant with a person at its first host."""
    found = add_tenant(session, "Lantern Books", hosts=[OLD])
    add_person(session, tenant_ids=(found,))
    live_server(port=front.port, public_url=f"https://{PLATFORM}", trusted_proxies="127.0.0.1")
    return found


def wait_until(page: Page, is_right: Callable[[Response | None], bool]) -> None:
    """Wait until the server has noticed which hosts the tenant has; it looks once a second."""
    for _ in range(50):
        if is_right(page.goto(f"https://{OLD}/.well-known/webauthn")):
            return
        page.wait_for_timeout(200)
    pytest.fail("the server did not notice the hosts of the tenant")


def test_a_passkey_of_the_former_host_signs_in_at_the_present_one(front, session, tenant_id):
    context = front.browser.new_context(locale="en-GB")
    page = context.new_page()
    page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    device = Device(context, page)
    page.goto(f"https://{OLD}/login")
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    page.click("main form:not([data-passkey]) button.btn-primary[type=submit]")
    page.wait_for_url("**/account")
    page.goto(f"https://{OLD}/account/security/passkeys/new")
    page.click(BY_PASSKEY)
    page.wait_for_url("**/account/security/codes")
    assert [each["rpId"] for each in device.credentials()] == [OLD]

    tenants.set_hosts(session, session.get_one(Tenant, tenant_id), [NEW, OLD], NEW)
    session.commit()
    context.clear_cookies()
    wait_until(page, lambda answer: answer is not None and NEW in answer.text())
    page.goto(f"https://{NEW}/login")
    page.click(BY_PASSKEY)
    page.wait_for_url(f"https://{NEW}/account")

    # Where the former host is no longer the tenant's, nobody says that the new one may use it.
    tenants.set_hosts(session, session.get_one(Tenant, tenant_id), [NEW], NEW)
    session.commit()
    context.clear_cookies()
    wait_until(page, lambda answer: answer is not None and not answer.ok)
    page.goto(f"https://{NEW}/login")
    page.click(BY_PASSKEY)
    page.wait_for_selector("[data-failed]:not([hidden])")
    assert session.query(Passkey).count() == 1
    context.close()
