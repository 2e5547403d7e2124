"""Render pages of the demo for the README and the guide, with the Chromium of the machine.

    .venv/bin/python docs/pictures.py

A new demo is set up in a folder of its own and served; the pictures in `docs/pictures` are those
of its pages. They are drawn in few colours, so that each has less than 150 kB.
"""  # noqa: INP001 - a program, no package

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.protocol import app_code
from tests.servers import LiveServer, clean_environment, free_port

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = {"width": 1280, "height": 800}
COLOURS = 96
LARGEST = 150_000
LOGIN = "User name, e-mail or mobile number"


@dataclass(frozen=True)
class Picture:
    """A page to be rendered."""

    name: str
    path: str
    """`{acme}` stands for the id of the first organisation."""
    username: str | None = "olivia.chen"
    """None: nobody has signed in."""
    scheme: str = "light"
    has_app: bool = False
    """Whether the person adds an authenticator app first, and signs in again up to its code."""


PICTURES = (
    Picture("sign-in", "/login", None),
    Picture("overview", "/console/platform/overview?days=30", "admin"),
    Picture(
        "explain",
        "/console/t/{acme}/explain?client=acme-order-desk&user=priya.nair"
        "&scope=openid+orders.read&permission=orders.refund",
    ),
    Picture("audit", "/console/t/{acme}/audit"),
    Picture("roles", "/console/t/{acme}/roles"),
    Picture("users", "/console/t/{acme}/users"),
    Picture("clients-dark", "/console/t/{acme}/clients", scheme="dark"),
    Picture("security", "/account/security", "olivia.chen"),
    Picture("authenticator", "/account/security/authenticator", "olivia.chen"),
    Picture("second-step", "/login", "olivia.chen", has_app=True),
)


def main() -> None:
    """Write all pictures again."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        _demo(Path(folder)) as (url, printed),
        sync_playwright() as playwright,
    ):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for picture in PICTURES:
            path = FOLDER / f"{picture.name}.png"
            path.write_bytes(_compressed(_render(browser, url, printed, picture)))
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size} bytes")  # noqa: T201 - a program
        browser.close()


@contextmanager
def _demo(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Set a demo up and serve it; yield its address and what setup printed."""
    port = free_port()
    environment = {
        "IDP_DEMO": "1",
        "IDP_ENVIRONMENT": "development",
        "IDP_DATA_DIR": str(folder / "var"),
        "IDP_KEYS_DIR": str(folder / "keys"),
        "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    done = subprocess.run(  # noqa: S603 - our own command
        [Path(sys.executable).parent / "idp", "setup", "--json"],
        env={**clean_environment(), **environment},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    log = folder / "server.log"
    server = LiveServer.start(environment, port=port, log=log, arguments=())
    try:
        yield server.url, json.loads(done.stdout)
    finally:
        server.stop()


def _render(browser: Browser, url: str, printed: Mapping[str, Any], picture: Picture) -> bytes:
    """Render the page of a picture, as the person who sees it."""
    context = browser.new_context(
        base_url=url,
        viewport=SIZE,
        locale="en-GB",
        timezone_id="UTC",
        color_scheme=picture.scheme,
    )
    page = context.new_page()
    if picture.username is not None:
        password = _password(printed, picture.username)
        _sign_in(page, picture.username, password)
        if picture.has_app:
            _add_app(page)
            context.clear_cookies()
            _enter(page, picture.username, password)
            page.wait_for_url("**/login/factor**")
    page.goto(picture.path.format(acme=_acme(page)))
    page.wait_for_load_state("networkidle")
    picture_bytes = page.screenshot(animations="disabled")
    context.close()
    return picture_bytes


def _sign_in(page: Page, username: str, password: str) -> None:
    _enter(page, username, password)
    page.wait_for_url("**/console/**")


def _enter(page: Page, username: str, password: str) -> None:
    page.goto("/login?return_to=/console")
    page.get_by_label(LOGIN).fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _add_app(page: Page) -> None:
    page.goto("/account/security/authenticator")
    secret = base64.b32decode(page.locator(".secret code").inner_text().replace(" ", ""))
    page.fill("#code", app_code(secret))
    page.get_by_role("button", name="Add the app").click()
    page.wait_for_url("**/account/security/codes")


def _password(printed: Mapping[str, Any], username: str) -> str:
    if username == printed["admin_username"]:
        return str(printed["admin_password"])
    (account,) = (row for row in printed["accounts"] if row["username"] == username)
    return str(account["password"])


def _acme(page: Page) -> str:
    """Return the id in the address of the organisation that is shown; the platform has none."""
    place, _, number = page.url.partition("/console/")[2].partition("/")
    return number.partition("/")[0] if place == "t" else ""


def _compressed(picture: bytes) -> bytes:
    """Draw a picture in few colours."""
    written = BytesIO()
    drawn = Image.open(BytesIO(picture)).convert("RGB")
    drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    if written.tell() > LARGEST:
        raise SystemExit(f"A picture has {written.tell()} bytes, more than {LARGEST}.")
    return written.getvalue()


if __name__ == "__main__":
    main()
