"""What people allow clients: remembered, listed, revoked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from idp.directory.clients.documents import host_of
from idp.directory.clients.models import DOCUMENT, OPERATOR, Client
from idp.directory.clients.snapshot import ClientView
from idp.directory.tenants.models import Tenant
from idp.oauth.models import Consent
from idp.oauth.sign_out import revoke_grants
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import insert
from idp.platform.errors import NotFound

OF_NO_DOCUMENT = ""
"""The hash that equals that of no client."""


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A remembered consent, as its person sees it."""

    id: int
    client_name: str
    host: str
    """The host of the client's document; empty where it has none."""
    is_verified: bool
    """Whether who runs this registered the client."""
    client_uri: str | None
    logo_uri: str | None
    tenant_name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    client_id: str
    start: str | None
    """Where a sign-in at the client begins; None: it did not say."""


def remember_consent(
    session: Session,
    client: ClientView,
    user_id: int,
    tenant_id: int,
    scopes: Sequence[str],
    refused: Collection[str] = (),
    *,
    counts: bool = True,
) -> None:
    """Remember what a person allows a client, on top of what was allowed before.

    What the person was shown and did not tick is allowed no more. What does not count is shown to
    them, and asked for anew.
    """
    now = clock.now()
    lifetime = client.consent_lifetime
    before = session.scalars(
        select(Consent).where(
            Consent.user_id == user_id,
            Consent.client_id == client.row_id,
            Consent.tenant_id == tenant_id,
            or_(Consent.expires_at.is_(None), Consent.expires_at > now),
        )
    ).one_or_none()
    expires_at = None if lifetime is None else now + timedelta(seconds=lifetime)
    kept = set(before.scopes) - {*refused, *scopes} if before is not None else set()
    if before is not None and kept and expires_at is not None and before.expires_at is not None:
        # What was not shown this time lives no longer than it would have.
        expires_at = min(expires_at, before.expires_at)
    values = {
        "scopes": sorted({*scopes, *kept}),
        "document_hash": client.document_hash if counts else OF_NO_DOCUMENT,
        "created_at": now,
        "expires_at": expires_at,
    }
    session.execute(
        insert(session, Consent)
        .values(user_id=user_id, client_id=client.row_id, tenant_id=tenant_id, **values)
        .on_conflict_do_update(index_elements=["user_id", "client_id", "tenant_id"], set_=values)
    )


def list_consents(
    session: Session, user_id: int, *, tenant_id: int | None = None
) -> list[GivenConsent]:
    """List what a person allows which clients, in one tenant or in all, sorted by client."""
    query = (
        select(Consent, Client, Tenant.name)
        .join(Client, Client.id == Consent.client_id)
        .join(Tenant, Tenant.id == Consent.tenant_id)
        .where(
            Consent.user_id == user_id,
            or_(Consent.expires_at.is_(None), Consent.expires_at > clock.now()),
        )
        .order_by(Client.client_name, Client.id, Consent.id)
    )
    if tenant_id is not None:
        query = query.where(Consent.tenant_id == tenant_id)
    return [
        GivenConsent(
            consent.id,
            client.client_name or client.client_id,
            host_of(client.client_id) if client.origin == DOCUMENT else "",
            client.origin == OPERATOR,
            client.client_uri,
            client.logo_uri,
            tenant_name,
            tuple(consent.scopes),
            consent.created_at,
            consent.expires_at,
            client.client_id,
            client.initiate_login_uri,
        )
        for consent, client, tenant_name in session.execute(query)
    ]


def revoke_consent(session: Session, user_id: int, consent_id: int) -> None:
    """Forget a consent and end every grant of that client for its person in that tenant."""
    row = session.execute(
        delete(Consent)
        .where(Consent.id == consent_id, Consent.user_id == user_id)
        .returning(Consent.client_id, Consent.tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    revoke_grants(session, "consent revoked", user_id=user_id, client_id=row[0], tenant_id=row[1])
    audit.record(
        session,
        Tag.CONSENT_REVOKED,
        user_id=user_id,
        tenant_id=row[1],
        target=f"client:{row[0]}",
    )
