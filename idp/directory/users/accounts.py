"""Accounts for other systems: created, found, and bound to tenants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.roles import catalogue
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users import lists, names, visibility
from idp.directory.users import management as people
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.throttle import Address, origin
from idp.platform.translation import N_

CALLER_LOOKUPS_PER_MINUTE = 600
ADDRESS_LOOKUPS_PER_MINUTE = 300
PERSON_LOOKUPS_PER_MINUTE = 60
MINUTE = 60


@dataclass(frozen=True, slots=True)
class NewAccount:
    """The values of a new account."""

    username: str
    password: str = field(repr=False)
    """In clear text."""
    mobile: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account as callers see it; it contains no secrets."""

    id: int
    username: str
    mobile: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list of accounts; empty: no filter."""

    username: str | None = None
    mobile: str | None = None
    tenant_id: int | None = None


def show(session: Session, user: User) -> Account:
    """Return an account as callers see it."""
    return Account(user.id, user.username, users.mobile_on_the_wire(session, user))


def create(session: Session, new: NewAccount, *, tenant_id: int | None = None) -> User:
    """Create an account with the roles that everybody gets; with a tenant, as its member.

    Counted as a look-up, because a refusal reveals that a name or number is taken.
    """
    count_look_up(session)
    if tenant_id is not None:
        tenants.get(session, tenant_id)
    user = users.create(
        session,
        NewUser(
            username=new.username,
            mobile=new.mobile,
            password=new.password,
            chosen_by_person=False,
        ),
        tenant_id=tenant_id,
    )
    catalogue.assign_default_roles(session, user.id)
    if tenant_id is not None:
        tenants.add_member(session, tenant_id, user.id)
    return user


def find_by_username(session: Session, username: str, tenant_id: int | None = None) -> User | None:
    """Find an account, with a tenant only among its members; rate-limited and recorded."""
    return _looked_up(session, users.find_by_username(session, username), tenant_id)


def find_by_mobile(session: Session, number: str, tenant_id: int | None = None) -> User | None:
    """As `find_by_username`, by mobile number."""
    return _looked_up(session, users.find_by_mobile(session, number), tenant_id)


def found(user: User | None) -> User:
    """Return the account that was found; NotFound for none."""
    if user is None:
        raise NotFound(N_("There is no such account."))
    return user


def list_query(session: Session, filters: Filters) -> Select[User]:
    """Return the query of accounts that are not deleted."""
    query = select(User).where(User.deleted_at.is_(None))
    if filters.username:
        query = query.where(
            User.username_key.contains(names.key(filters.username), autoescape=True)
        )
    if filters.mobile:
        query = query.where(_has_mobile(session, filters.mobile))
    if filters.tenant_id is not None:
        query = query.where(visibility.is_member(filters.tenant_id))
    return query


def show_all(session: Session, people_found: Iterable[User]) -> list[Account]:
    """Return several accounts as callers see them."""
    return [show(session, user) for user in people_found]


def all_tenants(session: Session, username: str) -> list[Tenant]:
    """Return the tenants of an account, enabled or not; none if there is no account."""
    user = find_by_username(session, username)
    return [] if user is None else list(session.scalars(_tenants_of(user.id)))


def enabled_tenants(session: Session, user_id: int, tenant_id: int | None) -> list[Tenant]:
    """Return the enabled tenants of a person; with an id at most that one."""
    query = _tenants_of(user_id).where(Tenant.status == TenantStatus.ENABLED)
    if tenant_id is not None:
        query = query.where(Tenant.id == tenant_id)
    return list(session.scalars(query))


def reset_password(
    session: Session, actor: Actor, *, user_id: int | None, username: str | None, password: str
) -> None:
    """Set the password of a person, which ends their sessions and tokens.

    The account is named by id, by user name, or by both when they agree. Out of reach are people
    who belong to themselves (see `visibility.may_change_identity`), and for machines everyone with
    a platform permission, which a machine could take over with the account.
    """
    if user_id is None and not username:
        raise BadRequest.at("account_id", N_("Name the account by id or user name."))
    count_look_up(session)
    named = found(users.find_by_username(session, username)) if username else None
    user = found(users.find(session, user_id)) if user_id is not None else found(named)
    if named is not None and named.id != user.id:
        raise BadRequest.at(
            "user_name",
            N_("The id and the user name belong to different accounts."),
            code="different_accounts",
        )
    if not visibility.may_change_identity(session, actor, user) or (
        actor.user_id is None and visibility.is_of_the_platform(session, user.id)
    ):
        raise NotFound(N_("There is no such account."))
    people.set_password(session, user, password)


def find_to_bind(
    session: Session, username: str, tenant_id: int, *, everybody: bool
) -> User | None:
    """Find an account that may be bound to a tenant; recorded, whether there is one or not.

    Unless `everybody` is in reach, only people who belong nowhere else: a tenant must not bind
    people of another one, who would then no longer belong to that one alone.
    """
    tenants.get(session, tenant_id)
    user = users.find_by_username(session, username)
    if (
        user is not None
        and not everybody
        and visibility.belongs_elsewhere(session, user.id, tenant_id)
    ):
        user = None
    return _looked_up(session, user, None)


def unbind(session: Session, username: str, tenant_id: int) -> int | None:
    """Remove an account from a tenant, with its roles and grants there; the account stays.

    Return the id of the account; None if it was not a member.
    """
    user = users.find_by_username(session, username)
    if user is None:
        return None
    member = session.scalar(
        select(Membership)
        .where(Membership.tenant_id == tenant_id, Membership.user_id == user.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if member is None:
        return None
    if member.is_admin:
        raise Conflict(
            N_("The tenant's administrator cannot be removed."), code="administrator_stays"
        )
    lists.leave(session, tenant_id, user.id)
    return user.id


def _tenants_of(user_id: int) -> Select[Tenant]:
    return (
        select(Tenant)
        .join(Membership, Membership.tenant_id == Tenant.id)
        .where(Membership.user_id == user_id)
        .order_by(Tenant.id)
    )


def _has_mobile(session: Session, text: str) -> ColumnElement[bool]:
    """Return in SQL whose number contains a text; a complete number may have any form."""
    complete = names.find_mobile(text, runtime.of(session).settings.phone_region)
    return or_(User.mobile.contains(text, autoescape=True), User.mobile == (complete or ""))


def _looked_up(session: Session, user: User | None, tenant_id: int | None) -> User | None:
    """Count and record a look-up: unlimited look-ups would reveal who has an account."""
    count_look_up(session)
    if user is not None and tenant_id is not None:
        member = tenants.find_member(session, tenant_id, user.id)
        user = user if member is not None else None
    audit.record(
        session,
        Tag.USER_LOOKED_UP,
        tenant_id=tenant_id,
        target=f"user:{user.id}" if user is not None else None,
    )
    return user


def count_look_up(session: Session) -> None:
    """Count a request whose answer reveals whether there is an account; refuse too many."""
    context = runtime.context_of(session)
    throttle = runtime.of(session).throttle
    place = origin(context)
    if isinstance(place, Address):
        # First the caller behind a program, so that only they are refused.
        most = ADDRESS_LOOKUPS_PER_MINUTE
        if context.user_id is None:
            most = PERSON_LOOKUPS_PER_MINUTE
        throttle.hit("account look-up", place, most, MINUTE)
    caller, most = f"client {context.client_id}", CALLER_LOOKUPS_PER_MINUTE
    if context.user_id is not None:
        caller, most = f"person {context.user_id}", PERSON_LOOKUPS_PER_MINUTE
    throttle.hit("account look-up", caller, most, MINUTE)
