"""Clients: what may be registered together, and their secrets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients import fields, rules, snapshot
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientOwner
from idp.directory.clients.service import NewClient
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi, NewScope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.service import NewTenant
from idp.platform import clock
from idp.platform.errors import BadRequest, Conflict, NotFound, Problem, Unprocessable
from idp.platform.runtime import Runtime

CODE = {"grant_types": ["authorization_code"], "redirect_uris": ["https://app.example/cb"]}


def create(session: Session, client_id: str = "app", **changes: Any) -> Client:
    return clients.create(session, NewClient(client_id, **changes))[0]


def key_set(*keys: Any, private: bool = False) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=private) for key in keys]}


def test_a_client_gets_a_secret_that_is_kept_as_a_hash(session: Session, runtime: Runtime) -> None:
    client, secret = clients.create(session, NewClient("app", **CODE))
    stored = client.secrets[0].value_hash
    assert len(secret) >= 43
    assert secret not in stored
    assert runtime.keyring.mac_matches("client secret", secret, stored)
    assert client.require_pkce
    assert not client.allow_offline_access


def test_a_chosen_secret_has_24_characters(session: Session) -> None:
    chosen = "a" * 24
    assert clients.create(session, NewClient("app", secret=chosen))[1] == chosen
    for bad in ("a" * 23, "", "a" * 201, "a" * 30 + " b", "é" * 30, "a" * 30 + "\n"):
        with pytest.raises(BadRequest) as refusal:
            create(session, "other", secret=bad)
        assert not bad or bad not in str(refusal.value)


@pytest.mark.no_database
@pytest.mark.parametrize(
    "client_id",
    ["", "1", "123456", "a b", "a\n", "é", "-app", '"', "a" * 201, "１２"],  # noqa: RUF001
)
def test_client_ids_are_plain_and_never_numbers(session: Session, client_id: str) -> None:
    with pytest.raises(BadRequest):
        create(session, client_id)


def test_a_client_id_is_taken_once_also_by_the_name_of_an_api(session: Session) -> None:
    create(session)
    for taken in ("app", "ids4.ms"):
        with pytest.raises(Conflict):
            create(session, taken)


@pytest.mark.no_database
@pytest.mark.parametrize(
    "wrong",
    [
        {"grant_types": ["implicit"]},
        {"grant_types": ["password"]},
        {"grant_types": ["client_credentials", "device_code"]},
        {"grant_types": ["refresh_token"]},
        {"grant_types": ["authorization_code"]},
        {"is_public": True, "grant_types": ["client_credentials"]},
        {"is_public": True, "secret": "a" * 30},
        {"is_public": True, "settings": {"requirePkce": "false"}},
        {"is_public": True, "settings": {"refreshTokenUsage": "0"}, **CODE},
        {"is_public": True, "settings": {"require_client_secret": "true"}},
        {"is_public": True, "settings": {"token_endpoint_auth_method": "client_secret_basic"}},
        {"settings": {"token_endpoint_auth_method": "none", "requireClientSecret": True}},
        {"settings": {"token_endpoint_auth_method": "client_secret_jwt"}},
        {"settings": {"token_endpoint_auth_method": "private_key_jwt"}},
        {"settings": {"id_token_signed_response_alg": "HS256"}},
        {"settings": {"id_token_signed_response_alg": "none"}},
        {"settings": {"allowPlainTextPkce": "true"}},
        {"settings": {"allowAccessTokensViaBrowser": True}},
        {"settings": {"enableLocalLogin": False}},
        {"settings": {"protocolType": "saml"}},
        {"settings": {"frontChannelLogoutUri": "https://app.example/out"}},
        {"settings": {"backChannelLogoutUri": "https://app.example/out"}},
        {"settings": {"pairWiseSubjectSalt": "salt"}},
        {"settings": {"accessTokenLifetime": "0"}},
        {"settings": {"accessTokenLifetime": "999999999"}},
        {"settings": {"authorizationCodeLifetime": 601}},
        {"settings": {"accessTokenLifetime": "1e3"}},
        {"settings": {"accessTokenLifetime": True}},
        {"settings": {"accessTokenLifetime": None}},
        {"settings": {"refreshTokenUsage": 2}},
        {"settings": {"requirePkce": "yes"}},
        {"settings": {"client_name": "a\x00b"}},
        {"settings": {"client_name": "a" * 201}},
        {"settings": {"logoUri": "javascript:alert(1)"}},
        {"settings": {"jwks_uri": "ftp://app.example/jwks"}},
        {"settings": {"nothing": "x"}},
        {"settings": {"id": "7"}},
        {"settings": {"tenant_id": "7"}},
        {"settings": {"secrets": "x"}},
        {"scopes": ["openid", "unknown.scope"]},
        {"redirect_uris": ["https://*.example/"]},
        {"post_logout_redirect_uris": ["javascript:alert(1)"]},
        {"cors_origins": ["*"]},
        {"tenant_id": 99},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(session: Session, wrong: dict[str, Any]) -> None:
    with pytest.raises((BadRequest, Unprocessable, NotFound)):
        create(session, **wrong)
    session.rollback()
    assert clients.find(session, "app") is None


def test_grants_that_are_not_offered_are_422(session: Session) -> None:
    with pytest.raises(Unprocessable) as refusal:
        create(session, grant_types=["urn:openid:params:grant-type:ciba"])
    assert refusal.value.status == 422


def test_a_public_client_has_no_secret_and_always_pkce(session: Session) -> None:
    for client_id, extra in (
        ("spa", {"is_public": True}),
        ("native", {"settings": {"token_endpoint_auth_method": "none"}}),
    ):
        client, secret = clients.create(session, NewClient(client_id, **extra, **CODE))
        assert secret is None
        assert client.secrets == []
        assert client.require_pkce
        with pytest.raises(Unprocessable):
            clients.add_secret(session, client)


def test_refresh_tokens_of_a_public_client_are_used_once(session: Session) -> None:
    # RFC 9700 4.14.2
    reusable = {"refresh_token_usage": 0}
    client = create(session, settings=reusable, **CODE)
    with pytest.raises(Unprocessable) as refusal:
        clients.update(session, client, {"token_endpoint_auth_method": "none"})
    assert list(refusal.value.fields) == ["refresh_token_usage"]
    spa, _ = clients.create(session, NewClient("spa", is_public=True, **CODE))
    with pytest.raises(Unprocessable):
        clients.update(session, spa, reusable)


def test_only_a_client_of_the_platform_has_an_address_as_its_id(session: Session) -> None:
    tenant_id = tenants.create(session, NewTenant(name="Acme")).id
    for client_id in ("https://app.example/metadata", "HTTPS://app.example", "com.example://a"):
        with pytest.raises(Unprocessable) as refusal:
            create(session, client_id, tenant_id=tenant_id)
        assert list(refusal.value.fields) == ["client_id"]
        assert create(session, client_id).client_id == client_id
    assert create(session, "app.example:web", tenant_id=tenant_id)


def test_a_confidential_client_may_go_without_pkce(session: Session) -> None:
    client = create(session, settings={"requirePkce": "false"}, **CODE)
    assert not client.require_pkce
    with pytest.raises(Unprocessable):
        clients.update(session, client, {"requireClientSecret": False})


@pytest.mark.parametrize(
    "asking",
    [
        {"scopes": ["openid", "offline_access"]},
        {"grant_types": ["authorization_code", "refresh_token"]},
        {"settings": {"allowOfflineAccess": "true"}},
    ],
)
def test_refresh_tokens_by_any_of_their_names(session: Session, asking: dict[str, Any]) -> None:
    client = create(session, **{**CODE, **asking})
    assert client.allow_offline_access
    assert {row.grant_type for row in client.grant_types} == {
        "authorization_code",
        "refresh_token",
    }
    assert "offline_access" not in {row.scope for row in client.scopes}


@pytest.mark.no_database
def test_settings_go_by_both_names_and_as_text(session: Session) -> None:
    client = create(
        session,
        settings={
            "accessTokenLifetime": "60",
            "identity_token_lifetime": 61,
            "alwaysIncludeUserClaimsInIdToken": "TRUE",
            "clientName": "App",
            "consentLifetime": "",
            "default_max_age": "null",
            "accessTokenType": "1",
            "includeJwtId": "true",
            "protocolType": "oidc",
            "allowPlainTextPkce": "false",
            "frontChannelLogoutUri": None,
        },
    )
    assert (client.access_token_lifetime, client.identity_token_lifetime) == (60, 61)
    assert client.always_include_user_claims_in_id_token
    assert client.client_name == "App"
    assert client.consent_lifetime is None
    assert client.access_token_type == 1


@pytest.mark.no_database
def test_an_unknown_setting_is_answered_with_the_known_ones(session: Session) -> None:
    with pytest.raises(BadRequest, match=r"requirePkcs.*require_pkce"):
        create(session, settings={"requirePkcs": "false"})


@pytest.mark.no_database
def test_every_setting_is_a_column(session: Session) -> None:
    columns = set(Client.__table__.columns.keys())
    assert set(fields.FIELDS) <= columns
    own = {"id", "tenant_id", "client_id", "created_at", "updated_at", "concurrency_stamp"}
    own |= {"origin", "document_hash"}
    assert columns - set(fields.FIELDS) == own


def test_public_keys_of_every_algorithm_are_taken(session: Session) -> None:
    keys = key_set(
        RSAKey.generate_key(2048), ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")
    )
    settings = {"token_endpoint_auth_method": "private_key_jwt", "jwks": json.dumps(keys)}
    client, secret = clients.create(session, NewClient("app", settings=settings))
    assert secret is None
    assert client.jwks == keys
    with pytest.raises(Unprocessable):
        clients.add_secret(session, client)
    with pytest.raises(BadRequest):
        clients.update(session, client, {"jwks_uri": "https://app.example/jwks"})


@pytest.mark.no_database
@pytest.mark.parametrize(
    "keys",
    [
        key_set(RSAKey.generate_key(2048), private=True),
        key_set(OctKey.generate_key(256), private=True),
        key_set(ECKey.generate_key("P-521")),
        key_set(OKPKey.generate_key("X25519")),
        {"keys": []},
        {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
        {"keys": [{"kty": "unknown"}]},
        {"keys": [{}]},
        {"keys": ["x"]},
        {"keys": [ECKey.generate_key("P-256").as_dict(private=False)] * 21},
        {},
        [],
        "not json",
    ],
    ids=[
        *("private RSA", "symmetric", "P-521", "X25519", "no key", "short RSA", "unknown type"),
        *("no type", "no object", "too many", "no member", "a list", "no JSON"),
    ],
)
def test_private_weak_and_unreadable_keys_are_refused(session: Session, keys: Any) -> None:
    with pytest.raises(BadRequest):
        create(session, settings={"jwks": keys})


def test_a_client_of_a_tenant_reaches_its_own_scopes_only(session: Session) -> None:
    own = tenants.create(session, NewTenant("own"))
    other = tenants.create(session, NewTenant("other"))
    for tenant in (own, other):
        new = NewApi(
            f"api-{tenant.name}",
            tenant_id=tenant.id,
            scopes=[NewScope(f"{tenant.name}.read")],
        )
        resources.create_api(session, new)
    client = create(session, tenant_id=own.id, scopes=["own.read", "openid", "ids4.ms.user.get"])
    assert [row.scope for row in client.scopes] == ["own.read", "openid", "ids4.ms.user.get"]
    for tenant_id, scope in ((own.id, "other.read"), (None, "own.read")):
        with pytest.raises(BadRequest):
            create(session, "second", tenant_id=tenant_id, scopes=[scope])
    assert clients.list(session, tenant_id=own.id) == [client]


def test_several_secrets_and_one_less(session: Session) -> None:
    client = create(session)
    soon = clock.now() + timedelta(days=1)
    clients.add_secret(session, client, "b" * 24, description="second", expires_at=soon)
    assert len(client.secrets) == 2
    clients.remove_secret(session, client, client.secrets[0].id)
    assert [row.description for row in client.secrets] == ["second"]
    with pytest.raises(NotFound):
        clients.remove_secret(session, client, 999)
    with pytest.raises(BadRequest):
        clients.add_secret(session, client, expires_at=clock.now())
    stranger = create(session, "stranger")
    with pytest.raises(NotFound):
        clients.remove_secret(session, stranger, client.secrets[0].id)


def test_an_update_checks_the_whole_and_is_seen_by_the_protocol(session: Session) -> None:
    client = create(
        session,
        settings={"application_type": "native"},
        grant_types=["authorization_code"],
        redirect_uris=["com.example.app:/cb"],
    )
    session.commit()
    assert snapshot.find(session, "app").access_token_lifetime == 3600
    with pytest.raises(BadRequest):
        clients.update(session, client, {"application_type": "web"})
    session.rollback()
    clients.update(session, client, {"access_token_lifetime": "120"})
    session.commit()
    assert snapshot.find(session, "app").access_token_lifetime == 120
    clients.update(session, client, {"enabled": False})
    session.commit()
    assert snapshot.find(session, "app") is None


def test_replacing_lists_keeps_the_rows_that_stay(session: Session) -> None:
    client = create(session, redirect_uris=["https://a.example/", "https://b.example/"])
    kept = client.redirect_uris[1].id
    clients.set_redirect_uris(session, client, ["https://b.example/", "https://c.example/"])
    session.flush()
    assert [row.redirect_uri for row in client.redirect_uris] == [
        "https://b.example/",
        "https://c.example/",
    ]
    assert client.redirect_uris[0].id == kept
    with pytest.raises(BadRequest):
        clients.set_redirect_uris(session, client, [f"https://{n}.example/" for n in range(201)])


def test_the_faster_of_two_gets_the_id(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    create(session)
    real, asked = rules.check_client_id, []

    def late(session: Session, client_id: str, tenant_id: int | None) -> str:
        asked.append(client_id)
        return client_id if len(asked) == 1 else real(session, client_id, tenant_id)

    monkeypatch.setattr(rules, "check_client_id", late)
    with pytest.raises(Conflict):
        create(session)


def test_owners_are_linked_once(session: Session) -> None:
    client = create(session, owner_id=1)
    clients.link_owner(session, client, 1)
    rows = session.scalars(select(ClientOwner).where(ClientOwner.client_id == client.id)).all()
    assert [row.user_id for row in rows] == [1]
    clients.delete(session, client)
    with pytest.raises(Problem):
        clients.get(session, "app")
