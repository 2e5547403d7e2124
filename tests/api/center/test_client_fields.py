"""Each field of a client does what `docs/client-fields.md` says, or refuses what it does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from idp.directory.clients import fields
from tests import protocol
from tests.api import center
from tests.attacks import forms
from tests.protocol import CALLBACK, App, authorize, obtain, redeem, refresh

ROOT = Path(__file__).parents[3]
CONTRACT = ROOT / "tests" / "contract" / "authorization-center.openapi.yaml"
DOCUMENT = ROOT / "docs" / "client-fields.md"
DAY = 86_400
SECRET = "a-secret-that-is-long-enough"
ROWS = {
    "clientSecrets": {"value": SECRET},
    "allowedGrantTypes": {"grantType": "authorization_code"},
    "allowedScopes": {"scope": "openid"},
    "redirectUris": {"redirectUri": CALLBACK},
    "postLogoutRedirectUris": {"postLogoutRedirectUri": protocol.AFTER_LOGOUT},
    "allowedCorsOrigins": {"origin": "https://app.example"},
    "identityProviderRestrictions": {"provider": "github"},
    "claims": {"type": "shop", "value": "7"},
    "properties": {"key": "team", "value": "sales"},
}


def lines():
    """Read the tables: field, refused values, name of the test."""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        name, _, refused, *test = (cell.strip() for cell in line.split("|")[1:-1])
        values = [json.loads(text) for text in re.findall(r"`([^`]+)`", refused)]
        yield name.strip("`"), values, test[0].strip("`") if test else None


LINES = tuple(lines())
REFUSED = [(name, value) for name, values, _ in LINES for value in values]


def contracted():
    """List the fields of the contract, those of the rows as `list[].field`."""
    schemas = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["components"]["schemas"]
    for name, schema in schemas["Client"]["properties"].items():
        yield name
        row = schema.get("items", {}).get("$ref", "").rpartition("/")[2]
        for child in schemas[row]["properties"] if row else ():
            yield f"{name}[].{child}"


def shop(root, **changes):
    """Register a client for people in the Authorization Center."""
    body = {
        "clientId": "shop",
        "requireConsent": False,
        "allowedGrantTypes": [{"grantType": "authorization_code"}],
        "redirectUris": [{"redirectUri": CALLBACK}],
        "allowedScopes": [{"scope": scope} for scope in ("openid", "profile", "email")],
        "clientSecrets": [{"value": SECRET}],
        **changes,
    }
    row_id = root.data("POST", "/Client", body)
    return App(body["clientId"], SECRET if body["clientSecrets"] else None, row_id)


def robot(root, **changes):
    """Register a client for itself in the Authorization Center."""
    people = {"allowedScopes": [{"scope": "orders.read"}], "redirectUris": []}
    grants = [{"grantType": "client_credentials"}]
    return shop(root, **{"allowedGrantTypes": grants, **people, **changes})


def change(root, app, **changes):
    shown = root.data("GET", f"/Client/{app.row_id}")
    root.data("PUT", "/Client", {**shown, **changes})


def asks_for_consent(answer):
    return answer.status_code == 303 and answer.location.startswith("/consent?request=")


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def ann(client, session):
    """A person who is signed in."""
    user = protocol.add_person(session, email="ann@app.example", nick_name="Ann")
    protocol.sign_in(client, session, user)
    return user


# The document


@pytest.mark.no_database
def test_every_field_of_the_contract_has_its_line():
    written = [name for name, _, _ in LINES]
    assert len(set(written)) == len(written)
    assert set(contracted()) - set(written) == set()
    own = set(written) - set(contracted())
    assert own == {"concurrencyStamp", *fields.PROPERTIES}


@pytest.mark.no_database
def test_every_test_that_is_named_is_there():
    code = "".join(
        Path(__file__).with_name(name).read_text(encoding="utf-8")
        for name in ("test_client_fields.py", "test_client.py")
    )
    named = {test for name, _, test in LINES if name not in fields.PROPERTIES}
    assert None not in named
    assert {test for test in named if f"\ndef {test}(" not in code} == set()


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("name", "value"), REFUSED, ids=[f"{name} {value}"[:70] for name, value in REFUSED]
)
def test_what_would_do_nothing_is_refused(root, name, value):
    app = shop(root)
    shown = root.data("GET", f"/Client/{app.row_id}")
    list_name, is_row, column = name.partition("[].")
    if name in fields.PROPERTIES:
        wrong = {"properties": [{"key": name, "value": value}]}
        expected = {"properties[0].value"}
    elif is_row:
        wrong = {list_name: [{**ROWS[list_name], column: value}]}
        expected = {list_name, f"{list_name}[0].{column}"}
    else:
        wrong, expected = {name: value}, {name}
    refused = root.refused("PUT", "/Client", {**shown, **wrong})
    assert set(refused) <= expected
    assert all(texts and all(texts) for texts in refused.values())
    assert root.data("GET", f"/Client/{app.row_id}") == shown
    if not is_row or column != "id":
        body = {**shown, **dict.fromkeys(ROWS), "id": 0, "clientId": "new", **wrong}
        if name != "concurrencyStamp":
            assert set(root.refused("POST", "/Client", body)) <= expected


@pytest.mark.no_database
def test_what_has_one_value_is_shown_with_it(root):
    app = shop(root)
    shown = root.data("GET", f"/Client/{app.row_id}")
    for name, (only, _) in fields.FIXED.items():
        wire = "".join(part.title() for part in name.split("_"))
        value = shown[wire[0].lower() + wire[1:]]
        assert value == ([] if name == "identity_provider_restrictions" else only), name


# What the fields do


def test_a_disabled_client_gets_no_token_and_its_tokens_are_dead(client, session, root):
    protocol.add_api(session)
    app = robot(root)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    assert protocol.is_active(client, app, token)
    change(root, app, enabled=False)
    assert protocol.machine_token(client, app).get_json()["error"] == "invalid_client"
    change(root, app, enabled=True)
    assert protocol.machine_token(client, app).status_code == 200


def test_a_public_client_needs_no_secret(client, root, ann):
    app = shop(root, requireClientSecret=False, clientSecrets=[])
    assert obtain(client, app).claims["sub"] == str(ann.id)
    answer = authorize(client, app, code_challenge=None, code_challenge_method=None)
    assert protocol.returned(answer)["error"] == "invalid_request"


def test_people_see_who_asks(client, root, ann):
    app = shop(
        root,
        requireConsent=True,
        clientName="The Shop",
        description="Only for administrators",
        clientUri="https://app.example/home",
        logoUri="https://app.example/logo.png",
        properties=[
            {"key": "policy_uri", "value": "https://app.example/privacy"},
            {"key": "tos_uri", "value": "https://app.example/terms"},
        ],
    )
    asked = authorize(client, app)
    assert asks_for_consent(asked)
    page = client.get(asked.location, headers={"Accept": "text/html"}).get_data(as_text=True)
    for text in ("The Shop", "/home", "/logo.png", "/privacy", "/terms"):
        assert text in page, text
    assert "Only for administrators" not in page
    shown = root.data("GET", f"/Client/{app.row_id}")
    assert shown["description"] == "Only for administrators"
    change(root, app, requireConsent=False)
    assert protocol.code_of(authorize(client, app))


def test_consent_is_remembered_as_the_client_allows(client, root, ann, clock):
    app = shop(root, requireConsent=True, consentLifetime=600)
    other = shop(root, clientId="other", requireConsent=True, allowRememberConsent=False)
    for each in (app, other):
        answer = forms.allow(client, authorize(client, each).location, remember=True)
        assert protocol.code_of(client.get(answer.location))
    assert asks_for_consent(authorize(client, other))
    clock.shift(599)
    assert protocol.code_of(authorize(client, app))
    clock.shift(1)
    assert asks_for_consent(authorize(client, app))


def test_the_id_token_carries_claims_when_asked_to(client, root, ann):
    app = shop(root)
    assert "email" not in obtain(client, app, "openid email").identity
    change(root, app, alwaysIncludeUserClaimsInIdToken=True)
    assert obtain(client, app, "openid email").identity["email"] == "ann@app.example"


def test_proof_keys_are_asked_for(client, root, ann):
    app = shop(root)
    without = {"code_challenge": None, "code_challenge_method": None}
    assert protocol.returned(authorize(client, app, **without))["error"] == "invalid_request"
    change(root, app, requirePkce=False)
    code = protocol.code_of(authorize(client, app, **without))
    assert redeem(client, app, code, code_verifier=None).status_code == 200
    plain = authorize(client, app, code_challenge_method="plain")
    assert protocol.returned(plain)["error"] == "invalid_request"


def test_tokens_live_as_long_as_said(client, root, ann):
    app = shop(root, identityTokenLifetime=77, accessTokenLifetime=99)
    tokens = obtain(client, app)
    assert tokens.identity["exp"] - tokens.identity["iat"] == 77
    assert tokens.claims["exp"] - tokens.claims["iat"] == tokens.body["expires_in"] == 99


def test_codes_live_as_long_as_said(client, root, ann, clock):
    app = shop(root, authorizationCodeLifetime=30)
    fast, slow = (protocol.code_of(authorize(client, app)) for _ in range(2))
    clock.shift(29)
    assert redeem(client, app, fast).status_code == 200
    clock.shift(1)
    assert redeem(client, app, slow).get_json()["error"] == "invalid_grant"


def test_refresh_tokens_live_as_long_as_said(client, root, ann, clock):
    said = {
        "allowOfflineAccess": True,
        "absoluteRefreshTokenLifetime": 10 * DAY,
        "slidingRefreshTokenLifetime": 4 * DAY,
    }
    absolute = shop(root, **said)
    sliding = shop(root, clientId="sliding", refreshTokenExpiration=0, **said)
    first = {
        app: obtain(client, app, "openid offline_access").refresh for app in (absolute, sliding)
    }
    clock.shift(5 * DAY)
    second = refresh(client, absolute, first[absolute])
    assert second.status_code == 200
    assert refresh(client, sliding, first[sliding]).status_code == 400
    clock.shift(5 * DAY)
    assert refresh(client, absolute, second.get_json()["refresh_token"]).status_code == 400


def test_refresh_tokens_are_used_once_or_often(client, root, ann, clock):
    once = shop(root, allowOfflineAccess=True)
    often = shop(root, clientId="often", allowOfflineAccess=True, refreshTokenUsage=0)
    for app, status in ((once, 400), (often, 200)):
        token = obtain(client, app, "openid offline_access").refresh
        assert refresh(client, app, token).status_code == 200
        clock.shift(3600)
        assert refresh(client, app, token).status_code == status


def test_claims_are_computed_at_every_refresh(client, session, root, ann):
    protocol.add_api(session)
    app = shop(root, allowOfflineAccess=True, allowedScopes=[{"scope": "orders.read"}])
    tokens = obtain(client, app, "orders.read offline_access")
    assert tokens.claims["role"] == []
    protocol.add_role(session, ann, "clerk")
    again = protocol.Tokens(refresh(client, app, tokens.refresh).get_json())
    assert again.claims["role"] == ["clerk"]


def test_access_tokens_may_be_references(client, session, root, ann):
    app = shop(root, accessTokenType=1)
    token = obtain(client, app).access
    assert "." not in token
    assert protocol.introspect(client, app, token)["sub"] == str(ann.id)


def test_every_access_token_has_an_id(client, session, root, ann):
    protocol.add_api(session)
    own = protocol.machine_token(client, robot(root, clientId="robot")).get_json()
    app = shop(root)
    ids = [
        *(obtain(client, app).claims["jti"] for _ in range(2)),
        protocol.payload(own["access_token"])["jti"],
    ]
    assert all(ids)
    assert len(set(ids)) == 3


def test_claims_of_the_client_are_in_its_tokens(client, session, root, ann):
    protocol.add_api(session)
    claims = [
        {"type": "shop", "value": "7"},
        {"type": "area", "value": "north"},
        {"type": "area", "value": "south"},
    ]
    app = robot(root, claims=claims)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    own = protocol.payload(token)
    assert own["client_shop"] == "7"
    assert own["client_area"] == ["north", "south"]
    people = shop(root, clientId="people", claims=claims)
    assert "client_shop" not in obtain(client, people).claims
    change(root, people, alwaysSendClientClaims=True, clientClaimsPrefix="app_")
    assert obtain(client, people).claims["app_shop"] == "7"
    change(root, people, clientClaimsPrefix=None)
    assert obtain(client, people).claims["shop"] == "7"


def test_only_listed_grants_scopes_and_addresses_work(client, session, root, ann):
    protocol.add_api(session)
    app = shop(root)
    assert obtain(client, app, "openid profile")
    refused = authorize(client, app, scope="openid orders.read")
    assert protocol.returned(refused)["error"] == "invalid_scope"
    assert authorize(client, app, redirect_uri=CALLBACK + "/").status_code == 400
    assert protocol.machine_token(client, app).get_json()["error"] == "unauthorized_client"
    change(
        root,
        app,
        allowedGrantTypes=[{"grantType": "client_credentials"}],
        allowedScopes=[{"scope": "orders.read"}],
        redirectUris=[],
    )
    assert protocol.machine_token(client, app).get_json()["scope"] == "orders.read"
    assert authorize(client, app).status_code == 400


def test_people_come_back_after_signing_out(client, root, ann):
    app = shop(root, postLogoutRedirectUris=[ROWS["postLogoutRedirectUris"]])
    hint = obtain(client, app).body["id_token"]
    for address, works in ((protocol.AFTER_LOGOUT, True), ("https://app.example/else", False)):
        query = {"id_token_hint": hint, "post_logout_redirect_uri": address}
        answer = client.get("/connect/endsession", query_string=query)
        for _ in range(3):
            if answer.status_code != 303 or not answer.location.startswith("/"):
                break
            answer = client.get(answer.location)
        assert (answer.status_code == 303 and answer.location == address) is works


def test_scripts_of_listed_origins_may_call(client, session, root):
    protocol.add_api(session)
    app = robot(root, allowedCorsOrigins=[ROWS["allowedCorsOrigins"]])
    for origin, allowed in (
        ("https://app.example", "https://app.example"),
        ("https://x.example", None),
    ):
        answer = client.post(
            "/connect/token",
            data={"grant_type": "client_credentials", **app.post},
            headers={"Origin": origin},
        )
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
