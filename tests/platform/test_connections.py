"""How connections to PostgreSQL are made: parameters, hosts, limits, prepared statements."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, literal, make_url, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from idp.app import create_app
from idp.platform import connections, postgres, revisions, schema
from idp.platform.connections import budget
from idp.platform.connections.budget import Budget
from idp.platform.connections.hosts import Hosts, known
from idp.platform.errors import Unavailable
from idp.platform.runtime import Runtime
from tests import coroutines
from tests.conftest import Run, _migrate_and_seed, make_settings
from tests.servers import free_port

pytestmark = pytest.mark.no_database

ONE = select(literal(1).label("one"))
BASE = "postgresql+psycopg://u:p@"


def threshold(engine: Engine) -> int | None:
    """Return after how many uses a connection prepares a statement; None: never."""
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        found: int | None = driver.prepare_threshold
    engine.dispose()
    return found


@pytest.mark.parametrize("prepare", [True, False])
def test_the_application_prepares_unless_it_is_told_not_to(
    new_database: Callable[[], str], tmp_path: Path, prepare: bool
) -> None:
    settings = make_settings(tmp_path, database_url=new_database(), database_prepare=prepare)
    engine = create_app(settings).extensions["idp"].engine
    assert (threshold(engine) is not None) is prepare


@pytest.mark.parametrize("prepare", [True, False])
def test_the_event_loop_prepares_unless_it_is_told_not_to(
    new_database: Callable[[], str], prepare: bool
) -> None:
    engine = connections.engine(new_database())
    pool = postgres.Pool(engine, prepare=prepare)

    async def ask() -> list[Any]:
        for _ in range(3):
            assert await pool.rows(ONE, {}) == [[1]]
        (connection,) = pool._idle
        found: list[Any] = await connection.fetch("SELECT name FROM pg_prepared_statements")
        pool.close()
        return found

    assert (len(coroutines.run(ask())) > int(not prepare)) is prepare


def test_connections_that_are_closed_after_use_prepare_nothing(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    with schema._engine(url) as engine:
        assert threshold(engine) is None
    with revisions.looking(url) as connection:
        assert threshold(connection.engine) is None


# Parameters


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/idp", []),
        ("db/idp", [("db", "")]),
        ("db:5433/idp", [("db", "5433")]),
        ("/idp?host=/run/postgresql", [("/run/postgresql", "")]),
        ("/idp?host=a&host=b", [("a", ""), ("b", "")]),
        ("/idp?host=a:1&host=b:2&host=c", [("a", "1"), ("b", "2"), ("c", "")]),
        ("/idp?host=a,b&port=6000,6001", [("a", "6000"), ("b", "6001")]),
        ("a,b/idp", [("a", ""), ("b", "")]),
    ],
)
def test_hosts_are_read_with_and_without_ports(
    address: str, expected: list[tuple[str, str]]
) -> None:
    url = make_url(BASE + address)
    assert connections.hosts(url).in_order == expected
    given = connections.arguments(url, role="serve")
    assert given.get("target_session_attrs") == ("read-write" if len(expected) > 1 else None)


def test_an_address_has_our_parameters_unless_it_sets_them_itself() -> None:
    url = make_url(BASE + "db/idp")
    assert connections.arguments(url, role="serve") == {
        "connect_timeout": 3,
        "tcp_user_timeout": 5000,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "application_name": f"idp serve {socket.gethostname()}"[:63],
    }
    own = (
        "connect_timeout=7&tcp_user_timeout=1&keepalives_idle=2&keepalives_interval=4"
        "&keepalives_count=5&application_name=mine"
    )
    assert connections.arguments(make_url(f"{BASE}db/idp?{own}"), role="serve") == {}
    several = make_url(f"{BASE}/idp?host=a&host=b&target_session_attrs=any&{own}")
    assert connections.arguments(several, role="serve") == {}


def test_many_hosts_share_the_time_to_connect() -> None:
    url = make_url(BASE + "a,b,c,d/idp")
    assert connections.arguments(url, role="serve")["connect_timeout"] == 2


def test_both_drivers_use_what_the_address_says(new_database: Callable[[], str]) -> None:
    url = new_database()
    show = "SELECT current_setting('application_name')"
    for given, expected in (
        (url, connections.application_name("serve")),
        (f"{url}&application_name=mine&connect_timeout=4", "mine"),
    ):
        engine = connections.engine(given, role="serve")
        with engine.connect() as connection:
            assert connection.exec_driver_sql(show).scalar() == expected
            assert connection.connection.driver_connection is not None
        engine.dispose()
        pool = postgres.Pool(engine)

        async def ask(pool: postgres.Pool = pool) -> Any:
            connection = await pool._take(5)
            found = await connection.fetchval(show)
            connection.terminate()
            return found

        assert coroutines.run(ask()) == expected


def test_a_socket_is_kept_alive_as_libpq_would() -> None:
    given = {**connections.arguments(make_url(BASE + "db/idp"), role="serve")}
    with socket.socket() as tcp:
        connections.keep_alive(tcp, given)
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    with socket.socket() as tcp:
        connections.keep_alive(tcp, {**given, "keepalives": "0"})
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


# Hosts


def test_the_host_that_was_reached_is_tried_first() -> None:
    hosts = Hosts([("a", "1"), ("b", ""), ("c", "3")])
    hosts.prefer("b", "5432")
    assert hosts.in_order == [("b", ""), ("a", "1"), ("c", "3")]
    hosts.prefer("a", "2")
    hosts.prefer("unknown", "1")
    assert hosts.in_order == [("b", ""), ("a", "1"), ("c", "3")]
    assert known("a,b", "1,2") is known("a,b", "1,2")
    assert known("", "").in_order == []


def test_nobody_connects_right_after_a_try_that_took_its_time() -> None:
    hosts = Hosts([("a", "")])
    hosts.gave_up(0.01)  # refused, which costs nobody any time
    assert not hosts.are_paused()
    hosts.gave_up(3)
    assert hosts.are_paused()


@contextmanager
def mute_server() -> Iterator[int]:
    """Accept connections and never answer, as a frozen server does; yield the port."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port), backlog=50):
        yield port


def elapsed(action: Callable[[], Any], *errors: type[Exception]) -> float:
    begun = time.monotonic()
    with pytest.raises(errors):
        action()
    return time.monotonic() - begun


def test_a_server_that_never_answers_is_left_in_time_for_one_that_does(
    new_database: Callable[[], str], run: Run
) -> None:
    url = make_url(new_database())
    with mute_server() as port:
        folder = run.postgres_server().folder
        both = f"postgresql+psycopg://postgres@/{url.database}?host=127.0.0.1:{port}&host={folder}"
        engine = connections.engine(both + "&connect_timeout=2")
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        engine.dispose()
        assert connections.hosts(engine.url).in_order[0] == (str(folder), "")
        known.cache_clear()
        pool = postgres.Pool(engine)

        async def ask() -> list[Any]:
            found = await pool.rows(ONE, {})
            pool.close()
            return found

        assert coroutines.run(ask()) == [[1]]
        known.cache_clear()


def test_a_server_that_never_answers_is_not_waited_for_by_each_one(tmp_path: Path) -> None:
    with mute_server() as port:
        engine = connections.engine(f"{BASE}127.0.0.1:{port}/idp?connect_timeout=2")
        assert 1 < elapsed(engine.connect, OperationalError) < 5
        assert elapsed(engine.connect, OperationalError) < 1
        pool = postgres.Pool(engine)
        assert elapsed(lambda: coroutines.run(pool.rows(ONE, {})), Unavailable) < 1


# Limits


def test_a_wait_on_a_thread_ends_and_the_connection_with_it(
    new_database: Callable[[], str],
) -> None:
    engine = connections.engine(new_database(), seconds=0.5)
    with engine.connect() as connection:
        assert elapsed(lambda: connection.execute(text("SELECT pg_sleep(9)")), DBAPIError) < 5
        assert connection.invalidated
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_command_waits_as_long_as_it_takes(new_database: Callable[[], str]) -> None:
    engine = connections.engine(new_database())
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        assert driver.seconds is None
    engine.dispose()


def test_a_pool_that_is_exhausted_is_waited_for_within_bounds(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    engine = connections.engine(url, pool_size=1, max_overflow=0, pool_timeout=0.2)
    with engine.connect():
        assert elapsed(engine.connect, PoolTimeoutError) < 5
    engine.dispose()
    monkeypatch.setattr(postgres, "CONNECTIONS", 1)
    monkeypatch.setattr(postgres, "WAIT_SECONDS", 0.2)
    pool = postgres.Pool(engine)

    async def ask() -> None:
        held = await pool._take(5)
        with pytest.raises(Unavailable) as refused:
            await pool.rows(ONE, {})
        assert refused.value.headers["Retry-After"] == "1"
        pool._put_back(held)
        assert await pool.rows(ONE, {}) == [[1]]
        pool.close()

    coroutines.run(ask())


@pytest.mark.parametrize("prepare", [True, False])
def test_a_statement_on_the_loop_ends_in_time_and_is_not_repeated(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch, prepare: bool
) -> None:
    monkeypatch.setattr(postgres, "SECONDS", 0.5)
    pool = postgres.Pool(connections.engine(new_database()), prepare=prepare)
    sleep = select(text("1 AS one, pg_sleep(3)"))
    begun = time.monotonic()

    async def ask() -> None:
        with pytest.raises(Unavailable):
            await pool.rows(sleep, {})
        assert time.monotonic() - begun < 0.95
        assert await pool.rows(ONE, {}) == [[1]]
        pool.close()

    coroutines.run(ask())


NAP = select(text("1 AS one, pg_sleep(0.4)"))


@pytest.mark.parametrize("prepare", [True, False])
def test_all_waits_of_a_request_on_the_loop_share_one_budget(
    new_database: Callable[[], str], prepare: bool
) -> None:
    pool = postgres.Pool(connections.engine(new_database()), prepare=prepare)

    async def ask() -> None:
        own, served = Budget(1.0), []

        async def nap_often() -> None:
            while len(served) < 10:
                served.append(await pool.rows(NAP, {}, own))

        with pytest.raises(Unavailable):
            await nap_often()
        assert len(served) <= 2
        assert len(await pool.rows(NAP, {})) == 1  # another request
        pool.close()

    coroutines.run(ask())


def test_all_waits_of_a_request_on_a_thread_share_one_budget(
    new_database: Callable[[], str],
) -> None:
    engine = connections.engine(new_database(), seconds=10)
    with budget.spending(Budget(1.0)), engine.connect() as connection:
        served: list[object] = []

        def nap_often() -> None:
            while len(served) < 10:
                served.append(connection.execute(NAP))

        with pytest.raises(DBAPIError):
            nap_often()
        assert len(served) <= 2
        assert connection.invalidated
    with engine.connect() as connection:
        connection.execute(NAP)
        connection.execute(NAP)
    assert budget.current() is None
    engine.dispose()


def test_a_look_up_for_a_request_on_the_loop_ends_with_its_limit(
    new_database: Callable[[], str],
) -> None:
    engine = connections.engine(new_database(), seconds=10)
    with budget.spending(Budget(each=0.5)), engine.connect() as connection:
        sleep = text("SELECT pg_sleep(5)")
        assert elapsed(lambda: connection.execute(sleep), DBAPIError) < 4
        assert connection.invalidated
    engine.dispose()


def test_a_request_on_a_thread_has_a_budget(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    _migrate_and_seed(url, tmp_path)
    monkeypatch.setattr(budget, "THREAD_SECONDS", 1.0)
    settings = make_settings(tmp_path, database_url=url)
    app = create_app(settings)
    runtime: Runtime = app.extensions["idp"]

    @event.listens_for(runtime.engine, "before_cursor_execute")
    def nap(connection: Any, cursor: Any, *_: Any) -> None:
        cursor.execute("SELECT pg_sleep(0.4)")

    begun = time.monotonic()
    path = "/connect/authorize?client_id=x&response_type=code"
    answer = app.test_client().get(path, base_url=settings.public_url)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert time.monotonic() - begun < 5
    runtime.engine.dispose()


def test_time_that_a_request_spends_otherwise_does_not_count(
    new_database: Callable[[], str],
) -> None:
    engine = connections.engine(new_database(), seconds=10)
    with budget.spending(Budget(0.5)), engine.connect() as connection:
        time.sleep(0.6)
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_server_that_refuses_to_write_loses_all_idle_connections(
    new_database: Callable[[], str],
) -> None:
    engine = connections.engine(new_database())
    first, second = engine.connect(), engine.connect()
    other = second.connection.driver_connection
    second.close()
    first.execute(text("SET TRANSACTION READ ONLY"))
    with pytest.raises(DBAPIError) as refused:
        first.execute(text("CREATE TABLE never (id int)"))
    assert refused.value.connection_invalidated
    first.close()
    with engine.connect() as connection:
        assert connection.connection.driver_connection is not other
    engine.dispose()


def test_connections_of_several_threads_are_bounded_each(new_database: Callable[[], str]) -> None:
    engine = connections.engine(new_database(), seconds=0.5)
    took: list[float] = []

    def work() -> None:
        with engine.connect() as connection:
            sleep = text("SELECT pg_sleep(9)")
            took.append(elapsed(lambda: connection.execute(sleep), DBAPIError))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(took) == 4
    assert max(took) < 5
    engine.dispose()
