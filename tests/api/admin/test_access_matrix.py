"""Every operation of our own API, called by everybody who must not, and by who may.

`CASES` holds what each operation needs to be called; an operation that is missing there fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.api.admin.dialect import CHANGES
from idp.api.admin.dialect import admin as dialect
from idp.directory.actor import OPERATOR
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.clients import registration_tokens, snapshot
from idp.directory.clients.models import Client, ClientSecret
from idp.directory.clients.registration_tokens import NewToken
from idp.directory.devices.models import Device, DeviceUser
from idp.directory.factors.models import Totp
from idp.directory.policies.models import RolePolicy
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.oauth import operator_tokens
from idp.oauth.models import Consent, Grant, Refusal
from idp.platform import clock
from idp.platform.db import Base
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing.models import SigningKey
from idp.publishing.codegen.models import JobState, SdkJob
from idp.publishing.files.models import StoredFile
from idp.publishing.gateway import products
from idp.publishing.gateway.products import NewProduct
from tests import prepared, protocol
from tests.api import admin, center
from tests.api.center import Caller
from tests.conftest import IssuerClient
from tests.prepared import database_url as database_url
from tests.protocol import App

OPERATIONS = {operation.id: operation for operation in dialect.operations}
UNRELATED = "ids4.ms.us.menu.page"


@dataclass(frozen=True)
class Case:
    """What an operation needs: its path, made when it is called, and its body."""

    path: Callable[[Session], str]
    body: Any = None
    status: int = 200
    query: Mapping[str, str] = field(default_factory=dict)


def a_job(session: Session, state: JobState = JobState.WAITING) -> int:
    job = SdkJob(client_id="web", generator="python", source_url="-", state=state)
    session.add(job)
    session.commit()
    return job.id


def a_key(session: Session) -> str:
    query = select(SigningKey.kid).where(SigningKey.alg == "ES256", SigningKey.status == "next")
    return session.scalars(query).one()


def a_group(session: Session) -> str:
    catalogue.create_group(session, "row", "Row")
    session.commit()
    return "/privilege-groups/row"


def a_type(session: Session) -> str:
    session.add(TenantType(code="row", name="Row"))
    session.commit()
    return "/tenant-types/row"


def a_bundle(session: Session) -> str:
    ability = '{"roles": [], "adminRoleCodes": []}'
    session.add(Bundle(code="row", name="Row", tenant_type_code="row", ability=ability))
    session.commit()
    return "/bundles/row"


def a_menu(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    application = Application(code="row", name="Row", tenant_id=tenant_id)
    session.add(application)
    session.flush()
    session.add(Menu(application_id=application.id, code="row", title="Row"))
    session.commit()
    return f"/tenants/{tenant_id}/applications/row/menu"


def an_entry(session: Session) -> str:
    return f"{a_menu(session)}/entries/row"


def some_clients(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    return f"/tenants/{tenant_id}/clients"


def a_client(session: Session, *, enabled: bool = True) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    app = protocol.register(session, "row", tenant_id=tenant_id, enabled=enabled)
    return f"/tenants/{tenant_id}/clients/{app.row_id}"


def a_stranger(session: Session) -> str:
    path = a_client(session)
    session.get_one(Client, int(path.rpartition("/")[2])).origin = "registered"
    session.commit()
    return path


def a_secret(session: Session) -> str:
    path = a_client(session)
    row_id = int(path.rpartition("/")[2])
    secret = select(ClientSecret.id).where(ClientSecret.client_id == row_id)
    return f"{path}/secrets/{session.scalars(secret).one()}"


def an_api(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    api = protocol.add_api(session, "row", ["row.read"], tenant_id=tenant_id)
    return f"/tenants/{tenant_id}/apis/{api.id}"


def some_users(session: Session) -> str:
    return f"/tenants/{protocol.add_tenant(session, 'Rows')}/users"


def a_user(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    user = protocol.add_person(session, "row", tenant_ids=[tenant_id], email="row@example.com")
    return f"/tenants/{tenant_id}/users/{user.id}"


def a_factor(session: Session) -> str:
    path = a_user(session)
    user = session.get_one(User, int(path.rpartition("/")[2]))
    for name in ("Old", "New"):
        protocol.add_authenticator(session, user, name)
    oldest = session.scalars(select(Totp.id).order_by(Totp.id).limit(1)).one()
    return f"{path}/factors/totp-{oldest}"


def some_sessions(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    user = protocol.add_person(session, "row", tenant_ids=[tenant_id])
    protocol.start_session(session, "127.0.0.1:8000", user)
    return f"/tenants/{tenant_id}/users/{user.id}/sessions"


def a_session(session: Session) -> str:
    path = some_sessions(session)
    return f"{path}/{session.scalars(select(BrowserSession.id)).one()}"


def a_sign_in(session: Session, table: type[Base], of: str) -> str:
    """Add a grant and a consent of a person at a client; return where one of them is."""
    path = a_user(session)
    tenant_id, user_id = (int(part) for part in path.split("/")[2::2])
    app = protocol.register(session, "row", tenant_id=tenant_id)
    user = session.get_one(User, user_id)
    names = {"user_id": user_id, "client_id": app.row_id, "tenant_id": tenant_id}
    session.add(Consent(**names, scopes=["openid"]))
    session.add(protocol.grant_of(user, **names))
    session.commit()
    owner = path if of == "users" else f"/tenants/{tenant_id}/clients/{app.row_id}"
    row_id = session.scalars(select(table.id).order_by(table.id.desc())).first()
    return f"{owner}/{table.__tablename__}s/{row_id}"


def all_of(path: str) -> str:
    """Return the list that a row is in."""
    return path.rpartition("/")[0]


def a_branding(session: Session) -> str:
    return f"/tenants/{protocol.add_tenant(session, 'Rows')}/branding"


def a_role_policy(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    role = Role(code="rows", name="Rows", tenant_id=tenant_id)
    session.add(role)
    session.flush()
    session.add(RolePolicy(role_id=role.id, second_factor="optional"))
    session.commit()
    return f"/tenants/{tenant_id}/roles/{role.id}/policy"


def an_applications_policy(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows", hosts=["rows.example"])
    return f"/tenants/{tenant_id}/policy/applications"


def a_policy(session: Session) -> str:
    return f"/tenants/{protocol.add_tenant(session, 'Rows')}/policy"


def a_message(session: Session) -> str:
    row_id = jobs.enqueue(session, "mail", {"to": "ann@example.com"})
    session.get_one(OutboxMessage, row_id).failed_at = clock.now()
    session.commit()
    return str(row_id)


SERVICE = {"kind": "service", "client_id": "new"}


def an_explained_client(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    protocol.register_machine(session, "row", scopes=["ids4.ms.user.get"], tenant_id=tenant_id)
    return f"/tenants/{tenant_id}/explain"


def an_explained_tenant(session: Session) -> str:
    return f"/tenants/{protocol.add_tenant(session, 'Rows')}/explain"


def a_refusal(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    session.add(
        Refusal(
            request_id="abc",
            path="/connect/token",
            error="invalid_scope",
            description="No",
            client_tenant_id=tenant_id,
            issuer_tenant_id=1,
        )
    )
    session.commit()
    return f"/tenants/{tenant_id}/explain/request"


def a_product(session: Session) -> str:
    products.add_product(session, NewProduct("gold", "Gold"))
    session.commit()
    return "/gateway/products/gold"


def a_subscription(session: Session) -> str:
    path = a_product(session)
    protocol.register(session, "row")
    row = products.subscribe(session, "gold", "row")
    session.commit()
    return f"{path}/subscriptions/{row.id}"


def a_subscribing_client(session: Session) -> str:
    protocol.register(session, "row")
    return f"{a_product(session)}/subscriptions"


def an_upstream(session: Session) -> str:
    row = products.allow_upstream(session, 1, "https://orders.internal")
    session.commit()
    return f"/gateway/upstreams/{row.id}"


def a_file(session: Session) -> str:
    row = StoredFile(
        name=f"{'0' * 32}.pdf",
        original_name="a.pdf",
        media_type="application/pdf",
        size=1,
        content_hash=bytes(32),
        client_id="web",
    )
    session.add(row)
    session.commit()
    return f"/files/{row.id}"


def a_device(session: Session) -> str:
    """Add a device of a user of a tenant; return its address."""
    path = a_user(session)
    device = Device(handle_hash=b"h" * 32, value_hash=b"v" * 32, issuer_tenant_id=1)
    session.add(device)
    session.flush()
    known = DeviceUser(device_id=device.id, user_id=int(path.rpartition("/")[2]))
    session.add(known)
    session.commit()
    return f"{path}/devices/{known.id}"


def of_registration(session: Session) -> str:
    """Add a tenant; return the address of its registration tokens."""
    return f"/tenants/{protocol.add_tenant(session)}/registration-tokens"


def a_registration_token(session: Session) -> str:
    """Issue a registration token of a tenant; return its address."""
    path = of_registration(session)
    tenant_id = int(path.split("/")[2])
    row, _ = registration_tokens.issue(session, OPERATOR, tenant_id, NewToken())
    session.commit()
    return f"{path}/{row.id}"


SIGN_INS = {
    f"sessions-{of.removesuffix('s')}-{table.__tablename__}-{act}": case
    for of in ("users", "clients")
    for table in (Grant, Consent)
    for act, case in {
        "list": Case(lambda session, table=table, of=of: all_of(a_sign_in(session, table, of))),
        "end": Case(
            lambda session, table=table, of=of: f"{a_sign_in(session, table, of)}/end", status=204
        ),
        "end-all": Case(
            lambda session, table=table, of=of: f"{all_of(a_sign_in(session, table, of))}/end"
        ),
    }.items()
}

CASES = {
    "gateway-product-list": Case(lambda _: "/gateway/products"),
    "gateway-product-create": Case(lambda _: "/gateway/products", {"id": "a", "name": "A"}, 201),
    "gateway-product-get": Case(a_product),
    "gateway-product-change": Case(a_product, {"name": "Other"}),
    "gateway-product-remove": Case(a_product, status=204),
    "gateway-subscription-list": Case(a_subscribing_client),
    "gateway-subscription-add": Case(a_subscribing_client, {"client": "row"}, 201),
    "gateway-subscription-get": Case(a_subscription),
    "gateway-subscription-suspend": Case(lambda session: f"{a_subscription(session)}/suspend"),
    "gateway-subscription-resume": Case(lambda session: f"{a_subscription(session)}/resume"),
    "gateway-subscription-remove": Case(a_subscription, status=204),
    "gateway-upstream-list": Case(lambda _: "/gateway/upstreams"),
    "gateway-upstream-allow": Case(
        lambda _: "/gateway/upstreams", {"tenant": 1, "url": "https://a.internal"}, 201
    ),
    "gateway-upstream-get": Case(an_upstream),
    "gateway-upstream-remove": Case(an_upstream, status=204),
    "gateway-differences": Case(lambda _: "/gateway/differences"),
    "files-list": Case(lambda _: "/files"),
    "files-get": Case(a_file),
    "files-delete": Case(a_file, status=204),
    "overview-get": Case(lambda session: f"/tenants/{protocol.add_tenant(session)}/overview"),
    "clients-list": Case(some_clients),
    "clients-create": Case(some_clients, SERVICE, 201),
    "clients-get": Case(a_client),
    "clients-change": Case(a_client, {"client_name": "Other"}),
    "clients-delete": Case(lambda session: a_client(session, enabled=False), status=204),
    "clients-duplicate": Case(lambda session: f"{a_client(session)}/duplicate", {}, 201),
    "clients-disable": Case(lambda session: f"{a_client(session)}/disable"),
    "clients-enable": Case(lambda session: f"{a_client(session)}/enable"),
    "clients-promote": Case(lambda session: f"{a_stranger(session)}/promote"),
    "clients-registration-token-list": Case(of_registration),
    "clients-registration-token-issue": Case(of_registration, {"uses": 1}, 201),
    "clients-registration-token-get": Case(a_registration_token),
    "clients-registration-token-revoke": Case(
        lambda session: f"{a_registration_token(session)}/revoke"
    ),
    "clients-secret-add": Case(lambda session: f"{a_client(session)}/secrets", {}, 201),
    "clients-secret-get": Case(a_secret),
    "clients-secret-change": Case(a_secret, {"description": "Old"}),
    "clients-secret-remove": Case(a_secret, status=204),
    "apis-list": Case(lambda session: all_of(an_api(session))),
    "apis-get": Case(an_api),
    "apis-change": Case(an_api, {"default_scopes": ["row.read"]}),
    "users-list": Case(some_users),
    "users-create": Case(some_users, {"username": "new"}, 201),
    "users-get": Case(a_user),
    "users-activity": Case(lambda session: f"{a_user(session)}/activity"),
    "users-disable": Case(lambda session: f"{a_user(session)}/disable"),
    "users-enable": Case(lambda session: f"{a_user(session)}/enable"),
    "users-unlock": Case(lambda session: f"{a_user(session)}/unlock"),
    "users-reset-link": Case(lambda session: f"{a_user(session)}/reset-link"),
    "users-sign-out": Case(lambda session: f"{a_user(session)}/sign-out"),
    "factors-get": Case(lambda session: f"{a_user(session)}/factors"),
    "factors-remove": Case(a_factor, status=204),
    "factors-reset": Case(lambda session: f"{a_user(session)}/factors/reset"),
    "factors-enrolment-code": Case(lambda session: f"{a_user(session)}/enrolment-codes"),
    "sessions-list": Case(some_sessions),
    "sessions-end": Case(lambda session: f"{a_session(session)}/end"),
    "sessions-end-all": Case(lambda session: f"{some_sessions(session)}/end"),
    **SIGN_INS,
    "sessions-user-device-list": Case(lambda session: a_device(session).rpartition("/")[0]),
    "sessions-user-device-remove": Case(lambda session: f"{a_device(session)}/remove", status=204),
    "audit-list": Case(lambda session: f"/tenants/{protocol.add_tenant(session)}/audit"),
    "audit-export": Case(lambda session: f"/tenants/{protocol.add_tenant(session)}/audit/export"),
    "branding-get": Case(a_branding),
    "branding-replace": Case(a_branding, {"name": "Rows Ltd"}),
    "policy-applications-get": Case(an_applications_policy),
    "policy-applications-replace": Case(an_applications_policy, {"clients_by_document": "any"}),
    "policy-get": Case(a_policy),
    "policy-replace": Case(a_policy, {"password_length": 12}),
    "policy-role-delete": Case(a_role_policy, status=204),
    "policy-role-get": Case(a_role_policy),
    "policy-role-replace": Case(a_role_policy, {"second_factor": "required"}),
    "privileges-list": Case(lambda _: "/privileges"),
    "privileges-create": Case(lambda _: "/privileges", {"code": "a.b", "name": "B"}, 201),
    "privileges-get": Case(lambda _: "/privileges/ids4.ms.all"),
    "jobs-list": Case(lambda _: "/jobs"),
    "jobs-get": Case(lambda session: f"/jobs/{a_job(session)}"),
    "jobs-retry": Case(lambda session: f"/jobs/{a_job(session, JobState.FAILED)}/retry"),
    "jobs-cancel": Case(lambda session: f"/jobs/{a_job(session)}/cancel"),
    "keys-list": Case(lambda _: "/keys"),
    "keys-get": Case(lambda session: f"/keys/{a_key(session)}"),
    "keys-rotate": Case(lambda _: "/keys/rotate", {"alg": "ES256"}),
    "keys-import": Case(lambda _: "/keys/import", {"pem": admin.make_pem()}, 201),
    "keys-revoke": Case(lambda session: f"/keys/{a_key(session)}/revoke"),
    "settings-list": Case(lambda _: "/settings"),
    "privileges-group-list": Case(lambda _: "/privilege-groups"),
    "privileges-group-create": Case(lambda _: "/privilege-groups", {"code": "a", "name": "A"}, 201),
    "privileges-group-get": Case(a_group),
    "privileges-group-change": Case(a_group, {"name": "Other"}),
    "privileges-group-delete": Case(a_group, status=204),
    "tenanttypes-list": Case(lambda _: "/tenant-types"),
    "tenanttypes-create": Case(lambda _: "/tenant-types", {"code": "a", "name": "A"}, 201),
    "tenanttypes-get": Case(a_type),
    "tenanttypes-change": Case(a_type, {"name": "Other"}),
    "tenanttypes-delete": Case(a_type, status=204),
    "bundles-get": Case(a_bundle),
    "bundles-delete": Case(a_bundle, status=204),
    "menus-get": Case(a_menu),
    "menus-arrange": Case(a_menu, {"places": [{"code": "row", "enabled": False}]}),
    "menus-entry-create": Case(
        lambda session: f"{a_menu(session)}/entries", {"code": "a", "title": "A"}, 201
    ),
    "menus-entry-get": Case(an_entry),
    "menus-entry-change": Case(an_entry, {"title": "Other"}),
    "menus-entry-delete": Case(an_entry, status=204),
    "explain-token": Case(an_explained_client, query={"client": "row"}),
    "explain-presented": Case(an_explained_tenant, {"token": "a.b.c"}),
    "explain-request": Case(a_refusal, query={"request": "abc"}),
    "messages-list": Case(lambda _: "/messages"),
    "messages-drop": Case(lambda session: f"/messages/{a_message(session)}/drop", status=204),
    "messages-retry": Case(lambda session: f"/messages/{a_message(session)}/retry"),
    "messages-test": Case(lambda _: "/messages/test", status=204),
}

every_operation = pytest.mark.parametrize("operation_id", CASES)


@pytest.mark.no_database
def test_every_operation_is_walked():
    assert CASES.keys() == OPERATIONS.keys()
    assert all(operation.scope for operation in dialect.operations)


@dataclass(frozen=True)
class Cast:
    """Tokens of callers that are there before every test."""

    refused: Mapping[str, tuple[str | None, int]]
    """Those that may call nothing, with the status that they get."""
    mary_id: int
    mary: Mapping[str, str]
    """Of a person who holds nothing yet, by their only scope."""
    robot: Mapping[str, str]
    """Of a machine of the platform, by their only scope."""
    root: str


def make_cast(client: IssuerClient, session: Session) -> Cast:
    """Make everybody. Those who are refused have whatever else an operation may ask for."""
    home = protocol.add_tenant(session, "Home")
    scopes = sorted({operation.scope for operation in OPERATIONS.values()})
    rights = sorted({operation.permission for operation in OPERATIONS.values()})
    root = center.administrator(client, session, scopes=scopes)
    of_home = center.manager(
        client, session, *rights, username="boss", tenant_id=home, scopes=scopes
    )
    of_first = center.manager(client, session, *rights, username="first", scopes=scopes)
    nobody = center.manager(client, session, username="nobody", scopes=scopes)
    protocol.add_role(session, of_home.user, "boss", ["ids4.ms.all"], tenant_id=home)
    mary = protocol.add_person(session, "mary", email="mary@example.com")
    robot = a_machine(session, "robot", scopes)
    return Cast(
        {
            "no token": (None, 401),
            "no valid token": ("a.b.c", 401),
            "wrong scope": (center.token_for(session, root.user, [UNRELATED]), 403),
            "scope without permission": (nobody.token, 403),
            "administrator of a tenant": (of_home.token, 403),
            "permission in the first tenant": (of_first.token, 403),
            "machine of a tenant": (
                token_of(client, a_machine(session, "local", scopes, tenant_id=home)),
                403,
            ),
            "machine without the scope": (
                token_of(client, a_machine(session, "other", [UNRELATED])),
                403,
            ),
            "client of a tenant": (of_a_tenant(session, scopes, root.user), 403),
        },
        mary.id,
        {scope: center.token_for(session, mary, [scope]) for scope in scopes},
        {scope: token_of(client, robot, scope=scope) for scope in scopes},
        center.token_for(session, root.user, ["ids4.ms.admin.all"]),
    )


def of_a_tenant(session: Session, scopes: Sequence[str], user: User) -> str:
    """Make a token of a tenant's own client for a person."""
    tenant_id = protocol.add_tenant(session, "Theirs")
    tenants.add_member(session, tenant_id, user.id)
    protocol.register(session, "theirs", scopes=("openid", *scopes), tenant_id=tenant_id)
    found = snapshot.find(session, "theirs")
    assert found is not None
    token = operator_tokens.issue_by_command(session, found, user, tenant_id, scopes)
    session.commit()
    return token


def a_machine(
    session: Session, client_id: str, scopes: Sequence[str], tenant_id: int | None = None
) -> App:
    return protocol.register_machine(
        session,
        client_id,
        scopes,
        tenant_id=tenant_id,
        access_token_lifetime=prepared.HOURS * 3600,
    )


def token_of(client: IssuerClient, machine: App, **parameters: str) -> str:
    answer = protocol.machine_token(client, machine, **parameters)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    token: str = answer.get_json()["access_token"]
    return token


world = prepared.world(make_cast)


@pytest.fixture
def cast(world):
    return world.made


def send(caller, operation, session):
    """Call an operation in the way that its case says."""
    case = CASES[operation.id]
    headers = {"If-Match": "*"} if operation.method in CHANGES else {}
    return admin.send(
        caller, operation.method, case.path(session), case.body, headers=headers, **case.query
    )


@pytest.mark.no_database
@every_operation
def test_who_may_not_call_changes_nothing(client, session, cast, operation_id):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    path = case.path(session)
    before = center.whole_database(session) | {"audit_event": []}
    for who, (token, status) in cast.refused.items():
        caller = Caller(client, None, token)
        assert admin.refused(caller, operation.method, path, case.body, **case.query) == (
            status,
            {},
        ), who
    assert center.whole_database(session) | {"audit_event": []} == before


@every_operation
@pytest.mark.parametrize(
    "how",
    [
        "direct grant",
        pytest.param("role of the platform", marks=pytest.mark.no_database),
        pytest.param("administrators", marks=pytest.mark.no_database),
    ],
)
def test_who_may_call_is_answered(client, session, cast, operation_id, how):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    mary = session.get_one(User, cast.mary_id)
    if how == "direct grant":
        protocol.grant_directly(session, mary, operation.permission)
    else:
        # The `.all` of the module; the role of administrators has `ids4.ms.all`.
        code = f"ids4.ms.admin.{operation.module}.all"
        name, codes = ("helpers", [code]) if how == "role of the platform" else (how, [])
        protocol.add_role(session, mary, name, codes, tenant_id=None)
    answer = send(Caller(client, mary, cast.mary[operation.scope]), operation, session)
    assert answer.status_code == case.status, answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.no_database
@every_operation
def test_a_machine_of_the_platform_is_answered_unless_a_person_is_needed(
    client, session, cast, operation_id
):
    operation = OPERATIONS[operation_id]
    answer = send(Caller(client, None, cast.robot[operation.scope]), operation, session)
    status = CASES[operation_id].status if operation.machine else 403
    assert answer.status_code == status, answer.get_data(as_text=True)


@pytest.mark.no_database
def test_only_what_needs_a_person_refuses_machines():
    assert [each.id for each in dialect.operations if not each.machine] == ["messages-test"]


@pytest.mark.no_database
@every_operation
def test_a_change_needs_the_state_that_it_is_meant_for(client, session, cast, operation_id):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    if operation.method not in CHANGES:
        return
    root, path = Caller(client, None, cast.root), case.path(session)
    for headers, status in (
        ({}, 428),
        ({"If-Match": '"former"'}, 412),
        ({"If-Match": 'W/"former"'}, 412),
        ({"If-Match": "former"}, 400),
    ):
        answer = admin.send(root, operation.method, path, case.body, headers=headers, **case.query)
        assert answer.status_code == status, (headers, answer.get_data(as_text=True))


@pytest.mark.no_database
@every_operation
def test_unknown_query_parameters_are_refused(client, session, cast, operation_id):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    path = case.path(session)
    root = Caller(client, None, cast.root)
    status, fields = admin.refused(
        root, operation.method, path, case.body, **case.query, nonsense="1"
    )
    assert (status, list(fields)) == (400, ["nonsense"])


@pytest.mark.no_database
def test_it_is_served_below_its_prefix_alone(client):
    assert client.get("/admin/v1/tenants/1/users").status_code == 401
    for path in (
        "/api/admin/v1/tenants/1/users",
        "/tenants/1/users",
        "/admin/users",
        "/admin/v2/users",
    ):
        assert client.get(path).status_code == 404


@pytest.mark.no_database
def test_pages_of_the_clients_origins_may_call(client, session):
    protocol.register(session, "portal", cors_origins=["https://portal.example"])
    answer = client.options(
        "/admin/v1/privileges",
        headers={"Origin": "https://portal.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
