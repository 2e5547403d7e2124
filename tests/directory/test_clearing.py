"""Deleting a tenant with thousands of members: batch by batch, with nothing of others."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from idp import jobs
from idp.directory.actor import Actor
from idp.directory.scopes import Scope
from idp.directory.tenants import clearing, management
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantClearance, TenantStatus
from idp.directory.users.models import User, UserClaim
from idp.oauth.models import Grant
from idp.platform.audit.tags import Tag
from idp.platform.db import Base
from idp.platform.errors import Conflict, NotFound
from idp.platform.jobs.models import OutboxMessage
from idp.platform.runtime import Runtime
from tests import protocol
from tests.delivery import deliver_due
from tests.pages.browsing import events

MEMBERS = 3000
ROOT = Actor(1, is_platform_admin=True)
BATCHED = ("user_claim", "membership", "grant")


class Killed(BaseException):
    """Stands for a worker that was killed."""


@pytest.fixture
def acme(session: Session) -> int:
    """Make a disabled tenant with members, who hold roles, claims and grants there."""
    tenant_id = protocol.add_tenant(session)
    other = protocol.add_tenant(session, "Other")
    first = session.scalar(select(func.max(User.id))) or 0
    people = [
        {"username": f"member-{number}", "username_key": f"member-{number}"}
        for number in range(MEMBERS)
    ]
    session.execute(insert(User), people)
    rows = session.execute(select(User.id, User.security_stamp).where(User.id > first)).all()
    session.execute(
        insert(Membership),
        [{"user_id": row.id, "tenant_id": t} for row in rows for t in (tenant_id, other)],
    )
    claim = {"type": "department", "value": "Books"}
    session.execute(
        insert(UserClaim),
        [{"user_id": row.id, "tenant_id": t, **claim} for row in rows for t in (tenant_id, other)],
    )
    app = protocol.register(session, "shop")
    person = session.get_one(User, rows[0].id)
    for tenant in (tenant_id, other):
        grant = protocol.grant_of(person, tenant_id=tenant, client_id=app.row_id)
        session.add(grant)
    protocol.add_role(session, person, tenant_id=tenant_id)
    tenants.add_member(session, tenant_id, rows[1].id, is_admin=True)
    tenants.change(session, tenants.get(session, tenant_id), status=TenantStatus.DISABLED)
    session.commit()
    return tenant_id


def request(session: Session, tenant_id: int, actor: Actor = ROOT) -> bool:
    done = clearing.request(session, actor, Scope.TENANT_DELETE, tenant_id)
    session.commit()
    return done


def left(session: Session, model: type[Base], tenant_id: int) -> int:
    session.rollback()
    query = select(func.count()).select_from(model).where(model.tenant_id == tenant_id)  # type: ignore[attr-defined]
    found = session.scalar(query) or 0
    session.rollback()
    return found


def run(runtime: Runtime) -> int:
    return deliver_due(runtime, clearing.LANE)


def test_a_tenant_with_thousands_of_members_goes_in_batches(
    runtime: Runtime, session: Session, acme: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = session.scalars(select(Tenant.id).where(Tenant.name == "Other")).one()
    session.rollback()
    sizes: list[int] = []
    remove = clearing._remove

    def watched(*arguments: Any) -> int:
        sizes.append(remove(*arguments))
        return sizes[-1]

    monkeypatch.setattr(clearing, "_remove", watched)
    monkeypatch.setattr(clearing, "PAUSE_SECONDS", 0)
    assert request(session, acme) is False
    assert left(session, Membership, acme) == MEMBERS  # nothing is removed by the request
    assert run(runtime) == 1
    assert session.get(Tenant, acme) is None
    assert session.scalar(select(func.count()).select_from(TenantClearance)) == 0
    assert max(sizes) == clearing.BATCH
    for model in (Membership, UserClaim, Grant):
        assert left(session, model, acme) == 0
    assert left(session, Membership, other) == MEMBERS
    assert left(session, UserClaim, other) == MEMBERS
    assert left(session, Grant, other) == 1
    query = select(func.count()).select_from(User).where(User.username.like("member-%"))
    assert session.scalar(query) == MEMBERS  # people stay
    (begun,) = events(session, Tag.TENANT_CLEARING)
    (deleted,) = events(session, Tag.TENANT_DELETED)
    assert begun.details == {"members": MEMBERS - 1}
    assert deleted.user_id == ROOT.user_id


def test_a_job_leaves_the_rest_to_the_next_one(
    runtime: Runtime, session: Session, acme: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "JOB_SECONDS", 0)
    monkeypatch.setattr(clearing, "PAUSE_SECONDS", 0)
    request(session, acme)
    assert run(runtime) > MEMBERS / clearing.BATCH
    assert session.get(Tenant, acme) is None
    assert session.scalar(select(func.count()).where(OutboxMessage.done_at.is_(None))) == 0


def test_a_worker_that_is_killed_is_followed_by_another_one(
    runtime: Runtime, session: Session, acme: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    request(session, acme)
    remove, batches = clearing._remove, [0]

    def dies(*arguments: Any) -> int:
        removed = remove(*arguments)
        batches[0] += arguments[1] is UserClaim
        if batches[0] == 3:
            raise Killed
        return removed

    work = jobs.JOBS[clearing.JOB].work
    with monkeypatch.context() as patch:
        patch.setattr(clearing, "_remove", dies)
        with pytest.raises(Killed):
            work(runtime, {"tenant_id": acme})
    clearance = clearing.find(session, acme)
    assert clearance is not None
    claims = left(session, UserClaim, acme)
    assert 0 < claims < MEMBERS
    assert claims == MEMBERS - 2 * clearing.BATCH  # the batch under way is not half there
    work(runtime, {"tenant_id": acme})
    session.expire_all()
    assert session.get(Tenant, acme) is None
    session.rollback()
    work(runtime, {"tenant_id": acme})  # a message may be delivered twice


def test_enabling_a_tenant_stops_it(
    runtime: Runtime, session: Session, acme: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    request(session, acme)
    tenants.change(session, tenants.get(session, acme), status=TenantStatus.ENABLED)
    session.commit()
    assert run(runtime) == 1
    assert left(session, Membership, acme) == MEMBERS
    assert clearing.find(session, acme) is None


def test_what_came_meanwhile_keeps_the_tenant(
    runtime: Runtime, session: Session, acme: int
) -> None:
    request(session, acme)
    protocol.register(session, "late", tenant_id=acme)
    assert run(runtime) == 0
    session.expire_all()
    assert session.get(Tenant, acme) is not None
    assert clearing.find(session, acme) is None
    message = session.scalars(select(OutboxMessage).where(OutboxMessage.job == clearing.JOB)).one()
    assert message.failed_at is not None
    assert message.last_error == "This tenant is still in use."


def test_only_a_tenant_in_reach_that_is_disabled_and_not_in_use(
    session: Session, acme: int
) -> None:
    stranger = Actor(protocol.add_person(session, "stranger").id)
    with pytest.raises(NotFound):
        clearing.request(session, stranger, Scope.TENANT_DELETE, acme)
    with pytest.raises(Conflict):
        clearing.request(session, ROOT, Scope.TENANT_DELETE, 1)
    other = session.scalars(select(Tenant.id).where(Tenant.name == "Other")).one()
    with pytest.raises(Conflict, match="Disable"):
        clearing.request(session, ROOT, Scope.TENANT_DELETE, other)
    # The operation of the contract still refuses a tenant with members.
    with pytest.raises(Conflict):
        management.delete(session, ROOT, Scope.TENANT_DELETE, acme)


def test_a_second_request_begins_nothing_new(session: Session, acme: int) -> None:
    assert request(session, acme) is False
    assert request(session, acme) is False
    query = select(func.count()).where(OutboxMessage.job == clearing.JOB)
    assert session.scalar(query) == 1
    assert len(events(session, Tag.TENANT_CLEARING)) == 1


@pytest.mark.no_database
def test_every_table_that_grows_with_members_is_emptied_before() -> None:
    held = {(column.class_.__tablename__, column.key) for column in jobs.HELD_BY_TENANTS}
    grown = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if {"user_id", "session_id"} & set(table.columns.keys())
        and any(key.target_fullname == "tenant.id" for key in column.foreign_keys)
    }
    grown.add(("device", "issuer_tenant_id"))  # its people are in `device_user`
    assert grown - {("membership", "tenant_id")} == held
