"""A process that is killed takes no token with it."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil
import pytest

from tests.live import callers
from tests.live.site import Site
from tests.protocol import App

pytestmark = pytest.mark.no_database

MACHINES = 4
PEOPLE = 4
MIXED = 16
RECOVERY_SECONDS = 60
LEAST = 10
"""More tokens than these come to each visitor, however slow the machine is."""


@dataclass
class Visitor:
    """A client that requests one token after the other, and again when no answer came."""

    site: Site
    app: App
    refresh_token: str | None = None
    received: list[str] = field(default_factory=list)
    refusals: list[object] = field(default_factory=list)
    lost: int = 0

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        while not stop.is_set():
            try:
                self._ask()
            except (OSError, http.client.HTTPException):
                self.lost += 1
                time.sleep(0.02)

    def _ask(self) -> None:
        if self.refresh_token is None:
            answer = self.site.machine_token(self.app)
        else:
            answer = self.site.refresh(self.app, self.refresh_token)
        if answer.status != 200:
            self.refusals.append(answer)
            return
        tokens = answer.json()
        self.received.append(tokens["access_token"])
        if self.refresh_token is not None:
            self.refresh_token = tokens["refresh_token"]


def wait_for_workers(site: Site, number: int, *, without: int) -> None:
    end = time.monotonic() + RECOVERY_SECONDS
    while len(set(site.worker_pids()) - {without}) < number:
        assert time.monotonic() < end, site.server.output()[-2000:]
        time.sleep(0.1)


def wait_until_each_received_some(visitors: Sequence[Visitor]) -> None:
    end = time.monotonic() + RECOVERY_SECONDS
    while any(len(visitor.received) <= LEAST for visitor in visitors):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_worker_killed_in_a_flood_loses_no_token(site: Site) -> None:
    machine, web = site.machine(), site.web()
    visitors = [Visitor(site, machine) for _ in range(MACHINES)]
    for _ in range(PEOPLE):
        tokens = site.tokens(web, site.person())
        visitors.append(Visitor(site, web, tokens["refresh_token"], [tokens["access_token"]]))
    stop = threading.Event()
    threads = [threading.Thread(target=visitor.run, args=(stop,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        victim = site.worker_pids()[0]
        psutil.Process(victim).kill()
        wait_for_workers(site, 2, without=victim)
        time.sleep(1)
        wait_until_each_received_some(visitors)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)

    for visitor in visitors:
        assert visitor.refusals == []
        assert len(visitor.received) > LEAST
        assert all(site.is_active(visitor.app, token) for token in visitor.received[-200:])
        if visitor.refresh_token is not None:
            assert site.refresh(visitor.app, visitor.refresh_token).status == 200
    # Each worker serves again, the new one too.
    for line in site.line_per_worker():
        with line:
            form = {"grant_type": "client_credentials", **machine.post}
            assert line.ask("POST", "/connect/token", form).status == 200


def test_a_worker_killed_under_mixed_calls_costs_what_it_held_and_no_more(site: Site) -> None:
    mixed = callers.crowd(site, MIXED, callers.seed())

    async def act() -> None:
        await asyncio.sleep(1)
        victim = site.worker_pids()[1]  # the other test kills the other one
        psutil.Process(victim).kill()
        before = sum(mixed.counts.values())
        await asyncio.to_thread(wait_for_workers, site, 2, without=victim)
        # The other worker went on meanwhile.
        assert sum(mixed.counts.values()) > before + MIXED
        await asyncio.sleep(1)

    async def main() -> None:
        await mixed.during(act, may_lose=True)
        await mixed.once_each()

    callers.run(main())
    mixed.check_faults()
    # A request on each connection of the worker, and what lay before its socket.
    assert 0 < mixed.lost <= 2 * MIXED
