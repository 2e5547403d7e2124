"""Adding, checking and removing second factors.

Every place that takes a code counts failed ones together, by the person and where they come from,
so that nobody gets more attempts by alternating between the places.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import cast

from sqlalchemy import (
    ColumnElement,
    Table,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory import levels
from idp.directory.factors import enrolment, passkeys, recovery, sent_codes, totp
from idp.directory.factors.models import EnrolmentCode, Passkey, Totp
from idp.directory.factors.passkeys import Claim, Finding
from idp.directory.factors.sent_codes import Target, Way
from idp.directory.policies import snapshot as policies
from idp.directory.policies.snapshot import Asked
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.db import BigInt, count_hits, run
from idp.platform.errors import BadRequest, Conflict
from idp.platform.issuer import Issuer
from idp.platform.onetime import service as onetime
from idp.platform.secrets import UnknownKeyError
from idp.platform.throttle import Key, Throttle, origin
from idp.platform.translation import N_

THROTTLE = "second factor"
PURPOSE = "totp"
NEW_PURPOSE = "new totp"
"""Of the secret of an app that no code has confirmed yet; the form carries it, encrypted."""
MOST = 5
"""Apps of one person."""
NEW_SECONDS = 600
LONGEST_CODE = 20
LONGEST_NAME = 100
BATCH = 500


class Factor(StrEnum):
    """A kind of second factor."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery code"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a person signs in with besides a first factor."""

    has_factor: bool
    """Whether they have an app or a passkey."""
    needs_code: bool
    """Whether an enrolment code is asked for, because they have no second factor."""

    @classmethod
    def of(cls, has_factor: object, has_code: object) -> Condition:
        """Read what `condition_columns` found."""
        return cls(bool(has_factor), needs_code=bool(has_code) and not has_factor)

    @property
    def is_bound(self) -> bool:
        """Whether more than a first factor is asked for, whatever policies say."""
        return self.has_factor or self.needs_code


@dataclass(frozen=True, slots=True)
class NewApp:
    """The secret of an app that is being set up."""

    text: str
    """The secret, to be typed."""
    uri: str
    """The secret, to be shown as a QR code."""
    key: str
    """The secret as the form carries it, encrypted and bound to the person."""


_APPS = Totp.__table__.c
_SECRETS = (
    select(_APPS.id, _APPS.secret_encrypted)
    .where(_APPS.user_id == bindparam("person"))
    .order_by(_APPS.id)
)
# RFC 6238 5.2: a code is accepted once.
_SPEND = (
    update(cast("Table", Totp.__table__))
    .where(_APPS.id == bindparam("row_id"), _APPS.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
    .returning(_APPS.id)
)


def condition_columns(
    user_id: ColumnElement[int] | InstrumentedAttribute[int],
) -> tuple[ColumnElement[bool], ...]:
    """Return the columns that `Condition.of` reads, for a query of a person."""
    has_app, has_passkey, has_code = (
        exists().where(table.user_id == user_id) for table in (Totp, Passkey, EnrolmentCode)
    )
    return or_(has_app, has_passkey), has_code


_CONDITION = select(*condition_columns(bindparam("person", type_=BigInt)))


def has_any(session: Session, user_id: int) -> bool:
    """Return whether a person has a second factor; recovery codes alone are none."""
    of_person = (exists().where(table.user_id == user_id) for table in (Totp, Passkey))
    return bool(session.scalar(select(or_(*of_person))))


def highest_level(session: Session, issuer: Issuer, user_id: int) -> str:
    """Return the highest level that a person can reach at an issuer with what they have."""
    if passkeys.usable(session, issuer, user_id):
        return levels.PHR
    if has_any(session, user_id):
        return levels.MFA
    user = session.get_one(User, user_id)
    has_sent = bool(targets_of(session, user)) and enrolment.find(session, user_id) is None
    return levels.MFA if has_sent else levels.PWD


def targets_of(session: Session, user: User) -> list[Target]:
    """Return where codes are sent to a person as their second factor.

    To people who have set up an app or a passkey none are sent: a code is weaker than either.
    """
    found = sent_codes.targets(runtime.of(session).settings, user, _allowed(session, user.id))
    return [] if not found or has_any(session, user.id) else found


def _allowed(session: Session, user_id: int) -> Collection[str]:
    """Return the kinds of factors that each of a person's tenants allows.

    A tenant that names none allows those of the platform, and never codes by default: the choice
    of one tenant makes no factor for sign-ins to another.
    """
    if not policies.any_set(session):
        return ()
    joined = select(Membership.tenant_id).where(
        Membership.user_id == user_id, Membership.is_bound.is_(False)
    )
    floor = policies.floor(session)
    found = [policies.own(session, tenant_id) or floor for tenant_id in session.scalars(joined)]
    return set.intersection(*(set(required.factors) for required in found or [floor]))


def is_enabled(session: Session, user_id: int) -> bool:
    """Return whether a person signs in with a second factor: their own, or codes sent to them."""
    condition = condition_of(session, user_id)
    if condition.is_bound:
        return condition.has_factor
    is_asked = policies.of_user(session, user_id).wanted != levels.PWD
    return is_asked and bool(targets_of(session, session.get_one(User, user_id)))


def condition_of(session: Session, user_id: int) -> Condition:
    """Return what a person signs in with besides a first factor, by one query."""
    (found,) = run(session, _CONDITION, {"person": user_id})
    return Condition.of(*found)


def is_required(session: Session, user_id: int, asked: Asked) -> bool:
    """Return whether a person signs in with more than a first factor."""
    return condition_of(session, user_id).is_bound or asked.required.wanted != levels.PWD


def list_apps(session: Session, user_id: int) -> Sequence[Totp]:
    """List the authenticator apps of a person, the oldest one first."""
    return session.scalars(select(Totp).where(Totp.user_id == user_id).order_by(Totp.id)).all()


def prove(session: Session, user: User, code: str) -> Factor | None:
    """Check a code of an app or a recovery code and spend it; return None when it is refused.

    Raise TooManyRequests before looking at it while earlier failures are being waited out. The
    caller commits in both cases.
    """
    begun = _begin_try(session, user)
    found = _find(session, user.id, code[: LONGEST_CODE + 1])
    begun.end(is_right=found is not None)
    return found


def prove_enrolment_code(session: Session, user: User, code: str) -> bool:
    """Check an enrolment code and spend it; return False when it is refused.

    Raise TooManyRequests as `prove` does. The caller commits in both cases.
    """
    begun = _begin_try(session, user)
    normal = recovery.read(code[: LONGEST_CODE + 1])
    is_right = normal is not None and enrolment.use(session, user.id, normal)
    begun.end(is_right=is_right)
    return is_right


def prove_passkey(session: Session, issuer: Issuer, user: User, claim: Claim) -> Finding:
    """Check the answer of a passkey of a person; failures count as those of codes do.

    The caller commits in any case. Raise TooManyRequests as `prove` does.
    """
    begun = _begin_try(session, user)
    found = passkeys.prove(session, issuer, claim, user.id)
    begun.end(is_right=found.reason is None)
    return found


def prove_sent_code(session: Session, user: User, owner: str, code: str) -> Way | None:
    """Check a code that was sent and use it up; return None when it is refused.

    `owner` names the attempt or session that it was sent for. The caller commits in both cases.
    Raise TooManyRequests as `prove` does.
    """
    begun = _begin_try(session, user)
    found = _use_sent(session, user, owner, _plain(code[: LONGEST_CODE + 1]))
    begun.end(is_right=found is not None)
    return found


def lock_for_addition(session: Session, user: User) -> None:
    """Lock the account to which a factor is added; raise Conflict where its access has ended.

    Of a new factor and a reset at the same time one waits here for the other. What a reset began
    before, with the person's stamp of that time, adds nothing after it.
    """
    statement = update(User).where(
        User.id == user.id, User.security_stamp == user.security_stamp, User.deleted_at.is_(None)
    )
    statement = statement.values(factor_declined_at=None, updated_at=User.updated_at)
    if not count_hits(session, statement.execution_options(synchronize_session=False)):
        raise Conflict(N_("Your sign-in has ended meanwhile. Please sign in again."))


def new_app(session: Session, issuer: Issuer, user: User, key: str | None = None) -> NewApp:
    """Return the secret of a new app, or the one that a form already carries."""
    keyring = runtime.of(session).keyring
    secret = None if key is None else _read_new(session, user, key)
    if secret is None or key is None:
        secret = totp.new_secret()
        until = int(clock.now().timestamp()) + NEW_SECONDS
        content = json.dumps([user.id, until, secret.hex()])
        key = keyring.encrypt(NEW_PURPOSE, content.encode())
    uri = totp.uri(secret, issuer=issuer.name, account=user.username)
    return NewApp(totp.as_text(secret), uri, key)


def add_app(session: Session, user: User, key: str, code: str, name: str = "") -> bool:
    """Add the app whose code proves that it has the secret; return False for a wrong code.

    Raise BadRequest when the secret is too old, Conflict beyond the limit, TooManyRequests after
    too many wrong codes. The caller commits unless something is raised.
    """
    secret = _read_new(session, user, key)
    if secret is None:
        message = N_("This code was shown too long ago. Scan the new one.")
        raise BadRequest.at("key", message)
    if _count_apps(session, user.id) >= MOST:
        raise Conflict(N_("You have as many authenticator apps as possible. Remove one first."))
    begun = _begin_try(session, user)
    step = totp.find_step(secret, _plain(code), clock.timestamp())
    until = clock.now() + timedelta(seconds=NEW_SECONDS)
    if step is None or not onetime.claim(session, NEW_PURPOSE, key, until):
        begun.end(is_right=False)
        return False
    begun.end(is_right=True)
    sealed = runtime.of(session).keyring.encrypt(PURPOSE, secret)
    session.add(
        Totp(user_id=user.id, name=name[:LONGEST_NAME], secret_encrypted=sealed, last_step=step)
    )
    session.flush()
    enrolment.forget(session, user.id)
    return True


def remove_app(session: Session, user_id: int, app_id: int) -> bool:
    """Remove an app of a person; with their last factor the recovery codes go too."""
    removed = session.scalar(
        delete(Totp).where(Totp.id == app_id, Totp.user_id == user_id).returning(Totp.id)
    )
    if removed is not None:
        _forget_codes(session, user_id)
    return removed is not None


def remove_passkey(session: Session, issuer: Issuer, user_id: int, passkey_id: int) -> bool:
    """Remove a passkey of a person; with their last factor the recovery codes go too."""
    is_removed = passkeys.remove(session, issuer, user_id, passkey_id)
    if is_removed:
        _forget_codes(session, user_id)
    return is_removed


def reset(session: Session, user_id: int) -> int:
    """Remove all apps, passkeys and codes of a person; return how many the former two are.

    The caller changes the security stamp in the same transaction.
    """
    session.execute(select(User.id).where(User.id == user_id).with_for_update())
    removed = session.scalars(delete(Totp).where(Totp.user_id == user_id).returning(Totp.id))
    count = len(removed.all()) + passkeys.remove_all(session, user_id)
    recovery.forget(session, user_id)
    enrolment.forget(session, user_id)
    return count


def rewrap(session: Session) -> int:
    """Re-encrypt the secrets of all apps under the current root secret."""
    keyring = runtime.of(session).keyring
    current = f"{keyring.current}."
    outdated = select(Totp).where(~Totp.secret_encrypted.startswith(current, autoescape=True))
    rows = session.scalars(outdated).all()
    for row in rows:
        clear = keyring.decrypt(PURPOSE, row.secret_encrypted)
        row.secret_encrypted = keyring.encrypt(PURPOSE, clear)
    session.flush()
    return len(rows)


def drop_unreadable(session: Session) -> list[int]:
    """Remove the apps whose secrets no root secret opens; return the people without another one.

    Their recovery codes, which are kept under the same root secret, go too.
    """
    keyring = runtime.of(session).keyring
    lost: dict[int, int] = {}
    kept: set[int] = set()
    for row in session.execute(select(Totp.id, Totp.user_id, Totp.secret_encrypted)):
        if keyring.opens(PURPOSE, row.secret_encrypted):
            kept.add(row.user_id)
        else:
            lost[row.id] = row.user_id
    row_ids = sorted(lost)
    for start in range(0, len(row_ids), BATCH):
        session.execute(delete(Totp).where(Totp.id.in_(row_ids[start : start + BATCH])))
    recovery.forget_without_factor(session)
    return sorted({*lost.values()} - kept)


def _forget_codes(session: Session, user_id: int) -> None:
    """Delete the recovery codes of a person without a factor that they could replace."""
    if not has_any(session, user_id):
        recovery.forget(session, user_id)


@dataclass(frozen=True, slots=True)
class _Try:
    """A try that was let through."""

    throttle: Throttle
    keys: tuple[str, Key]
    has_failures: bool
    """Whether others failed before it."""

    def end(self, *, is_right: bool) -> None:
        """Count a wrong code; a right one makes earlier failures forgotten."""
        if not is_right:
            self.throttle.failed(THROTTLE, *self.keys)
        elif self.has_failures:
            self.throttle.succeeded(THROTTLE, *self.keys)


def _begin_try(session: Session, user: User) -> _Try:
    """Raise TooManyRequests for a try that comes too early."""
    throttle = runtime.of(session).throttle
    keys = str(user.id), origin(runtime.context_of(session))
    return _Try(throttle, keys, throttle.check_delay(THROTTLE, *keys))


def _find(session: Session, user_id: int, text: str) -> Factor | None:
    code = _plain(text)
    if len(code) == totp.DIGITS and code.isascii() and code.isdigit():
        return Factor.TOTP if _use_app(session, user_id, code) else None
    normal = recovery.read(text)
    if normal is None or not has_any(session, user_id):
        return None
    return Factor.RECOVERY_CODE if recovery.use(session, user_id, normal) else None


def _use_sent(session: Session, user: User, owner: str, code: str) -> Way | None:
    """Use the code of the address that it was sent to up."""
    for target in targets_of(session, user):
        if sent_codes.find_sent(session, target, owner) is None:
            continue
        if sent_codes.use(session, target, owner, code):
            return target.way
    return None


def _use_app(session: Session, user_id: int, code: str) -> bool:
    """Spend the time step of a code at the app that it is from."""
    keyring = runtime.of(session).keyring
    for row_id, sealed in run(session, _SECRETS, {"person": user_id}):
        try:
            secret = keyring.decrypt(PURPOSE, sealed)
        except UnknownKeyError:
            continue
        step = totp.find_step(secret, code, clock.timestamp())
        if step is not None and _spend(session, row_id, step):
            return True
    return False


def _spend(session: Session, row_id: int, step: int) -> bool:
    return bool(run(session, _SPEND, {"row_id": row_id, "step": step, "now": clock.now()}))


def _count_apps(session: Session, user_id: int) -> int:
    return session.scalar(select(func.count(Totp.id)).where(Totp.user_id == user_id)) or 0


def _read_new(session: Session, user: User, key: str) -> bytes | None:
    """Return the secret that a form carries; None when it is too old or of someone else."""
    try:
        content = runtime.of(session).keyring.decrypt(NEW_PURPOSE, key)
    except (UnknownKeyError, ValueError):
        return None
    user_id, until, secret = json.loads(content)
    is_usable = user_id == user.id and until > clock.now().timestamp()
    return bytes.fromhex(secret) if is_usable else None


def _plain(code: str) -> str:
    """Return a code without the spaces that apps show in it."""
    return "".join(code.split())
