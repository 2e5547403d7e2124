"""The outbox emptied in the test's own process."""

from __future__ import annotations

from idp import jobs
from idp.platform.jobs import worker
from idp.platform.runtime import Runtime
from idp.platform.secrets import random_token

JOBS = dict(jobs.JOBS)
"""The jobs of the product; a test may add its own."""


def deliver_due(runtime: Runtime, lane: str = "notify") -> int:
    """Try everything that is due now; return how many messages were done."""
    name = random_token(6)
    done = 0
    while (outcome := worker.deliver_one(runtime, JOBS, lane, name)) is not None:
        done += outcome
    return done
