"""What uses an API: clients its scopes, roles its privileges."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.directory.clients.models import ClientScope
from idp.directory.roles.models import Privilege, RolePrivilege

MOST_PRIVILEGES = 200


def privileges_of(session: Session, api_ids: Collection[int]) -> dict[int, int]:
    """Return how many privileges each of several APIs owns."""
    query = (
        select(Privilege.api_resource_id, func.count())
        .where(Privilege.api_resource_id.in_(api_ids))
        .group_by(Privilege.api_resource_id)
    )
    counts = dict(session.execute(query).all())
    return {api_id: counts.get(api_id, 0) for api_id in api_ids}


def clients_of(session: Session, scopes: Collection[str]) -> dict[str, int]:
    """Return how many clients may ask for each of several scopes."""
    query = (
        select(ClientScope.scope, func.count(ClientScope.client_id.distinct()))
        .where(ClientScope.scope.in_(scopes))
        .group_by(ClientScope.scope)
    )
    return dict.fromkeys(scopes, 0) | dict(session.execute(query).all())


def privileges(session: Session, api_id: int) -> list[tuple[Privilege, int]]:
    """List the privileges of an API by code, with the number of roles that carry each."""
    roles = func.count(RolePrivilege.role_id)
    query = (
        select(Privilege, roles)
        .outerjoin(RolePrivilege, RolePrivilege.privilege_id == Privilege.id)
        .where(Privilege.api_resource_id == api_id)
        .group_by(Privilege.id)
        .order_by(Privilege.code)
        .limit(MOST_PRIVILEGES)
    )
    return [(privilege, count) for privilege, count in session.execute(query)]
