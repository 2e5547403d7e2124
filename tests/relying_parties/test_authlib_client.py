"""Relying parties made with Authlib: its session, and its Flask extension as in the guide."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

from idp.directory.users.models import User
from idp.oauth import authlib_adapter
from tests import protocol
from tests.conformance.browser import Arrival, Browser, Page, Person
from tests.conformance.provider import DISCOVERY, Provider
from tests.protocol import CALLBACK
from tests.relying_parties.conftest import Service
from tests.servers import clean_environment, dies_with_us, free_port

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_session_signs_in_refreshes_introspects_and_revokes(
    provider: Provider, service: Service, browser: Browser, person: Person
) -> None:
    metadata = provider.metadata
    verifier = secrets.token_urlsafe(48)
    with OAuth2Session(
        service.web.app.client_id,
        service.web.app.secret,
        scope="openid orders.read offline_access",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    ) as client:
        address, state = client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier
        )
        stop = browser.answer(browser.open(address), person)
        assert isinstance(stop, Arrival)
        first = client.fetch_token(
            authorization_response=stop.url, state=state, code_verifier=verifier
        )
        assert client.get(metadata["userinfo_endpoint"]).json()["sub"] == str(person.id)
        second = client.refresh_token(metadata["token_endpoint"])
        assert second["access_token"] != first["access_token"]
        told = client.introspect_token(
            metadata["introspection_endpoint"], token=second["access_token"]
        ).json()
        assert told["active"] is True
        assert told["sub"] == str(person.id)
        client.revoke_token(metadata["revocation_endpoint"], token=second["refresh_token"])
        told = client.introspect_token(
            metadata["introspection_endpoint"], token=second["access_token"]
        ).json()
        assert told == {"active": False}


def test_the_session_gets_a_token_of_its_own(provider: Provider, service: Service) -> None:
    machine = service.machine
    with OAuth2Session(
        machine.client_id, machine.secret, token_endpoint_auth_method="client_secret_post"
    ) as client:
        token = client.fetch_token(
            provider.metadata["token_endpoint"],
            grant_type="client_credentials",
            scope="orders.write",
        )
    assert protocol.payload(token["access_token"])["scope"] == "orders.write"


def test_the_session_signs_instead_of_showing_a_secret(
    provider: Provider, service: Service
) -> None:
    endpoint = provider.metadata["token_endpoint"]
    key = ECKey.generate_key("P-256", {"kid": "one"})
    with provider.sessions() as session:
        protocol.register_machine(
            session,
            "signer",
            ["orders.read"],
            token_endpoint_auth_method="private_key_jwt",
            jwks={"keys": [key.as_dict(private=False)]},
        )
    with OAuth2Session("signer", key, token_endpoint_auth_method="private_key_jwt") as client:
        client.register_client_auth_method(PrivateKeyJWT(endpoint, alg="ES256"))
        for _ in range(2):
            token = client.fetch_token(endpoint, grant_type="client_credentials")
            assert token["scope"] == "orders.read"


@pytest.mark.parametrize("document", ["openid-configuration", "oauth-authorization-server"])
def test_authlib_reads_the_metadata_of_every_issuer(
    document: str, provider: Provider, second_issuer: str
) -> None:
    for issuer in (provider.url, second_issuer):
        metadata = provider.http.get(f"{issuer}/.well-known/{document}").json()
        assert metadata["issuer"] == issuer
        authlib_adapter.check_metadata(metadata, secure=False)
        for wrong in ({"jwks_uri": "keys"}, {"response_types_supported": "code"}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                authlib_adapter.check_metadata(metadata | wrong, secure=False)


@pytest.fixture
def flask_address(provider: Provider, tmp_path: Path) -> Iterator[str]:
    """Run the Flask application of the guide."""
    with _running("flask_relying_party", provider, tmp_path) as address:
        yield address


@pytest.fixture
def careful_address(provider: Provider, tmp_path: Path) -> Iterator[str]:
    """Run the Flask application of the guide that demands a second factor."""
    with _running("flask_second_factor", provider, tmp_path) as address:
        yield address


@contextmanager
def _running(example: str, provider: Provider, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with provider.sessions() as session:
        app = protocol.register(session, example, redirect_uris=(f"{address}/callback",))
    environment = {
        "FLASK_SECRET_KEY": secrets.token_urlsafe(),
        "FLASK_IDP_CLIENT_ID": app.client_id,
        "FLASK_IDP_CLIENT_SECRET": str(app.secret),
        "FLASK_IDP_SERVER_METADATA_URL": provider.url + DISCOVERY,
    }
    log = tmp_path / "flask.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*(sys.executable, "-m", "flask", "--app", example), "run", f"-p{port}"],
            cwd=EXAMPLES,
            env=clean_environment() | environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=dies_with_us(15),  # noqa: PLW1509 - one prctl, no lock
        )
    try:
        _wait_for(port, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"the example did not start:\n{log.read_text()}")


def test_the_flask_application_of_the_guide_signs_a_visitor_in(
    provider: Provider, flask_address: str, person: Person
) -> None:
    with Browser(provider.url, flask_address) as browser:
        page = browser.answer(browser.open(f"{flask_address}/"), person)
        assert isinstance(page, Page)
        assert page.url == f"{flask_address}/"
        assert page.text == "Hello Conny Q. Formance"
        assert browser.seen == ["/login", "/"]
        # The cookies of the two applications, side by side on one host, leave each other alone.
        again = browser.open(f"{flask_address}/sign-in")
        assert isinstance(again, Page)
        assert again.text == "Hello Conny Q. Formance"
        assert browser.seen == ["/login", "/", "/"]


def test_the_flask_application_that_demands_a_second_factor_gets_it(
    provider: Provider, careful_address: str, careful: Person
) -> None:
    with Browser(provider.url, careful_address) as browser:
        page = browser.answer(browser.open(f"{careful_address}/"), careful)
        assert isinstance(page, Page)
        assert page.text == "Signed in: pwd"
        with provider.sessions() as session:
            user = session.get_one(User, careful.id)
            secret = protocol.add_authenticator(session, user)
        asked = browser.open(f"{careful_address}/payments")
        assert isinstance(asked, Page)
        assert asked.path == "/login/factor"
        done = browser.submit(asked, code=protocol.app_code(secret))
        assert isinstance(done, Page)
        assert done.text == "Payments"
        again = browser.open(f"{careful_address}/")
        assert isinstance(again, Page)
        assert again.text == "Signed in: mfa"


def test_the_flask_application_of_the_guide_has_twenty_lines() -> None:
    text = (EXAMPLES / "flask_relying_party.py").read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
