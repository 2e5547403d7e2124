"""The person in front of the browser."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.users.models import User
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession


@dataclass(frozen=True, slots=True)
class Visitor:
    """A live browser session and the person it belongs to."""

    browser: BrowserSession
    user: User


def find(session: Session, issuer: Issuer, cookie: str | None) -> Visitor | None:
    """Tell who is signed in with this cookie.

    Nobody, when the session has ended, belongs to another issuer, or the person was deleted,
    disabled, locked or got a new security stamp since.
    """
    browser = sessions.find(session, issuer, cookie)
    if browser is None:
        return None
    user = session.get(User, browser.user_id)
    if user is None or not user.may_sign_in or user.security_stamp != browser.security_stamp:
        return None
    return Visitor(browser, user)
