"""PgBouncer in transaction mode in front of PostgreSQL: nothing leans on one server process."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from idp.doctor import storage
from tests.conftest import Run, as_environment, make_settings
from tests.live.site import Site, filled_database, running
from tests.servers import Postgres, _stop, clean_environment, dies_with_us, free_port, short_dir

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.no_database,
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
]

POOL = 4
PEOPLE = 8
REFRESHES = 40


@contextmanager
def pgbouncer(server: Postgres, mode: str = "transaction") -> Iterator[Callable[[str], str]]:
    """Run PgBouncer in front of a cluster; yield what makes the address of a database."""
    folder, port = short_dir(), free_port()
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": POOL,
        "max_client_conn": 200,
        "ignore_startup_parameters": "extra_float_digits",
    }
    lines = ["[databases]", f"* = host={server.folder} user=postgres", "[pgbouncer]"]
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        "\n".join(lines + [f"{name} = {value}" for name, value in options.items()])
    )
    configuration.chmod(0o644)
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    log = folder / "pgbouncer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(PROGRAM), str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=dies_with_us(9),  # noqa: PLW1509 - one prctl, no lock
            **who,
        )
    try:
        end = time.monotonic() + 30
        while not answers(f"host=127.0.0.1 port={port} user=postgres dbname=postgres"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield lambda name: f"postgresql+psycopg://postgres@127.0.0.1:{port}/{name}"
    finally:
        _stop(process, 2)
        shutil.rmtree(folder, ignore_errors=True)


def answers(where: str) -> bool:
    """Return whether a database can be connected to."""
    try:
        psycopg.connect(where).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="module")
def pooled(run: Run) -> Iterator[Callable[[str], str]]:
    """Run PgBouncer in transaction mode."""
    with pgbouncer(run.postgres_server()) as address:
        yield address


@pytest.fixture(scope="module")
def database(run: Run) -> Iterator[str]:
    """Name a migrated and seeded database."""
    with filled_database(run, "pooled") as name:
        yield name


@pytest.fixture(scope="module")
def behind(
    pooled: Callable[[str], str], database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Run `idp serve` with two workers behind PgBouncer."""
    folder = tmp_path_factory.mktemp("behind")
    with running(folder, pooled(database), database_prepare=False) as site:
        yield site


def idp(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "idp.cli", *arguments],
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_everything_is_answered_through_a_pool_in_transaction_mode(behind: Site) -> None:
    app, machine = behind.web(), behind.machine()
    people = [behind.person() for _ in range(PEOPLE)]
    for user in people:  # one after the other: only a few passwords are checked at a time
        assert behind.sign_in(user).status == 303

    def visit(number: int) -> list[object]:
        user, faults = people[number], []
        tokens = behind.tokens(app, user)
        for _ in range(REFRESHES):
            answer = behind.refresh(app, tokens["refresh_token"])
            if answer.status != 200:
                faults.append(answer)
                continue
            tokens = answer.json()
            if not behind.is_active(app, tokens["access_token"]):
                faults.append("inactive")
            issued = behind.machine_token(machine)
            if issued.status != 200:
                faults.append(issued)
        gone = {"token": tokens["refresh_token"], **app.post}
        assert behind.ask("POST", "/connect/revocation", gone).status == 200
        assert not behind.is_active(app, tokens["access_token"])
        return faults

    with ThreadPoolExecutor(PEOPLE) as pool:
        assert list(pool.map(visit, range(PEOPLE))) == [[]] * PEOPLE
    log = behind.server.output()
    assert '"level":"error"' not in log
    assert "prepared statement" not in log


def test_a_database_is_set_up_through_it(
    new_database: Callable[[], str], pooled: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database()
    name = url.partition("@/")[2].partition("?")[0]
    settings = make_settings(tmp_path, database_url=pooled(name), database_prepare=False)
    for _ in range(3):
        done = idp("setup", **as_environment(settings))
        assert done.returncode == 0, done.stderr
    done = idp("doctor", **as_environment(settings))
    assert "PgBouncer" not in done.stdout, done.stdout
    assert "ok       database" in done.stdout, done.stdout
    # No statement stays behind in the server processes that others get next.
    engine = create_engine(pooled(name), connect_args={"prepare_threshold": None})
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
    engine.dispose()


def test_doctor_says_what_to_set(
    pooled: Callable[[str], str], database: str, tmp_path: Path
) -> None:
    version = subprocess.run([str(PROGRAM), "-V"], capture_output=True, text=True, check=True)
    number = version.stdout.split()[1].split(".")
    if (int(number[0]), int(number[1])) >= (1, 22):
        pytest.skip("this PgBouncer knows prepared statements when it is told to")
    settings = make_settings(tmp_path, database_url=pooled(database))
    found = storage.reach(settings)
    assert found.state == "failed"
    assert found.todo == "set IDP_DATABASE_PREPARE=false"
    done = idp("doctor", **as_environment(settings))
    assert done.returncode == 1
    assert "set IDP_DATABASE_PREPARE=false" in done.stdout
    # What it prepared to find out is gone.
    engine = create_engine(pooled(database), connect_args={"prepare_threshold": None})
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'idp_doctor%'")
        assert connection.scalar(query) == 0
    engine.dispose()


def test_doctor_finds_nothing_wrong_with_session_mode(
    run: Run, database: str, tmp_path: Path
) -> None:
    with pgbouncer(run.postgres_server(), "session") as address:
        settings = make_settings(tmp_path, database_url=address(database))
        assert storage.reach(settings).state == "ok"


def test_doctor_finds_nothing_wrong_without_a_pooler(
    run: Run, database: str, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, database_url=run.postgres_server().url(database))
    assert storage.reach(settings).state == "ok"
