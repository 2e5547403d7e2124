"""Figures by day: counted by the worker, read by our own API without looking at events."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

import idp
from idp.platform.audit import figures
from idp.platform.audit.models import AuditEvent, DailyFigure
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from tests import protocol
from tests.api import admin, center, userservice
from tests.api.center import Caller

READ = "ids4.ms.admin.overview.read"
NOON = datetime(2030, 5, 10, 12, tzinfo=UTC)


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def add(session, tag, at, tenant_id=None, number=1):
    session.add_all(AuditEvent(tag=tag, at=at, tenant_id=tenant_id) for _ in range(number))
    session.commit()


def overview(caller, tenant_id=1, **query):
    return admin.data(caller, "GET", f"/tenants/{tenant_id}/overview", **query)


def days(caller, tenant_id=1, **query):
    return {row.pop("day"): row for row in overview(caller, tenant_id, **query)["days"]}


NOTHING = {
    "sign_ins": 0,
    "sign_in_refusals": 0,
    "tokens": {"authorization_code": 0, "refresh_token": 0},
    "new_users": 0,
}


def test_events_are_counted_by_day_and_tenant(client, session):
    acme = protocol.add_tenant(session)
    for tag, number in (
        (Tag.SIGN_IN, 3),
        (Tag.SIGN_IN_REFUSED, 2),
        (Tag.TOKEN_ISSUED, 4),
        (Tag.TOKEN_REFRESHED, 5),
        (Tag.USER_CREATED, 1),
        (Tag.SIGN_OUT, 7),
    ):
        add(session, tag, NOON, acme, number)
    add(session, Tag.SIGN_IN, NOON)
    add(session, Tag.SIGN_IN, NOON.replace(hour=0), 1)
    add(session, Tag.SIGN_IN, NOON + timedelta(hours=12), acme)
    figures.count_day(session, NOON.date())
    session.commit()
    read = figures.read(session, NOON.date(), NOON.date(), tenant_id=acme)
    assert read.days == {
        NOON.date(): {
            Tag.SIGN_IN: 3,
            Tag.SIGN_IN_REFUSED: 2,
            Tag.TOKEN_ISSUED: 4,
            Tag.TOKEN_REFRESHED: 5,
            Tag.USER_CREATED: 1,
        }
    }
    assert figures.read(session, NOON.date(), NOON.date()).days[NOON.date()][Tag.SIGN_IN] == 5


def test_counting_again_comes_to_the_same_and_sees_what_is_new(session):
    add(session, Tag.SIGN_IN, NOON)

    def counted():
        figures.count_day(session, NOON.date())
        session.commit()
        rows = session.scalar(select(func.count()).select_from(DailyFigure))
        return figures.read(session, NOON.date(), NOON.date()).days[NOON.date()], rows

    first = counted()
    assert counted() == first == ({Tag.SIGN_IN: 1}, 2)
    add(session, Tag.SIGN_IN, NOON)
    assert counted() == ({Tag.SIGN_IN: 2}, 2)


def test_two_workers_that_count_at_once_come_to_the_same(runtime, session):
    add(session, Tag.SIGN_IN, NOON, number=5)

    def count(_):
        with runtime.sessions() as own:
            figures.count_day(own, NOON.date())
            own.commit()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, range(4)))
    assert figures.read(session, NOON.date(), NOON.date()).days[NOON.date()] == {Tag.SIGN_IN: 5}


def test_the_worker_counts_days_until_they_are_over(runtime, session, clock):
    stop = threading.Event()
    # At midnight the day before is not over yet: events of it may still be written.
    clock.move_to(datetime.now(UTC).replace(hour=12))
    today = datetime.now(UTC)
    figures.count_due(runtime, stop)
    add(session, Tag.SIGN_IN, today, number=2)
    figures.count_due(runtime, stop)
    read = figures.read(session, today.date(), today.date())
    assert read.days[today.date()][Tag.SIGN_IN] >= 2
    session.rollback()
    clock.shift(48 * 3600)
    add(session, Tag.SIGN_IN, today)  # late
    figures.count_due(runtime, stop)
    counted = figures.read(session, today.date(), today.date()).days[today.date()][Tag.SIGN_IN]
    assert counted == read.days[today.date()][Tag.SIGN_IN] + 1
    session.rollback()
    with center.statements(runtime.engine) as sent:
        figures.count_due(runtime, stop)
    assert sum("audit_event" in statement for statement in sent) == 1  # today alone


def test_the_worker_stops_when_it_is_told_to(runtime, session):
    stop = threading.Event()
    stop.set()
    figures.count_due(runtime, stop)
    assert session.scalar(select(func.count()).select_from(DailyFigure)) == 0


def test_the_overview_shows_every_day_and_looks_at_no_event(client, root, session, runtime):
    acme = protocol.add_tenant(session)
    today = datetime.now(UTC)
    add(session, Tag.SIGN_IN, today, acme, 3)
    assert overview(root)["counted_at"] is None
    for number in range(2):
        figures.count_day(session, (today - timedelta(days=number)).date())
    session.commit()
    with center.statements(runtime.engine) as sent:
        shown = overview(root, acme, days=3)
    assert not any("audit_event" in statement for statement in sent)
    assert shown["counted_at"].endswith("Z")
    assert shown["installation"] is None
    listed = [(today - timedelta(days=number)).date().isoformat() for number in (2, 1, 0)]
    assert [row["day"] for row in shown["days"]] == listed
    assert shown["days"][0] == {"day": listed[0], **NOTHING}
    assert shown["days"][2]["sign_ins"] == 3
    assert days(root)[listed[2]]["sign_ins"] >= 3


def test_at_the_platform_it_shows_how_the_installation_is(root, session):
    jobs.enqueue(session, "mail", {"to": "ann@example.com"})
    session.commit()
    found = overview(root)["installation"]
    assert found["version"] == idp.__version__
    assert found["messages"] == {"waiting": 1, "failed": 0}
    assert len({key["alg"] for key in found["active_keys"]}) == 4
    assert found["to_do"] == ["mail", "https"]


def test_a_single_administrator_is_named(root, session):
    root_only = session.get_one(type(root.user), root.user.id)
    for row in session.scalars(select(type(root.user)).where(type(root.user).id != root_only.id)):
        row.is_disabled = True
    session.commit()
    assert overview(root)["installation"]["to_do"] == ["mail", "https", "second_administrator"]


def test_in_a_tenant_its_figures_alone_are_read(client, session):
    acme, other = protocol.add_tenant(session), protocol.add_tenant(session, "Other")
    today = datetime.now(UTC)
    add(session, Tag.SIGN_IN, today, acme, 2)
    add(session, Tag.SIGN_IN, today, other, 3)
    figures.count_day(session, today.date())
    session.commit()
    mary = center.manager(client, session, READ, tenant_id=acme, scopes=[READ])
    robot = userservice.machine(client, session, tenant_id=acme, scopes=[READ])
    for caller in (mary, Caller(client, None, robot.token)):
        assert days(caller, acme)[today.date().isoformat()]["sign_ins"] == 2
        assert overview(caller, acme)["installation"] is None
        for tenant_id in (other, 1):
            path = f"/tenants/{tenant_id}/overview"
            assert admin.refused(caller, "GET", path) == (403, {})


def test_a_permission_in_tenant_1_shows_that_tenant_alone(client, session):
    mary = center.manager(client, session, READ, scopes=[READ])
    assert overview(mary)["installation"] is None


@pytest.mark.parametrize("number", [0, 91, "x"])
def test_a_number_of_days_that_is_not_kept_is_refused(root, number):
    answer = admin.refused(root, "GET", "/tenants/1/overview", days=number)
    assert (answer[0], list(answer[1])) == (400, ["days"])
