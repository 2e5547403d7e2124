"""What policies require of a person who signs in at an issuer."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from idp.directory import levels
from idp.directory.clients import snapshot as clients
from idp.directory.policies import rules, snapshot
from idp.directory.policies.rules import Required
from idp.directory.policies.snapshot import Asked
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.issuer import Issuer
from idp.platform.sessions.service import Lifetime


def asked_of(session: Session, issuer: Issuer, user_id: int, client_id: str | None = None) -> Asked:
    """Return what is required of a person at an issuer, for the tenant that the sign-in is for.

    `client_id` is the application that requests the sign-in.
    """
    if not snapshot.any_set(session) and not snapshot.any_level(session):
        return Asked(issuer.tenant_id, snapshot.floor(session))
    tenant_id = _tenant_of(session, issuer, user_id, client_id)
    return snapshot.of_person(session, tenant_id, issuer.tenant_id, user_id)


def _tenant_of(session: Session, issuer: Issuer, user_id: int, client_id: str | None) -> int:
    """Return the tenant that a sign-in is for: the client's, the only one, else the issuer's."""
    client = clients.find(session, client_id) if client_id else None
    if client is not None and client.tenant_id is not None:
        return client.tenant_id
    own = tenants.memberships(session, user_id, issuer)
    return own[0].id if len(own) == 1 else issuer.tenant_id


def of_issuer(session: Session, issuer: Issuer) -> Required:
    """Return what is required at the sign-in page, where nobody is known yet; cached."""
    return snapshot.own(session, issuer.tenant_id) or snapshot.floor(session)


def unconfirmed(session: Session, required: Required, user: User) -> tuple[str, ...]:
    """Return which addresses a person must confirm before they go on.

    None to which no codes can be sent any more: settings may have changed after the policy.
    """
    settings = runtime.of(session).settings
    is_confirmed = {
        rules.EMAIL: bool(user.email and user.email_verified),
        rules.MOBILE: bool(user.mobile and user.mobile_verified),
    }
    return tuple(
        name
        for name in required.verify
        if not is_confirmed[name] and snapshot.can_send(settings, name)
    )


def lifetime_of(session: Session, user_id: int) -> Lifetime:
    """Return how long sessions of a person last: a session opens all of their organisations."""
    return lifetime_of_required(snapshot.of_user(session, user_id))


def lifetime_of_required(required: Required) -> Lifetime:
    """Return how long sessions last by what is required."""
    return Lifetime(required.session_hours, required.remember_days, required.idle_minutes)


def put_off_until(required: Required, asked_at: datetime | None) -> datetime:
    """Return until when a person may put off setting up a second factor that is required.

    `asked_at` is when they were first asked; None: now.
    """
    return (asked_at or clock.now()) + timedelta(days=required.grace_days)


def is_spared(
    required: Required,
    reach: str,
    *,
    auth_time: datetime,
    trusted_until: datetime | None,
    asked_at: datetime | None,
) -> bool:
    """Return whether a policy asks for nothing more now: of a remembered device, or not yet.

    `reach` is the level that the person can reach with what they have. Who has what a policy
    requires is never spared by the time for setting it up, and who lacks it never by a device.
    """
    if not levels.satisfies(reach, required.wanted):
        return asked_at is not None and put_off_until(required, asked_at) > clock.now()
    oldest = clock.now() - timedelta(days=required.device_days)
    return trusted_until is not None and trusted_until > clock.now() and auth_time > oldest


def note_asked(session: Session, user: User) -> None:
    """Note that a person was asked to set up a second factor, the first time."""
    statement = update(User).where(User.id == user.id, User.second_factor_asked_at.is_(None))
    statement = statement.values(second_factor_asked_at=clock.now())
    session.execute(statement.execution_options(synchronize_session=False))
    session.expire(user, ["second_factor_asked_at"])
