"""Attacks by claims that are kept for a client or a person."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.clients.models import ClientClaim
from idp.directory.clients.service import get
from idp.directory.resources import service as resources
from idp.directory.resources.models import IdentityResource, IdentityResourceClaim
from idp.directory.resources.service import NewScope
from idp.directory.roles.models import RoleClaim
from idp.directory.users.models import UserClaim
from tests import protocol
from tests.protocol import add_api, add_person, add_role, obtain, register, register_machine

pytestmark = pytest.mark.no_database

PROTOCOL = (
    *("iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr"),
    *("sid", "at_hash", "c_hash", "client_id", "scope", "permission_ref", "active", "token_type"),
    *("cnf", "act", "role_ref", "claims_ref"),
)
COMPUTED = (
    *("role", "permission", "tenant", "email", "email_verified", "phone_number_verified"),
    *("Role", "PERMISSION", "Tenant", "Email_Verified", "Sub", "SCOPE", "Client_ID"),
)
FORGED = "ids4.ms.all"


def keep_for_client(session, client_id, names):
    row = get(session, client_id)
    for name in names:
        row.claims.append(ClientClaim(type=name, value=FORGED))
    session.commit()


def test_no_claim_of_a_client_passes_for_the_protocol_or_a_person(client, session):
    # Row 40: an empty prefix, and one that is completed to a forbidden name.
    add_api(session, user_claims=["permission", "role"])
    for prefix, names in (
        ("", (*PROTOCOL, *COMPUTED)),
        ("perm", ("ission", "ission_ref")),
        ("s", ("ub", "cope", "id")),
        ("client", ("_id",)),
    ):
        name = f"machine-{prefix}"
        app = register_machine(session, name, scopes=["orders.read"], client_claims_prefix=prefix)
        keep_for_client(session, name, [*names, "color"])
        answer = protocol.machine_token(client, app)
        claims = protocol.payload(answer.get_json()["access_token"])
        assert claims.pop(prefix + "color") == FORGED
        assert FORGED not in str(claims), prefix
        assert claims["sub"] == claims["client_id"] == name
        assert claims["scope"] == "orders.read"
        assert not {"permission", "role", "tenant", "permission_ref"} & claims.keys()


def test_no_claim_of_a_client_passes_for_one_of_its_person(client, session):
    api = add_api(session, user_claims=["department"])
    app = register(
        session,
        scopes=("openid", "orders.read"),
        client_claims_prefix="",
        always_send_client_claims=True,
    )
    keep_for_client(session, "web", [*PROTOCOL, *COMPUTED, "department", "color"])
    user = add_person(session)
    add_role(session, user, "clerk", ["orders.approve"], api=api)
    session.add(UserClaim(user_id=user.id, type="department", value="sales"))
    protocol.sign_in(client, session, user)
    claims = obtain(client, app, "openid orders.read").claims
    assert claims.pop("color") == FORGED
    assert FORGED not in str(claims)
    assert claims["department"] == "sales"
    assert claims["role"] == ["clerk"]
    assert claims["permission"] == ["orders.approve"]
    assert claims["sub"] == str(user.id)
    assert claims["tenant"] == {"id": 1, "name": "idp"}


def test_no_claim_kept_for_a_person_or_role_sets_what_is_computed(client, session):
    # Row 40, CVE-2026-27946: nobody verifies an address, or joins a tenant, by a row.
    names = (*PROTOCOL, *COMPUTED)
    api = add_api(session, user_claims=[*names, "color"])
    profile = session.scalars(
        select(IdentityResource).where(IdentityResource.name == "profile")
    ).one()
    have = {row.type for row in profile.user_claims}
    profile.user_claims.extend(
        IdentityResourceClaim(type=name) for name in (*names, "color") if name not in have
    )
    app = register(
        session,
        scopes=("openid", "profile", "email", "phone", "orders.read"),
        always_include_user_claims_in_id_token=True,
    )
    user = add_person(session)
    role = add_role(session, user, "clerk", ["orders.approve"], api=api)
    for name in (*names, "color"):
        session.add(UserClaim(user_id=user.id, type=name, value=FORGED))
        session.add(UserClaim(user_id=user.id, tenant_id=1, type=name, value=FORGED))
        session.add(RoleClaim(role_id=role.id, type=name, value=FORGED))
    session.commit()
    protocol.sign_in(client, session, user)
    wanted = '{"id_token":{"permission":null},"userinfo":{"permission":null}}'
    tokens = obtain(client, app, "openid profile email phone orders.read", claims=wanted)
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).get_json()
    # A direct grant of type `permission` counts where a privilege has that code, and only here.
    direct = sorted([FORGED, "orders.approve"])
    for claims, permissions in (
        (tokens.claims, ["orders.approve"]),
        (tokens.identity, direct),
        (userinfo, direct),
    ):
        assert claims.pop("color") == FORGED
        assert claims.pop("permission") == permissions
        assert FORGED not in str(claims)
        assert claims["sub"] == str(user.id)
        assert not {"email", "email_verified", "phone_number_verified"} & claims.keys()
        assert claims.get("role", ["clerk"]) == ["clerk"]
        assert claims["tenant"] == {"id": 1, "name": "idp"}


def test_a_direct_grant_without_such_a_privilege_is_nothing(client, session):
    api = add_api(session, user_claims=["permission"])
    app = register(session, scopes=("openid", "orders.read"))
    user = add_person(session)
    for code in ("orders.invented", "orders.approve,ids4.ms.all", "*", "%", ""):
        protocol.grant_directly(session, user, code)
    add_role(session, user, "clerk", ["orders.approve"], api=api)
    protocol.sign_in(client, session, user)
    assert obtain(client, app, "openid orders.read").claims["permission"] == ["orders.approve"]


def test_the_claims_parameter_releases_only_what_the_client_may_have(client, session):
    resources.create_identity(session, NewScope("inner", user_claims=["salary"]))
    session.commit()
    app = register(session, scopes=("openid", "email"))
    user = add_person(session, email="ann@app.example", mobile="+8613800138000")
    session.add(UserClaim(user_id=user.id, type="salary", value="9"))
    session.add(UserClaim(user_id=user.id, type="secret_question", value="9"))
    protocol.sign_in(client, session, user)
    names = ("salary", "secret_question", "phone_number", "password_hash", "security_stamp", "exp")
    section = "{" + ",".join(f'"{name}":{{"essential":true}}' for name in (*names, "email")) + "}"
    tokens = obtain(client, app, claims=f'{{"id_token":{section},"userinfo":{section}}}')
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).get_json()
    for claims in (tokens.identity, userinfo):
        assert claims["email"] == "ann@app.example"
        assert not {"salary", "secret_question", "phone_number", "security_stamp"} & claims.keys()
    assert userinfo.keys() == {"sub", "email"}


def test_what_the_person_refuses_is_not_released_by_name(client, session):
    # The claims parameter is no way around the box that was not ticked.
    from tests.attacks import forms

    app = register(session, scopes=("openid", "email", "phone"), require_consent=True)
    user = add_person(session, email="ann@app.example", mobile="+8613800138000")
    protocol.sign_in(client, session, user)
    wanted = '{"userinfo":{"email":null,"phone_number":null},"id_token":{"email":null}}'
    consent = protocol.authorize(client, app, claims=wanted).location
    page = client.get(consent).get_data(as_text=True)
    assert 'value="email"' in page
    assert 'value="phone"' in page
    allowed = forms.allow(client, consent, "phone")
    answer = protocol.redeem(client, app, protocol.code_of(client.get(allowed.location)))
    tokens = protocol.Tokens(answer.get_json())
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).get_json()
    assert userinfo == {"sub": str(user.id), "phone_number": "+8613800138000"}
    assert "email" not in tokens.identity


def test_a_permission_of_the_claims_parameter_is_the_persons_own(client, session):
    api = add_api(session)
    app = register(session)
    user, other = add_person(session), add_person(session, "bob")
    add_role(session, user, "clerk", ["orders.approve"], api=api)
    add_role(session, other, "boss", ["orders.all"], api=api)
    protocol.sign_in(client, session, user)
    wanted = '{"id_token":{"permission":{"values":["orders.all"]},"role":{"value":"boss"}}}'
    claims = obtain(client, app, claims=wanted).identity
    assert claims["permission"] == ["orders.approve"]
    assert claims["role"] == ["clerk"]
