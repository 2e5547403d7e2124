"""Roles and privileges: codes, and giving them out."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.roles import catalogue
from idp.platform.errors import BadRequest, Conflict, NotFound


def test_codes_of_platform_roles_are_reserved_in_tenants(session: Session) -> None:
    for tenant_id in (None, 1):
        with pytest.raises(Conflict):
            catalogue.create_role(session, "users", "Users", tenant_id=tenant_id)
    role = catalogue.create_role(session, "clerk", "Clerk", tenant_id=1)
    assert catalogue.find_role(session, "clerk", 1) is role
    assert catalogue.find_role(session, "clerk", None) is None
    with pytest.raises(Conflict):
        catalogue.create_role(session, "clerk", "Clerk", tenant_id=1)


@pytest.mark.no_database
@pytest.mark.parametrize("code", ["", "123", "a b", "a,b", "a/b", "a\nb", "x" * 257, "a'b"])
def test_codes_fit_into_claims_and_paths(session: Session, code: str) -> None:
    with pytest.raises(BadRequest):
        catalogue.create_role(session, code, "x")
    with pytest.raises(BadRequest):
        catalogue.create_privilege(session, code, "x")
    with pytest.raises(BadRequest):
        catalogue.create_group(session, code, "x")


def test_a_role_carries_a_privilege_once(session: Session) -> None:
    role = catalogue.create_role(session, "clerk", "Clerk", tenant_id=1)
    privilege = catalogue.create_privilege(session, "orders.read", "Read orders")
    assert catalogue.add_privilege(session, role, privilege)
    assert not catalogue.add_privilege(session, role, privilege)
    assert catalogue.assign(session, 1, role)
    assert not catalogue.assign(session, 1, role)
    assert permissions.has_permission(session, 1, 1, "orders.read", platform=False)
    with pytest.raises(NotFound):
        catalogue.assign(session, 999, role)
    with pytest.raises(Conflict):
        catalogue.create_privilege(session, "orders.read", "again")
    with pytest.raises(Conflict):
        catalogue.create_group(session, "ids4.ms", "again")
