"""What the test suite itself promises: own databases, no leaks, no outside hosts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.tenants.models import Tenant
from idp.platform.notify import service as notify
from tests import repeated
from tests.conftest import Message, as_environment
from tests.repeated import Sent
from tests.servers import LiveServer, Valkey

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_has_a_database_of_its_own(round_: int, session: Session) -> None:
    count = session.scalar(text("SELECT count(*) FROM one_time_key"))
    assert count == 0
    session.execute(
        text(
            "INSERT INTO one_time_key (purpose, key_hash, created_at, expires_at)"
            " VALUES ('test', :hash, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
        ),
        {"hash": b"x" * 32},
    )
    session.commit()


def test_the_chosen_database_is_used(session: Session, pytestconfig: pytest.Config) -> None:
    assert session.get_bind().dialect.name == pytestconfig.getoption("database")


@pytest.mark.no_database
@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 443)])
def test_sockets_to_other_hosts_are_closed(address: tuple[str, int]) -> None:
    with socket.socket() as connection, pytest.raises(OSError, match="do not talk"):
        connection.connect(address)


@pytest.mark.no_database
def test_settings_of_the_caller_do_not_reach_the_tests() -> None:
    assert [name for name in os.environ if name.startswith(("IDP_", "PG"))] == []


@pytest.mark.settings(demo=True, audit_days=7)
def test_settings_become_the_variables_of_a_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.no_database
def test_valkey_is_empty_and_can_be_taken_away(valkey_url: str, own_valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey_url) as shared, redis.Redis.from_url(own_valkey.url) as own:
        assert shared.dbsize() == 0
        shared.set("a", 1)
        own.set("a", 1)
        own_valkey.kill()
        with pytest.raises(redis.ConnectionError):
            own.get("a")
        own_valkey.start()
        assert own.get("a") is None


@pytest.mark.parametrize(
    "workers", [1, pytest.param(2, marks=pytest.mark.postgresql, id="two_workers")]
)
def test_a_real_server_serves_the_database_of_the_test(
    workers: int, live_server: Callable[..., LiveServer], session: Session
) -> None:
    tenant = session.get_one(Tenant, 1)
    tenant.name = "Name of this test"
    session.commit()

    server = live_server(workers=workers)
    with urllib.request.urlopen(f"{server.url}/.well-known/openid-configuration") as answer:
        assert json.load(answer)["issuer"] == server.url
    with urllib.request.urlopen(f"{server.url}/forgot") as answer:
        assert "Name of this test" in answer.read().decode()

    assert server.stop() == 0, server.output()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{server.url}/healthz")


def test_the_outbox_holds_what_the_worker_would_send(
    session: Session, outbox: Callable[[], list[Message]]
) -> None:
    context = {"service": "The service", "time": "noon", "address": "192.0.2.7"}
    notify.mail(session, "ann@example.com", "password_changed", context, "en")
    context = {"service": "The service", "code": "123456", "minutes": "5"}
    notify.sms(session, "+8613800138000", "verification_code", context, "en")
    mail, sms = outbox()
    assert mail.to == "ann@example.com"
    assert mail.subject == "Your password for The service was changed"
    assert "192.0.2.7" in mail.text
    assert sms.to == "+8613800138000"
    assert "123456" in sms.text


@pytest.mark.no_database
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_no_server_outlives_an_interrupted_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text(
        textwrap.dedent("""
            import os, signal

            def test_interrupted(run):
                run.start_all()
                folders = (run.folder, run.postgres.folder, run.postgres.data, run.valkey.folder)
                print("\\nfolders", *folders)
                print("processes", run.postgres.process.pid, run.valkey.process.pid, flush=True)
                # A shell starts what runs behind it with SIGINT ignored.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.kill(os.getpid(), signal.Signals[os.environ["STOP_BY"]])
        """)
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-c"),
            *(ROOT / "pyproject.toml", "-p", "tests.conftest", tmp_path / "test_slow.py"),
        ],
        cwd=ROOT,
        env={**os.environ, "STOP_BY": name},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout + done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert len(lines["processes"]) == 2
    assert [pid for pid in lines["processes"] if psutil.pid_exists(int(pid))] == []
    assert [folder for folder in lines["folders"] if Path(folder).exists()] == []


@pytest.mark.no_database
def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "dev", "test", "check", "fmt", "migration", "lock"):
        assert f"make {target}" in listed


# Which tests run again on the other database.


@pytest.mark.no_database
def test_what_runs_again_sends_every_statement() -> None:
    tests = {
        "tests/pages/a.py::broad": Sent(1.0, {1, 2, 3}),
        "tests/pages/a.py::dear": Sent(9.0, {1, 2, 3}),
        "tests/pages/a.py::alone": Sent(9.0, {4}),
        "tests/api/b.py::part": Sent(0.5, {2}),
        "tests/api/b.py::elsewhere": Sent(2.0, set()),
        "tests/flows/c.py::protocol": Sent(5.0, {1}),
    }
    chosen = repeated.again(tests)
    assert chosen == {
        "tests/pages/a.py::broad",
        "tests/pages/a.py::alone",
        "tests/api/b.py::elsewhere",
        "tests/flows/c.py::protocol",
    }


@pytest.mark.no_database
def test_what_says_the_same_everywhere_sends_nothing_for_others() -> None:
    def item(name: str, marker: str | None) -> Any:
        return SimpleNamespace(
            nodeid=name, get_closest_marker=lambda asked: asked if asked == marker else None
        )

    left_out: list[Any] = []

    def deselected(items: list[Any]) -> None:
        left_out.extend(items)

    config: Any = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=deselected))
    once = item("tests/pages/a.py::cheap", "no_database")
    again = item("tests/pages/a.py::dear", None)
    spare = item("tests/pages/a.py::dearest[x]", None)
    items = [once, again, spare]
    sent = {
        "tests/pages/a.py::cheap": Sent(0.1, {1}),
        "tests/pages/a.py::dear": Sent(2.0, {1}),
        "tests/pages/a.py::dearest[x]": Sent(9.0, {1}),
    }
    repeated.deselect(config, items, sent)
    assert again in items
    assert spare in left_out


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "NoneType"),
        (True, "bool"),
        (1, "int"),
        (-(2**31), "large int"),
        ("a", "str ---"),
        ("\0", "str +--"),
        ("\u5f20", "str -+-"),
        ("a" * 201, "str --+"),
        (b"a", "bytes"),
    ],
)
def test_values_that_the_databases_may_take_in_other_ways_are_told_apart(
    value: object, kind: str
) -> None:
    assert repeated._kind(value) == kind


@pytest.mark.no_database
def test_a_run_notes_what_its_tests_send(tmp_path: Path) -> None:
    noted = tmp_path / "notes" / "statements"
    test = "tests/test_suite_itself.py::test_each_test_has_a_database_of_its_own"
    others = "tests/test_suite_itself.py::test_sockets_to_other_hosts_are_closed"

    def run(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "pytest", "-q", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout
        return done.stdout

    run("-n1", "--note-statements", noted, test)
    found = repeated.gather([noted])
    assert set(found) == {f"{test}[1]", f"{test}[2]"}
    for sent in found.values():
        assert sent.seconds > 0
        assert len(sent.statements) >= 2
    # The first one of a run may send more than the second, to make what both begin with.
    everything = sorted(set().union(*(sent.statements for sent in found.values())))
    noted.write_text("".join(json.dumps([name, 1, everything]) + "\n" for name in found))
    # One of two that send the same is enough; tests that the notes do not know run.
    assert "3 passed, 1 deselected" in run("-n0", "--by-statements", noted, test, others)
