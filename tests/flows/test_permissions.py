"""The claims that services decide by: `role`, `permission` and its budget."""

from __future__ import annotations

import pytest

from idp.claims.access import BUDGET_BYTES, fold
from idp.directory.clients.models import Client, ClientClaim
from idp.directory.resources import service as resources
from idp.directory.roles.models import Privilege, Role, UserRole
from idp.directory.users.models import UserClaim
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH
from tests import protocol
from tests.protocol import (
    App,
    add_api,
    add_person,
    add_role,
    add_tenant,
    introspect,
    obtain,
    refresh,
    register,
    register_machine,
)


def add_roles(session, user, codes):
    """Grant a person many roles of tenant 1 at once."""
    made = [Role(code=code, name=code, tenant_id=1) for code in codes]
    session.add_all(made)
    session.flush()
    session.add_all(UserRole(user_id=user.id, role_id=role.id) for role in made)
    session.commit()


SCOPES = ("openid", "orders.read", "stock.read")


def scene(client, session, **settings):
    """An API that can ask, a client, and a person signed in."""
    api = add_api(session, **settings)
    caller = App("orders", resources.add_secret(session, api), api.id)
    add_api(session, "stock", ["stock.read"])
    app = register(session, scopes=SCOPES)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return api, caller, app, user


@pytest.mark.parametrize("count", [10, 300, 2000])
def test_however_many_there_are_a_service_learns_them_all(client, session, count):
    api, caller, app, user = scene(client, session)
    codes = [f"orders.part{number // 50:02}.do{number:04}" for number in range(count)]
    add_role(session, user, "clerk", codes, api=api)
    tokens = obtain(client, app, "openid orders.read")
    fits = len(str(codes)) <= BUDGET_BYTES
    assert fits == (count == 10)
    if fits:
        assert tokens.claims["permission"] == codes
        assert "permission_ref" not in tokens.claims
    else:
        assert tokens.claims["permission_ref"] is True
        assert "permission" not in tokens.claims
    assert len(tokens.access) < BUDGET_BYTES * 1.5 + 1500
    for who in (caller, app):
        content = introspect(client, who, tokens.access)
        assert content["permission"] == codes
        assert "permission_ref" not in content
    answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
    assert answer.status_code == 200
    assert "permission" not in tokens.identity


@pytest.mark.parametrize("count", [10, 300, 2000])
def test_however_many_roles_there_are_a_service_learns_them_all(client, session, count):
    _, caller, app, user = scene(client, session)
    codes = [f"clerk-of-branch-{number:04}" for number in range(count)]
    add_roles(session, user, codes)
    ask = {"claims": '{"id_token": {"role": null}}'}
    tokens = obtain(client, app, "openid orders.read", **ask)
    for claims in (tokens.claims, tokens.identity):
        if count == 10:
            assert claims["role"] == codes
            assert "role_ref" not in claims
        else:
            assert claims["role_ref"] is True
            assert "role" not in claims
    for who in (caller, app):
        content = introspect(client, who, tokens.access)
        assert content["role"] == codes
        assert "role_ref" not in content
    answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
    assert answer.status_code == 200
    # The hint is read as well: nobody is asked.
    hint = {"id_token_hint": tokens.body["id_token"]}
    assert client.get("/connect/endsession", query_string=hint).location == "/signed-out"


@pytest.mark.parametrize("reference", [0, 1])
def test_claims_that_administrators_keep_have_a_budget_too(client, session, reference):
    _, caller, _, user = scene(client, session, user_claims=["office", "note"])
    notes = [f"{number} {'x' * 200}" for number in range(40)]
    app = register(
        session,
        "sender",
        scopes=SCOPES,
        always_send_client_claims=True,
        access_token_type=reference,
    )
    row = session.get_one(Client, app.row_id)
    row.claims.append(ClientClaim(type="shop", value="7"))
    session.add(UserClaim(user_id=user.id, type="office", value="Bern"))
    session.commit()

    def claims_of_token():
        token = obtain(client, app, "openid orders.read").access
        contents = [introspect(client, who, token) for who in (caller, app)]
        assert contents[0] == contents[1]
        assert not {"claims_ref", "role_ref", "permission_ref"} & contents[0].keys()
        return {} if reference else protocol.payload(token), contents[0]

    claims, content = claims_of_token()
    for found in (content,) if reference else (claims, content):
        assert (found["office"], found["client_shop"]) == ("Bern", "7")
    session.add_all(UserClaim(user_id=user.id, type="note", value=note) for note in notes)
    session.commit()
    claims, content = claims_of_token()
    assert not {"office", "note", "client_shop"} & claims.keys()
    assert reference or claims["claims_ref"] is True
    assert (content["office"], content["client_shop"]) == ("Bern", "7")
    assert sorted(content["note"]) == sorted(notes)


def test_claims_of_a_machine_have_a_budget_too(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    row = session.get_one(Client, app.row_id)
    values = [f"{number} {'x' * 200}" for number in range(60)]
    row.claims.extend(ClientClaim(type="shop", value=value) for value in values)
    session.commit()
    token = protocol.machine_token(client, app).get_json()["access_token"]
    claims = protocol.payload(token)
    assert claims["claims_ref"] is True
    assert "client_shop" not in claims
    content = introspect(client, app, token)
    assert content["client_shop"] == values
    assert "claims_ref" not in content


def test_whatever_is_issued_can_be_read_here(client, session):
    """Each kind fits its budget, and all of them together would not fit a token."""
    scopes = [f"orders.{'s' * 180}{number:03}" for number in range(20)]
    api = add_api(session, scopes=scopes, user_claims=["note"])
    caller = App("orders", resources.add_secret(session, api), api.id)
    app = register(session, scopes=("openid", *scopes))
    user = add_person(session)
    protocol.sign_in(client, session, user)
    codes = [f"orders.part{number:03}" for number in range(200)]
    add_role(session, user, "clerk", codes, api=api)
    roles = [f"of-branch-{number:03}" for number in range(200)]
    add_roles(session, user, roles)
    session.add_all(
        UserClaim(user_id=user.id, type="note", value=f"{number} {'x' * 200}")
        for number in range(15)
    )
    session.commit()
    ask = {"claims": '{"id_token": {"role": null, "permission": null, "note": null}}'}
    tokens = obtain(client, app, " ".join(("openid", *scopes)), **ask)
    assert tokens.claims.keys() >= {"permission_ref", "role_ref", "claims_ref"}
    assert max(len(tokens.access), len(tokens.body["id_token"])) <= MAX_TOKEN_LENGTH
    content = introspect(client, caller, tokens.access)
    assert content["permission"] == codes
    assert content["role"] == ["clerk", *roles]
    assert len(content["note"]) == 15
    few = obtain(client, app, f"openid {scopes[0]}").claims
    assert few["role"] == ["clerk", *roles]
    assert few["permission"] == codes
    assert len(few["note"]) == 15


@pytest.mark.no_database
def test_scopes_that_no_token_has_room_for_are_refused(client, session):
    scopes = [f"orders.{'s' * 180}{number:03}" for number in range(100)]
    add_api(session, scopes=scopes)
    app = register_machine(session, scopes=scopes)
    answer = protocol.machine_token(client, app)
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid_scope"
    answer = protocol.machine_token(client, app, scope=" ".join(scopes[:20]))
    assert answer.status_code == 200


def test_what_an_all_covers_is_folded_when_it_must_be(client, session):
    api, caller, app, user = scene(client, session)
    few = [f"orders.part.do{number}" for number in range(10)]
    many = [f"orders.part.do{number:04}" for number in range(300)]
    add_role(session, user, "clerk", ["orders.part.all", *few, "orders.other"], api=api)
    small = obtain(client, app, "openid orders.read").claims
    assert small["permission"] == sorted(["orders.part.all", *few, "orders.other"])
    add_role(session, user, "boss", many, api=api)
    large = obtain(client, app, "openid orders.read")
    assert large.claims["permission"] == ["orders.other", "orders.part.all"]
    assert "permission_ref" not in large.claims
    assert introspect(client, caller, large.access)["permission"] == large.claims["permission"]


@pytest.mark.no_database
def test_folding_drops_only_what_a_held_all_grants():
    assert fold(["a.all", "a.b", "a.b.c", "a.b.all", "ab.c", "b", "a"]) == [
        *("a", "a.all", "ab.c", "b"),
    ]
    assert fold(["a.b.all", "a.b.c", "a.c", "a.bc"]) == ["a.b.all", "a.bc", "a.c"]
    assert fold(["all", "a.b"]) == ["a.b", "all"]
    assert fold([]) == []


def test_services_of_the_old_system_read_text(client, session):
    api, caller, app, user = scene(client, session, properties={"permission_format": "text"})
    add_role(session, user, "clerk", ["orders.b", "orders.a"], api=api)
    assert obtain(client, app, "openid orders.read").claims["permission"] == "orders.a,orders.b"
    codes = [f"orders.do{number:04}" for number in range(1000)]
    add_role(session, user, "boss", codes, api=api)
    tokens = obtain(client, app, "openid orders.read")
    assert tokens.claims["permission_ref"] is True
    permission = introspect(client, caller, tokens.access)["permission"]
    assert permission == ",".join(sorted(["orders.a", "orders.b", *codes]))


def test_a_token_holds_what_its_audience_reads(client, session):
    api, _, app, user = scene(client, session)
    stock = resources.find_api(session, "stock")
    add_role(session, user, "clerk", ["orders.approve"], api=api)
    add_role(session, user, "keeper", ["stock.count"], api=stock)
    add_role(session, user, "guest", ["nobody.owns.this"])

    def permissions(scope, **parameters):
        return obtain(client, app, scope, **parameters).claims.get("permission")

    assert permissions("openid orders.read") == ["orders.approve"]
    assert permissions("stock.read") == ["stock.count"]
    both = ["orders.approve", "stock.count"]
    assert permissions("orders.read stock.read") == both
    assert permissions("orders.read stock.read", resource="stock") == ["stock.count"]
    assert permissions("openid") is None


def test_ownerless_ones_go_to_who_lists_the_claim(client, session):
    api, _, app, user = scene(client, session, user_claims=["permission"])
    add_role(session, user, "clerk", ["orders.approve"], api=api)
    add_role(session, user, "guest", ["nobody.owns.this"])
    claims = obtain(client, app, "orders.read stock.read").claims
    assert claims["permission"] == ["nobody.owns.this", "orders.approve"]
    assert obtain(client, app, "stock.read").claims["permission"] == []


def test_a_privilege_that_is_switched_off_is_nobodys(client, session):
    api, _, app, user = scene(client, session)
    add_role(session, user, "clerk", ["orders.approve", "orders.cancel"], api=api)
    tokens = obtain(client, app, "openid orders.read offline_access")
    session.query(Privilege).filter_by(code="orders.cancel").update({"status": 0})
    session.commit()
    answer = refresh(client, app, tokens.refresh).get_json()
    assert protocol.payload(answer["access_token"])["permission"] == ["orders.approve"]


def test_direct_grants_count_on_the_platform_or_in_one_tenant(client, session):
    api, _, app, user = scene(client, session)
    acme = add_tenant(session)
    protocol.tenants.add_member(session, acme, user.id)
    for code in ("orders.one", "orders.two", "orders.three"):
        session.add(Privilege(code=code, name=code, api_resource_id=api.id))
    session.commit()
    protocol.grant_directly(session, user, "orders.one")
    protocol.grant_directly(session, user, "orders.two", tenant_id=1)
    protocol.grant_directly(session, user, "orders.three", tenant_id=acme)
    for tenant, wanted in (
        (1, ["orders.one", "orders.two"]),
        (acme, ["orders.one", "orders.three"]),
    ):
        claims = obtain(client, app, "orders.read", tenant=str(tenant)).claims
        assert claims["permission"] == wanted


def test_roles_of_a_tenant_count_there_and_those_of_the_platform_at_issuer_1(
    client, session, new_client
):
    api, _, app, user = scene(client, session)
    acme = add_tenant(session)
    own = add_tenant(session, "Own", ["own.example:8000"])
    for tenant_id in (acme, own):
        protocol.tenants.add_member(session, tenant_id, user.id)
    add_role(session, user, "platform", ["orders.platform"], api=api, tenant_id=None)
    add_role(session, user, "first", ["orders.first"], api=api, tenant_id=1)
    add_role(session, user, "clerk", ["orders.acme"], api=api, tenant_id=acme)
    add_role(session, user, "clerk", ["orders.own"], api=api, tenant_id=own)
    elsewhere = new_client("http://own.example:8000")
    protocol.sign_in(elsewhere, session, user)
    for browser, tenant_id, roles, permissions in (
        (client, 1, ["first", "platform"], ["orders.first", "orders.platform"]),
        (client, acme, ["clerk", "platform"], ["orders.acme", "orders.platform"]),
        (elsewhere, own, ["clerk"], ["orders.own"]),
    ):
        claims = obtain(browser, app, "openid orders.read", tenant=str(tenant_id)).claims
        assert claims["role"] == roles, tenant_id
        assert claims["permission"] == permissions, tenant_id
        assert claims["tenant"]["id"] == tenant_id
