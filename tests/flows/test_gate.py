"""The gate of the management operations: who is let through, and who is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Blueprint, jsonify

from idp.directory.clients import snapshot
from idp.directory.scopes import Scope
from idp.oauth import operator_tokens
from idp.platform.web import csrf
from idp.platform.web.principal import check_permission, covering, current_principal, require_scope
from tests import protocol

MINE = "/api/sample"
CODE = Scope.ROLE_GET


@pytest.fixture
def app(app):
    """Register two operations of the kind that the contracts describe."""
    blueprint = Blueprint("sample", __name__)

    @blueprint.get("/api/sample")
    @require_scope(CODE, CODE)
    def in_own_tenant():
        return jsonify(client=current_principal().client_id, user=current_principal().user_id)

    @blueprint.get("/api/tenants/<tenant_id>/sample")
    @require_scope(CODE, CODE, tenant="tenant_id")
    def in_named_tenant(tenant_id):
        return jsonify(tenant=tenant_id)

    @blueprint.post("/api/tenants/<int:tenant_id>/accounts")
    @require_scope(Scope.US_ACCOUNT_CREATE, tenant=lambda arguments: arguments["tenant_id"])
    def by_scope_alone(tenant_id):
        return jsonify(tenant=tenant_id)

    @blueprint.post("/api/register")
    @require_scope(Scope.USER_REGISTER, Scope.USER_REGISTER, machine=True)
    def for_machines_too():
        return jsonify(machine=current_principal().is_machine)

    @blueprint.post("/api/in-body/<int:tenant_id>")
    @require_scope(CODE)
    def tenant_in_the_body(tenant_id):
        check_permission(CODE, tenant_id)
        return jsonify(tenant=tenant_id)

    csrf.exempt(app, blueprint)
    app.register_blueprint(blueprint)
    return app


@pytest.fixture
def console(session):
    """Register a client of the platform that may ask for a few management scopes."""
    return protocol.register(
        session, "console", scopes=("openid", CODE, Scope.US_ACCOUNT_CREATE, Scope.USER_REGISTER)
    )


@pytest.fixture
def person(session):
    return protocol.add_person(session)


def token_for(session, app, user, scopes, tenant_id=1):
    client = snapshot.find(session, app.client_id)
    token = operator_tokens.issue_by_command(session, client, user, tenant_id, scopes)
    session.commit()
    return token


def no_token(**_):
    return {}


def wrong_scheme(session, console, person, **_):
    return {"Authorization": "Basic " + token_for(session, console, person, [CODE])}


def forged(session, console, person, **_):
    token = token_for(session, console, person, [CODE])
    return protocol.bearer(token[:-8] + "AAAAAAAA")


def expired(session, console, person, clock, **_):
    token = token_for(session, console, person, [CODE])
    clock.shift(timedelta(minutes=16))
    return protocol.bearer(token)


def wrong_scope(session, console, person, **_):
    protocol.add_role(session, person, "reader", [CODE])
    return protocol.bearer(token_for(session, console, person, [Scope.US_ACCOUNT_CREATE]))


def scope_without_permission(session, console, person, **_):
    return protocol.bearer(token_for(session, console, person, [CODE]))


def permission_in_another_tenant(session, console, person, **_):
    other = protocol.add_tenant(session)
    protocol.tenants.add_member(session, other, person.id)
    protocol.add_role(session, person, "reader", [CODE], tenant_id=other)
    return protocol.bearer(token_for(session, console, person, [CODE]))


def machine(session, client, **_):
    service = protocol.register_machine(session, scopes=(CODE,))
    return protocol.bearer(protocol.machine_token(client, service).get_json()["access_token"])


def disabled_meanwhile(session, console, person, **_):
    protocol.add_role(session, person, "reader", [CODE])
    token = token_for(session, console, person, [CODE])
    from idp.directory.users import service as users

    users.disable(session, person)
    session.commit()
    return protocol.bearer(token)


def right_caller(session, console, person, **_):
    protocol.add_role(session, person, "reader", [CODE])
    return protocol.bearer(token_for(session, console, person, [CODE]))


def platform_role(session, console, person, **_):
    protocol.add_role(session, person, "auditors", [CODE], tenant_id=None)
    return protocol.bearer(token_for(session, console, person, [CODE]))


def direct_grant(session, console, person, **_):
    protocol.grant_directly(session, person, CODE, tenant_id=1)
    return protocol.bearer(token_for(session, console, person, [CODE]))


def module_permission(session, console, person, **_):
    protocol.add_role(session, person, "reader", [Scope.ROLE_ALL])
    return protocol.bearer(token_for(session, console, person, [CODE]))


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (no_token, 401),
        (wrong_scheme, 401),
        (forged, 401),
        (expired, 401),
        (disabled_meanwhile, 401),
        (wrong_scope, 403),
        (scope_without_permission, 403),
        (permission_in_another_tenant, 403),
        (machine, 403),
        (right_caller, 200),
        (platform_role, 200),
        (direct_grant, 200),
        (module_permission, 200),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_only_the_right_caller_passes(caller, status, client, session, console, person, clock):
    headers = caller(client=client, session=session, console=console, person=person, clock=clock)
    answer = client.get(MINE, headers=headers)
    assert answer.status_code == status, answer.get_data(as_text=True)
    challenge = answer.headers.get("WWW-Authenticate", "")
    if status == 401:
        assert challenge.startswith("Bearer ")
        assert ("invalid_token" in challenge) == (caller not in {no_token, wrong_scheme})
        assert answer.content_type == "application/problem+json"
    if caller is wrong_scope:
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{CODE.value}"' in challenge
    if status == 200:
        assert answer.get_json() == {"client": "console", "user": person.id}


def test_the_permission_must_hold_in_the_tenant_that_is_touched(client, session, console, person):
    other = protocol.add_tenant(session)
    protocol.tenants.add_member(session, other, person.id)
    protocol.add_role(session, person, "reader", [CODE], tenant_id=other)
    headers = protocol.bearer(token_for(session, console, person, [CODE]))
    for address in ("/api/tenants/{}/sample", "/api/in-body/{}"):
        send = client.post if "body" in address else client.get
        assert send(address.format(other), headers=headers).status_code == 200
        assert send(address.format(1), headers=headers).status_code == 403
    assert client.get("/api/tenants/x1/sample", headers=headers).status_code == 400


def test_a_platform_role_counts_in_every_tenant_but_only_with_a_token_of_issuer_1(
    client, new_client, session, console, person
):
    other = protocol.add_tenant(session, hosts=["acme.example"])
    protocol.tenants.add_member(session, other, person.id)
    protocol.add_role(session, person, "auditors", [CODE], tenant_id=None)
    here = protocol.bearer(token_for(session, console, person, [CODE]))
    there = protocol.bearer(token_for(session, console, person, [CODE], tenant_id=other))
    acme = new_client("http://acme.example")
    assert client.get(f"/api/tenants/{other}/sample", headers=here).status_code == 200
    assert acme.get(f"/api/tenants/{other}/sample", headers=there).status_code == 403
    assert acme.get("/api/tenants/1/sample", headers=there).status_code == 403
    # A token is good at its own issuer only.
    assert acme.get(f"/api/tenants/{other}/sample", headers=here).status_code == 401
    assert client.get("/api/tenants/1/sample", headers=there).status_code == 401


def test_a_client_of_a_tenant_reaches_no_other_tenant(client, session, person):
    other = protocol.add_tenant(session)
    protocol.tenants.add_member(session, other, person.id)
    app = protocol.register(session, "their-console", scopes=("openid", CODE), tenant_id=other)
    protocol.add_role(session, person, "auditors", [CODE], tenant_id=None)
    headers = protocol.bearer(token_for(session, app, person, [CODE], tenant_id=other))
    assert client.get(f"/api/tenants/{other}/sample", headers=headers).status_code == 200
    assert client.get("/api/tenants/1/sample", headers=headers).status_code == 403
    assert client.post("/api/in-body/1", headers=headers).status_code == 403


def test_a_machine_passes_where_the_scope_suffices_within_its_reach(client, session):
    other = protocol.add_tenant(session)
    scopes = (Scope.US_ACCOUNT_CREATE, Scope.USER_REGISTER)
    anywhere = protocol.register_machine(session, "anywhere", scopes=scopes)
    theirs = protocol.register_machine(session, "theirs", scopes=scopes, tenant_id=other)

    def status(app, address):
        token = protocol.machine_token(client, app).get_json()["access_token"]
        return client.post(address, headers=protocol.bearer(token)).status_code

    assert status(anywhere, "/api/tenants/1/accounts") == 200
    assert status(anywhere, f"/api/tenants/{other}/accounts") == 200
    assert status(theirs, f"/api/tenants/{other}/accounts") == 200
    assert status(theirs, "/api/tenants/1/accounts") == 403
    assert status(anywhere, "/api/register") == 200


def test_a_person_needs_the_permission_where_machines_pass_by_scope(
    client, session, console, person
):
    headers = protocol.bearer(token_for(session, console, person, [Scope.USER_REGISTER]))
    assert client.post("/api/register", headers=headers).status_code == 403
    protocol.add_role(session, person, "registrar", [Scope.USER_REGISTER])
    assert client.post("/api/register", headers=headers).get_json() == {"machine": False}


def test_a_token_for_another_audience_is_refused(client, session, person):
    protocol.add_api(session)
    app = protocol.register(session, "shop", scopes=("openid", "orders.read"))
    protocol.add_role(session, person, "reader", [CODE])
    headers = protocol.bearer(token_for(session, app, person, ["orders.read"]))
    assert client.get(MINE, headers=headers).status_code == 401


@pytest.mark.parametrize("scope", [CODE, Scope.ROLE_ALL, Scope.ALL])
def test_wider_scopes_cover_the_operation(client, session, person, scope):
    app = protocol.register(session, "wide", scopes=("openid", scope))
    protocol.add_role(session, person, "reader", [CODE])
    headers = protocol.bearer(token_for(session, app, person, [scope]))
    assert client.get(MINE, headers=headers).status_code == 200


@pytest.mark.no_database
def test_the_scopes_that_cover_an_operation_of_the_user_service():
    assert covering(Scope.US_ROLE_BIND) == {
        "ids4.ms.us.role.bind",
        "ids4.ms.us.role.all",
        "ids4.ms.us.all",
        "ids4.ms.all",
        "ids4.all",
    }


def test_a_revoked_permission_counts_no_more(client, session, console, person):
    from sqlalchemy import delete

    from idp.directory.roles.models import UserRole

    headers = right_caller(session=session, console=console, person=person)
    assert client.get(MINE, headers=headers).status_code == 200
    session.execute(delete(UserRole).where(UserRole.user_id == person.id))
    session.commit()
    assert client.get(MINE, headers=headers).status_code == 403
