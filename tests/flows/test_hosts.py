"""Hosts, proxies and what they may say; the headers that every answer carries."""

from __future__ import annotations

import re

import pytest

from tests import protocol

pytestmark = pytest.mark.no_database

DISCOVERY = "/.well-known/openid-configuration"
PAGE = {"Accept": "text/html"}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:8001", "127.0.0.1", "", "127.0.0.1:8000.evil.example"]
)
@pytest.mark.parametrize("path", [DISCOVERY, "/connect/token", "/login", "/nothing"])
def test_unknown_hosts_are_refused(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8000,evil.example", "user@127.0.0.1:8000", "127.0.0.1:8000/x", "a b"),
        *("<script>", "a" * 300, "127.0.0.1:8000\t", "[::1", "%00"),
    ],
)
def test_malformed_hosts_are_refused(client, host):
    answer = client.get("/login", environ_overrides={"HTTP_HOST": host}, headers=PAGE)
    assert answer.status_code == 400
    assert "<script>" not in answer.get_data(as_text=True)


def test_localhost_leads_to_the_public_address(client):
    answer = client.get("/login?a=b%20c", base_url="http://localhost:8000")
    assert answer.status_code == 308
    assert answer.location == "http://127.0.0.1:8000/login?a=b%20c"
    answer = client.get("//evil.example/%2e%2e", base_url="http://localhost:8000")
    assert answer.status_code == 308
    assert answer.location.startswith("http://127.0.0.1:8000/")


def test_health_ignores_the_host(client):
    for path in ("/healthz", "/readyz"):
        answer = client.get(path, headers={"Host": "10.1.2.3"})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/metrics", headers={"Host": "10.1.2.3"}).status_code == 404


def test_other_hosts_of_an_issuer_lead_to_the_one_it_is_named_after(new_client, session):
    protocol.add_tenant(session, hosts=["login.acme.example", "sso.acme.example"])
    named, other = (new_client(f"http://{name}.acme.example") for name in ("login", "sso"))
    assert named.get(DISCOVERY).get_json()["issuer"] == "http://login.acme.example"
    assert other.get(DISCOVERY).status_code == 404
    assert other.get("/.well-known/oauth-authorization-server").status_code == 404
    moved = other.get("/login?request=abc")
    assert moved.status_code == 308
    assert moved.location == "http://login.acme.example/login?request=abc"
    assert named.get("/login", headers=PAGE).status_code == 200


def test_host_names_are_compared_without_case_and_default_port(new_client, session):
    protocol.add_tenant(session, hosts=["login.acme.example"])
    for host in ("LOGIN.acme.Example", "login.acme.example:80"):
        answer = new_client("http://login.acme.example").get(DISCOVERY, headers={"Host": host})
        assert answer.get_json()["issuer"] == "http://login.acme.example"
    answer = new_client("http://login.acme.example").get(
        DISCOVERY, headers={"Host": "login.acme.example:8443"}
    )
    assert answer.status_code == 400


def test_two_issuers_have_their_own_form_cookies(new_client, client, session):
    tenant = protocol.add_tenant(session, hosts=["login.acme.example"])
    theirs = new_client("http://login.acme.example").get("/login", headers=PAGE)
    ours = client.get("/login", headers=PAGE)
    assert f"idp_form_{tenant}=" in theirs.headers["Set-Cookie"]
    assert "idp_form_1=" in ours.headers["Set-Cookie"]


FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=https",
    "X-Request-Id": "forged",
    "X-Original-URL": "/evil",
}


def test_forwarded_headers_of_untrusted_peers_change_nothing(client):
    plain = client.get(DISCOVERY).get_json()
    answer = client.get(DISCOVERY, headers=FORGED)
    assert answer.get_json() == plain
    assert answer.headers["X-Request-Id"] != "forged"
    page = client.get("/login", headers={**PAGE, **FORGED})
    assert page.status_code == 200
    assert "evil" not in page.get_data(as_text=True)


@pytest.mark.settings(trusted_proxies="10.0.0.0/8, 2001:db8::/32")
def test_a_trusted_proxy_tells_host_visitor_and_request_id(client, app):
    seen = []
    app.before_request(lambda: seen.append(_visit()))

    def get(peer, **headers):
        answer = client.get(
            "/nothing",
            headers={"Host": "inner:9000", **headers},
            environ_overrides={"REMOTE_ADDR": peer},
        )
        return answer, seen.pop() if seen else None

    via = {"X-Forwarded-Host": "127.0.0.1:8000", "X-Request-Id": "abc-1"}
    answer, visit = get("10.0.0.7", **via, **{"X-Forwarded-For": "192.0.2.1"})
    assert answer.headers["X-Request-Id"] == "abc-1"
    assert (visit.host, visit.remote_addr) == ("127.0.0.1:8000", "192.0.2.1")
    # What visitors write themselves stands left of what our proxies add.
    _, visit = get("10.0.0.7", **via, **{"X-Forwarded-For": "1.1.1.1, 192.0.2.1, 10.0.0.8"})
    assert visit.remote_addr == "192.0.2.1"
    _, visit = get("2001:db8::1", **via, **{"X-Forwarded-For": "192.0.2.1, unknown"})
    assert visit.remote_addr == "2001:db8::1"
    _, visit = get("10.0.0.7", **via)
    assert visit.remote_addr == "10.0.0.7"
    # The last host is the proxy's own word.
    answer, _ = get("10.0.0.7", **{"X-Forwarded-Host": "127.0.0.1:8000, evil.example"})
    assert answer.status_code == 400
    # A neighbour of the trusted network is a stranger.
    answer, _ = get("11.0.0.7", **via)
    assert answer.status_code == 400
    answer, _ = get("10.0.0.7", **{**via, "X-Request-Id": "a b\u00e9<"})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-Id"])


@pytest.mark.settings(trusted_proxies="127.0.0.1, 10.0.0.0/8, 2001:db8:ffff::/48")
@pytest.mark.parametrize("peer", ["127.0.0.1", "::ffff:127.0.0.1", "::FFFF:10.0.0.7"])
@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ('"[2001:db8::7]:_obscured"', "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:51234", "203.0.113.7"),
        ("203.0.113.7:51234, ::ffff:10.1.1.1, [2001:db8:ffff::1]:443", "203.0.113.7"),
        ("1.1.1.1, caf\xe9, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, , 10.1.1.1:80,", "203.0.113.7"),
        ("203.0.113.7, unknown", None),
        ("203.0.113.7, _hidden:_port", None),
        ("unix:", None),
        ("", None),
    ],
)
def test_every_form_of_a_visitors_address_is_read(client, app, peer, forwarded, visitor):
    seen = []
    app.before_request(lambda: seen.append(_visit().remote_addr))
    headers = {"X-Forwarded-For": forwarded}
    client.get("/nothing", headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    assert seen == [visitor or peer.lower().removeprefix("::ffff:")]


@pytest.mark.settings(trusted_proxies="127.0.0.1, 10.0.0.0/8")
@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        "203.0.113.7:port",
        "203.0.113.700",
        "[203.0.113.7",
        "caf\xe9",
        "1.1.1.1, caf\xe9",
    ],
)
def test_an_address_from_a_proxy_that_cannot_be_read_is_refused(client, broken):
    def status(peer, value):
        headers = {"X-Forwarded-For": value}
        return client.get(
            DISCOVERY, headers=headers, environ_overrides={"REMOTE_ADDR": peer}
        ).status_code

    assert status("127.0.0.1", broken) == 400
    assert status("127.0.0.1", f"{broken}, 10.1.1.1") == 400
    # Of a stranger it is not looked at, nor what stands behind the visitor's address.
    assert status("192.0.2.1", broken) == 200
    assert status("127.0.0.1", f"{broken}, 203.0.113.7") == 200


def _visit():
    from idp.platform.web.views import current_visit

    return current_visit()


@pytest.mark.parametrize("path", ["/login", "/nothing", "/forgot"])
def test_pages_cannot_be_framed_or_run_foreign_code(client, path):
    answer = client.get(path, headers=PAGE)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert "form-action" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize(
    "path", [DISCOVERY, "/connect/token", "/connect/userinfo", "/healthz", "/nothing"]
)
def test_every_answer_carries_the_security_headers_once(client, path):
    answer = client.get(path)
    for name in (
        *("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options"),
        *("Referrer-Policy", "Permissions-Policy", "X-Request-Id"),
    ):
        assert len(answer.headers.getlist(name)) == 1


@pytest.mark.settings(public_url="https://id.example", environment="production")
def test_under_https_cookies_and_transport_are_strict(new_client):
    answer = new_client("https://id.example").get("/login", headers=PAGE)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-idp_form_1=")
    assert "; Secure" in cookie
    assert "; HttpOnly" in cookie
    assert "; Path=/" in cookie
    assert "SameSite=Lax" in cookie
    # A proxy speaks http to us; what browsers see is a setting.
    answer = new_client("http://id.example").get(DISCOVERY)
    assert answer.get_json()["issuer"] == "https://id.example"


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("id.example", marks=pytest.mark.settings(public_url="https://id.example:443")),
        pytest.param("id.example", marks=pytest.mark.settings(public_url="https://ID.Example./")),
        pytest.param(
            "xn--w2t382c.example",
            marks=pytest.mark.settings(public_url="https://登录.example:443/"),
        ),
    ],
)
def test_the_public_address_may_be_written_as_people_write_it(host, new_client):
    for header in (host, f"{host}:443", host.upper()):
        answer = new_client(f"https://{host}").get(DISCOVERY, headers={"Host": header})
        assert answer.status_code == 200, header
        assert answer.get_json()["issuer"] == f"https://{host}"


def test_a_form_without_its_token_is_refused(client):
    answer = client.post("/login", data={"login": "ann", "password": "x"}, headers=PAGE)
    assert answer.status_code == 400
    assert "Allow cookies for this site" in answer.get_data(as_text=True)


def test_refusals_speak_the_language_of_the_caller(client):
    page = client.get("/nothing", headers=PAGE)
    assert page.status_code == 404
    assert page.content_type == "text/html; charset=utf-8"
    assert page.headers["X-Request-Id"] in page.get_data(as_text=True)
    program = client.get("/nothing")
    assert program.content_type == "application/problem+json"
    assert program.get_json()["status"] == 404
    assert program.get_json()["request_id"] == program.headers["X-Request-Id"]
    protocol_answer = client.post("/connect/token", data={})
    assert protocol_answer.headers["Cache-Control"] == "no-store"
    assert set(protocol_answer.get_json()) == {"error", "error_description"}


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_an_unforeseen_error_shows_only_the_request_id(app, client, accept, capfd):
    @app.get("/broken")
    def broken():
        message = "the inner secret is xyzzy"
        raise RuntimeError(message)

    answer = client.get("/broken", headers={"Accept": accept})
    assert answer.status_code == 500
    text = answer.get_data(as_text=True)
    assert "xyzzy" not in text
    assert "RuntimeError" not in text
    assert answer.headers["X-Request-Id"] in text
    logged = capfd.readouterr().err
    assert "RuntimeError" in logged
    assert answer.headers["X-Request-Id"] in logged


def test_a_broken_error_page_still_answers(app, client, monkeypatch):
    monkeypatch.setattr("idp.platform.web.pages.render_template", lambda *_a, **_k: 1 / 0)
    answer = client.get("/nothing", headers=PAGE)
    assert answer.status_code == 404
    assert answer.headers["X-Request-Id"] in answer.get_data(as_text=True)


def test_a_lost_database_is_one_clear_503(app, client, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def lost(*_args):
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(client.application.extensions["idp"].cache, "refresh", lost)
    for path in ("/connect/token", "/login"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
    assert client.get("/healthz").status_code == 200
