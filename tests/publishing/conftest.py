"""Real servers that SDKs are published to: Verdaccio from npm, and Git over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.directory.resources import service as resources
from idp.platform import clock
from idp.platform.fetch import Fetcher
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen import generators
from idp.publishing.codegen.models import SdkJob
from tests import npm, protocol
from tests.api import center
from tests.delivery import deliver_due
from tests.publishing.serving import GitServer, Site
from tests.servers import dies_with_us, free_port

OWN = "http://127.0.0.1:8000/openapi/authorization-center.json"
GIT_TOKEN = "ghp_ATokenOfTheRepository"


@pytest.fixture(scope="session")
def npm_tools() -> Path:
    """Install what comes from npm, once for this environment; return the folder of programs."""
    return npm.installed((Path(__file__).parent / "npm" / "package.json").read_bytes())


@dataclass(frozen=True)
class Registry:
    """A Verdaccio, with the token of a person who may publish."""

    url: str
    token: str

    def package(self, name: str) -> dict[str, Any]:
        """Return what the registry reports about a package."""
        with urllib.request.urlopen(f"{self.url}/{name.replace('/', '%2f')}") as answer:
            return json.load(answer)

    def download(self, name: str, version: str) -> bytes:
        """Return the package itself."""
        with urllib.request.urlopen(
            self.package(name)["versions"][version]["dist"]["tarball"]
        ) as it:
            return it.read()


@pytest.fixture(scope="session")
def registry(npm_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Start a Verdaccio that knows no other registry."""
    folder = tmp_path_factory.mktemp("verdaccio")
    (folder / "config.yaml").write_text(
        "storage: ./storage\n"
        "auth: {htpasswd: {file: ./htpasswd, algorithm: bcrypt, rounds: 4}}\n"
        "uplinks: {}\n"
        "packages: {'**': {access: $all, publish: $authenticated}}\n"
        "web: {enable: false}\n"
        "log: {type: stdout, format: pretty, level: http}\n"
    )
    url = f"http://127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(npm.NODE, npm_tools / "verdaccio" / "bin" / "verdaccio"),
                *("--config", folder / "config.yaml", "--listen", url.removeprefix("http://")),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGKILL),  # noqa: PLW1509 - one prctl, no lock
        )
    try:
        _wait(f"{url}/-/ping", process, folder / "log")
        person = json.dumps({"name": "ann", "password": "tall-birch-window-8"}).encode()
        request = urllib.request.Request(
            f"{url}/-/user/org.couchdb.user:ann",
            person,
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request) as answer:
            token = json.load(answer)["token"]
        yield Registry(url, token)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"Verdaccio does not answer:\n{log.read_text()}")


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    """Start a Git server without repositories."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "git" / "acme").mkdir(parents=True)
    server = GitServer(tmp_path / "git", GIT_TOKEN)
    yield server
    server.stop()


@pytest.fixture
def mary(client, session):
    return center.manager(client, session)


@pytest.fixture
def api_id(session, mary) -> int:
    api = protocol.add_api(session, "orders", tenant_id=1)
    resources.link_owner(session, api, mary.user.id)
    session.commit()
    return api.id


@pytest.fixture
def site(runtime) -> Iterator[Site]:
    """Serve files that the application may fetch."""
    with Site() as site:
        runtime.fetcher = Fetcher(site.host)
        yield site


@pytest.fixture
def set_up(runtime) -> Callable[..., None]:
    """Change settings of the running application."""

    def change(**fields: Any) -> None:
        runtime.settings = runtime.settings.model_copy(update=fields)

    return change


@pytest.fixture
def work(runtime, session, set_up) -> Callable[[], SdkJob]:
    """Run the jobs that wait, put off or not; return the newest.

    Generators run on any machine here, on one as well that cannot cut them off from the network.
    """
    set_up(codegen_with_network=True)

    def run() -> SdkJob:
        session.execute(update(OutboxMessage).values(due_at=clock.now()))
        session.commit()
        deliver_due(runtime, "build")
        session.expire_all()
        # Whatever happened, nothing is left behind.
        assert list((runtime.settings.data_dir / "codegen").glob("work-*")) == []
        return session.scalars(select(SdkJob).order_by(SdkJob.id.desc()).limit(1)).one()

    return run


@pytest.fixture
def quick_generator(monkeypatch) -> None:
    """Stand in for the generator where only what comes after it is told; the files are like its."""

    def generate(generator, document, options, work, on_progress, **_):
        folder = work / "generated"
        (folder / "api").mkdir(parents=True)
        (folder / "index.ts").write_text("export * from './api/orders';\n")
        (folder / "api" / "orders.ts").write_text(
            f"export class {document['info']['title']} {{}}\n"
        )
        (folder / "git_push.sh").write_text("#!/bin/sh\n")
        on_progress("generated\n")
        return folder, "generated\n"

    monkeypatch.setattr(generators, "generate", generate)
