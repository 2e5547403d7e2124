"""Every operation of our own API, called by everybody who must not, and by who may.

`CASES` holds what each operation needs to be called; an operation that is missing there fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.api.admin.dialect import admin as dialect
from idp.directory.clients import snapshot
from idp.directory.tenants import service as tenants
from idp.oauth import operator_tokens
from idp.platform import clock
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.api import admin, center, userservice
from tests.api.center import Caller

OPERATIONS = {operation.id: operation for operation in dialect.operations}
UNRELATED = "ids4.ms.us.menu.page"


@dataclass(frozen=True)
class Case:
    """What an operation needs: its path, made when it is called, and its body."""

    path: Callable[[Session], str]
    body: Any = None
    status: int = 200


def a_user(session: Session) -> str:
    return str(protocol.add_person(session, "row", is_disabled=True).id)


def some_sessions(session: Session) -> str:
    tenant_id = protocol.add_tenant(session, "Rows")
    user = protocol.add_person(session, "row", tenant_ids=[tenant_id])
    protocol.start_session(session, "127.0.0.1:8000", user)
    return f"/tenants/{tenant_id}/users/{user.id}/sessions"


def a_session(session: Session) -> str:
    path = some_sessions(session)
    return f"{path}/{session.scalars(select(BrowserSession.id)).one()}"


def a_branding(session: Session) -> str:
    return f"/tenants/{protocol.add_tenant(session, 'Rows')}/branding"


def a_message(session: Session) -> str:
    row_id = jobs.enqueue(session, "mail", {"to": "ann@example.com"})
    session.get_one(OutboxMessage, row_id).failed_at = clock.now()
    session.commit()
    return str(row_id)


CASES = {
    "users-list": Case(lambda _: "/users"),
    "users-get": Case(lambda session: f"/users/{a_user(session)}"),
    "users-disable": Case(lambda session: f"/users/{a_user(session)}/disable"),
    "users-enable": Case(lambda session: f"/users/{a_user(session)}/enable"),
    "users-unlock": Case(lambda session: f"/users/{a_user(session)}/unlock"),
    "sessions-list": Case(some_sessions),
    "sessions-end": Case(lambda session: f"{a_session(session)}/end"),
    "sessions-end-all": Case(lambda session: f"{some_sessions(session)}/end"),
    "branding-get": Case(a_branding),
    "branding-replace": Case(a_branding, {"name": "Rows Ltd"}),
    "privileges-list": Case(lambda _: "/privileges"),
    "privileges-create": Case(lambda _: "/privileges", {"code": "a.b", "name": "B"}, 201),
    "privileges-get": Case(lambda _: "/privileges/ids4.ms.all"),
    "messages-list": Case(lambda _: "/messages"),
    "messages-retry": Case(lambda session: f"/messages/{a_message(session)}/retry"),
}

every_operation = pytest.mark.parametrize("operation_id", CASES)


@pytest.mark.no_database
def test_every_operation_is_walked():
    assert CASES.keys() == OPERATIONS.keys()
    assert all(operation.scope for operation in dialect.operations)


def of_a_tenant(client, session, scope, user):
    """Make a token of a tenant's own client for a person."""
    tenant_id = protocol.add_tenant(session, "Theirs")
    tenants.add_member(session, tenant_id, user.id)
    protocol.register(session, "theirs", scopes=("openid", scope), tenant_id=tenant_id)
    found = snapshot.find(session, "theirs")
    assert found is not None
    token = operator_tokens.issue_by_command(session, found, user, tenant_id, [scope])
    session.commit()
    return Caller(client, user, token)


@every_operation
def test_who_may_not_call_changes_nothing(client, session, operation_id):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    home = protocol.add_tenant(session, "Home")
    right = operation.scope
    root = center.administrator(client, session, scopes=[right])
    of_home = center.manager(client, session, right, tenant_id=home, scopes=[right])
    of_first = center.manager(client, session, right, username="first", scopes=[right])
    nobody = center.manager(client, session, username="nobody", scopes=[right])
    protocol.add_role(session, of_home.user, "boss", ["ids4.ms.all"], tenant_id=home)
    refused = {
        "no token": (Caller(client, root.user, None), 401),
        "no valid token": (Caller(client, root.user, "a.b.c"), 401),
        "wrong scope": (
            Caller(client, root.user, center.token_for(session, root.user, [UNRELATED])),
            403,
        ),
        "scope without permission": (nobody, 403),
        "administrator of a tenant": (of_home, 403),
        "permission in the first tenant": (of_first, 403),
        "machine": (
            Caller(client, root.user, userservice.machine(client, session, scopes=[right]).token),
            403,
        ),
        "client of a tenant": (of_a_tenant(client, session, right, root.user), 403),
    }
    path = case.path(session)
    before = center.whole_database(session) | {"audit_event": []}
    for who, (caller, status) in refused.items():
        assert admin.refused(caller, operation.method, path, case.body) == (status, {}), who
    assert center.whole_database(session) | {"audit_event": []} == before


@every_operation
@pytest.mark.parametrize("how", ["direct grant", "role of the platform", "administrators"])
def test_who_may_call_is_answered(client, session, operation_id, how):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    caller = center.manager(client, session, scopes=[operation.scope])
    if how == "direct grant":
        protocol.grant_directly(session, caller.user, operation.permission)
    else:
        # The `.all` of the module; the role of administrators has `ids4.ms.all`.
        code = f"ids4.ms.admin.{operation.module}.all"
        name, codes = ("helpers", [code]) if how == "role of the platform" else (how, [])
        protocol.add_role(session, caller.user, name, codes, tenant_id=None)
    answer = admin.send(caller, operation.method, case.path(session), case.body)
    assert answer.status_code == case.status, answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.no_database
@every_operation
def test_unknown_query_parameters_are_refused(client, session, operation_id):
    operation, case = OPERATIONS[operation_id], CASES[operation_id]
    path = case.path(session)
    root = admin.root(client, session)
    status, fields = admin.refused(root, operation.method, path, case.body, nonsense="1")
    assert (status, list(fields)) == (400, ["nonsense"])


@pytest.mark.no_database
def test_it_is_served_below_its_prefix_alone(client):
    assert client.get("/admin/v1/users").status_code == 401
    for path in ("/api/admin/v1/users", "/users", "/admin/users", "/admin/v2/users"):
        assert client.get(path).status_code == 404


@pytest.mark.no_database
def test_pages_of_the_clients_origins_may_call(client, session):
    protocol.register(session, center.TOOL, cors_origins=["https://portal.example"])
    answer = client.options(
        "/admin/v1/privileges",
        headers={"Origin": "https://portal.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
