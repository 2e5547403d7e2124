"""Jobs that make SDKs: what is seen of them, and every way in which they come to grief."""

from __future__ import annotations

import io
import os
import shutil
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from idp.jobs import EXPIRIES
from idp.platform.errors import Unprocessable
from idp.platform.jobs import cleanup
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen import archives, generators, jobs, process
from idp.publishing.codegen.generators import Installation
from idp.publishing.codegen.models import SdkFile, SdkJob
from idp.publishing.packages.models import SdkPackage
from tests.delivery import deliver_due
from tests.publishing.conftest import OWN

pytestmark = pytest.mark.usefixtures("listed_generators")

TOO_MUCH = "The generator failed. It wrote more than 64 MiB"
GEN = {"genName": "python", "swaggerUrl": OWN}
SMALL: dict[str, Any] = {
    "openapi": "3.0.0",
    "info": {"title": "Orders", "version": "2.0"},
    "paths": {
        "/orders": {"get": {"operationId": "list", "responses": {"200": {"description": "x"}}}}
    },
}


@pytest.fixture
def ask(mary):
    """Ask for a job and give what is seen of it."""

    def ask(**changed: Any) -> dict[str, Any]:
        address = mary.data("POST", "/CodeGen/Gen", {**GEN, **changed})
        return see(mary, address.rpartition("/")[2])

    return ask


@pytest.fixture
def instead(monkeypatch, tmp_path):
    """Put a program of ours in the place of the generator's Java."""

    def put(program: str) -> None:
        path = tmp_path / "java"
        head = (
            "import os, sys, time\nout = sys.argv[sys.argv.index('-o') + 1]\n"
            "RANDOM = os.urandom(10**6)"
        )
        path.write_text(f"#!{sys.executable}\n{head}\n{program}\n")
        path.chmod(0o755)
        monkeypatch.setattr(
            generators, "installation", lambda: Installation(path, path, "7.0.0-test")
        )
        monkeypatch.setattr(generators, "offered", lambda settings, refresh=False: offered)

    offered = {"python": generators.Generator("python", "client", {})}
    return put


def see(who, job_id) -> dict[str, Any]:
    answer = who.send("GET", f"/sdk/jobs/{job_id}", prefix="")
    assert answer.status_code == 200
    return answer.get_json()


def test_an_sdk_is_made_kept_for_download_and_entered_in_the_market(
    mary, ask, work, api_id, site, session
):
    url = site.put("/orders.json", orjson.dumps(SMALL))
    seen = ask(swaggerUrl=url, apiId=str(api_id), options={"packageName": "orders"})
    assert (seen["state"], seen["log"], seen["archive"]) == ("waiting", "", None)
    job = work()
    seen = see(mary, job.id)
    assert (seen["state"], seen["error"], seen["attempts"]) == ("done", None, 1)
    assert "writing file" in seen["log"]
    assert str(job.id) in seen["archive"]["url"]
    archive = mary.send("GET", f"/sdk/jobs/{job.id}/archive", prefix="").data
    assert len(archive) == seen["archive"]["size"]
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert "orders/api/default_api.py" in names
    assert not any(name.startswith((".openapi-generator", "git_push")) for name in names)
    one = session.scalars(select(SdkPackage)).one()
    assert (one.platform, one.language, one.name) == ("archive", "python", "python")
    assert (one.version, one.link) == ("2.0", seen["archive"]["url"])
    assert one.api_resource_id == api_id
    # The description is not needed any more; what belongs to an API stays with it.
    assert session.scalars(select(SdkFile.kind)).all() == ["archive"]
    assert seen["expiresAt"] is None


def test_a_newer_sdk_lets_the_older_one_go(mary, ask, work, api_id, instead, session):
    instead("os.makedirs(out); open(out + '/made.py', 'w').write('made')")
    ids = []
    for _ in range(2):
        ask(apiId=str(api_id))
        ids.append(work().id)
    ask()
    ids.append(work().id)
    old, new, of_nobody = (see(mary, job_id)["expiresAt"] for job_id in ids)
    assert old is not None
    assert new is None
    assert of_nobody is not None


def test_a_generator_that_hangs_is_killed_and_told(mary, ask, work, instead, monkeypatch, session):
    monkeypatch.setattr(generators, "GENERATING", replace(generators.GENERATING, seconds=1))
    instead("print('beginning', flush=True); time.sleep(600)")
    ask()
    begun = time.monotonic()
    job = work()
    assert time.monotonic() - begun < 15
    seen = see(mary, job.id)
    assert seen["state"] == "failed"
    assert seen["error"] == "The generator failed. It was stopped after 1 seconds."
    assert seen["log"] == "beginning\n"
    assert seen["archive"] is None
    assert session.scalars(select(OutboxMessage)).one().failed_at is not None
    # Whoever has put it right tries again.
    instead("os.makedirs(out); open(out + '/made.py', 'w').write('made')")
    assert (
        mary.send("POST", f"/sdk/jobs/{job.id}/retry", prefix="").get_json()["state"] == "waiting"
    )
    assert work().state == "done"


def test_progress_is_seen_while_it_runs(mary, ask, instead, monkeypatch, runtime, session):
    monkeypatch.setattr(process, "PROGRESS_SECONDS", 0)
    instead("print('halfway', flush=True); time.sleep(3); os.makedirs(out); open(out + '/x', 'w')")
    job_id = ask()["id"]
    session.commit()
    worker = threading.Thread(target=deliver_due, args=(runtime, "build"))
    worker.start()
    states = []
    while worker.is_alive():
        seen = see(mary, job_id)
        states.append((seen["state"], seen["log"]))
        time.sleep(0.1)
    worker.join()
    assert ("running", "halfway\n") in states
    assert see(mary, job_id)["state"] == "done"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("sys.exit('no such type')", "The generator refused the description."),
        ("", "The generator refused the description."),
        ("os.makedirs(out); open(out + '/x', 'wb').write(b'x' * 10**8)", TOO_MUCH),
        (
            "os.makedirs(out)\nfor n in range(80): open(f'{out}/{n}', 'wb').write(b'x' * 10**6)",
            TOO_MUCH,
        ),
        (
            "os.makedirs(out)\nfor n in range(40): open(f'{out}/{n}', 'wb').write(RANDOM)",
            "The archive is larger than 32 MiB.",
        ),
    ],
)
def test_a_generator_that_fails_is_told(ask, work, instead, program, error, session):
    instead(program)
    ask()
    job = work()
    assert job.state == "failed"
    assert job.error.startswith(error)
    assert session.scalars(select(SdkFile.kind)).all() == ["description"]


def test_a_full_disk_is_told_and_tried_again_a_few_times(ask, work, monkeypatch, instead, session):
    instead("print('No space left on device'); sys.exit(1)")
    ask()
    job = work()
    assert (job.state, job.error) == ("waiting", process.DISK_FULL)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    for attempt in range(2, jobs.MAX_ATTEMPTS):
        job = work()
        assert (job.state, job.attempts) == ("waiting", attempt)
        assert job.error == "The disk is too full to start."
    job = work()
    assert (job.state, job.attempts) == ("failed", jobs.MAX_ATTEMPTS)
    assert session.scalars(select(OutboxMessage)).one().failed_at is not None


def test_a_crash_is_seen_without_what_it_says(ask, work, monkeypatch):
    def crash(*_: Any) -> None:
        raise RuntimeError("a secret of the worker")

    monkeypatch.setattr(generators, "generate", crash)
    ask()
    job = work()
    assert (job.state, job.error) == ("waiting", "The job crashed.")
    assert "secret" not in job.log


@pytest.mark.usefixtures("quick_generator")
def test_a_job_of_a_worker_that_died_is_done_by_another(ask, work, session):
    ask()
    session.execute(update(SdkJob).values(state="running", attempts=1))
    job = work()
    assert (job.state, job.attempts) == ("done", 2)
    ask()
    newest = select(SdkJob.id).order_by(SdkJob.id.desc()).limit(1).scalar_subquery()
    session.execute(
        update(SdkJob)
        .where(SdkJob.id == newest)
        .values(state="running", attempts=jobs.MAX_ATTEMPTS)
        .execution_options(synchronize_session=False)
    )
    job = work()
    assert (job.state, job.error) == (
        *("failed", "The worker stopped at every attempt of this job."),
    )


@pytest.mark.usefixtures("quick_generator")
def test_what_belongs_to_no_microservice_goes_after_a_week(ask, work, session, runtime):
    ask()
    job = work()
    assert job.expires_at is not None
    session.commit()
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert session.get(SdkJob, job.id, populate_existing=True) is not None
    session.execute(update(SdkJob).values(expires_at=job.created_at))
    session.commit()
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert session.scalars(select(SdkJob)).all() == []
    assert session.scalars(select(SdkFile)).all() == []


def test_the_program_gets_neither_our_settings_nor_the_network(ask, work, instead, monkeypatch):
    monkeypatch.setenv("IDP_SECRET_KEY", "a secret of the worker")
    instead(
        "import socket\nprint(sorted(os.environ))\n"
        "os.makedirs(out); open(out + '/x', 'w').write('x')\n"
        "print(any('proxyHost=127.0.0.1' in a for a in sys.argv))\n"
        "print(socket.socket().connect_ex(('127.0.0.1', 1)))"
    )
    ask()
    log = work().log
    assert "IDP_" not in log
    assert "True" in log
    refused, unreachable = 111, 101
    assert log.rstrip().endswith(str(refused if "does not allow isolating" in log else unreachable))


@pytest.mark.no_database
def test_a_generator_that_cannot_be_cut_off_from_the_network_does_not_run(
    ask, work, instead, set_up, monkeypatch, tmp_path
):
    # A kernel that refuses, as it does in many containers.
    launcher = tmp_path / "limits.py"
    source = process._LAUNCHER.read_text()
    launcher.write_text(source.replace("def main(", "_leave_network = None\n\n\ndef main("))
    text = launcher.read_text().replace("def _leave_network()", "def _unused()")
    launcher.write_text(text.replace("_leave_network = None", "_leave_network = bool"))
    monkeypatch.setattr(process, "_LAUNCHER", launcher)
    ran = tmp_path / "ran"
    instead(f"open({str(ran)!r}, 'w'); os.makedirs(out); open(out + '/x', 'w').write('x')")
    set_up(codegen_with_network=False)
    ask()
    job = work()
    assert job.state == "failed"
    assert "IDP_CODEGEN_WITH_NETWORK" in job.error
    assert not ran.exists()
    set_up(codegen_with_network=True)
    ask()
    job = work()
    assert job.state == "done"
    assert "does not allow isolating this program" in job.log
    assert ran.exists()


def test_links_and_other_things_are_not_packed(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a.py").write_text("a")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "all").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    content = archives.pack(folder)
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["a.py"]
    os.utime(folder / "a.py", (0, 0))
    assert archives.pack(folder) == content
    target = tmp_path / "again"
    archives.unpack(content, target)
    assert [path.name for path in target.iterdir()] == ["a.py"]


def test_an_archive_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    (tmp_path / "a").write_bytes(os.urandom(2000))
    with pytest.raises(Unprocessable, match="larger"):
        archives.pack(tmp_path)


@pytest.mark.no_database
def test_five_thousand_operations_are_generated(ask, work, site):
    paths = {
        f"/p{n}": {
            "get": {
                "operationId": f"op{n}",
                "tags": [f"t{n % 50}"],
                "responses": {"200": {"description": "x"}},
            }
        }
        for n in range(5000)
    }
    url = site.put("/large.json", orjson.dumps({**SMALL, "paths": paths}))
    ask(genName="typescript-fetch", swaggerUrl=url)
    job = work()
    assert (job.state, job.error) == ("done", None)


@pytest.mark.no_database
def test_names_in_a_description_lead_to_no_other_folder(ask, work, site, tmp_path, mary):
    hostile = "../../../../../../../outside"
    operation = {
        "operationId": hostile,
        "tags": [hostile, "/outside"],
        "summary": '"""\n*/ evil()',
        "responses": {
            "200": {
                "description": "x",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}},
            }
        },
    }
    document = {
        **SMALL,
        "info": {"title": hostile, "version": hostile},
        "paths": {f"/{hostile}": {"get": operation}},
        "components": {
            "schemas": {
                name: {
                    "type": "object",
                    "title": hostile,
                    "properties": {hostile: {"type": "string"}},
                }
                for name in ("A", "..", "outside")
            }
        },
    }
    ask(swaggerUrl=site.put("/hostile.json", orjson.dumps(document)))
    job = work()
    assert (job.state, job.error) == ("done", None)
    archive = mary.send("GET", f"/sdk/jobs/{job.id}/archive", prefix="").data
    for name in zipfile.ZipFile(io.BytesIO(archive)).namelist():
        assert ".." not in name.split("/")
    # The name may be in the names of files, never in place of a folder.
    assert not any(path.name == "outside" for path in tmp_path.rglob("*"))
    assert not Path("/outside").exists()
    assert not (tmp_path.parent / "outside").exists()
