"""`idp outbox`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage

Run = Callable[..., Result]
RunJson = Callable[..., Any]


@pytest.fixture
def failed(session: Session) -> list[int]:
    """Leave one message that waits and two that were given up; return the ids of these."""
    jobs.enqueue(session, "mail", {"to": "waiting@example.com"})
    ids = [jobs.enqueue(session, "mail", {"to": "ann@example.com"}) for _ in range(2)]
    for row_id in ids:
        row = session.get_one(OutboxMessage, row_id)
        row.failed_at, row.attempts, row.last_error = clock.now(), 12, "The server refused it."
    session.commit()
    return ids


def test_what_waits_and_what_failed_is_listed_without_its_content(
    idp: Run, idp_json: RunJson, failed: list[int]
) -> None:
    rows = idp_json("outbox", "list")
    assert len(rows) == 3
    given_up = idp_json("outbox", "list", "--failed")
    assert [row["id"] for row in given_up] == failed
    assert given_up[0]["last_error"] == "The server refused it."
    assert given_up[0]["attempts"] == 12
    assert "@example.com" not in idp("outbox", "list").output + str(rows)


def test_one_message_is_sent_again(idp_json: RunJson, session: Session, failed: list[int]) -> None:
    assert idp_json("outbox", "retry", str(failed[0])) == {"retried": [failed[0]]}
    session.expire_all()
    row = session.get_one(OutboxMessage, failed[0])
    assert (row.failed_at, row.attempts) == (None, 0)
    assert session.get_one(OutboxMessage, failed[1]).failed_at is not None
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == "system:outbox:retried"))
    assert [event.details for event in events] == [{"count": 1}]


def test_all_that_failed_is_sent_again(idp_json: RunJson, failed: list[int]) -> None:
    assert idp_json("outbox", "retry", "--all") == {"retried": failed}
    assert idp_json("outbox", "list", "--failed") == []
    assert idp_json("outbox", "retry", "--all") == {"retried": []}


def test_only_what_failed_can_be_retried_and_all_of_it_or_nothing(
    idp: Run, session: Session, failed: list[int]
) -> None:
    refused = idp("outbox", "retry", str(failed[0]), "999", code=1)
    assert refused.stderr == "Error: No failed message has this id: 999.\n"
    session.expire_all()
    assert session.get_one(OutboxMessage, failed[0]).failed_at is not None
    for arguments in ((), ("--all", str(failed[0]))):
        assert "Name messages" in idp("outbox", "retry", *arguments, code=1).stderr
