"""The person that claims are about, in one tenant at one issuer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache, cached_property

from sqlalchemy import BindParameter, CompoundSelect, bindparam, or_, select
from sqlalchemy.orm import Session

from idp.directory.roles import service as roles
from idp.directory.roles.models import Role, RoleClaim, UserRole
from idp.directory.roles.service import Held, Permission
from idp.directory.users.models import User, UserClaim
from idp.platform import runtime
from idp.platform.db import run

COMPUTED = ("permission", "role")
"""Types that rows of `user_claim` never set directly in a token."""


@dataclass(frozen=True, slots=True)
class Person:
    """Of an account what claims tell; fields are named as the columns."""

    id: int
    username: str
    display_name: str | None
    given_name: str | None
    middle_name: str | None
    family_name: str | None
    nick_name: str | None
    profile: str | None
    website: str | None
    avatar: str | None
    gender: str | None
    birthday: date | None
    zoneinfo: str | None
    locale: str | None
    updated_at: datetime
    email: str | None
    email_verified: bool
    mobile: str | None
    mobile_verified: bool
    address: str | None


PERSON = tuple(getattr(User, field.name) for field in fields(Person))
"""Columns of a `Person`, in its order: tokens are too many for whole accounts."""


class Subject:
    """A person in a tenant; what needs a query is read once, when a claim asks for it."""

    def __init__(
        self,
        session: Session,
        user: Person,
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
    def _held(self) -> Held:
        asked = self.user.id, self.tenant_id, self.at_platform
        return runtime.of(self.session).cache.recently(
            ("held", *asked),
            lambda: roles.held(
                self.session, self.user.id, self.tenant_id, platform=self.at_platform
            ),
        )

    @property
    def roles(self) -> list[str]:
        """Role codes, sorted."""
        return self._held.roles

    @property
    def permissions(self) -> list[Permission]:
        """Effective permissions, sorted."""
        return self._held.permissions

    @cached_property
    def custom(self) -> dict[str, list[str]]:
        """Values kept by administrators: claims of the person and of the person's roles."""
        found: dict[str, list[str]] = {}
        asked = {"user_id": self.user.id, "tenant_id": self.tenant_id}
        for name, value in run(self.session, _custom(platform=self.at_platform), asked):
            found.setdefault(name, []).append(value)
        return found


@cache
def _custom(*, platform: bool) -> CompoundSelect[str, str]:
    """Select what administrators keep; made once, because making it costs more than asking."""
    user_id: BindParameter[int] = bindparam("user_id")
    tenant_id: BindParameter[int] = bindparam("tenant_id")
    own = select(UserClaim.type, UserClaim.value).where(
        UserClaim.user_id == user_id,
        or_(UserClaim.tenant_id.is_(None), UserClaim.tenant_id == tenant_id),
        *(UserClaim.type != name for name in COMPUTED),
    )
    in_reach = Role.tenant_id == tenant_id
    if platform:
        in_reach = or_(in_reach, Role.tenant_id.is_(None))
    of_roles = (
        select(RoleClaim.type, RoleClaim.value)
        .join(Role, Role.id == RoleClaim.role_id)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(
            UserRole.user_id == user_id,
            in_reach,
            *(RoleClaim.type != name for name in COMPUTED),
        )
    )
    return own.union(of_roles).order_by("type", "value")
