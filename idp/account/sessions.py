"""Listing and ending browser sessions of a person, by themselves or by an administrator."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.clients.models import Client
from idp.directory.users import management as people
from idp.directory.users.models import User
from idp.oauth.models import Grant
from idp.oauth.sign_out import revoke_session_grants
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession


def get_person(session: Session, actor: Actor, user_id: int, *, everywhere: bool) -> User:
    """Return a person of the actor's tenant whose sessions the actor may see and end.

    A session is valid in every tenant of its person, so ending it locks them out of all. An actor
    with the right in one tenant therefore reaches only people whose identity they may change there.
    An actor with the right at the platform (`everywhere`) reaches all members of the tenant, and
    from tenant 1 everyone; people with rights at the platform only as a platform administrator.
    Raise NotFound for anyone out of reach.
    """
    return people.get_managed(
        session, actor.permitted_at("platform" if everywhere else "tenant"), user_id
    )


def list_live(
    session: Session, user: User, *, after_id: int = 0, limit: int | None = None
) -> list[BrowserSession]:
    """List the sessions in which a person is signed in, by id."""
    return sessions.list_for(session, user.id, user.security_stamp, after_id=after_id, limit=limit)


def applications(session: Session, rows: Sequence[BrowserSession]) -> dict[int, list[str]]:
    """Return the names of the applications that were signed in from each session, by its id."""
    found: dict[int, list[str]] = {row.id: [] for row in rows}
    query = (
        select(BrowserSession.id, func.coalesce(Client.client_name, Client.client_id))
        .join(Grant, Grant.session_id == BrowserSession.id)
        .join(Client, Client.id == Grant.client_id)
        .where(
            BrowserSession.id.in_(found),
            Grant.revoked_at.is_(None),
            Grant.expires_at > clock.now(),
        )
        .distinct()
        .order_by(func.coalesce(Client.client_name, Client.client_id))
    )
    for session_id, name in session.execute(query):
        found[session_id].append(name)
    return found


def end(
    session: Session, user: User, session_id: int, *, tenant_id: int, by: int | None
) -> BrowserSession:
    """End a session of a person and revoke its grants; raise NotFound when there is none.

    `by` is the user who ends it (None: a machine), and `tenant_id` says where.
    """
    for row in list_live(session, user):
        if row.id == session_id:
            end_row(session, row, tenant_id=tenant_id, by=by)
            return row
    raise NotFound


def end_all(
    session: Session, user: User, *, tenant_id: int, by: int | None, but: int | None = None
) -> int:
    """End all sessions of a person except one, as `end` does; return their number."""
    ended = [row for row in list_live(session, user) if row.id != but]
    for row in ended:
        end_row(session, row, tenant_id=tenant_id, by=by)
    return len(ended)


def end_row(
    session: Session,
    row: BrowserSession,
    *,
    tenant_id: int,
    by: int | None,
    reason: str | None = None,
) -> bool:
    """End a session and revoke its grants; return whether this call ended it."""
    if not sessions.end(session, row):
        return False
    revoke_session_grants(session, row.id)
    is_own = by == row.user_id
    why = {} if reason is None else {"reason": reason}
    audit.record(
        session,
        Tag.SESSION_ENDED if is_own else Tag.SESSION_REVOKED,
        user_id=by,
        tenant_id=tenant_id,
        target=f"session:{row.id}",
        details=None if is_own else {"user_id": row.user_id, **why},
    )
    return True
