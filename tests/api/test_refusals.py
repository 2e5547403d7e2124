"""Refused callers leave a trace, and not a flood of traces."""

from __future__ import annotations

from sqlalchemy import select

from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests.api import center


def traces(session):
    query = select(AuditEvent).where(AuditEvent.tag == Tag.OPERATION_REFUSED)
    return list(session.scalars(query))


def test_a_caller_without_the_permission_leaves_a_trace(client, session):
    caller = center.manager(client, session, "ids4.ms.client.detail")
    assert caller.send("GET", "/Client").status_code == 403
    (trace,) = traces(session)
    assert trace.user_id == caller.user.id
    assert trace.client_id == center.TOOL
    assert trace.tenant_id == 1
    assert trace.target == "operation:client-get"
    assert "permission" in trace.details["reason"]


def test_many_refusals_leave_ten_rows_a_minute(client, session):
    caller = center.manager(client, session)
    for _ in range(15):
        assert caller.send("GET", "/Client").status_code == 403
    assert len(traces(session)) == 10


def test_a_call_without_a_token_leaves_no_row(client, session):
    assert client.get("/api/Client").status_code == 401
    assert not traces(session)
