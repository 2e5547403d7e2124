"""Accounts as a whole, as managers read and write them: names, profile, and all lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from idp.directory.people import lists, profile, reach
from idp.directory.people.lists import ClaimRow, FileRow, Lists, PropertyRow, TenantRow
from idp.directory.people.reach import Editor
from idp.directory.roles import catalogue
from idp.directory.roles import service as roles
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import names
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.platform import runtime, stamps
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Overreach,
    Unprocessable,
)
from idp.platform.integers import INT64_MAX

FIRST_USER = 1
"""Who counts as referrer where nobody is named."""
LOOKUPS_PER_MINUTE = 60

_PLAIN = (
    "access_failed_count",
    "address",
    "birthday",
    "description",
    "gender",
    "nick_name",
    "remark",
    "stature",
    "type_ids",
    "weight",
)
"""Values that are stored as they come."""


class Rejected(Unprocessable):
    """The account cannot be made: a name is taken or wrong, or the password is too weak."""

    code = "account_rejected"


@dataclass(frozen=True, slots=True)
class Description:
    """All that is said about an account; a list that is None stays as it is."""

    username: str | None
    email: str | None
    mobile: str | None
    password: str | None
    """In clear text; empty: none (a new account), or as it was."""
    email_verified: bool
    mobile_verified: bool
    lockout_end: datetime | None
    lockout_enabled: bool
    access_failed_count: int
    parent_user_id: int
    """0: nobody is named."""
    nick_name: str | None
    avatar: str | None
    gender: str | None
    birthday: date | None
    address: str | None
    stature: float
    weight: float
    description: str | None
    remark: str | None
    type_ids: str | None
    roles: Sequence[int] | None = None
    claims: Sequence[ClaimRow] | None = None
    tenants: Sequence[TenantRow] | None = None
    files: Sequence[FileRow] | None = None
    properties: Sequence[PropertyRow] | None = None
    concurrency_stamp: str | None = None
    """State of the account that was looked at; None: whatever it is by now."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed by."""

    email: str | None = None
    name: str | None = None
    mobile: str | None = None
    role_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """An account with the lists that its reader may see."""

    user: User
    mobile: str | None
    lists: Lists
    parent_username: str | None = None


def get(session: Session, editor: Editor, user_id: int) -> User:
    """Give an account in reach; what is out of reach does not exist."""
    return _get(session, editor, user_id, lock=False)


def listing(session: Session, editor: Editor, filters: Filters) -> Select[User]:
    """Ask for the people of the editor's tenant, one row each."""
    query = select(User).where(*reach.members_in_reach(session, editor))
    if filters.email is not None:
        query = query.where(User.email_key == names.key(filters.email))
    if filters.name is not None:
        query = query.where(User.username_key.contains(names.key(filters.name), autoescape=True))
    if filters.mobile is not None:
        region = runtime.of(session).settings.phone_region
        query = query.where(User.mobile == (names.find_mobile(filters.mobile, region) or ""))
    for role_id in set(filters.role_ids):
        holds = (
            select(UserRole.user_id)
            .join(Role, Role.id == UserRole.role_id)
            .where(
                UserRole.user_id == User.id,
                UserRole.role_id == role_id,
                reach.visible(editor, Role.tenant_id),
            )
        )
        query = query.where(holds.exists())
    return query


def show(session: Session, editor: Editor, people: Sequence[User]) -> list[Shown]:
    """Read the lists of accounts, with the same few questions for one as for thousands."""
    found = lists.read(session, editor, [user.id for user in people])
    for user in people:
        found[user.id].claims.extend(lists.standard_claims(user))
    parents = {user.parent_user_id for user in people} - {None}
    called: dict[int, str] = {}
    if parents:
        rows = session.execute(select(User.id, User.username).where(User.id.in_(parents)))
        called = {row.id: row.username for row in rows}
    return [
        Shown(
            user,
            users.mobile_on_the_wire(session, user),
            found[user.id],
            called.get(user.parent_user_id or 0),
        )
        for user in people
    ]


def find_by_mobile(session: Session, editor: Editor, number: str) -> User | None:
    """Find the member of the tenant who has a number; asked too often, refused, and noted."""
    throttle = runtime.of(session).throttle
    throttle.hit("user look-up", str(editor.user_id), LOOKUPS_PER_MINUTE, 60)
    mobile = names.mobile(number, runtime.of(session).settings.phone_region)
    user = session.scalar(
        select(User).where(
            User.mobile == mobile, User.deleted_at.is_(None), reach.is_member(editor.tenant_id)
        )
    )
    audit.record(
        session,
        Tag.USER_LOOKED_UP,
        tenant_id=editor.tenant_id,
        target=f"user:{user.id}" if user is not None else None,
    )
    return user


def create(session: Session, editor: Editor, wanted: Description) -> User:
    """Create an account in the editor's tenant, with the roles that everybody gets."""
    parent = _parent(session, editor, wanted.parent_user_id or _first(session, editor))
    _check_proofs(editor, None, wanted, email_stays=False, mobile_stays=False)
    with _rejecting():
        user = users.create(
            session,
            NewUser(
                username=wanted.username or wanted.email or "",
                email=wanted.email or None,
                mobile=wanted.mobile or None,
                password=wanted.password or None,
                email_verified=wanted.email_verified,
                mobile_verified=wanted.mobile_verified,
                parent_user_id=parent.id if parent is not None else None,
                chosen_by_person=False,
            ),
            tenant_id=editor.tenant_id,
        )
    user.lockout_end, user.lockout_enabled = wanted.lockout_end, wanted.lockout_enabled
    _set_profile(user, wanted)
    session.flush()
    for tenant in wanted.tenants or [TenantRow(0, editor.tenant_id)]:
        lists.may_join(session, editor, tenant.tenant_id)
        tenants.add_member(session, tenant.tenant_id, user.id)
    catalogue.give_default_roles(session, user.id)
    given = (
        None
        if wanted.roles is None
        else [*wanted.roles, *lists.visible_roles(session, editor, user)]
    )
    lists.set_roles(session, editor, user, given)
    lists.set_claims(session, editor, user, wanted.claims)
    lists.set_files(session, user, wanted.files)
    lists.set_properties(session, editor, user, wanted.properties)
    session.flush()
    return user


def replace(session: Session, editor: Editor, user_id: int, wanted: Description) -> User:
    """Replace an account; what is as it was leaves no trace."""
    user = _get(session, editor, user_id, lock=True)
    seen = user.concurrency_stamp
    stamps.check(seen, wanted.concurrency_stamp or None)
    is_administrator = roles.is_platform_administrator(session, user.id)
    changes = _replace_identity(session, editor, user, wanted)
    changes |= _replace_profile(session, editor, user, wanted)
    session.flush()
    changes |= lists.set_roles(session, editor, user, wanted.roles)
    changes |= lists.set_claims(session, editor, user, wanted.claims)
    changes |= lists.set_tenants(session, editor, user, wanted.tenants)
    changes |= lists.set_files(session, user, wanted.files)
    changes |= lists.set_properties(session, editor, user, wanted.properties)
    if not changes:
        return user
    stamped = session.execute(
        update(User)
        .where(User.id == user.id, User.concurrency_stamp == seen)
        .values(concurrency_stamp=stamps.new_stamp())
        .returning(User.id)
    ).first()
    if stamped is None:
        raise stamps.outdated()
    if is_administrator:
        roles.keep_an_administrator(session)
    audit.record(
        session,
        Tag.USER_CHANGED,
        tenant_id=editor.tenant_id,
        target=f"user:{user.id}",
        details=changes,
    )
    return user


def delete(session: Session, editor: Editor, user_id: int) -> User:
    """Delete an account, with its sessions and tokens.

    A person who belongs to themselves only leaves the tenant.
    """
    user = _get(session, editor, user_id, lock=True)
    is_own = reach.belongs_to_themselves(session, user.id, editor.tenant_id)
    if is_own and not editor.is_administrator:
        lists.leave(session, editor.tenant_id, user.id)
    elif reach.may_change_identity(session, editor, user):
        users.delete(session, user)
    else:
        raise NotFound("There is no such user.")
    session.flush()
    if roles.is_platform_administrator(session, user.id):
        roles.keep_an_administrator(session)
    return user


def disable(session: Session, user_id: int, *, by: int | None = None) -> User:
    """Keep a person out: nobody themselves, and never the last administrator of the platform.

    `by` is the person who does it; None: the operator, on the machine.
    """
    if user_id == by:
        raise Unprocessable(
            "Nobody can disable their own account.", fields={"id": ["is your own account"]}
        )
    user = _locked(session, user_id, by)
    users.disable(session, user)
    session.flush()
    if roles.is_platform_administrator(session, user.id):
        roles.keep_an_administrator(session)
    return user


def enable(session: Session, user_id: int, *, by: int | None = None) -> User:
    """Enable a disabled person again."""
    user = _locked(session, user_id, by)
    users.enable(session, user)
    return user


def unlock(session: Session, user_id: int, *, by: int | None = None) -> User:
    """End a lock that was set until later."""
    user = _locked(session, user_id, by)
    users.unlock(session, user)
    return user


def tenants_and_roles(
    session: Session, user_id: int
) -> tuple[list[int], list[tuple[str, int | None]]]:
    """Return the ids of a person's tenants, and their roles: code and tenant (None: platform)."""
    memberships = (
        select(Membership.tenant_id)
        .where(Membership.user_id == user_id)
        .order_by(Membership.tenant_id)
    )
    held = (
        select(Role.code, Role.tenant_id)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(UserRole.user_id == user_id)
        .order_by(Role.code, Role.id)
    )
    rows = session.execute(held)
    return list(session.scalars(memberships)), [(code, tenant_id) for code, tenant_id in rows]


def set_password(session: Session, user: User, password: str) -> None:
    """Set somebody's password for him, which ends his sessions and tokens."""
    if not password.strip("*"):
        raise BadRequest.at("password", "This is a mask, not a password.")
    users.set_password(session, user, password, chosen_by_person=False)
    audit.record(session, Tag.PASSWORD_SET, target=f"user:{user.id}")


def _locked(session: Session, user_id: int, by: int | None) -> User:
    """Return an account whose state `by` may change."""
    user = users.get(session, user_id, lock=True)
    check_rights(session, user, by=by)
    return user


def check_rights(session: Session, user: User, *, by: int | None) -> None:
    """Refuse `by` a person with rights of the platform, unless they administer it."""
    if (
        by is not None
        and reach.is_of_the_platform(session, user.id)
        and not roles.is_platform_administrator(session, by)
    ):
        message = "This person has rights of the platform; only its administrators may do this."
        raise Forbidden(message)


def _get(session: Session, editor: Editor, user_id: int, *, lock: bool) -> User:
    if not 0 < user_id <= INT64_MAX:
        raise NotFound("There is no such user.")
    query = select(User).where(User.id == user_id, *reach.in_reach(session, editor))
    if lock:
        query = query.with_for_update(of=User).execution_options(populate_existing=True)
    user = session.scalar(query)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _replace_identity(
    session: Session, editor: Editor, user: User, wanted: Description
) -> dict[str, Any]:
    """Replace names, password and lockout; out of reach where they are not the editor's to change.

    The password comes first, for hashing takes long and nothing is written yet.
    """
    region = runtime.of(session).settings.phone_region
    username, email = wanted.username or wanted.email or "", wanted.email or None
    email_stays = email == user.email
    mobile_stays = (wanted.mobile or None) == users.mobile_on_the_wire(session, user) or (
        bool(wanted.mobile) and names.find_mobile(wanted.mobile or "", region) == user.mobile
    )
    lockout = ("lockout_end", "lockout_enabled")
    locks = {
        name: [getattr(user, name), getattr(wanted, name)]
        for name in lockout
        if getattr(user, name) != getattr(wanted, name)
    }
    names_stay = username == user.username and email_stays and mobile_stays
    proofs_stay = (user.email_verified, user.mobile_verified) == (
        wanted.email_verified,
        wanted.mobile_verified,
    )
    if not (names_stay and proofs_stay and not wanted.password and not locks) and not (
        reach.may_change_identity(session, editor, user)
    ):
        raise NotFound("There is no such user.")
    _check_proofs(editor, user, wanted, email_stays=email_stays, mobile_stays=mobile_stays)
    changes: dict[str, Any] = {}
    if wanted.password:
        set_password(session, user, wanted.password)
        changes["password_changed"] = True
    before = {name: getattr(user, name) for name in ("username", "email", "mobile")}
    if not names_stay:
        mobile = users.mobile_on_the_wire(session, user) if mobile_stays else wanted.mobile
        for name in users.rename(
            session, user, username=username, email=email, mobile=mobile or None
        ):
            changes[name] = [before[name], getattr(user, name)]
    for name in ("email_verified", "mobile_verified"):
        if getattr(user, name) != getattr(wanted, name):
            changes[name] = [getattr(user, name), getattr(wanted, name)]
            setattr(user, name, getattr(wanted, name))
    for name, (_, value) in locks.items():
        setattr(user, name, value)
    return changes | locks


def _replace_profile(
    session: Session, editor: Editor, user: User, wanted: Description
) -> dict[str, Any]:
    before = {name: getattr(user, name) for name in (*_PLAIN, "avatar", "parent_user_id")}
    _set_profile(user, wanted)
    parent_id = wanted.parent_user_id
    if not parent_id and user.parent_user_id is not None and user.id != editor.user_id:
        parent_id = _first(session, editor)
    if parent_id and parent_id not in {user.parent_user_id, user.id}:
        if reach.may_move(session, editor, user):
            users.move(session, user, _parent(session, editor, parent_id))
        elif wanted.parent_user_id:
            message = "You cannot choose who referred this person."
            raise BadRequest(message, fields={"parent_user_id": [message]})
    return {
        name: [value, getattr(user, name)]
        for name, value in before.items()
        if value != getattr(user, name)
    }


def _set_profile(user: User, wanted: Description) -> None:
    for name in _PLAIN:
        if getattr(user, name) != getattr(wanted, name):
            setattr(user, name, getattr(wanted, name))
    if wanted.avatar != user.avatar:
        if wanted.avatar and not profile.is_web_address(wanted.avatar):
            raise BadRequest.at("avatar", "A picture has an http(s) address.")
        user.avatar = wanted.avatar or None


def _check_proofs(
    editor: Editor,
    user: User | None,
    wanted: Description,
    *,
    email_stays: bool,
    mobile_stays: bool,
) -> None:
    """Refuse to call an address proven: only administrators may, and for others."""
    is_own = user is not None and user.id == editor.user_id
    for name, address, asked, stays in (
        ("email_verified", wanted.email, wanted.email_verified, email_stays),
        ("mobile_verified", wanted.mobile, wanted.mobile_verified, mobile_stays),
    ):
        had = user is not None and stays and getattr(user, name)
        if not asked or had:
            continue
        if not address:
            raise BadRequest.at(name, "There is no address to confirm.")
        if is_own or not editor.is_administrator:
            raise Overreach.at(name, "An address is confirmed by its owner with a code.")


def _first(session: Session, editor: Editor) -> int:
    """Tell who referred where nobody is named: who sees only those below him, else user 1."""
    if not editor.is_administrator and not reach.owns_tenant(session, editor):
        return editor.user_id
    return FIRST_USER if users.find(session, FIRST_USER) is not None else 0


def _parent(session: Session, editor: Editor, user_id: int) -> User | None:
    if not user_id:
        return None
    if user_id == _first(session, editor):
        return users.get(session, user_id)
    try:
        return get(session, editor, user_id)
    except NotFound:
        raise BadRequest.at("parent_user_id", "There is no such user.") from None


@contextmanager
def _rejecting() -> Iterator[None]:
    """Tell apart that an account cannot be made from other mistakes."""
    try:
        yield
    except (BadRequest, Conflict) as problem:
        raise Rejected(problem.detail, fields=problem.fields) from None
