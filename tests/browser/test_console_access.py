"""Audit log, roles, APIs and organisations of the console in a real browser, for everybody."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from idp.directory.actor import Actor
from idp.directory.roles import catalogue
from idp.directory.tenants import clearing
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import TenantStatus
from tests.browser.signing_in import sign_in
from tests.browser.test_look import Visit
from tests.delivery import deliver_due
from tests.protocol import add_api, add_person, add_role, add_tenant

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def server(live_server, session):
    """Run a server with an administrator, and an organisation with roles and an API."""
    server = live_server()
    root = add_person(session, "root", nick_name="Ruth")
    add_role(session, root, "administrators", tenant_id=None)
    acme = add_tenant(session)
    api = add_api(session)
    catalogue.create_privilege(session, "orders.see", "See orders", api_resource_id=api.id)
    clerk = add_person(session, "bea", tenant_ids=(acme,))
    add_role(session, clerk, "clerk", tenant_id=acme)
    session.commit()
    return server, acme, api.id


def test_ticks_show_what_they_change_before_they_are_saved(chromium, server, session):
    server, acme, _api = server
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    page.goto(f"{server.url}/console/t/{acme}/roles")
    page.get_by_label("See orders: clerk").check()
    expect(page.locator("#difference")).to_contain_text("1 person gains it")
    page.get_by_role("button", name="Save 1 change").click()
    expect(page.get_by_label("See orders: clerk")).to_be_checked()
    expect(page.locator("#difference")).not_to_contain_text("gains")
    page.goto(f"{server.url}/console/t/{acme}/audit?q=role+changed")
    page.locator("#rows th a").first.click()
    expect(page.locator(".drawer")).to_contain_text("orders.see")
    page.get_by_label("Close", exact=True).click()
    expect(page.locator(".drawer")).to_have_count(0)
    context.close()


def test_a_group_of_permissions_folds_without_losing_its_ticks(chromium, server, session):
    server, acme, _api = server
    context = chromium.new_context(locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    page.goto(f"{server.url}/console/t/{acme}/roles")
    tick = page.get_by_label("See orders: clerk")
    tick.check()
    fold = (
        page.locator(".fold").filter(has=page.get_by_text("orders", exact=True)).locator("summary")
    )
    fold.click()
    expect(tick).to_be_hidden()
    page.get_by_role("button", name="Show the difference").click()
    expect(page.locator("#difference")).to_contain_text("1 person gains it")
    expect(tick).to_be_checked()
    context.close()


def test_a_form_sent_by_two_clicks_makes_one_organisation(chromium, server, session):
    server, _acme, _api = server
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    page.goto(f"{server.url}/console/platform/tenants/new")
    page.get_by_label("Name of the organisation").fill("Twice Ltd")
    page.get_by_role("button", name="Create").dblclick(no_wait_after=True)
    expect(page.get_by_role("heading", name="Twice Ltd")).to_be_visible()
    page.goto(f"{server.url}/console/platform/tenants?q=Twice")
    expect(page.locator("#rows")).to_contain_text("1 organisation")
    context.close()


def test_explain_offers_what_there_is(chromium, server, session):
    server, acme, _api = server
    context = chromium.new_context(locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    page.goto(f"{server.url}/console/t/{acme}/explain")
    field = page.get_by_label("Person")
    offered = page.locator(f"#{field.get_attribute('list')} option")
    expect(offered).to_have_count(1)
    field.fill(offered.first.get_attribute("value"))
    page.get_by_label("Client id").fill("nobody")
    page.get_by_role("button", name="Explain").click()
    expect(field).to_have_value("bea")
    context.close()


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_every_screen_is_readable_for_everybody(chromium, server, language, colours, session):
    server, acme, api = server
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    visit = Visit(page, server.url, language)
    places = {
        "audit": "/audit",
        "roles": "/roles",
        "role-new": "/roles/new",
        "apis": "/apis",
        "api-new": "/apis/new",
        "tenants": "/tenants",
        "tenant-new": "/tenants/new",
        "tenant-state": f"/tenants/{acme}/state",
        "tenant-delete": f"/tenants/{acme}/delete",
        "api-delete": f"/apis/{api}/delete",
    }
    for name, place in places.items():
        visit.open(f"/console/platform{place}", f"console-{name}-{colours}")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{server.url}/console/platform/audit")
    page.locator("#rows th a").first.click()
    visit.look(f"console-event-{colours}")
    assert re.search(r"[?&]event=\d+", page.url)
    assert len(visit.seen) == 11
    context.close()


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_an_organisation_with_many_members_is_deleted_by_the_worker(
    chromium, server, session, runtime, monkeypatch, language, colours
):
    server, acme, _api = server
    tenants.change(session, tenants.get(session, acme), status=TenantStatus.DISABLED)
    session.commit()
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    visit = Visit(page, server.url, language)
    address = f"/console/platform/tenants/{acme}/delete"
    visit.open(address, f"console-tenant-members-{colours}")
    monkeypatch.setattr(clearing, "SMALL", 0)
    assert clearing.request(session, Actor(1, is_platform_admin=True), "", acme) is False
    session.commit()
    visit.open(address, f"console-tenant-clearing-{colours}")
    left = {"en": "of 1 members left", "zh": "名成员待移除"}[language]
    expect(page.locator("main")).to_contain_text(left)
    assert deliver_due(runtime, clearing.LANE) == 1
    assert page.goto(server.url + address).status == 404
    context.close()
