"""The outbox: committed with its cause, taken once, tried again, given up, never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from idp.platform import clock as time_of
from idp.platform.errors import Unavailable, Unprocessable
from idp.platform.jobs import service as jobs
from idp.platform.jobs import worker
from idp.platform.jobs.models import OutboxMessage
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from tests.delivery import JOBS, deliver_due

SECRET = "correct-horse-battery"


class Recorder:
    """A job that notes what it was given, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []
        self.error: Exception | None = None
        self.lock = threading.Lock()

    def __call__(self, _runtime: Runtime, payload: Mapping[str, Any]) -> None:
        with self.lock:
            self.seen.append(payload)
        if self.error is not None:
            raise self.error


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setitem(JOBS, "test.job", worker.Job(recorder))
    return recorder


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


def leave(session: Session, **payload: Any) -> int:
    message_id = jobs.enqueue(session, "test.job", payload)
    session.commit()
    return message_id


def row(session: Session, message_id: int) -> OutboxMessage:
    """Read a message as it is now, and leave no transaction open."""
    session.rollback()
    message = session.get_one(OutboxMessage, message_id, populate_existing=True)
    session.expunge(message)
    session.rollback()
    return message


def test_a_job_is_done_and_its_payload_erased(
    runtime: Runtime, session: Session, job: Recorder
) -> None:
    message_id = leave(session, to="a@example.com", n=1)
    assert deliver_due(runtime) == 1
    assert job.seen == [{"to": "a@example.com", "n": 1}]
    message = row(session, message_id)
    assert message.done_at is not None
    assert message.payload_encrypted is None
    assert message.claimed_by is None
    assert deliver_due(runtime) == 0
    assert len(job.seen) == 1


def test_a_job_goes_with_the_transaction_that_caused_it(
    runtime: Runtime, session: Session, job: Recorder
) -> None:
    jobs.enqueue(session, "test.job", {})
    session.rollback()
    assert deliver_due(runtime) == 0
    assert job.seen == []


def test_the_payload_is_not_readable_in_the_database(session: Session) -> None:
    message = row(session, leave(session, password=SECRET))
    assert message.payload_encrypted
    assert SECRET not in message.payload_encrypted


def test_no_transaction_is_open_while_a_job_runs(
    runtime: Runtime, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(runtime: Runtime, _payload: Mapping[str, Any]) -> None:
        with runtime.sessions() as other:  # would wait for SQLite's one writer's place
            jobs.enqueue(other, "test.other", {})
            other.commit()

    monkeypatch.setitem(JOBS, "test.job", worker.Job(job))
    monkeypatch.setitem(JOBS, "test.other", worker.Job(lambda *_: None))
    leave(session)
    assert deliver_due(runtime) == 2


def test_lanes_do_not_take_each_others_jobs(
    runtime: Runtime, session: Session, job: Recorder
) -> None:
    jobs.enqueue(session, "test.job", {}, lane="build")
    session.commit()
    assert deliver_due(runtime, "notify") == 0
    assert deliver_due(runtime, "build") == 1
    with pytest.raises(ValueError, match="unknown lane"):
        jobs.enqueue(session, "test.job", {}, lane="express")


def test_a_delayed_job_waits(
    runtime: Runtime, session: Session, job: Recorder, clock: time_machine.Traveller
) -> None:
    jobs.enqueue(session, "test.job", {}, delay_seconds=60)
    session.commit()
    assert deliver_due(runtime) == 0
    clock.shift(60)
    assert deliver_due(runtime) == 1


def test_what_failed_is_tried_again_with_growing_pauses(
    runtime: Runtime, session: Session, job: Recorder, clock: time_machine.Traveller
) -> None:
    job.error = Unavailable("The other side sleeps.")
    message_id = leave(session, n=1)
    pauses = []
    for attempt in range(1, 5):
        assert deliver_due(runtime) == 0
        assert len(job.seen) == attempt
        message = row(session, message_id)
        assert message.attempts == attempt
        assert message.last_error == "The other side sleeps."
        pauses.append((message.due_at - time_of.now()).total_seconds())
        clock.move_to(message.due_at)
    for pause, planned in zip(pauses, (10, 20, 40, 80), strict=True):
        assert 0.75 * planned <= pause <= 1.25 * planned
    job.error = None
    assert deliver_due(runtime) == 1
    assert row(session, message_id).last_error is None


def test_pauses_have_an_end_and_differ(runtime: Runtime, session: Session) -> None:
    pauses = set()
    for _ in range(10):
        message_id = leave(session)
        taken = jobs.take(session, "notify", "w")
        assert taken is not None
        late = jobs.Taken(**{**{n: getattr(taken, n) for n in taken.__slots__}, "attempt": 11})
        session.get_one(OutboxMessage, message_id).attempts = 11
        session.flush()
        assert jobs.put_off(session, late, "x")
        session.commit()
        pauses.add((row(session, message_id).due_at - time_of.now()).total_seconds())
    assert max(pauses) <= 1.25 * jobs.LONGEST_PAUSE_SECONDS
    assert len(pauses) > 5


def test_a_job_that_never_works_is_given_up_and_can_be_revived(
    runtime: Runtime, session: Session, job: Recorder, clock: time_machine.Traveller
) -> None:
    job.error = Unavailable("The other side sleeps.")
    message_id = leave(session, n=1)
    for _ in range(jobs.MAX_ATTEMPTS + 3):
        deliver_due(runtime)
        clock.shift(2 * jobs.LONGEST_PAUSE_SECONDS)
    assert len(job.seen) == jobs.MAX_ATTEMPTS
    message = row(session, message_id)
    assert message.failed_at is not None
    assert message.done_at is None
    assert message.payload_encrypted is not None
    job.error = None
    assert jobs.retry_failed(session) == [message_id]
    session.commit()
    assert deliver_due(runtime) == 1
    assert job.seen[-1] == {"n": 1}


def test_a_refusal_for_good_is_not_repeated(
    runtime: Runtime, session: Session, job: Recorder
) -> None:
    job.error = Unprocessable("There is no such address.")
    message_id = leave(session)
    assert deliver_due(runtime) == 0
    message = row(session, message_id)
    assert message.failed_at is not None
    assert message.last_error == "There is no such address."


def test_a_crash_is_logged_without_what_it_says(
    runtime: Runtime, session: Session, job: Recorder, logs: list[Any]
) -> None:
    job.error = KeyError(SECRET)
    message_id = leave(session, password=SECRET)
    assert deliver_due(runtime) == 0
    message = row(session, message_id)
    assert message.last_error == "The job crashed (KeyError)."
    assert message.failed_at is None
    assert [entry["event"] for entry in logs] == ["job_crashed", "job_put_off"]
    assert "test_jobs.py" in logs[0]["trace"]
    assert SECRET not in repr(logs)


def test_an_unknown_job_waits_for_a_version_that_knows_it(
    runtime: Runtime, session: Session
) -> None:
    message_id = jobs.enqueue(session, "job.of.tomorrow", {})
    session.commit()
    assert deliver_due(runtime) == 0
    message = row(session, message_id)
    assert message.last_error == "This version knows no job job.of.tomorrow."
    assert message.failed_at is None


def test_a_lost_root_secret_is_said_in_a_sentence(
    runtime: Runtime, session: Session, job: Recorder
) -> None:
    message_id = leave(session)
    runtime.keyring = Keyring(["another root secret of 32 characters"])
    assert deliver_due(runtime) == 0
    assert "IDP_SECRET_KEY" in (row(session, message_id).last_error or "")
    assert job.seen == []


def test_a_dead_workers_job_is_taken_when_its_lease_is_over(
    runtime: Runtime, session: Session, job: Recorder, clock: time_machine.Traveller
) -> None:
    message_id = leave(session)
    dead = jobs.take(session, "notify", "dead")
    session.commit()
    assert dead is not None
    clock.shift(jobs.LEASE_SECONDS["notify"] - 1)
    assert deliver_due(runtime) == 0
    clock.shift(1)
    assert deliver_due(runtime) == 1
    # It was only slow: what it reports now must not count.
    assert not jobs.put_off(session, dead, "too late")
    assert not jobs.finish(session, dead)
    session.commit()
    message = row(session, message_id)
    assert message.last_error is None
    assert message.attempts == 2


def test_a_slow_workers_report_does_not_touch_the_next_lease(
    session: Session, clock: time_machine.Traveller
) -> None:
    message_id = leave(session)
    first = jobs.take(session, "notify", "same name")
    clock.shift(jobs.LEASE_SECONDS["notify"])
    second = jobs.take(session, "notify", "same name")
    assert first is not None
    assert second is not None
    assert not jobs.finish(session, first)
    session.commit()
    assert row(session, message_id).done_at is None
    assert jobs.finish(session, second)


def test_a_job_that_kills_its_worker_ends_too(
    runtime: Runtime, session: Session, job: Recorder, clock: time_machine.Traveller
) -> None:
    message_id = leave(session)
    for _ in range(jobs.MAX_ATTEMPTS):
        assert jobs.take(session, "notify", "dies") is not None
        session.commit()
        clock.shift(jobs.LEASE_SECONDS["notify"])
    assert deliver_due(runtime) == 0
    assert job.seen == []
    assert row(session, message_id).failed_at is not None


def test_several_workers_do_each_job_once(
    runtime: Runtime, session: Session, job: Recorder
) -> None:
    for n in range(30):
        jobs.enqueue(session, "test.job", {"n": n})
    session.commit()
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: deliver_due(runtime), range(4)))
    assert sum(done) == 30
    assert sorted(payload["n"] for payload in job.seen) == list(range(30))


def test_the_worker_works_until_it_is_told_to_stop(
    runtime: Runtime, session: Session, job: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    stop, done, chores = threading.Event(), threading.Event(), []

    def do(_runtime: Runtime, _stop: threading.Event) -> None:
        chores.append(time.monotonic())
        if len(chores) == 1:
            raise RuntimeError("the first time it fails")

    def work() -> None:
        worker.run(runtime, stop, JOBS, chores=[worker.Chore("test", 0.01, do)])
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    leave(session, n=1)
    jobs.enqueue(session, "test.job", {"n": 2}, lane="build")
    session.commit()
    wait_until(lambda: len(job.seen) == 2 and len(chores) > 2)
    stop.set()
    assert done.wait(5)
    thread.join()
    leave(session, n=3)
    assert len(job.seen) == 2


def test_a_lane_survives_trouble_of_its_own(
    runtime: Runtime, session: Session, job: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(worker, "TROUBLE_SECONDS", 0.02)
    take, calls = jobs.take, []

    def failing(*args: Any) -> Any:
        calls.append(args)
        if len(calls) < 3:
            raise OSError("the database is away")
        return take(*args)

    monkeypatch.setattr(jobs, "take", failing)
    leave(session, n=1)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: worker.run(runtime, stop, JOBS, lanes=["notify"]))
    thread.start()
    wait_until(lambda: len(job.seen) == 1)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_the_gauge_tells_how_long_the_oldest_is_overdue(
    runtime: Runtime, session: Session, job: Recorder, clock: time_machine.Traveller
) -> None:
    def oldest() -> float:
        seconds = jobs.oldest_seconds(session)
        session.rollback()
        return seconds

    assert oldest() == 0
    jobs.enqueue(session, "test.job", {}, delay_seconds=60)
    session.commit()
    clock.shift(60)
    assert oldest() == 0
    clock.shift(5)
    assert oldest() == pytest.approx(5)
    job.error = Unavailable("The other side sleeps.")
    deliver_due(runtime)
    # Put off, it is still waited for, since it was made.
    assert oldest() == pytest.approx(65)
    job.error = None
    clock.shift(60)
    assert deliver_due(runtime) == 1
    assert oldest() == 0


def test_payloads_move_to_the_new_root_secret(
    runtime: Runtime, session: Session, job: Recorder, settings: Any
) -> None:
    for n in range(3):
        leave(session, n=n)
    (old,) = settings.secret_keys
    new = "a newer root secret of 32 characters"
    runtime.keyring = Keyring([new, old])
    leave(session, n=3)
    assert jobs.rewrap(session) == 3
    session.commit()
    assert jobs.rewrap(session) == 0
    session.commit()
    runtime.keyring = Keyring([new])
    assert deliver_due(runtime) == 4


def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
