"""What is published is told to whoever waits for it: mails, repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from idp.platform.jobs import service as jobs
from idp.platform.runtime import Runtime

JOB = "api-published"

LISTENERS: dict[str, str] = {}
"""Jobs that `app.py` hangs on a publication, with their lanes; each gets the payload of `JOB`."""


def announce(session: Session, api_id: int, number: int) -> None:
    """Leave word, in the caller's transaction, that a microservice was published."""
    jobs.enqueue(session, JOB, {"api_id": api_id, "version": number})


def spread(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Leave one job for each listener, so that each is tried again for itself."""
    with runtime.sessions() as session:
        for job, lane in LISTENERS.items():
            jobs.enqueue(session, job, payload, lane=lane)
        session.commit()
