"""The person whom claims describe, in one tenant at one issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cache

from sqlalchemy import BindParameter, CompoundSelect, bindparam, or_, select

from idp.directory import permissions
from idp.directory.clients.snapshot import ClientView
from idp.directory.permissions import HeldRights, Permission
from idp.directory.roles.models import Role, RoleClaim, UserRole
from idp.directory.users.models import User, UserClaim
from idp.platform.storage import Storage

COMPUTED = ("permission", "role")
"""Types that rows of `user_claim` never set directly in a token."""

NO_RIGHTS = HeldRights([], [])


def subject_id(_client: ClientView, user_id: int) -> str:
    """Return the `sub` that stands for a person at a client (OpenID Connect Core 8).

    It is compared and never taken apart: who a token is of is what its grant says.
    """
    return str(user_id)


@dataclass(frozen=True, slots=True)
class Person:
    """The values of an account that claims use; fields are named as the columns."""

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
"""Columns of a `Person`, in its order: reading entire accounts would be too slow for tokens."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A person in a tenant, with their rights and custom claims."""

    user: Person
    tenant_id: int
    tenant_name: str
    held: HeldRights = NO_RIGHTS
    custom: Mapping[str, list[str]] = field(default_factory=dict)
    """Values set by administrators: claims of the person and of their roles."""

    @property
    def roles(self) -> list[str]:
        """Role codes, sorted."""
        return self.held.roles

    @property
    def permissions(self) -> list[Permission]:
        """Effective permissions, sorted."""
        return self.held.permissions


async def read_held(
    storage: Storage, user_id: int, tenant_id: int, *, platform: bool
) -> HeldRights:
    """Return the rights of a person in a tenant, at most a second old.

    `platform`: tokens come from issuer 1, where platform roles count.
    """

    async def read() -> HeldRights:
        parameters = {"user_id": user_id, "tenant_id": tenant_id}
        return permissions.rights_from(
            await storage.rows(permissions.held_query(platform=platform), parameters)
        )

    return await storage.runtime.cache.recently(("held", user_id, tenant_id, platform), read)


async def read_custom(
    storage: Storage, user_id: int, tenant_id: int, *, platform: bool
) -> dict[str, list[str]]:
    """Return the claims that administrators have set for a person and their roles."""
    found: dict[str, list[str]] = {}
    parameters = {"user_id": user_id, "tenant_id": tenant_id}
    for name, value in await storage.rows(_custom(platform=platform), parameters):
        found.setdefault(name, []).append(value)
    return found


@cache
def _custom(*, platform: bool) -> CompoundSelect[str, str]:
    """Return the query of custom claims, built once: building it costs more than executing it."""
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
