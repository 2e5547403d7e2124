"""Jobs that are cancelled, or due at once."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage


def test_a_withdrawn_job_is_erased_and_never_taken(session: Session) -> None:
    message_id = jobs.enqueue(session, "mail", {"to": "a@b.example"})
    jobs.withdraw(session, message_id)
    session.expire_all()
    row = session.get_one(OutboxMessage, message_id)
    assert row.done_at is not None
    assert row.payload_encrypted is None
    assert jobs.take(session, "notify", "worker") is None


def test_a_job_that_is_wanted_at_once_need_not_wait(session: Session) -> None:
    message_id = jobs.enqueue(session, "mail", {}, delay_seconds=600)
    assert jobs.take(session, "notify", "worker") is None
    jobs.hasten(session, message_id)
    taken = jobs.take(session, "notify", "worker")
    assert taken is not None
    assert taken.id == message_id


def test_what_a_worker_holds_is_left_to_it(session: Session) -> None:
    message_id = jobs.enqueue(session, "mail", {"to": "a@b.example"})
    taken = jobs.take(session, "notify", "worker")
    assert taken is not None
    jobs.withdraw(session, message_id)
    jobs.hasten(session, message_id)
    session.expire_all()
    row = session.get_one(OutboxMessage, message_id)
    assert row.done_at is None
    assert row.payload_encrypted is not None
    assert jobs.take(session, "notify", "another") is None
    assert jobs.finish(session, taken)
