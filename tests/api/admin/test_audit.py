"""The audit log by our own API: searched, paged and exported by whoever may read it."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import StringIO
from itertools import chain

import pytest

from idp.api.admin import audit as module
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import admin, center, userservice

READ = "ids4.ms.admin.audit.read"
LOG = "/tenants/1/audit"


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def add(session, number=1, **columns):
    rows = [
        AuditEvent(**{"tag": "x:y:z", "at": clock.now() + timedelta(seconds=n), **columns})
        for n in range(number)
    ]
    session.add_all(rows)
    session.commit()
    return rows


def found(caller, path=LOG, **query):
    return [row["id"] for row in admin.data(caller, "GET", path, **query)["items"]]


def test_an_event_is_shown_whole(root, session):
    (row,) = add(
        session,
        user_id=7,
        client_id="web",
        tenant_id=3,
        target="user:9",
        remote_addr="192.0.2.7",
        request_id="r-1",
        details={"changes": [{"field": "name", "before": "A", "after": "B"}]},
    )
    (shown,) = admin.data(root, "GET", LOG, tag="x:y:z")["items"]
    assert shown.pop("at").endswith("Z")
    assert shown == {
        "id": row.id,
        "tag": "x:y:z",
        "user": 7,
        "client": "web",
        "tenant": 3,
        "target": "user:9",
        "remote_addr": "192.0.2.7",
        "request_id": "r-1",
        "details": {"changes": [{"field": "name", "before": "A", "after": "B"}]},
    }


def test_events_are_searched_by_everything_that_is_indexed(root, session):
    start = clock.now()
    (one,) = add(session, user_id=907, client_id="c-1", tenant_id=3, at=start)
    (two,) = add(session, target="user:907", request_id="r-1", at=start + timedelta(hours=1))
    for query in ({"user": 907}, {"client": "c-1"}, {"in_tenant": 3}):
        assert found(root, **query) == [one.id], query
    for query in ({"target": "user:907"}, {"request_id": "r-1"}):
        assert found(root, **query) == [two.id], query
    assert found(root, tag="x:y:z") == [two.id, one.id]
    between = (start + timedelta(minutes=30)).isoformat()
    assert found(root, tag="x:y:z", since=between) == [two.id]
    assert found(root, tag="x:y:z", until=between) == [one.id]
    assert found(root, tag="x:y:z", since="2999-01-01") == []


def test_the_log_is_read_page_by_page_while_it_grows(root, session):
    rows = add(session, 5)
    first = admin.data(root, "GET", LOG, tag="x:y:z", limit=2)
    add(session, at=clock.now() + timedelta(days=1))
    pages = admin.pages(root, LOG, tag="x:y:z", limit=2, after=first["next"])
    seen = [row["id"] for row in chain(first["items"], *pages)]
    assert seen == [row.id for row in reversed(rows)]


@pytest.mark.parametrize(
    "after", ["7", "a-b", "1-", "-1", "1-1-1", "1" * 18 + "-1", "1-" + "1" * 20, "\uff11-1"]
)
def test_what_is_no_cursor_is_refused(root, after):
    assert admin.refused(root, "GET", LOG, after=after) == (400, {"after": ["Not a cursor."]})


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", LOG, limit=200)
        return len(sent)

    count()  # what is remembered for a second is remembered
    before = count()
    add(session, 50)
    assert count() == before


def test_in_a_tenant_its_events_alone_are_read(client, session):
    acme, other = protocol.add_tenant(session), protocol.add_tenant(session, "Other")
    mary = center.manager(client, session, READ, tenant_id=acme, scopes=[READ])
    (own,) = add(session, tenant_id=acme)
    add(session, tenant_id=other)
    add(session, tenant_id=None)
    log = f"/tenants/{acme}/audit"
    assert found(mary, log, tag="x:y:z") == [own.id]
    for tenant_id in (other, 1):
        path = f"/tenants/{tenant_id}/audit"
        assert admin.refused(mary, "GET", path) == (403, {})
        assert admin.refused(mary, "GET", f"{path}/export") == (403, {})
    status, fields = admin.refused(mary, "GET", log, in_tenant=other)
    assert (status, list(fields)) == (400, ["in_tenant"])
    text = admin.send(mary, "GET", f"{log}/export", tag="x:y:z", format="jsonl").text
    assert [json.loads(line)["id"] for line in text.splitlines()] == [own.id]


def test_a_permission_in_tenant_1_does_not_open_the_logs_of_others(client, session):
    mary = center.manager(client, session, READ, scopes=[READ])
    acme = protocol.add_tenant(session)
    add(session, tenant_id=acme)
    (own,) = add(session, tenant_id=1)
    assert found(mary, tag="x:y:z") == [own.id]
    status, fields = admin.refused(mary, "GET", LOG, in_tenant=acme)
    assert (status, list(fields)) == (400, ["in_tenant"])


def test_a_machine_of_a_tenant_reads_that_log(client, session):
    acme = protocol.add_tenant(session)
    robot = userservice.machine(client, session, tenant_id=acme, scopes=[READ])
    caller = center.Caller(client, None, robot.token)
    (own,) = add(session, tenant_id=acme)
    assert found(caller, f"/tenants/{acme}/audit", tag="x:y:z") == [own.id]
    assert admin.refused(caller, "GET", LOG) == (403, {})


def test_the_export_is_csv_in_which_no_value_is_a_formula(root, session):
    add(session, client_id="=1+1", target="@SUM(A1)", request_id="+1", details={"a": "=b"})
    answer = admin.send(root, "GET", f"{LOG}/export", tag="x:y:z")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert answer.headers["Cache-Control"] == "no-store"
    header, row = csv.reader(StringIO(answer.text, newline=""))
    shown = dict(zip(header, row, strict=True))
    assert shown["tag"] == "x:y:z"
    assert (shown["client_id"], shown["target"], shown["request_id"]) == (
        "'=1+1",
        "'@SUM(A1)",
        "'+1",
    )
    assert shown["details"] == '{"a":"=b"}'


def test_the_export_is_read_in_parts_that_follow_each_other(root, session, monkeypatch):
    monkeypatch.setattr(module, "MOST_EXPORTED", 5)
    monkeypatch.setattr(audit, "MAX_PAGE", 2)
    rows = add(session, 12)
    for row in rows:
        assert row.at < clock.now() + timedelta(days=1)
    until = (clock.now() + timedelta(days=1)).isoformat()
    seen, parts = [], 0
    query = {"tag": "x:y:z", "format": "jsonl", "until": until}
    while True:
        answer = admin.send(root, "GET", f"{LOG}/export", **query)
        assert answer.content_type == "application/x-ndjson; charset=utf-8"
        seen += [json.loads(line)["id"] for line in answer.text.splitlines()]
        parts += 1
        link = answer.headers.get("Link")
        if link is None:
            break
        assert link.startswith("</admin/v1/tenants/1/audit/export?")
        query["after"] = link.partition("after=")[2].partition(">")[0]
    assert seen == [row.id for row in reversed(rows)]
    assert parts == 3


def test_an_export_is_noted_and_limited(root, session, monkeypatch):
    for _ in range(module.EXPORTS_PER_MINUTE):
        assert admin.send(root, "GET", f"{LOG}/export", user=907).status_code == 200
    refusal = admin.send(root, "GET", f"{LOG}/export")
    assert refusal.status_code == 429
    assert int(refusal.headers["Retry-After"]) > 0
    session.rollback()
    noted = audit.search(session, Filters(tag=Tag.AUDIT_EXPORTED))
    assert len(noted) == module.EXPORTS_PER_MINUTE
    assert (noted[0].user_id, noted[0].tenant_id) == (root.user.id, 1)
    assert noted[0].details == {"searched": {"user": "907"}}
    assert admin.send(root, "HEAD", f"{LOG}/export").status_code == 405
