"""People who are signed in without the pages of sign-in, where a test is about other pages."""

from __future__ import annotations

from playwright.sync_api import BrowserContext
from sqlalchemy.orm import Session

from idp.directory.users import service as users
from tests.protocol import start_session

HOST = "127.0.0.1:8000"
"""Where the issuer is in the settings that seeded the database."""


def sign_in(context: BrowserContext, session: Session, url: str, name: str) -> None:
    """Start a session for a person, and put its cookie into the browser."""
    user = users.find_by_username(session, name)
    assert user is not None
    cookie, value = start_session(session, HOST, user)
    context.add_cookies([{"name": cookie, "value": value, "url": url}])
