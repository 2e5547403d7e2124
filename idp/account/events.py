"""Audit events of changes that people make to their own accounts."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from idp.directory.users.models import User
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer


def record(
    session: Session,
    tag: Tag,
    issuer: Issuer,
    user: User,
    details: dict[str, Any] | None = None,
) -> None:
    """Record a change that a person made to their own account."""
    audit.record(
        session,
        tag,
        user_id=user.id,
        tenant_id=issuer.tenant_id,
        target=f"user:{user.id}",
        details=details,
    )
