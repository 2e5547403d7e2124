"""The worker: one loop per lane of the outbox, and one for the chores."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from idp.platform.errors import Problem, Unprocessable
from idp.platform.jobs import registry, service
from idp.platform.runtime import Runtime
from idp.platform.secrets import UnknownKeyError, random_token

log = structlog.get_logger()

LANES = ("notify", "gateway", "build")
POLL_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
"""Pause after an error of the loop itself, for example while the database is away."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do again and again; two workers at once must be harmless."""

    name: str
    every_seconds: float
    do: Callable[[Runtime, threading.Event], object]


def run(
    runtime: Runtime,
    stop: threading.Event,
    *,
    lanes: Sequence[str] = LANES,
    chores: Sequence[Chore] = (),
) -> None:
    """Work until `stop` is set; what is under way then is finished first."""
    threads = [
        threading.Thread(target=_run_lane, args=(runtime, stop, lane), name=f"lane {lane}")
        for lane in lanes
    ]
    threads.append(threading.Thread(target=_run_chores, args=(runtime, stop, chores)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def deliver_due(runtime: Runtime, lane: str = "notify") -> int:
    """Try everything that is due now and tell how many messages were done."""
    worker = _name()
    done = 0
    while (outcome := _deliver_one(runtime, lane, worker)) is not None:
        done += outcome
    return done


def _run_lane(runtime: Runtime, stop: threading.Event, lane: str) -> None:
    worker = _name()
    while not stop.is_set():
        try:
            pause = POLL_SECONDS if _deliver_one(runtime, lane, worker) is None else 0.0
        except Exception as error:  # noqa: BLE001 - a loop of last resort: the lane must go on
            _log_trouble("lane_interrupted", error, lane=lane)
            pause = TROUBLE_SECONDS
        stop.wait(pause)


def _run_chores(runtime: Runtime, stop: threading.Event, chores: Sequence[Chore]) -> None:
    due = {chore.name: time.monotonic() for chore in chores}
    while not stop.is_set():
        for chore in chores:
            if stop.is_set() or time.monotonic() < due[chore.name]:
                continue
            due[chore.name] = time.monotonic() + chore.every_seconds
            try:
                chore.do(runtime, stop)
            except Exception as error:  # noqa: BLE001 - as above
                _log_trouble("chore_failed", error, chore=chore.name)
        stop.wait(POLL_SECONDS)


def _deliver_one(runtime: Runtime, lane: str, worker: str) -> bool | None:
    """Take, commit, work, commit: whether the message is done; None when none is due."""
    with runtime.sessions() as session:
        taken = service.take(session, lane, worker)
        session.commit()
    if taken is None:
        return None
    # Whoever died while working on it did not report, so the count is looked at first.
    if taken.attempt > service.MAX_ATTEMPTS:
        error, is_final = "The worker stopped each time while doing this job.", True
    else:
        error, is_final = _work(runtime, taken)
    with runtime.sessions() as session:
        if not error:
            is_ours = service.finish(session, taken)
        elif is_final:
            is_ours = service.give_up(session, taken, error)
        else:
            is_ours = service.put_off(session, taken, error)
        session.commit()
    event = "job_failed" if error and is_final else "job_put_off" if error else "job_done"
    write = log.error if error and is_final else log.warning if error else log.info
    about = {"job": taken.job, "message_id": taken.id, "attempt": taken.attempt}
    if error:
        about["reason"] = error
    write(event if is_ours else "job_lease_lost", **about)
    return not error


def _work(runtime: Runtime, taken: service.Taken) -> tuple[str, bool]:
    """Do the job: an empty text, or why not, and whether trying again is useless."""
    is_last = taken.attempt >= service.MAX_ATTEMPTS
    job = registry.JOBS.get(taken.job)
    if job is None:
        return f"This version knows no job {taken.job}.", is_last
    try:
        job(runtime, service.open_payload(runtime, taken))
    except Unprocessable as problem:
        return problem.detail, True
    except Problem as problem:
        return problem.detail, is_last
    except UnknownKeyError:
        return "IDP_SECRET_KEY no longer holds the key that this message was kept under.", is_last
    except Exception as error:  # noqa: BLE001 - a job of any kind; its message may hold a secret
        _log_trouble("job_crashed", error, job=taken.job, message_id=taken.id)
        return f"The job crashed ({type(error).__name__}).", is_last
    return "", False


def _log_trouble(event: str, error: Exception, **about: object) -> None:
    """Log where it happened, never what the exception says: it may quote the payload."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error(event, error=type(error).__name__, trace=where, **about)


def _name() -> str:
    """Name this loop so that no other, on any node, is taken for it."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{random_token(6)}"
