"""Who calls, and which rows are in reach: the owner's own, in the token's tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select

from idp.directory.roles import service as roles
from idp.platform.errors import Forbidden
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.principal import Principal, current_principal
from idp.platform.web.views import database


@dataclass(frozen=True, slots=True)
class Caller:
    """The person (or machine) behind the token, in the tenant that the token is for."""

    principal: Principal
    is_administrator: bool
    """Holds the platform role `administrators`, with a token of issuer 1."""

    @property
    def user_id(self) -> int:
        """The person; machines are refused by the gate where a person is needed."""
        if self.principal.user_id is None:
            raise Forbidden("This operation needs a person")
        return self.principal.user_id

    @property
    def tenant_id(self) -> int:
        """Tenant of the token; a machine's: its client's."""
        tenant_id = self.principal.tenant_id or self.principal.client_tenant_id
        return tenant_id or PLATFORM_TENANT_ID

    @property
    def owns_for(self) -> int | None:
        """Tenant that new rows belong to: none (the platform's) for an administrator."""
        return None if self.is_administrator else self.tenant_id

    def sees(self, tenant_column: Any, owner: Any, owner_user: Any, row_id: Any) -> Any:
        """Tell in SQL which rows are in reach: the tenant's that the caller is linked to.

        Administrators see all. `owner` is the link table, `owner_user` its user column, `row_id`
        the condition that joins it to the row.
        """
        if self.is_administrator:
            return True
        linked = select(owner).where(owner_user == self.user_id, row_id).exists()
        return and_(tenant_column == self.tenant_id, linked)


def platform(_arguments: dict[str, Any]) -> None:
    """Return None: no tenant is touched, so the permission must be held at the platform."""


def current_caller() -> Caller:
    """Tell who calls this operation."""
    principal = current_principal()
    session = database()
    is_administrator = (
        principal.user_id is not None
        and principal.at_platform
        and principal.client_tenant_id is None
        and roles.is_platform_administrator(session, principal.user_id)
    )
    return Caller(principal, is_administrator)
