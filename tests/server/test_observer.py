"""What the database shows is read beside scrapes, which never wait for it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import event, text, update

from idp.platform import clock
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.signing.models import SigningKey
from idp.runtime import create as create_runtime
from idp.server import observer
from idp.server.observer import Observer

A_SCRAPE_SECONDS = 1.0


def gauges(watching):
    return {(metric.name, labels): value for metric, labels, value in watching.gauges()}


def test_lanes_and_keys_are_shown(runtime, session):
    jobs.enqueue(session, "notify.mail", {"to": "ann"})
    late = jobs.enqueue(session, "gateway.retry", {}, lane="gateway")
    failed = jobs.enqueue(session, "gateway.retry", {}, lane="gateway")
    hour = timedelta(hours=1)
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == late)
        .values(attempts=2, created_at=clock.now() - hour, due_at=clock.now() + hour)
    )
    session.execute(
        update(OutboxMessage).where(OutboxMessage.id == failed).values(failed_at=clock.now())
    )
    session.execute(
        update(SigningKey)
        .where(SigningKey.alg == "RS256", SigningKey.status == "active")
        .values(activated_at=clock.now() - timedelta(days=3))
    )
    session.execute(
        update(SigningKey)
        .where(SigningKey.alg == "RS256", SigningKey.status == "next")
        .values(created_at=clock.now() - timedelta(days=2))
    )
    session.commit()
    found = gauges(Observer(runtime))
    assert found["idp_database_up", ()] == 1
    assert found["idp_outbox_waiting", ("notify",)] == 1
    assert found["idp_outbox_waiting", ("gateway",)] == 1
    assert found["idp_outbox_failed", ("gateway",)] == 1
    assert found["idp_outbox_failed", ("build",)] == 0
    assert found["idp_outbox_oldest_seconds", ("gateway",)] == pytest.approx(3600, abs=60)
    assert found["idp_outbox_oldest_seconds", ("notify",)] < 60
    assert found["outbox_oldest_seconds", ()] == pytest.approx(3600, abs=60)
    assert found["idp_signing_key_age_seconds", ("RS256",)] == pytest.approx(3 * 86400, abs=60)
    assert found["idp_signing_key_next_ready", ("RS256",)] == 1
    assert found["idp_signing_key_next_ready", ("ES256",)] == 0  # announced a moment ago
    assert found["idp_signing_key_rotation_seconds", ()] == 90 * 86400
    assert ("idp_throttle_store_up", ()) not in found


def test_the_database_is_asked_once_in_ten_seconds_however_often_it_is_scraped(
    runtime, monkeypatch
):
    asked = []
    lanes = jobs.lanes
    monkeypatch.setattr(observer.jobs, "lanes", lambda session: asked.append(1) or lanes(session))
    watching = Observer(runtime)
    for _ in range(5):
        assert ("idp_outbox_waiting", ("notify",)) in gauges(watching)
    assert len(asked) == 1
    monkeypatch.setattr(observer, "EVERY_SECONDS", 0.0)
    gauges(watching)
    assert len(asked) == 2


@pytest.mark.no_database
def test_a_scrape_is_answered_while_the_database_is_frozen(runtime, monkeypatch):
    thawed = threading.Event()
    threads = threading.active_count()
    monkeypatch.setattr(observer.jobs, "lanes", lambda _: thawed.wait(30) and {})
    watching = Observer(runtime)
    try:
        for _ in range(3):
            started = time.monotonic()
            found = gauges(watching)
            assert time.monotonic() - started < A_SCRAPE_SECONDS
            assert found["idp_database_up", ()] == 0
            assert ("idp_outbox_waiting", ("notify",)) not in found
            assert found["idp_signing_key_rotation_seconds", ()] > 0
        assert threading.active_count() <= threads + 1  # one look at a time
    finally:
        thawed.set()


@pytest.mark.no_database
def test_what_was_read_too_long_ago_is_not_shown(runtime, monkeypatch):
    watching = Observer(runtime)
    assert gauges(watching)["idp_database_up", ()] == 1
    thawed = threading.Event()
    monkeypatch.setattr(observer.jobs, "lanes", lambda _: thawed.wait(30) and {})
    monkeypatch.setattr(observer, "EVERY_SECONDS", 0.0)
    try:
        found = gauges(watching)
        assert found["idp_database_up", ()] == 0
        assert ("idp_outbox_waiting", ("notify",)) not in found
    finally:
        thawed.set()


def test_a_database_that_refuses_is_shown_as_down(runtime, session):
    session.execute(text("ALTER TABLE outbox RENAME TO elsewhere"))
    session.commit()
    found = gauges(Observer(runtime))
    assert found["idp_database_up", ()] == 0
    assert ("idp_outbox_waiting", ("notify",)) not in found


@pytest.mark.no_database
def test_shared_counters_are_shown_as_up_or_down(settings, session, own_valkey):
    runtime = create_runtime(settings.model_copy(update={"redis_url": own_valkey.url}))
    try:
        assert gauges(Observer(runtime))["idp_throttle_store_up", ()] == 1
        own_valkey.kill()
        assert gauges(Observer(runtime))["idp_throttle_store_up", ()] == 0
    finally:
        runtime.engine.dispose()


def test_the_number_of_statements_does_not_grow_with_the_outbox(settings, session):
    runtime = create_runtime(settings)
    asked = []
    event.listen(runtime.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def statements():
        asked.clear()
        assert gauges(Observer(runtime))["idp_database_up", ()] == 1
        return len([one for one in asked if one.startswith("SELECT")])

    try:
        before = statements()
        for lane in ("notify", "gateway", "build") * 20:
            jobs.enqueue(session, "some.job", {}, lane=lane)
        session.commit()
        assert before == statements() == 3
    finally:
        runtime.engine.dispose()
