"""What administrators do with the accounts of others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from idp.account import password_reset
from idp.directory.actor import Actor
from idp.directory.tenants import service as tenants
from idp.directory.users import accounts
from idp.directory.users import management as people
from idp.directory.users import service as users
from idp.directory.users.management import NewPerson
from idp.directory.users.models import User
from idp.oauth.sign_out import revoke_member_grants
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Forbidden, NotFound, Unprocessable
from idp.platform.secrets import random_token
from idp.platform.sessions import service as sessions
from idp.platform.translation import N_

PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class Added:
    """A new account, and its password to be shown once; None: a link was sent."""

    user: User
    password: str | None = field(repr=False)


def add(session: Session, actor: Actor, new: NewPerson, *, by_link: bool, locale: str) -> Added:
    """Create an account with a generated password, or send a link by which a person chooses one."""
    accounts.count_look_up(session)  # a refusal reveals that a name or address is taken
    return create(session, actor, new, by_link=by_link, locale=locale)


def create(session: Session, actor: Actor, new: NewPerson, *, by_link: bool, locale: str) -> Added:
    """Create an account as `add` does; the caller has counted that names are looked up."""
    password = None if by_link else random_token(PASSWORD_BYTES)
    user = people.add(session, actor, replace(new, password=password))
    if by_link:
        issuer = tenants.issuer_of(session, actor.tenant_id)
        password_reset.send_first_link(session, issuer, user, user.locale or locale)
    return Added(user, password)


def send_reset_link(session: Session, actor: Actor, user_id: int, locale: str) -> User:
    """Send a link for a new password to a person's own address."""
    user = people.get_managed(session, actor, user_id)
    issuer = tenants.issuer_of(session, actor.tenant_id)
    password_reset.send_link_to(session, issuer, user, user.locale or locale)
    return user


def add_member(session: Session, actor: Actor, user_id: int, tenant_id: int) -> None:
    """Add anyone to a tenant; only who manages the people of all tenants may."""
    if not actor.reaches_all:
        raise Forbidden(N_("Only platform administrators can do this."))
    user = people.get_managed(session, actor, user_id)
    _refuse_oneself(actor, user, N_("You cannot change your own memberships."))
    if tenants.find(session, tenant_id) is None:
        raise BadRequest.at("tenant", N_("There is no such tenant."))
    tenants.add_member(session, tenant_id, user.id, is_bound=True)


def remove_member(session: Session, actor: Actor, user_id: int, tenant_id: int) -> None:
    """Remove a person from a tenant, with the roles, grants and tokens that they have there."""
    user = people.get_member(session, actor, user_id)
    _refuse_oneself(actor, user, N_("You cannot change your own memberships."))
    if not actor.reaches_all and tenant_id != actor.tenant_id:
        raise NotFound
    if accounts.unbind(session, user.username, tenant_id) is None:
        raise NotFound
    revoke_member_grants(session, user.id, tenant_id)


def delete(session: Session, actor: Actor, user_id: int) -> User:
    """Delete the account of another person for ever, once it is disabled."""
    user = people.get(session, actor, user_id)
    _refuse_oneself(actor, user, N_("You cannot delete your own account."))
    if not user.is_disabled:
        raise Unprocessable(N_("Disable the account first."))
    return people.delete(session, actor, user_id)


def _refuse_oneself(actor: Actor, user: User, message: str) -> None:
    if user.id == actor.user_id:
        raise Unprocessable(message)


def sign_out(session: Session, actor: Actor, user_id: int) -> int:
    """End all sessions, grants and tokens of a person; return the number of sessions."""
    user = people.get_managed(session, actor, user_id, lock=True)
    live = len(sessions.list_for(session, user.id, user.security_stamp))
    users.end_access(session, user)
    sessions.end_all(session, user.id)
    audit.record(
        session,
        Tag.USER_SIGNED_OUT,
        tenant_id=actor.tenant_id,
        target=f"user:{user.id}",
        details={"count": live},
    )
    return live
