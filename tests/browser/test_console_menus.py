"""Menus, bundles and identity resources of the console in a real browser."""

from __future__ import annotations

import orjson
import pytest
from playwright.sync_api import expect

from idp.directory.applications.models import Application, Menu
from idp.directory.bundles import applying
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.roles import catalogue
from tests.browser.test_console_people import look, open_browser, seen_before
from tests.protocol import add_api, add_person, add_role, add_tenant

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def house(chromium, live_server, session):
    """Serve a tenant with a bundle and an application with a menu; return what was made."""
    server = live_server()
    acme = add_tenant(session)
    boss = add_person(session, "boss", nick_name="Jo Rask", tenant_ids=(1, acme))
    add_role(session, boss, "administrators", tenant_id=None)
    ann = add_person(session, "ann", nick_name="Ann Lee", tenant_ids=(acme,))
    api = add_api(session, "desk-api", ["desk"], tenant_id=None)
    rights = {
        code: catalogue.create_privilege(session, code, name, api_resource_id=api.id)
        for code, name in {
            "desk.orders.read": "See orders",
            "desk.orders.write": "Change orders",
            "desk.reports.read": "See reports",
        }.items()
    }
    session.add(TenantType(code="company", name="Companies"))
    roles = [{"code": "clerk", "name": "Clerks", "privilegeCodes": ["desk.orders.read"]}]
    ability = orjson.dumps({"roles": roles, "adminRoleCodes": ["clerk"]}).decode()
    bundle = Bundle(
        code="standard",
        name="Standard",
        tenant_type_code="company",
        ability=ability,
        initialize=True,
    )
    session.add(bundle)
    session.flush()
    applying.initialise(session, acme, bundle)
    catalogue.assign(session, ann.id, catalogue.find_role(session, "clerk", acme))
    desk = Application(code="desk", name="Order desk", tenant_id=acme)
    session.add(desk)
    session.flush()
    orders = entry(session, desk, "orders", "Orders", 10)
    entry(session, desk, "open", "Open orders", 10, orders, rights["desk.orders.read"])
    entry(session, desk, "new", "New order", 20, orders, rights["desk.orders.write"])
    entry(session, desk, "reports", "Reports", 20, None, rights["desk.reports.read"])
    session.commit()
    seen_before(chromium, server, "ann")
    return server, acme, desk.id, bundle.id, ann.id


def entry(session, desk, code, title, sort, parent=None, privilege=None):
    row = Menu(
        application_id=desk.id,
        code=code,
        title=title,
        sort=sort,
        icon="list",
        url=f"/{code}",
        parent_id=parent,
        privilege_id=privilege and privilege.id,
    )
    session.add(row)
    session.flush()
    return row.id


@pytest.mark.parametrize(("locale", "colours"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_every_page_of_them_is_readable_for_everybody(chromium, house, locale, colours, session):
    server, acme, desk, bundle, ann = house
    context = open_browser(chromium, session, server, "boss", locale=locale, color_scheme=colours)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    menu, bundles = f"t/{acme}/menus/{desk}", "platform/bundles"
    # What asks for a recent sign-in comes first.
    paths = [f"{menu}/delete", f"{bundles}/{bundle}/delete", f"{bundles}/types/1/delete"]
    paths += [f"platform/identities{path}" for path in ("/2/delete", "", "/new", "/1", "/2")]
    paths += [f"t/{acme}/menus", menu, f"{menu}/entries/new", f"{menu}/entries/1"]
    paths += [f"{menu}/entries/1/delete", f"{menu}/preview?user={ann}"]
    paths += [f"t/{acme}/menus/new", f"{menu}/preview?q=a"]
    paths += [bundles, f"{bundles}/new", f"{bundles}/new?type=company", f"{bundles}/{bundle}"]
    paths += [f"{bundles}/{bundle}/roles/clerk", f"{bundles}/{bundle}/roles/clerk/remove"]
    paths += [f"{bundles}/{bundle}/roles/new", f"{bundles}/types"]
    paths += [f"{bundles}/types/1"]
    for path in paths:
        assert page.goto(f"{server.url}/console/{path}").status == 200, path
        name = path.replace(f"t/{acme}/", "").replace("/", "-").replace("?", "-")
        look(page, f"{name}-{locale}-{colours}")
    page.goto(f"{server.url}/console/{menu}")
    page.locator("button[value^=down-]:enabled").first.click()
    page.locator("button[value^=toggle-]").first.click()
    expect(page.locator(".bar")).to_be_visible()
    look(page, f"menu-moved-{locale}-{colours}")
    page.goto(f"{server.url}/console/{bundles}/{bundle}/roles/clerk?q=desk")
    for box in page.locator("input[name=tick]").all():
        box.click()
    page.locator("button[value=review]").click()
    look(page, f"bundle-difference-{locale}-{colours}")
    assert complaints == []
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_menu_is_arranged_by_keyboard_and_previewed(chromium, house, scripts, session):
    server, acme, desk, bundle, _ = house
    context = open_browser(
        chromium, session, server, "boss", locale="en-GB", java_script_enabled=scripts
    )
    page = context.new_page()
    address = f"{server.url}/console/t/{acme}/menus/{desk}"
    page.goto(address)
    page.get_by_role("button", name="Move Reports up").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Moved among its neighbours")).to_be_visible()
    expect(page.get_by_role("button", name="Move Reports up")).to_be_disabled()
    page.get_by_role("button", name="Move New order up").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Move New order down").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save 1 change").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".bar")).to_have_count(0)
    titles = ["Reports", "Orders", "Open orders", "New order"]
    expect(page.locator(".tree a")).to_have_text(titles)

    page.get_by_role("link", name="Preview as a person").click()
    page.get_by_role("searchbox", name="Name, user name or e-mail").fill("ann")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Ann Lee").click()
    expect(page.get_by_text("2 of 4 entries")).to_be_visible()
    expect(page.get_by_text("desk.orders.read, by the role Clerks")).to_be_visible()
    expect(page.get_by_text("the bundle Standard does not contain").first).to_be_visible()

    page.goto(f"{server.url}/console/platform/bundles/{bundle}/roles/clerk?q=desk")
    page.get_by_label("See reports").check()
    page.get_by_label("See orders").uncheck()
    page.get_by_role("button", name="Show the difference").click()
    expect(page.get_by_text("1 role · 1 organisation · 1 person")).to_be_visible()
    page.get_by_role("button", name="Save 2 changes").click()
    page.goto(f"{server.url}/console/platform/bundles/{bundle}/roles/clerk?q=desk")
    expect(page.get_by_label("See reports")).to_be_checked()
    expect(page.get_by_label("See orders")).not_to_be_checked()
    context.close()
