"""Messages by our own API: what waits, what was given up, and trying that again."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from tests.api import admin, center


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def leave(session, *, failed=False, done=False):
    row_id = jobs.enqueue(session, "mail", {"to": "ann@example.com"})
    row = session.get_one(OutboxMessage, row_id)
    if failed:
        row.failed_at, row.attempts, row.last_error = clock.now(), 12, "The server refused it."
    if done:
        row.done_at = clock.now()
    session.commit()
    return row_id


def retried(session):
    session.rollback()
    found = session.scalars(select(AuditEvent).where(AuditEvent.tag == "system:outbox:retried"))
    return [(event.user_id, event.details) for event in found]


def test_what_waits_and_what_failed_is_listed_without_its_content(root, session):
    waiting, failed = leave(session), leave(session, failed=True)
    leave(session, done=True)
    answer = admin.send(root, "GET", "/messages")
    assert "@example.com" not in answer.get_data(as_text=True)
    first, second = answer.get_json()["items"]
    assert (first["id"], first["failed_at"], first["attempts"]) == (waiting, None, 0)
    assert second["failed_at"].endswith("Z")
    assert second["last_error"] == "The server refused it."
    assert admin.data(root, "GET", "/messages", failed="true")["items"] == [second]
    assert admin.data(root, "GET", "/messages", failed="false")["items"] == [first]
    assert (second["id"], second["job"], second["lane"]) == (failed, "mail", "notify")


def test_a_failed_message_is_tried_again(root, session):
    failed, other = leave(session, failed=True), leave(session, failed=True)
    answer = admin.data(root, "POST", f"/messages/{failed}/retry")
    assert (answer["id"], answer["failed_at"], answer["attempts"]) == (failed, None, 0)
    assert retried(session) == [(root.user.id, {"count": 1})]
    assert session.get_one(OutboxMessage, failed).failed_at is None
    assert session.get_one(OutboxMessage, other).failed_at is not None
    taken = jobs.take(session, "notify", "worker")
    assert taken is not None
    assert taken.id == failed
    session.commit()


def test_a_message_that_waits_stays_as_it_is(root, session):
    failed = leave(session, failed=True)
    first = admin.data(root, "POST", f"/messages/{failed}/retry")
    assert admin.data(root, "POST", f"/messages/{failed}/retry") == first
    assert len(retried(session)) == 1


def test_what_is_done_or_was_never_there_is_not_found(root, session):
    done = leave(session, failed=True, done=True)
    for row_id in (done, 0, 999_999, 2**63 - 1, 2**80):
        assert admin.refused(root, "POST", f"/messages/{row_id}/retry") == (404, {})
    assert retried(session) == []


def test_the_list_is_read_page_by_page(root, session):
    ids = [leave(session, failed=number != 2) for number in range(5)]
    found = admin.pages(root, "/messages", limit=2)
    assert [[row["id"] for row in rows] for rows in found] == [ids[:2], ids[2:4], ids[4:]]
    found = admin.pages(root, "/messages", limit=2, failed="true")
    assert [[row["id"] for row in rows] for rows in found] == [ids[:2], ids[3:]]


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", "/messages", limit=200)
        return len(sent)

    leave(session)
    count()  # what is remembered for a second is remembered
    before = count()
    for _ in range(20):
        leave(session)
    assert count() == before


@pytest.mark.parametrize(
    ("query", "field"),
    [({"failed": "yes"}, "failed"), ({"after": "x"}, "after"), ({"state": "failed"}, "state")],
)
def test_a_wrong_or_unknown_parameter_is_named(root, query, field):
    status, fields = admin.refused(root, "GET", "/messages", **query)
    assert (status, list(fields)) == (400, [field])


@pytest.mark.parametrize("failed", [False, True])
def test_a_dropped_message_is_erased_and_never_sent(root, session, failed):
    dropped, kept = leave(session, failed=failed), leave(session)
    assert admin.send(root, "POST", f"/messages/{dropped}/drop").status_code == 204
    session.rollback()
    row = session.get_one(OutboxMessage, dropped)
    assert row.payload_encrypted is None
    assert row.done_at is not None
    assert [message["id"] for message in admin.data(root, "GET", "/messages")["items"]] == [kept]
    assert admin.refused(root, "POST", f"/messages/{dropped}/drop") == (404, {})
    assert admin.refused(root, "POST", f"/messages/{dropped}/retry") == (404, {})
    noted = session.scalars(select(AuditEvent).where(AuditEvent.tag == "system:outbox:dropped"))
    assert [(event.target, event.user_id) for event in noted] == [
        (f"message:{dropped}", root.user.id)
    ]


def test_a_message_that_a_worker_holds_is_not_dropped(root, session):
    row_id = leave(session)
    taken = jobs.take(session, "notify", "worker")
    assert taken is not None
    session.commit()
    assert admin.refused(root, "POST", f"/messages/{row_id}/drop") == (409, {})
    session.rollback()
    assert session.get_one(OutboxMessage, row_id).payload_encrypted is not None


def test_jobs_that_rows_wait_for_are_not_dropped(root, session):
    row_id = jobs.enqueue(session, "sdk", {"job_id": 1}, lane="build")
    session.commit()
    assert admin.refused(root, "POST", f"/messages/{row_id}/drop") == (422, {})
