"""The rules about people: names, passwords, and the end of their access."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, func, literal, or_, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.factors.models import EnrolmentCode, Passkey, RecoveryCode, Totp
from idp.directory.policies import snapshot as policies
from idp.directory.policies.rules import Required
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users import (
    names,
    password_age,
    password_costs,
    password_history,
    passwords,
    searches,
)
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Busy, Conflict, NotFound
from idp.platform.metrics.declarations import PASSWORD_SECONDS
from idp.platform.secrets import random_token
from idp.platform.translation import N_

LONGEST_LINEAGE = 2000

_TAKEN = {
    "username": N_("This user name is taken."),
    "email": N_("This e-mail address is taken."),
    "mobile": N_("This mobile number is taken."),
}


@dataclass(frozen=True, slots=True)
class NewUser:
    """The values of a new account; `password` in clear text."""

    username: str
    email: str | None = None
    mobile: str | None = None
    password: str | None = None
    email_verified: bool = False
    mobile_verified: bool = False
    nick_name: str | None = None
    locale: str | None = None
    parent_user_id: int | None = None
    chosen_by_person: bool = True
    """Whether the password is the person's own choice (see `passwords.check_policy`)."""
    password_hash: str | None = field(default=None, repr=False)
    """An imported hash, as it is stored; then there is no `password`."""
    must_change_password: bool = False


def create(session: Session, new: NewUser, *, tenant_id: int | None = None) -> User:
    """Create an account; the tenant is that of the policy, and recorded in the audit log.

    Names stay with deleted accounts, so they are refused here too.
    """
    email = names.email(new.email) if new.email else None
    username = names.username(new.username, email)
    mobile = names.mobile(new.mobile, _region(session)) if new.mobile else None
    password_hash = new.password_hash
    must_change = False
    if new.password is not None:
        required = policies.of_tenant(session, tenant_id)
        own = (username, email, mobile)
        _check(session, new.password, own, required, chosen_by_person=new.chosen_by_person)
        password_hash = passwords.make_hash(new.password)
        must_change = required.password_must_change and not new.chosen_by_person
    user = User(
        username=username,
        username_key=names.key(username),
        email=email,
        email_key=names.key(email) if email else None,
        email_verified=new.email_verified,
        mobile=mobile,
        mobile_verified=new.mobile_verified,
        password_hash=password_hash,
        must_change_password=must_change or new.must_change_password,
        nick_name=new.nick_name,
        locale=new.locale,
        parent_user_id=new.parent_user_id,
        lineage=_lineage(session, new.parent_user_id),
    )
    _refuse_taken(session, user)
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        # Another request was faster, between the check above and this insert.
        _refuse_taken(session, user)
        raise
    audit.record(session, Tag.USER_CREATED, tenant_id=tenant_id, target=f"user:{user.id}")
    return user


def lineage_below(parent: User) -> str:
    """Return the lineage of those whom a person referred."""
    return f"{parent.lineage or '/'}{parent.id}/"


def find(session: Session, user_id: int) -> User | None:
    """Find an account that is not deleted."""
    user = session.get(User, user_id)
    return user if user is not None and user.deleted_at is None else None


def get(session: Session, user_id: int, *, lock: bool = False) -> User:
    """Return an account that is not deleted; with `lock`, as it is until this transaction ends."""
    if lock:
        session.get(User, user_id, with_for_update=True, populate_existing=True)
    user = find(session, user_id)
    if user is None:
        raise NotFound(N_("There is no such user."))
    return user


def names_of(session: Session, user_ids: Collection[int]) -> dict[int, str]:
    """Return what people are called, deleted ones too, by their ids."""
    rows = session.scalars(select(User).where(User.id.in_(user_ids)))
    return {user.id: user.full_name for user in rows}


def find_by_username(session: Session, username: str) -> User | None:
    """Find an account by its user name alone."""
    typed = names.key(username)
    if len(typed) > names.EMAIL_LENGTH or "\0" in typed:
        return None
    return _only(session, User.username_key == typed)


def find_by_mobile(session: Session, mobile: str) -> User | None:
    """Find an account by its mobile number, in national or international form."""
    number = names.find_mobile(mobile, _region(session))
    return _only(session, User.mobile == number) if number else None


def find_by_login(session: Session, login: str) -> User | None:
    """Find an account by what a person types: user name, e-mail or mobile number."""
    typed = names.key(login)
    if len(typed) > names.EMAIL_LENGTH or "\0" in typed:
        return None
    if "@" in typed:
        # A user name with @ is the account's own e-mail, so this is never two people.
        return _only(session, User.email_key == typed)
    if names.looks_like_phone_number(typed):
        return find_by_mobile(session, typed)
    return _only(session, User.username_key == typed)


def list(
    session: Session,
    *,
    search: str | None = None,
    tenant_id: int | None = None,
    is_disabled: bool | None = None,
    role: str | None = None,
    after_id: int = 0,
    limit: int = 100,
) -> Sequence[User]:
    """Return a page of accounts that are not deleted, by id.

    `search` is part of a user name, e-mail address or mobile number, or among many people what one
    of these begins with. `role` is the code of a role of the tenant; without a tenant, of the
    platform.
    """
    query = select(User).where(User.deleted_at.is_(None), User.id > after_id).order_by(User.id)
    if search:
        is_narrow = searches.are_many(session, tenant_id)
        found = searches.beginning(search) if is_narrow else searches.anywhere(search)
        query = query.where(or_(*found))
    if tenant_id is not None:
        members = select(Membership.user_id).where(Membership.tenant_id == tenant_id)
        query = query.where(User.id.in_(members))
    if is_disabled is not None:
        query = query.where(User.is_disabled.is_(is_disabled))
    if role is not None:
        having = (
            select(UserRole.user_id)
            .join(Role, Role.id == UserRole.role_id)
            .where(Role.code == role, Role.tenant_id.is_not_distinct_from(tenant_id))
        )
        query = query.where(User.id.in_(having))
    return session.scalars(query.limit(limit)).all()


def verify_password(session: Session, user: User | None, password: str) -> bool:
    """Compare a password; takes as long for an unknown user or one without a password.

    Hashing takes a tenth of a second: end the transaction that read the user before calling.
    A hash that was imported or made with older parameters is renewed.
    """
    stored = user.password_hash if user is not None else None
    with _ending_reads(session):
        slowest = password_costs.slowest(session)
    started = time.perf_counter()
    is_right = passwords.matches(stored, password, slowest)
    runtime.of(session).counts.observe(PASSWORD_SECONDS, time.perf_counter() - started)
    if not is_right:
        return False
    if user is not None and stored is not None and passwords.is_outdated(stored):
        with suppress(Busy):  # the password is right; the hash is renewed another time
            renewed = passwords.make_hash(password)
            session.execute(
                update(User)
                .where(User.id == user.id, User.password_hash == stored)
                .values(password_hash=renewed)
            )
    return True


def check_new_password(
    session: Session, password: str, own_names: Iterable[str | None], tenant_id: int
) -> None:
    """Refuse the password of a person who has no account yet."""
    _check(session, password, own_names, policies.of_tenant(session, tenant_id))


def set_password(
    session: Session, user: User, password: str, *, chosen_by_person: bool = True
) -> None:
    """Set a password and end all access gained with the old one.

    Hashes first, so call it before the transaction has written anything. Programs do not learn
    whether it is an earlier one.
    """
    with _ending_reads(session):
        required = policies.of_user(session, user.id)
        # A password that must be changed is not chosen again, whatever the history.
        length = max(required.password_history, int(password_age.due(session, user) is not None))
        last = password_history.last(session, user, length)
    own = (user.username, user.email, user.mobile)
    _check(session, password, own, required, chosen_by_person=chosen_by_person)
    if chosen_by_person:
        password_history.check(last, password)
    password_hash = passwords.make_hash(password)
    password_history.keep(session, user, required.password_history)
    user.password_hash = password_hash
    user.password_changed_at, user.password_reset_at = clock.now(), None
    user.must_change_password = required.password_must_change and not chosen_by_person
    end_access(session, user)


@contextmanager
def _ending_reads(session: Session) -> Iterator[None]:
    """End the transaction that the block has begun, if any: nobody waits for it during hashing."""
    was_open = session.in_transaction()
    yield
    if not was_open:
        session.commit()


def _check(
    session: Session,
    password: str,
    own_names: Iterable[str | None],
    required: Required,
    *,
    chosen_by_person: bool = True,
) -> None:
    """Refuse a password that is too weak, stolen, or one of the user's own names."""
    breached_file = runtime.of(session).settings.breached_passwords
    passwords.check_policy(
        password,
        own_names,
        required,
        chosen_by_person=chosen_by_person,
        breached_file=Path(breached_file) if breached_file else None,
    )


def rename(
    session: Session, user: User, *, username: str, email: str | None, mobile: str | None
) -> set[str]:
    """Change user name, e-mail and mobile number; return which of the three changed.

    Values equal to the stored ones (or as the APIs write them) are not checked again. A new address
    counts as unverified.
    """
    changed = set()
    if email != user.email:
        checked = names.email(email) if email else None
        if checked != user.email:
            changed.add("email")
            user.email, user.email_key = checked, names.key(checked) if checked else None
            user.email_verified, user.email_changed_at = False, clock.now()
    if username != user.username or "email" in changed:
        checked_name = names.username(username, user.email)
        if checked_name != user.username:
            changed.add("username")
            user.username, user.username_key = checked_name, names.key(checked_name)
    if mobile != mobile_on_the_wire(session, user):
        number = names.mobile(mobile, _region(session)) if mobile else None
        if number != user.mobile:
            changed.add("mobile")
            user.mobile, user.mobile_verified = number, False
            user.mobile_changed_at = clock.now()
    if changed:
        _refuse_taken(session, user)
        try:
            session.flush()
        except IntegrityError:
            # Another request was faster, between the check above and this update.
            message = "One of these names has just been taken."
            raise Conflict(message, fields={name: [message] for name in changed}) from None
    return changed


def is_under(user: User, ancestor: User) -> bool:
    """Return whether a person is the ancestor themselves, or below them by referral."""
    return user.id == ancestor.id or (user.lineage or "/").startswith(lineage_below(ancestor))


def move(session: Session, user: User, parent: User | None) -> None:
    """Change the referrer of a person, and so of all below them."""
    if parent is not None and is_under(parent, user):
        raise BadRequest.at("parent_user_id", N_("A user cannot be their own referrer."))
    before = lineage_below(user)
    user.lineage = _lineage(session, parent.id) if parent is not None else None
    user.parent_user_id = parent.id if parent is not None else None
    after = lineage_below(user)
    session.flush()
    longest = session.scalar(
        select(func.max(func.length(User.lineage))).where(
            User.lineage.startswith(before, autoescape=True)
        )
    )
    if longest is not None and longest + len(after) - len(before) > LONGEST_LINEAGE:
        raise BadRequest.at("parent_user_id", N_("The chain of referrers is too long."))
    session.execute(
        update(User)
        .where(User.lineage.startswith(before, autoescape=True))
        .values(lineage=literal(after) + func.substr(User.lineage, len(before) + 1))
    )


def end_access(session: Session, *people: User) -> None:
    """End sessions, grants and tokens of people, by a new security stamp."""
    for user in people:
        user.security_stamp = random_token(16)
    session.flush()


def disable(session: Session, *people: User) -> None:
    """Disable people, and end their access."""
    enabled = [user for user in people if not user.is_disabled]
    for user in enabled:
        user.is_disabled = True
    end_access(session, *enabled)
    for user in enabled:
        audit.record(session, Tag.USER_DISABLED, target=f"user:{user.id}")


def enable(session: Session, user: User) -> None:
    """Enable a disabled person."""
    if user.is_disabled:
        user.is_disabled = False
        session.flush()
        audit.record(session, Tag.USER_ENABLED, target=f"user:{user.id}")


def unlock(session: Session, user: User) -> None:
    """End a temporary lock, and reset the failures counted with it."""
    if user.is_locked or user.access_failed_count:
        user.lockout_end = None
        user.access_failed_count = 0
        session.flush()
        audit.record(session, Tag.USER_UNLOCKED, target=f"user:{user.id}")


def delete(session: Session, user: User) -> None:
    """Delete an account softly: the row keeps its names and its id for ever.

    What proves a second factor goes at once.
    """
    if user.deleted_at is None:
        user.deleted_at = clock.now()
        user.password_hash = None
        password_history.keep(session, user, 0)
        end_access(session, user)
        _forget_factors(session, [user.id])
        audit.record(session, Tag.USER_DELETED, target=f"user:{user.id}")


def forget_factors_of_deleted(session: Session, after_id: int, number: int) -> int | None:
    """Delete what proves a second factor of so many accounts that were deleted with it.

    Releases before 0.2 left it. Accounts follow each other by id; return the last one, None where
    none is left.
    """
    query = select(User.id).where(User.id > after_id, User.deleted_at.is_not(None))
    found = session.scalars(query.order_by(User.id).limit(number)).all()
    _forget_factors(session, found)
    return found[-1] if found else None


def _forget_factors(session: Session, user_ids: Sequence[int]) -> None:
    for table in (Totp, Passkey, RecoveryCode, EnrolmentCode):
        session.execute(
            delete_rows(table).where(table.user_id.in_(user_ids)),
            execution_options={"synchronize_session": False},
        )


def mobile_on_the_wire(session: Session, user: User) -> str | None:
    """Return the mobile number as callers of the APIs expect it."""
    return names.on_the_wire(user.mobile, _region(session)) if user.mobile else None


def _lineage(session: Session, parent_user_id: int | None) -> str | None:
    if parent_user_id is None:
        return None
    lineage = lineage_below(get(session, parent_user_id))
    if len(lineage) > LONGEST_LINEAGE:
        raise BadRequest.at("parent_user_id", N_("The chain of referrers is too long."))
    return lineage


def _only(session: Session, condition: ColumnElement[bool]) -> User | None:
    return session.scalar(select(User).where(condition, User.deleted_at.is_(None)))


def _refuse_taken(session: Session, user: User) -> None:
    """Raise Conflict for the first name that an account, deleted or not, has already."""
    unique = (
        ("username", User.username_key, user.username_key),
        ("email", User.email_key, user.email_key),
        ("mobile", User.mobile, user.mobile),
    )
    with session.no_autoflush:
        for field, column, value in unique:
            others = select(User.id).where(column == value, User.id != (user.id or 0))
            if value is not None and session.scalar(others):
                raise Conflict.at(field, _TAKEN[field], code=f"{field}_taken")


def _region(session: Session) -> str:
    return runtime.of(session).settings.phone_region
