"""What publications leave to the worker, by the names that the outbox keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.platform.runtime import Runtime
from idp.publishing.gateway import announcements
from idp.publishing.gateway.service import settling

JOBS: dict[str, Callable[[Runtime, Mapping[str, Any]], None]] = {
    announcements.JOB: announcements.spread,
    settling.RETRY_JOB: settling.retry_job,
    settling.REPAIR_JOB: settling.repair_job,
}
