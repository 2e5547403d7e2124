"""Pushed authorization requests (RFC 9126)."""

from __future__ import annotations

import re
import threading

import pytest
from sqlalchemy import func, select

from idp.directory.clients import service as clients
from idp.jobs import EXPIRIES
from idp.oauth.endpoints import par
from idp.oauth.models import AuthorizationCode, AuthorizationRequest, PushedRequest
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs import cleanup
from tests import protocol
from tests.attacks import forms
from tests.protocol import CALLBACK, add_person, redeem, register

PAR = "/connect/par"
NAME = re.compile(r"urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}")


def push(client, app, **parameters):
    """Push a complete request; None leaves a parameter out."""
    return client.post(PAR, data=protocol.authorization_parameters(app, **app.post | parameters))


def pushed(client, app, **parameters):
    """Push a request and return its name."""
    answer = push(client, app, **parameters)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()["request_uri"]


def open_request(client, app, name, **beside):
    """Send the browser to the authorization endpoint with a pushed request."""
    query = {"client_id": app.client_id, "request_uri": name, **beside}
    return client.get("/connect/authorize", query_string=query)


def is_refused(answer):
    """Check that an error page was shown and nothing was sent anywhere."""
    assert answer.status_code == 400, answer.get_data(as_text=True)
    assert "Location" not in answer.headers
    return True


def count(session, table):
    return session.scalar(select(func.count()).select_from(table))


@pytest.fixture
def scene(client, session):
    app = register(session)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return app, user


def test_a_pushed_request_leads_to_a_code(client, session, scene):
    app, _ = scene
    answer = push(client, app)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert NAME.fullmatch(body["request_uri"])
    assert body == {"request_uri": body["request_uri"], "expires_in": 60}
    # RFC 9126 4: what stands beside it is ignored, even where it differs.
    beside = {"scope": "openid email", "redirect_uri": "https://evil.example/", "state": "other"}
    fields = protocol.returned(open_request(client, app, body["request_uri"], **beside))
    assert fields["state"] == "the-state"
    assert fields["iss"] == "http://127.0.0.1:8000"
    tokens = redeem(client, app, fields["code"]).get_json()
    assert tokens["scope"] == "openid"
    assert protocol.payload(tokens["id_token"])["nonce"] == "the-nonce"


def test_every_kind_of_client_pushes_as_it_authenticates_elsewhere(client, session, scene):
    app, _ = scene
    parameters = protocol.authorization_parameters(app)
    by_header = client.post(PAR, data=parameters, headers=app.basic)
    assert by_header.status_code == 201
    public = register(session, "spa", public=True)
    assert protocol.code_of(open_request(client, public, pushed(client, public)))
    for credentials in ({}, {"client_secret": "x" * 40}):
        refused = client.post(PAR, data=parameters | credentials)
        assert (refused.status_code, refused.get_json()["error"]) == (401, "invalid_client")
    assert count(session, PushedRequest) == 2


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "/more"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "pigeon"}, "invalid_request"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "ids4.ms.all"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example/"}, "invalid_target"),
        ({"claims": "[]"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"id_token_hint": "a.b.c"}, "invalid_request"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"state": ["a", "b"]}, "invalid_request"),
        ({"client_id": "nobody"}, "invalid_client"),
    ],
)
def test_what_is_wrong_is_refused_at_once_and_nothing_is_kept(
    client, session, scene, parameters, error
):
    app, _ = scene
    answer = push(client, app, **parameters)
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.get_json()["error"] == error
    assert "Location" not in answer.headers
    assert count(session, PushedRequest) == 0


def test_only_a_post_with_a_form_is_answered(client, scene):
    app, _ = scene
    parameters = protocol.authorization_parameters(app, **app.post)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = client.open(PAR, method=method, query_string=parameters)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), method
    in_query = client.post(PAR, query_string=parameters)
    assert (in_query.status_code, in_query.get_json()["error"]) == (400, "invalid_request")
    mixed = client.post(PAR, query_string={"scope": "openid"}, data=parameters)
    assert mixed.status_code == 400
    assert client.post(PAR, json=parameters).status_code == 400


def test_a_large_request_is_too_large(client, session, scene):
    app, _ = scene
    assert push(client, app, state="x" * 30_000).status_code == 201
    answer = push(client, app, state="x" * 33 * 1024)
    assert (answer.status_code, answer.get_json()["error"]) == (413, "invalid_request")
    assert count(session, PushedRequest) == 1


def test_a_long_state_comes_back_whole(client, scene):
    app, _ = scene
    state = "~" * 1000
    name = pushed(client, app, state=state)
    assert protocol.returned(open_request(client, app, name))["state"] == state


def test_a_name_is_good_once_and_opens_nothing_afterwards(client, session, scene):
    app, _ = scene
    name = pushed(client, app)
    assert protocol.code_of(open_request(client, app, name))
    assert is_refused(open_request(client, app, name))
    assert count(session, AuthorizationCode) == 1


def test_names_that_are_guessed_foreign_or_expired_open_nothing(client, session, scene, clock):
    app, _ = scene
    other = register(session, "other")
    name = pushed(client, app)
    for stranger, wrong in (
        (other, name),
        (app, name[:-1] + ("A" if name[-1] != "A" else "B")),
        (app, name + "x"),
        (app, "urn:ietf:params:oauth:request_uri:"),
        (app, name.upper()),
    ):
        if wrong != name.upper():
            assert is_refused(open_request(client, stranger, wrong)), wrong
    # An address of another kind is not supported, which is told where the address is proven.
    parameters = protocol.authorization_parameters(app, request_uri="https://app.example/r.jwt")
    answer = protocol.returned(client.get("/connect/authorize", query_string=parameters))
    assert answer["error"] == "request_uri_not_supported"
    clock.shift(61)
    assert is_refused(open_request(client, app, name))
    assert count(session, AuthorizationCode) == 0


def test_a_name_of_another_issuer_opens_nothing(client, session, scene, new_client):
    app, _ = scene
    protocol.add_tenant(session, "Acme", ["login.acme.example"])
    elsewhere = new_client("http://login.acme.example")
    name = pushed(client, app)
    assert is_refused(open_request(elsewhere, app, name))
    assert protocol.code_of(open_request(client, app, name))


def test_it_may_be_opened_twice_until_a_code_is_made(client, session, new_client):
    app = register(session)
    user = add_person(session)
    name = pushed(client, app)
    first = open_request(client, app, name)
    second = open_request(client, app, name)
    assert first.location.startswith("/login?request=")
    protocol.sign_in(client, session, user)
    onward = [
        f"/connect/authorize?continue={answer.location.partition('request=')[2]}"
        for answer in (first, second)
    ]
    assert protocol.code_of(client.get(onward[0]))
    # Two tabs, one code: the other one ends on a page.
    assert is_refused(client.get(onward[1]))
    assert count(session, AuthorizationCode) == 1
    assert is_refused(open_request(client, app, name))


def test_a_person_may_take_longer_than_the_name_lives(client, session, runtime, clock):
    app = register(session)
    user = add_person(session)
    name = pushed(client, app)
    asked = open_request(client, app, name)
    handle = asked.location.partition("request=")[2]
    clock.shift(600)
    session.commit()
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert is_refused(open_request(client, app, name))
    protocol.sign_in(client, session, user)
    assert protocol.code_of(client.get(f"/connect/authorize?continue={handle}"))
    assert is_refused(client.get(f"/connect/authorize?continue={handle}"))
    clock.shift(3601)
    session.commit()
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert count(session, PushedRequest) == 0


def test_what_was_pushed_stands_in_no_address_and_in_no_cookie(client, session):
    # CVE-2024-4540
    app = register(session)
    add_person(session)
    name = pushed(client, app, state="very-private-state", login_hint="ann@private.example")
    asked = open_request(client, app, name)
    for text in (asked.location, str(asked.headers.getlist("Set-Cookie"))):
        assert "private" not in text
        assert name.rpartition(":")[2] not in text


def test_a_new_sign_in_is_one_after_the_request_was_opened(client, session, scene, clock):
    app, user = scene
    name = pushed(client, app, prompt="login")
    clock.shift(10)
    protocol.sign_in(client, session, user)  # after the push, before it is opened
    clock.shift(10)
    asked = open_request(client, app, name)
    assert asked.location.startswith("/login?request=")
    clock.shift(1)
    protocol.sign_in(client, session, user)
    handle = asked.location.partition("request=")[2]
    assert protocol.code_of(client.get(f"/connect/authorize?continue={handle}"))


def test_prompt_none_is_refused_and_leaves_the_request(client, session):
    app = register(session)
    name = pushed(client, app, prompt="none")
    fields = protocol.returned(open_request(client, app, name))
    assert fields["error"] == "login_required"
    protocol.sign_in(client, session, add_person(session))
    assert protocol.code_of(open_request(client, app, name))


def test_consent_and_a_form_work_as_elsewhere(client, session, scene):
    _, _ = scene
    app = register(session, "asking", require_consent=True)
    asked = open_request(client, app, pushed(client, app, response_mode="form_post"))
    assert asked.location.startswith("/consent?request=")
    allowed = forms.allow(client, asked.location)
    page = client.get(allowed.location).get_data(as_text=True)
    assert 'name="code"' in page
    again = open_request(client, app, pushed(client, app, response_mode="form_post"))
    assert 'name="code"' in again.get_data(as_text=True)


def test_a_form_that_posts_the_name_works(client, session, scene):
    app, _ = scene
    form = {"client_id": app.client_id, "request_uri": pushed(client, app)}
    answer = client.post("/connect/authorize", data=form)
    assert answer.location.startswith("/connect/authorize?continue=")
    assert protocol.code_of(client.get(answer.location))


def test_a_client_may_be_bound_to_pushing(client, session, scene):
    _, _ = scene
    app = register(session, "pushing", require_pushed_authorization_requests=True)
    fields = protocol.returned(protocol.authorize(client, app))
    assert (fields["error"], fields["state"]) == ("invalid_request", "the-state")
    assert protocol.code_of(open_request(client, app, pushed(client, app)))
    # A page between changes nothing.
    asked = open_request(client, app, pushed(client, app, prompt="select_account"))
    assert asked.location.startswith("/choose?request=")


def test_a_client_that_changed_meanwhile_is_checked_again(client, session, scene):
    app, _ = scene
    name = pushed(client, app, scope="openid email")
    clients.set_scopes(session, clients.get(session, app.client_id), ["openid"])
    session.commit()
    assert protocol.returned(open_request(client, app, name))["error"] == "invalid_scope"


def test_a_hint_is_kept_sealed_and_secrets_are_not_kept(client, session, scene):
    app, _ = scene
    hint = protocol.obtain(client, app).body["id_token"]
    name = pushed(client, app, id_token_hint=hint)
    row = session.scalars(select(PushedRequest)).one()
    kept = dict(row.parameters)
    assert hint not in str(kept)
    assert "client_secret" not in kept
    assert kept["client_id"] == app.client_id
    assert protocol.code_of(open_request(client, app, name))
    assert count(session, AuthorizationRequest) == 0


def test_it_is_audited_without_its_content(client, session, scene):
    app, _ = scene
    pushed(client, app)
    event = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.REQUEST_PUSHED)).one()
    assert (event.client_id, event.user_id, event.details) == (app.client_id, None, None)


def test_nobody_fills_the_table_and_public_clients_not_for_others(
    client, session, scene, monkeypatch
):
    app, _ = scene
    monkeypatch.setattr(par, "PER_MINUTE", 3)
    monkeypatch.setattr(par, "PUBLIC_PER_MINUTE", 5)
    public = register(session, "spa", public=True)
    assert [push(client, app).status_code for _ in range(4)] == [201, 201, 201, 429]
    assert int(push(client, app).headers["Retry-After"]) > 0

    def push_from(address):
        client.environ_base["REMOTE_ADDR"] = address
        return push(client, public).status_code

    assert [push_from("192.0.2.1") for _ in range(4)] == [201, 201, 201, 429]
    assert push_from("192.0.2.2") == 201
    assert push_from("192.0.2.3") == 429  # all public clients together
    other = register(session, "other")
    assert push(client, other).status_code == 201


def test_discovery_names_the_endpoint(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["pushed_authorization_request_endpoint"] == "http://127.0.0.1:8000" + PAR
    assert metadata["require_pushed_authorization_requests"] is False


def test_pages_of_the_client_may_push(client, session):
    app = register(session, "spa", public=True, cors_origins=("https://app.example",))
    headers = {"Origin": "https://app.example"}
    answer = client.post(PAR, data=protocol.authorization_parameters(app), headers=headers)
    assert answer.status_code == 201
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    elsewhere = client.post(
        PAR,
        data=protocol.authorization_parameters(app),
        headers={"Origin": "https://evil.example"},
    )
    assert "Access-Control-Allow-Origin" not in elsewhere.headers
