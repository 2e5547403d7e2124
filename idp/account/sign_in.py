"""Signing in: a password or a passkey, and what else is to be proven before the session starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from idp.account import addresses, devices, events, notices, second_factors
from idp.account import sessions as browser_sessions
from idp.account.addresses import NewAddress
from idp.account.devices import Sent
from idp.account.second_factors import Added, ConfirmedApp, NewPasskey
from idp.directory import levels
from idp.directory.authentication import attempts
from idp.directory.authentication import service as authentication
from idp.directory.authentication.attempts import OpenAttempt
from idp.directory.authentication.service import Kind, SignInPolicy
from idp.directory.authentication.steps import (
    Progress,
    Proof,
    Step,
    amr_of,
    level_of,
    next_step,
)
from idp.directory.devices import service as device_rules
from idp.directory.factors import enrolment, passkeys
from idp.directory.factors.passkeys import Claim
from idp.directory.policies import exemptions
from idp.directory.policies import sign_in as policies
from idp.directory.policies import snapshot as policy_rows
from idp.directory.policies.rules import Breached
from idp.directory.policies.snapshot import Asked
from idp.directory.tenants import service as tenants
from idp.directory.users import password_age
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.oauth.visitor import Visitor
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.metrics.declarations import SIGN_INS
from idp.platform.onetime import service as onetime
from idp.platform.sessions import service as sessions
from idp.platform.sessions.service import Authentication

RECENT = timedelta(minutes=30)
"""How long after a sign-in the account pages can be used."""
WARNED_EVERY = timedelta(days=30)
"""How often people are told by mail that a password is stolen."""
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


@dataclass(frozen=True, slots=True)
class Proven:
    """What a session starts with."""

    proofs: tuple[Proof, ...] = (Proof.PASSWORD,)
    auth_time: datetime | None = None
    """When the first factor was proven; None: now."""
    trusted_until: datetime | None = None
    """Until when a remembered device takes the place of the second factor; None: it does not."""
    attempt: OpenAttempt | None = None
    """The attempt that it ends; None: there was none, one request proved it all."""


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
    policy = _policy(session, issuer, attempt.client_id)
    proof = authentication.Attempt(Kind.PASSWORD, attempt.login, attempt.password)
    user = authentication.authenticate(session, proof, policy)
    if user is None:
        return None
    return proceed(
        session,
        issuer,
        user,
        cookie,
        sent,
        proofs=_proofs_of(session, issuer, user, attempt.password, sent.locale),
        client_id=attempt.client_id,
        remember=attempt.remember,
    )


def _proofs_of(
    session: Session, issuer: Issuer, user: User, password: str, locale: str
) -> tuple[Proof, ...]:
    """Return what a right password proves; with a stolen one do what the policy wants."""
    follows = password_age.after_use(session, user, password)
    if follows == Breached.OFF:
        return (Proof.PASSWORD,)
    events.record(session, Tag.STOLEN_PASSWORD_USED, issuer, user)
    if follows == Breached.FORCE:
        return Proof.PASSWORD, Proof.STOLEN
    until = clock.now() + WARNED_EVERY
    if onetime.claim(session, "stolen password", f"{user.id} {user.security_stamp}", until):
        notices.stolen_password_used(session, issuer, user, user.locale or locale)
    return (Proof.PASSWORD,)


@dataclass(frozen=True, slots=True)
class PasskeyAttempt:
    """The answer of a passkey that a visitor sent, and the application that requests it."""

    claim: Claim
    remember: bool
    client_id: str | None = None


def with_passkey(
    session: Session, issuer: Issuer, attempt: PasskeyAttempt, cookie: str | None, sent: Sent
) -> Outcome | None:
    """Check the answer of a passkey and go on with the sign-in; return None when it is refused.

    The caller commits in both cases: a refusal is recorded too.
    """
    found = passkeys.prove(session, issuer, attempt.claim)
    if found.passkey is None:
        return None
    user = session.get_one(User, found.passkey.user_id)
    policy = _policy(session, issuer, attempt.client_id)
    reason = found.reason or authentication.refusal_reason(user, policy)
    outcome = "done" if reason is None else "refused"
    runtime.of(session).counts.add(SIGN_INS, "passkey", outcome)
    if reason is not None:
        authentication.record_refusal(session, policy, user, f"passkey: {reason}")
        second_factors.report_suspended(session, issuer, user, found, sent.locale)
        return None
    tenants.confirm_member(session, issuer.tenant_id, user.id)
    return proceed(
        session,
        issuer,
        user,
        cookie,
        sent,
        proofs=second_factors.proofs_of(found),
        client_id=attempt.client_id,
        remember=attempt.remember,
    )


def _policy(session: Session, issuer: Issuer, client_id: str | None) -> SignInPolicy:
    """Return who may sign in at an issuer."""
    return SignInPolicy(
        admits=lambda user: (
            issuer.is_platform or bool(tenants.memberships(session, user.id, issuer))
        ),
        issuer_tenant_id=issuer.tenant_id,
        tenant_id=issuer.tenant_id,
        client_id=client_id,
    )


def proceed(
    session: Session,
    issuer: Issuer,
    user: User,
    cookie: str | None,
    sent: Sent = NOTHING,
    *,
    proofs: tuple[Proof, ...] = (Proof.PASSWORD,),
    client_id: str | None,
    remember: bool = False,
) -> Outcome:
    """Go on with the sign-in of a person who has just proved a passkey or a password, or set one.

    `cookie` is the session cookie that the browser sent; its session is replaced. A remembered
    device takes the place of the second factor at a new sign-in; people who are signed in and
    prove once more who they are prove all of it.
    """
    asked = policies.asked_of(session, issuer, user.id, client_id)
    remember = remember and policies.lifetime_of(session, user.id).days > 0
    progress = attempts.progress_of(session, issuer, user, proofs, asked)
    trusted_until = None
    if (
        next_step(progress) is Step.SECOND
        and levels.satisfies(progress.reach, progress.wanted)
        and not _is_signed_in(session, issuer, user, cookie)
    ):
        trusted_until = devices.remembered_until(session, issuer, user, sent)
    if trusted_until is not None:
        progress = replace(progress, wanted=levels.PWD)
    step = next_step(progress)
    device = None
    if step is not Step.DONE:
        value = attempts.begin(
            session, issuer, user, proofs, client_id=client_id, remember=remember
        )
    else:
        value = start(
            session,
            issuer,
            user,
            cookie,
            Proven(proofs, trusted_until=trusted_until),
            client_id=client_id,
            remember=remember,
        )
        _note_exemption(session, issuer, value, asked, proofs)
        device = devices.note_sign_in(session, issuer, user, sent)
    return Outcome(step, value, remember, device)


def _note_exemption(
    session: Session, issuer: Issuer, cookie: str, asked: Asked, proofs: tuple[Proof, ...]
) -> None:
    """Note a new session without what a policy requires of others."""
    if levels.satisfies(level_of(proofs), asked.waived):
        return
    row = sessions.find(session, issuer, cookie)
    if row is not None:
        exemptions.note_sign_in(session, issuer, row.user_id, asked.tenant_id, row.id)


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
    attempts.note(attempt, [Proof(factor)], remember_device=remember_device)
    return finish(session, issuer, attempt, cookie, sent, is_noted=True)


def with_enrolment_code(session: Session, issuer: Issuer, attempt: OpenAttempt, code: str) -> bool:
    """Check an enrolment code, which opens the next step; return False when it is refused.

    The caller commits in both cases. Raise TooManyRequests after too many wrong codes.
    """
    if not second_factors.prove_enrolment_code(session, issuer, attempt.user, code):
        attempts.count_failure(session, attempt)
        return False
    attempts.add_proofs(session, attempt, [Proof.ENROLMENT_CODE])
    return True


def with_sent_code(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    code: str,
    cookie: str | None,
    sent: Sent,
    *,
    remember_device: bool = False,
) -> Outcome | None:
    """Check a code that was sent for this attempt and go on, as `with_code` does."""
    proof = second_factors.prove_sent_code(session, issuer, attempt.user, attempt.owner, code)
    if proof is None:
        attempts.count_failure(session, attempt)
        return None
    if Proof.ENROLMENT_CODE in attempt.proofs:
        enrolment.forget(session, attempt.user.id)
    attempts.note(attempt, [proof], remember_device=remember_device)
    return finish(session, issuer, attempt, cookie, sent, is_noted=True)


def with_second_passkey(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    claim: Claim,
    cookie: str | None,
    sent: Sent,
    *,
    remember_device: bool = False,
) -> Outcome | None:
    """Check the answer of a passkey of a known person and go on, as `with_code` does."""
    proofs = second_factors.prove_passkey(session, issuer, attempt.user, claim, sent.locale)
    if not proofs:
        attempts.count_failure(session, attempt)
        return None
    attempts.note(attempt, proofs, remember_device=remember_device)
    return finish(session, issuer, attempt, cookie, sent, is_noted=True)


def with_new_passkey(
    session: Session, issuer: Issuer, attempt: OpenAttempt, new: NewPasskey, locale: str
) -> Added | None:
    """Add the passkey that a person sets up to sign in; return None for a refused answer.

    The caller commits in both cases. Raise what `second_factors.add_passkey` raises.
    """
    client_id = attempt.client_id
    added = second_factors.add_passkey(session, issuer, attempt.user, new, locale, client_id)
    if added is None:
        attempts.count_failure(session, attempt)
    else:
        attempts.add_proofs(session, attempt, added.proofs)
    return added


def with_new_app(
    session: Session, issuer: Issuer, attempt: OpenAttempt, new: ConfirmedApp, locale: str
) -> Added | None:
    """Add the app that a person must set up to sign in; return None for a wrong code.

    The caller commits in both cases. Raise what `second_factors.add_app` raises.
    """
    client_id = attempt.client_id
    added = second_factors.add_app(session, issuer, attempt.user, new, locale, client_id)
    if added is None:
        attempts.count_failure(session, attempt)
    else:
        attempts.add_proofs(session, attempt, [Proof.TOTP])
    return added


def with_new_password(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    password: str,
    cookie: str | None,
    sent: Sent,
) -> Outcome | None:
    """Set the password that a person must choose to sign in, and go on with the sign-in.

    All access gained with the old one ends. `cookie` is the session cookie that the browser sent;
    its session is replaced. Raise BadRequest for a weak password and Busy under load; the caller
    commits in all other cases. None: the attempt has ended.
    """
    session.commit()  # no transaction is open while passwords are hashed
    user = attempt.user
    users.set_password(session, user, password)
    sessions.end_all(session, user.id)
    attempts.keep(session, attempt)
    events.record(session, Tag.PASSWORD_CHANGED, issuer, user)
    notices.password_changed(session, issuer, user, sent.locale)
    return finish(session, issuer, attempt, cookie, sent)


def with_address(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    new: NewAddress,
    cookie: str | None,
    sent: Sent,
) -> Outcome | None:
    """Check the code that confirms an address, and go on; return None when it is refused.

    The caller commits in both cases. Raise Conflict when another account has the address; the
    caller rolls back then.
    """
    if not addresses.change(session, issuer, attempt.user, new, sent.locale):
        attempts.count_failure(session, attempt)
        return None
    return finish(session, issuer, attempt, cookie, sent)


def progress_of(session: Session, issuer: Issuer, attempt: OpenAttempt) -> Progress:
    """Return what decides the next step of an attempt."""
    asked = policies.asked_of(session, issuer, attempt.user.id, attempt.client_id)
    return _progress_of(session, issuer, attempt, asked)


def _progress_of(session: Session, issuer: Issuer, attempt: OpenAttempt, asked: Asked) -> Progress:
    user, proofs = attempt.user, attempt.proofs
    return attempts.progress_of(session, issuer, user, proofs, asked, attempt.condition)


def due_step(session: Session, issuer: Issuer, attempt: OpenAttempt) -> Step:
    """Return the step of an attempt whose turn it is."""
    return next_step(progress_of(session, issuer, attempt))


def put_off(
    session: Session, issuer: Issuer, attempt: OpenAttempt, cookie: str | None, sent: Sent
) -> Outcome | None:
    """Go on with a sign-in without a second factor that may be set up later, as `finish` does."""
    progress = progress_of(session, issuer, attempt)
    if progress.may_put_off and next_step(progress) is Step.ENROL:
        attempts.add_proofs(session, attempt, [Proof.PUT_OFF])
        note_put_off(session, issuer, attempt.user)
    return finish(session, issuer, attempt, cookie, sent)


def note_put_off(session: Session, issuer: Issuer, user: User) -> None:
    """Note that a person was asked to set up a second factor and put it off."""
    policies.note_asked(session, user)
    events.record(session, Tag.FACTOR_PUT_OFF, issuer, user)


def finish(
    session: Session,
    issuer: Issuer,
    attempt: OpenAttempt,
    cookie: str | None,
    sent: Sent = NOTHING,
    *,
    is_noted: bool = False,
) -> Outcome | None:
    """End an attempt by its session if nothing else is to be proven; None: it has one already.

    `cookie` is the session cookie that the browser sent; its session is replaced. `is_noted`:
    there are proofs that were noted and not written.
    """
    user = attempt.user
    asked = policies.asked_of(session, issuer, user.id, attempt.client_id)
    step = next_step(_progress_of(session, issuer, attempt, asked))
    if step is not Step.DONE:
        if is_noted:
            attempts.save(session, attempt)
        return Outcome(step, None, attempt.remember)
    has_both = level_of(attempt.proofs) != levels.PWD
    days = device_rules.remembered_days(session, user.id) if attempt.remember_device else 0
    is_remembered = has_both and days > 0
    until = clock.now() + timedelta(days=days) if is_remembered else None
    try:
        value = start(
            session,
            issuer,
            user,
            cookie,
            Proven(attempt.proofs, attempt.created_at, until, attempt),
            client_id=attempt.client_id,
            remember=attempt.remember,
        )
    except sessions.SpentError:
        return None
    _note_exemption(session, issuer, value, asked, attempt.proofs)
    device = devices.note_sign_in(
        session,
        issuer,
        user,
        sent,
        is_remembered=is_remembered,
        known=attempt.known_devices,
    )
    return Outcome(step, value, attempt.remember, device)


def start(
    session: Session,
    issuer: Issuer,
    user: User,
    cookie: str | None,
    proven: Proven | None = None,
    *,
    client_id: str | None,
    remember: bool = False,
) -> str:
    """Start a session of a person who has proved all that is asked for; return its cookie.

    `cookie` is the session cookie that the browser sent; its session is replaced. Without `proven`
    it was the password, just now. Raise SpentError where the attempt has a session already.
    """
    proven = proven or Proven()
    attempt = proven.attempt
    if attempt is None or attempt.is_bound:
        tenants.confirm_only_member(session, user.id, issuer)
    level, amr = level_of(proven.proofs), amr_of(proven.proofs)
    now = clock.now()
    mfa_at = None if level == levels.PWD else now
    phr_at = now if level == levels.PHR else None
    required = policy_rows.of_user(session, user.id)
    replaced = sessions.find(session, issuer, cookie)
    if required.max_sessions:
        keep = replaced.id if replaced is not None and replaced.user_id == user.id else None
        _end_oldest(session, issuer, user, required.max_sessions, keep)
    return sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        Authentication(
            level,
            amr,
            proven.auth_time,
            mfa_at,
            phr_at,
            proven.trusted_until,
            policies.lifetime_of_required(required),
        ),
        remember=remember,
        replaces=replaced,
        change=None if attempt is None else attempts.end(attempt),
        event=audit.columns(
            runtime.context_of(session),
            Tag.SIGN_IN,
            user_id=user.id,
            client_id=client_id,
            tenant_id=issuer.tenant_id,
            details={"amr": amr, "remember": remember},
        ),
    )


def _end_oldest(session: Session, issuer: Issuer, user: User, most: int, kept: int | None) -> None:
    """End the oldest sessions of a person, so that there are no more than allowed with a new one.

    `kept` is the session that the new one replaces.
    """
    rows = sessions.list_for(session, user.id, user.security_stamp)
    others = [row for row in rows if row.id != kept]
    for row in others[: max(0, len(others) - most + 1)]:
        browser_sessions.end_row(
            session, row, tenant_id=issuer.tenant_id, by=None, reason="too many sessions"
        )


def is_recent(visitor: Visitor) -> bool:
    """Return whether the visitor signed in recently."""
    return visitor.browser.auth_time > clock.now() - RECENT
