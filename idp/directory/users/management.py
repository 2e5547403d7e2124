"""Managing accounts: names, profile and all lists at once, within the reach of the actor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, not_, select, update
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import lists, names, profile, visibility
from idp.directory.users import service as users
from idp.directory.users.lists import ClaimRow, FileRow, Lists, PropertyRow, TenantRow
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
from idp.platform.translation import N_

FIRST_USER = 1
"""The referrer where none is named."""
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
"""Values that are stored unchanged."""
_LOCKOUT = ("lockout_end", "lockout_enabled")
_AUDITED = tuple(dict.fromkeys((*profile.COLUMNS, *_PLAIN, *_LOCKOUT, "parent_user_id")))
_PRIVATE = ("password", "files", "properties")


class Rejected(Unprocessable):
    """The account cannot be created: a name is taken or invalid, or the password is too weak."""

    code = "account_rejected"


@dataclass(frozen=True, slots=True)
class UserSpec:
    """All values of an account; a list that is None stays as it is."""

    username: str | None
    email: str | None
    mobile: str | None
    password: str | None
    """In clear text; empty: none (a new account), or unchanged."""
    email_verified: bool
    mobile_verified: bool
    lockout_end: datetime | None
    lockout_enabled: bool
    access_failed_count: int
    parent_user_id: int
    """0: none is named."""
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
    standard: Mapping[str, str | None] = field(default_factory=dict)
    """Standard claims to set by name (see `profile.CLAIMS`); all others stay."""
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list."""

    email: str | None = None
    name: str | None = None
    mobile: str | None = None
    role_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class UserView:
    """An account with the lists that the actor sees."""

    user: User
    mobile: str | None
    lists: Lists
    parent_username: str | None = None


def get(session: Session, actor: Actor, user_id: int) -> User:
    """Return an account in reach; what is out of reach does not exist."""
    return _get(session, actor, user_id, lock=False)


def list_query(session: Session, actor: Actor, filters: Filters) -> Select[User]:
    """Return the query of the people of the actor's tenant, one row each."""
    query = select(User).where(*visibility.members_in_reach(session, actor))
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
                visibility.visible(actor, Role.tenant_id),
            )
        )
        query = query.where(holds.exists())
    return query


def show(session: Session, actor: Actor, people: Sequence[User]) -> list[UserView]:
    """Return accounts with their lists, by the same few queries for one as for thousands."""
    found = lists.read(session, actor, [user.id for user in people])
    for user in people:
        found[user.id].claims.extend(lists.standard_claims(user))
    parents = {user.parent_user_id for user in people} - {None}
    called: dict[int, str] = {}
    if parents:
        rows = session.execute(select(User.id, User.username).where(User.id.in_(parents)))
        called = {row.id: row.username for row in rows}
    return [
        UserView(
            user,
            users.mobile_on_the_wire(session, user),
            found[user.id],
            called.get(user.parent_user_id or 0),
        )
        for user in people
    ]


def find_by_mobile(session: Session, actor: Actor, number: str) -> User | None:
    """Find the member of the tenant who has a number; rate-limited and recorded."""
    throttle = runtime.of(session).throttle
    throttle.hit("user look-up", str(actor.user_id), LOOKUPS_PER_MINUTE, 60)
    mobile = names.mobile(number, runtime.of(session).settings.phone_region)
    user = session.scalar(
        select(User).where(
            User.mobile == mobile, User.deleted_at.is_(None), visibility.is_member(actor.tenant_id)
        )
    )
    audit.record(
        session,
        Tag.USER_LOOKED_UP,
        tenant_id=actor.tenant_id,
        target=f"user:{user.id}" if user is not None else None,
    )
    return user


def create(
    session: Session, actor: Actor, spec: UserSpec, *, reserved_claims: Collection[str]
) -> User:
    """Create an account in the actor's tenant, with the roles that everybody gets.

    `reserved_claims` are names that rows cannot have: they would never be sent.
    """
    parent = _parent(session, actor, spec.parent_user_id or _first(session, actor))
    _check_proofs(actor, None, spec, email_stays=False, mobile_stays=False)
    with _rejecting():
        user = users.create(
            session,
            NewUser(
                username=spec.username or spec.email or "",
                email=spec.email or None,
                mobile=spec.mobile or None,
                password=spec.password or None,
                email_verified=spec.email_verified,
                mobile_verified=spec.mobile_verified,
                parent_user_id=parent.id if parent is not None else None,
                chosen_by_person=False,
            ),
            tenant_id=actor.tenant_id,
        )
    user.lockout_end, user.lockout_enabled = spec.lockout_end, spec.lockout_enabled
    _set_profile(user, spec)
    session.flush()
    for tenant in spec.tenants or [TenantRow(0, actor.tenant_id)]:
        lists.check_may_join(session, actor, tenant.tenant_id)
        tenants.add_member(session, tenant.tenant_id, user.id)
    catalogue.assign_default_roles(session, user.id)
    given = (
        None if spec.roles is None else [*spec.roles, *lists.visible_roles(session, actor, user)]
    )
    lists.set_roles(session, actor, user, given)
    lists.set_claims(session, actor, user, spec.claims, reserved_claims)
    lists.set_files(session, user, spec.files)
    lists.set_properties(session, actor, user, spec.properties)
    session.flush()
    return user


def replace(
    session: Session,
    actor: Actor,
    user_id: int,
    spec: UserSpec,
    *,
    reserved_claims: Collection[str],
) -> User:
    """Replace an account; without a difference nothing is recorded."""
    user = _get(session, actor, user_id, lock=True)
    seen = user.concurrency_stamp
    stamps.check(seen, spec.concurrency_stamp or None)
    is_administrator = permissions.is_platform_administrator(session, user.id)
    before = _state(session, actor, user)
    _replace_identity(session, actor, user, spec)
    _replace_profile(session, actor, user, spec)
    session.flush()
    lists.set_roles(session, actor, user, spec.roles)
    lists.set_claims(session, actor, user, spec.claims, reserved_claims)
    lists.set_tenants(session, actor, user, spec.tenants)
    lists.set_files(session, user, spec.files)
    lists.set_properties(session, actor, user, spec.properties)
    session.flush()
    after = _state(session, actor, user)
    if before == after:
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
        permissions.require_administrator(session)
    audit.record_change(
        session,
        Tag.USER_CHANGED,
        f"user:{user.id}",
        before,
        after,
        private=_PRIVATE,
        tenant_id=actor.tenant_id,
    )
    return user


def delete(session: Session, actor: Actor, user_id: int) -> User:
    """Delete an account, with its sessions and tokens.

    A person who belongs to themselves only leaves the tenant.
    """
    user = _get(session, actor, user_id, lock=True)
    is_own = visibility.belongs_to_themselves(session, user.id, actor.tenant_id)
    if is_own and not actor.is_platform_admin:
        lists.leave(session, actor.tenant_id, user.id)
    elif visibility.may_change_identity(session, actor, user):
        users.delete(session, user)
    else:
        raise NotFound(N_("There is no such user."))
    session.flush()
    if permissions.is_platform_administrator(session, user.id):
        permissions.require_administrator(session)
    return user


@dataclass(frozen=True, slots=True)
class NewPerson:
    """The values of an account that an administrator creates."""

    username: str
    email: str | None = None
    mobile: str | None = None
    nick_name: str | None = None
    locale: str | None = None
    password: str | None = field(default=None, repr=False)
    """In clear text; None: the person chooses one by a link."""
    roles: Sequence[str] = ()
    """Codes of roles of the tenant, or at the platform of platform roles."""


def add(session: Session, actor: Actor, new: NewPerson) -> User:
    """Create an account in the actor's tenant, with the default roles and those named."""
    user = users.create(
        session,
        NewUser(
            username=new.username,
            email=new.email,
            mobile=new.mobile,
            password=new.password,
            nick_name=new.nick_name,
            locale=new.locale,
            chosen_by_person=False,
        ),
        tenant_id=actor.tenant_id,
    )
    tenants.add_member(session, actor.tenant_id, user.id)
    catalogue.assign_default_roles(session, user.id)
    if new.roles:
        lists.assign_roles(session, actor, user, _roles(session, actor, new.roles))
    session.flush()
    return user


def _roles(session: Session, actor: Actor, codes: Sequence[str]) -> list[Role]:
    """Return roles by their codes; BadRequest names the first that does not exist."""
    tenant_id = None if actor.reaches_all else actor.tenant_id
    if tenant_id is None and not actor.is_platform_admin:
        raise Overreach.at("roles", N_("Only platform administrators can do this."))
    query = select(Role).where(Role.code.in_(codes), Role.tenant_id.is_not_distinct_from(tenant_id))
    found = {role.code: role for role in session.scalars(query)}
    for index, code in enumerate(codes):
        if code not in found:
            raise BadRequest.at(f"roles[{index}]", N_("There is no such role."))
    return [found[code] for code in dict.fromkeys(codes)]


def members_query(actor: Actor) -> Select[User]:
    """Return the query of the people whom `get_member` returns."""
    query = select(User).where(User.deleted_at.is_(None))
    return query if actor.reaches_all else query.where(visibility.is_member(actor.tenant_id))


def get_member(session: Session, actor: Actor, user_id: int) -> User:
    """Return a person of the actor's tenant, and at the platform anyone, to be shown."""
    user = users.find(session, user_id) if 0 < user_id <= INT64_MAX else None
    if user is None or not (actor.reaches_all or _is_member(session, actor, user)):
        raise NotFound(N_("There is no such user."))
    return user


def get_managed(session: Session, actor: Actor, user_id: int, *, lock: bool = False) -> User:
    """Return a person whose account the actor may lock and whose sessions they may end.

    With the permission in the tenant alone, those whose identity they may change there. At the
    platform all members, and in tenant 1 everyone; people with platform rights only for platform
    administrators. Raise NotFound for anyone out of reach.
    """
    if lock and 0 < user_id <= INT64_MAX:
        session.get(User, user_id, with_for_update=True, populate_existing=True)
    user = get_member(session, actor, user_id)
    if actor.reaches_all or actor.permitted == "platform":
        check_rights(session, actor, user)
    elif not visibility.may_change_identity(session, actor, user):
        raise NotFound(N_("There is no such user."))
    return user


def managed(session: Session, actor: Actor) -> list[ColumnElement[bool]]:
    """Return in SQL which people `get_managed` returns."""
    conditions: list[ColumnElement[bool]] = [User.deleted_at.is_(None)]
    if not actor.reaches_all:
        conditions.append(visibility.is_member(actor.tenant_id))
    if not actor.reaches_all and actor.permitted != "platform":
        conditions.append(visibility.identity_in_reach(session, actor))
    elif not actor.is_platform_admin:
        conditions.append(not_(visibility.has_platform_rights(User.id)))
    return conditions


def _is_member(session: Session, actor: Actor, user: User) -> bool:
    return tenants.find_member(session, actor.tenant_id, user.id) is not None


def set_platform_roles(
    session: Session, actor: Actor, user_id: int, role_ids: Collection[int]
) -> User:
    """Replace the platform roles of a person; only administrators of the platform may."""
    if not actor.is_platform_admin:
        raise Forbidden(N_("Only platform administrators can do this."))
    user = users.get(session, user_id, lock=True)
    query = select(Role).where(Role.tenant_id.is_(None), Role.id.in_(role_ids)).order_by(Role.id)
    desired = {role.id: role for role in session.scalars(query)}
    if set(role_ids) - desired.keys():
        raise BadRequest.at("roles", N_("There is no such role."))
    held = {role.id: role for role in roles_held(session, user.id, None)}
    given = [role for role_id, role in desired.items() if role_id not in held]
    taken = [role for role_id, role in held.items() if role_id not in desired]
    lists.assign_roles(session, actor, user, given)
    lists.remove_roles(session, user, taken)
    if any(role.code == permissions.ADMINISTRATORS for role in taken):
        permissions.require_administrator(session)
    return user


def disable(session: Session, actor: Actor, user_id: int) -> User:
    """Disable a person, but neither oneself nor the last administrator of the platform."""
    if user_id == actor.user_id:
        raise Unprocessable(
            N_("You cannot disable your own account."), fields={"id": ["is your own account"]}
        )
    user = get_managed(session, actor, user_id, lock=True)
    users.disable(session, user)
    session.flush()
    if permissions.is_platform_administrator(session, user.id):
        permissions.require_administrator(session)
    return user


def disable_together(session: Session, actor: Actor, user_ids: Collection[int]) -> set[int]:
    """Disable those of several people whom `disable` would, and return their ids.

    One statement finds and locks them, and one changes them. Administrators of the platform are
    left to `disable`, which keeps the last one.
    """
    query = select(User).where(
        User.id.in_(user_ids),
        User.id != actor.user_id,
        User.id.not_in(permissions.administrators()),
        *managed(session, actor),
    )
    locked = query.order_by(User.id).with_for_update(of=User)
    found = session.scalars(locked.execution_options(populate_existing=True)).all()
    users.disable(session, *found)
    return {user.id for user in found}


def enable(session: Session, actor: Actor, user_id: int) -> User:
    """Enable a disabled person again."""
    user = get_managed(session, actor, user_id, lock=True)
    users.enable(session, user)
    return user


def unlock(session: Session, actor: Actor, user_id: int) -> User:
    """End a temporary lock."""
    user = get_managed(session, actor, user_id, lock=True)
    users.unlock(session, user)
    return user


def tenants_and_roles(
    session: Session, user_id: int, *, tenant_id: int | None = None
) -> tuple[list[int], list[tuple[str, int | None]]]:
    """Return the ids of a person's tenants, and their roles: code and tenant (None: platform).

    With `tenant_id` only what belongs to that tenant.
    """
    memberships = select(Membership.tenant_id).where(Membership.user_id == user_id)
    held = (
        select(Role.code, Role.tenant_id)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(UserRole.user_id == user_id)
    )
    if tenant_id is not None:
        memberships = memberships.where(Membership.tenant_id == tenant_id)
        held = held.where(Role.tenant_id == tenant_id)
    rows = session.execute(held.order_by(Role.code, Role.id))
    return (
        list(session.scalars(memberships.order_by(Membership.tenant_id))),
        [(code, tenant) for code, tenant in rows],
    )


@dataclass(frozen=True, slots=True)
class MemberView:
    """A tenant of a person with the roles that they have there; without one, the platform."""

    tenant_id: int | None
    name: str | None
    is_admin: bool
    since: datetime | None
    roles: Sequence[Role]


def memberships(
    session: Session, user_id: int, *, tenant_id: int | None = None
) -> list[MemberView]:
    """Return the tenants of a person with their roles, the platform first; or one tenant alone."""
    query = select(Membership, Tenant.name).join(Tenant, Tenant.id == Membership.tenant_id)
    query = query.where(Membership.user_id == user_id).order_by(Tenant.name, Tenant.id)
    held = select(Role).join(UserRole, UserRole.role_id == Role.id)
    held = held.where(UserRole.user_id == user_id).order_by(Role.name, Role.id)
    if tenant_id is not None:
        query = query.where(Membership.tenant_id == tenant_id)
        held = held.where(Role.tenant_id == tenant_id)
    roles: defaultdict[int | None, list[Role]] = defaultdict(list)
    for role in session.scalars(held):
        roles[role.tenant_id].append(role)
    found = [
        MemberView(row.tenant_id, name, row.is_admin, row.created_at, roles[row.tenant_id])
        for row, name in session.execute(query)
    ]
    if tenant_id is None and roles[None]:
        found.insert(0, MemberView(None, None, is_admin=False, since=None, roles=roles[None]))
    return found


def roles_in(session: Session, tenant_id: int | None) -> Sequence[Role]:
    """Return the roles of a tenant, or (no tenant) of the platform, by name."""
    in_tenant = Role.tenant_id.is_not_distinct_from(tenant_id)
    return session.scalars(select(Role).where(in_tenant).order_by(Role.name, Role.id)).all()


def roles_held(session: Session, user_id: int, tenant_id: int | None) -> Sequence[Role]:
    """Return the roles of a person in a tenant, or (no tenant) of the platform, by id."""
    query = select(Role).join(UserRole, UserRole.role_id == Role.id).order_by(Role.id)
    in_tenant = Role.tenant_id.is_not_distinct_from(tenant_id)
    return session.scalars(query.where(UserRole.user_id == user_id, in_tenant)).all()


def roles_of(
    session: Session, user_ids: Collection[int], tenant_id: int | None
) -> dict[int, list[Role]]:
    """Return the roles of people in a tenant, or (no tenant) of the platform, by their ids.

    Roles that everyone has are left out.
    """
    in_tenant = Role.tenant_id.is_not_distinct_from(tenant_id)
    is_default = and_(Role.tenant_id.is_(None), Role.code.in_(catalogue.DEFAULT_ROLES))
    rows = session.execute(
        select(UserRole.user_id, Role)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id.in_(user_ids), in_tenant, not_(is_default))
        .order_by(Role.name, Role.id)
    )
    found: dict[int, list[Role]] = {}
    for user_id, role in rows:
        found.setdefault(user_id, []).append(role)
    return found


def set_password(session: Session, user: User, password: str) -> None:
    """Set the password of a person, which ends their sessions and tokens."""
    if not password.strip("*"):
        raise BadRequest.at("password", N_("This is the mask, not a password."))
    users.set_password(session, user, password, chosen_by_person=False)
    audit.record(session, Tag.PASSWORD_SET, target=f"user:{user.id}")


def check_rights(session: Session, actor: Actor, user: User) -> None:
    """Refuse a person with platform permissions, unless the actor administers the platform."""
    if not actor.is_platform_admin and visibility.is_of_the_platform(session, user.id):
        raise Forbidden(
            N_("This user has platform permissions; only platform administrators can do this.")
        )


def _get(session: Session, actor: Actor, user_id: int, *, lock: bool) -> User:
    if not 0 < user_id <= INT64_MAX:
        raise NotFound(N_("There is no such user."))
    query = select(User).where(User.id == user_id, *visibility.in_reach(session, actor))
    if lock:
        query = query.with_for_update(of=User).execution_options(populate_existing=True)
    user = session.scalar(query)
    if user is None:
        raise NotFound(N_("There is no such user."))
    return user


def _state(session: Session, actor: Actor, user: User) -> dict[str, Any]:
    """Return what the audit log compares of an account, as the actor sees it."""
    return {
        **{name: getattr(user, name) for name in _AUDITED},
        "password": user.password_hash,
        **lists.read(session, actor, [user.id])[user.id].state(),
    }


def _replace_identity(session: Session, actor: Actor, user: User, spec: UserSpec) -> None:
    """Replace names, password and lockout; NotFound where the actor may not change them.

    The password comes first, because hashing takes long and nothing is written yet.
    """
    region = runtime.of(session).settings.phone_region
    username, email = spec.username or spec.email or "", spec.email or None
    email_stays = email == user.email
    mobile_stays = (spec.mobile or None) == users.mobile_on_the_wire(session, user) or (
        bool(spec.mobile) and names.find_mobile(spec.mobile or "", region) == user.mobile
    )
    locks_stay = all(getattr(user, name) == getattr(spec, name) for name in _LOCKOUT)
    names_stay = username == user.username and email_stays and mobile_stays
    proofs_stay = (user.email_verified, user.mobile_verified) == (
        spec.email_verified,
        spec.mobile_verified,
    )
    if not (names_stay and proofs_stay and not spec.password and locks_stay) and not (
        visibility.may_change_identity(session, actor, user)
    ):
        raise NotFound(N_("There is no such user."))
    _check_proofs(actor, user, spec, email_stays=email_stays, mobile_stays=mobile_stays)
    if spec.password:
        set_password(session, user, spec.password)
    if not names_stay:
        mobile = users.mobile_on_the_wire(session, user) if mobile_stays else spec.mobile
        users.rename(session, user, username=username, email=email, mobile=mobile or None)
    for name in ("email_verified", "mobile_verified", *_LOCKOUT):
        if getattr(user, name) != getattr(spec, name):
            setattr(user, name, getattr(spec, name))


def _replace_profile(session: Session, actor: Actor, user: User, spec: UserSpec) -> None:
    _set_profile(user, spec)
    profile.change(session, user, spec.standard)
    parent_id = spec.parent_user_id
    if not parent_id and user.parent_user_id is not None and user.id != actor.user_id:
        parent_id = _first(session, actor)
    if parent_id and parent_id not in {user.parent_user_id, user.id}:
        if visibility.may_move(session, actor, user):
            users.move(session, user, _parent(session, actor, parent_id))
        elif spec.parent_user_id:
            message = "You cannot change the referrer of this user."
            raise BadRequest(message, fields={"parent_user_id": [message]})


def _set_profile(user: User, spec: UserSpec) -> None:
    for name in _PLAIN:
        if getattr(user, name) != getattr(spec, name):
            setattr(user, name, getattr(spec, name))
    if spec.avatar != user.avatar:
        if spec.avatar and not profile.is_web_address(spec.avatar):
            raise BadRequest.at("avatar", N_("A picture must have an http(s) address."))
        user.avatar = spec.avatar or None


def _check_proofs(
    actor: Actor,
    user: User | None,
    spec: UserSpec,
    *,
    email_stays: bool,
    mobile_stays: bool,
) -> None:
    """Refuse to mark an address as verified, unless an administrator does so for another person."""
    is_own = user is not None and user.id == actor.user_id
    for name, address, is_marked, stays in (
        ("email_verified", spec.email, spec.email_verified, email_stays),
        ("mobile_verified", spec.mobile, spec.mobile_verified, mobile_stays),
    ):
        had = user is not None and stays and getattr(user, name)
        if not is_marked or had:
            continue
        if not address:
            raise BadRequest.at(name, N_("There is no address to confirm."))
        if is_own or not actor.is_platform_admin:
            raise Overreach.at(name, "An address must be verified by its owner with a code.")


def _first(session: Session, actor: Actor) -> int:
    """Return the default referrer: an actor who sees only people below them, else user 1."""
    if not actor.is_platform_admin and not visibility.owns_tenant(session, actor):
        return actor.person_id
    return FIRST_USER if users.find(session, FIRST_USER) is not None else 0


def _parent(session: Session, actor: Actor, user_id: int) -> User | None:
    if not user_id:
        return None
    if user_id == _first(session, actor):
        return users.get(session, user_id)
    try:
        return get(session, actor, user_id)
    except NotFound:
        raise BadRequest.at("parent_user_id", N_("There is no such user.")) from None


@contextmanager
def _rejecting() -> Iterator[None]:
    """Raise BadRequest and Conflict as Rejected: the account cannot be created."""
    try:
        yield
    except (BadRequest, Conflict) as problem:
        raise Rejected(problem.detail, fields=problem.fields) from None
