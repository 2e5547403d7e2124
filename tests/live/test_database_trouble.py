"""Trouble of PostgreSQL under load costs answers with 503 at most, and ends when it is over."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from tests.conftest import _migrate_and_seed
from tests.databases import create_database
from tests.live import callers
from tests.live.callers import Caller, Crowd
from tests.live.site import Site, running
from tests.servers import Postgres

pytestmark = pytest.mark.no_database

NAME = "trouble"
CALLERS = 40
"""More than the connections of both workers together."""
PAUSE_SECONDS = 0.2
"""Between two requests of a caller: other tests want the machine too."""
CUTS = 20
RECOVERY_SECONDS = 4.0
LOCK_SECONDS = 12.0
"""Longer than a statement may take on the event loop."""
CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

Act = Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """Run a PostgreSQL for one test alone."""
    server = Postgres(durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def troubled(cluster: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run `idp serve` on it."""
    create_database(cluster, NAME)
    _migrate_and_seed(cluster.url(NAME), tmp_path_factory.mktemp("seeding"))
    with running(tmp_path_factory.mktemp("troubled"), cluster.url(NAME)) as site:
        yield site


@pytest.fixture(scope="module")
def everybody(troubled: Site) -> tuple[int, list[Caller]]:
    """Make the callers of all tests here; return the seed of their choices too."""
    chosen = callers.seed()
    return chosen, list(callers.crowd(troubled, CALLERS, chosen).callers)


def connected(cluster: Postgres) -> psycopg.Connection[tuple[object, ...]]:
    """Open a session of an operator."""
    return psycopg.connect(f"host={cluster.folder} user=postgres dbname={NAME}", autocommit=True)


def check(site: Site, everybody: tuple[int, list[Caller]], act: Act) -> Crowd:
    """Call while something happens, and see that nothing but 503 came of it."""
    chosen, found = everybody
    crowd = Crowd(site, found, chosen, may_refuse=True, pause_seconds=PAUSE_SECONDS)

    async def trouble() -> None:
        await asyncio.sleep(1)
        await act()
        await asyncio.sleep(RECOVERY_SECONDS)
        crowd.may_refuse = False
        before = sum(crowd.counts.values())
        await asyncio.sleep(1)
        assert sum(crowd.counts.values()) > before + CALLERS

    async def main() -> None:
        await crowd.during(trouble)
        await crowd.once_each()

    callers.run(main())
    crowd.check_faults()
    site.runtime.engine.dispose()  # our own connections were cut too
    assert crowd.half_done() == []
    assert crowd.lost == 0
    return crowd


def refusals(crowd: Crowd) -> int:
    return sum(number for (_, status), number in crowd.counts.items() if status == 503)


def test_connections_that_are_cut_again_and_again(
    cluster: Postgres, troubled: Site, everybody: tuple[int, list[Caller]]
) -> None:
    async def act() -> None:
        with connected(cluster) as operator:
            for _ in range(CUTS):
                await asyncio.sleep(0.15)
                operator.execute(CUT)

    check(troubled, everybody, act)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_restart_of_postgresql(
    cluster: Postgres, troubled: Site, everybody: tuple[int, list[Caller]], number: int
) -> None:
    async def act() -> None:
        assert cluster.process is not None
        cluster.process.send_signal(number)
        await asyncio.to_thread(cluster.process.wait, 30)
        cluster.serve()

    check(troubled, everybody, act)


def test_statements_that_exceed_their_time(
    cluster: Postgres, troubled: Site, everybody: tuple[int, list[Caller]]
) -> None:
    change = sql.SQL("ALTER DATABASE {} {} statement_timeout {}")
    name = sql.Identifier(NAME)

    async def act() -> None:
        with connected(cluster) as operator:
            operator.execute(change.format(name, sql.SQL("SET"), sql.SQL("= '1ms'")))
            try:
                for _ in range(4):
                    operator.execute(CUT)
                    await asyncio.sleep(1)
            finally:
                operator.execute(change.format(name, sql.SQL("RESET"), sql.SQL("")))
                operator.execute(CUT)

    crowd = check(troubled, everybody, act)
    assert refusals(crowd) > 0


@pytest.mark.parametrize("table", ["grant", "refresh_token", "audit_event"])
def test_connections_that_all_wait_for_a_lock(
    cluster: Postgres, troubled: Site, everybody: tuple[int, list[Caller]], table: str
) -> None:
    async def act() -> None:
        with connected(cluster) as operator, operator.transaction():
            lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
            operator.execute(lock.format(sql.Identifier(table)))
            started = time.monotonic()
            while time.monotonic() < started + LOCK_SECONDS:
                # What needs no database is served meanwhile.
                answer = await asyncio.to_thread(troubled.ask, "GET", "/healthz")
                assert answer.status == 200
                await asyncio.sleep(0.5)

    check(troubled, everybody, act)
