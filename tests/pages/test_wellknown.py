"""What browsers, password managers and crawlers look for on every site."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from tests.pages.browsing import HTML
from tests.protocol import add_person, add_tenant, sign_in

pytestmark = pytest.mark.no_database

CONTACT = pytest.mark.settings(security_contact="mailto:security@acme.example")


def test_password_managers_are_led_to_the_form(client, session):
    answer = client.get("/.well-known/change-password")
    assert (answer.status_code, answer.location) == (303, "/account/password")
    sign_in(client, session, add_person(session))
    assert client.get(answer.location).status_code == 200


def test_an_address_that_is_not_known_is_404_so_that_the_one_above_can_be_believed(client):
    # W3C, A Well-Known URL for Changing Passwords 3: reliable status codes are checked by this.
    path = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert client.get(path, headers=HTML).status_code == 404


@CONTACT
def test_who_finds_a_weakness_is_told_where_to_write(client, new_client, session, clock):
    add_tenant(session, hosts=["login.acme.example"])
    for browser, url in (
        (client, "http://127.0.0.1:8000"),
        (new_client("http://login.acme.example"), "http://login.acme.example"),
    ):
        answer = browser.get("/.well-known/security.txt")
        assert (answer.status_code, answer.mimetype) == (200, "text/plain")
        fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
        assert fields["Contact"] == "mailto:security@acme.example"
        assert fields["Canonical"] == f"{url}/.well-known/security.txt"
        first = fields["Expires"]
    clock.shift(200 * 86_400)
    later = client.get("/.well-known/security.txt").text
    assert first not in later  # never out of date


def test_without_a_contact_there_is_no_such_file(client):
    assert client.get("/.well-known/security.txt", headers=HTML).status_code == 404


def test_crawlers_are_kept_away(client):
    answer = client.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    assert answer.text == "User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize(
    ("path", "kind", "size"),
    [
        ("/favicon.ico", "ICO", (48, 48)),
        ("/apple-touch-icon.png", "PNG", (180, 180)),
        ("/apple-touch-icon-precomposed.png", "PNG", (180, 180)),
    ],
)
def test_icons_are_where_they_are_looked_for(client, path, kind, size):
    with client.get(path) as answer:
        picture = Image.open(BytesIO(answer.data))
        assert (answer.status_code, picture.format, picture.size) == (200, kind, size)


def test_nothing_else_is_served_in_their_place(client):
    for path in ("/favicon.png", "/idp.css", "/apple-touch-icon.svg"):
        assert client.get(path, headers=HTML).status_code == 404
