"""Connections to PostgreSQL that are cut cost answers with 503 at most, and no waiting."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from tests.live.site import Site
from tests.protocol import App

pytestmark = pytest.mark.no_database

CUTS = 20
VISITORS = 6
LONGEST_SECONDS = 5.0
CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def ask_until(stop: threading.Event, site: Site, app: App, token: str) -> tuple[set[int], float]:
    """Refresh over and over, with the same token where no answer says what became of it."""
    seen: set[int] = set()
    slowest = 0.0
    while not stop.is_set():
        begun = time.monotonic()
        answer = site.refresh(app, token)
        slowest = max(slowest, time.monotonic() - begun)
        seen.add(answer.status)
        if answer.status == 200:
            token = answer.json()["refresh_token"]
    assert site.refresh(app, token).status == 200
    return seen, slowest


def test_connections_that_are_cut_cost_no_family_of_tokens(site: Site) -> None:
    app = site.web()
    tokens = [site.tokens(app, site.person())["refresh_token"] for _ in range(VISITORS)]
    stop = threading.Event()
    with ThreadPoolExecutor(VISITORS) as pool:
        asked = [pool.submit(ask_until, stop, site, app, token) for token in tokens]
        with site.sessions() as session:
            for _ in range(CUTS):
                time.sleep(0.15)
                assert session.scalar(text(CUT))
                session.commit()
        time.sleep(0.5)
        stop.set()
        found = [task.result() for task in asked]
    # What threads hold was cut too; the tests that follow shall not be the first to notice.
    assert site.restart() == 0
    assert set().union(*(seen for seen, _ in found)) <= {200, 503}
    assert max(slowest for _, slowest in found) < LONGEST_SECONDS
