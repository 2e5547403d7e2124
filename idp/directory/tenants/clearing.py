"""Deleting a tenant together with its members: at once, or by the worker when there are many.

Whatever hangs on a tenant would go with its row in one transaction, which takes minutes for a
million members and keeps others waiting. The worker removes it batch by batch first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory.actor import Actor
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import management
from idp.directory.tenants.models import Membership, Tenant, TenantClearance
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import Base, count_hits
from idp.platform.errors import Conflict, Unprocessable
from idp.platform.jobs import service as jobs
from idp.platform.runtime import RequestContext, Runtime
from idp.platform.translation import N_

JOB = "tenant-clear"
LANE = "build"
SMALL = 500
"""Members that are removed in the request itself."""
BATCH = 500
PAUSE_SECONDS = 0.02
"""Between two batches, so that others get SQLite's one writer's place."""
JOB_SECONDS = 60.0
"""How long one job works before it leaves the rest to the next one, far below its lease."""

STOPPED = -1

Column = InstrumentedAttribute[Any]
"""Names a tenant, in a table that grows with the members of tenants."""


def request(session: Session, actor: Actor, code: str, tenant_id: int) -> bool:
    """Delete a disabled tenant that is empty but for members; return whether that is done.

    Many members are removed by the worker, and the tenant after them, unless somebody enables it.
    """
    tenant = management.lock(session, actor, code, tenant_id)
    if tenant.is_enabled:
        raise Conflict(N_("Disable the organisation first."))
    uses = management.count_uses(session, tenant)
    members = uses.pop("members")
    management.refuse_uses(uses)
    if members <= SMALL:
        session.execute(_delete(Membership, _is_removed(tenant_id)))
        management.remove(session, tenant)
        return True
    if find(session, tenant_id) is None:
        clearance = TenantClearance(
            tenant_id=tenant_id, requested_by=actor.person_id, members=members
        )
        session.add(clearance)
        details = {"members": members}
        target = f"tenant:{tenant_id}"
        audit.record(
            session, Tag.TENANT_CLEARING, tenant_id=tenant_id, target=target, details=details
        )
        jobs.enqueue(session, JOB, {"tenant_id": tenant_id}, lane=LANE)
    return False


def find(session: Session, tenant_id: int) -> TenantClearance | None:
    """Return how far the removal of the members of a tenant is; None: none is under way."""
    query = select(TenantClearance).where(TenantClearance.tenant_id == tenant_id)
    return session.scalars(query).one_or_none()


def work(held: Sequence[Column], runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Go on for a minute; what is left then is done by the next job."""
    tenant_id = payload["tenant_id"]
    end = time.monotonic() + JOB_SECONDS
    for column in (*held, None, Membership.tenant_id):
        while removed := _do_batch(runtime, tenant_id, column):
            if removed == STOPPED:
                return
            if time.monotonic() > end:
                _leave_rest(runtime, tenant_id)
                return
            time.sleep(PAUSE_SECONDS)
    _finish(runtime, tenant_id)


def _do_batch(runtime: Runtime, tenant_id: int, column: Column | None) -> int:
    """Remove rows of one table and return their number; STOPPED when nothing is to be removed.

    None stands for the roles that people have by the tenant's own roles.
    """
    with runtime.sessions() as session:
        clearance = _take(session, tenant_id)
        if clearance is None:
            session.commit()
            return STOPPED
        removed = _remove_batch(session, tenant_id, column)
        clearance.removed += removed
        session.commit()
        return removed


def _take(session: Session, tenant_id: int) -> TenantClearance | None:
    """Return what is under way, for this transaction alone; enabling the tenant ended it."""
    query = select(TenantClearance).where(TenantClearance.tenant_id == tenant_id)
    clearance = session.scalars(query.with_for_update()).one_or_none()
    if clearance is not None and session.get_one(Tenant, tenant_id).is_enabled:
        session.delete(clearance)
        return None
    return clearance


def _remove_batch(session: Session, tenant_id: int, column: Column | None) -> int:
    if column is None:
        own_roles = select(Role.id).where(Role.tenant_id == tenant_id)
        return _remove(session, UserRole, UserRole.role_id.in_(own_roles))
    if column.class_ is Membership:
        return _remove(session, Membership, _is_removed(tenant_id))
    return _remove(session, cast("type[Base]", column.class_), column == tenant_id)


def _remove(session: Session, model: type[Base], condition: ColumnElement[bool]) -> int:
    key = inspect(model).primary_key
    batch = select(*key).where(condition).limit(BATCH)
    return count_hits(session, _delete(model, tuple_(*key).in_(batch)))


def _delete(model: type[Base], condition: ColumnElement[bool]) -> Any:
    return delete(model).where(condition).execution_options(synchronize_session=False)


def _is_removed(tenant_id: int) -> ColumnElement[bool]:
    """Select the members but for administrators, who go with the tenant itself."""
    return (Membership.tenant_id == tenant_id) & ~Membership.is_admin


def _leave_rest(runtime: Runtime, tenant_id: int) -> None:
    with runtime.sessions() as session:
        jobs.enqueue(session, JOB, {"tenant_id": tenant_id}, lane=LANE)
        session.commit()


def _finish(runtime: Runtime, tenant_id: int) -> None:
    """Delete the tenant, in which only administrators are left; Unprocessable when it has more."""
    with runtime.sessions() as session:
        clearance = _take(session, tenant_id)
        if clearance is None:
            session.commit()
            return
        session.info["context"] = RequestContext(JOB, user_id=clearance.requested_by)
        tenant = session.get_one(Tenant, tenant_id, with_for_update=True)
        try:
            management.refuse_uses(management.count_uses(session, tenant))
        except Conflict as problem:
            session.delete(clearance)
            session.commit()
            raise Unprocessable(problem.detail) from None
        session.expunge(clearance)  # goes with the tenant
        management.remove(session, tenant)
        session.commit()
