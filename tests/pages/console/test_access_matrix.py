"""Every address of the console, opened by everybody who should and should not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.routing import Rule

from idp.directory.scopes import Scope
from idp.pages.console.blueprint import PAGES
from idp.pages.console.gate import Gate
from idp.pages.console.screens import SCREENS
from idp.platform.permission_codes import covers
from tests.pages.browsing import csrf_token
from tests.protocol import add_person, add_role, add_tenant, sign_in

NO_ROW = 999_999_999
FRAME = {
    "console.home.choose",
    "console.home.choose_colours",
    "console.home.open_console",
    "console.home.open_workspace",
    "console.search",
}
"""Addresses that belong to no screen; each is tested by itself."""
NOBODY, PLAIN, READER, FOREIGN, LOCAL, PLATFORM = (
    "nobody",
    "plain",
    "reader",
    "foreign",
    "local",
    "platform",
)


@dataclass(frozen=True)
class Address:
    """One address of the console, as the table declares it."""

    rule: Rule
    gate: Gate

    @property
    def method(self) -> str:
        """What it is opened with."""
        return "POST" if "POST" in (self.rule.methods or ()) else "GET"

    @property
    def is_platform(self) -> bool:
        """Whether it is an address of the platform."""
        return self.rule.rule.startswith("/console/platform")

    def path(self, app: Flask, tenant_id: int) -> str:
        """Return it in a tenant or on the platform, for a row that is not there."""
        values: dict[str, object] = {}
        for name in self.rule.arguments:
            choices = getattr(self.rule._converters.get(name), "items", None)
            values[name] = min(choices) if choices else NO_ROW
        values["tenant_id"] = None if self.is_platform else tenant_id
        router = app.url_map.bind("localhost")
        return router.build(self.rule.endpoint, values, method=self.method)


def addresses(app: Flask) -> Iterator[Address]:
    gates = {
        f"console.{pages.screen.name}.{name}": gate
        for pages in PAGES
        for name, gate in pages.gates.items()
    }
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/console") and rule.endpoint not in FRAME:
            yield Address(rule, gates[rule.endpoint])


@pytest.fixture
def cast(session, new_client):
    """Make everybody, and the tenant that they walk in."""
    acme, other = add_tenant(session), add_tenant(session, "Bluefen")
    people = {
        name: add_person(session, name, tenant_ids=tenants)
        for name, tenants in {
            PLAIN: (1, acme),
            READER: (acme,),
            FOREIGN: (other,),
            LOCAL: (acme,),
            PLATFORM: (1,),
        }.items()
    }
    add_role(session, people[PLAIN], "users", tenant_id=None)
    add_role(session, people[READER], "reader", ["ids4.ms.client.get"], tenant_id=acme)
    add_role(session, people[FOREIGN], "boss", ["ids4.ms.all"], tenant_id=other)
    add_role(session, people[LOCAL], "boss", ["ids4.ms.all"], tenant_id=acme)
    add_role(session, people[PLATFORM], "administrators", tenant_id=None)
    browsers = {NOBODY: new_client()}
    for name, person in people.items():
        browsers[name] = new_client()
        sign_in(browsers[name], session, person)
    return acme, browsers


def expected(address: Address, name: str) -> set[int]:
    """Return what the table says."""
    if name == NOBODY:
        return {303}
    manages = {READER, LOCAL, PLATFORM} if not address.is_platform else {PLATFORM}
    if name not in manages:
        return {404}
    if name == READER and not covers({Scope.CLIENT_GET}, address.gate.permission):
        return {403}
    # What there is to say against it has nothing to do with who asks.
    is_there = "row_id" not in address.rule.arguments
    return {200, 303, 400, 404, 422} if is_there else {400, 404}


def test_the_screens_of_the_table_and_their_pages_are_the_same():
    assert [pages.screen for pages in PAGES] == list(SCREENS)
    assert len({screen.name for screen in SCREENS}) == len(SCREENS)
    for pages in PAGES:
        assert pages.gates["index"] == Gate(pages.screen.permission, is_recent=False)


def test_every_address_is_opened_by_those_alone_who_hold_its_permission(app, cast):
    acme, browsers = cast
    # They stay good for as long as the browser has its form cookie.
    tokens = {
        name: csrf_token(browser.get("/login?prompt=login")) for name, browser in browsers.items()
    }
    walked = 0
    for address in addresses(app):
        path = address.path(app, acme)
        for name, browser in browsers.items():
            if address.method == "GET":
                answer = browser.get(path)
            else:
                answer = browser.post(path, data={"csrf_token": tokens[name]})
                assert "form_expired" not in answer.get_data(as_text=True), (name, path)
            assert answer.status_code in expected(address, name), (name, path, answer.status_code)
            if answer.status_code == 303 and name == NOBODY:
                assert answer.location.startswith("/login?return_to="), path
            walked += 1
    assert walked >= len(browsers) * 4
