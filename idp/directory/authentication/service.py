"""Checking a password, a code by text message or a QR code, with one count of failed attempts.

The sign-in page and every version of the APIs call this module, so that nobody gets more attempts
by alternating between them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy.orm import Session

from idp.directory.authentication import qr
from idp.directory.registration import codes
from idp.directory.registration.codes import Channel, MessageContext, Sender
from idp.directory.tenants import service as tenants
from idp.directory.users import names
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Busy, TooManyRequests
from idp.platform.metrics.declarations import SIGN_INS
from idp.platform.secrets import digest, random_token
from idp.platform.throttle import Key, origin

THROTTLE = "sign-in"
BY_CLIENT = "sign-in by client"
FAILURES_PER_CLIENT = 600
"""Per minute, over all people whom a program logs in: far above occasional mistyping."""
MINUTE = 60


class Kind(StrEnum):
    """The way in which a person authenticates."""

    PASSWORD = "PASSWORD"  # noqa: S105 - names a way to sign in
    SMS = "SMS"
    QRCODE = "QRCODE"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed identity, and the proof of it."""

    kind: Kind
    principal: str
    """A name as typed, a mobile number, or the id of a QR code."""
    certificate: str = field(repr=False)
    """Password, code, or the secret of the device that showed the QR code."""
    sms_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """Where a sign-in takes place: whom it admits, and what the audit log records of it."""

    admits: Callable[[User], bool]
    issuer_tenant_id: int
    tenant_id: int | None
    client_id: str | None = None


class Finding(NamedTuple):
    """The person found, if any, and why the proof failed, if it did."""

    user: User | None
    reason: str | None = None


def authenticate(session: Session, attempt: Attempt, policy: SignInPolicy) -> User | None:
    """Return the authenticated person; None for whatever reason the attempt fails.

    An unknown account, a wrong proof and an account that is not admitted here get one answer
    after one delay. TooManyRequests is raised before the proof is checked, and so is Busy, which
    does not count as an attempt. The caller commits in both cases: a refusal is recorded too, and
    spends the attempts of a code.
    """
    throttle = runtime.of(session).throttle
    keys = throttle_keys(session, attempt.principal)
    client_id = runtime.context_of(session).client_id
    try:
        has_failures = throttle.check_delay(THROTTLE, *keys)
        if client_id is not None:
            throttle.check(BY_CLIENT, client_id, FAILURES_PER_CLIENT, MINUTE)
    except TooManyRequests:
        _count(session, attempt, "delayed")
        raise
    try:
        user, reason = _CHECKS[attempt.kind](session, attempt, policy)
    except Busy:
        throttle.withdraw(THROTTLE, *keys)
        raise
    if user is not None and reason is None:
        reason = refusal_reason(user, policy)
    if user is None or reason is not None:
        throttle.failed(THROTTLE, *keys)
        if client_id is not None:
            with suppress(TooManyRequests):  # of several at once the next one is refused
                throttle.hit(BY_CLIENT, client_id, FAILURES_PER_CLIENT, MINUTE)
        record_refusal(session, policy, user, reason)
        _count(session, attempt, "refused")
        return None
    if has_failures:
        throttle.succeeded(THROTTLE, *keys)
    _count(session, attempt, "done")
    if policy.tenant_id is not None:
        tenants.confirm_member(session, policy.tenant_id, user.id)
    return user


def _count(session: Session, attempt: Attempt, outcome: str) -> None:
    runtime.of(session).counts.add(SIGN_INS, _METHODS[attempt.kind], outcome)


def throttle_keys(session: Session, login: str) -> tuple[str, Key]:
    """Return the keys by which attempts are counted: the account as typed, and the address.

    Typed, because counting by the account found would reveal which names belong to one person; a
    number is one number however it is written. Hashed, because people type passwords there.
    """
    number = names.find_mobile(login, runtime.of(session).settings.phone_region)
    account = digest(number or names.key(login)).hex()[:32]
    return account, origin(runtime.context_of(session))


def send_code(
    session: Session, number: str, sender: Sender, message: MessageContext, policy: SignInPolicy
) -> str:
    """Send a sign-in code and return the key that belongs to it.

    A number without an account that is admitted gets the same answer and no message.
    """
    user = users.find_by_mobile(session, number)
    is_silent = user is None or refusal_reason(user, policy) is not None
    key = random_token()
    wait = codes.send(
        session, Channel.SIGN_IN, number, sender, message, key=key, is_silent=is_silent
    )
    if wait is not None:
        raise TooManyRequests(wait.seconds)
    return key


def _by_password(session: Session, attempt: Attempt, _policy: SignInPolicy) -> Finding:
    user = users.find_by_login(session, attempt.principal)
    # Hashing takes a tenth of a second; no other request should wait for this transaction.
    session.commit()
    if users.verify_password(session, user, attempt.certificate):
        return Finding(user)
    return Finding(user, "unknown account" if user is None else "wrong password")


def _by_sms(session: Session, attempt: Attempt, _policy: SignInPolicy) -> Finding:
    if not attempt.sms_key:
        raise BadRequest.at("sms_key", "The key returned with the code is required.")
    number = names.find_mobile(attempt.principal, runtime.of(session).settings.phone_region)
    if number is None:
        return Finding(None, "no mobile number")
    user = users.find_by_mobile(session, number)
    # Codes of unknown numbers are checked as well, so that the time taken reveals nothing.
    proof = codes.prove(session, Channel.SIGN_IN, number, attempt.certificate, key=attempt.sms_key)
    if proof is None or not codes.use_up(session, proof):
        return Finding(user, "wrong code")
    return Finding(user, "unknown account" if user is None else None)


def _by_qr_code(session: Session, attempt: Attempt, policy: SignInPolicy) -> Finding:
    confirmed = qr.use(session, policy.issuer_tenant_id, attempt.principal, attempt.certificate)
    if confirmed is None:
        return Finding(None, "unknown, unconfirmed or used QR code")
    user = users.find(session, confirmed.user_id)
    if user is None or user.security_stamp != confirmed.security_stamp:
        return Finding(user, "access ended since")
    return Finding(user)


def record_refusal(
    session: Session, policy: SignInPolicy, user: User | None, reason: str | None
) -> None:
    """Record that a sign-in was refused."""
    audit.record(
        session,
        Tag.SIGN_IN_REFUSED,
        client_id=policy.client_id,
        tenant_id=policy.tenant_id,
        target=f"user:{user.id}" if user is not None else None,
        details={"reason": reason},
    )


def refusal_reason(user: User, policy: SignInPolicy) -> str | None:
    """Return why a known person is not admitted, for the audit log only."""
    if not user.may_sign_in:
        return "account disabled or locked"
    return None if policy.admits(user) else "not a member"


_METHODS = {Kind.PASSWORD: "password", Kind.SMS: "sms", Kind.QRCODE: "qr"}

_CHECKS: dict[Kind, Callable[[Session, Attempt, SignInPolicy], Finding]] = {
    Kind.PASSWORD: _by_password,
    Kind.SMS: _by_sms,
    Kind.QRCODE: _by_qr_code,
}
