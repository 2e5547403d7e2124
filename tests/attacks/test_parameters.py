"""Attacks by parameters that come twice, in the wrong place, or malformed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from idp import oauth
from idp.oauth.authorization.checks import UNSUPPORTED
from idp.oauth.request import KNOWN
from idp.oauth.server import GRANTS
from tests import protocol
from tests.protocol import CALLBACK, add_api, add_person, authorize, register, register_machine

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
READ = re.compile(r"(?:parameters|body|either)(?:\.(?:get|require|all)\(|, )\"([a-z_]+)\"")
"""How sources read a parameter."""


def post(client, path, body, **headers):
    return client.post(path, data=body, headers={**FORM, **headers})


def refused(answer, what=None):
    assert answer.status_code == 400, (what, answer.get_data(as_text=True))
    assert answer.get_json()["error"] == "invalid_request", what
    assert answer.headers["Cache-Control"] == "no-store", what


@pytest.mark.no_database
def test_a_doubled_parameter_is_refused_wherever_it_comes(client, session):
    # Row 8, RFC 6749 3.1 and 3.2: which of the two counts is what the attack plays with.
    add_api(session)
    app = register_machine(session, scopes=["orders.read", "orders.write"])
    for name, value in (
        ("grant_type", "client_credentials"),
        ("client_id", "machine"),
        ("client_secret", app.secret),
        ("scope", "orders.read"),
    ):
        body = (
            f"grant_type=client_credentials&client_id=machine&client_secret={app.secret}"
            f"&scope=orders.write&{name}={value}"
        )
        refused(post(client, "/connect/token", body), name)
    for path in ("/connect/introspect", "/connect/revocation"):
        body = f"client_id=machine&client_secret={app.secret}&token=a&token=b"
        refused(post(client, path, body), path)
    refused(post(client, "/connect/userinfo", "access_token=a&access_token=b"))


@pytest.mark.no_database
def test_only_resource_may_repeat(client, session):
    add_api(session)
    add_api(session, "stock", ["stock.read"])
    app = register_machine(session, scopes=["orders.read", "stock.read"])
    answer = protocol.machine_token(client, app, resource=["orders", "stock"])
    assert answer.status_code == 200
    assert protocol.payload(answer.get_json()["access_token"])["aud"] == ["orders", "stock"]


@pytest.mark.no_database
def test_a_doubled_parameter_of_an_authorization_request_is_a_page(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    good = protocol.authorization_parameters(app)
    for name, value in good.items():
        pairs = [*good.items(), (name, value)]
        for answer in (
            client.get("/connect/authorize", query_string=pairs),
            client.post("/connect/authorize", data=dict(good) | {name: [value, value]}),
        ):
            assert answer.status_code == 400, name
            assert "Location" not in answer.headers, name
    # A second redirect_uri is no way around the check of the first.
    pairs = [*good.items(), ("redirect_uri", "https://evil.example/")]
    assert client.get("/connect/authorize", query_string=pairs).status_code == 400


@pytest.mark.no_database
def test_parameters_are_in_the_body_or_in_the_query_and_never_in_both(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    credentials = f"client_id=machine&client_secret={app.secret}"
    rest = "grant_type=client_credentials"
    refused(post(client, f"/connect/token?{rest}", credentials), "split")
    refused(post(client, f"/connect/token?{rest}&{credentials}", ""), "query")
    refused(post(client, f"/connect/token?{credentials}", rest, **app.basic), "secret in query")
    refused(post(client, "/connect/token?scope=x", f"{rest}&{credentials}"), "any known name")
    got = client.get(f"/connect/token?{rest}&{credentials}")
    assert got.status_code == 405
    assert got.headers["Allow"] == "POST"
    for path in ("/connect/introspect", "/connect/revocation"):
        refused(post(client, f"{path}?token=x", credentials), path)
        assert client.get(f"{path}?token=x&{credentials}").status_code == 405

    web = register(session)
    good = protocol.authorization_parameters(web)
    redirect_uri = good.pop("redirect_uri")
    split = client.post(
        "/connect/authorize", query_string={"redirect_uri": redirect_uri}, data=good
    )
    assert split.status_code == 400
    assert "Location" not in split.headers


@pytest.mark.no_database
def test_unknown_parameters_are_ignored_in_the_query_and_when_they_come_twice(client, session):
    # RFC 6749 3.1 and 3.2
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    credentials = f"client_id=machine&client_secret={app.secret}"
    unknown = "utm=1&utm=2"
    for path, rest in (
        ("/connect/token", "grant_type=client_credentials"),
        ("/connect/introspect", "token=x"),
        ("/connect/revocation", "token=x"),
    ):
        answer = post(client, f"{path}?{unknown}", f"{rest}&{credentials}&{unknown}")
        assert answer.status_code == 200, answer.get_data(as_text=True)
    web = register(session)
    protocol.sign_in(client, session, add_person(session))
    token = protocol.obtain(client, web).access
    assert post(client, f"/connect/userinfo?{unknown}", f"access_token={token}").status_code == 200
    good = protocol.authorization_parameters(web)
    pairs = [*good.items(), ("utm", "1"), ("utm", "2")]
    assert protocol.code_of(client.get("/connect/authorize", query_string=pairs))
    posted = client.post(f"/connect/authorize?{unknown}", data={**good, "utm": ["1", "2"]})
    assert protocol.code_of(client.get(posted.location))
    asked = client.get("/connect/endsession", query_string=unknown)
    assert asked.location.startswith("/logout?")


@pytest.mark.no_database
def test_every_parameter_that_is_read_is_a_known_one():
    sources = "".join(path.read_text() for path in Path(oauth.__path__[0]).rglob("*.py"))
    read = set(READ.findall(sources))
    assert {"client_id", "token", "tenant", "max_age", "access_token"} <= read <= KNOWN
    assert UNSUPPORTED.keys() <= KNOWN
    assert all(grant.parameters <= KNOWN for grant in GRANTS)


@pytest.mark.no_database
def test_a_token_in_the_address_of_userinfo_is_refused(client, session):
    # RFC 6750 2.3: addresses end up in logs and histories.
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    token = protocol.obtain(client, app).access
    refused(client.get("/connect/userinfo", query_string={"access_token": token}))
    twice = client.post(
        "/connect/userinfo", data={"access_token": token}, headers=protocol.bearer(token)
    )
    refused(twice, "twice")


@pytest.mark.no_database
def test_only_forms_are_read(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    form = f"grant_type=client_credentials&client_id=machine&client_secret={app.secret}"
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = client.post("/connect/token", data=form, content_type=kind)
        refused(answer, kind)
    as_json = client.post("/connect/token", json={"grant_type": "client_credentials", **app.post})
    refused(as_json, "json")
    kind = "application/x-www-form-urlencoded;charset=UTF-8"
    assert client.post("/connect/token", data=form, content_type=kind).status_code == 200


@pytest.mark.no_database
def test_malformed_text_is_refused_and_nothing_breaks(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    for broken in ("%", "%zz", "%ff", "%00", "%c0%af", "%ed%a0%80"):
        query = f"client_id={app.client_id}&redirect_uri={CALLBACK}&state={broken}"
        answer = client.get("/connect/authorize?" + query)
        assert answer.status_code == 400, broken
        assert "Location" not in answer.headers, broken
        refused(post(client, "/connect/token", f"grant_type={broken}"), broken)
        refused(post(client, "/connect/userinfo", f"access_token={broken}"), broken)
    refused(post(client, "/connect/token", b"grant_type=\xff"))


def test_json_that_no_database_holds_is_not_kept(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    for value in (
        '"\\u0000"',
        '"\\ud800"',
        "1e400",
        "[" * 500 + "]" * 500,
        "12345678901234567890123",
    ):
        for name in ("email", "a\\u0000b", "x" * 500):
            claims = f'{{"userinfo":{{"{name}":{{"value":{value}}}}}}}'
            answer = authorize(client, app, claims=claims)
            assert protocol.returned(answer).get("error") in {None, "invalid_request"}, claims
            posted = client.post(
                "/connect/authorize", data=protocol.authorization_parameters(app, claims=claims)
            )
            assert posted.status_code == 303
            assert client.get(posted.location).status_code == 303


@pytest.mark.no_database
def test_an_empty_parameter_counts_as_absent(client, session):
    # RFC 6749 3.1
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    assert protocol.code_of(authorize(client, app, prompt="", max_age="", claims="", request=""))
    fields = protocol.returned(authorize(client, app, response_type=""))
    assert fields["error"] == "invalid_request"


@pytest.mark.no_database
def test_what_goes_back_to_the_client_keeps_to_the_allowed_characters(client, session):
    # RFC 6749 4.1.2.1: error_description has neither quotes nor line ends nor other scripts.
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    for scope in ('a"b', "a\\b", "a\nb", "привет", "<script>"):
        fields = protocol.returned(authorize(client, app, scope=scope))
        assert fields["error"] == "invalid_scope"
        text = fields["error_description"]
        assert text.isascii(), scope
        assert text.isprintable(), scope
        assert '"' not in text, scope
        assert "\\" not in text, scope
        posted = protocol.machine_token(client, app, scope=scope)
        assert posted.get_json()["error_description"].isascii()


@pytest.mark.no_database
def test_prompt_none_is_understood_in_every_spelling(client, session):
    app = register(session)
    for value in ("none", "none ", " none", "none none"):
        fields = protocol.returned(authorize(client, app, prompt=value))
        assert fields["error"] == "login_required", value
