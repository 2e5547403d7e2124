"""Screens of the installation in a real browser: for axe, and a journey without scripts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Page, expect

from idp.platform import clock
from idp.platform.audit.models import DailyFigure
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen.models import JobState, SdkJob
from tests.browser.signing_in import sign_in
from tests.browser.test_look import Visit
from tests.protocol import PASSWORD, add_api, add_person, add_role, register

pytestmark = [pytest.mark.browser, pytest.mark.no_database]
CONSOLE = "/console/platform"


@pytest.fixture
def house(live_server, session):
    """Serve an installation that has been used for a month, and has something to mend."""
    server = live_server()
    root = add_person(session, "root", email="root@example.com", email_verified=True)
    add_role(session, root, "administrators", tenant_id=None)
    add_api(session)
    register(session, "orders-web", scopes=("openid", "profile", "orders.read"))
    counted = {Tag.SIGN_IN: 40, Tag.SIGN_IN_REFUSED: 3, Tag.TOKEN_ISSUED: 55, "": 0}
    for days in range(60):
        day = clock.now().date() - timedelta(days=days)
        for tag, number in counted.items():
            count = number * (days % 7 + 1)
            session.add(
                DailyFigure(day=day, tenant_id=0, tag=tag, count=count, counted_at=clock.now())
            )
    for number in range(3):
        row = session.get_one(OutboxMessage, jobs.enqueue(session, "notify.mail", {}))
        if number:
            row.failed_at, row.attempts = clock.now(), 12
            row.last_error = "The mail server does not know this address."
    for state in JobState:
        session.add(SdkJob(client_id="web", generator="python", source_url="-", state=state))
    session.commit()
    return server


def enter(page: Page, origin: str) -> None:
    """Sign in on the way to the console."""
    page.goto(f"{origin}/console")
    page.fill("#login", "root")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/console/platform/overview")


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_every_screen_of_the_installation_is_readable_for_everybody(
    chromium, house, language, colours, session
):
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    visit = Visit(context.new_page(), house.url, language)
    sign_in(context, session, house.url, "root")
    question = "client=orders-web&user=root&scope=openid+orders.read+nonsense"
    names = {
        "overview": "overview",
        "overview-table": "overview?days=30&as=table",
        "messages": "messages",
        "jobs": "jobs",
        "job": "jobs/4",
        "health": "health",
        "keys": "keys",
        "keys-import": "keys/import",
        "keys-rotate": "keys/rotate",
        "settings": "settings",
        "explain": "explain",
        "explain-answer": f"explain?{question}",
        "explain-id": f"explain?{question}&token=id",
        "explain-refused": "explain?client=orders-web&user=root&scope=ids4.ms.all",
        "explain-unknown": "explain?client=nobody",
        "explain-request": "explain/request",
        "explain-token": "explain/token",
    }
    for name, path in names.items():
        visit.open(f"{CONSOLE}/{path}", f"system-{name}-{colours}")
    visit.page.goto(f"{house.url}{CONSOLE}/keys")
    visit.page.set_viewport_size({"width": 1280, "height": 800})
    visit.page.click("a.btn-danger-quiet >> nth=0")
    visit.look(f"system-keys-revoke-{colours}")
    visit.page.goto(f"{house.url}{CONSOLE}/explain/token")
    visit.page.fill("#token", "e30.e30.e30")
    visit.press(f"system-explain-pasted-{colours}", "form.card-body button[type=submit]")
    context.close()


def make_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_what_needs_somebody_is_found_and_mended_without_scripts(chromium, house):
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    enter(page, house.url)
    page.get_by_role("link", name="2 messages could not be delivered").click()
    page.wait_for_url("**/messages?state=failed")
    page.get_by_role("button", name="Retry 2 failed messages").click()
    expect(page.locator("td .st-bad")).to_have_count(0)
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("A test message is on its way to root@example.com.")).to_be_visible()
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_role("link", name="Import PEM").click()
    file = {"name": "new.pem", "mimeType": "application/x-pem-file", "buffer": make_pem()}
    page.set_input_files("#pem", file)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Signing key imported")).to_have_count(1)
    page.get_by_role("link", name="Rotate now").click()
    page.get_by_role("button", name="Rotate now").click()
    expect(page.get_by_text("Signing key rotated")).to_have_count(4)
    page.get_by_role("link", name="Revoke", exact=False).first.click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("This is not the id of the key.")).to_be_visible()
    kid = page.locator("p.mono").inner_text()
    page.locator("#typed").fill(kid)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Former keys")).to_be_visible()
    page.get_by_role("link", name="Explain", exact=True).click()
    page.get_by_label("Client id").fill("orders-web")
    page.get_by_label("Person").fill("root")
    page.get_by_label("Scopes").fill("openid orders.read")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_text("Would be issued", exact=True)).to_be_visible()
    context.close()
