"""Sign-ins under way: begun by a first proof, ended by a session or by too many wrong codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, bindparam, select, update
from sqlalchemy.orm import Session, load_only

from idp.directory import levels
from idp.directory.authentication.models import SignInAttempt
from idp.directory.authentication.steps import Progress, Proof
from idp.directory.devices import service as devices
from idp.directory.factors import service as factors
from idp.directory.factors.service import Condition
from idp.directory.policies import sign_in as policies
from idp.directory.policies.snapshot import Asked
from idp.directory.tenants import service as tenants
from idp.directory.users import password_age
from idp.directory.users.models import User
from idp.platform import clock
from idp.platform.db import AtomicWrite, write
from idp.platform.db import use as use_once
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest, random_token
from idp.platform.sessions.service import Change

LIFETIME = timedelta(minutes=15)
TRIES = 10
MAX_COOKIE = 100


class Purpose(StrEnum):
    """What an attempt is for."""

    SIGN_IN = "sign-in"


@dataclass(slots=True)
class OpenAttempt:
    """A live attempt and the person who proved the first factor in it."""

    id: int
    user: User
    condition: Condition
    """What they sign in with besides, as it was when the attempt was looked up."""
    is_bound: bool
    """Whether a tenant had bound their account and they have not signed in there since."""
    client_id: str | None
    """The application that requested the sign-in."""
    proofs: tuple[Proof, ...]
    """What was proven so far."""
    remember: bool
    remember_device: bool
    """Whether they chose not to be asked for the second factor on this device again."""
    created_at: datetime
    known_devices: int
    """How many devices they signed in with before."""

    @property
    def owner(self) -> str:
        """Name of the attempt, which challenges and codes that were sent for it are bound to."""
        return f"attempt:{self.id}"


_OF_PERSON = (
    User.username,
    User.email,
    User.email_verified,
    User.mobile,
    User.mobile_verified,
    User.password_hash,
    User.password_changed_at,
    User.must_change_password,
    User.second_factor_asked_at,
    User.security_stamp,
    User.is_disabled,
    User.lockout_end,
    User.locale,
    User.deleted_at,
    User.created_at,
)
"""What the steps of a sign-in ask of a person; their profile is read where it is shown."""

_OPEN = (
    select(
        User,
        SignInAttempt.security_stamp,
        SignInAttempt.id,
        SignInAttempt.client_id,
        SignInAttempt.proofs,
        SignInAttempt.remember,
        SignInAttempt.remember_device,
        SignInAttempt.created_at,
        devices.count_column(User.id),
        tenants.is_bound_column(User.id),
        *factors.condition_columns(User.id),
    )
    .options(load_only(*_OF_PERSON))
    .join(SignInAttempt, User.id == SignInAttempt.user_id)
    .where(
        SignInAttempt.handle_hash == bindparam("handle_hash"),
        SignInAttempt.issuer_tenant_id == bindparam("issuer_tenant_id"),
        SignInAttempt.purpose == Purpose.SIGN_IN,
        SignInAttempt.used_at.is_(None),
        SignInAttempt.tries_left > 0,
        SignInAttempt.expires_at > bindparam("now"),
    )
)
_COLUMNS = SignInAttempt.__table__.c
_PROVEN: Mapping[str, ColumnElement[Any]] = {
    "proofs": bindparam("held"),
    "remember_device": bindparam("is_kept"),
}
_KEEP = (
    update(cast("Table", SignInAttempt.__table__))
    .where(_COLUMNS.id == bindparam("row_id"))
    .values(security_stamp=bindparam("stamp"), **_PROVEN)
)
_SAVE = (
    update(cast("Table", SignInAttempt.__table__))
    .where(_COLUMNS.id == bindparam("row_id"))
    .values(_PROVEN)
)
_END = AtomicWrite(use_once(SignInAttempt).values(_PROVEN))


def cookie_name(issuer: Issuer) -> str:
    """Name the cookie of an issuer's attempts; cookies ignore ports."""
    name = f"idp_{issuer.tenant_id}_signin"
    return f"__Host-{name}" if issuer.is_secure else name


def progress_of(
    session: Session,
    issuer: Issuer,
    user: User,
    proofs: tuple[Proof, ...],
    asked: Asked,
    condition: Condition | None = None,
) -> Progress:
    """Return what decides the next step of a person's sign-in.

    People who have a second factor always prove it; others must have one where a policy requires
    it, or an administrator gave them an enrolment code. `condition`: what they have, if that was
    read already.
    """
    if condition is None:
        condition = factors.condition_of(session, user.id)
    own = levels.MFA if condition.has_factor or condition.needs_code else levels.PWD
    wanted = max(own, asked.required.wanted, key=levels.rank)
    if wanted == levels.PHR:
        reach = factors.highest_level(session, issuer, user.id)
    else:
        has_proof = condition.has_factor or (
            wanted == levels.MFA and factors.targets_of(session, user)
        )
        reach = levels.MFA if has_proof else levels.PWD
    until = policies.put_off_until(asked.required, user.second_factor_asked_at)
    return Progress(
        proofs,
        reach,
        wanted,
        needs_code=condition.needs_code,
        password_due=Proof.STOLEN in proofs or password_age.due(session, user) is not None,
        may_put_off=not condition.needs_code and until > clock.now(),
        unconfirmed=policies.unconfirmed(session, asked.required, user),
    )


def begin(
    session: Session,
    issuer: Issuer,
    user: User,
    proofs: tuple[Proof, ...],
    *,
    client_id: str | None,
    remember: bool,
) -> str:
    """Begin an attempt of a person who proved a first factor; return the value of its cookie."""
    handle = random_token()
    session.add(
        SignInAttempt(
            handle_hash=digest(handle),
            issuer_tenant_id=issuer.tenant_id,
            user_id=user.id,
            security_stamp=user.security_stamp,
            purpose=Purpose.SIGN_IN,
            proofs=list(proofs),
            remember=remember,
            client_id=client_id,
            tries_left=TRIES,
            expires_at=clock.now() + LIFETIME,
        )
    )
    session.flush()
    return handle


def find(session: Session, issuer: Issuer, cookie: str | None) -> OpenAttempt | None:
    """Find the attempt that a cookie stands for at this issuer.

    None when it ended, or when the person was deleted, disabled, locked or got a new security
    stamp since.
    """
    if not cookie:
        return None
    values = {
        "handle_hash": digest(cookie[:MAX_COOKIE]),
        "issuer_tenant_id": issuer.tenant_id,
        "now": clock.now(),
    }
    found = session.execute(_OPEN, values).one_or_none()
    if found is None:
        return None
    user, stamp, row_id, client_id, held, *more = found
    if not user.may_sign_in or user.security_stamp != stamp:
        return None
    remember, remember_device, created_at, known_devices, is_bound, *condition = more
    return OpenAttempt(
        row_id,
        user,
        Condition.of(*condition),
        bool(is_bound),
        client_id,
        tuple(map(Proof, held)),
        remember,
        remember_device,
        created_at,
        known_devices,
    )


def note(attempt: OpenAttempt, proofs: Iterable[Proof], *, remember_device: bool = False) -> None:
    """Note further proofs, and the wish to remember the device, for `save` or `end` to write."""
    attempt.proofs = tuple(dict.fromkeys([*attempt.proofs, *proofs]))
    attempt.remember_device = remember_device


def save(session: Session, attempt: OpenAttempt) -> None:
    """Write what was noted of an attempt that goes on."""
    write(session, _SAVE, _noted(attempt))


def add_proofs(session: Session, attempt: OpenAttempt, proofs: Iterable[Proof]) -> None:
    """Note further proofs of an attempt that goes on."""
    note(attempt, proofs, remember_device=attempt.remember_device)
    save(session, attempt)


def _noted(attempt: OpenAttempt) -> dict[str, Any]:
    return {
        "row_id": attempt.id,
        "held": list(attempt.proofs),
        "is_kept": attempt.remember_device,
    }


def keep(session: Session, attempt: OpenAttempt) -> None:
    """Go on with an attempt in which the person got a new security stamp by a new password."""
    session.flush()
    attempt.proofs = tuple(proof for proof in attempt.proofs if proof is not Proof.STOLEN)
    values = {**_noted(attempt), "stamp": attempt.user.security_stamp}
    write(session, _KEEP, values)


def count_failure(session: Session, attempt: OpenAttempt) -> None:
    """Take one of the tries; the last one ends the attempt."""
    session.execute(
        update(SignInAttempt)
        .where(SignInAttempt.id == attempt.id)
        .values(tries_left=SignInAttempt.tries_left - 1)
    )


def end(attempt: OpenAttempt) -> Change:
    """Return the change that ends an attempt, with what was noted, for its session to start with.

    Another request may be faster: then nothing is changed, and no session starts.
    """
    return Change(_END, {**_noted(attempt), "now": clock.now()})
