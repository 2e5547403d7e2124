"""Signing in with a password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from idp.directory.authentication import service as authentication
from idp.directory.authentication.service import Kind, SignInPolicy
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.oauth.visitor import Visitor
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions

ACR_PASSWORD = "pwd"  # noqa: S105 - names a way to sign in
AMR_PASSWORD = ("pwd",)  # RFC 8176 2
RECENT = timedelta(minutes=30)
"""How long after a sign-in the account pages can be used."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The form that a visitor sent, and the application that requests the sign-in."""

    login: str
    password: str
    remember: bool
    client_id: str | None = None


def with_password(
    session: Session, issuer: Issuer, attempt: Attempt, cookie: str | None
) -> str | None:
    """Check the password, start a session and return its cookie; None when refused.

    The caller commits in both cases, as for `authentication.authenticate`.
    """
    policy = SignInPolicy(
        admits=lambda user: (
            issuer.is_platform or bool(tenants.memberships(session, user.id, issuer))
        ),
        issuer_tenant_id=issuer.tenant_id,
        tenant_id=issuer.tenant_id,
        client_id=attempt.client_id,
    )
    proof = authentication.Attempt(Kind.PASSWORD, attempt.login, attempt.password)
    user = authentication.authenticate(session, proof, policy)
    if user is None:
        return None
    return start(
        session, issuer, user, cookie, client_id=attempt.client_id, remember=attempt.remember
    )


def start(
    session: Session,
    issuer: Issuer,
    user: User,
    cookie: str | None,
    *,
    client_id: str | None,
    remember: bool = False,
) -> str:
    """Start a session of a person who has just proved or set a password; return its cookie.

    `cookie` is the session cookie that the browser sent; its session is replaced.
    """
    own = tenants.memberships(session, user.id, issuer)
    if len(own) == 1:
        # The person will not be asked to choose an organisation.
        tenants.confirm_member(session, own[0].id, user.id)
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        acr=ACR_PASSWORD,
        amr=AMR_PASSWORD,
        remember=remember,
        replaces=sessions.find(session, issuer, cookie),
    )
    audit.record(
        session,
        Tag.SIGN_IN,
        user_id=user.id,
        client_id=client_id,
        tenant_id=issuer.tenant_id,
        details={"amr": list(AMR_PASSWORD), "remember": remember},
    )
    return value


def is_recent(visitor: Visitor) -> bool:
    """Return whether the visitor signed in recently."""
    return visitor.browser.auth_time > clock.now() - RECENT
