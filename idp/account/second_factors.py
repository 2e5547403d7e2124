"""Second factors and passkeys of a person's own account: proving, adding and removing them.

Whoever changes them must have signed in with the highest level that they can reach a short while
ago, and is notified by mail.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from idp.account import devices, events, notices
from idp.directory import levels
from idp.directory.authentication.steps import Proof, amr_of, level_of
from idp.directory.factors import enrolment, passkeys, recovery, sent_codes
from idp.directory.factors import service as factors
from idp.directory.factors.passkey_answers import RefusedAnswerError
from idp.directory.factors.passkeys import Claim, Finding
from idp.directory.factors.sent_codes import Way
from idp.directory.factors.service import Factor
from idp.directory.policies import rules
from idp.directory.policies import sign_in as policies
from idp.directory.policies.rules import SecondFactor
from idp.directory.registration.codes import Wait
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.oauth.visitor import Visitor
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Unprocessable
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.translation import N_

PASSKEY = "passkey"
"""What audit events call this kind of factor."""
HIGHEST = timedelta(minutes=10)
"""How long after the second factor was proven the factors may be changed."""
FIRST = timedelta(minutes=5)
"""How long after the sign-in a person without a second factor may add one."""
OFFERED_AGAIN = timedelta(days=30)
"""How long a person is offered no second factor after they put it off."""
_SENT = {Way.MAIL: Proof.MAIL_CODE, Way.SMS: Proof.SMS_CODE}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a live session allows with respect to second factors."""

    has_factor: bool
    """Whether the person has one."""
    may_change: bool
    """Whether the highest level that they can reach was proven a short while ago."""
    needs_passkey: bool = False
    """Whether only a passkey proves that level."""


@dataclass(frozen=True, slots=True)
class ConfirmedApp:
    """An app that a person has set up, and a code of it."""

    key: str
    """The secret, as the form carries it."""
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """The answer of a passkey that a person has made, and what they call it."""

    claim: Claim
    name: str


@dataclass(frozen=True, slots=True)
class Added:
    """What follows from a new factor."""

    recovery_codes: list[str]
    """To be shown once; empty: the person has some already."""
    cookie: str | None = None
    """New value of the session, if the factor was added in one."""
    proofs: tuple[Proof, ...] = ()
    """What a new passkey proves."""


def prove(session: Session, issuer: Issuer, user: User, code: str, locale: str) -> Factor | None:
    """Check a code of a person's second factors; return None when it is refused.

    The caller commits in both cases. Raise TooManyRequests after too many wrong ones.
    """
    factor = factors.prove(session, user, code)
    if factor is None:
        events.record(session, Tag.FACTOR_REFUSED, issuer, user)
    elif factor is Factor.RECOVERY_CODE:
        left = recovery.count_left(session, user.id)
        events.record(session, Tag.RECOVERY_CODE_USED, issuer, user, {"left": left})
        notices.recovery_code_used(session, issuer, user, left, locale)
    return factor


def prove_enrolment_code(session: Session, issuer: Issuer, user: User, code: str) -> bool:
    """Check an enrolment code of a person; return False when it is refused.

    The caller commits in both cases. Raise TooManyRequests after too many wrong ones.
    """
    is_right = factors.prove_enrolment_code(session, user, code)
    tag = Tag.ENROLMENT_CODE_USED if is_right else Tag.FACTOR_REFUSED
    events.record(session, tag, issuer, user)
    return is_right


def prove_passkey(
    session: Session, issuer: Issuer, user: User, claim: Claim, locale: str
) -> tuple[Proof, ...]:
    """Check the answer of a passkey of a person; return no proof when it is refused.

    The caller commits in both cases. Raise TooManyRequests after too many refused ones.
    """
    found = factors.prove_passkey(session, issuer, user, claim)
    if found.reason is not None:
        events.record(session, Tag.FACTOR_REFUSED, issuer, user, {"reason": found.reason})
        report_suspended(session, issuer, user, found, locale)
    return proofs_of(found)


def proofs_of(found: Finding) -> tuple[Proof, ...]:
    """Return what the answer of a passkey proves: nothing when it was refused."""
    if found.passkey is None or found.reason is not None:
        return ()
    is_synced = found.passkey.backup_eligible
    passkey = Proof.SYNCED_PASSKEY if is_synced else Proof.DEVICE_PASSKEY
    return (passkey, Proof.VERIFICATION) if found.is_verified else (passkey,)


def report_suspended(
    session: Session, issuer: Issuer, user: User, found: Finding, locale: str
) -> None:
    """Record that an answer suspended its passkey, and notify the person."""
    if found.is_suspended:
        details = {"factor": PASSKEY, "reason": found.reason}
        events.record(session, Tag.FACTOR_SUSPENDED, issuer, user, details)
        notices.passkey_suspended(session, issuer, user, locale)


def step_up(
    session: Session, issuer: Issuer, visitor: Visitor, code: str, locale: str
) -> str | None:
    """Check a code of a second factor and raise the level of a live session by it.

    Return the new cookie of the session; None when the code is refused. The caller commits in both
    cases. Raise TooManyRequests after too many wrong codes.
    """
    factor = prove(session, issuer, visitor.user, code, locale)
    return None if factor is None else _raise_level(session, issuer, visitor, [Proof(factor)])


def step_up_by_passkey(
    session: Session, issuer: Issuer, visitor: Visitor, claim: Claim, locale: str
) -> str | None:
    """Check the answer of a passkey and raise the level of a live session, as `step_up` does."""
    proofs = prove_passkey(session, issuer, visitor.user, claim, locale)
    return _raise_level(session, issuer, visitor, proofs) if proofs else None


def send_code(
    session: Session, issuer: Issuer, user: User, way: str, owner: str, locale: str
) -> Wait | None:
    """Send a code as a second factor; return how long to wait where that is refused.

    `owner` names the attempt or session that it counts for. The caller commits, or rolls back when
    a wait is returned. Raise NotFound for a way that is not open to the person.
    """
    for target in factors.targets_of(session, user):
        if target.way == way:
            return sent_codes.send(session, issuer, user, target, owner, locale)
    raise NotFound


def prove_sent_code(
    session: Session, issuer: Issuer, user: User, owner: str, code: str
) -> Proof | None:
    """Check a code that was sent to a person; return None when it is refused.

    The caller commits in both cases. Raise TooManyRequests after too many wrong ones.
    """
    way = factors.prove_sent_code(session, user, owner, code)
    if way is None:
        events.record(session, Tag.FACTOR_REFUSED, issuer, user)
        return None
    return _SENT[way]


def step_up_by_sent_code(
    session: Session, issuer: Issuer, visitor: Visitor, owner: str, code: str
) -> str | None:
    """Check a code that was sent and raise the level of a live session, as `step_up` does."""
    proof = prove_sent_code(session, issuer, visitor.user, owner, code)
    return None if proof is None else _raise_level(session, issuer, visitor, [proof])


def is_offered(session: Session, issuer: Issuer, user: User) -> bool:
    """Return whether a person is offered a second factor: they have none, nor put it off lately."""
    declined_at = user.factor_declined_at
    if declined_at is not None and declined_at > clock.now() - OFFERED_AGAIN:
        return False
    is_allowed = bool(offered_kinds(session, issuer, user))
    return is_allowed and not factors.is_enabled(session, user.id)


def decline_offer(session: Session, user: User) -> None:
    """Note that a person puts off adding a second factor."""
    statement = update(User).where(User.id == user.id)
    session.execute(
        statement.values(factor_declined_at=clock.now(), updated_at=User.updated_at),
        execution_options={"synchronize_session": False},
    )


def _raise_level(
    session: Session, issuer: Issuer, visitor: Visitor, proofs: Sequence[Proof]
) -> str | None:
    """Raise the level of a session and return its new cookie; None when it ended meanwhile."""
    reached = level_of([Proof.PASSWORD, *proofs])  # whatever the first factor was
    level = max(reached, visitor.browser.acr, key=levels.rank)
    amr = amr_of(proofs, known=visitor.browser.amr)
    is_by_passkey = reached == levels.PHR
    value = sessions.raise_level(
        session, visitor.browser, acr=level, amr=amr, is_by_passkey=is_by_passkey
    )
    if value is not None:
        events.record(session, Tag.LEVEL_RAISED, issuer, visitor.user, {"acr": level})
    return value


def standing_of(session: Session, issuer: Issuer, visitor: Visitor) -> Standing:
    """Return whether a person has a second factor, and whether their session may change it.

    A person who needs an enrolment code adds a factor while signing in, not in an older session.
    """
    level = factors.highest_level(session, issuer, visitor.user.id)
    if level == levels.PWD:
        is_fresh = visitor.browser.auth_time > clock.now() - FIRST
        is_held = enrolment.find(session, visitor.user.id) is not None
        return Standing(has_factor=False, may_change=is_fresh and not is_held)
    needs_passkey = level == levels.PHR
    proven_at = visitor.browser.phr_at if needs_passkey else visitor.browser.mfa_at
    is_recent = proven_at is not None and proven_at > clock.now() - HIGHEST
    return Standing(has_factor=True, may_change=is_recent, needs_passkey=needs_passkey)


def must_step_up(session: Session, issuer: Issuer, visitor: Visitor) -> bool:
    """Return whether a person has a second factor and did not prove it a short while ago."""
    standing = standing_of(session, issuer, visitor)
    return standing.has_factor and not standing.may_change


def _check_allowed(
    session: Session, issuer: Issuer, user: User, kind: str, client_id: str | None
) -> None:
    """Refuse a kind of second factor that the policy does not allow."""
    asked = policies.asked_of(session, issuer, user.id, client_id)
    if kind not in asked.required.factors:
        raise Unprocessable(N_("This kind of second factor is not allowed here."))


def offered_kinds(session: Session, issuer: Issuer, user: User) -> Collection[str]:
    """Return the kinds of second factors that a person may add without being asked for one."""
    required = policies.asked_of(session, issuer, user.id).required
    if required.second_factor == SecondFactor.OFF and not factors.has_any(session, user.id):
        return ()
    return required.factors


def add_app(
    session: Session,
    issuer: Issuer,
    user: User,
    new: ConfirmedApp,
    locale: str,
    client_id: str | None = None,
) -> Added | None:
    """Add an authenticator app; the first one comes with recovery codes.

    `client_id` is the application that requests the sign-in. Return None for a wrong code. The
    caller commits in both cases. Raise Unprocessable where apps are not allowed, and what
    `factors.add_app` and `factors.lock_for_addition` raise.
    """
    _check_allowed(session, issuer, user, rules.TOTP, client_id)
    factors.lock_for_addition(session, user)
    is_first = not factors.has_any(session, user.id)
    if not factors.add_app(session, user, new.key, new.code, new.name):
        events.record(session, Tag.FACTOR_REFUSED, issuer, user)
        return None
    events.record(session, Tag.FACTOR_ADDED, issuer, user, {"factor": Factor.TOTP})
    devices.stop_remembering(session, issuer, user)
    notices.authenticator_added(session, issuer, user, locale)
    return Added(recovery.replace_all(session, user.id) if is_first else [])


def add_app_in(
    session: Session,
    issuer: Issuer,
    visitor: Visitor,
    new: ConfirmedApp,
    locale: str,
    client_id: str | None = None,
) -> Added | None:
    """Add an authenticator app, as `add_app` does, and raise the level of a live session."""
    added = add_app(session, issuer, visitor.user, new, locale, client_id)
    if added is None:
        return None
    return replace(added, cookie=_raise_level(session, issuer, visitor, [Proof.TOTP]))


def add_passkey(
    session: Session,
    issuer: Issuer,
    user: User,
    new: NewPasskey,
    locale: str,
    client_id: str | None = None,
) -> Added | None:
    """Add a passkey; the first factor of a person comes with recovery codes.

    `client_id` is the application that requests the sign-in. Return None for a refused answer. The
    caller commits in both cases. Raise Unprocessable where passkeys are not allowed, and Conflict
    beyond the limit, or where the access has ended.
    """
    _check_allowed(session, issuer, user, rules.PASSKEY, client_id)
    factors.lock_for_addition(session, user)
    is_first = not factors.has_any(session, user.id)
    try:
        passkey = passkeys.add(session, issuer, user, new.claim, new.name)
    except RefusedAnswerError as refusal:
        events.record(session, Tag.FACTOR_REFUSED, issuer, user, {"reason": str(refusal)})
        return None
    enrolment.forget(session, user.id)
    events.record(session, Tag.FACTOR_ADDED, issuer, user, {"factor": PASSKEY})
    devices.stop_remembering(session, issuer, user)
    notices.passkey_added(session, issuer, user, locale)
    codes = recovery.replace_all(session, user.id) if is_first else []
    return Added(codes, proofs=proofs_of(Finding(passkey, is_verified=True)))


def add_passkey_in(
    session: Session,
    issuer: Issuer,
    visitor: Visitor,
    new: NewPasskey,
    locale: str,
    client_id: str | None = None,
) -> Added | None:
    """Add a passkey, as `add_passkey` does, and raise the level of a live session."""
    added = add_passkey(session, issuer, visitor.user, new, locale, client_id)
    if added is None:
        return None
    return replace(added, cookie=_raise_level(session, issuer, visitor, added.proofs))


def rename_passkey(
    session: Session, issuer: Issuer, user: User, passkey_id: int, name: str, locale: str
) -> None:
    """Rename a passkey; raise NotFound where the person has no such passkey at this issuer."""
    if not passkeys.rename(session, issuer, user.id, passkey_id, name):
        raise NotFound
    events.record(session, Tag.FACTOR_CHANGED, issuer, user, {"factor": PASSKEY})
    notices.passkey_renamed(session, issuer, user, locale)


def remove_passkey(
    session: Session, issuer: Issuer, user: User, passkey_id: int, locale: str
) -> None:
    """Remove a passkey; raise NotFound where the person has no such passkey at this issuer.

    Raise Unprocessable for the last factor where one is required.
    """
    found = passkeys.list_of(session, user.id)
    if (passkey_id, issuer.tenant_id) not in {(row.id, row.issuer_tenant_id) for row in found}:
        raise NotFound
    others = [row for row in passkeys.usable(session, issuer, user.id) if row.id != passkey_id]
    apps = factors.list_apps(session, user.id)
    _refuse_last(session, issuer, user, apps=len(apps), passkeys_left=len(others))
    if not factors.remove_passkey(session, issuer, user.id, passkey_id):
        raise NotFound
    events.record(session, Tag.FACTOR_REMOVED, issuer, user, {"factor": PASSKEY})
    devices.stop_remembering(session, issuer, user)
    notices.passkey_removed(session, issuer, user, locale)


def remove_app(session: Session, issuer: Issuer, user: User, app_id: int, locale: str) -> None:
    """Remove an authenticator app; raise NotFound where the person has no such app.

    Raise Unprocessable for the last factor where one is required.
    """
    apps = factors.list_apps(session, user.id)
    if app_id not in {app.id for app in apps}:
        raise NotFound
    usable = passkeys.usable(session, issuer, user.id)
    _refuse_last(session, issuer, user, apps=len(apps) - 1, passkeys_left=len(usable))
    if not factors.remove_app(session, user.id, app_id):
        raise NotFound
    events.record(session, Tag.FACTOR_REMOVED, issuer, user, {"factor": Factor.TOTP})
    devices.stop_remembering(session, issuer, user)
    notices.authenticator_removed(session, issuer, user, locale)


def _refuse_last(
    session: Session, issuer: Issuer, user: User, *, apps: int, passkeys_left: int
) -> None:
    """Refuse to leave a person without a factor that works here where one is required."""
    wanted = policies.asked_of(session, issuer, user.id).required.wanted
    if wanted == levels.PHR and passkeys_left == 0:
        raise Unprocessable(N_("A passkey is required here. Add another one first."))
    if wanted != levels.PWD and apps + passkeys_left == 0:
        raise Unprocessable(
            N_("A second factor is required here. Add another app or passkey first.")
        )


def make_recovery_codes(session: Session, issuer: Issuer, user: User, locale: str) -> list[str]:
    """Make new recovery codes in place of the old ones and return them.

    Raise Unprocessable for a person without a second factor, whom the codes would be of no use.
    """
    if not factors.has_any(session, user.id):
        raise Unprocessable(N_("Add an authenticator app or a passkey first."))
    codes = recovery.replace_all(session, user.id)
    events.record(session, Tag.RECOVERY_CODES_MADE, issuer, user)
    notices.recovery_codes_made(session, issuer, user, locale)
    return codes


def reset(session: Session, issuer: Issuer, user: User, locale: str) -> int:
    """Remove all factors of a person who lost them, and end their access; return the number.

    An enrolment code that they need goes too: afterwards they sign in with the password alone.
    For operators: it is recorded as an act of the system.
    """
    was_held = enrolment.find(session, user.id) is not None
    count = factors.reset(session, user.id)
    if count or was_held:
        users.end_access(session, user)
        sessions.end_all(session, user.id)
        audit.record(session, Tag.FACTORS_RESET, target=f"user:{user.id}", details={"count": count})
        notices.factors_reset(session, issuer, user, locale)
    return count


def check_stated(session: Session, user: User, *, has_factor: bool | None) -> None:
    """Raise Unprocessable where a request states something else than whether there is a factor."""
    if has_factor is not None and has_factor != factors.is_enabled(session, user.id):
        message = N_("Second factors are added by the person alone, and removed by a reset.")
        raise Unprocessable.at("two_factor_enabled", message)
