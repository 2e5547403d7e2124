"""Sessions and grants that are live now, of everyone in reach: found, counted and ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session

from idp.account import sessions as browser_sessions
from idp.directory.actor import Actor
from idp.directory.clients.models import Client
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users import management as people
from idp.directory.users.models import User
from idp.oauth.models import Grant
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.sessions.models import BrowserSession

MOST_ENDED = 500
"""Sessions or grants that one call ends; the caller sees how many remain."""
MOST_COUNTED = 10_000
"""Sessions or grants that are counted, at most."""


def sessions_query(session: Session, actor: Actor) -> Select[BrowserSession]:
    """Return the query of the live sessions of the people whom the actor may sign out."""
    return (
        select(BrowserSession)
        .join(User, User.id == BrowserSession.user_id)
        .where(
            BrowserSession.security_stamp == User.security_stamp,
            BrowserSession.ended_at.is_(None),
            BrowserSession.expires_at > clock.now(),
            *people.managed(session, actor),
        )
    )


def grants_query(actor: Actor) -> Select[Grant]:
    """Return the query of the live grants in the actor's tenant, and at the platform of all.

    A grant belongs to one tenant and ends in it alone, so those who end sessions there may end it.
    """
    query = select(Grant).where(*_is_live())
    return query if actor.reaches_all else query.where(Grant.tenant_id == actor.tenant_id)


def places_of_newest(session: Session, actor: Actor, most: int) -> set[tuple[int, int]]:
    """Return at which clients, in which tenants, the newest grants are that have not ended.

    Whether people may still sign in is not checked: that would read all grants.
    """
    query = select(Grant.client_id, Grant.tenant_id).where(
        Grant.revoked_at.is_(None), Grant.expires_at > clock.now()
    )
    if not actor.reaches_all:
        query = query.where(Grant.tenant_id == actor.tenant_id)
    newest = query.order_by(Grant.id.desc()).limit(most).subquery()
    return {(client_id, tenant_id) for client_id, tenant_id in session.execute(select(newest))}


def of_client(client_row_id: int) -> ColumnElement[bool]:
    """Return in SQL which sessions were used to sign in at a client, by a grant that is live."""
    return (
        select(Grant.id)
        .where(
            Grant.session_id == BrowserSession.id,
            Grant.client_id == client_row_id,
            Grant.revoked_at.is_(None),
            Grant.expires_at > clock.now(),
        )
        .exists()
    )


def clients_of(session: Session, session_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the clients that sessions were used at, by grants that are live."""
    rows = session.execute(
        select(Grant.session_id, Client.client_name, Client.client_id)
        .join(Client, Client.id == Grant.client_id)
        .where(
            Grant.session_id.in_(session_ids),
            Grant.revoked_at.is_(None),
            Grant.expires_at > clock.now(),
        )
        .distinct()
        .order_by(Client.client_name, Client.client_id)
    )
    found: dict[int, list[str]] = {}
    for session_id, name, client_id in rows:
        if session_id is None:
            continue
        found.setdefault(session_id, []).append(name or client_id)
    return found


def end_sessions(
    session: Session,
    actor: Actor,
    found: Select[BrowserSession],
    most: int = 1,
    *,
    reason: str | None = None,
) -> int:
    """End sessions of a query with their grants, so many at most; return their number."""
    limit = min(most, MOST_ENDED)
    rows = session.scalars(found.order_by(BrowserSession.id).limit(limit)).all()
    tenant_id, by = actor.tenant_id, actor.user_id
    return sum(
        browser_sessions.end_row(session, row, tenant_id=tenant_id, by=by, reason=reason)
        for row in rows
    )


def end_session(
    session: Session, actor: Actor, session_id: int, *, user_id: int | None = None
) -> None:
    """End one session, perhaps of one person; NotFound for one not live or out of reach."""
    query = sessions_query(session, actor).where(BrowserSession.id == min(session_id, INT64_MAX))
    if user_id is not None:
        query = query.where(BrowserSession.user_id == user_id)
    if not end_sessions(session, actor, query):
        raise NotFound


def end_grants(session: Session, found: Select[Grant], most: int = 1) -> int:
    """End grants of a query with their tokens, so many at most; return their number."""
    rows = session.scalars(found.order_by(Grant.id).limit(min(most, MOST_ENDED))).all()
    ended = session.scalars(
        update(Grant)
        .where(Grant.id.in_([row.id for row in rows]), Grant.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason="ended by an administrator")
        .returning(Grant.id)
        .execution_options(synchronize_session=False)
    ).all()
    _record_grants(session, [row for row in rows if row.id in set(ended)])
    return len(ended)


def end_grant(session: Session, found: Select[Grant], grant_id: int) -> None:
    """End one grant of a query; NotFound for one that is not live or out of reach."""
    if not end_grants(session, found.where(Grant.id == min(grant_id, INT64_MAX))):
        raise NotFound


def count(session: Session, found: Select[Any]) -> int:
    """Return how many rows a query finds, `MOST_COUNTED` at most."""
    rows = found.order_by(None).limit(MOST_COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(rows)) or 0


def _is_live() -> Sequence[ColumnElement[bool]]:
    """Return the conditions in SQL of a grant whose tokens are accepted: see `grant_state`."""
    holder = select(User.id).where(
        User.id == Grant.user_id,
        User.security_stamp == Grant.security_stamp,
        User.deleted_at.is_(None),
    )
    enabled = select(Tenant.id).where(
        Tenant.id == Grant.tenant_id, Tenant.status == TenantStatus.ENABLED
    )
    member = select(Membership.id).where(
        Membership.user_id == Grant.user_id, Membership.tenant_id == Grant.tenant_id
    )
    return (
        Grant.revoked_at.is_(None),
        Grant.expires_at > clock.now(),
        *(_is_there(row) for row in (holder, enabled, member)),
    )


def _is_there(row: Select[int]) -> ColumnElement[bool]:
    """Return in SQL whether there is a row.

    With a limit PostgreSQL looks it up for each grant. Joined, it would expect few grants with the
    stamp of their person, and so read all people and members to find the first ones.
    """
    return row.limit(1).scalar_subquery().is_not(None)


def _record_grants(session: Session, rows: Sequence[Grant]) -> None:
    for row in rows:
        audit.record(
            session,
            Tag.GRANT_ENDED,
            tenant_id=row.tenant_id,
            target=f"user:{row.user_id}",
            details={"client": row.client_id, "grant": row.id},
        )
