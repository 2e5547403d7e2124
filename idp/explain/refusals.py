"""A refused request by its id: which check refused it, and by which rule."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.explain import rules
from idp.explain.results import Refused, RefusedRequest
from idp.oauth.models import Refusal
from idp.platform.errors import NotFound
from idp.platform.translation import N_


def explain(session: Session, request_id: str, *, within: int | None) -> RefusedRequest:
    """Return the refusal of a request, the newest where a proxy gave an id away twice.

    `within` is the one tenant whose clients may be explained; None: all. Raise NotFound for a
    request that was not refused, is out of reach, or whose refusal is not kept any more.
    """
    query = select(Refusal).where(Refusal.request_id == request_id)
    if within is not None:
        query = query.where(Refusal.client_tenant_id == within)
    row = session.scalars(query.order_by(Refusal.id.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound(N_("No refusal is kept for this request."))
    check, rule = rules.find(row.check_name, row.error)
    return RefusedRequest(
        request_id=row.request_id,
        at=row.at,
        path=row.path,
        client_id=row.client_id,
        refused=Refused(row.error, row.description, check, rule),
        reason=row.reason,
    )
