"""Clients that sign instead of showing a secret (RFC 7523, OpenID Connect Core 9)."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from sqlalchemy import select

from idp.platform import fetch
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.attacks.forging import assertion_claims, encode
from tests.protocol import add_api, add_person, authorize, register, register_machine
from tests.servers import free_port

pytestmark = pytest.mark.no_database

ISSUER = "http://127.0.0.1:8000"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PORT = free_port()

KEYS = {
    "RS256": lambda: RSAKey.generate_key(2048),
    "PS256": lambda: RSAKey.generate_key(2048),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}


def public(key, kid, **members):
    return {**key.as_dict(private=False), "kid": kid, **members}


def signed(key, alg, client_id="signing", audience=ISSUER, kid="one", **claims):
    header = {"alg": alg, "kid": kid, "typ": "JWT"}
    registry = JWSRegistry(algorithms=[alg])
    claims = assertion_claims(client_id, audience, **claims)
    return jwt.encode(header, claims, key, registry=registry)


def ask(client, assertion, **form):
    return client.post(
        "/connect/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": TYPE,
            "client_assertion": assertion,
            **form,
        },
    )


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # it warns of EdDSA
@pytest.mark.parametrize("alg", KEYS)
def test_an_assertion_of_a_registered_key_is_taken(client, session, alg):
    add_api(session)
    key = KEYS[alg]()
    app = register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public(key, "one", use="sig")]},
    )
    assert app.secret is None
    for number, audience in enumerate((ISSUER, ISSUER + "/connect/token")):
        answer = ask(client, signed(key, alg, audience=audience, jti=str(number)))
        assert answer.status_code == 200, answer.get_data(as_text=True)
        token = answer.get_json()["access_token"]
        assert protocol.payload(token)["sub"] == "signing"
        # The same proof works at every endpoint that asks for one.
        for path in ("/connect/introspect", "/connect/revocation"):
            form = {
                "token": token,
                "client_assertion_type": TYPE,
                "client_assertion": signed(key, alg, jti=f"{path}{number}"),
            }
            assert client.post(path, data=form).status_code == 200


def test_a_client_may_name_the_one_algorithm_that_it_signs_with(client, session):
    add_api(session)
    key = KEYS["RS256"]()
    for number, alg in enumerate((None, "PS256")):
        client_id = f"signing-{number}"
        register_machine(
            session,
            client_id,
            scopes=["orders.read"],
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg=alg,
            jwks={"keys": [public(key, "one")]},
        )
        assert ask(client, signed(key, "PS256", client_id, jti="a")).status_code == 200
        other = ask(client, signed(key, "RS256", client_id, jti="b"))
        assert other.status_code == (200 if alg is None else 401)


@pytest.fixture
def key_server():
    """Keys of a client, served over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.count += 1
            body = orjson.dumps({"keys": self.server.keys})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    server.count, server.keys = 0, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.settings(fetch_allow=f"127.0.0.1:{PORT}")
def test_keys_come_from_the_registered_address_and_follow_a_rotation(
    client, session, key_server, monkeypatch
):
    add_api(session)
    old, new = KEYS["RS256"](), KEYS["ES256"]()
    register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=f"http://127.0.0.1:{PORT}/jwks",
    )
    key_server.keys = [public(old, "one")]
    for number in range(3):
        assert ask(client, signed(old, "RS256", jti=str(number))).status_code == 200
    assert key_server.count == 1
    key_server.keys = [public(new, "two")]
    monkeypatch.setattr(fetch, "REFRESH_SECONDS", 0)
    answer = ask(client, signed(new, "ES256", kid="two", jti="new"))
    assert answer.status_code == 200
    assert key_server.count == 2
    assert ask(client, signed(old, "RS256", jti="old")).status_code == 401


@pytest.mark.settings(fetch_allow=f"127.0.0.1:{PORT}")
def test_an_assertion_is_neither_taken_nor_refused_while_too_many_wait_for_keys(
    client, session, key_server, runtime
):
    add_api(session)
    key = KEYS["ES256"]()
    key_server.keys = [public(key, "one")]
    register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=f"http://127.0.0.1:{PORT}/jwks",
    )
    with ExitStack() as stack:
        for _ in range(fetch.JSON_WAITERS):
            stack.enter_context(runtime.fetcher._json_waiters)
        answer = ask(client, signed(key, "ES256", jti="first"))
        assert answer.status_code == 503
        assert answer.json["error"] == "temporarily_unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    assert key_server.count == 0
    refused = select(AuditEvent).where(AuditEvent.tag == Tag.CLIENT_REFUSED)
    assert session.scalars(refused).all() == []
    assert ask(client, signed(key, "ES256", jti="first")).status_code == 200


def test_a_web_application_redeems_its_code_by_an_assertion(client, session):
    key = KEYS["ES256"]()
    app = register(
        session,
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public(key, "one")]},
    )
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app, scope="openid offline_access"))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
    }
    answer = ask(client, signed(key, "ES256", "web", jti="a"), **form)
    assert answer.status_code == 200
    refresh = {
        "grant_type": "refresh_token",
        "refresh_token": answer.get_json()["refresh_token"],
        "client_id": "web",
    }
    assert ask(client, signed(key, "ES256", "web", jti="b"), **refresh).status_code == 200


def register_signing(session):
    """Register a machine that signs by a key of its own; return the key."""
    add_api(session)
    key = KEYS["ES256"]()
    register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [public(key, "one")]},
    )
    return key


def test_clocks_may_differ_a_little(client, session):
    key = register_signing(session)
    now = int(time.time())
    for number, (claims, status) in enumerate(
        (
            ({"exp": now - 5}, 200),
            ({"exp": now - 30}, 401),
            ({"nbf": now + 5}, 200),
            ({"nbf": now + 60}, 401),
            ({"iat": now + 5}, 200),
            ({"iat": now - 600}, 200),
            ({"iat": None}, 200),
        )
    ):
        answer = ask(client, signed(key, "ES256", jti=str(number), **claims))
        assert answer.status_code == status, claims


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # it warns of EdDSA
@pytest.mark.parametrize("named", ["EdDSA", "Ed25519"])
def test_eddsa_has_two_names(client, session, named):
    """RFC 9864: in the header, in the key and in the client's settings."""
    add_api(session)
    key = KEYS["EdDSA"]()
    register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg=named,
        jwks={"keys": [public(key, "one", alg=named)]},
    )
    for number, alg in enumerate(("EdDSA", "Ed25519")):
        head = encode(orjson.dumps({"alg": alg, "kid": "one", "typ": "JWT"}))
        claims = encode(orjson.dumps(assertion_claims("signing", ISSUER, jti=str(number))))
        text = f"{head}.{claims}"
        signature = JWSRegistry.algorithms["EdDSA"].sign(text.encode(), key)
        assert ask(client, f"{text}.{encode(signature)}").status_code == 200, alg


def test_an_assertion_names_the_endpoint_that_it_is_sent_to(client, session):
    key = KEYS["ES256"]()
    addresses = (ISSUER, f"{ISSUER}/connect/token", f"{ISSUER}/connect/par")
    for client_id, strict in (("signing", False), ("strict", True)):
        app = register(
            session,
            client_id,
            token_endpoint_auth_method="private_key_jwt",
            strict_assertion_audience=strict,
            jwks={"keys": [public(key, "one")]},
        )
        request = protocol.authorization_parameters(app)
        refreshing = {"grant_type": "refresh_token", "refresh_token": "x"}
        for number, audience in enumerate((*addresses, [ISSUER], f"{ISSUER}/connect/userinfo")):
            for path, form in (
                ("par", request),
                ("token", refreshing),
                ("introspect", {"token": "x"}),
            ):
                assertion = signed(
                    key, "ES256", client_id, audience=audience, jti=f"{path}{number}"
                )
                own = {"client_assertion_type": TYPE, "client_assertion": assertion}
                answer = client.post(f"/connect/{path}", data={**form, **own})
                is_good = number == 0 or (number == 1 and not strict)
                is_good = is_good or (number == 2 and path == "par" and not strict)
                assert (answer.status_code != 401) is is_good, (client_id, audience, path)


def test_an_assertion_is_short_lived_and_has_a_short_id(client, session):
    key = register_signing(session)
    now = int(time.time())
    for claims, status in (
        ({"jti": "x" * 255}, 200),
        ({"jti": "x" * 256}, 401),
        ({"jti": ""}, 401),
        ({"jti": "a", "iat": now - 3000, "exp": now + 600}, 200),
        ({"jti": "b", "iat": now - 3601, "exp": now + 60}, 401),
    ):
        assert ask(client, signed(key, "ES256", **claims)).status_code == status, claims


def test_discovery_names_what_is_taken(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert "private_key_jwt" in metadata["token_endpoint_auth_methods_supported"]
    algorithms = metadata["token_endpoint_auth_signing_alg_values_supported"]
    assert sorted(algorithms) == sorted(KEYS)
