"""Whether clients may register themselves at an issuer, and what they may then ask for."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients import rules
from idp.directory.clients.models import StrangerPolicy
from idp.directory.product import RESERVED_PREFIX
from idp.platform.cache import looked_up
from idp.platform.issuer import PLATFORM_TENANT_ID

USUAL = "token"
ALWAYS = ("openid", "profile", "email")


@looked_up("registration mode")
def mode(session: Session, tenant_id: int) -> str:
    """Return who may register clients at an issuer: one of `models.BY_REGISTRATION`."""
    query = select(StrangerPolicy.clients_by_registration)
    return session.scalar(query.where(StrangerPolicy.tenant_id == tenant_id)) or USUAL


@looked_up("stranger scopes")
def scopes(session: Session, tenant_id: int) -> tuple[str, ...]:
    """Return the scopes that clients may have that nobody registered, of those that there are."""
    query = select(StrangerPolicy.stranger_scopes).where(StrangerPolicy.tenant_id == tenant_id)
    names = dict.fromkeys((*ALWAYS, *(session.scalar(query) or ())))
    owner = None if tenant_id == PLATFORM_TENANT_ID else tenant_id
    existing = rules.existing_scopes(session, [*names], owner)
    return tuple(
        name for name in names if name in existing and not name.startswith(RESERVED_PREFIX)
    )
