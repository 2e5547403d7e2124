"""What people see of an application that nobody registered, in a real browser."""

from __future__ import annotations

from io import BytesIO
from urllib.parse import urlencode

import pytest
from PIL import Image, ImageDraw

from tests.browser.test_look import Visit
from tests.documents import CERTIFICATE, Page, document, let_in, serving
from tests.protocol import PASSWORD, App, add_person, authorization_parameters

pytestmark = [pytest.mark.browser, pytest.mark.no_database]
LOOPBACK = "http://127.0.0.1:43210/callback"


def drawn():
    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).ellipse((24, 24, 232, 232), fill="#2456c8")
    stream = BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("zh", "dark")])
def test_an_unverified_application_is_told_from_others(
    chromium, live_server, session, monkeypatch, tmp_path, language, colours
):
    let_in(session)
    add_person(session, nick_name="Ann Lee", email="ann@example.com")
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    with serving(tmp_path) as (publisher, _):
        site = f"https://localhost:{publisher.port}"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE))
        server = live_server(fetch_allow=f"localhost:{publisher.port}")
        web = publisher.put(
            document(
                f"{site}/web",
                client_name="Lantern Assistant",
                redirect_uris=["https://assistant.example/callback"],
                client_uri=f"{site}/home",
                logo_uri=f"{site}/logo.png",
            )
        )
        publisher.pages[f"{site}/logo.png"] = Page(drawn(), "image/png")
        local = publisher.put(
            document(
                f"{site}/local",
                client_name="A program with a name as long as a name of a program can ever become",
                redirect_uris=["http://127.0.0.1/callback"],
            )
        )
        broken = publisher.put(document(f"{site}/broken", client_name=None))

        context = chromium.new_context(locale=locale, color_scheme=colours)
        visit = Visit(context.new_page(), server.url, language)
        page = visit.page

        def address(client_id, uri, **more):
            asked = authorization_parameters(App(client_id, None, 0), redirect_uri=uri, **more)
            return f"/connect/authorize?{urlencode(asked)}"

        visit.open(address(broken, LOOPBACK), "unverified-broken")
        first = address(web, "https://assistant.example/callback", scope="openid profile email")
        visit.open(first, "unverified-login")
        page.fill("#login", "ann")
        page.fill("#password", PASSWORD)
        visit.press("unverified-web", "main button[type=submit]")
        logo = page.locator(".client-picture img")
        assert logo.evaluate("picture => picture.naturalWidth") == 128
        assert logo.get_attribute("src").startswith("/consent/logo?")
        visit.open(address(local, LOOPBACK, scope="openid offline_access"), "unverified-local")
        assert page.locator(".notice p").count() == 3

        with page.expect_request(f"{LOOPBACK}?*") as sent:
            page.click("button[value=allow]")
        assert "code=" in sent.value.url
        page.wait_for_url("chrome-error://**")  # nobody answers there
        visit.complaints.clear()
        visit.open("/account/applications", "unverified-account")
        context.close()
