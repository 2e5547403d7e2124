"""What people allow clients, of everyone in reach: found, counted and ended."""

from __future__ import annotations

from sqlalchemy import Select, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session

from idp.account.live_access import MOST_ENDED
from idp.directory.actor import Actor
from idp.directory.users.models import User
from idp.oauth.models import Consent, Grant
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX


def consents_query(
    actor: Actor, *, user_id: int | None = None, client_row_id: int | None = None
) -> Select[Consent]:
    """Return the query of the consents in the actor's tenant, and at the platform of all.

    Of one person or to one client where they are named. A consent belongs to one tenant and ends
    in it alone.
    """
    query = (
        select(Consent)
        .join(User, User.id == Consent.user_id)
        .where(or_(Consent.expires_at.is_(None), Consent.expires_at > clock.now()))
    )
    if user_id is not None:
        query = query.where(Consent.user_id == min(user_id, INT64_MAX))
    if client_row_id is not None:
        query = query.where(Consent.client_id == min(client_row_id, INT64_MAX))
    return query if actor.reaches_all else query.where(Consent.tenant_id == actor.tenant_id)


def end_consents(session: Session, found: Select[Consent], most: int = 1) -> int:
    """Forget consents of a query, so many at most; return their number.

    The grants of each client for each person in that tenant end too.
    """
    ids = session.scalars(
        found.with_only_columns(Consent.id).order_by(Consent.id).limit(min(most, MOST_ENDED))
    ).all()
    ended = session.execute(
        delete(Consent)
        .where(Consent.id.in_(ids))
        .returning(Consent.user_id, Consent.client_id, Consent.tenant_id)
        .execution_options(synchronize_session=False)
    ).all()
    session.execute(
        update(Grant)
        .where(
            tuple_(Grant.user_id, Grant.client_id, Grant.tenant_id).in_(
                [tuple(row) for row in ended]
            ),
            Grant.revoked_at.is_(None),
        )
        .values(revoked_at=clock.now(), revoked_reason="consent ended")
        .execution_options(synchronize_session=False)
    )
    for user_id, client_id, tenant_id in ended:
        audit.record(
            session,
            Tag.CONSENT_ENDED,
            tenant_id=tenant_id,
            target=f"user:{user_id}",
            details={"client": client_id},
        )
    return len(ended)


def end_consent(session: Session, found: Select[Consent], consent_id: int) -> None:
    """Forget one consent of a query; NotFound for one that is not there or out of reach."""
    if not end_consents(session, found.where(Consent.id == min(consent_id, INT64_MAX))):
        raise NotFound
