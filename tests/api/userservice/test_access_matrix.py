"""Every operation of the user service, by V1 and V2, called by everybody who must not and who may.

`CASES` holds what each operation needs to be called; an operation that is missing there fails. No
answer of any call shows a password or a salt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from marshmallow import fields

from idp.api.userservice.codes import Code
from idp.api.userservice.dialect import userservice as dialect
from idp.directory.actor import OPERATOR
from idp.directory.applications.models import Application, ApplicationClient, Menu
from idp.directory.bundles import service as bundles
from idp.directory.bundles.service import BundleSpec
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role, UserRole
from idp.platform.wire.shapes import Shape
from tests import protocol
from tests.api import center, userservice
from tests.api.userservice import Service

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from werkzeug.test import TestResponse

    from idp.api.dialect import Operation
    from idp.directory.users.models import User
    from tests.conftest import IssuerClient

PASSWORD = "seven-green-cups-9"
UNRELATED = "ids4.ms.file.post"
OTHER_CONTRACT = "ids4.ms.tenant.all"
DONE, REFUSED, MISSING = "done", "403", "404"

OF_TENANT = "what belongs to a tenant"
OF_PLATFORM = "what the platform alone may do"
OF_CLIENT = "what comes before there is a person"
OF_ANYBODY = "what is the same for everybody who may ask"


class World:
    """Two tenants, a person who may call the operation in one of them, and their rows."""

    def __init__(self, browser: IssuerClient, session: Session, operation: Operation) -> None:
        self.browser = browser
        self.session = session
        self.operation = operation
        self.case = CASES[operation.id]
        self.count = 0
        self.home = protocol.add_tenant(session, "Home")
        self.away = protocol.add_tenant(session, "Away")
        self.owner = self.person("owner", self.home)
        if self.case.kind == OF_PLATFORM:
            protocol.add_role(session, self.owner, "administrators", tenant_id=None)
        else:
            self.permit(self.owner, self.home)

    def fresh(self, name: str = "row") -> str:
        """Make a name that nothing has yet."""
        self.count += 1
        return f"{name}-{self.count}"

    def number(self) -> str:
        """Make a mobile number that is not taken yet."""
        self.count += 1
        return f"1380013{self.count:04}"

    def person(self, name: str, *tenant_ids: int, **columns: Any) -> User:
        """Add a member of tenants."""
        return protocol.add_person(self.session, name, tenant_ids=tenant_ids, **columns)

    def permit(self, user: User, tenant_id: int) -> None:
        """Grant a person the permission of the operation in a tenant."""
        permission = self.operation.permission
        assert permission is not None
        protocol.grant_directly(self.session, user, permission, tenant_id=tenant_id)

    def token(self, user: User, tenant_id: int, scope: str | None = None) -> str:
        """Make a token with the one scope of the operation, or another."""
        wanted = scope or self.operation.scope
        assert wanted is not None
        return center.token_for(self.session, user, [wanted], tenant_id)

    def tool(self, *scopes: str) -> None:
        """Register the client of all tokens, with the scope of the operation and others."""
        wanted = ("openid", self.operation.scope, *scopes)
        protocol.register(self.session, center.TOOL, scopes=wanted)

    def machine(self, name: str, tenant_id: int | None) -> str | None:
        """Make a token of a machine with the one scope of the operation."""
        scope = self.operation.scope
        assert scope is not None
        return userservice.machine(
            self.browser, self.session, name, tenant_id=tenant_id, scopes=[scope]
        ).token

    def member(self) -> User:
        """Add a member of the first tenant, with a number and a password."""
        name = self.fresh("member")
        return self.person(name, self.home, mobile=f"+86{self.number()}", password=PASSWORD)

    def role(self) -> Role:
        """Add a role of the first tenant."""
        role = catalogue.create_role(self.session, self.fresh("role"), "Row", tenant_id=self.home)
        self.session.commit()
        return role

    def bundle(self, **changes: Any) -> str:
        """Add a bundle without roles."""
        code = self.fresh("bundle")
        said = BundleSpec(code, "Row", "company", '{"roles": []}', **changes)
        bundles.create(self.session, OPERATOR, said)
        self.session.commit()
        return code

    def application(self) -> Application:
        """Add an application of the first tenant."""
        row = Application(tenant_id=self.home, code=self.fresh("app"), name="Row")
        self.session.add(row)
        self.session.commit()
        return row

    def menu(self) -> Menu:
        """Add an entry to the menu of an application."""
        row = Menu(application_id=self.application().id, code="home", title="Home")
        self.session.add(row)
        self.session.commit()
        return row

    def linked_client(self) -> str:
        """Register a client and link it to an application."""
        app = protocol.register(self.session, self.fresh("client"), scopes=["openid"])
        link = ApplicationClient(client_id=app.row_id, application_id=self.application().id)
        self.session.add(link)
        self.session.commit()
        return app.client_id


Make = Callable[[World], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """What one operation needs, and whose it is."""

    kind: str
    path: Make = lambda world: {}
    body: Callable[[World], Any] | None = None
    query: Make = lambda world: {}
    abroad: str | None = None
    """For who may do it in another tenant; else by the kind."""
    code: Code = Code.success
    """What V2 answers who may call."""
    status: int = 200
    """What V1 answers who may call."""


def tenant(world: World) -> dict[str, Any]:
    return {"tenantId": world.home}


def member(world: World) -> dict[str, Any]:
    return {"username": world.member().username, "tenantId": world.home}


def a_role(world: World) -> dict[str, Any]:
    return {"tenantId": world.home, "roleCode": world.role().code}


def no_codes(_world: World) -> dict[str, Any]:
    return {"roleCodes": ""}


def an_account(world: World) -> dict[str, Any]:
    return {"username": world.fresh("ann"), "password": PASSWORD}


def a_credential(world: World) -> dict[str, Any]:
    name = world.member().username
    return {"authenticationType": "PASSWORD", "principal": name, "certificate": PASSWORD}


def a_company(world: World) -> dict[str, Any]:
    bundle = world.bundle()
    return {
        "name": world.fresh(),
        "tenantTypeCode": "company",
        "bundleCode": bundle,
        **an_account(world),
    }


def a_page(_world: World) -> dict[str, Any]:
    return {"pageNo": 1, "pageSize": 20}


def a_sorted_page(world: World) -> dict[str, Any]:
    return {**a_page(world), "order": "asc", "sortBy": "id"}


def a_bundle(world: World) -> dict[str, Any]:
    return {
        "code": world.fresh("bundle"),
        "name": "Row",
        "tenantTypeCode": "company",
        "ability": '{"roles": []}',
    }


def initialised(world: World) -> dict[str, Any]:
    """Describe a tenant that has another bundle than the one it shall get."""
    row = protocol.add_tenant(world.session, world.fresh())
    root = userservice.administrator(world.browser, world.session, world.fresh("root"))
    assert root.data("POST", f"/tenants/{row}/bundles/{world.bundle()}") is True
    return {"tenantId": row, "bundleCode": world.bundle()}


def not_initialised(world: World) -> dict[str, Any]:
    row = protocol.add_tenant(world.session, world.fresh())
    return {"tenantId": row, "bundleCode": world.bundle()}


def a_group(world: World) -> dict[str, Any]:
    group = catalogue.create_group(world.session, world.fresh("group"), "Row")
    world.session.commit()
    return {"privilegeGroupId": group.id}


def an_application(world: World) -> dict[str, Any]:
    return {"applicationCode": world.application().code}


CASES: dict[str, Case] = {
    # Accounts
    "getAccountByUsername": Case(OF_PLATFORM, path=lambda w: {"username": w.member().username}),
    "createAccount": Case(OF_PLATFORM, body=an_account),
    "getAccountByMobile": Case(
        OF_PLATFORM, path=lambda w: {"mobile": w.member().mobile.removeprefix("+86")}
    ),
    "pageAccounts": Case(OF_TENANT, body=tenant, query=a_sorted_page),
    "resetAccountPassword": Case(
        OF_PLATFORM, body=lambda w: {"accountId": w.member().id, "password": PASSWORD}
    ),
    "listAccountTenants": Case(OF_PLATFORM, path=lambda w: {"username": w.member().username}),
    "createAccountInTenant": Case(OF_TENANT, path=tenant, body=an_account),
    "authenticateAccount": Case(OF_CLIENT, body=a_credential),
    "bindAccountToTenant": Case(OF_TENANT, path=member),
    "unbindAccountFromTenant": Case(OF_TENANT, path=member),
    "existsAccountByMobile": Case(OF_CLIENT, path=lambda w: {"mobile": w.number()}),
    "existsAccountByUsername": Case(OF_CLIENT, path=lambda w: {"username": w.fresh()}),
    "existsTenantAccountByMobile": Case(
        OF_TENANT, path=lambda w: {"mobile": w.number(), "tenantId": w.home}
    ),
    "existsTenantAccountByUsername": Case(OF_TENANT, path=member),
    "sendSmsCode": Case(OF_CLIENT, query=lambda w: {"phone": w.number()}),
    "login": Case(OF_CLIENT, body=a_credential),
    # Tenants and bundles
    "createTenantAndLinkAccount": Case(
        OF_PLATFORM, body=lambda w: a_company(w) | {"username": w.member().username}
    ),
    "createTenant": Case(OF_PLATFORM, body=a_company),
    "pageTenants": Case(OF_PLATFORM, body=lambda w: {}, query=a_sorted_page),
    "getTenantById": Case(OF_TENANT, path=lambda w: {"id": w.home}),
    "initTenantBundle": Case(OF_PLATFORM, path=not_initialised),
    "switchTenantBundle": Case(OF_PLATFORM, path=initialised),
    "createBundle": Case(OF_PLATFORM, body=a_bundle),
    "updateBundle": Case(OF_PLATFORM, body=lambda w: a_bundle(w) | {"code": w.bundle()}),
    "listBundles": Case(OF_ANYBODY),
    "listNonInitialBundlesByTenantType": Case(OF_ANYBODY, path=lambda w: {"tenantType": "company"}),
    "getBundleByCode": Case(OF_ANYBODY, path=lambda w: {"bundleCode": w.bundle()}),
    # Roles and privileges
    "listRolesByCodes": Case(OF_TENANT, path=tenant, query=no_codes),
    "updateTenantRole": Case(
        OF_TENANT, body=lambda w: {"id": w.role().id, "code": "", "name": w.fresh()}
    ),
    "listTenantRoles": Case(OF_TENANT, path=tenant),
    "createTenantRole": Case(
        OF_TENANT, path=tenant, body=lambda w: {"code": w.fresh("clerk"), "name": "Clerk"}
    ),
    "deleteTenantRole": Case(OF_TENANT, path=a_role),
    "setRolePrivileges": Case(OF_TENANT, path=a_role, query=lambda w: {"privilegeCodes": ""}),
    "getTenantRoleWithPrivileges": Case(OF_TENANT, path=a_role),
    "bindAccountRoles": Case(OF_TENANT, path=member, query=lambda w: {"roleCodes": w.role().code}),
    "unbindAccountRoles": Case(
        OF_TENANT, path=member, query=lambda w: {"roleCodes": w.role().code}
    ),
    "listPrivilegesByGroup": Case(OF_ANYBODY, path=a_group),
    "listPrivilegesOfRoles": Case(OF_TENANT, path=tenant, query=no_codes),
    "getPrivilegeTreeOfRoles": Case(OF_TENANT, path=tenant, query=no_codes),
    "getAccountAuthorizations": Case(
        OF_TENANT,
        path=lambda w: {"username": w.member().username},
        query=lambda w: {"tenantIds": w.home},
    ),
    # Applications and menus
    "createApplication": Case(
        OF_TENANT, body=lambda w: {"code": w.fresh("app"), "name": "App", "tenantId": w.home}
    ),
    "updateApplication": Case(
        OF_TENANT, body=lambda w: {"code": w.application().code, "name": w.fresh()}
    ),
    "pageApplications": Case(OF_ANYBODY, body=lambda w: {}, query=a_page),
    "listApplicationResources": Case(
        OF_TENANT, path=an_application, query=lambda w: {"privileageCodes": ""}, abroad=MISSING
    ),
    "getApplicationByCode": Case(OF_TENANT, path=an_application, abroad=MISSING),
    "deleteApplication": Case(OF_TENANT, path=an_application),
    "getApplicationByClientId": Case(
        OF_TENANT, path=lambda w: {"clientId": w.linked_client()}, abroad=MISSING
    ),
    "pageMenus": Case(OF_ANYBODY, body=lambda w: {}, query=a_page),
    "listMenusByPrivileges": Case(OF_ANYBODY, query=lambda w: {"privileges": ""}),
    "listMenusByApplication": Case(OF_TENANT, path=an_application, abroad=MISSING),
    "getMenuById": Case(OF_TENANT, path=lambda w: {"id": w.menu().id}, abroad=MISSING),
    "resolveTenantResources": Case(OF_TENANT, body=lambda w: {str(w.home): {}}),
}

OPERATIONS = {operation.id: operation for operation in dialect.operations}


@pytest.mark.no_database
def test_every_operation_has_a_case():
    assert OPERATIONS.keys() == CASES.keys()
    assert len(OPERATIONS) == 52
    for operation in OPERATIONS.values():
        assert operation.permission == operation.scope
        assert operation.scope.startswith("ids4.ms.us.")
        assert operation.machine


QUOTAS = {"numberOfApp", "numberOfConcurrent", "numberOfInvocation"}
"""Optional numbers that are neither ids nor filters: 0 allows nothing, null has no limit."""


def blanks(shape: Any) -> dict[str, Any]:
    """Return the values of the contract's examples for every optional id and filter of a shape."""
    if not isinstance(shape, Shape):
        return {}
    found: dict[str, Any] = {}
    for name, declared in shape.query_fields():
        if declared.required or name in QUOTAS:
            continue
        if isinstance(declared, fields.Integer):
            found[name] = 0
        elif isinstance(declared, fields.String):
            found[name] = ""
    return found


@pytest.mark.no_database
def test_zero_and_empty_are_absent_in_every_optional_id_and_filter():
    looked_at = set()
    for operation in OPERATIONS.values():
        for shape in (operation.body, operation.query):
            for name, blank in blanks(shape).items():
                declared = dict(shape.query_fields())[name]
                assert declared.load_default is None, (operation.id, name)
                assert declared.deserialize(blank) is None, (operation.id, name)
                looked_at.add((type(shape).__name__, name))
    assert ("NewPasswordShape", "accountId") in looked_at
    assert ("AccountQueryShape", "tenantId") in looked_at
    assert ("MenuQueryShape", "status") in looked_at
    assert len(looked_at) > 20


BLANK = sorted(name for name, operation in OPERATIONS.items() if blanks(operation.body))


@pytest.mark.no_database
@pytest.mark.parametrize("version", ["", "/v2"])
@pytest.mark.parametrize("name", BLANK)
def test_zero_and_empty_change_nothing(client, session, name, version):
    """What is optional may be sent as the contract's examples have it."""
    operation, case = OPERATIONS[name], CASES[name]
    world = World(client, session, operation)
    root = userservice.administrator(client, session)
    token = world.machine("robot", None) if case.kind == OF_CLIENT else root.token
    if operation.form == "page":
        world.member()
        world.menu()
        path, query = f"{version}{operation.path}", case.query(world)
        counts = []
        for body in ({}, blanks(operation.body)):
            answer = root.send(operation.method, path, body, **query).get_json()
            counts.append((answer["data"] if version else answer)["counts"])
        assert counts[0] == counts[1] > 0
    else:
        answer = send(world, token, version, blanks(operation.body))
        assert outcome(case, answer) == DONE


@pytest.mark.no_database
@pytest.mark.parametrize("name", sorted(CASES))
def test_nobody_calls_who_may_not(client, session, name):
    operation, case = OPERATIONS[name], CASES[name]
    world = World(client, session, operation)
    # All of them are made before the first call: new clients make the server read all anew.
    world.tool(UNRELATED, OTHER_CONTRACT)
    tokens: dict[str, str | None] = {"no token": None}
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        old = world.token(world.owner, world.home)
    tokens["expired token"] = old

    nobody = world.person("nobody", world.home)
    tokens["wrong scope"] = world.token(nobody, world.home, UNRELATED)
    tokens["scope without permission"] = world.token(nobody, world.home)
    tokens["permission without scope"] = world.token(world.owner, world.home, UNRELATED)
    tokens["scope of the other contract"] = world.token(world.owner, world.home, OTHER_CONTRACT)

    stranger = world.person("stranger", world.away)
    world.permit(stranger, world.away)
    tokens["other tenant"] = world.token(stranger, world.away)

    both = world.person("both", world.home, world.away)
    world.permit(both, world.away)
    tokens["right elsewhere"] = world.token(both, world.home)

    namesake = world.person("namesake", world.home)
    role = Role(code="administrators", name="Administrators", tenant_id=world.home)
    session.add(role)
    session.flush()
    session.add(UserRole(user_id=namesake.id, role_id=role.id))
    if case.kind == OF_PLATFORM:
        world.permit(namesake, world.home)
    tokens["namesake of a platform role"] = world.token(namesake, world.home)

    if case.kind == OF_PLATFORM:
        of_role = world.person("of-role", world.home)
        protocol.add_role(session, of_role, "keepers", [operation.permission], tenant_id=None)
        tokens["permission by a role of the platform"] = world.token(of_role, world.home)
        granted = world.person("granted", world.home)
        protocol.grant_directly(session, granted, operation.permission, tenant_id=None)
        tokens["permission given on the platform"] = world.token(granted, world.home)

    tokens["machine of another tenant"] = world.machine("theirs", world.away)
    tokens["machine of the tenant"] = world.machine("ours", world.home)
    tokens["machine of the platform"] = world.machine("platform", None)
    tokens["right caller"] = world.token(world.owner, world.home)

    answers = {
        f"{who}{mark}": send(world, token, version)
        for who, token in tokens.items()
        for mark, version in (("", ""), (", V2", "/v2"))
    }
    assert {who: outcome(case, answer) for who, answer in answers.items()} == dict(expected(case))
    check_challenges(operation, answers)
    for answer in answers.values():
        assert_nothing_secret(answer)


def expected(case: Case) -> Iterator[tuple[str, str]]:
    abroad = case.abroad or (DONE if case.kind == OF_ANYBODY else REFUSED)
    outcomes = {
        "no token": "401",
        "expired token": "401",
        "wrong scope": REFUSED,
        "scope without permission": REFUSED,
        "permission without scope": REFUSED,
        "scope of the other contract": REFUSED,
        "other tenant": abroad,
        "right elsewhere": REFUSED,
        "namesake of a platform role": REFUSED,
        "machine of another tenant": abroad,
        "machine of the tenant": DONE,
        "machine of the platform": DONE,
        "right caller": DONE,
    }
    if case.kind == OF_PLATFORM:
        outcomes |= {
            "machine of the tenant": REFUSED,
            "permission by a role of the platform": DONE,
            "permission given on the platform": DONE,
        }
    if case.kind == OF_CLIENT:
        outcomes |= dict.fromkeys(("other tenant", "right caller"), REFUSED)
        outcomes |= BEFORE_THERE_IS_A_PERSON[OPERATION_OF[id(case)]]
    for who, what in outcomes.items():
        yield who, what
        yield f"{who}, V2", what


OPERATION_OF = {id(case): name for name, case in CASES.items()}

BEFORE_THERE_IS_A_PERSON = {
    # Of another tenant's client the account is none: the answer is that of a wrong password.
    "login": {"machine of another tenant": "bad_credential"},
    "authenticateAccount": {"machine of another tenant": "bad_credential"},
    "sendSmsCode": {"machine of another tenant": DONE},
    # They look over all tenants.
    "existsAccountByMobile": {"machine of the tenant": REFUSED},
    "existsAccountByUsername": {"machine of the tenant": REFUSED},
}


def send(
    world: World, token: str | None, version: str, besides: Mapping[str, Any] = MappingProxyType({})
) -> TestResponse:
    """Call the operation with everything made for this call, and members besides."""
    operation, case = world.operation, world.case
    values = case.path(world)
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), operation.path)
    body = case.body(world) if case.body is not None else None
    if besides:
        body = {**besides, **body}
    who = Service(world.browser, token)
    return who.send(operation.method, f"{version}{path}", body, **case.query(world))


def outcome(case: Case, answer: TestResponse) -> str:
    """Return the outcome: the HTTP status, or the name of the code."""
    content = answer.get_json()
    is_second = answer.request.path.startswith("/user/v2/")
    if is_second:
        content = userservice.envelope(answer)
        if answer.status_code == 200 and content["code"] != case.code.number:
            return next(code.name for code in Code if code.number == content["code"])
    if answer.status_code == 400:
        return str(content["code"])
    return DONE if answer.status_code == case.status else str(answer.status_code)


def check_challenges(operation: Operation, answers: dict[str, TestResponse]) -> None:
    """Refusals say what token would do (RFC 6750 3), in both versions."""
    for mark in ("", ", V2"):
        assert answers[f"no token{mark}"].headers["WWW-Authenticate"] == 'Bearer realm="idp"'
        expired = answers[f"expired token{mark}"].headers["WWW-Authenticate"]
        assert 'error="invalid_token"' in expired
        for who in ("wrong scope", "permission without scope"):
            challenge = answers[f"{who}{mark}"].headers["WWW-Authenticate"]
            assert f'scope="{operation.scope}"' in challenge
    for answer in answers.values():
        assert answer.headers["Cache-Control"] == "no-store"


def assert_nothing_secret(answer: TestResponse) -> None:
    """No hash is in an answer, and `password` and `salt` are always empty."""
    text = answer.get_data(as_text=True)
    assert "argon2" not in text
    assert PASSWORD not in text
    for found in members(json.loads(text)):
        assert found in {("password", ""), ("salt", "")}


def members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in {"password", "salt"}:
                yield name, item
            yield from members(item)
    elif isinstance(value, list):
        for item in value:
            yield from members(item)
