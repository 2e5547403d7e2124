"""A single-page application of another origin: code and PKCE, everything by `fetch`."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Person, Web, fill_in

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

FETCH = """async ([address, options]) => {
    try {
        const answer = await fetch(address, options);
        return { status: answer.status, body: await answer.text() };
    } catch (problem) {
        return { refused: problem.name };
    }
}"""


def enter(web: Web, page: Page, person: Person) -> None:
    """Sign in from the gallery."""
    page.goto(web.gallery)
    expect(page.locator("#state")).to_have_text("signed out")
    page.get_by_role("button", name="Sign in", exact=True).click()
    fill_in(page, person)
    expect(page).to_have_url(f"{web.gallery}/")
    expect(page.locator("#state")).to_have_text("signed in")


def test_it_redeems_its_code_and_reads_userinfo(web: Web, page: Page, person: Person) -> None:
    enter(web, page, person)
    claims = json.loads(page.locator("#person").inner_text())
    assert claims["sub"] == person.sub
    assert claims["preferred_username"] == person.username


def test_another_origin_is_refused_by_the_browser(web: Web, page: Page, person: Person) -> None:
    with page.expect_response(f"{web.provider}/connect/token") as redeemed:
        enter(web, page, person)
    userinfo = [
        f"{web.provider}/connect/userinfo",
        {"headers": {"Authorization": f"Bearer {redeemed.value.json()['access_token']}"}},
    ]
    token = [
        f"{web.provider}/connect/token",
        {
            "method": "POST",
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            "body": "grant_type=authorization_code&client_id=gallery&code=unknown",
        },
    ]
    answer = page.evaluate(FETCH, userinfo)
    assert answer["status"] == 200
    assert json.loads(answer["body"])["sub"] == person.sub
    # A refusal can be read as well where the origin is the client's own.
    answer = page.evaluate(FETCH, token)
    assert answer["status"] == 400
    assert json.loads(answer["body"])["error"] in {"invalid_grant", "invalid_request"}

    page.goto(web.stranger)
    expect(page.locator("#state")).to_have_text("signed out")  # discovery is for everybody
    assert page.evaluate(FETCH, userinfo) == {"refused": "TypeError"}
    assert page.evaluate(FETCH, token) == {"refused": "TypeError"}


def test_cookies_of_the_person_do_not_come_along(web: Web, page: Page, person: Person) -> None:
    enter(web, page, person)
    with_cookies = [f"{web.provider}/connect/userinfo", {"credentials": "include"}]
    assert page.evaluate(FETCH, with_cookies) == {"refused": "TypeError"}
