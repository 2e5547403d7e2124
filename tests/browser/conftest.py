"""Sites of different owners behind https, and a real browser that opens them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy.orm import Session

from idp.config import sqlite_url
from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.platform.runtime import Runtime
from idp.runtime import create as create_runtime
from tests import protocol
from tests.browser import caddy, relying_party
from tests.conftest import Run, as_environment, make_settings
from tests.servers import LiveServer, free_port

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Names of sites lead to this host without anybody's name server.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    # A page does not live for long: what threads would compile and collect for it comes too late.
    "--js-flags=--single-threaded --min-semi-space-size=32 --no-flush-bytecode",
)
PROVIDER, SHOP, GALLERY, STRANGER = (
    *("login.provider.test", "www.shop.test"),
    *("www.gallery.test", "www.stranger.test"),
)

PATIENCE = 20_000
LOGIN = "User name, e-mail or mobile number"


@dataclass(frozen=True)
class Web:
    """The provider and three other sites, each under a registrable domain of its own."""

    port: int
    runtime: Runtime
    gallery_folder: Path

    @cached_property
    def provider(self) -> str:
        """Address of the provider."""
        return self._url(PROVIDER)

    @cached_property
    def shop(self) -> str:
        """Address of a web application that keeps its tokens on a server."""
        return self._url(SHOP)

    @cached_property
    def gallery(self) -> str:
        """Address of an application that lives in the browser."""
        return self._url(GALLERY)

    @cached_property
    def stranger(self) -> str:
        """Address of a site that no client knows; it shows the same files."""
        return self._url(STRANGER)

    def sessions(self) -> Session:
        """Open a session on the provider's database."""
        return self.runtime.sessions()

    def _url(self, name: str) -> str:
        return f"https://{name}:{self.port}"


@dataclass(frozen=True)
class Person:
    """A person with an account."""

    sub: str
    username: str
    password: str


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the installed Chromium."""
    programs = (
        # The same engine without windows, which takes a third less of the processor.
        "chromium-headless-shell",
        *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    )
    path = next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium-headless-shell")
    expect.set_options(timeout=PATIENCE)  # the machine may be busy with other tests
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def web(chromium: Browser, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Serve the provider and the other sites; a browser is there, or this is not needed."""
    folder = tmp_path_factory.mktemp("web")
    ports = {PROVIDER: free_port(), SHOP: free_port()}
    files = folder / "gallery"
    shutil.copytree(Path(__file__).parent / "spa", files)
    front = caddy.make(folder / "caddy", {**ports, GALLERY: files, STRANGER: files})
    database = folder / "idp.sqlite3"
    shutil.copyfile(run.sqlite_template(), database)
    settings = make_settings(
        folder,
        database_url=sqlite_url(database),
        public_url=f"https://{PROVIDER}:{front.port}",
        trusted_proxies="127.0.0.1",
    )
    runtime = create_runtime(settings)
    web = Web(front.port, runtime, files)
    (files / "settings.json").write_text(
        json.dumps({"issuer": web.provider, "client_id": "gallery"})
    )
    shop = _register(web)
    server = LiveServer.start(
        as_environment(settings), port=ports[PROVIDER], log=folder / "server.log", command=None
    )
    app = relying_party.make_app(web.shop, web.provider, "shop", shop)
    with pytest.MonkeyPatch.context() as patch, relying_party.serving(app, ports[SHOP]):
        _lead_home(patch)
        patch.setenv("REQUESTS_CA_BUNDLE", str(front.authority))
        try:
            front.start()
            yield web
        finally:
            front.stop()
            server.stop()
            runtime.engine.dispose()


@pytest.fixture
def context(chromium: Browser, web: Web) -> Iterator[BrowserContext]:
    """Return a new browser without cookies."""
    # The browser's own trust store is left alone; that the certificates are good, Caddy's start
    # and the shop's requests have checked.
    context = chromium.new_context(ignore_https_errors=True, locale="en-US")
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Open a window."""
    return context.new_page()


@pytest.fixture
def person(web: Web) -> Person:
    """Add a person with an account, known to no other test."""
    name = f"ann-{secrets.token_hex(4)}"
    with web.sessions() as session:
        user = protocol.add_person(session, name)
        return Person(str(user.id), name, protocol.PASSWORD)


def fill_in(page: Page, person: Person) -> None:
    """Sign in on the page that is shown."""
    expect(page).to_have_url(re.compile(r"/login\?request="))
    page.get_by_label(LOGIN).fill(person.username)
    page.get_by_label("Password", exact=True).fill(person.password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _register(web: Web) -> str:
    """Register the shop and the gallery; return the secret of the shop."""
    with web.sessions() as session:
        _, secret = clients.create(
            session,
            NewClient(
                client_id="shop",
                client_name="Shop",
                grant_types=["authorization_code"],
                scopes=["openid", "profile"],
                redirect_uris=[f"{web.shop}/callback"],
                post_logout_redirect_uris=[f"{web.shop}/bye"],
                settings={"require_consent": True},
            ),
        )
        clients.create(
            session,
            NewClient(
                client_id="gallery",
                client_name="Gallery",
                is_public=True,
                grant_types=["authorization_code"],
                scopes=["openid", "profile"],
                redirect_uris=[f"{web.gallery}/"],
                cors_origins=[web.gallery],
                settings={"require_consent": False},
            ),
        )
        session.commit()
    assert secret is not None
    return secret


def _lead_home(patch: pytest.MonkeyPatch) -> None:
    """Resolve the names of the sites in this process as the browser does."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        ours = isinstance(host, str) and host.endswith(".test")
        return look_up("127.0.0.1" if ours else host, *args, **kwargs)

    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        patch.delenv(name)
