"""Mails to subscribers about a publication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp.directory.resources.models import ApiResource
from idp.directory.tenants import service as tenants
from idp.platform.errors import NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.notify import service as notify
from idp.platform.runtime import Runtime
from idp.publishing import apis
from idp.publishing.gateway.models import Publication
from idp.publishing.subscribers import codes
from idp.publishing.subscribers.codes import Sealed, Use
from idp.publishing.subscribers.models import Subscription

JOB = "api-published-mails"
BATCH = 200


def announce(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Queue a mail to every subscriber of a published API, in batches with short transactions."""
    notified = BATCH
    while notified == BATCH:
        with runtime.sessions() as session:
            try:
                notified = notify_published(session, payload["api_id"], payload["version"])
            except NotFound:  # deleted in the meantime
                return
            session.commit()


def notify_published(session: Session, api_id: int, number: int, *, limit: int = BATCH) -> int:
    """Queue mails to subscribers who have none about this publication; return how many.

    `number` counts the publications of the API. One UPDATE chooses the subscribers, so that nobody
    gets two mails about one publication. Call it until it returns less than `limit`.
    """
    api = apis.get(session, api_id)
    issuer = tenants.issuer_of(session, api.tenant_id or PLATFORM_TENANT_ID)
    waiting = (
        select(Subscription.id)
        .where(Subscription.api_resource_id == api.id, Subscription.told_of < number)
        .order_by(Subscription.id)
        .limit(limit)
    )
    chosen = session.execute(
        update(Subscription)
        .where(Subscription.id.in_(waiting), Subscription.told_of < number)
        .values(told_of=number)
        .returning(Subscription.address, Subscription.locale),
        execution_options={"synchronize_session": False},
    ).all()
    suffix = session.scalar(select(Publication.suffix).where(Publication.api_resource_id == api.id))
    page = f"/apis/{suffix}" if suffix else f"/subscriptions/{api.id}"
    for address, locale in chosen:
        _mail(session, api, issuer, page, Sealed(api.id, address, locale), number)
    return len(chosen)


def _mail(
    session: Session, api: ApiResource, issuer: Issuer, page: str, to: Sealed, number: int
) -> None:
    code = codes.seal(session, Use.CANCEL, to)
    context = {
        "service": issuer.name,
        "api": apis.title(api),
        "number": str(number),
        "link": f"{issuer.url}{page}",
        "stop": codes.operation(issuer.url, "DelSubscription", api.id, code),
    }
    one_click = codes.page("cancel", api.id, code, issuer.url)
    notify.mail(
        session,
        to.address,
        "published",
        context,
        to.locale,
        brand=issuer.brand,
        unsubscribe=one_click,
    )
