"""Which pages of other origins may call the management APIs."""

from __future__ import annotations

import pytest

from tests import protocol
from tests.api import center

PORTAL, STRANGER, OTHER = "https://portal.example", "https://evil.example", "https://other.example"
CREDENTIALS = "Access-Control-Allow-Credentials"
ALLOWED = "Access-Control-Allow-Origin"

PREFIXES = pytest.mark.parametrize("prefix", ["/api", ""], ids=["api", "bare"])


@pytest.fixture
def portal(session):
    protocol.register(session, "other", public=True, cors_origins=[OTHER])
    scopes = ("openid", *protocol.scope_names(session, "ids4.ms"))
    return protocol.register(session, center.TOOL, scopes=scopes, cors_origins=[PORTAL])


@pytest.mark.no_database
@PREFIXES
@pytest.mark.parametrize(
    ("path", "methods"),
    [("/Client", "GET, POST, PUT"), ("/Client/7", "DELETE, GET"), ("/Client/Codes", "GET")],
)
def test_a_preflight_passes_for_the_origins_of_any_client(client, portal, prefix, path, methods):
    def preflight(origin):
        return client.options(
            prefix + path,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization, content-type, x-requested-with",
            },
        )

    for origin in (PORTAL, OTHER):
        answer = preflight(origin)
        assert answer.status_code == 204
        assert answer.headers[ALLOWED] == origin
        assert answer.headers["Access-Control-Allow-Methods"] == methods
        wanted = answer.headers["Access-Control-Allow-Headers"]
        assert wanted == "authorization, content-type, x-requested-with"
        assert "Origin" in answer.headers["Vary"]
        assert CREDENTIALS not in answer.headers
    for origin in (STRANGER, "null", PORTAL + ".evil.example", PORTAL.upper(), PORTAL + ":444"):
        answer = preflight(origin)
        assert ALLOWED not in answer.headers
        assert "Origin" in answer.headers["Vary"]


@PREFIXES
def test_an_answer_is_for_the_origins_of_the_tokens_client(client, session, portal, prefix):
    root = center.administrator(client, session)

    def read(path, origin, token=root.token):
        headers = {"Origin": origin} | (protocol.bearer(token) if token else {})
        answer = client.get(prefix + path, headers=headers)
        assert CREDENTIALS not in answer.headers
        return answer.status_code, answer.headers.get(ALLOWED)

    assert read("/Client", PORTAL) == (200, PORTAL)
    assert read("/Client", OTHER) == (200, None)
    assert read("/Client", STRANGER) == (200, None)
    # A page may read why it was refused; who calls is not known then.
    assert read("/Client", PORTAL, "no-token") == (401, PORTAL)
    assert read("/Client", OTHER, None) == (401, OTHER)
    assert read("/Client", STRANGER, None) == (401, None)
    assert read("/Client/Codes", OTHER, None) == (200, OTHER)


def test_a_refusal_past_the_gate_is_for_the_tokens_client_alone(client, session, portal):
    user = protocol.add_person(session)
    headers = protocol.bearer(center.token_for(session, user))

    def read(origin):
        answer = client.get("/api/Client", headers={**headers, "Origin": origin})
        assert answer.status_code == 403
        return answer.headers.get(ALLOWED)

    assert read(PORTAL) == PORTAL
    assert read(OTHER) is None


@pytest.mark.no_database
def test_without_an_origin_nothing_is_said(client):
    answer = client.get("/api/Client/Codes")
    assert ALLOWED not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    assert client.options("/api/Client").headers["Allow"] == "GET, POST, PUT"
