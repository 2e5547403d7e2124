"""Primaries that are frozen, refuse to write, or are replaced: 503 at most, and soon good again."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlencode

import psycopg
import pytest
from sqlalchemy import func, make_url, select, text

from idp.doctor import storage
from idp.platform import connections, postgres
from idp.platform.connections.hosts import known
from tests import coroutines, protocol
from tests.conftest import _migrate_and_seed, make_settings
from tests.databases import create_database
from tests.live.site import OFFLINE, Site, running
from tests.live.test_remembered import administration
from tests.protocol import App
from tests.servers import Postgres

pytestmark = pytest.mark.no_database

NAME = "failover"
VISITORS = 6
PAUSE_SECONDS = 0.02
"""Between two requests of a visitor: other tests want the machine too."""
LOOP_SECONDS = 10.0
"""What a statement on the event loop may take, connecting again, and a little."""
THREAD_SECONDS = 14.0
"""A wait on a thread, and to connect."""
LONGEST_SECONDS = 20.0
RECOVERY_SECONDS = 5.0
AFTER_KILL_SECONDS = 2.0
AFTER_FREEZE_SECONDS = 8.0
PROMOTED_AFTER_SECONDS = 2.0


def operator(server: Postgres, name: str = NAME) -> psycopg.Connection[tuple[object, ...]]:
    """Open a session of an operator."""
    return psycopg.connect(f"host={server.folder} user=postgres dbname={name}", autocommit=True)


def started(server: Postgres) -> Postgres:
    server.start()
    create_database(server, NAME)
    return server


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Site]]:
    """Run `idp serve` on a PostgreSQL of its own."""
    server = started(Postgres(durable=True))
    _migrate_and_seed(server.url(NAME), tmp_path_factory.mktemp("seeding"))
    try:
        with running(tmp_path_factory.mktemp("alone"), server.url(NAME)) as site:
            yield server, site
    finally:
        server.thaw()
        server.stop()


class Visitors:
    """People whose applications refresh their tokens over and over."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.app = site.web()
        self.tokens = [
            site.tokens(self.app, site.person())["refresh_token"] for _ in range(VISITORS)
        ]
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self._done: list[float] = []
        self._stop = threading.Event()

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """Refresh until the block ends."""
        self._stop.clear()
        with ThreadPoolExecutor(VISITORS) as pool:
            tasks = [pool.submit(self._visit, number) for number in range(VISITORS)]
            try:
                yield
            finally:
                self._stop.set()
                for task in tasks:
                    task.result()

    def done_after(self, moment: float) -> float | None:
        """Return how long after a moment the first refresh succeeded that began later."""
        later = [done - moment for done in self._done if done > moment]
        return min(later) if later else None

    def wait_for_success(self, moment: float, seconds: float) -> float:
        """Wait until a refresh succeeds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.done_after(moment)
            if found is not None:
                return found
            time.sleep(0.05)
        pytest.fail(f"no success within {seconds} s: {self.statuses}")

    def _visit(self, number: int) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            begun = time.monotonic()
            answer = self.site.refresh(self.app, self.tokens[number])
            ended = time.monotonic()
            self.slowest = max(self.slowest, ended - begun)
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.tokens[number] = answer.json()["refresh_token"]
                self._done.append(ended)
            else:
                assert answer.status == 503, (answer, ended - begun)
                assert answer.headers["retry-after"] == "1"


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + RECOVERY_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def timed(action: Callable[[], int]) -> tuple[int, float]:
    begun = time.monotonic()
    status = action()
    return status, time.monotonic() - begun


def authorization(app: App) -> str:
    query = urlencode(protocol.authorization_parameters(app, scope=OFFLINE))
    return f"/connect/authorize?{query}"


def test_a_frozen_database_is_waited_for_within_bounds(alone: tuple[Postgres, Site]) -> None:
    server, site = alone
    visitors = Visitors(site)
    person = site.person()
    cookie = site.cookie(person)
    page = {**cookie, "Accept": "text/html"}
    administrator, operation = administration(site), f"/api/Client/{visitors.app.row_id}"
    keys_path = "/.well-known/openid-configuration/jwks"
    with visitors.refreshing(), ThreadPoolExecutor() as pool:
        time.sleep(1.5)  # both workers have looked for changes since the clients were made
        for _ in range(30):  # and both know the keys
            assert site.ask("GET", keys_path).status == 200
        server.freeze()
        try:
            asked = {
                "token": pool.submit(
                    timed, lambda: site.refresh(visitors.app, visitors.tokens[0]).status
                ),
                "authorize": pool.submit(
                    timed, lambda: site.ask("GET", authorization(visitors.app), None, cookie).status
                ),
                "page": pool.submit(timed, lambda: site.ask("GET", "/account", None, page).status),
                "api": pool.submit(
                    timed, lambda: site.ask("GET", operation, None, administrator).status
                ),
            }
            found = {name: task.result() for name, task in asked.items()}
            # What needs no database is answered from memory.
            keys = timed(lambda: site.ask("GET", keys_path).status)
            again = timed(lambda: site.refresh(visitors.app, visitors.tokens[0]).status)
        finally:
            server.thaw()
        thawed = time.monotonic()
        assert visitors.wait_for_success(thawed, 5) < 5
    assert found["token"][0] == 503
    assert found["token"][1] < LOOP_SECONDS
    assert found["authorize"][0] == 503
    assert found["authorize"][1] < LOOP_SECONDS
    assert found["page"][0] == 503
    assert found["page"][1] < THREAD_SECONDS
    assert found["api"][0] == 503
    assert found["api"][1] < THREAD_SECONDS
    assert keys[0] == 200
    assert keys[1] < LOOP_SECONDS
    assert again[0] == 503
    assert visitors.statuses.keys() <= {200, 503}
    assert visitors.slowest < LONGEST_SECONDS
    # A try to connect that was given up a moment ago makes the next ones wait for a second.
    wait_until(lambda: site.ask("GET", "/account", None, page).status == 200)
    assert "request_failed" not in site.server.output()


def test_a_primary_that_refuses_to_write_costs_503_and_is_good_at_once(
    alone: tuple[Postgres, Site],
) -> None:
    server, site = alone
    visitors = Visitors(site)
    person, signing_in = site.person(), site.person()
    cookie = site.cookie(person)
    administrator, operation = administration(site), f"/api/Client/{visitors.app.row_id}"
    whole = site.ask("GET", operation, None, administrator).json()["data"]
    changed = json.dumps({**whole, "clientName": "renamed"})
    seen: dict[str, Counter[int]] = {
        name: Counter() for name in ("authorize", "page", "account", "api")
    }
    with visitors.refreshing(), operator(server, "postgres") as session:
        time.sleep(0.3)
        session.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        session.execute("SELECT pg_reload_conf()")
        try:
            time.sleep(0.5)
            for _ in range(6):
                path = authorization(visitors.app)
                seen["authorize"][site.ask("GET", path, None, cookie).status] += 1
                seen["page"][site.sign_in(signing_in).status] += 1
                with site.line() as line:
                    answer = line.send("PUT", "/api/Client", changed, administrator)
                seen["api"][answer.status] += 1
                seen["account"][site.ask("GET", "/account", None, cookie).status] += 1
        finally:
            session.execute("SET default_transaction_read_only = off")
            session.execute("ALTER SYSTEM RESET default_transaction_read_only")
            session.execute("SELECT pg_reload_conf()")
        allowed = time.monotonic()
        assert visitors.wait_for_success(allowed, 3) < AFTER_KILL_SECONDS
        assert site.ask("GET", authorization(visitors.app), None, cookie).status == 303
        assert site.sign_in(signing_in).status == 303
        with site.line() as line:
            assert line.send("PUT", "/api/Client", changed, administrator).status == 200
    assert seen["authorize"].keys() == {503}
    assert seen["page"].keys() == {503}
    assert seen["api"].keys() == {503}
    assert seen["account"].keys() <= {200, 503}
    assert visitors.statuses.keys() == {200, 503}
    assert "request_failed" not in site.server.output()


def test_a_primary_that_was_replaced_is_left_for_its_successor() -> None:
    primary, standby = started(Postgres(durable=True)), Postgres(durable=True)
    try:
        standby.start(primary)
        with operator(standby) as session:
            session.execute("SELECT pg_promote()")
        # Both say that they lead, as after a freeze.
        both = f"host={primary.folder}&host={standby.folder}"
        url = make_url(f"postgresql+psycopg://postgres@/{NAME}?{both}")
        known.cache_clear()
        hosts = connections.hosts(url)
        engine, where = connections.engine(url), text("SELECT current_setting('data_directory')")
        pool = postgres.Pool(engine)
        directory = select(func.current_setting("data_directory"))

        def on_thread() -> str:
            with engine.connect() as connection:
                return str(connection.scalar(where))

        async def on_loop() -> str:
            ((found,),) = await pool.rows(directory, {})
            pool.close()
            return str(found)

        old, new = str(primary.data), str(standby.data)
        assert on_thread() == old
        assert coroutines.run(on_loop()) == old
        hosts.note_trouble()
        assert on_thread() == new  # the connection in the pool is not used any more
        assert not hosts.is_in_doubt
        hosts.in_order.reverse()
        hosts.note_trouble()
        assert coroutines.run(on_loop()) == new
        assert hosts.in_order[0][0] == str(standby.folder)
        engine.dispose()
        # One that does not answer is not waited for when the other one does.
        primary.freeze()
        hosts.note_trouble()
        assert on_thread() == new
        engine.dispose()
    finally:
        known.cache_clear()
        standby.end()
        primary.end()


def pair(how: str) -> Callable[[Postgres], None]:
    return {"killed": Postgres.kill, "frozen": Postgres.freeze}[how]


@pytest.mark.parametrize(
    ("how", "seconds"), [("killed", AFTER_KILL_SECONDS), ("frozen", AFTER_FREEZE_SECONDS)]
)
def test_a_standby_that_is_promoted_is_found(
    tmp_path_factory: pytest.TempPathFactory, how: str, seconds: float
) -> None:
    primary, standby = started(Postgres(durable=True)), Postgres(durable=True)
    _migrate_and_seed(primary.url(NAME), tmp_path_factory.mktemp("seeding"))
    try:
        standby.start(primary)
        settings = make_settings(tmp_path_factory.mktemp("doctor"), database_url=primary.url(NAME))
        found = storage.standbys(settings)
        assert found.state == "warning"
        assert "walreceiver" in found.seen
        assert "synchronous_standby_names" in found.todo
        with operator(primary) as session:
            session.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            session.execute("SELECT pg_reload_conf()")
        wait_until(lambda: storage.standbys(settings).state == "ok")
        url = f"postgresql+psycopg://postgres@/{NAME}?host={primary.folder}&host={standby.folder}"
        with running(tmp_path_factory.mktemp(how), url) as site:
            visitors = Visitors(site)
            with visitors.refreshing():
                time.sleep(1)
                pair(how)(primary)
                time.sleep(PROMOTED_AFTER_SECONDS)
                with operator(standby) as session:
                    session.execute("ALTER SYSTEM RESET synchronous_standby_names")
                    session.execute("SELECT pg_promote()")
                promoted = time.monotonic()
                gap = visitors.wait_for_success(promoted, seconds + 10)
                time.sleep(1)
                if how == "frozen":
                    # What was sent to it by a worker that has not noticed it would answer.
                    time.sleep(postgres.SECONDS)
                    primary.thaw()
                    time.sleep(1)
                    primary.kill()  # jobs that wait for its standby would wait on
            assert gap < seconds
            assert visitors.statuses.keys() == {200, 503}
            assert visitors.slowest < LONGEST_SECONDS
            # Nothing that was acknowledged is lost: every family goes on.
            for token in visitors.tokens:
                assert site.refresh(visitors.app, token).status == 200
            assert "request_failed" not in site.server.output()
    finally:
        standby.end()
        primary.end()
