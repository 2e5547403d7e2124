"""Which pages of other origins may read our answers."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from idp.platform.web.requests import MAX_BODY
from tests import protocol

SPA, STRANGER, OTHER = "https://spa.example", "https://evil.example", "https://other.example"
CREDENTIALS = "Access-Control-Allow-Credentials"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def app_of_spa(session):
    protocol.register(session, "other", public=True, cors_origins=[OTHER])
    return protocol.register(session, "spa", public=True, cors_origins=[SPA])


PUBLIC = (
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/jwks",
    "/.well-known/oauth-authorization-server",
)


@pytest.mark.no_database
@pytest.mark.parametrize("path", PUBLIC)
def test_everybody_may_read_what_is_public(client, path):
    # Also what nobody of another origin asked for: a cache answers the next page with it.
    for headers in ({"Origin": STRANGER}, {}):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200
        assert answer.headers.getlist(ALLOWED) == ["*"]
        assert "public" in answer.headers["Cache-Control"]
        assert "Vary" not in answer.headers
        assert CREDENTIALS not in answer.headers


@pytest.mark.no_database
@pytest.mark.parametrize("path", [*PUBLIC, "/connect/token"])
def test_a_preflight_allows_whatever_header_a_client_sends(client, app_of_spa, path):
    def allowed(wanted):
        headers = {"Origin": SPA, "Access-Control-Request-Method": "GET"}
        if wanted is not None:
            headers["Access-Control-Request-Headers"] = wanted
        answer = client.options(path, headers=headers)
        assert answer.status_code == 204
        assert answer.headers[ALLOWED] == ("*" if path in PUBLIC else SPA)
        return answer.headers.getlist("Access-Control-Allow-Headers")

    wanted = "authorization,mcp-protocol-version,x-trace.id"
    assert allowed(wanted) == [wanted]
    usual = ["Authorization, Content-Type, DPoP"]
    for odd in (None, "", "a b", "a,,b", "a;b", 'a"', "x" * 1001, "é"):
        assert allowed(odd) == usual


@pytest.mark.no_database
@pytest.mark.parametrize("path", [*PUBLIC, "/connect/token", "/connect/userinfo", "/api/Client"])
def test_a_refusal_before_anybody_is_known_can_be_read(client, app_of_spa, path):
    headers = {"Origin": STRANGER}
    unknown_host = client.get(path, headers={**headers, "Host": "nobody.example"})
    malformed = client.get(f"{path}?a=%ff", headers=headers)
    too_large = client.post(path, data=b"x" * (MAX_BODY + 1), headers=headers)
    for answer, status in ((unknown_host, 400), (malformed, 400), (too_large, 413)):
        assert answer.status_code == status
        assert answer.headers.getlist(ALLOWED) == ["*"]
        assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
        assert CREDENTIALS not in answer.headers


@pytest.mark.no_database
def test_what_went_wrong_in_the_database_can_be_read(client, monkeypatch):
    def lost(*_):
        raise OperationalError("SELECT", {}, Exception("could not connect"))

    monkeypatch.setattr("idp.oauth.machine_door.MachineDoor._handle", lost)
    answer = client.post("/connect/token", headers={"Origin": SPA})
    assert answer.status_code == 503
    assert answer.headers.getlist(ALLOWED) == ["*"]
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    page = client.get("/login?a=%ff", headers={"Origin": SPA, "Accept": "text/html"})
    assert page.status_code == 400
    assert ALLOWED not in page.headers


@pytest.mark.no_database
@pytest.mark.parametrize("path", ["/connect/token", "/connect/userinfo", "/connect/revocation"])
def test_a_preflight_passes_for_the_origins_of_any_client(client, app_of_spa, path):
    def preflight(origin):
        return client.options(
            path,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type",
            },
        )

    for origin in (SPA, OTHER):
        answer = preflight(origin)
        assert answer.status_code == 204
        assert answer.headers[ALLOWED] == origin
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "Origin" in answer.headers["Vary"]
        assert CREDENTIALS not in answer.headers
    for origin in (STRANGER, "null", SPA + ".evil.example", SPA.upper(), SPA + ":444"):
        answer = preflight(origin)
        assert ALLOWED not in answer.headers
        assert "Origin" in answer.headers["Vary"]
    assert "Origin" in client.get(path).headers["Vary"]


def test_an_answer_is_for_the_origins_of_its_own_client(client, session, app_of_spa):
    user = protocol.add_person(session)
    protocol.sign_in(client, session, user)

    def redeem(origin):
        code = protocol.code_of(protocol.authorize(client, app_of_spa))
        return client.post(
            "/connect/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": protocol.CALLBACK,
                "code_verifier": protocol.VERIFIER,
                **app_of_spa.post,
            },
            headers={"Origin": origin},
        )

    own = redeem(SPA)
    assert own.status_code == 200
    assert own.headers[ALLOWED] == SPA
    assert CREDENTIALS not in own.headers
    assert ALLOWED not in redeem(OTHER).headers
    assert ALLOWED not in redeem(STRANGER).headers

    token = own.get_json()["access_token"]
    for origin, passes in ((SPA, True), (OTHER, False), (STRANGER, False)):
        answer = client.get(
            "/connect/userinfo", headers={**protocol.bearer(token), "Origin": origin}
        )
        assert answer.status_code == 200
        assert (ALLOWED in answer.headers) is passes


@pytest.mark.no_database
def test_a_refusal_can_be_read_by_the_client_that_caused_it(client, app_of_spa):
    answer = client.post(
        "/connect/token",
        data={"grant_type": "authorization_code", "code": "x", **app_of_spa.post},
        headers={"Origin": SPA},
    )
    assert answer.status_code == 400
    assert answer.headers[ALLOWED] == SPA


@pytest.mark.no_database
@pytest.mark.parametrize("path", ["/connect/introspect", "/login", "/connect/authorize"])
def test_nothing_else_is_open_to_other_origins(client, app_of_spa, path):
    for answer in (
        client.options(path, headers={"Origin": SPA, "Access-Control-Request-Method": "POST"}),
        client.get(path, headers={"Origin": SPA}),
    ):
        assert ALLOWED not in answer.headers
        assert CREDENTIALS not in answer.headers
