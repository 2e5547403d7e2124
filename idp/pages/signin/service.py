"""The rules of signing in: who may, how often it may be tried, and what is noted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.tenants import service as tenants
from idp.directory.users import names
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest
from idp.platform.sessions import service as sessions

ACR_PASSWORD = "pwd"  # noqa: S105 - names a way to sign in
AMR_PASSWORD = ("pwd",)  # RFC 8176 2
THROTTLE = "sign-in"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a visitor typed, and the application that he is on his way to."""

    login: str
    password: str
    remember: bool
    client_id: str | None = None


def sign_in(session: Session, issuer: Issuer, attempt: Attempt, cookie: str | None) -> str | None:
    """Check the password, start a session and give its cookie; None when refused.

    An unknown account, a wrong password and an account that may not sign in here are one answer
    after one delay. TooManyRequests comes before the password is looked at. The caller commits in
    both cases: a refusal leaves its trace too.
    """
    throttle = runtime.of(session).throttle
    keys = throttle_keys(session, attempt.login)
    throttle.check_delay(THROTTLE, *keys)
    user = users.find_by_login(session, attempt.login)
    # Hashing takes a tenth of a second; nobody shall wait for this transaction meanwhile.
    session.commit()
    matches = users.verify_password(session, user, attempt.password)
    reason = _why_not(session, issuer, user, matches=matches)
    if user is None or reason is not None:
        throttle.failed(THROTTLE, *keys)
        audit.record(
            session,
            Tag.SIGN_IN_REFUSED,
            client_id=attempt.client_id,
            tenant_id=issuer.tenant_id,
            target=f"user:{user.id}" if user is not None else None,
            details={"reason": reason},
        )
        return None
    throttle.succeeded(THROTTLE, *keys)
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        acr=ACR_PASSWORD,
        amr=AMR_PASSWORD,
        remember=attempt.remember,
        replaces=sessions.find(session, issuer, cookie),
    )
    audit.record(
        session,
        Tag.SIGN_IN,
        user_id=user.id,
        client_id=attempt.client_id,
        tenant_id=issuer.tenant_id,
        details={"amr": list(AMR_PASSWORD), "remember": attempt.remember},
    )
    return value


def throttle_keys(session: Session, login: str) -> tuple[str, str]:
    """Give what tries are counted by: the account as it was typed, and the address.

    Typed, because counting by the account found would tell which names belong to one person.
    Hashed, because people type passwords there.
    """
    account = digest(names.key(login)).hex()[:32]
    return account, runtime.context_of(session).remote_addr or "-"


def _why_not(session: Session, issuer: Issuer, user: User | None, *, matches: bool) -> str | None:
    """Tell the trail, and nobody else, why a sign-in is refused."""
    if user is None:
        return "unknown account"
    if not matches:
        return "wrong password"
    if not user.may_sign_in:
        return "account disabled or locked"
    if not issuer.is_platform and not tenants.memberships(session, user.id, issuer):
        return "not a member"
    return None
