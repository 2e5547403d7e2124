"""What administrators do with people's accounts: create them, send links, sign people out."""

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
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.secrets import random_token
from idp.platform.sessions import service as sessions

PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class Added:
    """A new account, and its password for the one time that it is shown; None: a link was sent."""

    user: User
    password: str | None = field(repr=False)


def add(session: Session, actor: Actor, new: NewPerson, *, by_link: bool, locale: str) -> Added:
    """Create an account with a generated password, or a link by which its owner chooses one."""
    accounts.count_look_up(session)  # a refusal tells that a name or address is taken
    password = None if by_link else random_token(PASSWORD_BYTES)
    user = people.add(session, actor, replace(new, password=password))
    if by_link:
        issuer = tenants.issuer_of(session, actor.tenant_id)
        password_reset.send_first_link(session, issuer, user, user.locale or locale)
    return Added(user, password)


def send_reset_link(session: Session, actor: Actor, user_id: int, locale: str) -> User:
    """Have a link for a new password mailed to a person's own address."""
    user = people.get_managed(session, actor, user_id)
    issuer = tenants.issuer_of(session, actor.tenant_id)
    password_reset.send_link_to(session, issuer, user, user.locale or locale)
    return user


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
