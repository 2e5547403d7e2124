"""Every job that a worker can do, by the name that the outbox keeps.

A job is a function of the process and the message's payload. It works outside of any transaction
and opens its own when it needs one. It returns when the work is done, raises `Unprocessable` when
it never can be done, and anything else to be tried again; what a `Problem` says is kept for the
operator, so it names no secret. A job may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.platform.notify import mail, sms
from idp.platform.runtime import Runtime

Job = Callable[[Runtime, Mapping[str, Any]], None]

JOBS: dict[str, Job] = {
    mail.JOB: mail.send,
    sms.JOB: sms.send,
}
"""`idp.jobs` adds the jobs of the packages above this one."""
