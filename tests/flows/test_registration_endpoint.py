"""Clients that register, read, change and delete themselves (RFC 7591, RFC 7592)."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import func, select

from idp import jobs
from idp.directory.actor import OPERATOR
from idp.directory.clients import management, registration_tokens
from idp.directory.clients import service as clients
from idp.directory.clients.models import (
    Client,
    ClientRegistration,
    ClientSecret,
    RegistrationToken,
)
from idp.directory.clients.registration_tokens import Statements
from idp.oauth.client_auth import uses
from idp.oauth.models import Grant
from idp.platform import clock as clocks
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import ConfigurationVersion
from idp.platform.secrets import digest
from tests import protocol
from tests.attacks import forms
from tests.client_keys import ClientKey
from tests.protocol import CALLBACK, add_person, add_tenant
from tests.registering import (
    REGISTER,
    app_of,
    documents,
    enrol,
    initial_token,
    let_in,
    manage,
    metadata,
    refused,
    replace,
    send,
)
from tests.servers import free_port

ISSUER = "http://127.0.0.1:8000"
PORT = free_port()
ALLOWED = pytest.mark.settings(fetch_allow=f"127.0.0.1:{PORT}")
METADATA = "invalid_client_metadata"
REDIRECT = "invalid_redirect_uri"
LOOPBACK = "http://127.0.0.1:53124/callback"


def version(session):
    session.rollback()
    return session.scalar(select(ConfigurationVersion.version))


def of(session, made):
    session.rollback()
    return clients.get(session, made["client_id"])


def test_a_client_registers_itself_and_signs_people_in(client, session):
    let_in(session)
    answer = send(client, post_logout_redirect_uris=["https://app.example/bye"], contacts=["a@b"])
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    made = answer.get_json()
    assert re.fullmatch(r"c_[A-Za-z0-9_-]{22}", made["client_id"])
    assert made == {
        "client_id": made["client_id"],
        "client_id_issued_at": made["client_id_issued_at"],
        "client_secret": made["client_secret"],
        "client_secret_expires_at": 0,
        "registration_client_uri": f"{ISSUER}/connect/register/client?id={made['client_id']}",
        "registration_access_token": made["registration_access_token"],
        "client_name": "Chess",
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "scope": "openid profile email",
        "subject_type": "public",
        "contacts": ["a@b"],
        "dpop_bound_access_tokens": False,
        "require_pushed_authorization_requests": False,
        "require_signed_request_object": False,
        "tls_client_certificate_bound_access_tokens": False,
    }
    row = of(session, made)
    # What nobody checked is asked about each time, has short codes and needs PKCE.
    assert (row.origin, row.require_pkce, row.require_consent) == ("registered", True, True)
    assert (row.allow_remember_consent, row.authorization_code_lifetime) == (False, 60)
    registration = session.scalar(select(ClientRegistration))
    assert registration.token_hash == digest(made["registration_access_token"])
    assert [origin.origin for origin in row.cors_origins] == ["https://app.example"]

    app = app_of(made)
    protocol.sign_in(client, session, add_person(session))
    for _ in range(2):  # what was allowed before does not count, whatever the form says
        asked = protocol.authorize(client, app)
        assert asked.headers["Location"].startswith("/consent")
        assert protocol.code_of(client.get(forms.allow(client, asked.location).location))
    # RFC 7636: a client that nobody registered never goes without.
    plain = {"code_challenge": None, "code_challenge_method": None}
    fields = protocol.returned(protocol.authorize(client, app, **plain))
    assert fields["error"] == "invalid_request"


def test_who_may_register_is_the_issuers_choice(client, new_client, session):
    discovery = "/.well-known/openid-configuration"
    let_in(session, "off")
    assert "registration_endpoint" not in client.get(discovery).get_json()
    assert client.post(REGISTER, json=metadata()).status_code == 404
    made = {"registration_client_uri": f"{REGISTER}/client?id=x", "registration_access_token": "y"}
    assert manage(client, "GET", made).status_code == 404
    let_in(session, "token")
    assert client.get(discovery).get_json()["registration_endpoint"] == f"{ISSUER}{REGISTER}"
    nobody = send(client)
    assert refused(nobody, "invalid_token", status=401)
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused(send(client, "made-up"), "invalid_token", status=401)
    token = initial_token(session, uses=2)
    assert enrol(client, token)["client_id"] != enrol(client, token)["client_id"]
    assert refused(send(client, token), "invalid_token", status=401)
    let_in(session, "any")
    assert enrol(client)
    # A wrong token is never as good as none.
    assert refused(send(client, token), "invalid_token", status=401)
    denied = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.tag == Tag.REGISTRATION_DENIED)
    ).all()
    assert len(denied) == 4


def test_anybody_registers_ten_clients_an_hour(client, new_client, session, clock):
    let_in(session)
    for _ in range(10):
        assert enrol(client)
    limited = send(client)
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) <= 3600
    # What is refused does not count, and a token is no matter of addresses.
    assert refused(send(client, response_types=["token"]), METADATA)
    assert enrol(client, initial_token(session))
    clock.shift(3601)
    assert enrol(client)


def test_the_policy_of_a_token_bounds_what_its_clients_are(client, session, clock):
    protocol.add_api(session)
    token = initial_token(
        session,
        redirect_hosts=("app.example", "*.tools.example"),
        scopes=("openid", "orders.read"),
        grant_types=("authorization_code", "client_credentials"),
        auth_methods=("client_secret_post", "private_key_jwt"),
    )
    made = enrol(
        client,
        token,
        token_endpoint_auth_method="client_secret_post",
        grant_types=["authorization_code", "refresh_token", "client_credentials", "implicit"],
        redirect_uris=[CALLBACK, "https://a.tools.example/cb"],
    )
    assert made["scope"] == "openid orders.read"
    assert made["grant_types"] == ["authorization_code", "client_credentials"]
    post = {"token_endpoint_auth_method": "client_secret_post"}
    for uri in (
        "https://app.example.evil/",
        "https://a.b.tools.example/",
        "https://tools.example/",
    ):
        assert refused(send(client, token, redirect_uris=[uri], **post), REDIRECT, "host")
    assert refused(send(client, token), METADATA, "token_endpoint_auth_method")
    assert refused(send(client, token, scope="email", **post), METADATA, "scope")
    assert refused(
        send(client, token, grant_types=["refresh_token"], **post), METADATA, "grant_types"
    )
    # The same rules at every update, whatever came in between.
    assert refused(replace(client, made, **post, redirect_uris=["https://x.example/"]), REDIRECT)
    widened = replace(client, made, **post, scope="openid email orders.read orders.write")
    assert widened.get_json()["scope"] == "openid orders.read"

    ending = initial_token(session, expires_at=clocks.now() + timedelta(days=1))
    assert enrol(client, ending)
    clock.shift(86_401)
    assert refused(send(client, ending), "invalid_token", status=401)
    row = session.scalars(select(RegistrationToken).order_by(RegistrationToken.id)).first()
    registration_tokens.revoke(session, OPERATOR, row.id)
    session.commit()
    assert refused(send(client, token, **post), "invalid_token", status=401)
    assert manage(client, "GET", made).status_code == 200  # its clients stay


def test_clients_of_a_trusted_token_are_like_those_of_operators(client, session):
    token = initial_token(session, is_trusted=True, requires_pkce=False)
    made = enrol(client, token)
    row = of(session, made)
    assert (row.origin, row.require_pkce) == ("operator", False)
    assert row.allow_remember_consent
    public = enrol(client, token, token_endpoint_auth_method="none")
    assert of(session, public).require_pkce


def test_a_token_counts_at_the_issuer_of_its_tenant(client, new_client, session):
    tenant = add_tenant(session, hosts=["acme.localhost"])
    token = initial_token(session, tenant)
    assert refused(send(client, token), "invalid_token", status=401)
    acme = new_client("http://acme.localhost")
    made = enrol(acme, token)
    assert of(session, made).tenant_id == tenant
    assert manage(acme, "GET", made).status_code == 200
    assert refused(manage(client, "GET", made), "invalid_token", status=401)
    # A client of the platform that registered here is unknown there.
    let_in(session)
    own = app_of(enrol(client))
    form = {"grant_type": "x"}
    assert acme.post("/connect/token", data=form, headers=own.basic).status_code == 401
    assert client.post("/connect/token", data=form, headers=own.basic).status_code == 400
    assert of(session, {"client_id": own.client_id}).tenant_id is None


def test_a_scope_brings_those_of_the_same_api(client, session):
    """The SDKs of MCP register with the scopes of their first call, and ask for more later."""
    notes = protocol.add_api(session, "notes", ["notes.read", "notes.write"])
    files = protocol.add_api(session, "files", ["files.read"])
    notes.open_to_strangers = files.open_to_strangers = True
    let_in(session)
    made = enrol(client, scope="openid notes.read")
    assert made["scope"] == "openid notes.read notes.write"
    assert enrol(client, scope="email")["scope"] == "email"
    token = initial_token(session, scopes=("openid", "notes.read"))
    assert enrol(client, token, scope="notes.read")["scope"] == "notes.read"


def test_tools_on_a_device_register_as_they_do(client, session):
    """Members as MCP clients send them: no type, no scope, addresses of this computer."""
    let_in(session, stranger_scopes=["address"])
    made = enrol(
        client,
        client_name="A tool (chess)",
        redirect_uris=["http://localhost:53124/callback", LOOPBACK, "http://[::1]/cb"],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
        unheard_of={"a": [1]},
    )
    assert "client_secret" not in made
    assert made["application_type"] == "native"
    assert made["scope"] == "openid profile email address offline_access"
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    # Without a method such a client is public too.
    assert (
        enrol(client, redirect_uris=["com.example.app:/cb"])["token_endpoint_auth_method"] == "none"
    )
    # Another port is fine, as for every native client.
    protocol.sign_in(client, session, add_person(session))
    asked = protocol.authorize(client, app_of(made), redirect_uri="http://localhost:1234/callback")
    assert asked.status_code == 303


def test_a_client_reads_changes_and_deletes_itself(client, session):
    let_in(session)
    made = enrol(client, software_id="chess", initiate_login_uri="https://app.example/start")
    shown = manage(client, "GET", made)
    assert shown.status_code == 200
    kept = {name for name in made if not name.startswith("client_secret")}
    assert shown.get_json() == {name: made[name] for name in kept}
    # RFC 7592 2.2: what is not sent goes back to its default.
    changed = replace(client, made, client_name="Checkers", client_secret=made["client_secret"])
    body = changed.get_json()
    assert changed.status_code == 200
    assert (body["client_name"], "software_id" in body) == ("Checkers", False)
    assert "client_secret" not in body
    app = app_of(made)
    grant = {"grant_type": "authorization_code", "code": "x"}
    by_header = client.post("/connect/token", data=grant, headers=app.basic)
    assert by_header.get_json()["error"] == "invalid_grant"
    # A public client has no secret; one that becomes confidential again has a new one.
    public = replace(client, made, token_endpoint_auth_method="none").get_json()
    assert public["token_endpoint_auth_method"] == "none"
    session.rollback()
    assert session.scalar(select(func.count()).select_from(ClientSecret)) == 0
    again = replace(client, made, token_endpoint_auth_method="client_secret_post").get_json()
    assert again["client_secret"] != made["client_secret"]
    old = client.post("/connect/token", data={**grant, **app.post})
    assert old.get_json()["error"] == "invalid_client"

    user = add_person(session)
    row_id = of(session, made).id
    session.add(protocol.grant_of(user, client_id=row_id, tenant_id=1, scopes=["openid"]))
    session.commit()
    gone = manage(client, "DELETE", made)
    assert (gone.status_code, gone.data) == (204, b"")
    session.rollback()
    for table in (Client, ClientRegistration, Grant):
        rows = select(func.count()).select_from(table)
        if table is Client:
            rows = rows.where(Client.client_id == made["client_id"])
        assert session.scalar(rows) == 0, table
    assert refused(manage(client, "GET", made), "invalid_token", status=401)
    tags = session.scalars(
        select(AuditEvent.tag)
        .where(AuditEvent.target == f"client:{made['client_id']}")
        .order_by(AuditEvent.id)
    ).all()
    assert tags == [
        Tag.REGISTRATION_CREATED,
        *[Tag.REGISTRATION_CHANGED] * 3,
        Tag.REGISTRATION_DELETED,
    ]


def test_an_update_names_its_client_and_nothing_that_is_ours(client, session):
    let_in(session)
    made = enrol(client)
    for name in (
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ):
        assert refused(replace(client, made, **{name: made[name]}), METADATA, name)
    assert refused(manage(client, "PUT", made, json={}), METADATA, "client_id")
    assert refused(manage(client, "PUT", made, json=metadata(client_id="web")), METADATA)
    assert refused(replace(client, made, client_secret="other"), METADATA, "client_secret")
    empty = manage(client, "PUT", made, json={"client_id": made["client_id"]})
    assert refused(empty, REDIRECT)
    assert manage(client, "POST", made, json={}).status_code == 405


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("members", "error", "name"),
    [
        # Redirect addresses
        ({"redirect_uris": None}, REDIRECT, "redirect_uris"),
        ({"redirect_uris": []}, REDIRECT, "redirect_uris"),
        ({"redirect_uris": CALLBACK}, REDIRECT, "redirect_uris"),
        ({"redirect_uris": [1]}, REDIRECT, "redirect_uris"),
        ({"redirect_uris": [f"{CALLBACK}{n}" for n in range(21)]}, REDIRECT, "20"),
        ({"redirect_uris": ["javascript:alert(1)"]}, REDIRECT, ""),
        ({"redirect_uris": ["data:text/html,x"]}, REDIRECT, ""),
        ({"redirect_uris": ["myapp:/cb"]}, REDIRECT, ""),
        ({"redirect_uris": ["https://a.example:0/"]}, REDIRECT, ""),
        ({"redirect_uris": ["https://a.example:65536/"]}, REDIRECT, ""),
        ({"redirect_uris": ["https://a.example/#f"]}, REDIRECT, ""),
        ({"redirect_uris": ["https://u@a.example/"]}, REDIRECT, ""),
        ({"redirect_uris": ["http://["]}, REDIRECT, ""),
        ({"redirect_uris": ["http://a.example/"]}, REDIRECT, ""),
        ({"post_logout_redirect_uris": ["javascript:x"]}, METADATA, "post_logout_redirect_uris"),
        # Names and texts
        ({"client_name": "x" * 10_000}, METADATA, "client_name"),
        ({"client_name": "a\u202eb"}, METADATA, "client_name"),
        ({"client_name": "a\nb"}, METADATA, "client_name"),
        ({"client_name": ["a"]}, METADATA, "client_name"),
        ({"client_uri": "javascript:alert(1)"}, METADATA, "client_uri"),
        ({"logo_uri": 5}, METADATA, "logo_uri"),
        ({"policy_uri": "https://[x"}, METADATA, "policy_uri"),
        ({"contacts": "a@b"}, METADATA, "contacts"),
        ({"contacts": ["a"] * 11}, METADATA, "contacts"),
        ({"software_id": "x" * 256}, METADATA, "software_id"),
        ({"initiate_login_uri": "http://app.example/"}, METADATA, "initiate_login_uri"),
        # Methods, grants, types
        ({"token_endpoint_auth_method": "client_secret_jwt"}, METADATA, "auth_method"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, METADATA, "certificates"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, METADATA, "jwks"),
        ({"grant_types": ["implicit"]}, METADATA, "grant_types"),
        ({"grant_types": ["client_credentials"]}, METADATA, "grant_types"),
        ({"grant_types": "authorization_code"}, METADATA, "grant_types"),
        ({"response_types": ["code", "id_token"]}, METADATA, "response_types"),
        ({"response_types": []}, METADATA, "response_types"),
        ({"application_type": "service"}, METADATA, "application_type"),
        ({"dpop_bound_access_tokens": "yes"}, METADATA, "dpop_bound_access_tokens"),
        ({"require_signed_request_object": True}, METADATA, "jwks"),
        ({"default_max_age": "60"}, METADATA, "default_max_age"),
        ({"default_max_age": -1}, METADATA, "default_max_age"),
        # Scopes
        ({"scope": "nothing.known"}, METADATA, "scope"),
        ({"scope": "openid  email"}, METADATA, "scope"),
        ({"scope": ["openid"]}, METADATA, "scope"),
        ({"scope": "openid ids4.ms.client.get"}, METADATA, "ids4.ms"),
        # Keys
        ({"jwks": "{}"}, METADATA, "jwks"),
        ({"jwks": {"keys": []}}, METADATA, "jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, METADATA, "jwks"),
        ({"jwks": {"keys": [ClientKey().key.as_dict(private=True)]}}, METADATA, "public"),
        ({"jwks": ClientKey().jwks, "jwks_uri": "https://a.example/k"}, METADATA, "jwks"),
        ({"jwks_uri": "https://127.0.0.1/keys"}, METADATA, "jwks_uri"),
        ({"sector_identifier_uri": "https://10.0.0.1/s"}, METADATA, "sector_identifier_uri"),
        ({"software_statement": 5}, "invalid_software_statement", ""),
        ({"software_statement": "a.b.c"}, "unapproved_software_statement", ""),
    ],
)
def test_what_cannot_be_registered_is_refused_by_name(client, session, members, error, name):
    let_in(session)
    assert refused(send(client, **members), error, name)
    session.rollback()
    assert session.scalar(select(func.count()).select_from(ClientRegistration)) == 0
    if error != "unapproved_software_statement" or name:
        made = enrol(client)
        assert replace(client, made, **members).status_code == 400


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'"text"', "application/json"),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b'{"client_name": "a", "client_name": "b"}', "application/json"),
        (b'{"a": {"b": 1, "b": 2}}', "application/json"),
        (b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}", "application/json"),
        (b'{"client_name": "\\ud800"}', "application/json"),
        (b'{"client_name": "\\u0000"}', "application/json"),
        (b'{"default_max_age": NaN}', "application/json"),
        (b'{"client_name": "\xff"}', "application/json"),
        (b"redirect_uris=x", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
    ],
)
def test_bodies_that_are_no_plain_object_are_refused(client, session, body, kind):
    let_in(session)
    answer = client.post(REGISTER, data=body, content_type=kind)
    assert refused(answer, "invalid_request")


@pytest.mark.no_database
def test_a_body_has_at_most_64_kib(client, session):
    let_in(session)
    for size, status in ((64 * 1024, 201), (64 * 1024 + 1, 413), (1024 * 1024, 413)):
        body = orjson.dumps(metadata(filler=""))
        body = orjson.dumps(metadata(filler="x" * (size - len(body))))
        assert len(body) == size
        answer = client.post(REGISTER, data=body, content_type="application/json; charset=utf-8")
        assert answer.status_code == status


@pytest.mark.no_database
def test_what_is_known_and_cannot_be_done_is_left_out(client, session):
    let_in(session)
    made = enrol(
        client,
        subject_type="pairwise",
        id_token_signed_response_alg="none",
        userinfo_signed_response_alg="ES256",
        id_token_encrypted_response_alg="RSA-OAEP",
        request_uris=["https://app.example/r"],
        backchannel_logout_uri="https://app.example/out",
        default_acr_values=["mfa", "gold"],
        grant_types=["authorization_code", "refresh_token", "implicit", "urn:other"],
        scope="openid email nothing.known",
        tls_client_certificate_bound_access_tokens=True,
        client_id="mine",
        client_secret="mine",
    )
    assert made["client_id"] != "mine"
    assert made["client_secret"] != "mine"
    assert made["subject_type"] == "public"
    assert "id_token_signed_response_alg" not in made
    assert made["userinfo_signed_response_alg"] == "ES256"
    assert made["default_acr_values"] == ["mfa"]
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert made["scope"] == "openid email offline_access"
    assert made["tls_client_certificate_bound_access_tokens"] is False
    for name in ("id_token_encrypted_response_alg", "request_uris", "backchannel_logout_uri"):
        assert name not in made


@pytest.mark.settings(environment="production", public_url="https://id.example")
def test_a_web_client_of_production_has_https_addresses_only(new_client, session):
    browser = new_client("https://id.example")
    let_in(session)
    web = {"application_type": "web"}
    for uri in ("http://127.0.0.1/cb", "http://localhost/cb", "com.example.app:/cb"):
        assert refused(send(browser, redirect_uris=[uri], **web), REDIRECT)
    native = {"application_type": "native", "token_endpoint_auth_method": "none"}
    for uri in ("http://localhost/cb", LOOPBACK, "com.example.app:/cb", CALLBACK):
        assert enrol(browser, redirect_uris=[uri], **native)


@pytest.mark.no_database
@ALLOWED
def test_documents_that_metadata_names_are_fetched(client, session):
    key = ClientKey("RS256")
    pages = {
        "/keys": key.jwks,
        "/empty": {"keys": []},
        "/list": [],
        "/sector": [CALLBACK, "https://other.example/"],
        "/other": ["https://other.example/"],
    }
    base = f"http://127.0.0.1:{PORT}"
    let_in(session)
    with documents(PORT, pages) as asked:
        made = enrol(client, jwks_uri=f"{base}/keys", token_endpoint_auth_method="private_key_jwt")
        assert "client_secret" not in made
        app = app_of(made)
        form = {"grant_type": "authorization_code", "code": "x", **key.assertion(app)}
        assert client.post("/connect/token", data=form).get_json()["error"] == "invalid_grant"
        for path in ("/empty", "/list", "/missing"):
            assert refused(send(client, jwks_uri=base + path), METADATA, "jwks_uri")
        assert enrol(client, sector_identifier_uri=f"{base}/sector")
        for path in ("/other", "/keys", "/missing"):
            assert refused(
                send(client, sector_identifier_uri=base + path), METADATA, "sector_identifier_uri"
            )
        # At an update too, and no address that is not needed.
        assert refused(replace(client, made, jwks_uri=f"{base}/empty"), METADATA, "jwks_uri")
        assert send(client, logo_uri=f"{base}/logo", policy_uri=f"{base}/policy").status_code == 201
    assert not {"/logo", "/policy"}.intersection(asked)


@pytest.mark.no_database
@ALLOWED
def test_a_software_statement_wins_over_the_body(client, session, clock):
    key = ClientKey("ES256")
    base = f"http://127.0.0.1:{PORT}"
    trusted = Statements("https://vouches.example", f"{base}/keys", ("ES256",), is_required=True)
    token = initial_token(session, statements=trusted)

    def statement(signer=key, **claims):
        now = clocks.timestamp()
        usual = {"iss": "https://vouches.example", "exp": now + 60, "client_name": "Vouched"}
        return signer.sign(usual | claims, typ="JWT")

    invalid = "invalid_software_statement"
    with documents(PORT, {"/keys": key.jwks}):
        good = statement(software_id="chess", aud=ISSUER)
        made = enrol(client, token, client_name="Mine", software_statement=good)
        assert (made["client_name"], made["software_id"]) == ("Vouched", "chess")
        assert made["software_statement"] == good  # RFC 7591 3.2.1
        assert refused(send(client, token), invalid, "required")
        assert refused(replace(client, made), invalid, "required")
        assert replace(client, made, software_statement=good).status_code == 200
        now = clocks.timestamp()
        for claims in ({"exp": now - 11}, {"nbf": now + 60}, {"aud": "https://x"}, {"exp": "1"}):
            bad = statement(**claims)
            assert refused(send(client, token, software_statement=bad), invalid)
        other = statement(iss="https://other.example")
        unapproved = "unapproved_software_statement"
        assert refused(send(client, token, software_statement=other), unapproved)
        for signer in (ClientKey("ES256"), ClientKey("RS256")):
            bad = statement(signer)
            assert refused(send(client, token, software_statement=bad), invalid)
        # What it says is held to the same rules.
        bad = statement(redirect_uris=["javascript:alert(1)"])
        assert refused(send(client, token, software_statement=bad), REDIRECT)


def test_a_registration_leaves_what_workers_cache(client, session):
    let_in(session)
    enrol(client)
    before = version(session)
    enrol(client)
    enrol(client, redirect_uris=[LOOPBACK])
    assert version(session) == before
    # Pages of another origin may call the token endpoint from now on.
    enrol(client, redirect_uris=["https://new.example/cb"])
    assert version(session) > before
    asked = client.options(
        "/connect/token",
        headers={"Origin": "https://new.example", "Access-Control-Request-Method": "POST"},
    )
    assert asked.headers["Access-Control-Allow-Origin"] == "https://new.example"


def test_it_is_noted_when_a_client_was_used(client, session, runtime, clock):
    let_in(session)
    made = enrol(client, token_endpoint_auth_method="client_secret_post")
    protocol.redeem(client, app_of(made), "x")
    uses.write(runtime)
    session.rollback()
    used = session.scalar(select(ClientRegistration.used_at))
    assert abs(used - clocks.now()) < timedelta(minutes=1)


def test_clients_that_nobody_used_for_a_month_go(client, session, runtime, clock):
    let_in(session)
    unused, used, promoted, blocked = (enrol(client) for _ in range(4))
    of_token = enrol(client, initial_token(session))
    management.promote(session, OPERATOR, of(session, promoted).id)
    session.commit()
    clients.update(session, of(session, blocked), {"enabled": False})
    session.commit()
    clock.shift(20 * 86_400)
    client.post("/connect/token", data={"grant_type": "x"}, headers=app_of(used).basic)
    uses.write(runtime)
    clock.shift(11 * 86_400)
    jobs.remove_unused_clients(runtime, threading.Event())
    session.rollback()
    left = set(session.scalars(select(Client.client_id)))
    assert left >= {made["client_id"] for made in (used, promoted, of_token)}
    assert left.isdisjoint({unused["client_id"], blocked["client_id"]})
    targets = session.scalars(
        select(AuditEvent.target).where(AuditEvent.tag == Tag.REGISTRATION_EXPIRED)
    ).all()
    assert targets == [f"client:{made['client_id']}" for made in (unused, blocked)]
    session.rollback()
    clock.shift(31 * 86_400)
    jobs.remove_unused_clients(runtime, threading.Event())
    session.rollback()
    assert used["client_id"] not in set(session.scalars(select(Client.client_id)))


@pytest.mark.no_database
def test_pages_of_any_origin_may_register(client, session):
    let_in(session)
    made = enrol(client)
    for method, address in (("POST", REGISTER), ("PUT", made["registration_client_uri"])):
        asked = client.options(
            address.removeprefix(ISSUER),
            headers={
                "Origin": "https://tool.example",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "content-type, authorization",
            },
        )
        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == "*"
        assert method in asked.headers["Access-Control-Allow-Methods"]
    assert refused(send(client, scope="x"), METADATA)
    assert client.post(REGISTER, json={}).headers["Access-Control-Allow-Origin"] == "*"
