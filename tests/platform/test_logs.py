"""Logs tell what happened and no secret, at any level."""

from __future__ import annotations

import json
import logging
import re
import secrets
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from idp import __version__
from idp.config import Settings
from idp.platform import logs
from tests import protocol

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines(capfd):
    """Return the lines logged so far, as JSON."""
    logs.setup("DEBUG", readable=False)

    def read():
        return [json.loads(line) for line in capfd.readouterr().err.splitlines() if line]

    return read


@pytest.mark.no_database
@pytest.mark.parametrize(
    "name",
    [
        *("password", "new_password", "client_secret", "access_token", "code", "code_verifier"),
        *("client_assertion", "Authorization", "cookie", "set-cookie", "otp", "private_key"),
    ],
)
def test_values_of_secret_names_are_hidden(lines, name):
    structlog.get_logger().info("something_happened", **{name: "Xq7-secret"}, kept="yes")
    (line,) = lines()
    assert "Xq7" not in json.dumps(line)
    assert line["kept"] == "yes"
    assert line["event"] == "something_happened"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


@pytest.mark.no_database
def test_harmless_names_are_shown(lines):
    harmless = {"exit_code": 3, "status_code": 200, "token_type": "Bearer"}
    structlog.get_logger().info("something_happened", **harmless)
    (line,) = lines()
    assert harmless.items() <= line.items()


@pytest.mark.no_database
def test_credentials_inside_text_and_nested_values_are_hidden(lines):
    log = structlog.get_logger()
    log.info("a", text=f"got {JWT} from it", nested={"deep": [{"password": "Xq7"}]})
    log.info("b", header=f"Bearer {JWT}", url="https://x/?code=Xq7abc&state=1")
    try:
        message = f"bad token {JWT} password=Xq7"
        raise ValueError(message)  # noqa: TRY301 - the trace is what is looked at
    except ValueError:
        log.exception("c")
    text = json.dumps(lines())
    assert "eyJ" not in text
    assert "Xq7" not in text
    assert "ValueError" in text


@pytest.mark.no_database
def test_libraries_log_as_json_and_never_at_debug(lines):
    logging.getLogger("some.library").warning("careful: %s", "now")
    logging.getLogger("some.library").debug("chatter")
    logging.getLogger("authlib.oauth2").debug("{'access_token': 'Xq7'}")
    logging.getLogger("sqlalchemy.engine.Engine").info("INSERT ... ('Xq7')")
    (line,) = lines()
    assert line["event"] == "careful: now"
    assert line["logger"] == "some.library"


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("/login", "/login"),
        ("/api/Client/42", "/api/Client/42"),
        ("/user/accounts-information/mobile/13800138000", "/user/accounts-information/mobile/***"),
        ("/user/name/ann@example.com/x", "/user/name/***/x"),
        ("/forgot/Zm9yZ290LXRva2VuLXdpdGgtMzItYnl0ZXM", "/forgot/***"),
        ("/forgot/~Zm9yZ290LXRva2VuLXdpdGgtMzItYnl0ZXM~/x", "/forgot/***/x"),
        ("/user/name/ann%40example.com", "/user/name/***"),
        ("/a1234567b/123456/openid-configuration", "/***/123456/openid-configuration"),
        ("/qr/wR3vQ1m0T2u8yKx5Zb7NcA/more", "/qr/***/more"),
        ("a@b//c", "***//c"),
    ],
)
def test_paths_are_logged_without_people_and_one_time_links(path, masked):
    assert logs.mask_path(path) == masked


@pytest.mark.no_database
@pytest.mark.settings(environment="production")
def test_no_text_of_a_path_is_logged(app, client, capfd):
    rules = [rule for rule in app.url_map.iter_rules() if re.search(r"<(?!int:|any\()", rule.rule)]
    assert len(rules) > 40
    for rule in rules:
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        path = re.sub(r"<(?:\w+:)?\w+>", "xq7", path)
        method = min(rule.methods - {"HEAD", "OPTIONS"} or rule.methods)
        client.open(path, method=method)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    served = [line["path"] for line in lines if line["event"] == "request_served"]
    assert {rule.rule for rule in rules} <= set(served)
    assert [line for line in lines if "xq7" in json.dumps(line)] == []


@pytest.mark.no_database
@pytest.mark.settings(environment="production")
def test_a_handle_is_not_logged_when_the_request_is_refused_at_the_entrance(client, capfd):
    handle = secrets.token_urlsafe(16)
    assert client.get(f"/account/qr/{handle}/confirm?a=%zz").status_code == 400
    assert client.get(f"/nothing/{handle}").status_code == 404
    assert handle not in capfd.readouterr().err


@pytest.mark.settings(log_level="DEBUG", environment="production")
def test_a_whole_sign_in_leaves_no_secret_in_the_log(client, session, capfd):
    app = protocol.register(session)
    user = protocol.add_person(session, "ann", email="ann@example.com")
    page = client.get("/login", headers={"Accept": "text/html"}).get_data(as_text=True)
    token = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    client.post("/login", data={"csrf_token": token, "login": "ann", "password": "Xq7-wrong"})
    protocol.sign_in(client, session, user)
    answer = protocol.authorize(client, app, scope="openid offline_access")
    code = parse_qs(urlsplit(answer.location).query)["code"][0]
    tokens = protocol.redeem(client, app, code).get_json()
    client.get("/connect/userinfo", headers=protocol.bearer(tokens["access_token"]))
    client.get(f"/connect/userinfo?access_token={tokens['access_token']}")
    again = protocol.refresh(client, app, tokens["refresh_token"]).get_json()
    protocol.redeem(client, app, code)
    client.post("/connect/revocation", data={"token": again["refresh_token"], **app.post})
    client.get("/forgot/" + again["refresh_token"])
    logged = capfd.readouterr().err
    assert '"event":"request_served"' in logged
    hidden = [
        *(code, protocol.VERIFIER, app.secret, "Xq7-wrong", protocol.PASSWORD, token),
        *(tokens[name] for name in ("access_token", "refresh_token", "id_token")),
        *(again[name] for name in ("access_token", "refresh_token")),
        *(cookie.value for cookie in client._cookies.values()),
    ]
    assert all(len(secret) > 8 for secret in hidden)
    assert [secret for secret in hidden if secret in logged] == []
    for line in logged.splitlines():
        json.loads(line)


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, "json"),
        ({"environment": "development"}, "readable"),
        ({"environment": "development", "log_format": "json"}, "json"),
        ({"log_format": "ecs"}, "ecs"),
        ({"log_format": "readable"}, "readable"),
    ],
)
def test_the_form_of_the_log_follows_the_settings(fields, form):
    assert Settings(**fields).log_form == form


@pytest.mark.no_database
@pytest.mark.settings(log_format="ecs")
def test_an_answered_request_has_the_names_of_the_elastic_common_schema(client, capfd):
    client.get("/nothing/13800138000", headers={"X-Request-Id": "not from a proxy"})
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert line.pop("@timestamp").endswith("Z")
    assert line.pop("event.duration") > 0
    assert re.fullmatch("[0-9a-f]{16}", line.pop("http.request.id"))
    assert line == {
        "log.level": "info",
        "message": "request_served",
        "event.action": "request_served",
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "url.path": "/nothing/***",
        "url.domain": "127.0.0.1:8000",
        "client.ip": "127.0.0.1",
        "ecs.version": "8.11.0",
        "service.name": "idp",
        "service.version": __version__,
    }


@pytest.mark.no_database
def test_other_events_have_them_too_and_hide_secrets(capfd):
    logs.setup("DEBUG", readable=False, ecs=True)
    structlog.get_logger().warning("mail_refused", code="Xq7", request_id="5f", attempt=3)
    logging.getLogger("some.library").error("careful")
    try:
        raise ValueError("password=Xq7")  # noqa: TRY301 - the trace is what is looked at
    except ValueError:
        structlog.get_logger().exception("it_failed")
    text = capfd.readouterr().err
    assert "Xq7" not in text
    first, second, third = [json.loads(line) for line in text.splitlines()]
    assert first["@timestamp"].endswith("Z")
    assert (first["log.level"], first["message"]) == ("warning", "mail_refused")
    assert first["event.action"] == "mail_refused"
    assert first["http.request.id"] == "5f"
    assert first["idp"] == {"code": "[hidden]", "attempt": 3}
    assert (second["message"], second["log.logger"]) == ("careful", "some.library")
    assert "ValueError" in third["error.stack_trace"]
