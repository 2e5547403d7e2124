"""Jobs that follow a publication: mails to subscribers, pushes to repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from idp.platform.jobs import service as jobs
from idp.platform.runtime import Runtime

JOB = "api-published"


def announce(session: Session, api_id: int, number: int) -> None:
    """Queue, in the caller's transaction, the jobs that follow a publication."""
    jobs.enqueue(session, JOB, {"api_id": api_id, "version": number})


def spread(lanes: Mapping[str, str], runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Queue several jobs with the same payload, each in its lane and retried on its own."""
    with runtime.sessions() as session:
        for job, lane in lanes.items():
            jobs.enqueue(session, job, payload, lane=lane)
        session.commit()
