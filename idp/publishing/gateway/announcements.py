"""What is published is told to whoever waits for it: mails, repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from idp.platform.jobs import service as jobs
from idp.platform.runtime import Runtime

JOB = "api-published"


def announce(session: Session, api_id: int, number: int) -> None:
    """Leave word, in the caller's transaction, that a microservice was published."""
    jobs.enqueue(session, JOB, {"api_id": api_id, "version": number})


def spread(lanes: Mapping[str, str], runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Leave several jobs with the same payload, each in its lane; each is tried by itself."""
    with runtime.sessions() as session:
        for job, lane in lanes.items():
            jobs.enqueue(session, job, payload, lane=lane)
        session.commit()
