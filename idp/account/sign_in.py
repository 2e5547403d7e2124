"""Signing in: a password, and whatever else is to be proven before the session starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from idp.account import devices, second_factors
from idp.account.devices import Sent
from idp.account.second_factors import Added, ConfirmedApp
from idp.directory import levels
from idp.directory.authentication import attempts
from idp.directory.authentication import service as authentication
from idp.directory.authentication.attempts import OpenAttempt
from idp.directory.authentication.service import Kind, SignInPolicy
from idp.directory.authentication.steps import Proof, Step, amr_of, level_of, next_step
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.oauth.visitor import Visitor
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.service import Authentication

RECENT = timedelta(minutes=30)
"""How long after a sign-in the account pages can be used."""
NOTHING = Sent()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The form that a visitor sent, and the application that requests the sign-in."""

    login: str
    password: str
    remember: bool
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The step that comes next, with the cookie that goes with it."""

    step: Step
    cookie: str | None
    """Of the session when all is done, else of the attempt; None: the browser has it."""
    remember: bool
    device: str | None = None
    """Cookie of the device; None: the browser has it."""


def with_password(
    session: Session,
    issuer: Issuer,
    attempt: Attempt,
    cookie: str | None,
    sent: Sent = NOTHING,
) -> Outcome | None:
    """Check the password and go on with the sign-in; return None when it is refused.

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
    return proceed(
        session, issuer, user, cookie, sent, client_id=attempt.client_id, remember=attempt.remember
    )


def proceed(
    session: Session,
    issuer: Issuer,
    user: User,
    cookie: str | None,
    sent: Sent = NOTHING,
    *,
    client_id: str | None,
    remember: bool = False,
) -> Outcome:
    """Go on with the sign-in of a person who has just proved or set a password.

    `cookie` is the session cookie that the browser sent; its session is replaced. A remembered
    device takes the place of the second factor at a new sign-in; people who are signed in and
    prove once more who they are prove all of it.
    """
    proofs = (Proof.PASSWORD,)
    progress = attempts.progress_of(session, user, proofs)
    if (
        next_step(progress) is Step.SECOND
        and not _is_signed_in(session, issuer, user, cookie)
        and devices.is_remembered(session, issuer, user, sent)
    ):
        progress = replace(progress, wanted=levels.PWD)
    step = next_step(progress)
    device = None
    if step is not Step.DONE:
        value = attempts.begin(
            session, issuer, user, proofs, client_id=client_id, remember=remember
        )
    else:
        value = start(session, issuer, user, cookie, client_id=client_id, remember=remember)
        device = devices.note_sign_in(session, issuer, user, sent)
    return Outcome(step, value, remember, device)


def _is_signed_in(session: Session, issuer: Issuer, user: User, cookie: str | None) -> bool:
    row = sessions.find(session, issuer, cookie)
    if row is None or row.user_id != user.id:
        return False
    return row.security_stamp == user.security_stamp


def with_code(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    code: str,
    cookie: str | None,
    sent: Sent = NOTHING,
    *,
    remember_device: bool = False,
) -> Outcome | None:
    """Check a code of a second factor and go on with the sign-in; return None when it is refused.

    `cookie` is the session cookie that the browser sent; its session is replaced. The caller
    commits in both cases. Raise TooManyRequests after too many wrong codes.
    """
    factor = second_factors.prove(session, issuer, attempt.user, code, sent.locale)
    if factor is None:
        attempts.count_failure(session, attempt)
        return None
    attempt.row.remember_device = remember_device
    attempts.add_proof(session, attempt, Proof(factor))
    return finish(session, issuer, attempt, cookie, sent)


def with_new_app(
    session: Session, issuer: Issuer, attempt: OpenAttempt, new: ConfirmedApp, locale: str
) -> Added | None:
    """Add the app that a person must set up to sign in; return None for a wrong code.

    The caller commits in both cases. Raise what `second_factors.add_app` raises.
    """
    added = second_factors.add_app(session, issuer, attempt.user, new, locale)
    if added is None:
        attempts.count_failure(session, attempt)
    else:
        attempts.add_proof(session, attempt, Proof.TOTP)
    return added


def due_step(session: Session, attempt: OpenAttempt) -> Step:
    """Return the step of an attempt whose turn it is."""
    return next_step(attempts.progress_of(session, attempt.user, attempt.proofs))


def finish(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    cookie: str | None,
    sent: Sent = NOTHING,
) -> Outcome | None:
    """End an attempt by its session if nothing else is to be proven; None: it has one already.

    `cookie` is the session cookie that the browser sent; its session is replaced.
    """
    step, row = due_step(session, attempt), attempt.row
    if step is not Step.DONE:
        return Outcome(step, None, row.remember)
    if not attempts.use(session, attempt):
        return None
    value = start(
        session,
        issuer,
        attempt.user,
        cookie,
        proofs=attempt.proofs,
        client_id=row.client_id,
        remember=row.remember,
        auth_time=row.created_at,
    )
    has_both = level_of(attempt.proofs) != levels.PWD and devices.may_be_remembered(session)
    device = devices.note_sign_in(
        session,
        issuer,
        attempt.user,
        sent,
        is_remembered=row.remember_device and has_both,
    )
    return Outcome(step, value, row.remember, device)


def start(
    session: Session,
    issuer: Issuer,
    user: User,
    cookie: str | None,
    *,
    proofs: tuple[Proof, ...] = (Proof.PASSWORD,),
    client_id: str | None,
    remember: bool = False,
    auth_time: datetime | None = None,
) -> str:
    """Start a session of a person who has proved all that is asked for; return its cookie.

    `cookie` is the session cookie that the browser sent; its session is replaced. `auth_time` is
    when the first factor was proven, by default now.
    """
    own = tenants.memberships(session, user.id, issuer)
    if len(own) == 1:
        # The person will not be asked to choose an organisation.
        tenants.confirm_member(session, own[0].id, user.id)
    level, amr = level_of(proofs), amr_of(proofs)
    mfa_at = None if level == levels.PWD else clock.now()
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        Authentication(level, amr, auth_time, mfa_at),
        remember=remember,
        replaces=sessions.find(session, issuer, cookie),
    )
    audit.record(
        session,
        Tag.SIGN_IN,
        user_id=user.id,
        client_id=client_id,
        tenant_id=issuer.tenant_id,
        details={"amr": amr, "remember": remember},
    )
    return value


def is_recent(visitor: Visitor) -> bool:
    """Return whether the visitor signed in recently."""
    return visitor.browser.auth_time > clock.now() - RECENT
