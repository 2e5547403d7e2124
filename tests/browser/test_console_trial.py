"""Try it, consents and acts in steps, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from idp.directory.clients.models import Client
from idp.oauth.models import Consent
from tests.browser.signing_in import sign_in
from tests.browser.test_console import ConsoleVisit
from tests.browser.test_console import house as house
from tests.protocol import add_person

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def crowd(house, session):
    """Add sixty members who allowed the client something."""
    _, acme, app = house
    for number in range(60):
        user = add_person(session, f"crowd{number}", tenant_ids=(acme,), nick_name=f"C {number}")
        session.add(
            Consent(user_id=user.id, client_id=app.row_id, tenant_id=acme, scopes=["openid"])
        )
    session.commit()


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_the_pages_are_readable_for_everybody(chromium, house, session, language, colours):
    server, acme, app = house
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    visit = ConsoleVisit(context.new_page(), server.url, language)
    page = visit.page
    sign_in(context, session, server.url, "boss")
    console, client = f"/console/t/{acme}", f"/console/t/{acme}/clients/{app.row_id}"
    robot = session.scalars(select(Client.id).where(Client.client_id == "warehouse")).one()
    session.rollback()  # SQLite has one writer
    for name, path in {
        "consents": f"{client}/consents",
        "consents-end": f"{client}/consents/end",
        "try": f"{client}/try",
        "try-service": f"{console}/clients/{robot}/try",
        "secrets": f"{client}/secrets",
        "users": f"{console}/users",
        "steps": f"{console}/users/all/disable?q=crowd",
    }.items():
        visit.open(path, f"trial-{name}-{colours}")
    page.goto(f"{server.url}{client}/try")
    visit.press(f"trial-registered-{colours}", "button[value=add]")
    with context.expect_page() as opened:
        page.click("form[target=_blank] button[type=submit]")
    own, visit.page = visit.page, opened.value
    visit.page.wait_for_url("**/try")
    visit.page.fill("#secret", app.secret)
    visit.press(f"trial-tokens-{colours}", "form:has(#secret) button[type=submit]")
    expect(visit.page.locator("pre.code")).to_have_count(2)
    visit.page = own
    context.close()


@pytest.mark.usefixtures("crowd")
def test_a_crowd_is_disabled_in_steps_with_scripts_and_without(chromium, house, session):
    server, acme, _ = house
    for is_scripted, search in ((True, "crowd1"), (False, "crowd")):
        context = chromium.new_context(java_script_enabled=is_scripted, locale="en-GB")
        page = context.new_page()
        sign_in(context, session, server.url, "boss")
        page.goto(f"{server.url}/console/t/{acme}/users/all/disable?q={search}")
        page.get_by_role("button", name="Begin").click()
        if not is_scripted:
            expect(page.get_by_role("status")).to_contain_text("50 of 60 done.")
            page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("status")).to_contain_text("Finished.")
        page.get_by_role("link", name="Back to the list").click()
        expect(page.locator("h1")).to_contain_text("Users")
        context.close()
