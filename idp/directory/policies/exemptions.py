"""Uses of exemptions from second factors: recorded, and mailed to who administers the tenant."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.policies import snapshot
from idp.directory.users.models import User
from idp.directory.users.standing import is_active
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.notify import service as notify
from idp.platform.onetime import service as onetime

PURPOSE = "exemption"
TEMPLATE = "exemption_used"
LONGEST = timedelta(days=400)
"""Longer than any session."""


def note_sign_in(
    session: Session, issuer: Issuer, user_id: int, tenant_id: int, session_id: int
) -> None:
    """Note that an exempt person signed in without what the policy of a tenant requires."""
    _claim(session, tenant_id, session_id)
    _note(session, issuer, user_id, tenant_id)


def note_once(
    session: Session, issuer: Issuer, user_id: int, tenant_id: int, session_id: int
) -> None:
    """Note that a session goes on for a tenant by an exemption, unless its sign-in was noted."""
    if _claim(session, tenant_id, session_id):
        _note(session, issuer, user_id, tenant_id)


def _claim(session: Session, tenant_id: int, session_id: int) -> bool:
    """Return whether no use of this session for this tenant was noted yet."""
    return onetime.claim(session, PURPOSE, f"{session_id}:{tenant_id}", clock.now() + LONGEST)


def _note(session: Session, issuer: Issuer, user_id: int, tenant_id: int) -> None:
    details = {"tenant_id": tenant_id}
    audit.record(
        session,
        Tag.EXEMPTION_USED,
        user_id=user_id,
        tenant_id=issuer.tenant_id,
        target=f"user:{user_id}",
        details=details,
    )
    name = session.scalars(select(User.username).where(User.id == user_id)).one()
    context = notify.where_and_when(session, issuer) | {"name": name}
    of_tenant = User.id.in_(snapshot.administrators(tenant_id))
    query = select(User.email, User.locale).where(of_tenant, is_active(clock.now()))
    for email, locale in session.execute(query.order_by(User.id)):
        if email and notify.is_plain_address(email):
            notify.mail(session, email, TEMPLATE, context, locale or "", brand=issuer.brand)
