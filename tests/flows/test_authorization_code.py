"""The authorization code flow, end to end."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

import pytest
from sqlalchemy import func, select

from idp.directory.clients import service as clients
from idp.directory.clients.models import Client
from idp.oauth.models import AuthorizationCode, Grant
from tests import protocol
from tests.attacks import forms
from tests.protocol import CALLBACK, add_api, add_person, authorize, obtain, redeem, register


def test_a_signed_in_person_gets_a_code_and_the_client_gets_tokens(client, session):
    app = register(session)
    user = add_person(session, nick_name="Ann")
    protocol.sign_in(client, session, user)

    answer = authorize(client, app, scope="openid profile")
    fields = protocol.returned(answer)
    assert answer.location.startswith(CALLBACK + "?")
    assert fields["state"] == "the-state"
    assert fields["iss"] == "http://127.0.0.1:8000"

    tokens = redeem(client, app, fields["code"])
    assert tokens.status_code == 200
    assert tokens.headers["Cache-Control"] == "no-store"
    body = tokens.get_json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert body["scope"] == "openid profile"
    identity = protocol.payload(body["id_token"])
    assert identity["sub"] == str(user.id)
    assert identity["aud"] == "web"
    assert identity["nonce"] == "the-nonce"
    assert identity["tenant"] == {"id": 1, "name": "idp"}
    assert "permission" not in identity

    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(body["access_token"]))
    assert userinfo.get_json()["sub"] == str(user.id)
    assert userinfo.get_json()["name"] == "Ann"


def test_the_access_token_names_person_tenant_roles_and_permissions(client, session):
    api = add_api(session)
    app = register(session, scopes=("openid", "orders.read"))
    user = add_person(session)
    protocol.add_role(session, user, "clerk", ["orders.approve", "orders.cancel"], api=api)
    protocol.sign_in(client, session, user)

    tokens = obtain(client, app, "openid orders.read")
    claims = tokens.claims
    assert protocol.header(tokens.access)["typ"] == "at+jwt"
    assert claims["iss"] == "http://127.0.0.1:8000"
    assert claims["aud"] == ["orders", "http://127.0.0.1:8000"]
    assert claims["client_id"] == "web"
    assert claims["sub"] == str(user.id)
    assert claims["scope"] == "openid orders.read"
    assert claims["role"] == ["clerk"]
    assert claims["permission"] == ["orders.approve", "orders.cancel"]
    assert claims["tenant"] == {"id": 1, "name": "idp"}
    assert {"exp", "iat", "jti", "auth_time", "acr", "amr", "sid"} <= claims.keys()
    assert protocol.is_active(client, app, tokens.access)


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_every_response_mode_carries_code_state_and_issuer(client, session, mode):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    answer = authorize(client, app, response_mode=mode)
    if mode == "form_post":
        page = answer.get_data(as_text=True)
        assert answer.status_code == 200
        assert f'action="{CALLBACK}"' in page
        assert 'name="code"' in page
        assert 'value="the-state"' in page
        assert "form-action" not in answer.headers["Content-Security-Policy"]
    else:
        assert (CALLBACK + ("?" if mode == "query" else "#")) in answer.location
        assert protocol.returned(answer).keys() == {"code", "state", "iss"}


AS_WRITTEN = (
    "com.example.app:///cb",
    "com.example.app:/cb?",
    "https://Shop.EXAMPLE/Cb",
    "https://app.example?dummy1=lorem&dummy2=a%2fb%2Bc&x",
    "https://app.example:8443/cb?a=b&",
    "https://app.example/%63b;v=1//x?next=https://other.example/",
)


@pytest.mark.no_database
@pytest.mark.parametrize("address", AS_WRITTEN)
def test_a_registered_address_is_used_as_it_is_written(client, session, address):
    app = register(session, application_type="native", redirect_uris=(address,))
    row = session.get_one(Client, app.row_id)
    clients.set_post_logout_redirect_uris(session, row, [address])
    session.commit()
    protocol.sign_in(client, session, add_person(session))
    joint = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    answer = authorize(client, app, redirect_uri=address, state="s")
    assert answer.headers["Location"].startswith(f"{address}{joint}code=")
    code = parse_qs(answer.headers["Location"].removeprefix(address).lstrip("?&"))["code"][0]
    tokens = redeem(client, app, code, redirect_uri=address)
    assert tokens.status_code == 200
    answer = authorize(client, app, redirect_uri=address, response_mode="fragment")
    assert answer.headers["Location"].startswith(f"{address}#code=")
    page = authorize(client, app, redirect_uri=address, response_mode="form_post")
    assert f'action="{escape(address)}"' in page.get_data(as_text=True)
    refused = authorize(client, app, redirect_uri=address, scope="none", state="s")
    assert refused.headers["Location"].startswith(f"{address}{joint}error=invalid_scope")
    after = {
        "id_token_hint": tokens.get_json()["id_token"],
        "post_logout_redirect_uri": address,
    }
    out = client.get("/connect/endsession", query_string={**after, "state": "a b"})
    assert out.headers["Location"] == f"{address}{joint}state=a+b"
    out = client.get("/connect/endsession", query_string=after)
    assert out.headers["Location"] == address


def test_unknown_scopes_are_ignored_by_every_grant(client, session):
    # OpenID Connect Core 3.1.2.1
    protocol.add_api(session)
    scopes = (*protocol.IDENTITY_SCOPES, "orders.read")
    app = register(session, scopes=scopes, require_consent=True)
    protocol.sign_in(client, session, add_person(session))
    asked = authorize(client, app, scope="openid strange email orders.read offline_access")
    page = client.get(asked.location)
    assert "strange" not in page.get_data(as_text=True)
    back = forms.allow(client, asked.location, "openid", "email", "offline_access")
    code = protocol.code_of(client.get(back.location))
    tokens = redeem(client, app, code).get_json()
    assert tokens["scope"] == "openid email offline_access"
    renewed = protocol.refresh(client, app, tokens["refresh_token"], scope="openid strange")
    assert renewed.get_json()["scope"] == "openid"
    machine = protocol.register_machine(session, scopes=["orders.read"])
    answer = protocol.machine_token(client, machine, scope="strange orders.read offline_access")
    assert answer.get_json()["scope"] == "orders.read"


@pytest.mark.parametrize(
    "address",
    [
        "https://App.Example/callback",
        "https://app.example:443/callback?filter[1]=a;b&c",
        "http://127.0.0.1:80/callback?x=[1]",
    ],
)
def test_people_come_back_to_the_very_text_that_was_registered(client, session, address):
    app = register(session, redirect_uris=(address,))
    protocol.sign_in(client, session, add_person(session))
    for parameters in ({}, {"scope": "ids4.ms.all"}):
        answer = authorize(client, app, redirect_uri=address, **parameters)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith(address + ("&" if "?" in address else "?"))


def test_a_posted_request_continues_as_a_get(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    posted = client.post("/connect/authorize", data=protocol.authorization_parameters(app))
    assert posted.status_code == 303
    assert posted.location.startswith("/connect/authorize?continue=")
    assert protocol.code_of(client.get(posted.location))


def test_a_second_use_of_a_code_ends_the_tokens_of_the_first(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app, scope="openid offline_access"))
    tokens = redeem(client, app, code).get_json()
    assert protocol.is_active(client, app, tokens["access_token"])

    again = redeem(client, app, code)
    assert again.status_code == 400
    assert again.get_json()["error"] == "invalid_grant"
    assert not protocol.is_active(client, app, tokens["access_token"])
    refused = protocol.refresh(client, app, tokens["refresh_token"])
    assert refused.get_json()["error"] == "invalid_grant"


def test_one_code_is_one_grant_and_nothing_readable_is_stored(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app))
    assert session.scalar(select(func.count()).select_from(Grant)) == 1
    stored = session.scalars(select(AuthorizationCode)).one()
    assert code.encode() not in stored.code_hash


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"redirect_uri": "https://app.example/other"}, "invalid_grant"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
    ],
)
def test_each_check_of_a_code_stands_alone(client, session, changed, error):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app))
    refused = redeem(client, app, code, **changed)
    assert refused.status_code == 400
    assert refused.get_json()["error"] == error
    # A failed attempt by the client itself does not spend the code.
    assert redeem(client, app, code).status_code == 200


def test_a_code_of_another_client_is_refused_and_stays_good(client, session):
    app = register(session)
    thief = register(session, "thief")
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app))
    assert redeem(client, thief, code).get_json()["error"] == "invalid_grant"
    assert redeem(client, app, code).status_code == 200


def test_an_expired_code_is_refused(client, session, clock):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app))
    clock.shift(301)
    assert redeem(client, app, code).get_json()["error"] == "invalid_grant"


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"scope": "unknown strange"}, "invalid_scope"),
        ({"scope": "openid ids4.ms.all"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "too-short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": '{"userinfo": null} '}, None),
        ({"claims": '{"userinfo": []}'}, "invalid_request"),
        ({"claims": '{"id_token": []}'}, "invalid_request"),
        ({"claims": '{"id_token": ""}'}, "invalid_request"),
        ({"claims": '{"id_token": 0}'}, "invalid_request"),
        ({"claims": '{"id_token": false}'}, "invalid_request"),
        ({"claims": '{"userinfo": {"email": 1}}'}, "invalid_request"),
        ({"request_uri": "https://app.example/r"}, "request_uri_not_supported"),
        ({"resource": "unknown"}, "invalid_target"),
        ({"tenant": "77"}, "access_denied"),
        ({"tenant": "one"}, "invalid_request"),
        ({"id_token_hint": "e30.e30.e30"}, "invalid_request"),
    ],
)
def test_a_refusal_goes_to_the_proven_address_with_state_and_issuer(
    client, session, parameters, error
):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    fields = protocol.returned(authorize(client, app, **parameters))
    assert fields.get("error") == error
    assert fields["state"] == "the-state"
    assert fields["iss"] == "http://127.0.0.1:8000"


@pytest.mark.no_database
@pytest.mark.parametrize(
    "parameters",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/more"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "https://app.example.evil.example/callback"},
        {"redirect_uri": "https://app.example@evil.example/callback"},
        {"redirect_uri": "https://app.example/x/../callback"},
        {"redirect_uri": "https://app.example/%2e%2e/callback"},
        {"redirect_uri": "HTTPS://APP.EXAMPLE/callback"},
    ],
)
def test_before_the_address_is_proven_nothing_is_redirected(client, session, parameters):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    answer = authorize(client, app, scope="nonsense", **parameters)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
