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
    if not cookie:
        return None
    query = sessions.live(issuer, cookie).join(User, User.id == BrowserSession.user_id)
    row = session.execute(query.add_columns(User)).one_or_none()
    if row is None:
        return None
    browser, user = row
    sessions.touch(session, browser)
    if not user.may_sign_in or user.security_stamp != browser.security_stamp:
        return None
    return Visitor(browser, user)
