"""Types of tenants: listed, created, renamed, and deleted while nobody uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.tenants.models import Tenant
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_, filled

LONGEST_CODE = 100
MOST_NAMED = 3
"""Users of a type that a refusal names."""

Check = Callable[[TenantType], None]
"""Raises for a state that the caller did not mean."""


def list_page(session: Session, *, after: str = "", limit: int = 100) -> Sequence[TenantType]:
    """Return a page of types by code."""
    query = select(TenantType).where(TenantType.code > after).order_by(TenantType.code)
    return session.scalars(query.limit(limit)).all()


def get(session: Session, code: str, *, lock: bool = False) -> TenantType:
    """Return a type by its code; with `lock`, as it is until this transaction ends."""
    query = select(TenantType).where(TenantType.code == code)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound(N_("There is no such tenant type."))
    return found


def find_by_id(session: Session, type_id: int) -> TenantType | None:
    """Find a type by its id."""
    return session.get(TenantType, type_id) if 0 < type_id <= INT64_MAX else None


def create(session: Session, code: str, name: str) -> TenantType:
    """Create a type; bundles are made for it afterwards."""
    if not code.isprintable() or code != code.strip() or code.isnumeric():
        raise BadRequest.at(
            "code", N_("Must be printable, without spaces around it, and not a number.")
        )
    made = TenantType(code=code, name=name)
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        raise Conflict.at("code", filled(N_("The code %(code)s is taken."), code=code)) from None
    _record(session, Tag.TENANT_TYPE_CREATED, code, None, name)
    return made


def rename(session: Session, code: str, name: str, unchanged: Check) -> TenantType:
    """Rename a type; its code stays, for tenants and bundles name it."""
    found = get(session, code, lock=True)
    unchanged(found)
    if found.name != name:
        before, found.name = found.name, name
        session.flush()
        _record(session, Tag.TENANT_TYPE_CHANGED, code, before, name)
    return found


def delete(session: Session, code: str, unchanged: Check) -> None:
    """Delete a type that no tenant and no bundle has."""
    found = get(session, code, lock=True)
    unchanged(found)
    tenants = select(Tenant.name).where(Tenant.type_code == code)
    bundles = select(Bundle.name).where(Bundle.tenant_type_code == code)
    users = session.scalars(union_all(tenants, bundles).limit(MOST_NAMED)).all()
    if users:
        named = ", ".join(users)
        raise Conflict(N_("This type is still used by tenants or bundles") + f": {named}")
    session.delete(found)
    session.flush()
    _record(session, Tag.TENANT_TYPE_DELETED, code, found.name, None)


def _record(session: Session, tag: Tag, code: str, before: str | None, after: str | None) -> None:
    states = [{} if name is None else {"name": name} for name in (before, after)]
    audit.record_change(session, tag, f"tenant-type:{code}", *states)
