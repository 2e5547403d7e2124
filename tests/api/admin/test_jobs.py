"""Jobs of SDKs by our own API: those of everybody, tried again and cancelled."""

from __future__ import annotations

from itertools import chain

import pytest
from sqlalchemy import select

from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen import jobs
from idp.publishing.codegen.models import JobState, SdkJob
from tests import protocol
from tests.api import admin, center


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def add(session, **columns):
    job = SdkJob(**{"client_id": "web", "generator": "python", "source_url": "-", **columns})
    session.add(job)
    session.commit()
    return job


def test_jobs_of_everybody_are_listed_the_newest_first(root, session):
    ann, api = protocol.add_person(session), protocol.add_api(session)
    first = add(session, user_id=ann.id)
    second = add(session, api_resource_id=api.id, state=JobState.FAILED, error="No.", log="end")
    rows = [*chain(*admin.pages(root, "/jobs", limit=1))]
    assert [row["id"] for row in rows] == [second.id, first.id]
    assert "log" not in rows[0]
    assert (rows[0]["api"], rows[0]["state"], rows[0]["error"]) == (api.id, "failed", "No.")
    assert rows[1]["user"] == ann.id
    failed = admin.data(root, "GET", "/jobs", state="failed")["items"]
    assert [row["id"] for row in failed] == [second.id]
    assert admin.data(root, "GET", f"/jobs/{second.id}")["log"] == "end"


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", "/jobs", limit=200)
        return len(sent)

    count()  # what is remembered for a second is remembered
    before = count()
    for _ in range(20):
        add(session)
    assert count() == before


def test_a_waiting_job_is_cancelled_and_the_worker_leaves_it(root, session):
    job = add(session)
    cancelled = admin.data(root, "POST", f"/jobs/{job.id}/cancel")
    assert (cancelled["state"], cancelled["error"]) == ("failed", "Cancelled.")
    assert cancelled["finished_at"].endswith("Z")
    session.rollback()
    assert jobs.begin(session, job.id) is None
    noted = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.SDK_CANCELLED)).one()
    assert (noted.target, noted.user_id) == (f"sdk-job:{job.id}", root.user.id)
    retried = admin.data(root, "POST", f"/jobs/{job.id}/retry")
    assert (retried["state"], retried["attempts"]) == ("waiting", 0)
    session.rollback()
    assert session.scalars(select(OutboxMessage.job)).all() == ["sdk"]


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DONE, JobState.FAILED])
def test_only_a_waiting_job_is_cancelled(root, session, state):
    job = add(session, state=state)
    assert admin.refused(root, "POST", f"/jobs/{job.id}/cancel") == (409, {})
    session.rollback()
    assert session.get_one(SdkJob, job.id).state == state


def test_only_a_failed_job_is_tried_again(root, session):
    job = add(session, state=JobState.DONE)
    assert admin.refused(root, "POST", f"/jobs/{job.id}/retry") == (409, {})


def test_a_job_that_is_not_there_is_not_found(root):
    for job_id in (7, 2**63):
        assert admin.refused(root, "GET", f"/jobs/{job_id}") == (404, {})
        assert admin.refused(root, "POST", f"/jobs/{job_id}/cancel") == (404, {})
