"""What an application receives when a person logs in: tenants, rights and resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.applications import resources
from idp.directory.applications.resources import Resource
from idp.directory.roles.authorizations import authorizations
from idp.directory.tenants.models import Tenant
from idp.directory.users import accounts
from idp.directory.users.accounts import Account
from idp.directory.users.models import User


@dataclass(frozen=True, slots=True)
class Login:
    """The person who logged in, and their rights in each tenant."""

    account: Account
    tenants: Sequence[Tenant]
    roles: Mapping[int, Mapping[str, Sequence[str]]]
    """Tenant, code of a role, codes of its privileges."""
    resources: Mapping[int, Sequence[Resource]]


def describe(session: Session, user: User, tenant_id: int | None) -> Login:
    """Describe a login; `tenant_id` is the one tenant that the caller sees, None: all."""
    own = accounts.enabled_tenants(session, user.id, tenant_id)
    roles = authorizations(session, user.id, [tenant.id for tenant in own])
    held = {
        found: {code for codes in by_role.values() for code in codes}
        for found, by_role in roles.items()
    }
    return Login(accounts.show(session, user), own, roles, resources.by_tenant(session, held))
