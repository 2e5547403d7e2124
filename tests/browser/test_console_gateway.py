"""The gateway, SDKs and files of the console in a real browser: for axe, and a journey."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from idp.publishing.codegen.models import JobState, SdkJob
from idp.publishing.files.models import StoredFile
from idp.publishing.gateway import products
from idp.publishing.gateway.products import NewProduct
from tests.browser.signing_in import sign_in
from tests.browser.test_console_system import CONSOLE
from tests.browser.test_look import Visit
from tests.protocol import add_api, add_person, add_role, register

pytestmark = [pytest.mark.browser, pytest.mark.no_database]
ORIGIN = "https://orders.internal.example/v1"


@pytest.fixture
def house(live_server, session):
    """Serve an installation with an API that may be published; return it with the id of the API."""
    server = live_server()
    root = add_person(session, "root", email="root@example.com", email_verified=True)
    add_role(session, root, "administrators", tenant_id=None)
    api = add_api(session, "orders", ["orders.read"])
    products.allow_upstream(session, 1, ORIGIN)
    products.add_product(session, NewProduct("gold", "Gold", scope="orders.read"))
    register(session, "shop", client_name="Shop")
    products.subscribe(session, "gold", "shop")
    for state in JobState:
        values = {"client_id": "web", "generator": "python", "source_url": "-"}
        session.add(SdkJob(api_resource_id=api.id, state=state, **values))
    session.add(
        StoredFile(
            name=f"{1:032x}.pdf",
            original_name="annual report of the whole group.pdf",
            media_type="application/pdf",
            size=2_345_678,
            content_hash=bytes(32),
            client_id="web",
            tenant_id=1,
        )
    )
    session.commit()
    return server, api.id


def description(path: str) -> Any:
    """Return a file with the description of one operation."""
    operation = {"get": {"responses": {"200": {"description": "All"}}}}
    content = {
        "openapi": "3.0.3",
        "info": {"title": "Orders", "version": "1"},
        "servers": [{"url": ORIGIN}],
        "paths": {path: operation},
    }
    return {
        "name": "orders.json",
        "mimeType": "application/json",
        "buffer": json.dumps(content).encode(),
    }


def publish(page: Page, origin: str, api_id: int) -> None:
    """Publish from a file, then import another revision, each after the result of the check."""
    page.goto(f"{origin}{CONSOLE}/gateway/{api_id}/publish")
    page.fill("#suffix", "orders")
    page.set_input_files("#file", description("/orders"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("Nothing has been changed yet.")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="New revision").click()
    page.set_input_files("#file", description("/things"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("operation removed")).to_be_visible()
    page.get_by_role("button", name="Import revision 2").click()
    page.wait_for_url(f"**/gateway/{api_id}")


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_every_page_about_apis_is_readable_for_everybody(
    chromium, house, language, colours, session
):
    server, api_id = house
    context = chromium.new_context(locale="en-GB", color_scheme=colours)
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    publish(page, server.url, api_id)
    context.close()
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale, color_scheme=colours)
    visit = Visit(context.new_page(), server.url, language)
    sign_in(context, session, server.url, "root")
    names = {
        "list": "gateway",
        "new": "gateway/new",
        "publication": f"gateway/{api_id}",
        "publish": f"gateway/{api_id}/publish",
        "revise": f"gateway/{api_id}/versions/{api_id}/revise",
        "online": f"gateway/{api_id}/versions/{api_id}/revisions/2/online",
        "products": "gateway/products",
        "product": "gateway/products/gold",
        "product-new": "gateway/products/new",
        "product-remove": "gateway/products/gold/remove",
        "upstreams": "gateway/upstreams",
        "upstream-remove": "gateway/upstreams/1/remove",
        "differences": "gateway/differences",
        "sdks": "sdks",
        "sdk": f"sdks/{api_id}",
        "sdk-npm": f"sdks/{api_id}/targets/npm/angular2",
        "sdk-git": f"sdks/{api_id}/targets/git",
        "sdk-package": f"sdks/{api_id}/packages/new",
        "sdk-release": f"sdks/{api_id}/release",
        "sdk-job": f"sdks/{api_id}/jobs/4",
        "files": "files",
        "file-delete": "files/1/delete",
    }
    for name, path in names.items():
        visit.open(f"{CONSOLE}/{path}", f"gateway-{name}-{colours}")
    context.close()


def test_a_revision_goes_online_and_a_client_is_suspended_without_scripts(chromium, house, session):
    server, api_id = house
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    sign_in(context, session, server.url, "root")
    publish(page, server.url, api_id)
    page.get_by_role("link", name="Put revision 2 online").click()
    expect(page.get_by_text("1 change breaks callers of the present revision.")).to_be_visible()
    page.get_by_role("button", name="Put online").click()
    expect(page.get_by_role("link", name="Put revision 1 online")).to_be_visible()
    page.goto(f"{server.url}{CONSOLE}/gateway/products/gold")
    page.get_by_role("button", name="Suspend the subscription of shop").click()
    expect(page.locator("#rows .st-warn")).to_have_text("Suspended")
    page.get_by_role("button", name="Resume the subscription of shop").click()
    expect(page.locator("#rows .st-good")).to_have_text("Active")
    context.close()
