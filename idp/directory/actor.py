"""Who acts: a person, a machine or the operator, in which tenant, and what they may grant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, and_, select, true
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.clients.models import Client
from idp.directory.permissions import Permission
from idp.directory.roles.models import Privilege
from idp.platform.errors import Forbidden
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_

Permitted = Literal["links", "tenant", "platform"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, or a machine where `user_id` is None, acting in a tenant."""

    user_id: int | None
    tenant_id: int = PLATFORM_TENANT_ID
    is_platform_admin: bool = False
    """Whether they have the platform role `administrators`, with a token of issuer 1."""
    at_platform: bool = True
    """Whether platform roles count: only in tokens of issuer 1."""
    client_id: str = ""
    client_row_id: int | None = None
    client_tenant_id: int | None = None
    """The one tenant that the client serves; None: all."""
    permitted: Permitted = "links"
    """Where the permission that was checked is held, and so which rows it opens.

    `links`: those of the tenant that the person is linked to, and to administrators of the platform
    all. `tenant`: all of the tenant. `platform`: all of the tenant, and in tenant 1 all there are.
    """

    @property
    def person_id(self) -> int:
        """The id of the person; Forbidden for a machine."""
        if self.user_id is None:
            raise Forbidden(N_("This operation requires a user"))
        return self.user_id

    @property
    def owner_tenant(self) -> int | None:
        """Tenant that new rows belong to; None (the platform) for its administrators."""
        return None if self.reaches_all else self.tenant_id

    @property
    def tenant_in_reach(self) -> int | None:
        """The one tenant in reach; None: all, for administrators and machines of the platform."""
        is_platform_machine = self.user_id is None and self.client_tenant_id is None
        return None if self.reaches_all or is_platform_machine else self.tenant_id

    def permitted_at(self, place: Permitted) -> Actor:
        """Return the same actor, by a permission that is held at a place (see `permitted`)."""
        return replace(self, permitted=place)

    def within(self, tenant_id: int) -> Actor:
        """Return the same actor, acting in another tenant."""
        return replace(self, tenant_id=tenant_id)

    def manages(self, model: Any, owners: Any, owned: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return in SQL which rows the actor manages: those of the tenant that they are linked to.

        Administrators of the platform manage all; see `permitted` for others. `owners` is the
        table of the links, `owned` joins it to the row.
        """
        if self.reaches_all:
            return true()
        if self.permitted != "links":
            return cast("ColumnElement[bool]", model.tenant_id == self.tenant_id)
        linked = select(owners).where(owners.user_id == self.person_id, owned).exists()
        return and_(model.tenant_id == self.tenant_id, linked)

    @property
    def reaches_all(self) -> bool:
        """Whether the rows of all tenants are in reach."""
        if self.permitted == "links":
            return self.is_platform_admin
        return self.permitted == "platform" and self.tenant_id == PLATFORM_TENANT_ID

    def lacking(
        self,
        session: Session,
        tenant_id: int | None,
        privileges: Collection[Privilege | Permission],
    ) -> list[str]:
        """Return the codes that the actor may not grant in a tenant (None: outside of tenants).

        The bundle of the tenant limits everyone. Within it administrators of the platform grant
        any, a machine those that its client lists, and others what they hold themselves.
        """
        if not privileges:
            return []
        missing: set[str] = set()
        bundled = None if tenant_id is None else permissions.bundled(session, tenant_id)
        if bundled is not None:
            missing.update(permissions.outside(session, bundled, privileges))
        if self.is_platform_admin:
            return sorted(missing)
        return sorted(missing.union(self._not_held(session, privileges)))

    def lacking_codes(
        self, session: Session, tenant_id: int | None, codes: Collection[str]
    ) -> list[str]:
        """As `lacking`, of codes; only administrators of the platform grant unknown ones."""
        if not codes:
            return []
        found = session.scalars(select(Privilege).where(Privilege.code.in_(codes))).all()
        unknown = set(codes) - {privilege.code for privilege in found}
        missing = self.lacking(session, tenant_id, found)
        return missing if self.is_platform_admin else sorted(unknown.union(missing))

    def _not_held(
        self, session: Session, privileges: Collection[Privilege | Permission]
    ) -> list[str]:
        if self.user_id is None:
            listed = select(Client.grantable_privileges).where(Client.id == self.client_row_id)
            return permissions.outside(session, session.scalar(listed) or (), privileges)
        return permissions.lacking(
            session, self.user_id, self.tenant_id, privileges, platform=self.at_platform
        )


OPERATOR = Actor(None, is_platform_admin=True)
"""The operator who runs commands on the machine."""
