"""`idp doctor`: one line for each thing that may be wrong."""

from __future__ import annotations

import http.server
import json
import re
import secrets
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from idp.commands import starting
from idp.config import Settings
from idp.directory.clients.models import Client, ClientGrantType
from idp.doctor import addresses, configuration, examination, server, services, storage, work
from idp.doctor.at_start import BEFORE_START, IN_DATABASE
from idp.doctor.checks import CHECKS, OF_DATABASE, OUTSIDE
from idp.platform import clock
from idp.platform.audit import figures
from idp.platform.jobs import service as jobs
from idp.platform.releases import service as releases
from idp.platform.runtime import Runtime
from tests import protocol
from tests.commands.test_setup import execute
from tests.conftest import as_environment, make_settings
from tests.servers import Valkey, free_port

START_SECONDS = 10
"""Time to start a command on a machine that is busy."""


def states(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["check"]: row["state"] for row in rows}


def at_other_release(settings: Settings, revision: str) -> None:
    """Make the database one that another release set up."""
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": revision})
    engine.dispose()


def test_an_installation_that_is_well_has_nothing_to_do(
    idp: Callable[..., Result], idp_json: Callable[..., Any], settings: Settings
) -> None:
    settings.make_data_dir()
    rows = idp_json("doctor")
    assert [row for row in rows if row["state"] != "ok"] == []
    assert [row["check"] for row in rows] == list(CHECKS)
    lines = idp("doctor").stdout.splitlines()
    assert len(lines) == len(CHECKS)
    assert all(line.startswith("ok ") for line in lines)


def test_every_check_of_a_start_is_one_of_the_list() -> None:
    assert {**BEFORE_START, **IN_DATABASE}.items() <= CHECKS.items()


def test_the_guide_lists_every_check() -> None:
    guide = (Path(__file__).parents[2] / "docs/operator-guide.md").read_text(encoding="utf-8")
    rows = guide.partition("| check | looks at |")[2].partition("\n\n")[0]
    named = [name for row in rows.splitlines()[2:] for name in re.findall("`([^`]+)`", row[:70])]
    assert set(CHECKS | OUTSIDE) <= set(named)


def test_settings_that_cannot_be_read_end_the_look(idp: Callable[..., Result]) -> None:
    said = idp("doctor", IDP_REDIS_URL="foo", code=1).stdout
    assert said.startswith("failed   settings ")
    assert "IDP_REDIS_URL: must be redis://" in said
    assert len(said.splitlines()) == 1


def test_a_misspelt_setting_is_named(idp_json: Callable[..., Any]) -> None:
    rows = idp_json("doctor", code=10, IDP_PUBLIK_URL="https://id.example")
    row = rows[list(CHECKS).index("setting names")]
    assert row["state"] == "warning"
    assert "IDP_PUBLIK_URL (did you mean IDP_PUBLIC_URL?)" in row["seen"]


def test_a_database_without_a_standby_is_well(settings: Settings) -> None:
    assert storage.standbys(settings).state == "ok"


def test_another_secret_opens_no_key(idp: Callable[..., Result]) -> None:
    said = idp("doctor", IDP_SECRET_KEY=secrets.token_urlsafe(32), code=1).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("failed")]
    assert line.startswith("failed   signing keys     IDP_SECRET_KEY does not open")
    assert "idp keys revoke KID" in line


def test_clients_with_what_is_not_offered_are_named(
    idp_json: Callable[..., Any], session: Session
) -> None:
    protocol.register(session, "well", id_token_signed_response_alg="ES256")
    for client_id in ("old", "older"):
        app = protocol.register(session, client_id)
        session.add(ClientGrantType(client_id=app.row_id, grant_type="password"))
    app = protocol.register(session, "off", enabled=False)
    session.add(ClientGrantType(client_id=app.row_id, grant_type="password"))
    session.get_one(Client, app.row_id).id_token_signed_response_alg = "HS256"
    session.commit()
    (row,) = idp_json("doctor", "--only", "clients", code=10)
    assert row["state"] == "warning"
    assert row["seen"].endswith("unsupported settings: old (grant_types), older (grant_types)")


def test_an_algorithm_without_a_key_is_not_offered(
    idp_json: Callable[..., Any], idp: Callable[..., Result], session: Session
) -> None:
    protocol.register(session, "curves", id_token_signed_response_alg="ES256")
    session.execute(text("UPDATE signing_key SET status = 'retired' WHERE alg = 'ES256'"))
    session.commit()
    (row,) = idp_json("doctor", "--only", "clients", code=10)
    assert row["seen"].endswith(": curves (id_token_signed_response_alg)")
    session.execute(text("UPDATE signing_key SET status = 'retired' WHERE alg = 'RS256'"))
    session.commit()
    # OpenID Connect Discovery 3
    assert '"RS256" MUST be included' in idp("doctor", code=1).stdout


@pytest.mark.parametrize(
    ("revision", "seen"),
    [("9999", "was set up by a newer release"), ("0001", "is set up for an older release")],
)
def test_another_release_is_named(
    revision: str, seen: str, idp: Callable[..., Result], settings: Settings
) -> None:
    at_other_release(settings, revision)
    said = idp("doctor", code=1).stdout
    assert seen in said
    assert "Traceback" not in said


@pytest.mark.no_database
def test_a_folder_without_an_installation_is_named_and_stays_empty(tmp_path: Path) -> None:
    done = execute(tmp_path, "doctor", IDP_ENVIRONMENT="development")
    assert done.returncode == 1
    assert f"the data folder {tmp_path / 'var'} does not exist" in done.stdout
    assert f"{tmp_path / 'var' / 'idp.sqlite3'} is not set up: run `idp setup`" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.no_database
def test_a_database_that_is_away_is_said_once_and_waited_for_briefly(tmp_path: Path) -> None:
    away = "postgresql://u:geheim@127.0.0.1:1/x"
    settings = make_settings(tmp_path, database_url=away)
    assert storage.reach(settings).state == "failed"
    for check in (storage.release, storage.keys, storage.clocks, storage.rotation):
        found = check(settings)
        assert (found.state, found.seen) == (
            "warning",
            "unknown while the database cannot be read",
        )
    done = execute(tmp_path, "doctor", **as_environment(settings))
    assert done.returncode == 1
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.no_database
def test_an_older_secret_that_can_be_guessed_is_warned_of(tmp_path: Path) -> None:
    strong = secrets.token_urlsafe(32)
    weak = Settings(secret_key=f"{strong},{'x' * 32}", data_dir=tmp_path)
    assert configuration.secret(weak).state == "warning"
    well = Settings(secret_key=f"{strong},{secrets.token_urlsafe(32)}", data_dir=tmp_path)
    assert configuration.secret(well).state == "ok"


def test_demo_data_in_production_is_warned_of(
    idp: Callable[..., Result], settings: Settings
) -> None:
    production = settings.model_copy(update={"environment": "production"})
    assert storage.demo(production).state == "ok"
    assert storage.demo(production.model_copy(update={"demo": True})).state == "warning"
    idp("setup", IDP_DEMO="1")
    found = storage.demo(production)
    assert found.state == "warning"
    assert "demo-service, demo-spa, demo-web" in found.seen
    assert storage.demo(settings).state == "ok"


@pytest.mark.no_database
def test_a_data_folder_that_others_may_enter_or_that_is_full_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tmp_path)
    settings.make_data_dir()
    assert configuration.data_folder(settings).state == "ok"
    settings.data_dir.chmod(0o755)
    found = configuration.data_folder(settings)
    assert (found.state, found.todo.partition(" if")[0]) == (
        "warning",
        f"chmod 700 '{settings.data_dir}'",
    )
    settings.data_dir.chmod(stat.S_IRWXU)
    room = configuration.shutil.disk_usage(tmp_path)
    for free, state in ((2**20, "failed"), (2**29, "warning")):
        usage = room._replace(free=free)
        monkeypatch.setattr(configuration.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert configuration.data_folder(settings).state == state


@pytest.mark.no_database
def test_counters_that_are_away_are_named(own_valkey: Valkey, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, redis_url=own_valkey.url)
    assert services.counters(settings).state == "ok"
    own_valkey.kill()
    assert services.counters(settings).state == "failed"
    assert services.counters(make_settings(tmp_path)).state == "ok"


@pytest.mark.no_database
def test_the_mail_server_is_greeted_and_gets_no_mail(tmp_path: Path) -> None:
    from aiosmtpd.controller import Controller

    class Handler:
        async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name
            raise AssertionError("a mail was sent")

        async def handle_MAIL(self, *_: Any) -> str:  # noqa: N802 - as above
            raise AssertionError("a mail was begun")

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        url = f"smtp://127.0.0.1:{controller.port}"
        assert services.mail(make_settings(tmp_path, smtp_url=url)).state == "ok"
    finally:
        controller.stop()
    away = services.mail(make_settings(tmp_path, smtp_url=url))
    assert (away.state, away.todo) == ("failed", "correct IDP_SMTP_URL or the mail server")
    none = Settings(secret_key=secrets.token_hex(32), data_dir=tmp_path)
    assert services.mail(none).state == "warning"


def test_a_message_that_waits_long_is_named(settings: Settings, session: Session) -> None:
    jobs.enqueue(session, "notify.mail", {"to": "ann@acme.example"})
    session.commit()
    assert work.outbox(settings).state == "ok"
    late = clock.now() - timedelta(hours=2)
    session.execute(text("UPDATE outbox SET due_at = :at"), {"at": late.replace(tzinfo=None)})
    session.commit()
    found = work.outbox(settings)
    assert found.state == "warning"
    assert "waited for 120 minutes" in found.seen


@pytest.mark.postgresql
def test_clocks_that_differ_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.clocks(settings).state == "ok"
    now = clock.now
    for seconds, state in ((1.5, "warning"), (600, "failed")):
        monkeypatch.setattr(
            storage.clock, "now", lambda ahead=seconds: now() + timedelta(seconds=ahead)
        )
        assert storage.clocks(settings).state == state


# Each part away, and what the doctor does about time


def by_check(rows: list[dict[str, str]]) -> dict[str, tuple[str, str]]:
    return {row["check"]: (row["state"], row["seen"]) for row in rows}


def test_one_check_may_be_asked_alone(
    idp: Callable[..., Result], idp_json: Callable[..., Any]
) -> None:
    rows = idp_json("doctor", "--only", "database", "--only", "setting names")
    assert [row["check"] for row in rows] == ["setting names", "database"]
    assert "'health' is not one of" in idp("doctor", "--only", "health", code=2).stderr


@pytest.mark.no_database
def test_all_checks_end_in_time_when_nothing_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and says nothing
        port = silent.getsockname()[1]
        settings = make_settings(
            tmp_path,
            database_url=f"postgresql://u:geheim@127.0.0.1:{port}/x",
            redis_url=f"redis://127.0.0.1:{port}",
            smtp_url=f"smtp://127.0.0.1:{port}",
            sms_url=f"https://127.0.0.1:{port}/send",
            files_scanner=f"tcp://127.0.0.1:{port}",
        )
        settings.make_data_dir()
        started = time.monotonic()
        done = execute(tmp_path, "doctor", "--json", **as_environment(settings))
        took = time.monotonic() - started
    assert done.returncode == 1
    rows = json.loads(done.stdout)
    assert [row["check"] for row in rows] == list(CHECKS)
    assert took < examination.SECONDS + START_SECONDS
    found = states(rows)
    for name in ("database", "shared counters", "mail", "text messages", "files"):
        assert found[name] == "failed", name
    for name in OF_DATABASE - {"database"}:
        assert found[name] == "warning", name
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.no_database
def test_a_check_that_hangs_or_breaks_is_named_and_delays_no_other(tmp_path: Path) -> None:
    over = threading.Event()

    def hangs(_: Settings) -> Any:
        over.wait(30)

    def breaks(_: Settings) -> Any:
        raise ZeroDivisionError

    checks = {"slow": hangs, "well": storage.standbys, "broken": breaks}
    started = time.monotonic()
    try:
        found = examination.run(make_settings(tmp_path), checks, (), seconds=0.5)
    finally:
        over.set()
    assert time.monotonic() - started < 5
    assert list(found) == ["slow", "well", "broken"]
    assert (found["slow"].state, found["slow"].seen) == ("failed", "no result within 0.5 s")
    assert found["well"].state == "ok"
    assert found["broken"].seen == "the check itself failed (ZeroDivisionError)"


@pytest.mark.no_database
def test_files_with_secrets_that_others_can_read_are_named(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings.keys_dir.mkdir()
    assert configuration.private(settings).state == "ok"
    key = settings.keys_dir / "rs256.pem"
    key.touch(mode=0o600)
    key.chmod(0o640)
    assert configuration.private(settings).state == "ok"  # the group of the service
    key.chmod(0o644)
    found = configuration.private(settings)
    assert (found.state, found.seen) == ("warning", f"other users can use {key}")


def test_old_keys_and_missing_successors_are_named(settings: Settings, session: Session) -> None:
    assert storage.rotation(settings).state == "ok"
    session.execute(text("DELETE FROM signing_key WHERE alg = 'ES256' AND status = 'next'"))
    session.commit()
    found = storage.rotation(settings)
    assert (found.seen, found.todo) == (
        "no key follows the active ones for ES256",
        "run `idp setup`",
    )
    for days, state in ((96, "warning"), (98, "warning")):
        at = (clock.now() - timedelta(days=days)).replace(tzinfo=None)
        statement = "UPDATE signing_key SET activated_at = :at WHERE alg = 'RS256'"
        session.execute(text(statement), {"at": at})
        session.commit()
        found = storage.rotation(settings)
        assert found.state == state
        assert ("RS256" in found.seen) == (days > 97)


def test_secrets_on_an_older_root_are_counted(
    settings: Settings, session: Session, tmp_path: Path
) -> None:
    protocol.register(session)
    assert storage.older_roots(settings).seen == "there is one root secret"
    old = settings.secret_key.get_secret_value()
    secret = SecretStr(f"{secrets.token_hex(32)},{old}")
    both = make_settings(tmp_path, database_url=settings.database_url, secret_key=secret)
    found = storage.older_roots(both)
    assert found.state == "warning"
    assert found.seen.startswith("1 secrets of clients and APIs need an older secret")


def test_indexes_that_are_missing_are_named(settings: Settings, session: Session) -> None:
    assert server.indexes(settings).state == "ok"
    session.execute(text("DROP INDEX ix_outbox_due"))
    session.commit()
    found = server.indexes(settings)
    assert (found.state, found.seen) == ("warning", "indexes that are missing: ix_outbox_due")


@pytest.mark.postgresql
def test_indexes_that_were_not_finished_are_named(settings: Settings, session: Session) -> None:
    session.execute(
        text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_outbox_due'::regclass")
    )
    session.commit()
    found = server.indexes(settings)
    assert found.state == "failed"
    assert "ix_outbox_due" in found.seen


@pytest.mark.postgresql
def test_limits_of_the_server_that_are_short_are_named(
    settings: Settings, session: Session
) -> None:
    assert server.limits(settings).state == "ok"
    name = session.scalar(text("SELECT current_database()"))
    session.execute(text(f"ALTER DATABASE {name} SET statement_timeout = '5s'"))
    session.commit()
    found = server.limits(settings)
    assert found.state == "warning"
    assert "statement_timeout = 5s" in found.seen


@pytest.mark.postgresql
def test_a_server_that_refuses_changes_is_named(settings: Settings, session: Session) -> None:
    assert server.version(settings).state == "ok"
    name = session.scalar(text("SELECT current_database()"))
    session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    session.commit()
    found = server.version(settings)
    assert found.state == "failed"
    assert "refuses changes" in found.seen


@pytest.mark.postgresql
def test_an_old_server_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OLDEST_VERSION", 99)
    found = server.version(settings)
    assert (found.state, found.todo) == ("failed", "upgrade it to version 99 or later")


@pytest.mark.postgresql
def test_transactions_that_are_not_frozen_and_dead_rows_are_named(
    settings: Settings, runtime: Runtime, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.upkeep(settings).state == "ok"
    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")  # the rows of other tests that used this database
    monkeypatch.setattr(server, "DEAD_ROWS", 5)
    for _ in range(9):
        session.execute(text("UPDATE installation SET release = release"))
        session.commit()
    session.execute(text("SELECT pg_stat_force_next_flush()"))
    session.commit()
    found = server.upkeep(settings)
    assert (found.state, found.seen.rpartition(": ")[2]) == ("warning", "installation")
    monkeypatch.setattr(server, "WRAPAROUND_WARNING", 0)
    assert "behind of two billion" in server.upkeep(settings).seen
    monkeypatch.setattr(server, "WRAPAROUND_FAILED", 0)
    assert server.upkeep(settings).state == "failed"


@pytest.mark.postgresql
def test_room_for_connections_is_compared_with_the_nodes(
    settings: Settings, session: Session
) -> None:
    found = server.connections(settings)
    assert found.state == "ok"
    assert found.seen.endswith("on each of 1 nodes")
    for number in range(60):
        releases.note(session, f"node-{number}")
    session.commit()
    found = server.connections(settings)
    assert found.state == "failed"
    assert found.seen.endswith("enough for 0 worker processes on each of 60 nodes")


def test_nodes_without_a_worker_are_named(settings: Settings, session: Session) -> None:
    assert work.chores(settings).seen == "no node runs"
    releases.note(session, "node")
    session.commit()
    assert work.chores(settings).state == "warning"
    figures.count_day(session, clock.now().date())
    session.commit()
    assert work.chores(settings).state == "ok"


def test_messages_that_were_given_up_are_counted(settings: Settings, session: Session) -> None:
    jobs.enqueue(session, "notify.mail", {"to": "ann@acme.example"})
    session.execute(text("UPDATE outbox SET failed_at = due_at"))
    session.commit()
    found = work.outbox(settings)
    assert (found.state, found.seen) == ("warning", "1 messages or jobs were given up")


@pytest.mark.no_database
def test_a_file_is_stored_and_none_is_left(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    assert work.files(settings).seen == "no file was stored yet"
    settings.make_data_dir()
    assert work.files(settings).state == "ok"
    assert [path for path in settings.files_dir.rglob("*") if path.is_file()] == []
    scanned = settings.model_copy(update={"files_scanner": "tcp://127.0.0.1:1"})
    assert work.files(scanned).state == "failed"
    settings.files_dir.rename(tmp_path / "elsewhere")
    settings.files_dir.touch()
    assert work.files(settings).state == "failed"


@pytest.mark.no_database
def test_counters_that_may_be_dropped_are_named(own_valkey: Valkey, tmp_path: Path) -> None:
    import redis

    settings = make_settings(tmp_path, redis_url=own_valkey.url)
    client = redis.Redis.from_url(own_valkey.url)
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    found = services.counters(settings)
    assert (found.state, found.todo) == ("warning", "set maxmemory-policy to noeviction")
    client.config_set("maxmemory-policy", "noeviction")
    assert services.counters(settings).state == "ok"
    client.replicaof("127.0.0.1", free_port())
    found = services.counters(settings)
    assert found.state == "failed"
    assert "is a replica" in found.seen
    client.close()


@pytest.mark.no_database
def test_the_gateway_of_text_messages_is_connected_to(tmp_path: Path) -> None:
    assert services.text_messages(make_settings(tmp_path)).state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        url = f"http://127.0.0.1:{gateway.getsockname()[1]}/send"
        assert services.text_messages(make_settings(tmp_path, sms_url=url)).state == "ok"
    assert services.text_messages(make_settings(tmp_path, sms_url=url)).state == "failed"


@pytest.mark.no_database
def test_records_of_the_sender_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"acme.example": {"v=spf1 -all"}, "_dmarc.acme.example": {"v=DMARC1; p=reject"}}
    monkeypatch.setattr(
        services.dns_records, "txt", lambda name, _server: frozenset(texts.get(name, ()))
    )
    settings = make_settings(tmp_path, mail_from="Acme <no-reply@acme.example>")
    assert services.sender(settings).state == "ok"
    texts["_dmarc.acme.example"] = {"something else"}
    found = services.sender(settings)
    assert (found.state, found.seen) == ("warning", "acme.example has no record for DMARC")


# The public address


def own_certificate(folder: Path) -> Path:
    """Write a certificate for `localhost`, good for a month, with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30, minutes=5))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "front.pem"
    path.write_bytes(pem)
    return path


class Front:
    """A proxy in front, as far as the doctor sees it."""

    def __init__(self, folder: Path) -> None:
        self.issuer = ""
        self.keeps_id = True
        self.unknown_host = 400
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_unknown = self.headers["Host"] == "idp-doctor.invalid"
                self.send_response(front.unknown_host if is_unknown else 200)
                given = self.headers["X-Request-Id"] or ""
                self.send_header("X-Request-Id", given if front.keeps_id else "0" * 16)
                self.end_headers()
                self.wfile.write(json.dumps({"issuer": front.issuer}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate = own_certificate(folder)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        self.issuer = self.url
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Serve the public address, with a certificate that the doctor trusts."""
    front = Front(tmp_path)
    make = ssl.create_default_context
    monkeypatch.setattr(
        addresses.ssl, "create_default_context", lambda: make(cafile=str(front.certificate))
    )
    yield front
    front.stop()


def in_production(settings: Settings, front: Front, **fields: Any) -> Settings:
    return settings.model_copy(
        update={"environment": "production", "public_url": front.url, **fields}
    )


@pytest.mark.no_database
def test_issuers_are_read_where_applications_read_them(settings: Settings, front: Front) -> None:
    assert addresses.issuers(settings).state == "ok"  # not asked in development
    found = addresses.issuers(in_production(settings, front))
    assert (found.state, found.seen) == ("ok", "1 issuers answer at their addresses")
    front.issuer = "https://another.example"
    found = addresses.issuers(in_production(settings, front))
    assert found.state == "failed"
    assert "answers with status 200 and the issuer 'https://another.example'" in found.seen


@pytest.mark.no_database
def test_certificates_that_end_soon_or_are_not_trusted_are_named(
    settings: Settings, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr(addresses.time, "time", lambda: now() + 25 * 86400)
    found = addresses.issuers(in_production(settings, front))
    assert (found.state, found.todo) == ("warning", "renew it")
    assert re.search(r"expires in [45] days", found.seen)
    monkeypatch.undo()
    found = addresses.issuers(in_production(settings, front))
    assert found.state == "failed"
    assert "is not valid" in found.seen


@pytest.mark.no_database
def test_addresses_that_do_not_answer_are_named(settings: Settings, front: Front) -> None:
    front.stop()
    found = addresses.issuers(in_production(settings, front))
    assert found.state == "warning"
    assert found.seen.startswith(f"{front.url} does not answer from here")
    nowhere = in_production(settings, front, public_url="https://nowhere.invalid")
    found = addresses.issuers(nowhere)
    assert (found.state, found.seen) == ("failed", "nowhere.invalid has no address in the DNS")


@pytest.mark.no_database
def test_hosts_of_tenants_are_asked_too_and_only_so_many(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def look(url: str) -> Any:
        asked.append(url)
        return storage.ok(url)

    monkeypatch.setattr(addresses, "_look", look)
    for number in range(addresses.MOST_ISSUERS + 3):
        protocol.add_tenant(
            session, f"T{number}", hosts=[f"t{number}.example", f"u{number}.example"]
        )
    session.commit()
    production = settings.model_copy(update={"environment": "production"})
    found = addresses.issuers(production)
    assert found.seen.endswith("(the first 20 of them)")
    assert len(asked) == addresses.MOST_ISSUERS
    assert settings.public_url in asked
    assert "http://t0.example" in asked
    assert not any("//u" in url for url in asked)


@pytest.mark.no_database
def test_a_proxy_that_is_not_trusted_or_renames_hosts_is_named(
    settings: Settings, front: Front
) -> None:
    assert addresses.proxy(settings).state == "ok"  # in development
    found = addresses.proxy(in_production(settings, front))
    assert found.state == "warning"
    assert "IDP_TRUSTED_PROXIES is empty" in found.seen
    behind = in_production(settings, front, trusted_proxies="127.0.0.1")
    assert addresses.proxy(behind).state == "ok"
    front.keeps_id = False
    assert "do not come from a trusted proxy" in addresses.proxy(behind).seen
    front.unknown_host = 200
    assert "unknown hosts on under another name" in addresses.proxy(behind).seen
    front.stop()
    assert addresses.proxy(behind).seen == "unknown while the public address does not answer"


# What server and worker look at before they start


def start(settings: Settings, folder: Path, *command: str, **variables: str) -> tuple[int, str]:
    """Start something that refuses; return its exit code and what it said."""
    listen = ("--listen", f"127.0.0.1:{free_port()}") if command[0] == "serve" else ()
    done = execute(folder, *command, *listen, **{**as_environment(settings), **variables})
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.returncode, done.stderr


@pytest.mark.no_database
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_nothing_starts_on_a_database_that_is_not_set_up(
    command: str, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    for url in ("", new_database()):
        settings = make_settings(tmp_path, database_url=url)
        code, said = start(settings, tmp_path, command)
        assert code == 1
        assert said.endswith("is not set up: run `idp setup`.\n")
        assert list(tmp_path.iterdir()) == []  # it may be the wrong folder


@pytest.mark.parametrize("command", ["serve", "worker", "setup", "keys list"])
def test_nothing_starts_on_a_database_of_a_newer_release(
    command: str, settings: Settings, tmp_path: Path
) -> None:
    at_other_release(settings, "9999")
    code, said = start(settings, tmp_path, *command.split())
    assert code == 1
    assert "was set up by a newer release of idp: run that release" in said


@pytest.mark.parametrize("command", ["serve", "worker", "setup", "client list"])
def test_nothing_starts_with_a_secret_that_opens_no_key(
    command: str, settings: Settings, tmp_path: Path
) -> None:
    other = {"IDP_SECRET_KEY": secrets.token_urlsafe(32)}
    code, said = start(settings, tmp_path, *command.split(), **other)
    assert code == 1
    assert said.startswith(
        "Error: IDP_SECRET_KEY does not open the active signing keys (ES256, EdDSA, PS256, RS256):"
    )
    assert other["IDP_SECRET_KEY"] not in said


def test_keys_that_do_not_open_are_listed_and_can_be_replaced(
    idp: Callable[..., Result], idp_json: Callable[..., Any], settings: Settings
) -> None:
    other = {"IDP_SECRET_KEY": secrets.token_urlsafe(32)}
    listed = idp("keys", "list", "--json", code=1, **other)
    assert "does not open the active signing keys" in listed.stderr
    for key in idp_json("keys", "list"):
        if key["status"] in {"active", "next"}:
            idp("keys", "revoke", key["kid"], **other)
    assert idp_json("keys", "list", **other)
    assert idp_json("setup", **other)


@pytest.mark.no_database
def test_a_database_that_is_away_is_warned_of_and_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(tmp_path, database_url="postgresql://u:geheim@127.0.0.1:1/x")
    starting.check(settings)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Warning: the database does not respond (")
    assert line.endswith("start it, or correct IDP_DATABASE_URL.")


@pytest.mark.no_database
def test_a_metrics_port_that_is_taken_is_named(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    assert execute(tmp_path, "setup", **as_environment(settings)).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = start(settings, tmp_path, "serve", IDP_METRICS_LISTEN=address)
    assert code == 2
    assert f"IDP_METRICS_LISTEN: {address} is in use; name another." in said


@pytest.mark.no_database
def test_a_data_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = make_settings(tmp_path / "file")
    code, said = start(settings, tmp_path, "setup")
    assert code == 2
    assert said.startswith(f"Error: IDP_DATA_DIR: {tmp_path / 'file' / 'data'} cannot be made")
    for command in ("serve", "worker"):
        code, said = start(settings, tmp_path, command)
        assert code == 1
        assert said.endswith("is not set up: run `idp setup`.\n")


@pytest.mark.no_database
@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "--username", "ann", "--tenant"),
        ("audit", "list", "--user"),
        ("audit", "list", "--before"),
        ("gateway", "product", "add", "p", "--limit"),
        ("serve", "--workers"),
    ],
)
def test_numbers_that_no_database_can_hold_are_refused(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = execute(tmp_path, *arguments, "9223372036854775808", IDP_ENVIRONMENT="development")
    assert done.returncode == 2
    assert "9223372036854775808 is not in the range" in done.stderr
