"""The person that claims are about, in one tenant at one issuer."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from idp.directory.roles import service as roles
from idp.directory.roles.models import Role, RoleClaim, UserRole
from idp.directory.roles.service import Permission
from idp.directory.users.models import User, UserClaim

COMPUTED = frozenset({"permission", "role"})
"""Types that rows of `user_claim` never set directly in a token."""


class Subject:
    """A person in a tenant; what needs a query is read once, when a claim asks for it."""

    def __init__(
        self,
        session: Session,
        user: User,
        *,
        tenant_id: int,
        tenant_name: str,
        at_platform: bool,
    ) -> None:
        self.session = session
        self.user = user
        self.tenant_id = tenant_id
        self.tenant_name = tenant_name
        self.at_platform = at_platform
        """Whether tokens come from issuer 1, where platform roles count."""

    @cached_property
    def roles(self) -> list[str]:
        """Role codes, sorted."""
        return roles.role_codes(
            self.session, self.user.id, self.tenant_id, platform=self.at_platform
        )

    @cached_property
    def permissions(self) -> list[Permission]:
        """Effective permissions, sorted."""
        return roles.effective_permissions(
            self.session, self.user.id, self.tenant_id, platform=self.at_platform
        )

    @cached_property
    def custom(self) -> dict[str, list[str]]:
        """Values kept by administrators: claims of the person and of the person's roles."""
        reach = or_(UserClaim.tenant_id.is_(None), UserClaim.tenant_id == self.tenant_id)
        own = select(UserClaim.type, UserClaim.value).where(
            UserClaim.user_id == self.user.id, reach, UserClaim.type.not_in(COMPUTED)
        )
        in_reach = Role.tenant_id == self.tenant_id
        if self.at_platform:
            in_reach = or_(in_reach, Role.tenant_id.is_(None))
        of_roles = (
            select(RoleClaim.type, RoleClaim.value)
            .join(Role, Role.id == RoleClaim.role_id)
            .join(UserRole, UserRole.role_id == Role.id)
            .where(UserRole.user_id == self.user.id, in_reach, RoleClaim.type.not_in(COMPUTED))
        )
        found: dict[str, list[str]] = {}
        for name, value in self.session.execute(own.union(of_roles).order_by("type", "value")):
            found.setdefault(name, []).append(value)
        return found
