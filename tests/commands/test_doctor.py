"""`idp doctor`: one line for each thing that may be wrong."""

from __future__ import annotations

import secrets
import socket
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from idp.commands import starting
from idp.config import Settings
from idp.directory.clients.models import Client, ClientGrantType
from idp.doctor import configuration, services, storage
from idp.doctor.at_start import BEFORE_START, IN_DATABASE
from idp.doctor.checks import CHECKS
from idp.platform import clock
from idp.platform.jobs import service as jobs
from tests import protocol
from tests.commands.test_setup import execute
from tests.conftest import as_environment, make_settings
from tests.servers import Valkey, free_port


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


def test_settings_that_cannot_be_read_end_the_look(idp: Callable[..., Result]) -> None:
    said = idp("doctor", IDP_REDIS_URL="foo", code=1).stdout
    assert said.startswith("failed   settings ")
    assert "IDP_REDIS_URL: must be redis://" in said
    assert len(said.splitlines()) == 1


def test_a_misspelt_setting_is_named(idp_json: Callable[..., Any]) -> None:
    rows = idp_json("doctor", IDP_PUBLIK_URL="https://id.example")
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
    row = idp_json("doctor")[list(CHECKS).index("clients")]
    assert row["state"] == "warning"
    assert row["seen"].endswith("unsupported settings: old (grant_types), older (grant_types)")


def test_an_algorithm_without_a_key_is_not_offered(
    idp_json: Callable[..., Any], idp: Callable[..., Result], session: Session
) -> None:
    protocol.register(session, "curves", id_token_signed_response_alg="ES256")
    session.execute(text("UPDATE signing_key SET status = 'retired' WHERE alg = 'ES256'"))
    session.commit()
    row = idp_json("doctor")[list(CHECKS).index("clients")]
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
    for check in (storage.release, storage.keys, storage.clocks, storage.outbox):
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
    assert storage.outbox(settings).state == "ok"
    late = clock.now() - timedelta(hours=2)
    session.execute(text("UPDATE outbox SET due_at = :at"), {"at": late.replace(tzinfo=None)})
    session.commit()
    found = storage.outbox(settings)
    assert found.state == "warning"
    assert "waited for 120 minutes" in found.seen


@pytest.mark.postgresql
def test_clocks_that_differ_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.clocks(settings).state == "ok"
    now = clock.now
    for seconds, state in ((10, "warning"), (600, "failed")):
        monkeypatch.setattr(
            storage.clock, "now", lambda ahead=seconds: now() + timedelta(seconds=ahead)
        )
        assert storage.clocks(settings).state == state


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
