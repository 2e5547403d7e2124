"""Jobs of SDKs in the console: those of everybody, retried and cancelled."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen.models import JobState, SdkJob
from tests.api.center import statements
from tests.pages.browsing import HTML, readable, send
from tests.protocol import add_person

PATH = "/console/platform/jobs"
HOSTILE = "<b>\u202e'\"&"


def add(session, **columns):
    job = SdkJob(**{"client_id": "web", "generator": "python", "source_url": "-", **columns})
    session.add(job)
    session.commit()
    return job.id


def post(client, path):
    return send(client, client.get("/login?prompt=login"), f"{PATH}/{path}", {})


def state(session, job_id):
    session.rollback()
    return session.get_one(SdkJob, job_id).state


def test_jobs_of_everybody_are_listed_the_newest_first(client, session, root):
    ann = add_person(session, nick_name="Ann Lee")
    first = add(session, user_id=ann.id)
    second = add(session, state=JobState.FAILED, error="npm said no.", package="@a/orders")
    page = readable(client.get(PATH))
    assert page.index(f"/jobs/{second}") < page.index(f"/jobs/{first}")
    assert "Ann Lee" in page
    assert "npm said no." in page
    failed = readable(client.get(f"{PATH}?state=failed"))
    assert f"/jobs/{first}" not in failed
    assert f"/jobs/{second}" in readable(client.get(f"{PATH}?q=ORDERS"))
    assert client.get(f"{PATH}?state=x", headers=HTML).status_code == 400


def test_what_programs_wrote_is_shown_as_text(client, session, root):
    job_id = add(
        session,
        state=JobState.FAILED,
        generator=HOSTILE,
        package=HOSTILE,
        version=HOSTILE,
        error=HOSTILE,
        link=f"javascript:{HOSTILE}",
        log=HOSTILE * 3_000,
    )
    for path in (PATH, f"{PATH}/{job_id}"):
        page = client.get(path).get_data(as_text=True)
        assert "<b>" not in page
        assert 'href="javascript:' not in page


def test_a_failed_job_is_retried_once(client, session, root):
    job_id = add(session, state=JobState.FAILED)
    assert post(client, f"{job_id}/retry").location == f"{PATH}/{job_id}"
    assert post(client, f"{job_id}/retry").status_code == 409
    assert state(session, job_id) == JobState.WAITING
    assert len(session.scalars(select(OutboxMessage)).all()) == 1


def test_only_a_job_that_waits_is_cancelled(client, session, root):
    waiting, running = add(session), add(session, state=JobState.RUNNING)
    assert "/cancel" in readable(client.get(f"{PATH}/{waiting}"))
    assert "/cancel" not in readable(client.get(f"{PATH}/{running}"))
    assert post(client, f"{waiting}/cancel").status_code == 303
    assert post(client, f"{running}/cancel").status_code == 409
    assert (state(session, waiting), state(session, running)) == ("failed", "running")


@pytest.mark.parametrize("row_id", ["0", "77", "9" * 25, "x"])
def test_a_job_that_is_not_there_is_not_found(client, root, row_id):
    assert client.get(f"{PATH}/{row_id}").status_code == 404
    assert post(client, f"{row_id}/retry").status_code == 404


def test_readers_change_nothing(client, session, reader):
    job_id = add(session, state=JobState.FAILED)
    page = readable(client.get(f"{PATH}/{job_id}"))
    assert "ids4.ms.admin.jobs.write" in page
    assert f"{job_id}/retry" not in page
    for act in ("retry", "cancel"):
        assert post(client, f"{job_id}/{act}").status_code == 403
    assert state(session, job_id) == JobState.FAILED


def test_the_number_of_statements_does_not_grow(client, session, root, runtime):
    add(session, user_id=root.id)
    client.get(PATH)
    with statements(runtime.engine) as few:
        client.get(PATH)
    for number in range(24):
        add(session, user_id=add_person(session, f"p{number}").id)
    with statements(runtime.engine) as many:
        assert client.get(PATH).status_code == 200
    assert len(many) == len(few) < 30
