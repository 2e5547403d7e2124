"""Pages as a browser without scripts uses them: load, fill in, send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests import protocol

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from idp.directory.users.models import User
    from tests.conftest import IssuerClient

TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def token_in(page: TestResponse) -> str:
    """Read what ties a form to its browser."""
    found = TOKEN.search(page.get_data(as_text=True))
    assert found is not None, page.get_data(as_text=True)
    return found[1]


def send(browser: IssuerClient, address: str, **fields: object) -> TestResponse:
    """Load a page and send its form."""
    page = browser.get(address, headers={"Accept": "text/html"})
    assert page.status_code == 200, (page.status_code, page.get_data(as_text=True))
    return browser.post(
        address,
        data={"csrf_token": token_in(page), **fields},
        headers={"Accept": "text/html", "Origin": browser.base_url},
    )


def sign_in(
    browser: IssuerClient, user: User, address: str = "/login", password: str = protocol.PASSWORD
) -> TestResponse:
    """Sign in by the page."""
    answer = send(browser, address, login=user.username, password=password)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return answer


def allow(browser: IssuerClient, address: str, *scopes: str, remember: bool = True) -> TestResponse:
    """Allow scopes on the consent page; those that are fixed are allowed anyway."""
    fields = {"remember": "y"} if remember else {}
    return send(browser, address, answer="allow", scope=list(scopes), **fields)


def deny(browser: IssuerClient, address: str) -> TestResponse:
    """Refuse on the consent page."""
    return send(browser, address, answer="deny")
