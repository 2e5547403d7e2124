"""Every screen of the console over the demo in a real browser, and a journey by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from idp.directory.clients.models import Client
from idp.directory.users import service as users
from idp.pages.console.screens import SCREENS, Where
from tests import protocol
from tests.browser.accessibility import violations
from tests.conftest import as_environment, changed
from tests.demo import Demo
from tests.demo import demo as demo
from tests.demo import new_database_url as new_database_url
from tests.pages.console.crawling import ACME
from tests.servers import LiveServer, free_port

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

LISTEN = """
document.addEventListener('securitypolicyviolation', event => {
  console.error('refused: ' + event.violatedDirective + ' ' + event.blockedURI)
})
"""
TOO_WIDE = """
[...document.querySelectorAll('.scroll:has(> .list:not(.matrix))')]
  .filter(each => each.scrollWidth > each.clientWidth)
  .map(each => each.innerText.split('\\n')[0])
"""
"""Lists whose columns lie below the one that stays at the right."""


@dataclass
class Served:
    """The demo behind a real server."""

    demo: Demo
    url: str

    def open(self, chromium: Browser, name: str, **options: str) -> BrowserContext:
        """Return a browser in which a person is signed in."""
        context = chromium.new_context(**options)
        with self.demo.sessions() as session:
            user = users.find_by_username(session, name)
            issuer = urlsplit(self.demo.settings.public_url).netloc
            cookie, value = protocol.start_session(session, issuer, user)
            session.commit()
        context.add_cookies([{"name": cookie, "value": value, "url": self.url}])
        return context


@pytest.fixture(scope="module")
def served(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the demo."""
    port = free_port()
    settings = changed(demo.settings, public_url=f"http://127.0.0.1:{port}")
    log = tmp_path_factory.mktemp("served") / "server.log"
    server = LiveServer.start(as_environment(settings), port=port, log=log, command=None)
    yield Served(demo, server.url)
    server.stop()


def listening(context: BrowserContext) -> tuple[Page, list[str]]:
    """Open a window; return it with what it complains about."""
    complaints: list[str] = []
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


@pytest.mark.parametrize(
    ("person", "language", "colours", "width"),
    [
        ("admin", "zh-CN", "light", 390),
        ("admin", "en-GB", "dark", 390),
        ("olivia.chen", "en-GB", "light", 1280),
        ("admin", "en-GB", "light", 1280),
    ],
)
def test_every_screen_keeps_to_the_policy_and_is_readable(
    chromium, served, person, language, colours, width
):
    context = served.open(chromium, person, locale=language, color_scheme=colours)
    page, complaints = listening(context)
    page.set_viewport_size({"width": width, "height": 844})
    is_platform = person == "admin"
    where = "platform" if is_platform else f"t/{served.demo.tenant(ACME)}"
    opened = 0
    for screen in SCREENS:
        if not screen.is_shown_in(platform=is_platform):
            continue
        answer = page.goto(f"{served.url}/console/{where}/{screen.name}")
        assert answer.status == 200, screen.name
        page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, screen.name
        assert page.evaluate(TOO_WIDE) == [], screen.name
        if width < 1280:
            assert violations(page) == [], screen.name
        assert complaints == [], screen.name
        opened += 1
    assert opened == sum(
        screen.where in {Where.EVERYWHERE, Where.PLATFORM if is_platform else Where.TENANTS}
        for screen in SCREENS
    )
    context.close()


def test_a_violation_of_the_policy_is_noticed(chromium, served):
    context = served.open(chromium, "admin", locale="en-GB")
    page, complaints = listening(context)
    page.goto(f"{served.url}/console/platform/overview")
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://a.test/'}))")
    expect(page.locator("body > img")).to_have_count(1)
    page.wait_for_timeout(100)
    assert any(text.startswith("refused: img-src") for text in complaints)
    context.close()


def test_a_client_is_found_and_renamed_by_keyboard_alone(chromium, served):
    context = served.open(chromium, "olivia.chen", locale="en-GB")
    page, complaints = listening(context)
    page.goto(f"{served.url}/console/t/{served.demo.tenant(ACME)}/overview")
    page.keyboard.press("/")
    page.keyboard.type("scanner")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=scanner")
    go_to(page, "document.activeElement.matches('main a')")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Warehouse scanner")
    go_to(page, "document.activeElement.id === 'client_name'")
    page.keyboard.press("Control+A")
    page.keyboard.type("Warehouse reader")
    go_to(page, "document.activeElement.matches('.bar button[type=submit]')")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    with served.demo.sessions() as session:
        name = select(Client.client_name).where(Client.client_id == "acme-scanner")
        assert session.scalars(name).one() == "Warehouse reader"
    assert complaints == []
    context.close()


def go_to(page: Page, condition: str) -> None:
    """Press the tabulator until something has the focus, which is always to be seen."""
    for _ in range(80):
        if page.evaluate(condition):
            return
        page.keyboard.press("Tab")
        is_seen = "document.activeElement.getClientRects().length > 0"
        assert page.evaluate(is_seen), page.evaluate("document.activeElement.outerHTML")
    pytest.fail(f"the keyboard does not lead there: {condition}")
