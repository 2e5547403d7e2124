"""Whether a grant still stands: read in one query, checked at every use of what depends on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.claims import access, registry
from idp.claims import subject as subjects
from idp.claims.subject import PERSON, Person, Subject
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.directory.users.standing import is_active
from idp.oauth.models import Grant, RevokedToken
from idp.platform import clock
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.storage import Storage

_RIGHTS = frozenset(access.LISTS)


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """What tokens state of a grant and depend on; fields are named as the columns."""

    id: int
    user_id: int
    client_id: int
    tenant_id: int
    issuer_tenant_id: int
    sid: str
    scopes: list[str]
    resources: list[str]
    claims_request: dict[str, Any] | None
    auth_time: datetime
    acr: str
    amr: list[str]


GRANT = tuple(getattr(Grant, field.name) for field in fields(HeldGrant))
STANDING = (*GRANT, *PERSON, Tenant.name)
"""Columns that `read_standing` takes."""


@dataclass(frozen=True, slots=True)
class StandingGrant:
    """A grant with its person and tenant, all still in force."""

    grant: HeldGrant
    user: Person
    tenant_name: str

    async def subject(
        self, storage: Storage, names: Collection[str], *, needs_rights: bool = False
    ) -> Subject:
        """Return the person for claims of these names; roles and permissions are read if needed."""
        membership = self.user.id, self.grant.tenant_id
        platform = self.grant.issuer_tenant_id == PLATFORM_TENANT_ID
        subject = Subject(self.user, self.grant.tenant_id, self.tenant_name)
        if needs_rights or not _RIGHTS.isdisjoint(names):
            subject = replace(
                subject, held=await subjects.read_held(storage, *membership, platform=platform)
            )
        if registry.has_kept(names):
            subject = replace(
                subject, custom=await subjects.read_custom(storage, *membership, platform=platform)
            )
        return subject


def count_of_tenant(session: Session, tenant_id: int) -> int:
    """Return how many grants of a tenant are neither revoked nor over."""
    query = select(func.count(Grant.id)).where(
        Grant.tenant_id == tenant_id, Grant.revoked_at.is_(None), Grant.expires_at > clock.now()
    )
    return session.scalar(query) or 0


def in_force() -> ColumnElement[bool]:
    """Return the SQL conditions for a grant that stands, and whose person may use it, at `now`.

    The person exists, is neither disabled nor locked, has the security stamp of the sign-in, and
    still belongs to the tenant.
    """
    return and_(
        Grant.revoked_at.is_(None),
        is_active(bindparam("now")),
        User.security_stamp == Grant.security_stamp,
        Tenant.status == TenantStatus.ENABLED,
        Membership.id.is_not(None),
    )


def count_live(session: Session, client_row_id: int) -> tuple[int, int]:
    """Return how many grants of a client have not ended, and of how many people."""
    people = func.count(Grant.user_id.distinct())
    query = select(func.count(), people).where(
        Grant.client_id == client_row_id,
        Grant.revoked_at.is_(None),
        Grant.expires_at > clock.now(),
    )
    found = session.execute(query).one()
    return found[0], found[1]


def with_grant(*columns: InstrumentedAttribute[Any]) -> Select[Any]:
    """Select columns, then grant, person, tenant and whether all of it stands: see `read`."""
    return (
        select(*columns, *STANDING, in_force().label("stands"))
        .select_from(Grant)
        .join(User, User.id == Grant.user_id)
        .join(Tenant, Tenant.id == Grant.tenant_id)
        .outerjoin(
            Membership,
            and_(Membership.user_id == Grant.user_id, Membership.tenant_id == Grant.tenant_id),
        )
    )


def read(values: Sequence[Any]) -> tuple[HeldGrant, StandingGrant | None]:
    """Take apart what follows the own columns of `with_grant`; None: it does not stand."""
    *found, stands = values
    standing = read_standing(found)
    return standing.grant, standing if stands else None


def of_grant() -> ColumnElement[bool]:
    """Tie person, tenant and membership to the grant, for a statement that is no SELECT."""
    return and_(
        User.id == Grant.user_id,
        Tenant.id == Grant.tenant_id,
        Membership.user_id == Grant.user_id,
        Membership.tenant_id == Grant.tenant_id,
    )


def read_standing(values: Sequence[Any]) -> StandingGrant:
    """Take apart what was found of a grant that stands."""
    *person, tenant_name = values[len(GRANT) :]
    return StandingGrant(HeldGrant(*values[: len(GRANT)]), Person(*person), tenant_name)


_STANDING = with_grant().where(
    Grant.id == bindparam("grant_id"),
    in_force(),
    ~exists().where(RevokedToken.jti == bindparam("jti")),
)


async def find_standing(storage: Storage, grant_id: int, jti: str = "") -> StandingGrant | None:
    """Return a grant with its person and tenant; None when it does not stand any more.

    Nor does it for the access token of a `jti` that was revoked by itself.
    """
    row = await storage.one(_STANDING, {"grant_id": grant_id, "jti": jti, "now": clock.now()})
    return None if row is None else read(row)[1]
