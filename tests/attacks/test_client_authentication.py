"""Attacks on how clients prove who they are."""

from __future__ import annotations

import base64
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from idp.directory.clients import service as clients
from idp.platform import clock as now
from tests import protocol
from tests.attacks import forging
from tests.protocol import add_api, register, register_machine
from tests.servers import free_port

ISSUER = "http://127.0.0.1:8000"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def ask(client, form, headers=None):
    return client.post(
        "/connect/token",
        data={"grant_type": "client_credentials", **form},
        headers=headers or {},
    )


def is_refused(answer, what=None):
    assert answer.status_code == 401, (what, answer.get_data(as_text=True))
    assert answer.get_json()["error"] == "invalid_client", what
    assert answer.headers["WWW-Authenticate"].startswith("Basic"), what
    assert answer.headers["Cache-Control"] == "no-store"
    return True


def basic(text):
    encoded = base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
    return {"Authorization": f"Basic {encoded}"}


def asserted(assertion, **form):
    return {"client_assertion_type": TYPE, "client_assertion": assertion, **form}


@pytest.fixture
def signer():
    """The key of a client that signs."""
    return forging.new_rsa()


@pytest.fixture
def by_keys(session, signer):
    """A client that authenticates by its registered key."""
    add_api(session)
    return register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [forging.rsa_jwk(signer, kid="one", alg="RS256", use="sig")]},
    )


def signed(key, audience=ISSUER, client_id="signing", header=None, **claims):
    head = {"alg": "RS256", "kid": "one", "typ": "JWT", **(header or {})}
    return forging.by_rsa(head, forging.assertion_claims(client_id, audience, **claims), key)


@pytest.mark.no_database
def test_two_ways_at_once_are_refused(client, session, by_keys, signer):
    # Row 26, RFC 6749 2.3: even when both are right.
    app = register_machine(session, scopes=["orders.read"])
    assertion = signed(signer)
    is_refused(ask(client, app.post, app.basic))
    is_refused(ask(client, {"client_secret": app.secret}, app.basic))
    is_refused(ask(client, {"client_secret": "x"}, app.basic))
    is_refused(ask(client, asserted(assertion), app.basic))
    is_refused(ask(client, asserted(assertion, **app.post)))
    is_refused(ask(client, {"client_id": "signing"}, app.basic))
    is_refused(ask(client, asserted(assertion, client_id="machine")))
    # RFC 7521 4.2: one half of the pair is a method as well, and a broken one.
    for half in ({"client_assertion_type": TYPE}, {"client_assertion": assertion}):
        for form, headers in ((half, None), (half, app.basic), ({**half, **app.post}, None)):
            answer = ask(client, form, headers)
            assert answer.status_code == 400, half
            assert answer.get_json()["error"] == "invalid_request"
    assert ask(client, {"client_id": "machine"}, app.basic).status_code == 200
    assert ask(client, asserted(assertion, client_id="signing")).status_code == 200


@pytest.mark.no_database
def test_only_the_registered_way_works(client, session, by_keys, signer):
    for method in ("client_secret_basic", "client_secret_post"):
        app = register_machine(
            session, method, scopes=["orders.read"], token_endpoint_auth_method=method
        )
        good, bad = (app.post, None), ({}, app.basic)
        if method == "client_secret_basic":
            good, bad = ({}, app.basic), (app.post, None)
        assert ask(client, *good).status_code == 200
        is_refused(ask(client, *bad))
        is_refused(ask(client, {"client_id": method}))
    is_refused(ask(client, {"client_id": "signing"}))
    is_refused(ask(client, {"client_id": "signing", "client_secret": "x" * 30}))
    is_refused(ask(client, {}, basic("signing:" + "x" * 30)))


@pytest.mark.no_database
def test_a_public_client_has_no_secret(client, session):
    spa = register(session, "spa", public=True)
    protocol.sign_in(client, session, protocol.add_person(session))
    code = protocol.code_of(protocol.authorize(client, spa))
    for secret in ("x", "spa", protocol.VERIFIER):
        is_refused(protocol.redeem(client, spa, code, client_secret=secret))
    assert protocol.redeem(client, spa, code).status_code == 200
    refused = ask(client, {"client_id": "spa"})
    assert refused.get_json()["error"] == "unauthorized_client"


@pytest.mark.no_database
def test_an_empty_secret_is_none_and_opens_no_client_that_has_one(client, session, by_keys, signer):
    """RFC 6749 2.3.1: it may be left out, so it may be sent, and then it proves nothing."""
    spa = register(session, "spa", public=True)
    protocol.sign_in(client, session, protocol.add_person(session))

    def redeem(form, headers=None):
        code = protocol.code_of(protocol.authorize(client, spa))
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": protocol.CALLBACK,
            "code_verifier": protocol.VERIFIER,
            **form,
        }
        return client.post("/connect/token", data=form, headers=headers)

    empty = {"client_secret": ""}
    for form, headers in (
        ({**spa.post, **empty}, None),
        ({}, basic("spa:")),
        (spa.post, basic("spa:")),
        ({**spa.post, **empty}, basic("spa:")),
    ):
        assert redeem(form, headers).status_code == 200, (form, headers)
    # It stays a way of authentication, of which a request has one (2.3).
    assertion = signed(signer)
    for form in (
        {"client_secret": "x"},
        {**spa.post, "client_secret": "x"},
        {"client_id": "signing"},
        asserted(assertion),
        asserted(assertion, client_id="spa"),
    ):
        is_refused(redeem(form, basic("spa:")), form)
    is_refused(redeem({}, basic("spa: ")))
    is_refused(redeem({}, basic("spa:%00")))
    # Who has a secret, a key or a certificate is not let in without.
    ways = {
        "machine": {},
        "by-header": {"token_endpoint_auth_method": "client_secret_basic"},
        "by-body": {"token_endpoint_auth_method": "client_secret_post"},
        "by-certificate": {
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_san_dns": "machine.example",
        },
    }
    for name, settings in ways.items():
        register_machine(session, name, scopes=["orders.read"], **settings)
    for name in ("signing", *ways):
        is_refused(ask(client, {}, basic(f"{name}:")), name)
        is_refused(ask(client, {"client_id": name, **empty}), name)
        is_refused(ask(client, {"client_id": name, **empty}, basic(f"{name}:")), name)
    is_refused(client.post("/connect/introspect", data={"token": "x"}, headers=basic("spa:")))


@pytest.mark.no_database
def test_malformed_credentials_are_refused_and_break_nothing(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    for headers in (
        basic("machine"),
        basic(""),
        basic(":"),
        basic("machine:"),
        basic(f":{app.secret}"),
        basic(f"machine:{app.secret} "),
        basic(f"machine:{app.secret}x"),
        basic(f"MACHINE:{app.secret}"),
        basic(f"machine\x00:{app.secret}"),
        basic(f"machine%00:{app.secret}"),
        basic("machine%ff:x"),
        basic(b"\xff\xfe:x"),
        basic("x" * 100_000 + ":x"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + "A" * 30_001},
        {"Authorization": f"Bearer {app.secret}"},
        {"Authorization": "Digest username=machine"},
        {"Authorization": ""},
    ):
        is_refused(ask(client, {}, headers), str(headers)[:100])
    for form in ({"client_id": "machine"}, {"client_secret": app.secret}, {}, {"client_id": "é"}):
        is_refused(ask(client, form), form)
    # RFC 6749 2.3.1: both parts are form-encoded before they are joined.
    encoded = "".join(f"%{byte:02x}" for byte in b"machine")
    assert ask(client, {}, basic(f"{encoded}:{app.secret}")).status_code == 200


def test_an_expired_or_removed_secret_is_refused(client, session, clock):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    row = clients.get(session, "machine")
    second = clients.add_secret(session, row, expires_at=now.now() + timedelta(hours=1))
    session.commit()
    form = {"client_id": "machine", "client_secret": second}
    assert ask(client, form).status_code == 200
    assert ask(client, app.post).status_code == 200
    clients.remove_secret(session, row, row.secrets[0].id)
    session.commit()
    is_refused(ask(client, app.post))
    assert ask(client, form).status_code == 200
    clock.shift(3600)
    is_refused(ask(client, form))


def test_an_assertion_counts_once(client, session, by_keys, signer, new_client):
    # Row 27, RFC 7523 3.
    assertion = signed(signer)
    assert ask(client, asserted(assertion)).status_code == 200
    is_refused(ask(client, asserted(assertion)))
    is_refused(ask(new_client(), asserted(assertion)))
    revoked = {"token": "x", **asserted(assertion)}
    assert client.post("/connect/revocation", data=revoked).status_code == 401
    # Whatever came of the request: the assertion is used up.
    spent = signed(signer, jti="spent")
    wrong = ask(client, asserted(spent, scope="nonsense"))
    assert wrong.get_json()["error"] == "invalid_scope"
    is_refused(ask(client, asserted(spent)))
    # The same jti under another key or with other claims is the same jti.
    is_refused(ask(client, asserted(signed(signer, jti="spent", iat=1))))
    assert ask(client, asserted(signed(signer, jti="fresh"))).status_code == 200


def test_one_jti_of_two_clients_is_two(client, session, by_keys, signer):
    key = forging.new_rsa()
    register_machine(
        session,
        "other",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [forging.rsa_jwk(key, kid="one")]},
    )
    assert ask(client, asserted(signed(signer, jti="a"))).status_code == 200
    assert ask(client, asserted(signed(key, client_id="other", jti="a"))).status_code == 200
    # Nor does one client's key speak for the other.
    is_refused(ask(client, asserted(signed(key, jti="b"))))
    is_refused(ask(client, asserted(signed(signer, client_id="other", jti="b"))))
    is_refused(ask(client, asserted(signed(key, jti="c", iss="other"))))


@pytest.mark.no_database
def test_an_assertion_is_meant_for_us_and_for_now(client, session, by_keys, signer):
    # Row 27: audience of another server, a list (GHSA-3p3g), times, issuer, subject.
    moment = int(time.time())
    for number, claims in enumerate(
        (
            {"audience": [ISSUER]},
            {"audience": [ISSUER, "https://other.example"]},
            {"audience": []},
            {"audience": None},
            {"audience": ""},
            {"audience": "https://other.example"},
            {"audience": ISSUER + "/"},
            {"audience": ISSUER.upper()},
            {"audience": ISSUER + "/connect/introspect"},
            {"audience": ISSUER + "/connect/token/"},
            {"audience": {"a": ISSUER}},
            {"iss": "other"},
            {"iss": None},
            {"sub": "other"},
            {"sub": None},
            {"sub": ["signing"]},
            {"exp": None},
            {"exp": moment - 60},
            {"exp": moment + 7200},
            {"exp": "soon"},
            {"exp": str(moment + 60)},
            {"exp": True},
            {"exp": 1e300},
            {"nbf": moment + 600},
            {"nbf": "now"},
            {"iat": moment + 600},
            {"iat": "now"},
            {"jti": None},
            {"jti": ""},
            {"jti": 7},
            {"jti": ["a"]},
        )
    ):
        good = {"jti": f"number-{number}", **claims}
        is_refused(ask(client, asserted(signed(signer, **good))), claims)
    for audience in (ISSUER, ISSUER + "/connect/token"):
        assert ask(client, asserted(signed(signer, audience, jti=audience))).status_code == 200


@pytest.mark.no_database
def test_a_strict_client_names_the_issuer_only(client, session, by_keys, signer):
    row = clients.get(session, "signing")
    clients.update(session, row, {"strict_assertion_audience": True})
    session.commit()
    is_refused(ask(client, asserted(signed(signer, ISSUER + "/connect/token", jti="a"))))
    assert ask(client, asserted(signed(signer, ISSUER, jti="b"))).status_code == 200


@pytest.mark.no_database
def test_a_forged_assertion_is_refused(client, session, by_keys, signer):
    claims = forging.assertion_claims("signing", ISSUER)
    stranger = forging.new_rsa()
    own = forging.rsa_jwk(stranger, kid="one")
    public = orjson.dumps(forging.rsa_jwk(signer, kid="one", alg="RS256", use="sig"))
    for assertion in (
        forging.unsigned({"alg": "none"}, claims),
        forging.unsigned({"alg": "none", "kid": "one"}, claims),
        forging.by_shared_secret({"alg": "HS256", "kid": "one"}, claims, public),
        forging.by_shared_secret({"alg": "HS256", "kid": "one"}, claims, b"one"),
        forging.by_shared_secret({"alg": "HS256"}, claims, b""),
        forging.by_rsa({"alg": "RS256", "kid": "one"}, claims, stranger),
        forging.by_rsa({"alg": "RS256", "kid": "one", "jwk": own}, claims, stranger),
        forging.by_rsa({"alg": "RS256", "jku": "https://evil.example"}, claims, stranger),
        signed(signer, header={"crit": ["x"], "x": 1}),
        signed(signer, header={"alg": "RS512"}),
        signed(signer, header={"alg": "PS256"}),
        signed(signer, header={"kid": "two"}),
        signed(signer) + "A",
        signed(signer)[:-8],
        forging.with_claims(signed(signer), jti="changed"),
        "a.b.c",
        "...",
        "x" * 9000,
        f"{forging.part({})}.{forging.encode(b'[' * 100_000)}.x",
        f"{forging.part({})}.{forging.part({'sub': 'sign' + chr(0) + 'ing'})}.x",
        f"{forging.part({})}.{forging.part({'sub': 'x' * 5000})}.x",
        f"{forging.part({})}.{forging.part({'sub': 1})}.x",
        f"{forging.part({})}.{forging.encode(b'null')}.x",
    ):
        is_refused(ask(client, asserted(assertion)), assertion[:200])
    unknown = {"client_assertion_type": "urn:other", "client_assertion": signed(signer)}
    assert ask(client, unknown).status_code in {400, 401}
    # RFC 8725 3.11: what was signed for something else, by the right key and with the right claims.
    for number, typ in enumerate(("at+jwt", "logout+jwt", "dpop+jwt", "", 7, None, ["JWT"])):
        assertion = signed(signer, jti=f"typ-{number}", header={"typ": typ})
        is_refused(ask(client, asserted(assertion)), typ)
    for number, typ in enumerate(("JWT", "jwt", "client-authentication+jwt")):
        assertion = signed(signer, jti=f"good-{number}", header={"typ": typ})
        assert ask(client, asserted(assertion)).status_code == 200, typ
    head = {"alg": "RS256", "kid": "one"}
    untyped = forging.by_rsa(head, forging.assertion_claims("signing", ISSUER, jti="none"), signer)
    assert ask(client, asserted(untyped)).status_code == 200
    assert ask(client, asserted(signed(signer, jti="good"))).status_code == 200


# Keys fetched from an address that the client registered (row 30)


class KeyServer(BaseHTTPRequestHandler):
    """Serves what a test sets, and counts."""

    def do_GET(self):
        server = self.server
        server.paths.append(self.path)
        server.behaviour(self)

    def log_message(self, *_):
        """Log nothing."""


PORT = free_port()


@pytest.fixture
def key_server():
    """An HTTP server of the test's own on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", PORT), KeyServer)
    server.daemon_threads = True
    server.paths = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(handler, body, status=200, **headers):
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def register_by_address(session, address, client_id="fetching"):
    return register_machine(
        session,
        client_id,
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=address,
    )


@pytest.mark.no_database
def test_keys_are_not_fetched_from_inner_addresses(client, session, signer, key_server):
    # Row 30: the answer is the same as for a wrong signature, and nobody was called.
    add_api(session)
    key_server.behaviour = lambda handler: send(handler, b"{}")
    for number, address in enumerate(
        (
            f"http://127.0.0.1:{PORT}/jwks",
            f"https://127.0.0.1:{PORT}/jwks",
            f"http://localhost:{PORT}/jwks",
            f"http://[::ffff:127.0.0.1]:{PORT}/jwks",
            "https://127.0.0.1/jwks",
            "https://localhost/jwks",
            "https://10.0.0.1/jwks",
            "https://192.168.1.1/jwks",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/jwks",
            "https://[fd00::1]/jwks",
            "https://0.0.0.0/jwks",
            "https://100.64.0.1/jwks",
        )
    ):
        name = f"fetching-{number}"
        register_by_address(session, address, name)
        answer = ask(client, asserted(signed(signer, client_id=name)))
        is_refused(answer, address)
        assert "169.254" not in answer.get_data(as_text=True)
    assert key_server.paths == []


@pytest.mark.no_database
@pytest.mark.settings(fetch_allow=f"127.0.0.1:{PORT}")
def test_a_hostile_key_server_gets_nowhere(client, session, signer, key_server, monkeypatch):
    # Row 30: redirects, huge, slow, compressed and malformed answers.
    from idp.platform.fetch import Fetcher

    monkeypatch.setitem(Fetcher.get.__kwdefaults__, "timeout", 0.5)
    add_api(session)
    good = orjson.dumps({"keys": [forging.rsa_jwk(signer, kid="one")]})

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(20):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)

    for number, behaviour in enumerate(
        (
            lambda handler: send(handler, b"", 302, Location=f"http://127.0.0.1:{PORT}/secret"),
            lambda handler: send(handler, b"", 307, Location="http://169.254.169.254/"),
            lambda handler: send(handler, good + b" " * 200_000),
            lambda handler: send(handler, good, Content_Encoding="gzip"),
            lambda handler: send(handler, good, 500),
            lambda handler: send(handler, good, 404),
            lambda handler: send(handler, b"[]"),
            lambda handler: send(handler, b'{"keys": {}}'),
            lambda handler: send(handler, b'{"keys": [7]}'),
            lambda handler: send(handler, b'{"keys":' * 1000),
            lambda handler: send(handler, b"\xff\xfe"),
            lambda handler: handler.wfile.write(b"HTTP/1.1 200\r\n" + b"A: b\r\n" * 9000),
            drip,
        )
    ):
        key_server.behaviour = behaviour
        name = f"fetching-{number}"
        register_by_address(session, f"http://127.0.0.1:{PORT}/{number}", name)
        started = time.perf_counter()
        is_refused(ask(client, asserted(signed(signer, client_id=name))), number)
        assert time.perf_counter() - started < 3
    assert "/secret" not in key_server.paths
    key_server.behaviour = lambda handler: send(handler, good)
    register_by_address(session, f"http://127.0.0.1:{PORT}/good")
    answer = ask(client, asserted(signed(signer, client_id="fetching")))
    assert answer.status_code == 200
    # An unknown key makes us ask again, but not for every request of somebody who plays.
    for number in range(5):
        forged = signed(signer, client_id="fetching", header={"kid": f"unknown-{number}"})
        is_refused(ask(client, asserted(forged)))
    assert key_server.paths.count("/good") <= 2
