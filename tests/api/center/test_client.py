"""Module `client` of the Authorization Center."""

from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select

from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientOwner, ClientSecret
from idp.directory.roles.models import Privilege
from idp.oauth import access_tokens
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import center
from tests.conftest import IssuerClient

SECRET = "a secret that is long enough".replace(" ", "-")
NUL = b'{"clientId": "a\\u0000b"}'
OTHER = "another secret, long as well".replace(" ", "-").replace(",", "")
EVERYTHING = tuple(
    f"ids4.ms.client.{name}"
    for name in ("get", "put", "post", "detail", "delete", "issuetoken", "postsecretkey")
)


def web(**changes):
    """Describe a client with a bit of everything."""
    return {
        "clientId": "web",
        "clientName": "Web",
        "description": "The shop",
        "clientUri": "https://shop.example/",
        "logoUri": "https://shop.example/logo.png",
        "requireConsent": False,
        "allowOfflineAccess": True,
        "accessTokenLifetime": 600,
        "consentLifetime": 3600,
        "allowedGrantTypes": [{"grantType": "authorization_code"}],
        "redirectUris": [
            {"redirectUri": "https://shop.example/a"},
            {"redirectUri": "https://shop.example/b"},
        ],
        "postLogoutRedirectUris": [{"postLogoutRedirectUri": "https://shop.example/bye"}],
        "allowedScopes": [{"scope": "openid"}, {"scope": "profile"}],
        "allowedCorsOrigins": [{"origin": "https://shop.example"}],
        "claims": [{"type": "shop", "value": "7"}, {"type": "shop", "value": "8"}],
        "properties": [
            {"key": "team", "value": "sales"},
            {"key": "default_max_age", "value": "600"},
            {"key": "id_token_signed_response_alg", "value": "ES256"},
        ],
        "clientSecrets": [
            {"value": SECRET, "description": "first", "expiration": "2099-01-01T00:00:00.123Z"}
        ],
        **changes,
    }


def machine(client_id="robot", **changes):
    return {
        "clientId": client_id,
        "allowedGrantTypes": [{"grantType": "client_credentials"}],
        "allowedScopes": [{"scope": "orders.read"}],
        "clientSecrets": [{"value": SECRET}],
        **changes,
    }


def ask_token(client, client_id="robot", secret=SECRET):
    return client.post(
        "/connect/token",
        data={
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        },
    ).status_code


def add(caller, body=None):
    """Create a client and read it."""
    return read(caller, caller.data("POST", "/Client", body or web()))


def read(caller, row_id):
    return caller.data("GET", f"/Client/{row_id}")


def save(caller, body):
    assert caller.data("PUT", "/Client", body) == body["id"]
    return read(caller, body["id"])


def values(rows, name):
    return {row["id"]: row[name] for row in rows}


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


# Each operation done


def test_a_client_is_created_read_changed_and_deleted(root, session):
    row_id = root.data("POST", "/Client", web())
    shown = read(root, row_id)
    assert shown["id"] == row_id
    assert shown.items() >= {"clientName": "Web", "accessTokenLifetime": 600}.items()
    assert [row["scope"] for row in shown["allowedScopes"]] == ["openid", "profile"]
    owner = session.scalars(select(ClientOwner).where(ClientOwner.client_id == row_id)).one()
    assert owner.user_id == root.user.id
    assert session.get(Client, row_id).tenant_id is None  # made by an administrator
    assert save(root, {**shown, "clientName": "Shop"})["clientName"] == "Shop"
    assert root.data("DELETE", f"/Client/{row_id}") == row_id
    assert session.get(Client, row_id) is None
    assert root.misses("GET", f"/Client/{row_id}")
    assert root.misses("DELETE", f"/Client/{row_id}")


def test_the_contract_defaults_hold_for_what_is_absent(root):
    shown = add(root, {"clientId": "bare"})
    assert shown | {"id": 0, "concurrencyStamp": ""} == {
        "id": 0,
        "enabled": True,
        "clientId": "bare",
        "protocolType": "oidc",
        "requireClientSecret": True,
        "clientName": None,
        "description": None,
        "clientUri": None,
        "logoUri": None,
        "requireConsent": True,
        "allowRememberConsent": True,
        "alwaysIncludeUserClaimsInIdToken": False,
        "requirePkce": True,
        "allowPlainTextPkce": False,
        "allowAccessTokensViaBrowser": False,
        "frontChannelLogoutUri": None,
        "frontChannelLogoutSessionRequired": True,
        "backChannelLogoutUri": None,
        "backChannelLogoutSessionRequired": True,
        "allowOfflineAccess": False,
        "identityTokenLifetime": 300,
        "accessTokenLifetime": 3600,
        "authorizationCodeLifetime": 300,
        "consentLifetime": None,
        "absoluteRefreshTokenLifetime": 2592000,
        "slidingRefreshTokenLifetime": 1296000,
        "refreshTokenUsage": 1,
        "updateAccessTokenClaimsOnRefresh": True,
        "refreshTokenExpiration": 1,
        "accessTokenType": 0,
        "enableLocalLogin": True,
        "includeJwtId": True,
        "alwaysSendClientClaims": False,
        "clientClaimsPrefix": "client_",
        "pairWiseSubjectSalt": None,
        "concurrencyStamp": "",
        "clientSecrets": [],
        "allowedGrantTypes": [],
        "redirectUris": [],
        "postLogoutRedirectUris": [],
        "allowedScopes": [],
        "identityProviderRestrictions": [],
        "claims": [],
        "allowedCorsOrigins": [],
        "properties": [],
    }


def test_the_routes_without_the_prefix_are_the_same(root):
    shown = add(root)
    for prefix in ("/api", ""):
        answer = root.send("GET", f"/Client/{shown['id']}", prefix=prefix)
        assert answer.get_json()["data"] == shown
        # Section 14, 11: nobody keeps a copy.
        assert answer.headers["Cache-Control"] == "no-store"
        assert root.send("GET", "/client", prefix=prefix).status_code == 404


@pytest.mark.no_database
def test_codes_are_a_bare_empty_list_for_anybody(client, root):
    answer = client.get("/api/Client/Codes")
    assert (answer.status_code, answer.get_json()) == (200, [])


# Refused shapes


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"clientId": None}, "clientId"),
        ({"clientId": ""}, "clientId"),
        ({"clientId": "1234"}, "clientId"),
        ({"clientId": "a" * 201}, "clientId"),
        ({"clientId": "tool"}, "clientId"),
        ({"enabled": "true"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"enabled": None}, "enabled"),
        ({"accessTokenLifetime": "60"}, "accessTokenLifetime"),
        ({"accessTokenLifetime": 60.5}, "accessTokenLifetime"),
        ({"accessTokenLifetime": 2**31}, "accessTokenLifetime"),
        ({"accessTokenLifetime": 10**40}, "accessTokenLifetime"),
        ({"accessTokenLifetime": 0}, "accessTokenLifetime"),
        ({"refreshTokenUsage": 2}, "refreshTokenUsage"),
        ({"clientName": "a\nb\x1b"}, "clientName"),
        ({"description": "x" * 1001}, "description"),
        ({"logoUri": "javascript:alert(1)"}, "logoUri"),
        ({"redirectUris": {"redirectUri": "https://shop.example/"}}, "redirectUris"),
        ({"redirectUris": ["https://shop.example/"]}, "redirectUris[0]"),
        ({"redirectUris": [{"id": 0}]}, "redirectUris[0].redirectUri"),
        ({"redirectUris": [{"redirectUri": "https://*.example/"}]}, "redirectUris"),
        ({"redirectUris": [{"id": 5, "redirectUri": "https://a.example/"}]}, "redirectUris[0].id"),
        ({"redirectUris": [{"id": -1, "redirectUri": "https://a.example/"}]}, "redirectUris[0].id"),
        (
            {"redirectUris": [{"redirectUri": f"https://a.example/{n}"} for n in range(10_000)]},
            "redirectUris",
        ),
        (
            {"postLogoutRedirectUris": [{"postLogoutRedirectUri": "http://shop.example/"}]},
            "postLogoutRedirectUris",
        ),
        ({"redirectUris": []}, "redirectUris"),
        ({"allowedScopes": [{"scope": "no.such.scope"}]}, "allowedScopes"),
        ({"allowedScopes": [{"scope": "openid"}, {"scope": "openid"}]}, "allowedScopes[1].scope"),
        ({"allowedGrantTypes": [{"grantType": "implicit"}]}, "allowedGrantTypes"),
        ({"allowedGrantTypes": [{"grantType": "password"}]}, "allowedGrantTypes"),
        ({"allowedCorsOrigins": [{"origin": "https://shop.example/"}]}, "allowedCorsOrigins"),
        ({"claims": [{"type": "", "value": "x"}]}, "claims[0].type"),
        ({"clientClaimsPrefix": "", "claims": [{"type": "sub", "value": "1"}]}, "claims[0].type"),
        (
            {"clientClaimsPrefix": None, "claims": [{"type": "role", "value": "x"}]},
            "claims[0].type",
        ),
        (
            {"clientClaimsPrefix": "Perm", "claims": [{"type": "Ission", "value": "x"}]},
            "claims[0].type",
        ),
        ({"clientSecrets": [{"value": "short"}]}, "clientSecrets[0].value"),
        ({"clientSecrets": [{"value": "***"}]}, "clientSecrets[0].value"),
        ({"clientSecrets": [{"description": "x"}]}, "clientSecrets[0].value"),
        ({"clientSecrets": [{"value": SECRET, "type": "X509"}]}, "clientSecrets[0].type"),
        (
            {"clientSecrets": [{"value": SECRET, "expiration": "soon"}]},
            "clientSecrets[0].expiration",
        ),
        (
            {"clientSecrets": [{"value": SECRET, "expiration": "2000-01-01T00:00:00Z"}]},
            "clientSecrets[0].expiration",
        ),
        ({"clientSecrets": [{"id": 1, "value": SECRET}]}, "clientSecrets[0].id"),
        ({"requireClientSecret": False}, "clientSecrets[0].value"),
        ({"properties": [{"key": "", "value": "x"}]}, "properties[0].key"),
        ({"properties": [{"key": "a", "value": "x" * 2001}]}, "properties[0].value"),
        (
            {"properties": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            "properties[1].key",
        ),
        ({"properties": [{"key": "jwks", "value": "{"}]}, "properties[0].value"),
        ({"properties": [{"key": "application_type", "value": "tv"}]}, "properties[0].value"),
        (
            {"properties": [{"key": "token_endpoint_auth_method", "value": "private_key_jwt"}]},
            "properties",
        ),
        (
            {"properties": [{"key": "dpop_bound_access_tokens", "value": "yes"}]},
            "properties[0].value",
        ),
        ({"properties": [{"key": "client_name", "value": "x"}]}, "properties[0].key"),
        ({"concurrencyStamp": 7}, "concurrencyStamp"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_wrong_members_are_named_as_they_were_sent(root, session, wrong, field):
    before = session.scalar(select(func.count()).select_from(Client))
    refused = root.refused("POST", "/Client", web(**wrong))
    assert list(refused) == [field]
    assert all(isinstance(text, str) for text in refused[field])
    assert session.scalar(select(func.count()).select_from(Client)) == before


@pytest.mark.no_database
def test_what_is_no_client_at_all_is_refused(root):
    for body in (b"[]", b"7", b"null", b'"x"'):
        assert list(root.refused("POST", "/Client", body)) == ["body"]
    for body in (b"", b"{", b"clientId=web", b'{"clientId": "\\ud800"}', b"\xff", NUL):
        answer = root.send("POST", "/Client", body)
        assert answer.status_code == 400
        assert answer.content_type == "application/problem+json"
    answer = root.send("GET", "/Client", **{"q.ClientID": "a\x00"})
    assert answer.status_code == 400


@pytest.mark.no_database
def test_ids_beyond_all_numbers_are_not_found(root):
    for row_id in (0, 2**31, 2**63, 10**40):
        assert root.misses("GET", f"/Client/{row_id}")
        assert root.misses("DELETE", f"/Client/{row_id}")
        assert root.misses("POST", f"/Client/{row_id}/Secretkey", {})
    assert root.misses("PUT", "/Client", web())
    assert list(root.refused("PUT", "/Client", web(id=2**31))) == ["id"]


# Gates and reach


OPERATIONS = {
    "get": ("GET", "/Client", None),
    "post": ("POST", "/Client", machine()),
    "put": ("PUT", "/Client", machine()),
    "detail": ("GET", "/Client/{id}", None),
    "delete": ("DELETE", "/Client/{id}", None),
    "postsecretkey": ("POST", "/Client/{id}/Secretkey", {}),
    "issuetoken": ("POST", "/Client/IssueToken", {}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_its_gates(client, session, name):
    protocol.add_api(session)
    method, path, body = OPERATIONS[name]
    path = path.format(id=1)
    code = f"ids4.ms.client.{name}"
    assert client.open(f"/api{path}", method=method, json=body).status_code == 401
    assert (
        client.open(f"/api{path}", method=method, json=body, headers=protocol.bearer("x.y.z"))
        .headers["WWW-Authenticate"]
        .startswith("Bearer")
    )
    others = [f"ids4.ms.client.{other}" for other in OPERATIONS if other != name]
    narrow = center.manager(client, session, code, username="narrow", scopes=others)
    assert narrow.send(method, path, body).status_code == 403
    poor = center.manager(client, session, *others, username="poor", scopes=[code])
    assert poor.send(method, path, body).status_code == 403
    right = center.manager(client, session, code, username="right", scopes=[code])
    assert right.send(method, path, body).status_code == 200
    app = protocol.register_machine(session, scopes=["ids4.ms.all"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    refused = client.open(f"/api{path}", method=method, json=body, headers=protocol.bearer(token))
    assert refused.status_code == 403


def test_only_linked_clients_of_the_own_tenant_are_in_reach(client, session, root):
    # Section 14, 2: without any link the old system showed and changed everything.
    other_tenant = protocol.add_tenant(session, "Other")
    mary = center.manager(client, session, *EVERYTHING)
    john = center.manager(client, session, *EVERYTHING, username="john")
    away = center.manager(client, session, *EVERYTHING, username="away", tenant_id=other_tenant)
    platform = add(root, {"clientId": "platform"})
    hers = add(mary, {"clientId": "hers"})
    theirs = add(away, {"clientId": "theirs"})
    assert session.get(Client, hers["id"]).tenant_id == 1
    assert session.get(Client, theirs["id"]).tenant_id == other_tenant
    # Mary is linked to a client of another tenant and of the platform: that is not enough.
    for row in (theirs, platform):
        clients.link_owner(session, session.get(Client, row["id"]), mary.user.id)
    session.commit()
    for caller, own in ((mary, [hers]), (john, []), (away, [theirs])):
        listed = caller.call("GET", "/Client")
        assert (listed["total"], listed["data"]) == (len(own), own)
        for row in (platform, hers, theirs):
            if row in own:
                assert read(caller, row["id"]) == row
                continue
            before = center.whole_database(session)
            assert caller.misses("GET", f"/Client/{row['id']}")
            assert caller.misses("PUT", "/Client", row)
            assert caller.misses("DELETE", f"/Client/{row['id']}")
            assert caller.misses("POST", f"/Client/{row['id']}/Secretkey", {})
            assert center.whole_database(session) == before
    everything = root.call("GET", "/Client", take=100)["data"]
    assert {row["id"] for row in everything} >= {platform["id"], hers["id"], theirs["id"]}


def test_nobody_makes_a_machine_that_may_do_more(client, session):
    protocol.add_api(session)
    mary = center.manager(client, session, *EVERYTHING)
    for scope in ("ids4.ms.us.all", "ids4.ms.all", "ids4.ms.user.get"):
        body = machine(allowedScopes=[{"scope": scope}])
        assert list(mary.refused("POST", "/Client", body)) == ["allowedScopes"]
        # Nor in two steps: the scope for people first, then the grant.
        people = add(mary, {**body, "allowedGrantTypes": [], "clientId": scope.replace(".", "-")})
        body = {**people, "allowedGrantTypes": machine()["allowedGrantTypes"]}
        assert list(mary.refused("PUT", "/Client", body)) == ["allowedScopes"]
    body = machine(allowedScopes=[{"scope": "orders.read"}, {"scope": "ids4.ms.client.get"}])
    assert add(mary, body)["allowedScopes"][1]["scope"] == "ids4.ms.client.get"


def test_a_code_of_no_api_makes_no_machine_of_the_platform(client, session):
    session.add(Privilege(code="ids4.all", name="x"))
    mary = center.manager(client, session, *EVERYTHING, "ids4.all")
    body = machine(allowedScopes=[{"scope": "ids4.ms.us.all"}])
    assert list(mary.refused("POST", "/Client", body)) == ["allowedScopes"]


def test_who_asks_nobody_for_consent_has_what_his_maker_has(client, session):
    """Otherwise a link, clicked by a person who may more, would give their rights away."""
    mary = center.manager(client, session, *EVERYTHING)
    scopes = [{"scope": "openid"}, {"scope": "ids4.ms.user.get"}]
    silent = web(allowedScopes=scopes, requireConsent=False)
    assert list(mary.refused("POST", "/Client", silent)) == ["allowedScopes"]
    asking = add(mary, {**silent, "requireConsent": True})
    body = {**asking, "requireConsent": False}
    assert list(mary.refused("PUT", "/Client", body)) == ["allowedScopes"]
    held = [{"scope": "openid"}, {"scope": "ids4.ms.client.get"}]
    save(mary, {**body, "allowedScopes": held})


def test_a_tenants_client_reaches_no_scope_of_another_tenant(client, session, root):
    other = protocol.add_tenant(session, "Other")
    protocol.add_api(session, "theirs", ["theirs.read"], tenant_id=other)
    mary = center.manager(client, session, *EVERYTHING)
    body = machine(allowedScopes=[{"scope": "theirs.read"}])
    for caller in (mary, root):
        assert list(caller.refused("POST", "/Client", body)) == ["allowedScopes"]


# PUT


def test_putting_back_what_was_read_changes_nothing(root, session):
    for body in (
        web(),
        {"clientId": "bare"},
        web(
            clientId="spa",
            requireClientSecret=False,
            clientSecrets=[],
            allowOfflineAccess=False,
            properties=[{"key": "token_endpoint_auth_method", "value": "none"}],
        ),
    ):
        shown = add(root, body)
        before = center.whole_database(session)
        save(root, shown)
        save(root, {key: value for key, value in shown.items() if key != "concurrencyStamp"})
        assert center.whole_database(session) == before


def test_putting_back_a_client_of_the_command_line_changes_nothing(root, session):
    keys = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "' + "A" * 43 + '"}]}'
    app = protocol.register(
        session,
        "cli",
        scopes=("openid",),
        token_endpoint_auth_method="private_key_jwt",
        jwks=keys,
        strict_assertion_audience=True,
        default_max_age=0,
    )
    before = center.whole_database(session)
    save(root, read(root, app.row_id))
    assert center.whole_database(session) == before


def test_scalars_are_replaced_missing_lists_stay_and_empty_ones_are_cleared(root):
    shown = add(root)
    kept = save(root, {"id": shown["id"], "clientId": "web", "allowOfflineAccess": True})
    lists = [name for name, value in shown.items() if isinstance(value, list)]
    assert {name: kept[name] for name in lists} == {name: shown[name] for name in lists}
    # Absent scalars have their default again.
    assert (kept["clientName"], kept["accessTokenLifetime"], kept["requireConsent"]) == (
        None,
        3600,
        True,
    )
    same = save(root, {**kept, **dict.fromkeys(lists)})
    assert {name: same[name] for name in lists} == {name: shown[name] for name in lists}
    cleared = save(root, {**same, **{name: [] for name in lists}})
    assert all(cleared[name] == [] for name in lists)


def test_rows_are_changed_by_id_added_and_removed(root):
    shown = add(root)
    first, second = (row["id"] for row in shown["redirectUris"])
    rows = [
        {"id": second, "redirectUri": "https://shop.example/changed"},
        {"redirectUri": "https://shop.example/new"},
    ]
    changed = values(save(root, {**shown, "redirectUris": rows})["redirectUris"], "redirectUri")
    assert changed.pop(second) == "https://shop.example/changed"
    assert first not in changed
    [(added, uri)] = changed.items()
    assert uri == "https://shop.example/new"
    assert added not in {first, second}


def test_rows_may_exchange_and_take_over_their_values(root):
    shown = add(root)
    first, second = (row["id"] for row in shown["redirectUris"])
    one, two = (row["redirectUri"] for row in shown["redirectUris"])
    swapped = save(
        root,
        {
            **shown,
            "redirectUris": [
                {"id": first, "redirectUri": two},
                {"id": second, "redirectUri": one},
            ],
        },
    )
    assert values(swapped["redirectUris"], "redirectUri") == {first: two, second: one}
    # A removed row's value goes to another one, and a changed row's value to a new one.
    moved = save(
        root,
        {
            **swapped,
            "redirectUris": [{"id": first, "redirectUri": one}, {"id": 0, "redirectUri": two}],
        },
    )
    uris = values(moved["redirectUris"], "redirectUri")
    assert uris.pop(first) == one
    assert list(uris.values()) == [two]
    # Rows without ids find the rows that are there.
    rows = [{"redirectUri": row["redirectUri"]} for row in moved["redirectUris"]]
    same = save(
        root, {**moved, "redirectUris": rows, "properties": [{"key": "team", "value": "x"}]}
    )
    assert same["redirectUris"] == moved["redirectUris"]
    assert same["properties"] == [{**moved["properties"][0], "value": "x"}]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("clientSecrets", "description"),
        ("allowedGrantTypes", "grantType"),
        ("redirectUris", "redirectUri"),
        ("postLogoutRedirectUris", "postLogoutRedirectUri"),
        ("allowedScopes", "scope"),
        ("allowedCorsOrigins", "origin"),
        ("claims", "value"),
        ("properties", "value"),
    ],
)
def test_rows_of_another_client_are_out_of_reach(root, session, name, column):
    # Section 14, 4, and row 41 of the attacks: children are addressed within their parent.
    victim = add(root)
    mine = add(root, web(clientId="mine"))
    stolen = {**mine[name][0], "id": victim[name][0]["id"]}
    before = center.whole_database(session)
    for rows in ([stolen], [*mine[name], stolen], [mine[name][0], mine[name][0]]):
        refused = root.refused("PUT", "/Client", {**mine, name: rows})
        assert list(refused) == [f"{name}[{len(rows) - 1}].id"]
    assert center.whole_database(session) == before
    assert read(root, victim["id"])[name][0][column] == victim[name][0][column]


def test_the_address_of_an_issuer_is_no_client_id(client, session, root):
    """What names a client is the audience of its ID tokens."""
    protocol.add_tenant(session, hosts=["login.acme.example"])
    made = add(root)
    for name in ("http://127.0.0.1:8000", "http://127.0.0.1:8000/", "https://login.acme.example"):
        assert list(root.refused("POST", "/Client", web(clientId=name))) == ["clientId"]
        assert list(root.refused("PUT", "/Client", {**made, "clientId": name})) == ["clientId"]


def test_an_address_as_client_id_is_for_the_platform_alone(client, session, root):
    address = "https://shop.example/client"
    mary = center.manager(client, session, "ids4.ms.client.all", "orders.read")
    assert list(mary.refused("POST", "/Client", web(clientId=address))) == ["clientId"]
    hers = mary.data("GET", f"/Client/{mary.data('POST', '/Client', web())}")
    assert list(mary.refused("PUT", "/Client", {**hers, "clientId": address})) == ["clientId"]
    # Nor can an administrator name the client of a tenant so.
    assert list(root.refused("PUT", "/Client", {**hers, "clientId": address})) == ["clientId"]
    assert (
        save(root, {**add(root, web(clientId="ours")), "clientId": address})["clientId"] == address
    )


def test_refresh_tokens_of_a_public_client_are_used_once(root):
    public = {"requireClientSecret": False, "clientSecrets": [], "refreshTokenUsage": 0}
    assert list(root.refused("POST", "/Client", web(**public))) == ["refreshTokenUsage"]
    shown = add(root, web(refreshTokenUsage=0))
    wrong = {**shown, "requireClientSecret": False, "clientSecrets": []}
    assert list(root.refused("PUT", "/Client", wrong)) == ["refreshTokenUsage"]
    assert save(root, {**wrong, "refreshTokenUsage": 1})["refreshTokenUsage"] == 1


def test_a_client_may_be_renamed_to_a_free_id(root, session, client):
    protocol.add_api(session)
    shown = add(root, machine())
    add(root, {"clientId": "taken"})
    for taken in ("taken", "ids4.ms", "tool"):
        assert list(root.refused("PUT", "/Client", {**shown, "clientId": taken})) == ["clientId"]
    assert ask_token(client) == 200
    save(root, {**shown, "clientId": "renamed"})
    assert (ask_token(client), ask_token(client, "renamed")) == (401, 200)


def test_refresh_tokens_follow_offline_access(root):
    shown = add(root)
    grants = [row["grantType"] for row in shown["allowedGrantTypes"]]
    assert grants == ["authorization_code", "refresh_token"]
    online = save(root, {**shown, "allowOfflineAccess": False, "allowedGrantTypes": None})
    assert [row["grantType"] for row in online["allowedGrantTypes"]] == ["authorization_code"]
    contradiction = {**online, "allowedGrantTypes": shown["allowedGrantTypes"][:1]}
    contradiction["allowedGrantTypes"] = [
        *online["allowedGrantTypes"],
        {"grantType": "refresh_token"},
    ]
    assert list(root.refused("PUT", "/Client", contradiction)) == ["allowedGrantTypes"]
    offline = save(root, {**online, "allowOfflineAccess": True, "allowedGrantTypes": None})
    assert [row["grantType"] for row in offline["allowedGrantTypes"]] == grants


def test_settings_of_rfc_7591_are_properties(root, session):
    shown = add(root)
    assert [(row["key"], row["value"]) for row in shown["properties"]] == [
        ("team", "sales"),
        ("default_max_age", "600"),
        ("id_token_signed_response_alg", "ES256"),
    ]
    row = session.get(Client, shown["id"])
    assert (row.default_max_age, row.id_token_signed_response_alg) == (600, "ES256")
    assert [item.key for item in row.properties] == ["team"]
    keys = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "' + "A" * 43 + '"}]}'
    properties = [
        {"key": "token_endpoint_auth_method", "value": "private_key_jwt"},
        {"key": "jwks", "value": keys},
        {"key": "strict_assertion_audience", "value": "true"},
    ]
    changed = save(root, {**shown, "properties": properties})
    again = {item["key"]: item["value"] for item in changed["properties"]}
    assert json.loads(again.pop("jwks")) == json.loads(keys)
    assert again == {item["key"]: item["value"] for item in properties if item["key"] != "jwks"}
    session.refresh(row)
    assert row.jwks["keys"][0]["crv"] == "Ed25519"
    assert (row.strict_assertion_audience, row.default_max_age) == (True, None)
    assert row.id_token_signed_response_alg is None
    # It signs in by its keys now: nobody gives it a secret.
    assert list(root.refused("POST", f"/Client/{shown['id']}/Secretkey", {})) == ["plaintext"]


def test_a_client_gives_people_no_more_than_its_manager_may(client, session, root):
    app = add(root)
    listed = {"key": "grantable_privileges", "value": "orders.write, orders.read"}
    changed = save(root, {**app, "properties": [listed]})
    assert [(row["key"], row["value"]) for row in changed["properties"]] == [
        ("grantable_privileges", '["orders.read", "orders.write"]')
    ]
    assert save(root, changed)["concurrencyStamp"] == changed["concurrencyStamp"]
    assert session.get(Client, app["id"]).grantable_privileges == ["orders.read", "orders.write"]
    assert save(root, {**changed, "properties": []})["properties"] == []

    session.add_all(Privilege(code=code, name="x") for code in ("orders.read", "orders.write"))
    session.commit()
    mary = center.manager(client, session, "ids4.ms.client.all", "orders.read")
    for value in ("orders.write", "orders.read,orders.write", "ids4.ms.all", "no.such"):
        body = web(clientId="hers", properties=[{**listed, "value": value}])
        assert list(mary.refused("POST", "/Client", body)) == ["properties"]
    hers = mary.data(
        "POST", "/Client", {**body, "properties": [{**listed, "value": "orders.read"}]}
    )
    shown = mary.data("GET", f"/Client/{hers}")
    wider = {**shown, "properties": [{**listed, "value": "orders.read,orders.write"}]}
    assert list(mary.refused("PUT", "/Client", wider)) == ["properties"]
    root.data("PUT", "/Client", wider)
    # What is there already is not given again.
    shown = mary.data("GET", f"/Client/{hers}")
    mary.data("PUT", "/Client", {**shown, "clientName": "Hers"})


# Secrets


def test_secrets_are_hashed_and_never_given_back(root, session, runtime, client):
    # Section 14: stored as sent, and read by everybody; here neither.
    protocol.add_api(session)
    shown = add(root, machine())
    stored = session.scalars(
        select(ClientSecret.value_hash).where(ClientSecret.client_id == shown["id"])
    ).one()
    assert runtime.keyring.mac_matches("client secret", SECRET, stored)
    assert SECRET not in repr(center.whole_database(session))
    for answer in (
        root.send("GET", f"/Client/{shown['id']}"),
        root.send("GET", "/Client", take=100),
        root.send("PUT", "/Client", shown),
    ):
        text = answer.get_data(as_text=True)
        assert SECRET not in text
        assert stored not in text
        assert stored.partition(".")[2] not in text
    assert shown["clientSecrets"][0]["value"] == "***"
    assert ask_token(client) == 200


def test_a_secret_keeps_its_value_while_it_is_described_again(root, session, client):
    protocol.add_api(session)
    shown = add(root, machine())
    [secret] = shown["clientSecrets"]
    for value in ("***", None):
        described = {**secret, "value": value, "description": "new", "expiration": None}
        changed = save(root, {**shown, "clientSecrets": [described], "concurrencyStamp": None})
        assert changed["clientSecrets"][0]["description"] == "new"
        assert ask_token(client) == 200
    described.pop("value")
    last_day = {**described, "expiration": "2099-01-31"}
    changed = save(root, {**shown, "clientSecrets": [last_day], "concurrencyStamp": None})
    assert changed["clientSecrets"][0]["expiration"] == "2099-02-01T00:00:00Z"
    over = {**described, "expiration": datetime.now(UTC).isoformat()}
    save(root, {**shown, "clientSecrets": [over], "concurrencyStamp": None})
    assert ask_token(client) == 401
    after = read(root, shown["id"])
    assert save(root, after) == after  # an expired secret may stay where it is


def test_a_new_value_takes_the_place_of_the_old(root, session, client):
    protocol.add_api(session)
    shown = add(root, machine())
    [secret] = shown["clientSecrets"]
    two = save(root, {**shown, "clientSecrets": [secret, {"value": OTHER}]})
    assert (ask_token(client), ask_token(client, secret=OTHER)) == (200, 200)
    replaced = [{**secret, "value": OTHER}]
    one = save(root, {**two, "clientSecrets": replaced})
    assert [row["id"] for row in one["clientSecrets"]] == [secret["id"]]
    assert (ask_token(client), ask_token(client, secret=OTHER)) == (401, 200)
    save(root, {**one, "clientSecrets": []})
    assert ask_token(client, secret=OTHER) == 401


@pytest.mark.no_database
@pytest.mark.parametrize("hashing", [hashlib.sha256, hashlib.sha512])
def test_a_digest_is_no_secret(root, hashing):
    digest = base64.b64encode(hashing(SECRET.encode()).digest()).decode()
    shown = add(root)
    refused = root.refused("PUT", "/Client", {**shown, "clientSecrets": [{"value": digest}]})
    assert "digest" in refused["clientSecrets[0].value"][0]
    secret = {**shown["clientSecrets"][0], "value": digest}
    assert list(root.refused("PUT", "/Client", {**shown, "clientSecrets": [secret]})) == [
        "clientSecrets[0].value"
    ]


def test_secrets_are_issued_side_by_side_and_shown_once(root, session, client):
    protocol.add_api(session)
    shown = add(root, machine())
    path = f"/Client/{shown['id']}/Secretkey"
    made = root.data("POST", path, {"description": "next", "expiration": "2099-01-01T00:00:00Z"})
    assert len(made) >= 43
    chosen = root.data("POST", path, {"keyType": 0, "plaintext": OTHER})
    assert chosen == OTHER
    assert root.data("POST", path, {"keyType": 1, "plaintext": ""}) not in {made, OTHER}
    assert [ask_token(client, secret=value) for value in (SECRET, made, OTHER)] == [200] * 3
    secrets = read(root, shown["id"])["clientSecrets"]
    assert [row["description"] for row in secrets] == [None, "next", None, None]
    assert secrets[1]["expiration"] == "2099-01-01T00:00:00Z"
    kept = [row for row in secrets if row["id"] != shown["clientSecrets"][0]["id"]]
    save(root, {**read(root, shown["id"]), "clientSecrets": kept})
    assert [ask_token(client, secret=value) for value in (SECRET, made, OTHER)] == [401, 200, 200]
    assert made not in repr(center.whole_database(session))


@pytest.mark.no_database
def test_bad_secrets_are_refused(root):
    shown = add(root)
    path = f"/Client/{shown['id']}/Secretkey"
    for body, field in (
        ({"plaintext": "a" * 23}, "plaintext"),
        ({"plaintext": "é" * 30}, "plaintext"),
        ({"plaintext": 7}, "plaintext"),
        ({"keyType": 2}, "keyType"),
        ({"keyType": "1"}, "keyType"),
        ({"expiration": "2000-01-01T00:00:00Z"}, "expiration"),
        ({"expiration": 5}, "expiration"),
        ({"description": "x" * 2001}, "description"),
    ):
        assert list(root.refused("POST", path, body)) == [field]
    public = add(
        root, web(clientId="spa", requireClientSecret=False, clientSecrets=[], properties=[])
    )
    assert list(root.refused("POST", f"/Client/{public['id']}/Secretkey", {})) == ["plaintext"]


# A change is seen


def test_a_changed_client_works_and_stops_working_at_once(root, session, client):
    protocol.add_api(session)
    shown = add(root, machine())
    assert ask_token(client) == 200
    off = save(root, {**shown, "enabled": False})
    assert ask_token(client) == 401
    on = save(root, {**off, "enabled": True})
    assert ask_token(client) == 200
    save(root, {**on, "allowedGrantTypes": []})
    assert ask_token(client) == 400
    root.data("DELETE", f"/Client/{shown['id']}")
    assert ask_token(client) == 401


def test_a_deleted_client_takes_its_tokens_along(root, session, client):
    protocol.add_api(session)
    web_app = protocol.register(session, scopes=("openid",))
    protocol.sign_in(client, session, protocol.add_person(session))
    token = protocol.obtain(client, web_app).access
    assert client.get("/connect/userinfo", headers=protocol.bearer(token)).status_code == 200
    # Section 14, 17: the old system failed after the deletion.
    assert root.data("DELETE", f"/Client/{web_app.row_id}") == web_app.row_id
    assert client.get("/connect/userinfo", headers=protocol.bearer(token)).status_code == 401


# Two administrators


def test_who_read_an_older_state_does_not_overwrite(client, session, root):
    second = center.administrator(client, session, "second")
    shown = add(root)
    theirs = {
        **shown,
        "redirectUris": [*shown["redirectUris"], {"redirectUri": "https://x.example/"}],
    }
    save(second, theirs)
    before = center.whole_database(session)
    refused = root.refused("PUT", "/Client", {**shown, "clientName": "Mine"})
    assert list(refused) == ["concurrencyStamp"]
    assert center.whole_database(session) == before
    # A secret that came meanwhile counts as well.
    again = read(root, shown["id"])
    second.data("POST", f"/Client/{shown['id']}/Secretkey", {})
    assert list(root.refused("PUT", "/Client", again)) == ["concurrencyStamp"]
    # Without a stamp the last one wins, also over rows that it does not list.
    last = save(root, {**shown, "concurrencyStamp": None})
    assert last["redirectUris"] == shown["redirectUris"]


def test_of_many_writers_at_once_one_wins(app, session, root):
    shown = add(root)
    start = Barrier(4)

    def put(number):
        # A browser of its own: none shares the session of the test.
        browser = IssuerClient(app, root.browser.base_url, None)
        caller = center.Caller(browser, root.user, root.token)
        rows = [*shown["redirectUris"], {"redirectUri": f"https://x.example/{number}"}]
        start.wait()
        return caller.call("PUT", "/Client", {**shown, "redirectUris": rows})["code"]

    session.commit()
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(put, range(4)))
    assert codes == [200, 422, 422, 422]
    assert len(read(root, shown["id"])["redirectUris"]) == 3


# Lists


def test_the_list_filters_exactly_sorts_and_pages(root):
    for number, name in enumerate(("b", "a", "A", "c%")):
        add(root, {"clientId": f"id-{name[0]}{number}", "clientName": name})
    everything = root.call("GET", "/Client")
    assert (everything["take"], everything["skip"]) == (10, 0)
    assert everything["total"] == len(everything["data"]) >= 5
    assert [row["id"] for row in everything["data"]] == sorted(r["id"] for r in everything["data"])
    for query, names in (
        ({"q.ClientID": "id-a1"}, ["a"]),
        ({"q.ClientID": "ID-a1"}, []),
        ({"q.ClientID": "id-%"}, []),
        ({"q.ClientName": "a"}, ["a"]),
        ({"q.ClientName": "c%"}, ["c%"]),
        ({"q.ClientName": "a", "q.ClientID": "id-b0"}, []),
        ({"orderby": "clientId", "take": 2}, ["Tool", "c%"]),
        ({"orderby": "ClientId", "asc": "true", "take": 2, "skip": 2}, ["a", "b"]),
        ({"skip": 100}, []),
    ):
        found = root.call("GET", "/Client", **query)
        assert [row["clientName"] for row in found["data"]] == names, query
    for query in (
        {"orderby": "nothing"},
        {"orderby": "clientSecrets"},
        {"orderby": "__class__"},
        {"orderby": "id; DROP TABLE client"},
        {"take": "0"},
        {"take": "2001"},
        {"skip": "-1"},
        {"skip": "x"},
        {"asc": "maybe"},
        {"startTime": "yesterday"},
    ):
        refused = root.call("GET", "/Client", **query)
        # Section 14, 21: the code's name says the same as the code.
        assert (refused["code"], refused["codeName"]) == (422, "UnprocessableEntity"), query
        assert (refused["data"], refused["total"]) == ([], 0)


def test_a_list_asks_as_much_for_many_rows_as_for_one(root, session, runtime):
    for number in range(50):
        described = web(clientId=f"web-{number}")
        root.data("POST", "/Client", described)
    counts = []
    for take in (1, 1, 50):
        with center.statements(runtime.engine) as sent:
            assert len(root.call("GET", "/Client", take=take)["data"]) == take
        counts.append(len(sent))
    # The first one also filled the cache.
    assert counts[1] == counts[2] < 20, sent


def test_saving_asks_as_much_for_many_rows_as_for_few(root, runtime):
    few = add(root)
    many = [{"redirectUri": f"https://shop.example/{number}"} for number in range(100)]
    big = add(root, web(clientId="big", redirectUris=many))
    counts = []
    for row in (few, few, big):
        with center.statements(runtime.engine) as sent:
            assert root.data("PUT", "/Client", row) == row["id"]
        counts.append(len(sent))
    assert counts[1] == counts[2] < 30, sent


# A fresh token


def test_a_fresh_token_is_no_wider_and_lives_no_longer(client, session, root):
    token = center.token_for(session, root.user, ["openid", "ids4.ms.client.all"])
    caller = center.Caller(client, root.user, token)
    old = protocol.payload(token)
    fresh = protocol.payload(caller.data("POST", "/Client/IssueToken", {"lifetime": 60}))
    assert fresh["exp"] - fresh["iat"] == 60
    assert fresh["jti"] != old["jti"]
    for name in ("iss", "sub", "client_id", "aud", "tenant", "role", "permission", "sid", "acr"):
        assert fresh[name] == old[name], name
    assert set(fresh["scope"].split()) == set(old["scope"].split())
    # Section 14, 8: no lifetime goes beyond that of the token that was shown.
    for lifetime in (0, -1, 3600, 2**31 - 1, None):
        body = {} if lifetime is None else {"lifetime": lifetime}
        assert (
            protocol.payload(caller.data("POST", "/Client/IssueToken", body))["exp"] <= old["exp"]
        )
    for wrong in ("60", 2**31, 1.5, True):
        assert list(caller.refused("POST", "/Client/IssueToken", {"lifetime": wrong})) == [
            "lifetime"
        ]


def test_a_fresh_token_is_for_the_same_audience(client, session, root):
    app = protocol.register(session, "narrow", scopes=("openid", "ids4.ms.client.all"))
    protocol.sign_in(client, session, root.user)
    token = protocol.obtain(client, app, "openid ids4.ms.client.all", resource="ids4.ms").access
    fresh = center.Caller(client, root.user, token).data("POST", "/Client/IssueToken", {})
    assert protocol.payload(fresh)["aud"] == protocol.payload(token)["aud"] == "ids4.ms"


def test_a_chain_of_fresh_tokens_ends_with_the_first(client, session, root, clock):
    token = center.token_for(session, root.user)
    end = protocol.payload(token)["exp"]
    for _ in range(3):
        clock.shift(200)
        token = center.Caller(client, root.user, token).data("POST", "/Client/IssueToken", {})
        assert protocol.payload(token)["exp"] == end
    clock.shift(301)
    assert center.Caller(client, root.user, token).send("GET", "/Client").status_code == 401


def test_a_fresh_token_dies_with_its_grant(client, session, root):
    token = root.data("POST", "/Client/IssueToken", {})
    fresh = center.Caller(client, root.user, token)
    assert fresh.send("GET", "/Client").status_code == 200
    grant_id = access_tokens.grant_id_of(session.info["runtime"], protocol.payload(token))
    access_tokens.revoke_grant(session, grant_id, "test")
    assert fresh.send("GET", "/Client").status_code == 401


def test_fresh_tokens_of_a_client_with_reference_tokens_are_references(client, session, root):
    shown = root.call("GET", "/Client", **{"q.ClientID": "tool"})["data"][0]
    save(root, {**shown, "accessTokenType": 1})
    token = root.data("POST", "/Client/IssueToken", {"lifetime": 60})
    assert token.count(".") == 0
    assert center.Caller(client, root.user, token).send("GET", "/Client").status_code == 200


# The trail


def test_every_change_is_in_the_audit_trail(client, session, root):
    shown = add(root)
    changed = {
        **shown,
        "clientName": "Shop",
        "refreshTokenUsage": 0,
        "requirePkce": False,
        "redirectUris": shown["redirectUris"][:1],
        "properties": [{"key": "team", "value": "a-private-value"}],
        "clientSecrets": [{"value": OTHER}],
    }
    save(root, changed)
    made = root.data("POST", f"/Client/{shown['id']}/Secretkey", {})
    root.data("POST", "/Client/IssueToken", {})
    root.data("DELETE", f"/Client/{shown['id']}")
    events = session.scalars(
        select(AuditEvent).where(AuditEvent.user_id == root.user.id).order_by(AuditEvent.id)
    ).all()
    assert [event.tag for event in events] == [
        "admin:client:created",
        "admin:client:changed",
        "admin:client-secret:added",
        "admin:client-secret:removed",
        "admin:client-secret:added",
        "client:token:issued",
        "admin:client:deleted",
    ]
    assert {event.client_id for event in events} == {"tool"}
    assert {event.remote_addr for event in events} == {"127.0.0.1"}
    changes = {change["field"]: change for change in events[1].details["changes"]}
    assert changes["client_name"] == {"field": "client_name", "before": "Web", "after": "Shop"}
    assert changes["redirect_uris"]["removed"] == ["https://shop.example/b"]
    assert changes["require_pkce"]["after"] is False
    assert changes["properties"]["removed"] == changes["properties"]["added"] == ["team"]
    assert set(changes) == {
        *("client_name", "refresh_token_usage", "require_pkce", "redirect_uris", "properties"),
        *("secrets", "default_max_age", "id_token_signed_response_alg"),
    }
    text = repr([event.details for event in events])
    for private in (SECRET, OTHER, made, "a-private-value"):
        assert private not in text


def test_links_of_people_who_left_do_not_matter(client, session):
    mary = center.manager(client, session, *EVERYTHING)
    row = add(mary, {"clientId": "hers"})
    session.delete(session.get(ClientOwner, (mary.user.id, row["id"])))
    session.commit()
    assert mary.misses("GET", f"/Client/{row['id']}")
    expired = datetime.now(UTC) + timedelta(seconds=1)
    body = {"expiration": expired.isoformat()}
    assert mary.misses("POST", f"/Client/{row['id']}/Secretkey", body)
