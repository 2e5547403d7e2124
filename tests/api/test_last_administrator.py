"""The platform cannot lose its last administrator."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory import permissions
from idp.directory.users.models import User
from tests.api import center


@pytest.fixture
def last(client, session):
    """Make a caller the only administrator: the seeded one is locked out."""
    caller = center.administrator(client, session)
    seeded = session.scalars(select(User).where(User.username == "admin")).one()
    seeded.is_disabled = True
    session.commit()
    return caller


def test_the_last_administrator_cannot_be_deleted(session, last):
    path = f"/User/{last.user.id}"
    assert last.refused("DELETE", path) == {"id": ["is the last administrator of the platform"]}
    assert session.get(User, last.user.id).deleted_at is None


@pytest.mark.parametrize(
    "change", [{"roles": []}, {"lockoutEnd": "2999-01-01T00:00:00Z", "lockoutEnabled": True}]
)
def test_the_last_administrator_cannot_be_demoted_or_locked(session, last, change):
    whole = last.data("GET", f"/User/{last.user.id}")
    before = center.whole_database(session)
    assert "id" in last.refused("PUT", "/User", {**whole, **change})
    after = center.whole_database(session)
    assert {**after, "audit_event": []} == {**before, "audit_event": []}


def test_one_of_two_administrators_may_go(client, session, last):
    second = center.administrator(client, session, "second")
    assert last.data("DELETE", f"/User/{second.user.id}") == second.user.id
    assert permissions.is_platform_administrator(session, last.user.id)
