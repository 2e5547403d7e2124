"""What the commands do when the server starts, as processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests import protocol
from tests.conftest import SECRET_KEY, as_environment, make_settings
from tests.live.site import Line, Site
from tests.servers import LiveServer, clean_environment, free_port

pytestmark = pytest.mark.no_database

POSTGRESQL = "postgresql+psycopg://nobody@127.0.0.1:1/none"
SEEDED = {"tenant": 1, "user": 1, "role": 4, "api_resource": 1, "identity_resource": 5}


def idp(*arguments: str, **environment: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "idp.cli", *arguments],
        env=clean_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    given = {"IDP_SECRET_KEY": SECRET_KEY, "IDP_DATA_DIR": str(folder), **environment}
    return idp("serve", "--listen", f"127.0.0.1:{free_port()}", *arguments, **given)


def test_what_cannot_be_served_with_is_named_in_one_sentence(tmp_path: Path) -> None:
    several = ("--workers", "2")
    started = [
        (setting, refused(tmp_path, *arguments, **environment))
        for setting, arguments, environment in (
            ("IDP_SECRET_KEY", (), {"IDP_SECRET_KEY": ""}),
            ("IDP_DATABASE_URL", several, {"IDP_REDIS_URL": "redis://127.0.0.1:1"}),
            ("IDP_REDIS_URL", several, {"IDP_DATABASE_URL": POSTGRESQL}),
            ("IDP_PUBLIC_URL", (), {"IDP_PUBLIC_URL": "http://login.example"}),
        )
    ]
    for setting, process in started:
        output, complaint = process.communicate(timeout=60)
        assert process.returncode == 2, complaint
        assert output == ""
        assert setting in complaint
        assert len(complaint.strip().splitlines()) == 1
        assert SECRET_KEY not in complaint
    assert list(tmp_path.iterdir()) == []


def test_two_nodes_set_an_empty_database_up_at_once(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    folders = [tmp_path / "one", tmp_path / "other"]
    nodes = [
        idp("setup", "--json", **as_environment(make_settings(folder, database_url=url)))
        for folder in folders
    ]
    answers = [(node.communicate(timeout=120), node.returncode) for node in nodes]
    assert [code for _, code in answers] == [0, 0], answers
    issuers = {json.loads(output)["issuer"] for (output, _), _ in answers}
    assert len(issuers) == 1

    made = create_engine(url)
    with made.connect() as connection:
        counted = {
            table: connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one()
            for table in SEEDED
        }
        names = connection.execute(text("SELECT code FROM privilege")).scalars().all()
    made.dispose()
    assert counted == SEEDED
    assert sorted(set(names)) == sorted(names)
    assert {"ids4.ms.all", "ids4.ms.us.all"} <= set(names)


def test_gunicorn_serves_discovery_and_tokens_too(site: Site, tmp_path: Path) -> None:
    app, port = site.machine(), free_port()
    environment = {**site.server.environment, "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    log = tmp_path / "gunicorn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "idp.wsgi:app", "--no-control-socket"),
                *("--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "4"),
            ],
            env=environment,
            stdout=output,
            stderr=output,
        )
    other = LiveServer(f"http://127.0.0.1:{port}", process, environment, log)
    try:
        end = time.monotonic() + 60
        while not other._ready():
            assert process.poll() is None, other.output()
            assert time.monotonic() < end, other.output()
            time.sleep(0.1)
        with Line(f"127.0.0.1:{port}") as line:
            document = line.ask("GET", "/.well-known/openid-configuration").json()
            assert document["issuer"] == other.url
        with Line(f"127.0.0.1:{port}") as line:
            form = {"grant_type": "client_credentials", **app.post}
            answer = line.ask("POST", "/connect/token", form)
            assert answer.status == 200, answer
            assert protocol.payload(answer.json()["access_token"])["iss"] == other.url
    finally:
        assert other.stop() == 0
