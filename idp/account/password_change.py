"""Changing the password."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.account import current_password, events, notices
from idp.directory.policies import sign_in as policies
from idp.directory.users import service as users
from idp.oauth.visitor import Visitor
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.service import Authentication


def change(
    session: Session, issuer: Issuer, visitor: Visitor, current: str, new: str, locale: str
) -> str | None:
    """Change the password; return the new cookie of this session, None when the old one is wrong.

    Every other session, grant and token of the person ends. Raise BadRequest for a weak password,
    TooManyRequests after too many wrong ones, Busy under load. The caller commits in all
    other cases.
    """
    user, browser = visitor.user, visitor.browser
    if not current_password.matches(session, user, current):
        events.record(session, Tag.PASSWORD_CHANGE_REFUSED, issuer, user)
        return None
    users.set_password(session, user, new)
    sessions.end_all(session, user.id, but=browser.id)
    sessions.restamp(session, browser, user.security_stamp)
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        Authentication(
            browser.acr,
            browser.amr,
            mfa_at=browser.mfa_at,
            phr_at=browser.phr_at,
            lifetime=policies.lifetime_of(session, user.id),
        ),
        remember=browser.remember,
        replaces=browser,
    )
    events.record(session, Tag.PASSWORD_CHANGED, issuer, user)
    notices.password_changed(session, issuer, user, locale)
    return value
