"""People who manage the platform, or one tenant."""

from __future__ import annotations

import pytest

from tests.protocol import add_person, add_role, add_tenant, sign_in


@pytest.fixture
def root(client, session):
    """Sign an administrator of the platform in."""
    user = add_person(session, "root", email="root@example.com", email_verified=True)
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def boss(client, session):
    """Sign in somebody who holds everything in one tenant; return its id."""
    acme = add_tenant(session)
    user = add_person(session, "boss", tenant_ids=(acme,))
    add_role(session, user, "boss", ["ids4.ms.all"], tenant_id=acme)
    sign_in(client, session, user)
    return acme


@pytest.fixture
def reader(client, session):
    """Sign in somebody who may see every screen of the platform and change nothing."""
    user = add_person(session, "reader")
    modules = ("overview", "keys", "messages", "jobs", "settings")
    codes = [f"ids4.ms.admin.{module}.read" for module in modules]
    add_role(session, user, "reader", codes, tenant_id=None)
    sign_in(client, session, user)
    return user
