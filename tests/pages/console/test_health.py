"""How the service is, as the console shows it."""

from __future__ import annotations

from datetime import timedelta

from idp.platform import clock
from idp.platform.audit.models import DailyFigure
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.web import health
from tests.pages.browsing import readable

PATH = "/console/platform/health"


def counted(session, ago):
    row = DailyFigure(
        day=clock.now().date(), tenant_id=0, tag="", count=0, counted_at=clock.now() - ago
    )
    session.add(row)
    session.commit()


def test_a_service_that_works_is_good(client, session, root):
    counted(session, timedelta(minutes=4))
    page = readable(client.get(PATH))
    assert 'st-good">Good' in page
    assert "working" in page


def test_a_worker_that_has_not_counted_for_long_is_not_seen(client, session, root):
    assert "not seen lately" in readable(client.get(PATH))
    counted(session, timedelta(minutes=16))
    page = readable(client.get(PATH))
    assert "not seen lately" in page
    assert 'st-warn">Needs attention' in page


def test_messages_that_wait_too_long_point_to_the_worker(client, session, root):
    counted(session, timedelta())
    row = session.get_one(OutboxMessage, jobs.enqueue(session, "notify.mail", {}))
    row.due_at = clock.now() - timedelta(minutes=7, seconds=5)
    session.commit()
    page = readable(client.get(PATH))
    assert "a message is overdue by 7 minutes" in page
    assert "1 waiting, 0 failed" in page


def test_what_is_down_makes_the_whole_bad(client, session, root, app, monkeypatch):
    counted(session, timedelta())
    checks = app.extensions[health.EXTENSION].checks
    monkeypatch.setitem(checks, "keys", lambda _session: False)
    page = readable(client.get(PATH))
    assert 'st-bad">Down' in page
    assert "`idp doctor` says what is wrong." in page
    assert client.get("/readyz").status_code == 503


def test_a_tenant_does_not_see_how_the_service_is(client, boss):
    assert client.get(PATH).status_code == 404
    assert client.get(f"/console/t/{boss}/health").status_code == 404
