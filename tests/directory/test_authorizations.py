"""What an account may do in its tenants: all of them at once."""

from __future__ import annotations

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from idp.directory.roles.authorizations import authorizations
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants.models import Membership, Tenant
from tests import protocol
from tests.api.center import statements


def test_only_the_roles_of_the_tenants_that_are_asked_about_count(session: Session) -> None:
    here, there, elsewhere = (protocol.add_tenant(session, name) for name in ("A", "B", "C"))
    ann = protocol.add_person(session, "ann", tenant_ids=[here, there])
    bob = protocol.add_person(session, "bob", tenant_ids=[here])
    protocol.add_role(session, ann, "clerk", ["orders.write", "orders.read"], tenant_id=here)
    protocol.add_role(session, ann, "guest", tenant_id=here)
    protocol.add_role(session, ann, "clerk", ["stock.read"], tenant_id=there)
    protocol.add_role(session, ann, "clerk", ["other.read"], tenant_id=elsewhere)
    protocol.add_role(session, ann, "auditor", ["audit.read"], tenant_id=None)
    protocol.add_role(session, bob, "boss", ["orders.all"], tenant_id=here)

    assert authorizations(session, ann.id, [here, elsewhere, 999]) == {
        here: {"clerk": ["orders.read", "orders.write"], "guest": []}
    }
    assert authorizations(session, ann.id, [there]) == {there: {"clerk": ["stock.read"]}}
    assert authorizations(session, ann.id, []) == {}
    assert authorizations(session, bob.id, [there]) == {}


def test_a_privilege_that_is_switched_off_is_left_out(session: Session) -> None:
    ann = protocol.add_person(session, "ann")
    role = protocol.add_role(session, ann, "clerk", ["orders.read", "orders.write"])
    role.privileges[0].status = 0
    session.commit()
    assert authorizations(session, ann.id, [1]) == {1: {"clerk": ["orders.write"]}}


@pytest.mark.parametrize("size", [1, 50])
def test_many_tenants_cost_no_more_statements_than_one(session: Session, size: int) -> None:
    ann = protocol.add_person(session, "ann", tenant_ids=[])
    tenants = [Tenant(name=f"T{index}") for index in range(size)]
    privileges = [Privilege(code=f"p.{index}", name="P") for index in range(40 * size)]
    session.add_all([*tenants, *privileges])
    session.flush()
    roles = [
        Role(code=f"r{index}", name="R", tenant_id=tenant.id)
        for tenant in tenants
        for index in range(4)
    ]
    session.add_all([*roles, *(Membership(user_id=ann.id, tenant_id=row.id) for row in tenants)])
    session.flush()
    session.add_all(UserRole(user_id=ann.id, role_id=role.id) for role in roles)
    session.execute(
        insert(RolePrivilege),
        [
            {"role_id": roles[index // 10].id, "privilege_id": privilege.id}
            for index, privilege in enumerate(privileges)
        ],
    )
    session.commit()
    user_id, tenant_ids = ann.id, [row.id for row in tenants]
    session.rollback()
    with statements(session.get_bind()) as sent:
        found = authorizations(session, user_id, tenant_ids)
    assert len([text for text in sent if "SELECT" in text]) == 2
    assert len(found) == size
    assert sum(len(codes) for held in found.values() for codes in held.values()) == 40 * size
