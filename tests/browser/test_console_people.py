"""Users and sessions of the console in a real browser: added, given a role, signed out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from idp.directory.tenants import service as tenants
from tests.browser.accessibility import violations
from tests.browser.signing_in import sign_in
from tests.browser.test_look import sizes
from tests.protocol import PASSWORD, add_authenticator, add_person, add_role, add_tenant

SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for pictures to look at."""

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def acme(chromium, live_server, session):
    """Serve a tenant with the administrator `boss`; return server, tenant and another member."""
    server = live_server()
    tenant_id = add_tenant(session)
    boss = add_person(session, "boss", tenant_ids=(tenant_id,), nick_name="Jo Rask")
    add_role(session, boss, "clerk", ["ids4.ms.all"], tenant_id=tenant_id)
    tenants.add_member(session, tenant_id, boss.id, is_admin=True)
    ann = add_person(
        session, "ann", tenant_ids=(tenant_id,), nick_name="Ann Lee", email="ann@acme.example"
    )
    session.commit()
    seen_before(chromium, server, "ann")
    return server, tenant_id, ann


def seen_before(chromium, server, name):
    """Sign a person in in a browser that is closed then; the session remains."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/login")
    page.fill("#login", name)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/account")
    context.close()


def open_browser(chromium, session, server, name, **options):
    """Open a browser in which a person is signed in."""
    context = chromium.new_context(**options)
    sign_in(context, session, server.url, name)
    return context


def look(page: Page, name: str) -> None:
    """Examine the page that is open, at two widths: axe finds nothing, nothing is too wide."""
    for width, height in sizes(page):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(
            "width => document.documentElement.scrollWidth <= width", arg=width, timeout=5000
        )
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}.png", full_page=True)
        assert violations(page) == [], name


@pytest.mark.parametrize(("locale", "colours"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_screen_of_people_is_readable_for_everybody(chromium, acme, locale, colours, session):
    server, tenant_id, ann = acme
    context = open_browser(chromium, session, server, "boss", locale=locale, color_scheme=colours)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    base = f"{server.url}/console/t/{tenant_id}"
    paths = ["/users", "/users?q=nobody", "/users/new", "/users/import", "/sessions"]
    paths += ["/sessions/grants", f"/sessions/end?person={ann.id}"]
    tabs = (
        "",
        "/edit",
        "/roles",
        "/permissions",
        "/sessions",
        "/consents",
        "/factors",
        "/activity",
    )
    paths += [f"/users/{ann.id}{tab}" for tab in tabs]
    for path in paths:
        assert page.goto(base + path).status == 200, path
        name = path.strip("/").replace("/", "-").partition("?")[0]
        look(page, f"{name}-{locale}-{colours}")
    assert complaints == []
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_user_is_added_given_a_role_and_signed_out(chromium, acme, scripts, session):
    server, tenant_id, _ = acme
    context = open_browser(
        chromium, session, server, "boss", locale="en-GB", java_script_enabled=scripts
    )
    page = context.new_page()
    page.goto(f"{server.url}/console/t/{tenant_id}/users")
    page.get_by_role("link", name="New user").click()
    page.get_by_label("User name").first.fill("cat")
    page.get_by_label("Generate a password").check()
    page.get_by_role("button", name="Create the account").click()
    expect(page.locator(".once code")).to_have_count(1)
    page.reload()
    expect(page.locator(".once code")).to_have_count(0)

    page.get_by_role("link", name="Roles", exact=True).click()
    page.get_by_label("clerk").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The roles were changed.")).to_be_visible()

    page.goto(f"{server.url}/console/t/{tenant_id}/sessions?q=ann")
    page.get_by_role("link", name="End all").click()
    page.get_by_role("button", name="End 1").click()
    expect(page.get_by_text("1 was ended.")).to_be_visible()

    page.goto(f"{server.url}/console/t/{tenant_id}/users?q=ann")
    page.get_by_label("Ann Lee").check()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("1 user was disabled.")).to_be_visible()
    page.goto(f"{server.url}/console/t/{tenant_id}/users?state=disabled")
    expect(page.get_by_role("link", name="Ann Lee")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_lost_factors_are_reset_and_set_up_anew_with_the_code(chromium, acme, session, scripts):
    server, tenant_id, ann = acme
    add_authenticator(session, ann, "Phone")
    context = open_browser(
        chromium, session, server, "boss", locale="en-GB", java_script_enabled=scripts
    )
    page = context.new_page()
    page.goto(f"{server.url}/console/t/{tenant_id}/users/{ann.id}")
    page.get_by_role("link", name="Second factors").click()
    expect(page.get_by_text("Phone")).to_be_visible()
    page.get_by_role("button", name="Reset", exact=True).click()
    code = page.locator(".once code").inner_text()
    if scripts:
        look(page, "users-factors-code")
    page.reload()
    expect(page.locator(".once code")).to_have_count(0)
    expect(page.get_by_text("The next sign-in asks for the enrolment code.")).to_be_visible()
    context.close()

    own = chromium.new_context(locale="en-GB", java_script_enabled=scripts)
    page = own.new_page()
    page.goto(f"{server.url}/login")
    page.fill("#login", "ann")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.get_by_role("heading", name="Enrolment code")).to_be_visible()
    if scripts:
        look(page, "sign-in-enrolment-code")
    page.fill("#code", code)
    page.click("main button[type=submit]")
    expect(page.get_by_role("heading", name="Set up a second step")).to_be_visible()
    own.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_profile_is_edited_beside_somebody_else_who_was_first(chromium, acme, scripts, session):
    server, tenant_id, ann = acme
    context = open_browser(
        chromium, session, server, "boss", locale="en-GB", java_script_enabled=scripts
    )
    page, other = context.new_page(), context.new_page()
    for each in (page, other):
        each.goto(f"{server.url}/console/t/{tenant_id}/users/{ann.id}")
        each.get_by_role("link", name="Edit").click()
    save = other.get_by_role("button", name="Save")
    expect(save).to_be_visible(visible=not scripts)
    other.get_by_label("Family name").fill("Lee")
    other.get_by_label("Language", exact=True).select_option("zh-Hans")
    if scripts:
        expect(other.get_by_text("2 changes not saved")).to_be_visible()
    save.click()
    expect(other.get_by_text("The profile was changed.")).to_be_visible()

    page.get_by_label("Family name").fill("Li")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("changed by someone else")).to_be_visible()
    if scripts:
        look(page, "users-edit-conflict")
    page.get_by_label("E-mail").fill("ann.lee@acme.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The profile was changed.")).to_be_visible()
    expect(page.get_by_text("ann.lee@acme.example").first).to_be_visible()
    context.close()
