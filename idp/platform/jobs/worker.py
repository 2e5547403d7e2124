"""The worker: one loop per lane of the outbox, and one for the chores."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from idp.platform import tracing
from idp.platform.errors import Problem, Unprocessable
from idp.platform.jobs import service
from idp.platform.metrics.declarations import CHORE_SUCCESS, JOBS, OTHER
from idp.platform.runtime import Runtime
from idp.platform.secrets import UnknownKeyError, random_token
from idp.platform.translation import N_, filled

if TYPE_CHECKING:
    from idp.platform.tracing.exporting import Tracer

log = structlog.get_logger()

LANES = ("notify", "gateway", "build")
POLL_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
"""Pause after an error of the loop itself, for example while the database is away."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that messages of the outbox name.

    It works outside of any transaction and opens its own when it needs one. It returns when the
    work is done, raises `Unprocessable` when it never can be done, and anything else to be tried
    again; what a `Problem` says is kept for the operator, so it names no secret. A job may be done
    twice.
    """

    work: Callable[[Runtime, Mapping[str, Any]], None]
    """Takes the payload of the message."""
    lane: str = "notify"
    """Lane that its messages are left in."""


Jobs = Mapping[str, Job]
"""Jobs by the names that the outbox keeps."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do again and again; two workers at once must be harmless."""

    name: str
    every_seconds: float
    do: Callable[[Runtime, threading.Event], object]


def run(
    runtime: Runtime,
    stop: threading.Event,
    jobs: Jobs,
    *,
    lanes: Sequence[str] = LANES,
    chores: Sequence[Chore] = (),
) -> None:
    """Work until `stop` is set; what is under way then is finished first."""
    threads = [
        threading.Thread(target=_run_lane, args=(runtime, stop, jobs, lane), name=f"lane {lane}")
        for lane in lanes
    ]
    threads.append(threading.Thread(target=_run_chores, args=(runtime, stop, chores)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def deliver_one(runtime: Runtime, jobs: Jobs, lane: str, worker: str) -> bool | None:
    """Take a message and work on it; return whether it is done, None when none is due."""
    with runtime.sessions() as session:
        taken = service.take(session, lane, worker)
        session.commit()
    if taken is None:
        return None
    # A worker that died while working on it reported nothing, so the count is checked first.
    if taken.attempt > service.MAX_ATTEMPTS:
        error, is_final = N_("The worker stopped each time while doing this job."), True
    elif runtime.tracer is None:
        error, is_final = _work(runtime, jobs.get(taken.job), taken)
    else:
        error, is_final = _work_traced(runtime, runtime.tracer, jobs.get(taken.job), taken)
    with runtime.sessions() as session:
        if not error:
            is_ours = service.finish(session, taken)
        elif is_final:
            is_ours = service.give_up(session, taken, error)
        else:
            is_ours = service.put_off(session, taken, error)
        session.commit()
    outcome = "failed" if error and is_final else "put_off" if error else "done"
    # A release beside this one may have left jobs of other names.
    name = taken.job if taken.job in jobs else OTHER
    runtime.counts.add(JOBS, name, outcome if is_ours else "lost")
    write = log.error if error and is_final else log.warning if error else log.info
    about = {"job": taken.job, "message_id": taken.id, "attempt": taken.attempt}
    if error:
        about["reason"] = error
    write(f"job_{outcome}" if is_ours else "job_lease_lost", **about)
    return not error


def _run_lane(runtime: Runtime, stop: threading.Event, jobs: Jobs, lane: str) -> None:
    worker = _name()
    while not stop.is_set():
        try:
            outcome = deliver_one(runtime, jobs, lane, worker)
            pause = POLL_SECONDS if outcome is None else 0.0
        except Exception as error:  # noqa: BLE001 - a loop of last resort: the lane must go on
            _log_trouble("lane_interrupted", error, lane=lane)
            pause = TROUBLE_SECONDS
        stop.wait(pause)


def _run_chores(runtime: Runtime, stop: threading.Event, chores: Sequence[Chore]) -> None:
    due = {chore.name: time.monotonic() for chore in chores}
    for chore in chores:
        runtime.counts.set(CHORE_SUCCESS, time.time(), chore.name)
    while not stop.is_set():
        for chore in chores:
            if stop.is_set() or time.monotonic() < due[chore.name]:
                continue
            due[chore.name] = time.monotonic() + chore.every_seconds
            try:
                chore.do(runtime, stop)
                runtime.counts.set(CHORE_SUCCESS, time.time(), chore.name)
            except Exception as error:  # noqa: BLE001 - as above
                _log_trouble("chore_failed", error, chore=chore.name)
        stop.wait(POLL_SECONDS)


def _work(runtime: Runtime, job: Job | None, taken: service.Taken) -> tuple[str, bool]:
    """Do the job: an empty text, or why not, and whether trying again is useless."""
    is_last = taken.attempt >= service.MAX_ATTEMPTS
    if job is None:
        return filled(N_("This version knows no job %(name)s."), name=taken.job), is_last
    try:
        job.work(runtime, service.open_payload(runtime, taken))
    except Unprocessable as problem:
        return problem.detail, True
    except Problem as problem:
        return problem.detail, is_last
    except UnknownKeyError:
        return N_(
            "IDP_SECRET_KEY no longer holds the key that this message was kept under."
        ), is_last
    except Exception as error:  # noqa: BLE001 - a job of any kind; its message may hold a secret
        _log_trouble("job_crashed", error, job=taken.job, message_id=taken.id)
        return filled(N_("The job crashed (%(error)s)."), error=type(error).__name__), is_last
    return "", False


def _work_traced(
    runtime: Runtime, tracer: Tracer, job: Job | None, taken: service.Taken
) -> tuple[str, bool]:
    """Do the job as a step of the trace that it was left by."""
    about: Mapping[str, str | int] = {"idp.message": taken.id, "idp.attempt": taken.attempt}
    span = tracer.begin(f"job {taken.job}", taken.trace, about, kind="consumer")
    with tracing.using(span):
        error, is_final = _work(runtime, job, taken)
    span.end(has_failed=bool(error))
    return error, is_final


def _log_trouble(event: str, error: Exception, **about: object) -> None:
    """Log where it happened, never the text of the exception: it may quote the payload."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error(event, error=type(error).__name__, trace=where, **about)


def _name() -> str:
    """Name this loop so that no other, on any node, is taken for it."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{random_token(6)}"
