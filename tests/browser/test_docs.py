"""The page about our APIs: sign in there by "Authorize", and call an operation."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from idp.directory.users.models import User
from idp.seeds import seed
from tests import protocol
from tests.browser.conftest import Person, Web, fill_in

pytestmark = [pytest.mark.browser, pytest.mark.no_database]


@pytest.fixture
def administrator(web: Web, person: Person) -> Person:
    """Return the person as a platform administrator; the page signs people in at this address."""
    with web.sessions() as session:
        user = session.get(User, int(person.sub))
        assert user is not None
        protocol.add_role(session, user, "administrators", tenant_id=None)
        seed(session, web.runtime.settings)
        session.commit()
    return person


def test_authorize_signs_in_and_an_operation_answers(
    web: Web, page: Page, administrator: Person
) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(f"{web.provider}/docs")
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".dialog-ux")
    with page.expect_popup() as opened:
        dialog.locator("button.authorize").first.click()
    window = opened.value
    fill_in(window, administrator)
    with window.expect_event("close"):
        window.get_by_role("button", name="Allow").click()
    expect(dialog.get_by_label("Remove authorization").first).to_be_visible()
    dialog.get_by_role("button", name="Close", exact=True).first.click()

    page.locator("#operations-tag-client").click()
    operation = page.locator("#operations-client-client-get")
    operation.locator(".opblock-summary-control").click()
    with page.expect_response(f"{web.provider}/api/Client?**") as answered:
        operation.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    listed = json.loads(answered.value.text())
    assert listed["code"] == 200
    assert "api-docs" in {client["clientId"] for client in listed["data"]}
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text(
        "200"
    )
    assert complaints == []
