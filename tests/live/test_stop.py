"""Stopping loses no request and nothing that was counted, and waits for no idle client."""

from __future__ import annotations

import asyncio
import http.client
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import pytest

from idp.directory.authentication import service as authentication
from idp.platform import clock
from idp.platform.runtime import RequestContext
from idp.server.process import KILL_SECONDS
from tests import protocol
from tests.live import callers
from tests.live.callers import KINDS
from tests.live.site import FREE_TRIES, Site
from tests.protocol import App

pytestmark = pytest.mark.no_database

CALLERS = 12
ANSWERS = 5


@dataclass
class Caller:
    """A service that asks for tokens over one connection as long as it stays open."""

    site: Site
    app: App
    answered: int = 0
    faults: list[object] = field(default_factory=list)

    def run(self) -> None:
        """Ask until the port is closed."""
        form = {"grant_type": "client_credentials", **self.app.post}
        while True:
            try:
                line = self.site.line()
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.faults.append(error)
                return
            with line:
                is_open = True
                while is_open:
                    try:
                        answer = line.ask("POST", "/connect/token", form)
                    except (OSError, http.client.HTTPException) as error:
                        self.faults.append(error)
                        return
                    if answer.status != 200:
                        self.faults.append(answer)
                    self.answered += 1
                    is_open = answer.headers.get("connection") != "close"


@contextmanager
def hammered(site: Site) -> Iterator[list[Caller]]:
    """Keep many callers busy while something happens, and one connection idle."""
    app = site.machine()
    callers = [Caller(site, app) for _ in range(CALLERS)]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    with site.line() as idle:
        assert idle.ask("GET", "/healthz").status == 200
        for thread in threads:
            thread.start()
        end = time.monotonic() + 30
        while any(caller.answered < ANSWERS for caller in callers) and time.monotonic() < end:
            time.sleep(0.05)
        yield callers
        for thread in threads:
            thread.join(KILL_SECONDS)


def stop(site: Site, processes: list[psutil.Process]) -> None:
    """Ask processes to stop, and see the server end in good order and time."""
    started = time.monotonic()
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert site.server.process.wait(KILL_SECONDS + 5) == 0
    assert time.monotonic() - started < KILL_SECONDS


def check_nothing_was_lost(callers: list[Caller]) -> None:
    assert [fault for caller in callers for fault in caller.faults] == []
    assert all(caller.answered >= ANSWERS for caller in callers)


def test_stopping_and_starting_again_loses_nothing(site: Site) -> None:
    app, user, attacked = site.web(), site.person(), site.person()
    first = site.tokens(app, user)["refresh_token"]
    before = site.refresh(app, first).json()
    site.forget_tries()
    for _ in range(FREE_TRIES):
        assert site.sign_in(attacked, "not-the-password-1").status == 400
    # Another node goes on counting, so that the delay outlasts the restart.
    with site.sessions() as session:
        session.info["context"] = RequestContext("another-node", "127.0.0.1")
        keys = authentication.throttle_keys(session, attacked.username)
    for _ in range(8):
        site.runtime.throttle.failed(authentication.THROTTLE, *keys)

    try:
        with hammered(site) as callers:
            stop(site, [psutil.Process(site.server.process.pid)])
    finally:
        site.restart()
    check_nothing_was_lost(callers)

    # How long a restart takes here is not what the window is about.
    with site.sessions() as session:
        protocol.family_of(session, first).rotated_at = clock.now()
        session.commit()
    retried = site.refresh(app, first)
    assert retried.status == 200, retried
    assert retried.json()["refresh_token"] == before["refresh_token"]
    assert site.rotations(first) == 1
    assert site.is_active(app, before["access_token"])

    refused = site.sign_in(attacked)
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert site.sign_in(user).status == 303
    site.forget_tries()


def test_stopping_every_process_at_once_loses_nothing_either(site: Site) -> None:
    main = psutil.Process(site.server.process.pid)
    try:
        with hammered(site) as callers:
            # As a service manager does it.
            stop(site, [main, *main.children(recursive=True)])
    finally:
        site.restart()
    check_nothing_was_lost(callers)


def test_stopping_under_mixed_calls_loses_nothing(site: Site) -> None:
    mixed = callers.crowd(site, CALLERS, callers.seed())

    async def act() -> None:
        for _ in range(600):
            if {kind for kind, _ in mixed.counts} == KINDS:
                break
            await asyncio.sleep(0.05)
        await asyncio.to_thread(stop, site, [psutil.Process(site.server.process.pid)])

    try:
        callers.run(mixed.during(act))
    finally:
        site.restart()
    assert {kind for kind, _ in mixed.counts} == KINDS
    # What was answered counts: codes, refresh tokens and revocations are as they were given.
    callers.run(mixed.once_each())
    mixed.check_faults()


def test_workers_end_with_a_server_that_is_killed(site: Site) -> None:
    main = psutil.Process(site.server.process.pid)
    family = main.children(recursive=True)
    assert len(family) >= 4  # two workers, metrics, outbox
    main.kill()
    site.server.process.wait(10)
    _, alive = psutil.wait_procs(family, timeout=15)
    try:
        assert alive == []
    finally:
        for process in alive:
            process.kill()
        site.start()
